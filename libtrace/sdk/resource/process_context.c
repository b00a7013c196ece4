// SPDX-License-Identifier: Apache-2.0
// One mapping a process, private and not inherited. A change takes the time away, writes, and puts
// a later time: a reader that saw the same time before and after has read a whole.

#include "libtrace/sdk/resource/process_context.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/context/thread_context.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/thread.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

enum { PAYLOAD_BYTES_MAX = 1024 * 1024 };

static const char name[] = "OTEL_CTX";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct process_context_header *published;
static uint8_t *payload;
static unsigned published_forks;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
}

static void first_use(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

// ProcessContext: resource 1, attributes 2 (those of OTEP 4947).
static void payload_make(struct bytes *out, const struct tl_resource *resource, bool has_threads)
{
    const struct tl_attribute attributes[] = {
        TL_STR("threadlocal.schema_version", THREAD_CONTEXT_SCHEMA),
        TL_STRS("threadlocal.attribute_key_map", NULL, 0),
    };

    body_write(out, 1, resource_encoded(resource));
    if (has_threads)
        attributes_write(out, 2, attributes, TL_COUNT(attributes), UINT32_MAX, ENCODE_UNLIMITED);
}

static size_t page_bytes(void)
{
    const long bytes = sysconf(_SC_PAGESIZE);

    return bytes > 0 ? (size_t)bytes : 4096;
}

// The name is seen in /proc/PID/maps; a kernel without it is no failure where there is a memfd, and
// whoever watches prctl(2) learns of every change.
static bool name_set(void *at)
{
    return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)(uintptr_t)at, page_bytes(),
                 (unsigned long)(uintptr_t)name) == 0;
}

// MAP_FAILED where the kernel has no memfd, or this process may not make one.
static void *memfd_map(void)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    void *at = MAP_FAILED;

    if (fd < 0)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return MAP_FAILED;
    if (ftruncate(fd, (off_t)page_bytes()) == 0)
        at = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close(fd);
    return at;
}

static struct process_context_header *mapping_make(bool *out_is_memfd)
{
    void *at = memfd_map();

    *out_is_memfd = at != MAP_FAILED;
    if (at == MAP_FAILED)
        at = mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    if (madvise(at, page_bytes(), MADV_DONTFORK) == 0)
        return at;
    munmap(at, page_bytes());
    return NULL;
}

static void time_set(struct process_context_header *header, uint64_t ns)
{
    atomic_thread_fence(memory_order_seq_cst);
    __atomic_store_n(&header->published_ns, ns, __ATOMIC_SEQ_CST);
    atomic_thread_fence(memory_order_seq_cst);
}

// Under the lock.
static void header_fill(struct process_context_header *header, const struct bytes *message)
{
    const uint64_t before = header->published_ns;
    const uint64_t now = clock_read_ns(CLOCK_BOOTTIME);

    time_set(header, 0);
    memcpy(header->signature, name, sizeof header->signature);
    header->version = PROCESS_CONTEXT_VERSION;
    header->payload_bytes = (uint32_t)message->len;
    header->payload = (uint64_t)(uintptr_t)message->at;
    time_set(header, now > before ? now : before + 1);
}

// Under the lock: what a fork left behind is not in this process.
static void forks_notice(void)
{
    const unsigned forks = atomic_load(&thread_forks);

    if (published_forks == forks)
        return;
    published_forks = forks;
    published = NULL;
    free(payload);
    payload = NULL;
}

static int publish_locked(struct bytes *message)
{
    struct process_context_header *header = published;
    bool is_memfd = true;
    bool is_named;

    if (!header) {
        header = mapping_make(&is_memfd);
        if (!header)
            return errno ? -errno : -ENOMEM;
    }
    header_fill(header, message);
    is_named = name_set(header);
    if (!is_memfd && !is_named) {
        munmap(header, page_bytes());
        return -ENOTSUP; // nobody could find it
    }
    published = header;
    free(payload);
    payload = message->at;
    *message = (struct bytes){.at = NULL};
    return 0;
}

int process_context_publish(const struct tl_resource *resource, bool has_threads)
{
    struct bytes message = {.limit = PAYLOAD_BYTES_MAX};
    const int saved = errno;
    int result = -ENOMEM;

    payload_make(&message, resource, has_threads);
    pthread_once(&once, first_use);
    if (!message.is_failed && message.at) {
        pthread_mutex_lock(&lock);
        forks_notice();
        result = publish_locked(&message);
        pthread_mutex_unlock(&lock);
    }
    bytes_done(&message);
    if (result == 0)
        thread_context_enable(has_threads);
    errno = saved;
    return result;
}

void process_context_renew(void)
{
    bool is_wanted;

    pthread_once(&once, first_use);
    pthread_mutex_lock(&lock);
    is_wanted = published && published_forks != atomic_load(&thread_forks);
    pthread_mutex_unlock(&lock);
    if (is_wanted)
        process_context_publish(NULL, atomic_load(&thread_context_on));
}

void process_context_withdraw(void)
{
    const int saved = errno;

    pthread_once(&once, first_use);
    thread_context_enable(false);
    pthread_mutex_lock(&lock);
    forks_notice();
    if (published) {
        time_set(published, 0);
        munmap(published, page_bytes());
        published = NULL;
        free(payload);
        payload = NULL;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}
