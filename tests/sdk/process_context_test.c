// SPDX-License-Identifier: Apache-2.0
// The process's and the thread's context, read as a profiler reads them: from another process, by
// /proc/PID/maps and process_vm_readv.

#include "tests/support/check.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "libtrace/base/reader.h"
#include "libtrace/otlp/span.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/context/thread_context.h"
#include "libtrace/sdk/resource/process_context.h"

extern _Thread_local struct thread_record *otel_thread_ctx_v1;

// A process that does what it is told, one byte at a time, and answers with one byte.
struct subject {
    pid_t pid;
    int to, from;
};

enum {
    PUBLISH = 'p',
    CHANGE = 'c',
    WITHDRAW = 'w',
    SPAN = 's',
    WHERE = 'a',
    FORK = 'f',
    END = 'e'
};

static struct tl_resource *resource_named(const char *name)
{
    const struct tl_attribute attribute = TL_STR("service.name", name);

    return tl_resource_new(&attribute, 1, NULL);
}

static char publish(const char *service)
{
    struct tl_resource *resource = resource_named(service);
    const int result = process_context_publish(resource, true);

    tl_resource_unref(resource);
    return result == 0 ? 'y' : 'n';
}

static void subject_run(int from, int to)
{
    const struct tl_span_context parent = {.trace_id = {1}, .span_id = {2}, .flags = 1};
    const void *where;
    char order;

    while (read(from, &order, 1) == 1 && order != END) {
        char answer = 'y';

        if (order == PUBLISH)
            answer = publish("first");
        if (order == CHANGE)
            answer = publish("second");
        if (order == WITHDRAW)
            process_context_withdraw();
        if (order == SPAN)
            tl_current_set(tl_span_start("seen", TL_SERVER, &parent));
        if (order == FORK && fork() == 0) {
            // Stays where the reader can see it until it is told to end.
            if (write(to, "y", 1) != 1 || read(from, &order, 1) != 1)
                _exit(1);
            _exit(0);
        }
        where = otel_thread_ctx_v1;
        if (order == WHERE && write(to, &where, sizeof where) != sizeof where)
            break;
        if (order != WHERE && order != FORK && write(to, &answer, 1) != 1)
            break;
    }
    _exit(0);
}

