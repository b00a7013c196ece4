// SPDX-License-Identifier: Apache-2.0
// The shop's consumer: takes orders from RabbitMQ, asks the shop for the stock of each,
// acknowledges. The one program of the example that knows of tracing: three lines of it, marked.

#include <amqp_tcp_socket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <throughline/amqp.h>
#include <throughline/curl.h>

static const char queue[] = "orders";

static const char *setting(const char *name, const char *fallback)
{
    const char *value = getenv(name);

    return value && *value ? value : fallback;
}

static amqp_connection_state_t broker_open(void)
{
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    const int port = (int)strtol(setting("AMQP_PORT", "5672"), NULL, 10);

    if (!socket || amqp_socket_open(socket, "127.0.0.1", port) != AMQP_STATUS_OK ||
        amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest")
                .reply_type != AMQP_RESPONSE_NORMAL)
        return NULL;
    amqp_channel_open(connection, 1);
    amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue), 0, 0, 0, 0, amqp_empty_table);
    amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    return amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL ? connection : NULL;
}

static size_t forget(char *from, size_t size, size_t count, void *self)
{
    (void)from;
    (void)self;
    return size * count;
}

// The order's id is the first value of {"order": "ID"}.
static void order_of(const amqp_envelope_t *envelope, char out_id[static 64])
{
    const char *body = envelope->message.body.bytes;
    const char *colon = memchr(body, ':', envelope->message.body.len);
    const char *end = body + envelope->message.body.len;
    size_t len = 0;

    for (const char *at = colon ? colon + 1 : end; at < end && len < 63; at++) {
        if (*at != ' ' && *at != '"' && *at != '}')
            out_id[len++] = *at;
    }
    out_id[len] = '\0';
}

static void handle(CURL *curl, const amqp_envelope_t *envelope)
{
    struct tl_span *span = tl_amqp_process_start(envelope, queue); // tracing
    struct tl_span *former = tl_current_set(span);
    char id[64];
    char url[256];
    CURLcode result;

    order_of(envelope, id);
    tl_span_set_one(span, TL_STR("shop.order", id));
    snprintf(url, sizeof url, "%s/stock/%s", setting("SHOP_URL", "http://127.0.0.1:8081"), id);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, forget);
    result = tl_curl_easy_perform(curl, NULL); // tracing
    printf("order %s: %s\n", id, curl_easy_strerror(result));
    fflush(stdout);
    tl_current_set(former);
    tl_span_end(span); // tracing
}

int main(void)
{
    amqp_connection_state_t connection = broker_open();
    CURL *curl = curl_easy_init();

    if (!connection || !curl) {
        fputs("consumer: no broker\n", stderr);
        return 1;
    }
    tl_init();
    for (;;) {
        amqp_envelope_t envelope;

        amqp_maybe_release_buffers(connection);
        if (amqp_consume_message(connection, &envelope, NULL, 0).reply_type != AMQP_RESPONSE_NORMAL)
            break;
        handle(curl, &envelope);
        amqp_basic_ack(connection, 1, envelope.delivery_tag, 0);
        amqp_destroy_envelope(&envelope);
    }
    curl_easy_cleanup(curl);
    amqp_destroy_connection(connection);
    return 0;
}
