// SPDX-License-Identifier: Apache-2.0
// libcurl's multi interface: a handle for each slot, kept for the next request in it.

#include "exporters/http_client.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporters/curl_loop.h"
#include "exporters/http_exchange.h"
#include "exporters/openssl_exit.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/descriptor.h"
#include "libtrace/base/output.h"

// Sockets beyond that many are not closed in a child of fork, only never used.
enum { SOCKETS_MAX = 64 };

struct http_client {
    CURLM *multi;
    struct curl_slist *headers;
    struct curl_slist *gzip_headers; // the same and Content-Encoding
    char *user_agent;
    char *ca_file;
    char *client_certificate_file;
    char *client_key_file;
    size_t upload_buffer_bytes;
    struct curl_loop loop;
    pid_t owner;
    size_t ended;
    size_t exchange_count;
    struct exchange *exchanges;
    size_t socket_count;
    curl_socket_t sockets[SOCKETS_MAX];
};

static void curl_begin(void)
{
    openssl_exit_prevent((const void *)(uintptr_t)curl_easy_init);
    // Thread-safe from libcurl 7.84 on; once for each copy of this code in the process.
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static curl_socket_t socket_open(void *self, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_client *client = self;
    const curl_socket_t fd = descriptor_keep(
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol));

    (void)purpose;
    if (fd >= 0 && client->socket_count < SOCKETS_MAX)
        client->sockets[client->socket_count++] = fd;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int socket_close(void *self, curl_socket_t fd)
{
    struct http_client *client = self;

    for (size_t i = 0; i < client->socket_count; i++) {
        if (client->sockets[i] == fd) {
            client->sockets[i] = client->sockets[--client->socket_count];
            break;
        }
    }
    return close(fd);
}

// The options that have memory of their own, and so can fail.
static bool texts_set(const struct http_client *client, CURL *curl)
{
    const struct {
        CURLoption option;
        const char *text;
    } texts[] = {
        {CURLOPT_PROTOCOLS_STR, "http,https"},
        {CURLOPT_ACCEPT_ENCODING, "gzip"},
        {CURLOPT_USERAGENT, client->user_agent},
        {CURLOPT_CAINFO, client->ca_file},
        {CURLOPT_SSLCERT, client->client_certificate_file},
        {CURLOPT_SSLKEY, client->client_key_file},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text && curl_easy_setopt(curl, texts[i].option, texts[i].text) != CURLE_OK)
            return false;
    }
    return true;
}

static bool options_set(struct http_client *client, struct exchange *exchange)
{
    CURL *curl = exchange->curl;

    exchange_attach(exchange);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, client);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, socket_close);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, client);
    // A name that does not resolve must not hold up the end of the program.
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    if (client->upload_buffer_bytes)
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)client->upload_buffer_bytes);
    return texts_set(client, curl);
}

static int multi_make(struct http_client *client)
{
    client->multi = curl_multi_init();
    if (!client->multi)
        return -ENOMEM;
    curl_loop_attach(&client->loop, client->multi);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)client->exchange_count + 3);
    return 0;
}

static int handles_make(struct http_client *client)
{
    for (size_t i = 0; i < client->exchange_count; i++) {
        struct exchange *exchange = &client->exchanges[i];

        exchange->client = client;
        exchange->curl = curl_easy_init();
        if (!exchange->curl || !options_set(client, exchange))
            return -ENOMEM;
    }
    return multi_make(client);
}

static int header_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *grown = curl_slist_append(*list, line);

    if (!grown)
        return -ENOMEM;
    *list = grown;
    return 0;
}

static int headers_make(struct http_client *client, const char *const *lines)
{
    int failed = 0;

    for (; lines && *lines && !failed; lines++) {
        failed = header_add(&client->headers, *lines);
        if (!failed)
            failed = header_add(&client->gzip_headers, *lines);
    }
    // Without this libcurl waits for a "100 Continue" before a large body.
    if (!failed)
        failed = header_add(&client->headers, "Expect:");
    if (!failed)
        failed = header_add(&client->gzip_headers, "Expect:");
    return failed ? failed : header_add(&client->gzip_headers, "Content-Encoding: gzip");
}

static bool text_keep(char **out_copy, const char *text)
{
    *out_copy = text ? strdup(text) : NULL;
    return !text || *out_copy;
}

