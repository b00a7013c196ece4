// SPDX-License-Identifier: Apache-2.0
// The schema table is our .proto declarations (which descriptors_test.py compares with the
// published ones), and protobuf-c's generated code agrees with our codec about random and damaged
// requests.

#include "tests/support/check.h"

#include <errno.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/response.h"
#include "libtrace/otlp/schema.h"
#include "logs_service.pb-c.h"
#include "metrics_service.pb-c.h"
#include "status.pb-c.h"
#include "tests/otlp/oracle.h"
#include "trace_service.pb-c.h"

enum { ROUNDS = 300, DAMAGES = 40, DEPTH = 9, FIELDS_MAX = 400 };

static void camel(const char *name, char out[64])
{
    size_t len = 0;

    for (; *name && len < 63; name++) {
        if (*name == '_' && name[1])
            out[len++] = (char)(*++name - 'a' + 'A');
        else
            out[len++] = *name;
    }
    out[len] = '\0';
}

static bool is_id(const char *name)
{
    return strcmp(name, "trace_id") == 0 || strcmp(name, "span_id") == 0 ||
           strcmp(name, "parent_span_id") == 0;
}

static enum field_type type_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return FIELD_STRING;
    case PROTOBUF_C_TYPE_BYTES:
        return is_id(field->name) ? FIELD_ID : FIELD_BYTES;
    case PROTOBUF_C_TYPE_BOOL:
        return FIELD_BOOL;
    case PROTOBUF_C_TYPE_UINT32:
        return FIELD_UINT32;
    case PROTOBUF_C_TYPE_INT32:
        return FIELD_INT32;
    case PROTOBUF_C_TYPE_SINT32:
        return FIELD_SINT32;
    case PROTOBUF_C_TYPE_ENUM:
        return FIELD_ENUM;
    case PROTOBUF_C_TYPE_INT64:
        return FIELD_INT64;
    case PROTOBUF_C_TYPE_UINT64:
        return FIELD_UINT64;
    case PROTOBUF_C_TYPE_FIXED32:
        return FIELD_FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
        return FIELD_FIXED64;
    case PROTOBUF_C_TYPE_SFIXED64:
        return FIELD_SFIXED64;
    case PROTOBUF_C_TYPE_DOUBLE:
        return FIELD_DOUBLE;
    case PROTOBUF_C_TYPE_MESSAGE:
        return FIELD_MESSAGE;
    default:
        fail_msg("%s has a type that OTLP had not", field->name);
        return FIELD_MESSAGE;
    }
}

struct compared {
    const struct message *messages[64];
    size_t count;
    size_t fields;
};

static void message_compare(struct compared *compared, const struct message *ours,
                            const ProtobufCMessageDescriptor *theirs)
{
    size_t rows = 0;

    for (size_t i = 0; i < compared->count; i++) {
        if (compared->messages[i] == ours)
            return;
    }
    compared->messages[compared->count++] = ours;
    while (ours->fields[rows].number)
        rows++;
    if (rows != theirs->n_fields)
        fail_msg("%s: %zu rows, %u fields are declared", ours->name, rows, theirs->n_fields);
    for (unsigned i = 0; i < theirs->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &theirs->fields[i];
        const struct field *row = message_field(ours, field->id);
        char json[64];

        camel(field->name, json);
        if (!row || row->number != field->id || strcmp(row->json, json) != 0 ||
            row->type != type_of(field) ||
            row->is_repeated != (field->label == PROTOBUF_C_LABEL_REPEATED))
            fail_msg("%s.%s (%u) is another in the table", theirs->name, field->name, field->id);
        compared->fields++;
        if (row->type == FIELD_MESSAGE)
            message_compare(compared, row->message, field->descriptor);
    }
}

static void the_table_is_what_is_declared(void **state)
{
    struct compared compared = {0};

    (void)state;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        message_compare(&compared, schema_request((enum signal)signal),
                        oracle_request((enum signal)signal));
    printf("%zu messages, %zu fields\n", compared.count, compared.fields);
    assert_int_equal(compared.count, 34);
}

struct coverage {
    const ProtobufCFieldDescriptor *seen[FIELDS_MAX];
    size_t count;
};

static void fields_mark(struct coverage *coverage, const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        size_t count;
        size_t at = 0;
        ProtobufCMessage **each = oracle_values(message, field, &count);

        if (!each)
            continue;
        while (at < coverage->count && coverage->seen[at] != field)
            at++;
        if (at == coverage->count && at < FIELDS_MAX)
            coverage->seen[coverage->count++] = field;
        for (size_t j = 0; field->type == PROTOBUF_C_TYPE_MESSAGE && j < count; j++)
            fields_mark(coverage, each[j]);
    }
}

