// SPDX-License-Identifier: Apache-2.0
// The version that telemetry carries; tl_version gives out the same.

#pragma once

#define SDK_VERSION "0.1.0"