static int file_check(const char *what, const char *path, struct why *why)
{
    if (path && access(path, R_OK) != 0)
        return why_fail(why, -errno, "%s: %s: %s", what, path, strerrordesc_np(errno));
    return 0;
}

static int files_check(const struct http_client_plan *plan, struct why *why)
{
    int failed = file_check("ca_file", plan->ca_file, why);

    if (!failed)
        failed = file_check("client_certificate_file", plan->client_certificate_file, why);
    return failed ? failed : file_check("client_key_file", plan->client_key_file, why);
}

static int client_fill(struct http_client *client, const struct http_client_plan *plan)
{
    int failed;

    client->exchanges = calloc(client->exchange_count, sizeof client->exchanges[0]);
    if (!client->exchanges || !text_keep(&client->user_agent, plan->user_agent) ||
        !text_keep(&client->ca_file, plan->ca_file) ||
        !text_keep(&client->client_certificate_file, plan->client_certificate_file) ||
        !text_keep(&client->client_key_file, plan->client_key_file))
        return -ENOMEM;
    for (size_t i = 0; i < client->exchange_count; i++)
        client->exchanges[i].response.limit = plan->response_bytes_max;
    failed = headers_make(client, plan->header_lines);
    if (!failed)
        failed = curl_loop_open(&client->loop);
    return failed ? failed : handles_make(client);
}

struct http_client *http_client_new(const struct http_client_plan *plan, struct why *why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_client *client;
    int failed;

    if (files_check(plan, why) != 0)
        return NULL;
    pthread_once(&once, curl_begin);
    client = calloc(1, sizeof *client);
    if (!client) {
        why_fail(why, -ENOMEM, "out of memory");
        return NULL;
    }
    client->exchange_count = plan->in_flight_max;
    client->upload_buffer_bytes = plan->upload_buffer_bytes;
    client->loop = (struct curl_loop){-1, -1, -1};
    client->owner = getpid();
    failed = client_fill(client, plan);
    if (failed) {
        why_fail(why, failed, "%s", strerrordesc_np(-failed));
        http_client_free(client);
        return NULL;
    }
    return client;
}

static void handles_free(struct http_client *client)
{
    struct sigpipe_hold hold;

    // Of another process: taking them apart would say goodbye on connections that it still uses.
    if (client->owner != getpid())
        return;
    sigpipe_hold(&hold);
    for (size_t i = 0; client->exchanges && i < client->exchange_count; i++) {
        struct exchange *exchange = &client->exchanges[i];

        if (exchange->state == EXCHANGE_UNDER_WAY)
            curl_multi_remove_handle(client->multi, exchange->curl);
        curl_easy_cleanup(exchange->curl);
    }
    curl_multi_cleanup(client->multi);
    sigpipe_release(&hold);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    handles_free(client);
    for (size_t i = 0; client->exchanges && i < client->exchange_count; i++)
        bytes_done(&client->exchanges[i].response);
    curl_loop_close(&client->loop);
    curl_slist_free_all(client->headers);
    curl_slist_free_all(client->gzip_headers);
    free(client->user_agent);
    free(client->ca_file);
    free(client->client_certificate_file);
    free(client->client_key_file);
    free(client->exchanges);
    free(client);
}

// In a child of fork: what the parent had under way is the parent's, and so are its connections,
// its place in the epoll set and libcurl's handles, which are left as they are.
static int start_anew(struct http_client *client)
{
    const int failed = curl_loop_renew(&client->loop);

    if (failed)
        return failed;
    while (client->socket_count)
        close(client->sockets[--client->socket_count]);
    client->ended = 0;
    for (size_t i = 0; i < client->exchange_count; i++)
        client->exchanges[i].state = EXCHANGE_FREE;
    client->owner = getpid();
    return handles_make(client);
}

static bool is_ours(struct http_client *client)
{
    return client->owner == getpid() || start_anew(client) == 0;
}

int http_client_take(struct http_client *client)
{
    if (!is_ours(client))
        return -EAGAIN;
    for (size_t i = 0; i < client->exchange_count; i++) {
        if (client->exchanges[i].state == EXCHANGE_FREE) {
            client->exchanges[i].state = EXCHANGE_TAKEN;
            return (int)i;
        }
    }
    return -EAGAIN;
}

