// SPDX-License-Identifier: Apache-2.0
// The OTLP/HTTP receiver.

#pragma once

#include "libtrace/flow/contract.h"

extern const struct receiver otlp_http_receiver;
