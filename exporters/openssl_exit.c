// SPDX-License-Identifier: Apache-2.0
// Found by name: we use OpenSSL only through libraries that could be built with another one.

#include "exporters/openssl_exit.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

typedef int init_function(uint64_t options, const void *settings);

// openssl/crypto.h
#define OPENSSL_INIT_NO_ATEXIT UINT64_C(0x00080000)

void openssl_exit_prevent(const void *symbol)
{
    init_function *init;
    void *library = NULL;
    void *found = NULL;
    Dl_info info;

    if (dladdr(symbol, &info) != 0 && info.dli_fname)
        library = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    // What it is linked with is searched too, and before a copy that the program may have.
    if (library)
        found = dlsym(library, "OPENSSL_init_crypto");
    memcpy(&init, &found, sizeof init);
    if (found)
        init(OPENSSL_INIT_NO_ATEXIT, NULL);
    if (library)
        dlclose(library);
}