static void exchange_end(struct exchange *exchange, bool is_sent, CURLcode code)
{
    exchange->state = EXCHANGE_ENDED;
    exchange->is_sent = is_sent;
    exchange->code = code;
    if (exchange->client->ended++ == 0)
        curl_loop_hint(&exchange->client->loop, true);
}

static void gather_ended(struct http_client *client)
{
    int left;

    for (;;) {
        CURLMsg *message = curl_multi_info_read(client->multi, &left);
        struct exchange *exchange = NULL;
        CURL *curl;
        CURLcode code;

        if (!message)
            break;
        curl = message->easy_handle;
        code = message->data.result;
        curl_easy_getinfo(curl, CURLINFO_PRIVATE, &exchange);
        curl_multi_remove_handle(client->multi, curl);
        exchange_end(exchange, true, code);
    }
}

// libcurl without memory for its own tables must not be asked again (7.88 divides by the size of
// one that is not there): what is under way ends, and the next request has new tables.
static void start_over(struct http_client *client)
{
    for (size_t i = 0; i < client->exchange_count; i++) {
        struct exchange *exchange = &client->exchanges[i];

        if (exchange->state != EXCHANGE_UNDER_WAY)
            continue;
        curl_multi_remove_handle(client->multi, exchange->curl);
        exchange_end(exchange, true, CURLE_OUT_OF_MEMORY);
    }
    curl_multi_cleanup(client->multi);
    client->multi = NULL;
}

void http_client_complete(struct http_client *client, size_t slot)
{
    exchange_end(&client->exchanges[slot], false, CURLE_OK);
}

void http_client_begin(struct http_client *client, size_t slot, const struct http_request *request)
{
    struct exchange *exchange = &client->exchanges[slot];
    CURLMcode code = CURLM_OK;
    struct sigpipe_hold hold;
    int running;

    exchange_prepare(exchange, request);
    curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER,
                     request->is_gzip ? client->gzip_headers : client->headers);
    sigpipe_hold(&hold);
    if ((!client->multi && multi_make(client) != 0) ||
        curl_easy_setopt(exchange->curl, CURLOPT_URL, request->url) != CURLE_OK ||
        curl_multi_add_handle(client->multi, exchange->curl) != CURLM_OK) {
        exchange_end(exchange, true, CURLE_FAILED_INIT);
    } else {
        exchange->state = EXCHANGE_UNDER_WAY;
        // At once: the bytes leave while the caller prepares the next request.
        code = curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        gather_ended(client);
    }
    if (code != CURLM_OK)
        start_over(client);
    sigpipe_release(&hold);
}

static bool ended_take(struct http_client *client, struct http_answer *out_answer)
{
    for (size_t i = 0; client->ended && i < client->exchange_count; i++) {
        struct exchange *exchange = &client->exchanges[i];

        if (exchange->state != EXCHANGE_ENDED)
            continue;
        *out_answer = (struct http_answer){.slot = i, .is_sent = exchange->is_sent};
        if (exchange->is_sent)
            exchange_answer(exchange, out_answer);
        exchange->state = EXCHANGE_FREE;
        if (--client->ended == 0)
            curl_loop_hint(&client->loop, false);
        return true;
    }
    return false;
}

bool http_client_next(struct http_client *client, uint32_t wait_ms, struct http_answer *out_answer)
{
    const uint64_t wait_ns = (wait_ms > INT32_MAX ? INT32_MAX : wait_ms) * NS_PER_MS;
    const uint64_t deadline_ns = clock_mono_ns() + wait_ns;
    CURLMcode code = CURLM_OK;
    struct sigpipe_hold hold;
    bool has_more = true;

    if (!is_ours(client))
        return false;
    sigpipe_hold(&hold);
    while (!client->ended && has_more && client->multi) {
        has_more = curl_loop_run(&client->loop, client->multi, deadline_ns, &code);
        gather_ended(client);
        if (code != CURLM_OK)
            start_over(client);
    }
    sigpipe_release(&hold);
    return ended_take(client, out_answer);
}

int http_client_fd(const struct http_client *client)
{
    return client->loop.epoll_fd;
}
