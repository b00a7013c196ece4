// SPDX-License-Identifier: Apache-2.0
// Spans around publish and around a delivered message. Properties are serialised before the call
// returns, so the table with our entry may live on the stack.

#include <throughline/amqp.h>

#include <stdio.h>
#include <string.h>

enum { HEADERS_MAX = 256, NAME_BYTES = 300 };

// The one way to librabbitmq: filled by the linker here.
static const struct amqp_calls {
    int (*publish)(amqp_connection_state_t, amqp_channel_t, amqp_bytes_t, amqp_bytes_t,
                   amqp_boolean_t, amqp_boolean_t, const struct amqp_basic_properties_t_ *,
                   amqp_bytes_t);
} calls = {amqp_basic_publish};

// messaging.destination.name of RabbitMQ: the parts that are not empty, joined by ':'.
static void destination(char *out_text, size_t room, amqp_bytes_t exchange, amqp_bytes_t key,
                        const char *queue)
{
    const bool has_queue =
        queue && *queue && (strlen(queue) != key.len || memcmp(queue, key.bytes, key.len) != 0);
    int len = snprintf(out_text, room, "%.*s%s%.*s%s%s", (int)exchange.len,
                       exchange.len ? (const char *)exchange.bytes : "",
                       exchange.len && key.len ? ":" : "", (int)key.len,
                       key.len ? (const char *)key.bytes : "",
                       has_queue && (exchange.len || key.len) ? ":" : "", has_queue ? queue : "");

    if (len <= 0)
        snprintf(out_text, room, "amq.default");
}

static void describe(struct tl_span *span, const char *operation, const char *type,
                     const char *where, amqp_bytes_t key)
{
    char name[NAME_BYTES + 16];
    char routing_key[256];
    const struct tl_attribute attributes[] = {
        TL_STR("messaging.system", "rabbitmq"),
        TL_STR("messaging.operation.name", operation),
        TL_STR("messaging.operation.type", type),
        TL_STR("messaging.destination.name", where),
    };

    if (snprintf(name, sizeof name, "%s %s", operation, where) > 0)
        tl_span_name(span, name);
    tl_span_set(span, attributes, sizeof attributes / sizeof attributes[0]);
    if (key.len && key.len < sizeof routing_key) {
        memcpy(routing_key, key.bytes, key.len);
        routing_key[key.len] = '\0';
        tl_span_set_one(span, TL_STR("messaging.rabbitmq.destination.routing_key", routing_key));
    }
}

int tl_amqp_basic_publish(amqp_connection_state_t connection, amqp_channel_t channel,
                          amqp_bytes_t exchange, amqp_bytes_t routing_key, amqp_boolean_t mandatory,
                          amqp_boolean_t immediate, const amqp_basic_properties_t *properties,
                          amqp_bytes_t body)
{
    struct tl_span *span = tl_span_start("send", TL_PRODUCER, NULL);
    const struct tl_span_context context = tl_span_context(span);
    amqp_basic_properties_t own = {0};
    amqp_table_entry_t entries[HEADERS_MAX];
    char traceparent[56];
    char where[NAME_BYTES];
    int count = 0;
    int result;

    if (properties)
        own = *properties;
    if (own._flags & AMQP_BASIC_HEADERS_FLAG)
        count = own.headers.num_entries;
    if (count < HEADERS_MAX && tl_traceparent_write(&context, traceparent)) {
        if (count)
            memcpy(entries, own.headers.entries, (size_t)count * sizeof entries[0]);
        entries[count] = (amqp_table_entry_t){
            .key = amqp_cstring_bytes("traceparent"),
            .value = {.kind = AMQP_FIELD_KIND_UTF8,
                      .value = {.bytes = amqp_cstring_bytes(traceparent)}},
        };
        own.headers = (amqp_table_t){count + 1, entries};
        own._flags |= AMQP_BASIC_HEADERS_FLAG;
    }
    result =
        calls.publish(connection, channel, exchange, routing_key, mandatory, immediate, &own, body);
    destination(where, sizeof where, exchange, routing_key, NULL);
    describe(span, "send", "send", where, routing_key);
    tl_span_set_one(span, TL_INT("messaging.message.body.size", body.len));
    if (result != AMQP_STATUS_OK) {
        tl_span_set_one(span, TL_STR("error.type", amqp_error_string2(result)));
        tl_span_status(span, TL_STATUS_ERROR, amqp_error_string2(result));
    }
    tl_span_end(span);
    return result;
}

static struct tl_span_context context_of(const amqp_basic_properties_t *properties)
{
    struct tl_span_context context = {0};

    if (!(properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        return context;
    for (int i = 0; i < properties->headers.num_entries; i++) {
        const amqp_table_entry_t *entry = &properties->headers.entries[i];

        if (entry->key.len == 11 && memcmp(entry->key.bytes, "traceparent", 11) == 0 &&
            (entry->value.kind == AMQP_FIELD_KIND_UTF8 ||
             entry->value.kind == AMQP_FIELD_KIND_BYTES))
            tl_traceparent_read(entry->value.value.bytes.bytes, entry->value.value.bytes.len,
                                &context);
    }
    return context;
}

struct tl_span *tl_amqp_process_start(const amqp_envelope_t *envelope, const char *queue)
{
    const struct tl_span_context parent = context_of(&envelope->message.properties);
    struct tl_span *span = tl_span_start("process", TL_CONSUMER, &parent);
    char where[NAME_BYTES];

    destination(where, sizeof where, envelope->exchange, envelope->routing_key, queue);
    describe(span, "process", "process", where, envelope->routing_key);
    tl_span_set_one(span,
                    TL_INT("messaging.rabbitmq.message.delivery_tag", envelope->delivery_tag));
    tl_span_set_one(span, TL_INT("messaging.message.body.size", envelope->message.body.len));
    return span;
}