static void subject_begin(struct subject *subject)
{
    int orders[2];
    int answers[2];

    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    subject->pid = fork();
    if (subject->pid == 0) {
        close(orders[1]);
        close(answers[0]);
        subject_run(orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    subject->to = orders[1];
    subject->from = answers[0];
}

static void tell(const struct subject *subject, char order)
{
    char answer = 'n';

    assert_int_equal(write(subject->to, &order, 1), 1);
    assert_int_equal(read(subject->from, &answer, 1), 1);
    assert_int_equal(answer, 'y');
}

static void subject_end(const struct subject *subject)
{
    int status;

    assert_int_equal(write(subject->to, (char[]){END}, 1), 1);
    close(subject->to);
    close(subject->from);
    assert_int_equal(waitpid(subject->pid, &status, 0), subject->pid);
    assert_int_equal(status, 0);
}

// ---- The reader

static bool memory_read(pid_t pid, uint64_t at, void *to, size_t len)
{
    struct iovec local = {to, len};
    struct iovec remote = {(void *)(uintptr_t)at, len};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

// Where the mapping is, 0 for none.
static uint64_t mapping_find(pid_t pid)
{
    char line[4096];
    uint64_t found = 0;
    FILE *maps;

    assert_true(snprintf(line, sizeof line, "/proc/%d/maps", pid) > 0);
    maps = fopen(line, "r");
    while (maps && fgets(line, sizeof line, maps)) {
        if (strstr(line, "/memfd:OTEL_CTX") || strstr(line, "[anon_shmem:OTEL_CTX]") ||
            strstr(line, "[anon:OTEL_CTX]"))
            found = strtoull(line, NULL, 16);
    }
    if (maps)
        fclose(maps);
    return found;
}

// The header and what it points to; the payload is the caller's to free.
static uint8_t *context_read(pid_t pid, struct process_context_header *out_header)
{
    const uint64_t at = mapping_find(pid);
    struct process_context_header again;
    uint8_t *payload;

    assert_int_not_equal(at, 0);
    assert_true(memory_read(pid, at, out_header, sizeof *out_header));
    assert_memory_equal(out_header->signature, "OTEL_CTX", 8);
    assert_int_equal(out_header->version, 2);
    assert_int_not_equal(out_header->published_ns, 0);
    payload = malloc(out_header->payload_bytes);
    assert_true(memory_read(pid, out_header->payload, payload, out_header->payload_bytes));
    assert_true(memory_read(pid, at, &again, sizeof again));
    assert_int_equal(again.published_ns, out_header->published_ns);
    return payload;
}

// The service's name in a ProcessContext (field 1 is the resource); counts its attributes (2).
static void service_is(const uint8_t *payload, size_t len, const char *service, int attributes)
{
    struct reader reader = {payload, payload + len, false};
    struct arena arena;
    int count = 0;

    arena_init(&arena, 0);
    while (reader_left(&reader)) {
        const uint64_t tag = varint_read(&reader);
        const size_t body = (size_t)varint_read(&reader);
        struct resource resource;

        assert_false(reader.is_failed);
        assert_true(body <= reader_left(&reader));
        if (tag == (1 << 3 | WIRE_BYTES)) {
            assert_int_equal(
                resource_read((struct str){(const char *)reader.at, body}, &arena, &resource, NULL),
                0);
            assert_str(attribute_string(resource.attributes, STR("service.name")), service);
        }
        count += tag == (2 << 3 | WIRE_BYTES);
        reader.at += body;
    }
    assert_int_equal(count, attributes);
    arena_done(&arena);
}

static void a_reader_finds_what_the_process_is(void **state)
{
    struct process_context_header header;
    struct process_context_header later;
    struct subject subject;
    uint8_t *payload;

    (void)state;
    subject_begin(&subject);
    assert_int_equal(mapping_find(subject.pid), 0);
    tell(&subject, PUBLISH);
    payload = context_read(subject.pid, &header);
    service_is(payload, header.payload_bytes, "first", 2);
    free(payload);
    tell(&subject, CHANGE);
    payload = context_read(subject.pid, &later);
    service_is(payload, later.payload_bytes, "second", 2);
    assert_true(later.published_ns > header.published_ns);
    free(payload);
    tell(&subject, WITHDRAW);
    assert_int_equal(mapping_find(subject.pid), 0);
    tell(&subject, PUBLISH);
    payload = context_read(subject.pid, &header);
    service_is(payload, header.payload_bytes, "first", 2);
    free(payload);
    subject_end(&subject);
}

static void a_forked_child_does_not_have_its_parents(void **state)
{
    struct subject subject;
    char path[64];
    FILE *children;
    int child = 0;

    (void)state;
    subject_begin(&subject);
    tell(&subject, PUBLISH);
    tell(&subject, FORK);
    assert_true(snprintf(path, sizeof path, "/proc/%d/task/%d/children", subject.pid, subject.pid) >
                0);
    children = fopen(path, "r");
    if (children && fscanf(children, "%d", &child) == 1)
        assert_int_equal(mapping_find(child), 0);
    if (children)
        fclose(children);
    assert_int_not_equal(mapping_find(subject.pid), 0);
    // One of the two takes each; both end.
    assert_int_equal(write(subject.to, (char[]){END, END}, 2), 2);
    assert_int_equal(waitpid(subject.pid, NULL, 0), subject.pid);
    close(subject.to);
    close(subject.from);
}

static void a_reader_finds_the_threads_current_span(void **state)
{
    struct thread_record record;
    struct subject subject;
    uint64_t where = 0;

    (void)state;
    subject_begin(&subject);
    tell(&subject, PUBLISH);
    tell(&subject, SPAN);
    assert_int_equal(write(subject.to, (char[]){WHERE}, 1), 1);
    assert_int_equal(read(subject.from, &where, sizeof where), sizeof where);
    assert_int_equal(where % 2, 0);
    assert_true(memory_read(subject.pid, where, &record, sizeof record));
    assert_int_equal(record.is_valid, 1);
    assert_int_equal(record.trace_id[0], 1);
    assert_int_equal(record.flags & TL_FLAG_SAMPLED, 1);
    assert_int_equal(record.attributes_bytes, 0);
    subject_end(&subject);
}

static void the_record_follows_what_is_current(void **state)
{
    const struct tl_span_context remote = {.trace_id = {7}, .span_id = {8}};
    struct tl_span *span = tl_span_start("own", TL_INTERNAL, NULL);
    const struct tl_span_context identity = tl_span_context(span);
    struct tl_context *context = tl_context_with_remote(NULL, &remote);
    struct tl_context_token token;

    (void)state;
    tl_current_set(span);
    assert_null(otel_thread_ctx_v1); // nobody asked for it
    assert_int_equal(process_context_publish(NULL, true), 0);
    assert_memory_equal(otel_thread_ctx_v1->span_id, identity.span_id, 8);
    token = tl_context_attach(context);
    assert_int_equal(otel_thread_ctx_v1->is_valid, 1);
    assert_int_equal(otel_thread_ctx_v1->trace_id[0], 7);
    assert_true(tl_context_detach(token));
    assert_memory_equal(otel_thread_ctx_v1->span_id, identity.span_id, 8);
    tl_span_end(span);
    assert_int_equal(otel_thread_ctx_v1->is_valid, 0);
    process_context_withdraw();
    tl_context_unref(context);
}

static void the_shared_library_has_the_symbol(void **state)
{
    void *library = dlopen(BUILD "/lib/libthroughline.so.1", RTLD_NOW | RTLD_LOCAL);

    (void)state;
    if (!library)
        skip();
    assert_non_null(dlsym(library, "otel_thread_ctx_v1"));
    dlclose(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_finds_what_the_process_is),
        cmocka_unit_test(a_forked_child_does_not_have_its_parents),
        cmocka_unit_test(a_reader_finds_the_threads_current_span),
        cmocka_unit_test(the_record_follows_what_is_current),
        cmocka_unit_test(the_shared_library_has_the_symbol),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
