// SPDX-License-Identifier: Apache-2.0
// Walks protobuf-c's messages by their descriptors, so that no message needs code of its own.

#include "tests/otlp/oracle.h"

#include <math.h>
#include <stdlib.h>

#include "logs_service.pb-c.h"
#include "metrics_service.pb-c.h"
#include "trace_service.pb-c.h"

#define COLLECTOR(signal, name)                                                                    \
    opentelemetry__proto__collector__##signal##__v1__export_##name##__descriptor

const ProtobufCMessageDescriptor *oracle_request(enum signal signal)
{
    static const ProtobufCMessageDescriptor *const types[SIGNAL_COUNT] = {
        [SIGNAL_TRACES] = &COLLECTOR(trace, trace_service_request),
        [SIGNAL_METRICS] = &COLLECTOR(metrics, metrics_service_request),
        [SIGNAL_LOGS] = &COLLECTOR(logs, logs_service_request),
    };

    return types[signal];
}

const ProtobufCMessageDescriptor *oracle_response(enum signal signal)
{
    static const ProtobufCMessageDescriptor *const types[SIGNAL_COUNT] = {
        [SIGNAL_TRACES] = &COLLECTOR(trace, trace_service_response),
        [SIGNAL_METRICS] = &COLLECTOR(metrics, metrics_service_response),
        [SIGNAL_LOGS] = &COLLECTOR(logs, logs_service_response),
    };

    return types[signal];
}

ProtobufCMessage *oracle_read(const ProtobufCMessageDescriptor *type, struct str wire)
{
    return protobuf_c_message_unpack(type, NULL, wire.len,
                                     (const uint8_t *)(wire.len ? wire.at : ""));
}

void oracle_write(const ProtobufCMessage *message, struct bytes *out)
{
    uint8_t *to = bytes_reserve(out, protobuf_c_message_get_packed_size(message) + 1);

    if (to)
        out->len += protobuf_c_message_pack(message, to);
}

size_t oracle_value_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

void *oracle_values(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    size_t *out_count)
{
    char *at = (char *)message + field->offset;
    const char *quantifier = (const char *)message + field->quantifier_offset;

    *out_count = 1;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(out_count, quantifier, sizeof *out_count);
        return *out_count ? *(void **)at : NULL;
    }
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        uint32_t which;

        memcpy(&which, quantifier, sizeof which);
        if (which != field->id)
            return NULL;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && !*(void **)at)
        return NULL;
    return at;
}

static bool is_record(const ProtobufCMessageDescriptor *type)
{
    const size_t len = strlen(type->short_name);

    return strcmp(type->short_name, "Span") == 0 || strcmp(type->short_name, "LogRecord") == 0 ||
           (len > 9 && strcmp(type->short_name + len - 9, "DataPoint") == 0);
}

size_t oracle_records(const ProtobufCMessage *message)
{
    size_t records = is_record(message->descriptor);

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        size_t count;
        ProtobufCMessage **each = oracle_values(message, field, &count);

        for (size_t j = 0; field->type == PROTOBUF_C_TYPE_MESSAGE && each && j < count; j++)
            records += oracle_records(each[j]);
    }
    return records;
}

