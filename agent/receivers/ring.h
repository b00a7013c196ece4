// SPDX-License-Identifier: Apache-2.0
// The receiver of the rings that linked programs hand over.

#pragma once

#include "libtrace/flow/contract.h"

extern const struct receiver ring_receiver;
