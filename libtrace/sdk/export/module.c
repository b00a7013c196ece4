// SPDX-License-Identifier: Apache-2.0
// The modules that are known are a short list that only grows: readers take no lock.

#include "libtrace/sdk/export/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "libtrace/base/str.h"
#include "libtrace/sdk/global.h"

enum { MODULES_MAX = 16 };

typedef const struct tl_module_v1 *module_entry(void);

static const struct tl_module_v1 *_Atomic modules[MODULES_MAX];

static const struct tl_module_v1 *known(const char *name)
{
    for (size_t i = 0; i < MODULES_MAX; i++) {
        const struct tl_module_v1 *module = atomic_load(&modules[i]);

        if (!module)
            return NULL;
        if (strcmp(module->name, name) == 0)
            return module;
    }
    return NULL;
}

// Two threads that load the same one add it twice: both entries are the same struct.
void tl_module_add(const struct tl_module_v1 *module)
{
    if (!module || module->size < offsetof(struct tl_module_v1, otlp_exporter) || !module->name)
        return;
    for (size_t i = 0; i < MODULES_MAX; i++) {
        const struct tl_module_v1 *none = NULL;

        if (atomic_compare_exchange_strong(&modules[i], &none, module) || none == module)
            return;
    }
}

// Where this code itself was loaded from, with the '/' at its end; empty when that is not known.
static struct str own_folder(char room[PATH_MAX])
{
    struct str path = {room, 0};
    Dl_info info;

    if (dladdr((void *)(uintptr_t)own_folder, &info) == 0 || !info.dli_fname)
        return path;
    path.len = strlen(info.dli_fname);
    if (path.len >= PATH_MAX)
        path.len = 0;
    memcpy(room, info.dli_fname, path.len);
    while (path.len && room[path.len - 1] != '/')
        path.len--;
    return path;
}

// RTLD_NODELETE: it has threads, and handlers that others call.
static void *file_load(struct str folder, const char *file, struct why *why)
{
    char path[PATH_MAX];
    const int len = snprintf(path, sizeof path, "%.*s%s", STR_ARGS(folder), file);
    const char *problem;
    void *loaded;

    if (len < 0 || (size_t)len >= sizeof path) {
        why_fail(why, -ENAMETOOLONG, "%s: the folder's name is too long", file);
        return NULL;
    }
    loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    problem = loaded ? NULL : dlerror();
    // It names the file.
    if (!loaded)
        why_fail(why, -ENOENT, "%s", problem ? problem : path);
    return loaded;
}

static const struct tl_module_v1 *module_of(void *loaded, const char *file, const char *name,
                                            struct why *why)
{
    void *symbol = dlsym(loaded, "throughline_module_v1");
    const struct tl_module_v1 *module = NULL;
    module_entry *entry;

    // ISO C has no conversion from an object's address to a function's.
    memcpy(&entry, &symbol, sizeof entry);
    if (symbol)
        module = entry();
    if (!module || module->size < sizeof *module || !module->name ||
        strcmp(module->name, name) != 0) {
        why_fail(why, -ENOEXEC, "%s: not a module of this library", file);
        return NULL;
    }
    return module;
}

const struct tl_module_v1 *module_find(const char *name, struct why *why)
{
    const struct tl_module_v1 *module = known(name);
    const int saved = errno;
    char room[PATH_MAX];
    struct str folder;
    char file[64];
    void *loaded = NULL;

    if (module)
        return module;
    if (snprintf(file, sizeof file, "libthroughline-%s.so.1", name) >= (int)sizeof file) {
        why_fail(why, -EINVAL, "'%s' is not a module", name);
        return NULL;
    }
    // Without a folder the name alone is looked for, by the linker's rules.
    folder = own_folder(room);
    if (folder.len)
        loaded = file_load(folder, file, NULL);
    if (!loaded)
        loaded = file_load((struct str){"", 0}, file, why);
    if (loaded)
        global_exit_first();
    if (loaded)
        module = module_of(loaded, file, name, why);
    tl_module_add(module);
    errno = saved;
    return module;
}
