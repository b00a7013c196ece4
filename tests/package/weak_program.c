// SPDX-License-Identifier: Apache-2.0
// Uses the library that instruments itself: without the SDK, with it linked (LINKED), with it
// opened first (OPENED). Says what went wrong and ends with 1.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/package/weak_library.h"

#ifdef LINKED
#include <throughline/throughline.h>
#endif

static int failures;

#define EXPECT(truth)                                                                              \
    do {                                                                                           \
        if (!(truth)) {                                                                            \
            printf("%d: not so: %s\n", __LINE__, #truth);                                          \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

typedef bool work_function(void);
typedef size_t call_function(void);
typedef int count_function(void);

static void *found(void *library, const char *name)
{
    void *function = dlsym(library, name);

    if (!function) {
        printf("%s is not there: %s\n", name, dlerror());
        exit(1);
    }
    return function;
}

int main(int argc, char **argv)
{
    bool has_sdk = false;
    void *library;
    work_function *work;
    call_function *call;
    count_function *count;

    if (argc < 2)
        return 2;
#ifdef LINKED
    has_sdk = tl_version()[0] != '\0';
#endif
    if (argc > 2) {
        EXPECT(dlopen(argv[2], RTLD_NOW | RTLD_GLOBAL));
        has_sdk = true;
    }
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        printf("%s\n", dlerror());
        return 1;
    }
    // POSIX lets a pointer from dlsym be one to a function.
    *(void **)&work = found(library, "library_work");
    *(void **)&call = found(library, "library_call_everything");
    *(void **)&count = found(library, "library_arguments_evaluated");
    EXPECT(work() == has_sdk);
    EXPECT(count() == 1);
    if (has_sdk)
        EXPECT(call() > 0);
    else
        EXPECT(call() == 0);
    EXPECT(count() == 2);
    return failures != 0;
}
