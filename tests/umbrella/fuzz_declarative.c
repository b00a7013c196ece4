// SPDX-License-Identifier: Apache-2.0
// Any text as a configuration file: refused with a place and a reason, or a model that can be
// walked, and from which components are made or refused.

#include <stdlib.h>

#include <throughline/config.h>

#include "tests/umbrella/made.h"

// libfyaml 0.7.12 keeps a buffer of one long simple key; a configuration is read once.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walked(const struct tl_config_node *node, unsigned depth)
{
    size_t count = 1;

    if (depth > 80)
        abort();
    for (size_t i = 0; i < tl_config_count(node); i++) {
        const struct tl_config_node *at = tl_config_at(node, i);

        if (tl_config_kind(node) == TL_CONFIG_MAP && !tl_config_key(node, i))
            abort();
        count += walked(at, depth + 1);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tl_components made_components = {NULL};
    char why[512] = "";
    struct tl_config *config;

    tl_module_add(tl_module_yaml());
    config = tl_config_parse((const char *)data, size, why);
    if (!config) {
        if (memcmp(why, "text:", 5) != 0)
            abort();
        return 0;
    }
    if (walked(tl_config_root(config), 0) > 20000)
        abort();
    made_reset();
    if (tl_config_create(config, &made_components, why) == 0) {
        tl_tracer_provider_free(made_components.tracer_provider);
        tl_meter_provider_free(made_components.meter_provider);
        tl_logger_provider_free(made_components.logger_provider);
        tl_propagator_unref(made_components.propagator);
        tl_resource_unref(made_components.resource);
    } else if (memcmp(why, "text:", 5) != 0) {
        abort();
    }
    tl_config_free(config);
    return 0;
}
