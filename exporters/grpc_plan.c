// SPDX-License-Identifier: Apache-2.0
// Header names become lower case: HTTP/2 has no others (RFC 9113 8.2). Names that gRPC keeps for
// itself or that are pseudo-headers are refused.

#include "exporters/grpc_plan.h"

#include <errno.h>
#include <grpc/slice.h>
#include <stdlib.h>

#include "exporters/grpc_channel.h"
#include "libtrace/base/arena.h"

enum { HEADERS_MAX = 64 };

struct grpc_plan {
    struct otlp_client_plan copy;
    struct arena arena; // the text of all of it
    size_t metadata_count;
    grpc_metadata metadata[HEADERS_MAX];
};

// Terminated; true when it is there or none was given.
static bool text_keep(struct grpc_plan *plan, const char **out_copy, const char *text)
{
    *out_copy = text ? arena_format(&plan->arena, "%s", text).at : NULL;
    return !text || *out_copy;
}

// gRPC over HTTP/2, "Custom-Metadata": names of [0-9a-z_.-], values of printable ASCII.
static bool name_is_legal(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
            return false;
    }
    return name.len > 0 && !str_starts(name, STR("grpc-")) && !str_equal(name, STR("te")) &&
           !str_equal(name, STR("content-type")) && !str_equal(name, STR("user-agent"));
}

static bool is_binary(struct str name)
{
    return name.len > 4 && str_equal(str_from(name, name.len - 4), STR("-bin"));
}

static bool value_is_legal(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < ' ' || value.at[i] > '~')
            return false;
    }
    return true;
}

static int header_keep(struct grpc_plan *plan, const char *name, const char *value, struct why *why)
{
    struct str key = arena_format(&plan->arena, "%s", name);
    const struct str text = arena_format(&plan->arena, "%s", value);
    char *lower = (char *)key.at;

    if (!key.at || !text.at)
        return why_fail(why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < key.len; i++) {
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] + 32);
    }
    if (!name_is_legal(key) || (!is_binary(key) && !value_is_legal(text)))
        return why_fail(why, -EINVAL, "headers: '%s' is not a header of gRPC", name);
    if (plan->metadata_count == HEADERS_MAX)
        return why_fail(why, -E2BIG, "headers: more than %d", HEADERS_MAX);
    plan->metadata[plan->metadata_count++] =
        (grpc_metadata){.key = grpc_slice_from_static_buffer(key.at, key.len),
                        .value = grpc_slice_from_static_buffer(text.at, text.len)};
    return 0;
}

static int plan_fill(struct grpc_plan *plan, const struct otlp_client_plan *from, struct why *why)
{
    const char *const *headers = from->headers;
    struct otlp_client_plan *copy = &plan->copy;
    int failed = 0;

    *copy = *from;
    copy->headers = NULL;
    for (int signal = 0; signal < SIGNAL_COUNT && !failed; signal++) {
        failed = grpc_endpoint_check(from, from->endpoints[signal], why);
        if (!failed && !text_keep(plan, &copy->endpoints[signal], from->endpoints[signal]))
            failed = why_fail(why, -ENOMEM, "out of memory");
    }
    for (; !failed && headers && headers[0] && headers[1]; headers += 2)
        failed = header_keep(plan, headers[0], headers[1], why);
    if (!failed &&
        (!text_keep(plan, &copy->ca_file, from->ca_file) ||
         !text_keep(plan, &copy->client_key_file, from->client_key_file) ||
         !text_keep(plan, &copy->client_certificate_file, from->client_certificate_file) ||
         !text_keep(plan, &copy->user_agent, from->user_agent)))
        failed = why_fail(why, -ENOMEM, "out of memory");
    return failed;
}

struct grpc_plan *grpc_plan_new(const struct otlp_client_plan *plan, struct why *why)
{
    struct grpc_plan *kept = calloc(1, sizeof *kept);

    if (!kept) {
        why_fail(why, -ENOMEM, "out of memory");
        return NULL;
    }
    arena_init(&kept->arena, 0);
    if (plan_fill(kept, plan, why) == 0)
        return kept;
    grpc_plan_free(kept);
    return NULL;
}

void grpc_plan_free(struct grpc_plan *plan)
{
    if (!plan)
        return;
    arena_done(&plan->arena);
    free(plan);
}

const struct otlp_client_plan *grpc_plan_of(const struct grpc_plan *plan)
{
    return &plan->copy;
}

grpc_metadata *grpc_plan_metadata(struct grpc_plan *plan, size_t *out_count)
{
    *out_count = plan->metadata_count;
    return plan->metadata;
}
