// SPDX-License-Identifier: Apache-2.0
// Any lines as /proc/self/cgroup and /proc/self/mountinfo: an id that is found is one.

#include <stdlib.h>

#include "libtrace/sdk/resource/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        if (!((id.at[i] >= '0' && id.at[i] <= '9') || (id.at[i] >= 'a' && id.at[i] <= 'f') ||
              id.at[i] == '-'))
            abort();
    }
    if (id.len && (id.len < 34 || id.len > 64))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct str line;

    while (line_next(&text, &line)) {
        is_id(container_id_of_cgroup(line));
        is_id(container_id_of_mount(line));
        is_id(pod_uid_of_mount(line));
    }
    return 0;
}
