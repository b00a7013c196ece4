// SPDX-License-Identifier: Apache-2.0
// A library that instruments itself and links no SDK; what its callers see of it.

#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// Does some instrumented work; true when it was recorded (its span had ids).
__attribute__((visibility("default"))) bool library_work(void);

// Calls every function of the API with nothing in its arguments. Returns how many gave something.
__attribute__((visibility("default"))) size_t library_call_everything(void);

// How often an argument with a side effect was evaluated.
__attribute__((visibility("default"))) int library_arguments_evaluated(void);

#ifdef __cplusplus
}
#endif
