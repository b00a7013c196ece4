// SPDX-License-Identifier: Apache-2.0
// Every single allocation fails once, ours and libcurl's, while an exporter is made and sends: the
// request is delivered, or the answer says that it was not; nothing leaks and nothing crashes.

#include "tests/support/check.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <throughline/exporter.h>
#include <unistd.h>

#include "libtrace/otlp/json.h"

enum { ROUNDS_MAX = 20000 };

// 1: the next one fails; 0: none. Only the thread of the test allocates through these.
static _Thread_local size_t fails_in;
static _Thread_local bool has_failed;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    if (fails_in == 0 || --fails_in != 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails() ? NULL : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

// One request a connection; the head and as many bytes as it says, or what came before the end.
static void request_answer(int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                 "Content-Length: 38\r\nConnection: close\r\n\r\n"
                                 "{\"partialSuccess\":{\"errorMessage\":\"x\"}}";
    char room[8192];
    size_t len = 0;
    ssize_t got = 1;

    while (got > 0 && len < sizeof room - 1) {
        const char *body;
        const char *length;

        got = recv(fd, room + len, sizeof room - 1 - len, 0);
        len += got > 0 ? (size_t)got : 0;
        room[len] = '\0';
        body = strstr(room, "\r\n\r\n");
        length = strstr(room, "Content-Length: ");
        if (body && length && len >= (size_t)(body + 4 - room) + strtoul(length + 16, NULL, 10))
            break;
    }
    if (got > 0)
        send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    close(fd);
}

static void *serve(void *listener)
{
    for (;;) {
        const int fd = accept((int)(intptr_t)listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        request_answer(fd);
    }
}

static int listener_make(char out_url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    assert_true(snprintf(out_url, 64, "http://127.0.0.1:%u/v1/traces", ntohs(address.sin_port)) <
                64);
    return fd;
}

static bool send_one(const char *url, struct str wire, bool is_plain)
{
    static const char *const headers[] = {"X-Key", "value", NULL};
    const struct tl_otlp_options options = {
        .traces_endpoint = url,
        .is_json = !is_plain,
        .compression = is_plain ? "none" : "gzip",
        .headers = headers,
        .timeout_ms = 3000,
    };
    const struct tl_request request = {
        .signal = TL_TRACES, .bytes = (const uint8_t *)wire.at, .len = wire.len, .records = 1};
    struct tl_exporter_v1 exporter;
    struct tl_answer answer = {0};
    char why[256] = "";

    if (tl_module_http()->otlp_exporter(&options, &exporter, why) != 0) {
        assert_true(why[0]);
        return false;
    }
    exporter.send(exporter.self, &request, &answer);
    if (answer.result != TL_RESULT_DONE)
        assert_true(answer.message[0]);
    exporter.free(exporter.self);
    return answer.result == TL_RESULT_DONE;
}

static void each_allocation_may_fail(void **state)
{
    static const char json[] = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"x\","
                               "\"spanId\":\"0001020304050607\"}]}]}]}";
    struct bytes wire = {0};
    size_t undelivered = 0;
    size_t rounds = 0;
    pthread_t server;
    char url[64];
    const int listener = listener_make(url);

    (void)state;
    assert_int_equal(pthread_create(&server, NULL, serve, (void *)(intptr_t)listener), 0);
    assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, str_of(json), &wire, NULL), 0);
    for (int is_plain = 0; is_plain < 2; is_plain++) {
        has_failed = true;
        for (size_t round = 1; has_failed && round < ROUNDS_MAX; round++) {
            bool is_done;

            has_failed = false;
            fails_in = round;
            is_done = send_one(url, bytes_str(&wire), is_plain);
            fails_in = 0;
            undelivered += !is_done;
            rounds++;
            if (!has_failed)
                assert_true(is_done);
        }
        assert_false(has_failed);
    }
    printf("%zu allocations failed, %zu requests were told as undelivered\n", rounds - 2,
           undelivered);
    assert_true(undelivered > 20);
    shutdown(listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(listener);
    bytes_done(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};

    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free, __wrap_realloc,
                             __wrap_strdup, __wrap_calloc) != CURLE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