static void agree(enum signal signal, struct str wire)
{
    const char *difference = NULL;

    if (!oracle_agrees(signal, wire, &difference)) {
        FILE *file = fopen(BUILD "/oracle-difference", "wb");

        if (file) {
            fputc(signal, file);
            fwrite(wire.at, 1, wire.len, file);
            fclose(file);
        }
        fail_msg("%s: %s (" BUILD "/oracle-difference)", signal_text(signal), difference);
    }
}

static void random_requests_of_every_field_agree(void **state)
{
    struct coverage coverage = {0};
    struct compared compared = {0};
    uint64_t seed = 1;

    (void)state;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        message_compare(&compared, schema_request((enum signal)signal),
                        oracle_request((enum signal)signal));
        for (int round = 0; round < ROUNDS; round++) {
            ProtobufCMessage *message =
                oracle_random(oracle_request((enum signal)signal), &seed, DEPTH);
            struct bytes wire = {0};

            fields_mark(&coverage, message);
            oracle_write(message, &wire);
            agree((enum signal)signal, bytes_str(&wire));
            protobuf_c_message_free_unpacked(message, NULL);
            bytes_done(&wire);
        }
    }
    // Every field of every message was there at least once.
    assert_int_equal(coverage.count, compared.fields);
}

static void damage(struct bytes *wire, uint64_t *seed)
{
    uint64_t dice = *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    const size_t at = (size_t)(dice >> 20) % wire->len;

    switch (dice >> 60 & 3) {
    case 0:
        wire->at[at] ^= (uint8_t)(1u << (dice >> 56 & 7));
        return;
    case 1:
        wire->at[at] = (uint8_t)(dice >> 50);
        return;
    case 2:
        wire->len = at;
        return;
    default:
        memmove(wire->at + at, wire->at + at + 1, wire->len - at - 1);
        wire->len--;
    }
}

static void damaged_requests_agree(void **state)
{
    uint64_t seed = 2;

    (void)state;
    for (int round = 0; round < SIGNAL_COUNT * ROUNDS / 4; round++) {
        const enum signal signal = (enum signal)(round % SIGNAL_COUNT);
        ProtobufCMessage *message = oracle_random(oracle_request(signal), &seed, DEPTH - 2);

        for (int i = 0; i < DAMAGES; i++) {
            struct bytes wire = {0};

            oracle_write(message, &wire);
            for (int j = 0; j <= i % 3 && wire.len; j++)
                damage(&wire, &seed);
            agree(signal, bytes_str(&wire));
            bytes_done(&wire);
        }
        protobuf_c_message_free_unpacked(message, NULL);
    }
}

static void lengths_and_tags_longer_than_five_bytes_are_refused(void **state)
{
    static const struct str cases[] = {
        STR("\x8a\x80\x80\x80\x80\x00\x00"), // the tag in six bytes
        STR("\x0a\x80\x80\x80\x80\x80\x00"), // the length in six bytes
        STR("\x0a\x04\x12\x82\x80\x80\x80\x80\x00"),
        STR("\x00\x00"),
    };
    size_t records = 0;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(otlp_check(SIGNAL_TRACES, cases[i], &records, NULL), -EBADMSG);
        agree(SIGNAL_TRACES, cases[i]);
    }
}

static void responses_are_read_by_the_oracle(void **state)
{
    Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceResponse *traces;
    Opentelemetry__Proto__Collector__Metrics__V1__ExportMetricsServiceResponse *metrics;
    Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceResponse *logs;
    Google__Rpc__Status *status;
    struct bytes out = {0};

    (void)state;
    otlp_response_write(SIGNAL_TRACES, OTLP_PROTOBUF, 1u << 31, STR("too old"), &out);
    traces = (void *)oracle_read(oracle_response(SIGNAL_TRACES), bytes_str(&out));
    metrics = (void *)oracle_read(oracle_response(SIGNAL_METRICS), bytes_str(&out));
    logs = (void *)oracle_read(oracle_response(SIGNAL_LOGS), bytes_str(&out));
    assert_true(traces->partial_success->rejected_spans == INT64_C(1) << 31);
    assert_true(metrics->partial_success->rejected_data_points == INT64_C(1) << 31);
    assert_string_equal(logs->partial_success->error_message, "too old");
    protobuf_c_message_free_unpacked(&traces->base, NULL);
    protobuf_c_message_free_unpacked(&metrics->base, NULL);
    protobuf_c_message_free_unpacked(&logs->base, NULL);
    out.len = 0;
    otlp_status_write(OTLP_PROTOBUF, 3, STR("no"), &out);
    status = (void *)oracle_read(&google__rpc__status__descriptor, bytes_str(&out));
    assert_int_equal(status->code, 3);
    assert_string_equal(status->message, "no");
    protobuf_c_message_free_unpacked(&status->base, NULL);
    bytes_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_what_is_declared),
        cmocka_unit_test(random_requests_of_every_field_agree),
        cmocka_unit_test(damaged_requests_agree),
        cmocka_unit_test(lengths_and_tags_longer_than_five_bytes_are_refused),
        cmocka_unit_test(responses_are_read_by_the_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
