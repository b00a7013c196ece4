// SPDX-License-Identifier: Apache-2.0
// Counts what an OTLP/HTTP exporter sends: POST anything -> 200 and nothing; GET -> the counts as
// JSON (bodies as they came, and as they are after gzip by its trailer, RFC 1952 2.3.1).
// usage: sink PORT

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request {
    uint8_t tail[4];
    uint64_t bytes;
};

static uint64_t requests, wire_bytes, plain_bytes;

static void count(struct MHD_Connection *connection, const struct request *request)
{
    requests++;
    wire_bytes += request->bytes;
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Encoding"))
        plain_bytes += request->tail[0] | request->tail[1] << 8 | request->tail[2] << 16 |
                       (uint32_t)request->tail[3] << 24;
    else
        plain_bytes += request->bytes;
}

static enum MHD_Result answer(struct MHD_Connection *connection, bool with_counts)
{
    char text[128] = "";
    struct MHD_Response *response;
    enum MHD_Result result;

    if (with_counts &&
        snprintf(text, sizeof text, "{\"requests\":%ju,\"wire\":%ju,\"plain\":%ju}\n",
                 (uintmax_t)requests, (uintmax_t)wire_bytes, (uintmax_t)plain_bytes) < 0)
        return MHD_NO;
    response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/x-protobuf");
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **context)
{
    struct request *request = *context;
    const size_t len = *upload_bytes;

    (void)self, (void)path, (void)version;
    if (!request) {
        *context = calloc(1, sizeof *request);
        return *context ? MHD_YES : MHD_NO;
    }
    if (len == 0) {
        if (strcmp(method, "POST") == 0)
            count(connection, request);
        return answer(connection, strcmp(method, "POST") != 0);
    }
    for (size_t i = len < 4 ? 0 : len - 4; i < len; i++) {
        memmove(request->tail, request->tail + 1, 3);
        request->tail[3] = (uint8_t)upload[i];
    }
    request->bytes += len;
    *upload_bytes = 0;
    return MHD_YES;
}

static void ended(void *self, struct MHD_Connection *connection, void **context,
                  enum MHD_RequestTerminationCode code)
{
    (void)self, (void)connection, (void)code;
    free(*context);
    *context = NULL;
}

int main(int argc, char **argv)
{
    const unsigned long port = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

    if (port == 0 || port > UINT16_MAX)
        return 2;
    if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, (uint16_t)port, NULL, NULL, handle, NULL,
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(32 * 1024),
                          MHD_OPTION_NOTIFY_COMPLETED, ended, NULL, MHD_OPTION_END))
        return 1;
    for (;;)
        pause();
}
