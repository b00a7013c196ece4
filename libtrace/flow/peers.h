// SPDX-License-Identifier: Apache-2.0
// The processes that report their own spans (by a ring): other taps leave these alone.
// Any thread may call any function.

#pragma once

#include <stddef.h>
#include <stdint.h>

struct peers;

struct peers *peers_new(void);
void peers_free(struct peers *peers);

// Counted: a process with two rings leaves with the second removal. 0 or -ENOMEM.
int peers_add(struct peers *peers, uint32_t pid);
void peers_remove(struct peers *peers, uint32_t pid);

// Changes with every add and remove: a reader that saw this number has the list already.
uint64_t peers_version(const struct peers *peers);

// Copies up to `max` process ids, returns how many there are.
size_t peers_list(struct peers *peers, uint32_t *out_pids, size_t max);
