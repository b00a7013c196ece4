// SPDX-License-Identifier: Apache-2.0
// Requests of programs that nobody changed, seen by the kernel.

#pragma once

#include "libtrace/flow/contract.h"

extern const struct receiver ebpf_receiver;
