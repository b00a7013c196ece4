// SPDX-License-Identifier: Apache-2.0
// The same bytes through our codec and through protobuf-c.
//
// Where we are stricter, on purpose: messages nested deeper than 64 (protobuf-c has no limit and
// would use up the stack), field number 0 and tags above 32 bits (the protobuf encoding calls them
// illegal; protobuf-c cuts), and a bool under another wire type (protobuf-c does not look).
//
// Where we are laxer: a message field that stands twice is merged (protobuf encoding, "Last One
// Wins"), and protobuf-c 1.4 refuses to when a oneof in it is empty. Nowhere else may we be: what
// is taken is passed on byte for byte.

#include <stdlib.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"
#include "libtrace/otlp/schema.h"
#include "libtrace/otlp/span.h"
#include "libtrace/otlp/varint.h"
#include "tests/otlp/oracle.h"

#include "trace_service.pb-c.h"

// True when both mean the same message.
static bool is_same(const ProtobufCMessageDescriptor *type, struct str ours,
                    const ProtobufCMessage *theirs)
{
    ProtobufCMessage *read = oracle_read(type, ours);
    struct bytes first = {0};
    struct bytes second = {0};
    bool is_equal;

    if (!read)
        return false;
    oracle_write(read, &first);
    oracle_write(theirs, &second);
    is_equal = first.len == second.len && (!first.len || !memcmp(first.at, second.at, first.len));
    protobuf_c_message_free_unpacked(read, NULL);
    bytes_done(&first);
    bytes_done(&second);
    return is_equal;
}

static bool json_agrees(enum signal signal, struct str wire, const char **out_difference)
{
    ProtobufCMessage *theirs = oracle_read(oracle_request(signal), wire);
    struct bytes plain = {0};
    struct bytes json = {0};
    struct bytes back = {0};

    *out_difference = NULL;
    oracle_make_plain(theirs, ORACLE_JSON);
    oracle_write(theirs, &plain);
    if (otlp_wire_to_json(signal, bytes_str(&plain), &json, NULL) != 0)
        *out_difference = "what was taken cannot be written as JSON";
    else if (otlp_json_to_wire(signal, bytes_str(&json), &back, NULL) != 0)
        *out_difference = "our JSON is not read back";
    else if (!is_same(oracle_request(signal), bytes_str(&back), theirs))
        *out_difference = "another message comes back from JSON";
    protobuf_c_message_free_unpacked(theirs, NULL);
    bytes_done(&plain);
    bytes_done(&json);
    bytes_done(&back);
    return !*out_difference;
}

// Reads a part by our code, writes it again and compares; `read` is one of the three below.
typedef bool part_again(struct str wire, struct arena *arena, struct bytes *out);

static bool span_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct span span;

    if (span_read(wire, arena, &span, NULL) != 0)
        return false;
    span_write(out, &span);
    return true;
}

static bool resource_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct resource resource;

    if (resource_read(wire, arena, &resource, NULL) != 0)
        return false;
    resource_write(out, &resource);
    return true;
}

static bool scope_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct scope scope;

    if (scope_read(wire, arena, &scope, NULL) != 0)
        return false;
    scope_write(out, &scope);
    return true;
}

static bool part_agrees(const ProtobufCMessageDescriptor *type, part_again *again, struct str wire)
{
    ProtobufCMessage *theirs = oracle_read(type, wire);
    struct bytes ours = {0};
    struct arena arena;
    bool is_equal;

    if (!theirs)
        return false;
    arena_init(&arena, 0);
    is_equal = again(wire, &arena, &ours);
    oracle_make_plain(theirs, ORACLE_MODEL);
    // What we write has no unknown fields, but texts as they are: no more is taken from it.
    if (is_equal) {
        ProtobufCMessage *read = oracle_read(type, bytes_str(&ours));

        is_equal = read != NULL;
        if (read) {
            oracle_make_plain(read, ORACLE_MODEL);
            ours.len = 0;
            oracle_write(read, &ours);
            protobuf_c_message_free_unpacked(read, NULL);
            is_equal = is_same(type, bytes_str(&ours), theirs);
        }
    }
    protobuf_c_message_free_unpacked(theirs, NULL);
    bytes_done(&ours);
    arena_done(&arena);
    return is_equal;
}

