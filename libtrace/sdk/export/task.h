// SPDX-License-Identifier: Apache-2.0
// Work that the SDK does by itself: a batch is due, a reader collects, a strategy is asked for.
// Each task has a thread of its own, with every signal blocked, started when it is first wanted and
// again in the child of a fork; after tl_loop_begin there are no threads, and tl_loop_run runs what
// is due.

#pragma once

#include <stdbool.h>
#include <stdint.h>

struct task;

// See thread.h.
void task_forks_watch(void);

struct task_plan {
    const char *name; // at most 15 bytes: the thread's name; lives as long as the task
    // Does what is due and returns when it wants to run next (CLOCK_MONOTONIC); UINT64_MAX: when
    // it is woken. `may_wait` is false in a program's own loop: then nothing may block.
    uint64_t (*run)(void *self, uint64_t now_ns, bool may_wait);
    void *self;
    // A descriptor that is readable when there is something to do, watched beside the wakes in a
    // program's loop; NULL, or -1: none.
    int (*watch)(void *self);
};

// NULL without memory. The thread starts with task_start or the first wake.
struct task *task_new(const struct task_plan *plan);
// Wants a run at that time (0: at once), or earlier. Any thread.
void task_start(struct task *task, uint64_t due_ns);
// Runs it soon. Any thread.
void task_wake(struct task *task);
// The eventfd that wakes it: a byte of it is as good as task_wake once the task has started.
int task_wake_fd(const struct task *task);
// True once started in this process (not its parent).
bool task_is_started(const struct task *task);
// Asks the thread to end and waits for it until the deadline, then frees the task. False: it is
// left behind in something that blocks, and `self` must stay for ever.
bool task_free(struct task *task, uint64_t deadline_ns);
