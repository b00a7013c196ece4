// SPDX-License-Identifier: Apache-2.0
// Target, credentials and settings of a channel (gRPC core, grpc_types.h and grpc_security.h).

#include "exporters/grpc_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_security.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "exporters/endpoint.h"
#include "exporters/openssl_exit.h"

enum {
    PEM_BYTES_MAX = 4 << 20,
    // C core's own back-off ends at two minutes: a destination that returns would be kept waiting.
    RECONNECT_MIN_MS = 1000,
    RECONNECT_FIRST_MS = 200,
    RECONNECT_MAX_MS = 5000,
};

static _Atomic pid_t runtime_owner;

static void say_nothing(gpr_log_func_args *args)
{
    (void)args;
}

bool grpc_runtime_is_ours(void)
{
    return atomic_load(&runtime_owner) == getpid();
}

bool grpc_runtime_begin(struct why *why)
{
    pid_t none = 0;

    if (!atomic_compare_exchange_strong(&runtime_owner, &none, getpid()) &&
        !grpc_runtime_is_ours()) {
        why_fail(why, -ENOTSUP,
                 "gRPC was in use before this process was forked off: it cannot send by gRPC");
        return false;
    }
    if (!grpc_is_initialized()) {
        gpr_set_log_function(say_nothing);
        openssl_exit_prevent((const void *)(uintptr_t)grpc_init);
    }
    grpc_init();
    return true;
}

void grpc_runtime_end(void)
{
    grpc_shutdown();
}

// gRPC's naming: a scheme of a resolver of its own.
static bool is_resolvers(struct str endpoint)
{
    return str_starts(endpoint, STR("unix:")) || str_starts(endpoint, STR("unix-abstract:")) ||
           str_starts(endpoint, STR("dns:")) || str_starts(endpoint, STR("ipv4:")) ||
           str_starts(endpoint, STR("ipv6:"));
}

static int file_check(const char *what, const char *path, struct why *why)
{
    if (path && access(path, R_OK) != 0)
        return why_fail(why, -errno, "%s: %s: %s", what, path, strerrordesc_np(errno));
    return 0;
}

int grpc_endpoint_check(const struct otlp_client_plan *plan, const char *endpoint, struct why *why)
{
    struct endpoint parts;
    int failed = 0;

    if (!is_resolvers(str_of(endpoint)))
        failed = endpoint_read(str_of(endpoint), &parts, why);
    if (failed)
        return why_prefix(why, failed, "endpoint");
    if ((plan->client_key_file == NULL) != (plan->client_certificate_file == NULL))
        return why_fail(why, -EINVAL, "client_key_file and client_certificate_file go together");
    failed = file_check("ca_file", plan->ca_file, why);
    if (!failed)
        failed = file_check("client_certificate_file", plan->client_certificate_file, why);
    return failed ? failed : file_check("client_key_file", plan->client_key_file, why);
}

char *grpc_target(const struct otlp_client_plan *plan, const char *endpoint, bool *out_is_tls)
{
    const struct str text = str_of(endpoint);
    struct endpoint parts;
    char *target = NULL;
    bool is_ipv6;

    *out_is_tls = !plan->is_insecure;
    if (is_resolvers(text) || endpoint_read(text, &parts, NULL) != 0)
        return strdup(endpoint);
    // A scheme wins over the option (specification, "Exporter": endpoint).
    if (parts.has_scheme)
        *out_is_tls = parts.is_tls;
    if (!parts.port)
        parts.port = *out_is_tls ? 443 : 80;
    is_ipv6 = str_has(parts.host, ':');
    if (asprintf(&target, "%s%.*s%s:%u", is_ipv6 ? "[" : "", STR_ARGS(parts.host),
                 is_ipv6 ? "]" : "", parts.port) < 0)
        return NULL;
    return target;
}

