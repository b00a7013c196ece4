// SPDX-License-Identifier: Apache-2.0
// Throughline: the OpenTelemetry API for C (C11; fit for C++). This header is all that instrumented
// code needs; throughline/sdk.h is for the program that sets the SDK up by hand. With neither,
// OTEL_* in the environment says where telemetry goes, and without them a node agent gets it.

#pragma once

#include <throughline/base.h>
#include <throughline/context.h>
#include <throughline/logs.h>
#include <throughline/metrics.h>
#include <throughline/propagate.h>
#include <throughline/trace.h>

TL_BEGIN

// Reads OTEL_* (or OTEL_CONFIG_FILE) and makes the global providers. Optional: the first use of any
// signal does it. Never fails: a setting that cannot be used is told to the log hook and left out.
// Call it before chroot(2), dropping privileges or seccomp: it opens what it needs.
TL_API void tl_init(void);

// Flushes and shuts the global providers down, at most for that long. 0, -ETIMEDOUT, or -EIO when
// something could not be delivered. Not needed when the agent has the ring. Also done, with a
// second's limit, when the program leaves main or calls exit(3).
TL_API int tl_shutdown(uint64_t timeout_ms);
TL_API int tl_flush(uint64_t timeout_ms);

// Records of that signal that were dropped since the process began, for whatever reason.
TL_API uint64_t tl_dropped(enum tl_signal signal);

// "0.1.0". Lives for ever.
TL_API const char *tl_version(void);

TL_END

#ifdef TL_WEAK
#include <throughline/weak.h>
#endif
