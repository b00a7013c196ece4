// SPDX-License-Identifier: Apache-2.0
// Server-sent events: `change` whenever the store was written to, a comment as heartbeat. One
// thread watches the store while anybody listens; streams are suspended in between and cost
// nothing.

#pragma once

#include <microhttpd.h>

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

enum { LIVE_STREAMS_MAX = 32 };

struct live;

int live_start(struct str data_dir, struct live **out_live, struct why *why);

// Ends every stream and the thread. Before the server is stopped, which cannot wait for streams.
void live_stop(struct live *live);

// After the server was stopped: no stream is left.
void live_free(struct live *live);

// Begins a stream, or answers 503 when there are LIVE_STREAMS_MAX or the agent is stopping.
enum MHD_Result live_answer(struct live *live, struct MHD_Connection *connection);