// RFC 3629 4, only as strict as a validity test for texts of tests must be.
static bool is_utf8(const uint8_t *at)
{
    while (*at) {
        const unsigned more = *at < 0x80 ? 0 : *at < 0xc2 ? 9 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : 3;

        if (more == 9 || *at > 0xf4 || (*at == 0xe0 && at[1] < 0xa0) ||
            (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
            (*at == 0xf4 && at[1] > 0x8f))
            return false;
        for (unsigned i = 1; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
        }
        at += 1 + more;
    }
    return true;
}

static void text_make_plain(char *text)
{
    if (is_utf8((const uint8_t *)text))
        return;
    for (; *text; text++) {
        if ((uint8_t)*text >= 0x80)
            *text = '?';
    }
}

static void bytes_drop(ProtobufCBinaryData *bytes)
{
    free(bytes->data);
    *bytes = (ProtobufCBinaryData){0};
}

static void id_make_plain(ProtobufCBinaryData *id, size_t len, enum oracle_plain plain)
{
    uint8_t any = 0;

    for (size_t i = 0; i < id->len; i++)
        any |= id->data[i];
    if (plain == ORACLE_MODEL ? id->len != len || !any : id->len > 64)
        bytes_drop(id);
}

static void value_make_plain(const ProtobufCFieldDescriptor *field, void *at,
                             enum oracle_plain plain)
{
    const size_t len = strlen(field->name);

    if (field->type == PROTOBUF_C_TYPE_STRING)
        text_make_plain(*(char **)at);
    else if (field->type == PROTOBUF_C_TYPE_DOUBLE && isnan(*(double *)at))
        *(double *)at = (double)NAN;
    else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        oracle_make_plain(*(ProtobufCMessage **)at, plain);
    else if (field->type == PROTOBUF_C_TYPE_BYTES && len > 3 &&
             strcmp(field->name + len - 3, "_id") == 0)
        id_make_plain(at, strcmp(field->name, "trace_id") == 0 ? 16 : 8, plain);
}

static bool is_empty(const ProtobufCMessage *message)
{
    return protobuf_c_message_get_packed_size(message) == 0;
}

// What libtrace/model has no place for, in one message.
static void model_make_plain(ProtobufCMessage *message)
{
    const char *name = message->descriptor->short_name;

    if (strcmp(name, "KeyValue") == 0) {
        Opentelemetry__Proto__Common__V1__KeyValue *pair = (void *)message;

        pair->key_strindex = 0;
        // An absent value and an empty one mean the same.
        if (!pair->value) {
            pair->value = malloc(sizeof *pair->value);
            opentelemetry__proto__common__v1__any_value__init(pair->value);
        }
    } else if (strcmp(name, "AnyValue") == 0) {
        Opentelemetry__Proto__Common__V1__AnyValue *value = (void *)message;

        if (value->value_case == 8)
            value->value_case = 0;
    } else if (strcmp(name, "Span") == 0) {
        Opentelemetry__Proto__Trace__V1__Span *span = (void *)message;

        if (span->status && is_empty(&span->status->base)) {
            protobuf_c_message_free_unpacked(&span->status->base, NULL);
            span->status = NULL;
        }
    } else if (strcmp(name, "Resource") == 0) {
        Opentelemetry__Proto__Resource__V1__Resource *resource = (void *)message;

        for (size_t i = 0; i < resource->n_entity_refs; i++)
            protobuf_c_message_free_unpacked(&resource->entity_refs[i]->base, NULL);
        free(resource->entity_refs);
        resource->entity_refs = NULL;
        resource->n_entity_refs = 0;
    }
}

void oracle_make_plain(ProtobufCMessage *message, enum oracle_plain plain)
{
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        free(message->unknown_fields[i].data);
    free(message->unknown_fields);
    message->unknown_fields = NULL;
    message->n_unknown_fields = 0;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        size_t count;
        char *at = oracle_values(message, field, &count);

        for (size_t j = 0; at && j < count; j++)
            value_make_plain(field, at + j * oracle_value_bytes(field->type), plain);
    }
    if (plain == ORACLE_MODEL)
        model_make_plain(message);
}

static uint64_t roll(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33 ^ *seed << 17;
}

static char *random_text(uint64_t *seed)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "http.request.method",
                                        "\xc3\xa4\xe6\xbc\xa2\xf0\x9f\x90\x8c",
                                        "\"quoted\" \\ / \b\f\n\r\t\x01\x7f",
                                        "\xe2\x80\xa8</script>"};

    return strdup(texts[roll(seed) % (sizeof texts / sizeof texts[0])]);
}

static void random_bytes(const char *name, uint64_t *seed, ProtobufCBinaryData *out)
{
    out->len = strcmp(name, "trace_id") == 0 ? 16 : strstr(name, "span_id") ? 8 : roll(seed) % 20;
    out->data = malloc(out->len + 1);
    for (size_t i = 0; i < out->len; i++)
        out->data[i] = (uint8_t)roll(seed);
}

static double random_double(uint64_t *seed)
{
    const double numbers[] = {0,
                              -0.0,
                              0.1,
                              -1.5,
                              1e300,
                              1e17,
                              5e-324,
                              INFINITY,
                              1.0 / 3,
                              -INFINITY,
                              (double)NAN,
                              4503599627370497.5,
                              -123456789012345680.0};

    return numbers[roll(seed) % (sizeof numbers / sizeof numbers[0])];
}

static void random_value(const ProtobufCFieldDescriptor *field, uint64_t *seed, unsigned depth,
                         void *at)
{
    static const uint64_t integers[] = {
        0, 1, 127, 128, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, 1700000000000000001};
    const uint64_t integer = integers[roll(seed) % (sizeof integers / sizeof integers[0])];

    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)at = oracle_random(field->descriptor, seed, depth - 1);
        return;
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = random_text(seed);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        random_bytes(field->name, seed, at);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)at = random_double(seed);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = (protobuf_c_boolean)(integer & 1);
        return;
    default:
        memcpy(at, &integer, oracle_value_bytes(field->type));
    }
}

ProtobufCMessage *oracle_random(const ProtobufCMessageDescriptor *type, uint64_t *seed,
                                unsigned depth)
{
    ProtobufCMessage *message = malloc(type->sizeof_message);

    type->message_init(message);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const size_t value_bytes = oracle_value_bytes(field->type);
        char *quantifier = (char *)message + field->quantifier_offset;
        char *at = (char *)message + field->offset;
        uint32_t which = field->id;
        size_t count;

        if (roll(seed) % 4 == 0 || (field->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 1))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            count = 1 + roll(seed) % 2;
            memcpy(quantifier, &count, sizeof count);
            *(void **)at = calloc(count, value_bytes);
            at = *(void **)at;
            for (size_t j = 0; j < count; j++)
                random_value(field, seed, depth, at + j * value_bytes);
            continue;
        }
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            memcpy(&which, quantifier, sizeof which);
            // The first of the group that is chosen stays; later ones get their turn by the dice.
            if (which != 0 || roll(seed) % 3 == 0)
                continue;
            memcpy(quantifier, &field->id, sizeof field->id);
        }
        random_value(field, seed, depth, at);
    }
    return message;
}
