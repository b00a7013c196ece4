// SPDX-License-Identifier: Apache-2.0
// Sends files of OTLP bytes with an exporter of the library and prints what it answers: what a test
// in another language needs. Arguments: KIND (http, grpc, file, console; fetch: GETs the URL of
// traces= by the module path=FILE), then in any order
//     traces=URL metrics=URL logs=URL json insecure gzip timeout=MS ca=FILE key=FILE cert=FILE
//     header=NAME:VALUE max_request=N max_response=N in_flight=N deadline=MS path=FILE
//     mode=send|begin|poll|fork|fork_first|fork_under_way|exit
//     repeat=N (exit: after as many milliseconds)
//     send.traces=FILE send.metrics=FILE send.logs=FILE
// A line per answer: RESULT wait_ms rejected status message, with tabs between.

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <throughline/exporter.h>

enum { FILES_MAX = 16, HEADERS_MAX = 16, ERRNO_BEFORE = 77 };

struct given {
    struct tl_otlp_options options;
    const char *headers[HEADERS_MAX * 2 + 1];
    size_t header_count;
    const char *path;
    const char *mode;
    uint64_t deadline_ms;
    int repeat;
    struct tl_request requests[FILES_MAX];
    size_t request_count;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "driver: %s\n", what);
    exit(2);
}

static void file_read(const char *path, enum tl_signal signal, struct tl_request *out)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    uint8_t *bytes;
    size_t len;

    if (!file || fstat(fileno(file), &status) != 0)
        fail(path);
    len = (size_t)status.st_size;
    bytes = malloc(len + 1);
    if (!bytes || fread(bytes, 1, len, file) != len)
        fail(path);
    fclose(file);
    *out = (struct tl_request){.signal = signal, .bytes = bytes, .len = len, .records = 1};
}

static bool has_key(const char *argument, const char *key, const char **out_value)
{
    const size_t len = strlen(key);

    if (strncmp(argument, key, len) != 0 || argument[len] != '=')
        return false;
    *out_value = argument + len + 1;
    return true;
}

static bool number_read(const char *argument, const char *key, uint64_t *out_number)
{
    const char *text;

    if (!has_key(argument, key, &text))
        return false;
    *out_number = strtoull(text, NULL, 10);
    return true;
}

static bool text_read(struct given *given, const char *argument)
{
    return has_key(argument, "traces", &given->options.traces_endpoint) ||
           has_key(argument, "metrics", &given->options.metrics_endpoint) ||
           has_key(argument, "logs", &given->options.logs_endpoint) ||
           has_key(argument, "ca", &given->options.ca_file) ||
           has_key(argument, "key", &given->options.client_key_file) ||
           has_key(argument, "cert", &given->options.client_certificate_file) ||
           has_key(argument, "compression", &given->options.compression) ||
           has_key(argument, "path", &given->path) || has_key(argument, "mode", &given->mode);
}

static bool request_read(struct given *given, const char *argument)
{
    static const char *const keys[] = {"send.traces", "send.metrics", "send.logs"};
    const char *path;

    for (int signal = 0; signal < 3; signal++) {
        if (has_key(argument, keys[signal], &path) && given->request_count < FILES_MAX) {
            file_read(path, (enum tl_signal)signal, &given->requests[given->request_count++]);
            return true;
        }
    }
    return false;
}

static bool header_read(struct given *given, char *argument)
{
    const char *value;
    char *colon;

    if (!has_key(argument, "header", &value) || given->header_count == HEADERS_MAX * 2)
        return false;
    colon = strchr(argument, ':');
    *colon = '\0';
    given->headers[given->header_count++] = value;
    given->headers[given->header_count++] = colon + 1;
    given->options.headers = given->headers;
    return true;
}

static void argument_read(struct given *given, char *argument)
{
    uint64_t number = 0;

    if (strcmp(argument, "json") == 0)
        given->options.is_json = true;
    else if (strcmp(argument, "insecure") == 0)
        given->options.is_insecure = true;
    else if (strcmp(argument, "gzip") == 0)
        given->options.compression = "gzip";
    else if (number_read(argument, "in_flight", &number))
        given->options.max_in_flight = (uint32_t)number;
    else if (number_read(argument, "repeat", &number))
        given->repeat = (int)number;
    else if (!number_read(argument, "timeout", &given->options.timeout_ms) &&
             !number_read(argument, "max_request", &given->options.max_request_bytes) &&
             !number_read(argument, "max_response", &given->options.max_response_bytes) &&
             !number_read(argument, "deadline", &given->deadline_ms) &&
             !text_read(given, argument) && !request_read(given, argument) &&
             !header_read(given, argument))
        fail(argument);
}

