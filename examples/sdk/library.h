// SPDX-License-Identifier: Apache-2.0
// A library's interface knows nothing of telemetry.

#pragma once

int library_add(int left, int right);
