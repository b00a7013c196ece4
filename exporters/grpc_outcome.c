// SPDX-License-Identifier: Apache-2.0
// OTLP specification, "OTLP/gRPC Response" and "OTLP/gRPC Throttling": which codes are worth
// another attempt. RESOURCE_EXHAUSTED is only when the server says that it will recover
// (RetryInfo).

#include "exporters/grpc_outcome.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include "exporters/retry_info.h"
#include "libtrace/otlp/response.h"

void grpc_outcome_init(struct grpc_outcome *outcome)
{
    grpc_metadata_array_init(&outcome->initial);
    grpc_metadata_array_init(&outcome->trailing);
    outcome->response = NULL;
    outcome->details = grpc_empty_slice();
    outcome->status = GRPC_STATUS_UNKNOWN;
}

void grpc_outcome_done(struct grpc_outcome *outcome)
{
    grpc_metadata_array_destroy(&outcome->initial);
    grpc_metadata_array_destroy(&outcome->trailing);
    if (outcome->response)
        grpc_byte_buffer_destroy(outcome->response);
    grpc_slice_unref(outcome->details);
}

static const char *status_text(grpc_status_code status)
{
    static const char *const texts[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    return (size_t)status < sizeof texts / sizeof texts[0] ? texts[status] : "an unknown status";
}

static struct str slice_str(const grpc_slice *slice)
{
    return (struct str){(const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

// The response without its compression; false: larger than the limit.
static bool response_read(const grpc_byte_buffer *response, uint64_t bytes_max, struct bytes *out)
{
    grpc_byte_buffer plain = *response;
    const bool is_gzip = response->data.raw.compression == GRPC_COMPRESS_GZIP;
    grpc_byte_buffer_reader reader;
    grpc_slice slice;
    int failed = 0;

    out->limit = bytes_max;
    // The reader hands the bytes out as they came.
    plain.data.raw.compression = GRPC_COMPRESS_NONE;
    if (!grpc_byte_buffer_reader_init(&reader, &plain))
        return true;
    slice = grpc_byte_buffer_reader_readall(&reader);
    failed =
        decompress_add(is_gzip ? COMPRESSION_GZIP : COMPRESSION_NONE, slice_str(&slice), out, NULL);
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    // What cannot be read was taken all the same.
    if (failed && failed != -E2BIG)
        out->len = 0;
    return failed != -E2BIG;
}

static void judge_success(const struct grpc_outcome *outcome, uint64_t bytes_max, const char *shown,
                          struct answer *out)
{
    struct bytes response = {0};
    struct str message = {"", 0};

    out->result = SEND_DONE;
    if (outcome->response && !response_read(outcome->response, bytes_max, &response)) {
        out->result = SEND_REFUSED;
        why_fail(&out->why, -E2BIG, "%s: the response is larger than the limit", shown);
    } else if (response.len &&
               otlp_response_read(bytes_str(&response), &out->rejected, &message, NULL) == 0 &&
               message.len) {
        why_fail(&out->why, 0, "%.*s", STR_ARGS(message));
    }
    bytes_done(&response);
}

static bool retry_info_of(const struct grpc_outcome *outcome, uint32_t *out_wait_ms)
{
    for (size_t i = 0; i < outcome->trailing.count; i++) {
        const grpc_metadata *row = &outcome->trailing.metadata[i];

        if (str_equal(slice_str(&row->key), STR("grpc-status-details-bin")) &&
            retry_info_read(slice_str(&row->value), out_wait_ms))
            return true;
    }
    return false;
}

static void judge_failure(const struct grpc_outcome *outcome, const char *shown, struct answer *out)
{
    const bool has_info = retry_info_of(outcome, &out->wait_ms);
    const struct str details = slice_str(&outcome->details);

    switch (outcome->status) {
    case GRPC_STATUS_CANCELLED:
    case GRPC_STATUS_DEADLINE_EXCEEDED:
    case GRPC_STATUS_ABORTED:
    case GRPC_STATUS_OUT_OF_RANGE:
    case GRPC_STATUS_UNAVAILABLE:
    case GRPC_STATUS_DATA_LOSS:
        out->result = SEND_RETRY;
        break;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        out->result = has_info ? SEND_RETRY : SEND_REFUSED;
        break;
    default:
        out->result = SEND_REFUSED;
    }
    if (out->result == SEND_REFUSED)
        out->wait_ms = 0;
    why_fail(&out->why, 0, "%s answered %s%s%.*s", shown, status_text(outcome->status),
             details.len ? ": " : "", STR_ARGS(details));
}

void grpc_outcome_judge(const struct grpc_outcome *outcome, uint64_t response_bytes_max,
                        const char *shown, struct answer *out_answer)
{
    *out_answer = (struct answer){.status = (int32_t)outcome->status};
    if (outcome->status == GRPC_STATUS_OK)
        judge_success(outcome, response_bytes_max, shown, out_answer);
    else
        judge_failure(outcome, shown, out_answer);
}