// The whole file with a NUL at its end, to free(3).
static char *pem_read(const char *path, struct why *why)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? malloc(PEM_BYTES_MAX) : NULL;
    size_t len = 0;
    ssize_t got = 1;

    while (text && got > 0 && len < PEM_BYTES_MAX - 1) {
        got = read(fd, text + len, PEM_BYTES_MAX - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (!text || got != 0) {
        why_fail(why, -EINVAL, "%s: %s", path, got > 0 ? "too large" : strerrordesc_np(errno));
        free(text);
        text = NULL;
    } else {
        text[len] = '\0';
    }
    if (fd >= 0)
        close(fd);
    return text;
}

static grpc_channel_credentials *tls_credentials(const struct otlp_client_plan *plan,
                                                 struct why *why)
{
    char *roots = plan->ca_file ? pem_read(plan->ca_file, why) : NULL;
    char *key = plan->client_key_file ? pem_read(plan->client_key_file, why) : NULL;
    char *chain =
        plan->client_certificate_file ? pem_read(plan->client_certificate_file, why) : NULL;
    grpc_ssl_pem_key_cert_pair pair = {key, chain};
    grpc_channel_credentials *credentials = NULL;

    if ((roots || !plan->ca_file) && (key || !plan->client_key_file) &&
        (chain || !plan->client_certificate_file)) {
        credentials = grpc_ssl_credentials_create_ex(roots, key ? &pair : NULL, NULL, NULL);
        if (!credentials)
            why_fail(why, -EINVAL, "the TLS files cannot be used");
    }
    free(roots);
    free(key);
    free(chain);
    return credentials;
}

static grpc_arg integer_arg(const char *key, int value)
{
    grpc_arg arg = {.type = GRPC_ARG_INTEGER, .key = (char *)key};

    arg.value.integer = value;
    return arg;
}

static grpc_channel *channel_create(const struct otlp_client_plan *plan, const char *target,
                                    grpc_channel_credentials *credentials)
{
    const int known_algorithms = 1 << GRPC_COMPRESS_NONE | 1 << GRPC_COMPRESS_GZIP;
    const uint64_t response_max = plan->response_bytes_max;
    grpc_arg args[] = {
        {.type = GRPC_ARG_STRING, .key = (char *)GRPC_ARG_PRIMARY_USER_AGENT_STRING},
        integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                    response_max && response_max < INT32_MAX ? (int)response_max : -1),
        // The sender's limit is ours, and so is another attempt.
        integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
        integer_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        // What comes compressed is decompressed by us, up to the limit.
        integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        integer_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, known_algorithms),
        integer_arg(GRPC_COMPRESSION_CHANNEL_DEFAULT_ALGORITHM,
                    plan->compression == COMPRESSION_GZIP ? GRPC_COMPRESS_GZIP
                                                          : GRPC_COMPRESS_NONE),
        integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, RECONNECT_MIN_MS),
        integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_FIRST_MS),
        integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS),
        // Connections that the program itself has to the same place stay its own.
        integer_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
    };
    const grpc_channel_args all = {sizeof args / sizeof args[0], args};

    args[0].value.string = (char *)(plan->user_agent ? plan->user_agent : "");
    return grpc_channel_create(target, credentials, &all);
}

grpc_channel *grpc_channel_open(const struct otlp_client_plan *plan, const char *endpoint,
                                struct why *why)
{
    bool is_tls = false;
    char *target = grpc_target(plan, endpoint, &is_tls);
    grpc_channel_credentials *credentials = NULL;
    grpc_channel *channel = NULL;

    if (!target) {
        why_fail(why, -ENOMEM, "out of memory");
        return NULL;
    }
    credentials = is_tls ? tls_credentials(plan, why) : grpc_insecure_credentials_create();
    if (credentials) {
        channel = channel_create(plan, target, credentials);
        if (!channel)
            why_fail(why, -EINVAL, "no channel to '%s'", target);
        grpc_channel_credentials_release(credentials);
    }
    free(target);
    return channel;
}
