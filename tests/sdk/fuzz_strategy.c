// SPDX-License-Identifier: Apache-2.0
// Any bytes as the answer of a sampling server: refused with a reason, or followed.

#include <stdlib.h>

#include "libtrace/sdk/trace/strategy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t id[16] = {1};
    const struct tl_sampling sampling = {.trace_id = id, .name = "/a", .name_len = 2};
    struct tl_sampling_result result = {.trace_state = ""};
    struct strategy *strategy = NULL;
    struct why why = {""};

    if (strategy_read((struct str){(const char *)data, size}, &strategy, &why) != 0) {
        if (why.text[0] == '\0' || strategy)
            abort();
        return 0;
    }
    for (uint64_t now_ns = 1; now_ns < UINT64_C(1) << 60; now_ns <<= 7)
        strategy_sample(strategy, &sampling, &result, now_ns);
    strategy_free(strategy);
    return 0;
}
