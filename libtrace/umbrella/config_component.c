// SPDX-License-Identifier: Apache-2.0
// Components that a program makes known for its configuration file. The list only grows; a lock
// guards it, and none is held while a component is made.

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libtrace/umbrella/config_create.h"

enum { COMPONENTS_MAX = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tl_component_provider list[COMPONENTS_MAX];
static size_t count;

static const char *const type_words[] = {"span exporter",  "metric exporter", "log exporter",
                                         "span processor", "log processor",   "sampler",
                                         "propagator",     "metric reader",   "detector"};

static const struct tl_component_provider *component_find(enum tl_component_type type,
                                                          const char *name)
{
    const struct tl_component_provider *found = NULL;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count && !found; i++) {
        if (list[i].type == type && strcmp(list[i].name, name) == 0)
            found = &list[i];
    }
    pthread_mutex_unlock(&lock);
    return found;
}

int tl_component_add(const struct tl_component_provider *provider)
{
    const int saved = errno;
    char *name;
    int failed = 0;

    if (!provider || !provider->name || !*provider->name || !provider->create ||
        (unsigned)provider->type > TL_COMPONENT_DETECTOR)
        return -EINVAL;
    if (component_find(provider->type, provider->name))
        return -EEXIST;
    name = strdup(provider->name);
    errno = saved;
    pthread_mutex_lock(&lock);
    if (!name || count == COMPONENTS_MAX) {
        failed = -ENOMEM;
    } else {
        list[count] = *provider;
        list[count++].name = name;
    }
    pthread_mutex_unlock(&lock);
    if (failed)
        free(name);
    return failed;
}

int create_component(const struct creation *creation, enum tl_component_type type,
                     const struct tl_config_node *node, void *out_component)
{
    const struct tl_component_provider *provider = component_find(type, node->key);
    char reason[256] = "";

    if (!provider)
        return create_refuse(creation, node, "'%.64s' is not a %s that is known", node->key,
                             type_words[type]);
    // Without properties there is nothing to read: an empty node answers "absent" to all.
    if (provider->create(provider->self, node, out_component, reason) != 0) {
        reason[sizeof reason - 1] = '\0';
        return create_refuse(creation, node, "%.64s: %s", node->key, reason);
    }
    return 0;
}
