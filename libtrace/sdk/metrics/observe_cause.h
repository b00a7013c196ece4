// SPDX-License-Identifier: Apache-2.0
// What error.type says of an answer that was no full success.

#pragma once

#include <throughline/exporter.h>

// May point into `out_text`.
const char *answer_cause(const struct tl_answer *answer, char out_text[static 24]);
