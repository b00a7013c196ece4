// SPDX-License-Identifier: Apache-2.0
// What a check of the doctor found: a state, a detail and, where something is missing, the one
// thing to do about it. One thread.

#pragma once

#include <stddef.h>

#include "agent/config/config.h"

enum finding_state {
    FINDING_OK,
    FINDING_NOTE,    // worth knowing, nothing is missing
    FINDING_MISSING, // a part of the program will not work
};

struct finding {
    const char *name;
    enum finding_state state;
    char detail[256];
    char advice[256]; // empty: nothing to do
};

enum { FINDINGS_MAX = 40 };

struct findings {
    struct finding at[FINDINGS_MAX];
    size_t count;
};

__attribute__((format(printf, 4, 5))) void finding_add(struct findings *findings, const char *name,
                                                       enum finding_state state, const char *detail,
                                                       ...);

// What to do about the finding that was added last.
__attribute__((format(printf, 2, 3))) void finding_advise(struct findings *findings,
                                                          const char *advice, ...);

// The kernel: version, lockdown, BTF, cgroup v2, capabilities, BPF programs and maps, memlock.
void host_check(struct findings *findings);

// The places this configuration uses: ports, the rings' socket, data directory, disk, store, clock.
void place_check(struct findings *findings, const struct config *config);
