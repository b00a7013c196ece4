// SPDX-License-Identifier: Apache-2.0
#include "tests/package/weak_library.c"
