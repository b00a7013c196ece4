// SPDX-License-Identifier: Apache-2.0
// The global providers and who makes them. The room above registers the maker (it reads OTEL_*); it
// runs once, at the first use of any signal.

#pragma once

#include <throughline/sdk.h>

// Called once, with no lock held; fills what it can with the global_default functions.
void global_maker_set(void (*make)(void));
// Runs the maker when it has not run; cheap afterwards.
void global_ensure(void);

// The providers made from the environment: what tl_..._provider_global gives until the program sets
// its own. They are owned here, and flushed and shut down by tl_flush and tl_shutdown.
void global_default_tracer_provider(struct tl_tracer_provider *provider);
void global_default_meter_provider(struct tl_meter_provider *provider);
void global_default_logger_provider(struct tl_logger_provider *provider);

// From now on the flush at exit comes before what libraries that are loaded already do there
// (handlers run in the order opposite to their registration). After a module was loaded.
void global_exit_first(void);

// True once the program is leaving: libraries may be taken down already, so none is loaded.
bool global_is_exiting(void);
