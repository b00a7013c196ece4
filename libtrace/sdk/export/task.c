// SPDX-License-Identifier: Apache-2.0
// A task's thread sleeps in poll(2) on its eventfd. The list of tasks is for the program's own loop
// and for the child of a fork, where threads are gone and start again when they are wanted.

#include "libtrace/sdk/export/task.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/descriptor.h"

struct task {
    struct task_plan plan;
    _Atomic int wake_fd;
    struct descriptor_file wake_file; // what it stood for when it was opened: any eventfd
    _Atomic bool is_started;
    _Atomic bool has_thread;
    _Atomic bool is_ending;
    bool has_ended; // under the lock
    bool is_left;
    _Atomic uint64_t due_ns;
    pthread_t thread;
    struct task *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct task *tasks;
static _Atomic bool is_loop;
static int loop_fd = -1;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

// The eventfds are shared with the parent: the child gets its own under the same numbers.
static void after_fork_child(void)
{
    for (struct task *task = tasks; task; task = task->next) {
        const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        // Not over a descriptor of the program's.
        if (fd >= 0 && descriptor_is(task->wake_fd, task->wake_file)) {
            dup3(fd, task->wake_fd, O_CLOEXEC);
            close(fd);
        } else if (fd >= 0) {
            atomic_store(&task->wake_fd, fd);
        }
        atomic_store(&task->is_started, false);
        atomic_store(&task->has_thread, false);
    }
    if (loop_fd >= 0) {
        close(loop_fd);
        loop_fd = -1;
        atomic_store(&is_loop, false);
    }
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&ended, NULL);
}

