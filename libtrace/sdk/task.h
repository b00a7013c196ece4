// SPDX-License-Identifier: Apache-2.0
// Work that the SDK does by itself: a batch is due, a reader collects, a strategy is asked for.
// Each task has a thread of its own, with every signal blocked, started when it is first wanted and
// again in the child of a fork; with tl_loop_begin there are no threads, and tl_loop_run runs what
// is due.

#pragma once

#include "libtrace/base/clock.h"

struct task;

struct task_plan {
    const char *name; // at most 15 bytes: the thread's name
    // Does what is due and returns when it wants to run next (CLOCK_MONOTONIC); UINT64_MAX: when
    // it is woken. `may_wait` is false in a program's own loop: then nothing may block.
    uint64_t (*run)(void *self, uint64_t now_ns, bool may_wait);
    void *self;
};

// NULL without memory. The thread starts with the first wake or the first due time.
struct task *task_new(const struct task_plan *plan, uint64_t first_due_ns);
// Runs it soon. Any thread; cheap when the task is already awake; async-signal-safe it is not.
void task_wake(struct task *task);
// Ends the thread (joins it, at most until the deadline, else leaves it behind) and frees the task.
// False when it had to be left behind; then `self` must stay.
bool task_free(struct task *task, uint64_t deadline_ns);
// True on the task's own thread.
bool task_is_own(const struct task *task);
