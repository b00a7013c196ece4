// SPDX-License-Identifier: Apache-2.0
// One request being answered: what was asked and the text of the answer. Parameters are read
// strictly: what is too long or not of its kind is refused by name. Lives for the request.

#pragma once

#include <microhttpd.h>

#include "agent/api/api.h"
#include "agent/store/store.h"
#include "libtrace/base/bytes.h"

enum { PARAMETER_BYTES_MAX = 1024, LIMIT_MAX = 1000 };

struct call {
    const struct api_plan *plan;
    struct store *store; // NULL when the route needs none
    struct MHD_Connection *connection;
    struct str path;
    struct bytes *out;
    const char *type;
    bool is_jaeger; // errors are worded as Jaeger's
};

// The answer becomes this error; returns `failed`.
__attribute__((format(printf, 3, 4))) int call_fail(struct call *call, int failed,
                                                    const char *format, ...);

// Each leaves *inout_value alone when the parameter is absent or empty. 0 or -EINVAL, answered.
int call_text(struct call *call, const char *name, struct str *inout_value);
int call_number(struct call *call, const char *name, uint64_t max, uint64_t *inout_value);
int call_duration(struct call *call, const char *name, uint64_t *inout_ns); // "10ms", "1.5s", "1h"

// The HTTP status of a handler's result.
unsigned call_status(int failed);

// The handlers of the routes: 0 or -errno, with the answer in call->out.
int own_services(struct call *call);
int own_operations(struct call *call);
int own_map(struct call *call);
int own_traces(struct call *call);
int own_trace(struct call *call);
int jaeger_service_list(struct call *call);
int jaeger_operation_list(struct call *call);
int jaeger_operations_of(struct call *call);
int jaeger_search(struct call *call);
int jaeger_one(struct call *call);
int jaeger_dependency_list(struct call *call);