static void first_use(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

// The program closed it: another one. Its number is the program's.
static void wake_renew(struct task *task)
{
    if (!descriptor_is(atomic_load(&task->wake_fd), task->wake_file))
        atomic_store(&task->wake_fd, descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (fd >= 0)
        epoll_ctl(loop_fd, EPOLL_CTL_ADD, fd, &event);
}

void task_forks_watch(void)
{
    pthread_once(&once, first_use);
}

struct task *task_new(const struct task_plan *plan)
{
    const int saved = errno;
    struct task *task = calloc(1, sizeof *task);

    pthread_once(&once, first_use);
    if (task) {
        task->plan = *plan;
        task->due_ns = UINT64_MAX;
        task->wake_fd = descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        task->wake_file = descriptor_file_of(task->wake_fd);
    }
    if (task && task->wake_fd < 0) {
        free(task);
        task = NULL;
    }
    if (task) {
        pthread_mutex_lock(&lock);
        task->next = tasks;
        tasks = task;
        if (atomic_load(&is_loop))
            watch(task->wake_fd);
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
    return task;
}

static void wakes_take(const struct task *task)
{
    uint64_t count;

    while (read(task->wake_fd, &count, sizeof count) > 0)
        ;
}

static void sleep_until(const struct task *task, uint64_t due_ns)
{
    struct pollfd fds[1] = {{.fd = task->wake_fd, .events = POLLIN}};
    const uint64_t now = clock_mono_ns();
    struct timespec left = {0, 0};

    if (due_ns == UINT64_MAX) {
        ppoll(fds, 1, NULL, NULL);
        return;
    }
    if (due_ns > now) {
        left.tv_sec = (time_t)((due_ns - now) / NS_PER_SECOND);
        left.tv_nsec = (long)((due_ns - now) % NS_PER_SECOND);
    }
    ppoll(fds, 1, &left, NULL);
}

// Without one, a wake is seen late: better than a thread that never sleeps.
static void wake_check(struct task *task)
{
    const struct timespec moment = {0, 10 * (long)NS_PER_MS};

    if (descriptor_is(atomic_load(&task->wake_fd), task->wake_file))
        return;
    pthread_mutex_lock(&lock);
    wake_renew(task);
    pthread_mutex_unlock(&lock);
    if (atomic_load(&task->wake_fd) < 0)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
}

static void *thread_run(void *self)
{
    struct task *task = self;

    while (!atomic_load(&task->is_ending)) {
        sleep_until(task, atomic_load(&task->due_ns));
        if (atomic_load(&task->is_ending))
            break;
        wake_check(task);
        wakes_take(task);
        // What asks for an earlier run meanwhile also wakes.
        atomic_store(&task->due_ns, UINT64_MAX);
        atomic_store(&task->due_ns, task->plan.run(task->plan.self, clock_mono_ns(), true));
    }
    pthread_mutex_lock(&lock);
    task->has_ended = true;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    return NULL;
}

// Under the lock. No signal of the program's is ever handled on our thread.
static void thread_start(struct task *task)
{
    sigset_t all;
    sigset_t former;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    task->has_ended = false;
    if (pthread_create(&task->thread, NULL, thread_run, task) == 0) {
        pthread_setname_np(task->thread, task->plan.name);
        atomic_store(&task->has_thread, true);
        atomic_store(&task->is_started, true);
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
}

bool task_is_started(const struct task *task)
{
    return atomic_load_explicit(&task->is_started, memory_order_relaxed);
}

void task_start(struct task *task, uint64_t due_ns)
{
    const int saved = errno;
    const uint64_t one = 1;

    if (due_ns < atomic_load(&task->due_ns))
        atomic_store(&task->due_ns, due_ns);
    if (!task_is_started(task)) {
        pthread_mutex_lock(&lock);
        if (!task_is_started(task) && !atomic_load(&task->is_ending)) {
            if (atomic_load(&is_loop))
                atomic_store(&task->is_started, true);
            else
                thread_start(task);
        }
        pthread_mutex_unlock(&lock);
    }
    // A full counter is awake already.
    if (descriptor_is(atomic_load(&task->wake_fd), task->wake_file) &&
        write(task->wake_fd, &one, sizeof one) < 0)
        errno = saved;
    errno = saved;
}

void task_wake(struct task *task)
{
    task_start(task, 0);
}

int task_wake_fd(const struct task *task)
{
    return task->wake_fd;
}

static void unlist(struct task *task)
{
    for (struct task **at = &tasks; *at; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            return;
        }
    }
}

bool task_free(struct task *task, uint64_t deadline_ns)
{
    const uint64_t one = 1;
    const struct timespec at = {(time_t)(deadline_ns / NS_PER_SECOND),
                                (long)(deadline_ns % NS_PER_SECOND)};
    bool has_ended;

    if (!task)
        return true;
    atomic_store(&task->is_ending, true);
    pthread_mutex_lock(&lock);
    unlist(task);
    if (atomic_load(&task->has_thread)) {
        if (!descriptor_is(task->wake_fd, task->wake_file) ||
            write(task->wake_fd, &one, sizeof one) < 0)
            task->is_left = true;
        while (!task->has_ended && pthread_cond_clockwait(&ended, &lock, CLOCK_MONOTONIC, &at) == 0)
            ;
        has_ended = task->has_ended;
    } else {
        task->is_left = has_ended = true;
    }
    pthread_mutex_unlock(&lock);
    if (atomic_load(&task->has_thread)) {
        if (!has_ended) {
            pthread_detach(task->thread);
            return false;
        }
        pthread_join(task->thread, NULL);
    }
    if (descriptor_is(task->wake_fd, task->wake_file))
        close(task->wake_fd);
    free(task);
    return true;
}

int tl_loop_begin(void)
{
    const int saved = errno;
    int failed = 0;

    pthread_once(&once, first_use);
    pthread_mutex_lock(&lock);
    if (loop_fd < 0) {
        loop_fd = descriptor_keep(epoll_create1(EPOLL_CLOEXEC));
        failed = loop_fd < 0 ? -errno : 0;
    }
    for (struct task *task = tasks; task && !failed; task = task->next) {
        // One that runs already keeps its thread.
        if (!task_is_started(task))
            watch(task->wake_fd);
    }
    atomic_store(&is_loop, failed == 0);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return failed;
}

int tl_loop_fd(void)
{
    return atomic_load(&is_loop) ? loop_fd : -1;
}

// The task is run without the lock: it may make or free others. The list is walked from its start
// again, by position in time: each due one once.
static struct task *due_take(uint64_t now_ns, uint64_t *out_next_ns)
{
    struct task *due = NULL;

    *out_next_ns = UINT64_MAX;
    pthread_mutex_lock(&lock);
    for (struct task *task = tasks; task && !due; task = task->next) {
        const uint64_t at = atomic_load(&task->due_ns);

        // One that has a thread is that one's.
        if (!task_is_started(task) || atomic_load(&task->has_thread))
            continue;
        if (at <= now_ns) {
            due = task;
            atomic_store(&task->due_ns, UINT64_MAX);
        } else if (at < *out_next_ns) {
            *out_next_ns = at;
        }
    }
    pthread_mutex_unlock(&lock);
    return due;
}

// What is readable is due.
static void readable_note(void)
{
    struct pollfd one = {.events = POLLIN};

    pthread_mutex_lock(&lock);
    for (struct task *task = tasks; task; task = task->next) {
        const int fd = task->plan.watch ? task->plan.watch(task->plan.self) : -1;

        watch(fd);
        one.fd = task->wake_fd;
        if (poll(&one, 1, 0) > 0) {
            wakes_take(task);
            atomic_store(&task->due_ns, 0);
        }
        one.fd = fd;
        if (fd >= 0 && poll(&one, 1, 0) > 0)
            atomic_store(&task->due_ns, 0);
    }
    pthread_mutex_unlock(&lock);
}

uint64_t tl_loop_run(void)
{
    const int saved = errno;
    const uint64_t now = clock_mono_ns();
    uint64_t next_ns = UINT64_MAX;
    struct task *task;
    uint64_t wait_ms;

    if (!atomic_load(&is_loop))
        return UINT32_MAX;
    readable_note();
    for (int i = 0; i < 1024; i++) {
        task = due_take(now, &next_ns);
        if (!task)
            break;
        const uint64_t due = task->plan.run(task->plan.self, now, false);

        // Again at once is the next call's.
        atomic_store(&task->due_ns, due > now ? due : now + 1);
    }
    errno = saved;
    wait_ms = next_ns == UINT64_MAX ? UINT32_MAX : (next_ns - now) / NS_PER_MS + 1;
    return wait_ms < UINT32_MAX ? wait_ms : UINT32_MAX;
}