static bool record_agrees(void *self, const struct otlp_record *record)
{
    const char **out_difference = self;

    if (!part_agrees(&opentelemetry__proto__trace__v1__span__descriptor, span_again,
                     record->record))
        *out_difference = "a span read and written is another";
    else if (!part_agrees(&opentelemetry__proto__resource__v1__resource__descriptor, resource_again,
                          record->resource))
        *out_difference = "a resource read and written is another";
    else if (!part_agrees(&opentelemetry__proto__common__v1__instrumentation_scope__descriptor,
                          scope_again, record->scope))
        *out_difference = "a scope read and written is another";
    return !*out_difference;
}

// `theirs` without what a merge hides: the same field twice, members of one oneof.
static bool canonical_agrees(enum signal signal, const ProtobufCMessage *theirs,
                             const char **out_difference)
{
    struct bytes wire = {0};
    size_t records = 0;

    *out_difference = NULL;
    oracle_write(theirs, &wire);
    if (otlp_check(signal, bytes_str(&wire), &records, NULL) != 0)
        *out_difference = "what the oracle writes is refused";
    else if (records != oracle_records(theirs))
        *out_difference = "the records are counted differently";
    else if (json_agrees(signal, bytes_str(&wire), out_difference) && signal == SIGNAL_TRACES)
        otlp_each(signal, bytes_str(&wire), record_agrees, out_difference);
    bytes_done(&wire);
    return !*out_difference;
}

static bool is_stricter(const char *reason)
{
    return strstr(reason, "broken field tag") ||
           strcmp(reason, "AnyValue: has a field of a wrong wire type") == 0 ||
           strcmp(reason, "Sum: has a field of a wrong wire type") == 0;
}

// A field that holds one message stands twice in a row of fields, once without anything in it.
static bool merges_empty(const struct message *message, struct str wire)
{
    struct reader reader = reader_of(wire);
    bool is_seen[MESSAGE_FIELD_MAX + 1] = {false};
    bool is_empty[MESSAGE_FIELD_MAX + 1] = {false};
    struct wire_field part;

    while (wire_next(&reader, &part)) {
        const struct field *field = message_field(message, part.number);

        if (!field || field->type != FIELD_MESSAGE || part.type != WIRE_BYTES)
            continue;
        is_empty[part.number] |= part.body.len == 0;
        if (!field->is_repeated && is_seen[part.number] && is_empty[part.number])
            return true;
        is_seen[part.number] = true;
        if (merges_empty(field->message, part.body))
            return true;
    }
    return false;
}

bool oracle_agrees(enum signal signal, struct str wire, const char **out_difference)
{
    struct why why = {""};
    size_t records = 0;
    const int failed = otlp_check(signal, wire, &records, &why);
    ProtobufCMessage *theirs;
    bool is_agreed = true;

    if (failed && strstr(why.text, "nested too deep"))
        return true;
    theirs = oracle_read(oracle_request(signal), wire);
    if (failed && theirs && !is_stricter(why.text)) {
        *out_difference = "we refuse what the oracle takes";
        is_agreed = false;
    } else if (!failed && !theirs && merges_empty(schema_request(signal), wire)) {
        return true;
    } else if (!failed && !theirs) {
        *out_difference = "we take what the oracle refuses";
        is_agreed = false;
    } else if (!failed) {
        is_agreed = canonical_agrees(signal, theirs, out_difference);
    }
    if (theirs)
        protobuf_c_message_free_unpacked(theirs, NULL);
    return is_agreed;
}