// The guest rule: the library may change neither errno nor what signals do.
static void guest_check(void)
{
    struct sigaction action;
    sigset_t mask;

    if (errno != ERRNO_BEFORE)
        fail("errno was changed");
    if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
        fail("a signal handler was installed");
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++) {
        if (sigismember(&mask, number) == 1)
            fail("a signal is blocked");
    }
    errno = ERRNO_BEFORE;
}

// Threads that the library started must take none of the program's signals.
static void threads_check(void)
{
    DIR *tasks = opendir("/proc/self/task");

    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        char path[300];
        char line[256];
        FILE *file;

        if (task->d_name[0] == '.' || strtol(task->d_name, NULL, 10) == getpid() ||
            snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name) < 0)
            continue;
        file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file)) {
            if (strncmp(line, "SigBlk:", 7) == 0 &&
                !(strtoull(line + 7, NULL, 16) >> (SIGTERM - 1) & 1))
                fail("a thread takes signals");
        }
        if (file)
            fclose(file);
    }
    closedir(tasks);
}

static void answer_print(const struct tl_answer *answer)
{
    static const char *const names[] = {"DONE", "RETRY", "REFUSED"};

    printf("%s\t%u\t%llu\t%d\t%s\n", names[answer->result], answer->wait_ms,
           (unsigned long long)answer->rejected, answer->status, answer->message);
    fflush(stdout);
}

static struct tl_request *request_of(struct given *given, size_t index)
{
    struct tl_request *request = &given->requests[index % given->request_count];

    request->deadline_ns = given->deadline_ms ? now_ns() + given->deadline_ms * 1000000 : 0;
    return request;
}

static void send_each(struct given *given, struct tl_exporter_v1 *exporter)
{
    for (size_t i = 0; i < given->request_count * (size_t)given->repeat; i++) {
        struct tl_answer answer;

        errno = ERRNO_BEFORE;
        exporter->send(exporter->self, request_of(given, i), &answer);
        guest_check();
        answer_print(&answer);
    }
}

static bool next_print(struct tl_exporter_v1 *exporter, uint32_t wait_ms)
{
    struct tl_answer answer;
    void *ticket = NULL;
    bool has_one;

    errno = ERRNO_BEFORE;
    has_one = exporter->next(exporter->self, wait_ms, &ticket, &answer);
    guest_check();
    if (has_one) {
        printf("%zu\t", (size_t)ticket);
        answer_print(&answer);
    }
    return has_one;
}

// All at once: what finds no room waits for one that ends. `polls`: only looks when the descriptor
// is readable.
static void begin_all(struct given *given, struct tl_exporter_v1 *exporter, bool polls)
{
    const size_t count = given->request_count * (size_t)given->repeat;
    size_t begun = 0;
    size_t ended = 0;

    while (ended < count) {
        struct pollfd wanted = {.fd = exporter->fd(exporter->self), .events = POLLIN};
        int failed = -EAGAIN;

        if (begun < count) {
            errno = ERRNO_BEFORE;
            failed = exporter->begin(exporter->self, request_of(given, begun), (void *)begun);
            guest_check();
        }
        if (!failed) {
            begun++;
            continue;
        }
        if (polls && poll(&wanted, 1, 30000) != 1)
            fail("the descriptor never became readable");
        ended += next_print(exporter, polls ? 0 : 30000);
    }
}

// A child sends in between: through the exporter that the parent used, or (`is_first`) before it.
static void send_around_fork(struct given *given, struct tl_exporter_v1 *exporter, bool is_first)
{
    int status = 0;
    pid_t child;

    if (!is_first)
        send_each(given, exporter);
    child = fork();
    if (child == 0) {
        send_each(given, exporter);
        exporter->free(exporter->self);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("the child did not end well");
    send_each(given, exporter);
}

// The parent has requests under way while a child begins and ends its own.
static void begin_around_fork(struct given *given, struct tl_exporter_v1 *exporter)
{
    const size_t count = (size_t)given->repeat;
    int status = 0;
    pid_t child;

    for (size_t i = 0; i < count; i++) {
        if (exporter->begin(exporter->self, request_of(given, i), (void *)i) != 0)
            fail("no room for a request");
    }
    child = fork();
    if (child == 0) {
        begin_all(given, exporter, true);
        exporter->free(exporter->self);
        fflush(stdout);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail("the child did not end well");
    for (size_t i = 0; i < count; i++) {
        if (!next_print(exporter, 30000))
            fail("a request of the parent did not come back");
    }
}

struct sender {
    struct given *given;
    struct tl_exporter_v1 *exporter;
};

static void *send_for_ever(void *self)
{
    struct sender *sender = self;
    struct tl_answer answer;

    for (size_t i = 0;; i++)
        sender->exporter->send(sender->exporter->self, request_of(sender->given, i), &answer);
    return NULL;
}

// The program ends while a thread sends.
static void exit_while_sending(struct given *given, struct tl_exporter_v1 *exporter)
{
    struct sender sender = {given, exporter};
    const struct timespec wait = {0, given->repeat * 1000000L};
    pthread_t thread;

    if (pthread_create(&thread, NULL, send_for_ever, &sender) != 0)
        fail("no thread");
    nanosleep(&wait, NULL);
    exit(0);
}

static int exporter_make(const char *kind, const struct given *given, struct tl_exporter_v1 *out,
                         char why[256])
{
    if (strcmp(kind, "http") == 0)
        return tl_exporter_otlp_http(&given->options, out, why);
    if (strcmp(kind, "grpc") == 0)
        return tl_exporter_otlp_grpc(&given->options, out, why);
    if (strcmp(kind, "file") == 0)
        return tl_exporter_otlp_file(given->path, out, why);
    return tl_exporter_console(STDOUT_FILENO, out, why);
}

static void requests_free(struct given *given)
{
    for (size_t i = 0; i < given->request_count; i++)
        free((void *)given->requests[i].bytes);
}

// What the remote sampler asks the module for.
static void fetch_print(const struct given *given)
{
    void *loaded = dlopen(given->path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = loaded ? dlsym(loaded, "throughline_module_v1") : NULL;
    const struct tl_module_v1 *(*entry)(void);
    char why[256] = "";
    char *body = NULL;
    size_t len = 0;
    int failed;

    if (!symbol)
        fail(dlerror());
    memcpy(&entry, &symbol, sizeof entry);
    errno = ERRNO_BEFORE;
    failed =
        entry()->fetch(given->options.traces_endpoint, given->options.timeout_ms, &body, &len, why);
    guest_check();
    if (failed)
        printf("FAILED\t%d\t%s\n", failed, why);
    else
        printf("FETCHED\t%zu\t%s\n", len, body);
    free(body);
}

int main(int argc, char **argv)
{
    struct given given = {.mode = "send", .repeat = 1};
    struct tl_exporter_v1 exporter = {0};
    char why[256] = "";
    int failed;

    for (int i = 2; i < argc; i++)
        argument_read(&given, argv[i]);
    if (strcmp(argc > 1 ? argv[1] : "", "fetch") == 0) {
        fetch_print(&given);
        return 0;
    }
    errno = ERRNO_BEFORE;
    failed = exporter_make(argc > 1 ? argv[1] : "", &given, &exporter, why);
    guest_check();
    if (failed) {
        printf("FAILED\t%d\t%s\n", failed, why);
        requests_free(&given);
        return 0;
    }
    printf("EXPORTER\t%s\t%s\t%u\n", exporter.type,
           exporter.server_address ? exporter.server_address : "", exporter.server_port);
    fflush(stdout);
    if (strcmp(given.mode, "begin") == 0 || strcmp(given.mode, "poll") == 0)
        begin_all(&given, &exporter, given.mode[0] == 'p');
    else if (strcmp(given.mode, "exit") == 0)
        exit_while_sending(&given, &exporter);
    else if (strcmp(given.mode, "fork_under_way") == 0)
        begin_around_fork(&given, &exporter);
    else if (strncmp(given.mode, "fork", 4) == 0)
        send_around_fork(&given, &exporter, strcmp(given.mode, "fork_first") == 0);
    else
        send_each(&given, &exporter);
    threads_check();
    errno = ERRNO_BEFORE;
    if (exporter.shutdown)
        exporter.shutdown(exporter.self, 1000);
    exporter.free(exporter.self);
    guest_check();
    requests_free(&given);
    return 0;
}
