// SPDX-License-Identifier: Apache-2.0
// Environment variables as a carrier: names in capitals, everything but letters, digits and the
// underscore an underscore. Values pass as they are.

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/stats.h"

enum { VALUES_BYTES_MAX = 256 * 1024, NAME_MAX_BYTES = 512 };

static char normal_character(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

// Character `index` of the normalized name: one may stand before a digit, and for no name.
static bool is_prefixed(struct str key)
{
    return key.len == 0 || (key.at[0] >= '0' && key.at[0] <= '9');
}

// Whether a variable ("NAME=value") has the normalized name of the key; the value.
static bool is_named(const char *variable, struct str key, const char **out_value)
{
    if (is_prefixed(key) && *variable++ != '_')
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (*variable == '\0' || *variable != normal_character(key.at[i]))
            return false;
        variable++;
    }
    if (*variable != '=')
        return false;
    *out_value = variable + 1;
    return true;
}

static bool environment_get(void *carrier, const char *key, size_t key_len, size_t index,
                            const char **out_value, size_t *out_len)
{
    char *const *const list = carrier ? carrier : environ;

    for (size_t i = 0; index == 0 && list && list[i]; i++) {
        if (!is_named(list[i], (struct str){key, key_len}, out_value))
            continue;
        *out_len = strlen(*out_value);
        return true;
    }
    return false;
}

// Only the names that are normalized already.
static void environment_keys(void *carrier, tl_key_visit *visit, void *self)
{
    char *const *const list = carrier ? carrier : environ;

    for (size_t i = 0; list && list[i]; i++) {
        const struct str name = {list[i], strcspn(list[i], "=")};
        size_t at = 0;

        while (at < name.len && name.at[at] == normal_character(name.at[at]))
            at++;
        if (at == name.len && !is_prefixed(name))
            visit(self, name.at, name.len);
    }
}

const struct tl_getter tl_environment_getter = {environment_get, environment_keys};

// What the propagator sets: "NAME=value" and a NUL, one behind the other.
struct set_variables {
    struct bytes text;
    size_t count;
};

static void variable_set(void *carrier, const char *key, size_t key_len, const char *value,
                         size_t value_len)
{
    struct set_variables *variables = carrier;
    const struct str name = {key, key_len};
    const int saved = errno;

    // A NUL would end the value early.
    if (name.len > NAME_MAX_BYTES || memchr(value, '\0', value_len)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        return;
    }
    if (is_prefixed(name))
        bytes_add_byte(&variables->text, '_');
    for (size_t i = 0; i < name.len; i++)
        bytes_add_byte(&variables->text, (uint8_t)normal_character(name.at[i]));
    bytes_add_byte(&variables->text, '=');
    bytes_add(&variables->text, value, value_len);
    bytes_add_byte(&variables->text, '\0');
    variables->count++;
    errno = saved;
}

static bool is_field(const char *variable, const char *const *fields)
{
    const char *value;

    for (; *fields; fields++) {
        if (is_named(variable, str_of(*fields), &value))
            return true;
    }
    return false;
}

// Whether one of those that are set has the name of the variable.
static bool is_set(const char *variable, const struct set_variables *variables)
{
    const size_t name_len = strcspn(variable, "=");
    const char *at = (const char *)variables->text.at;

    for (size_t i = 0; i < variables->count; i++) {
        if (strncmp(at, variable, name_len) == 0 && at[name_len] == '=')
            return true;
        at += strlen(at) + 1;
    }
    return false;
}

// Pointers and texts in one block. A variable of the propagator's that is not set now is left out:
// a stale tracestate would be worse than none.
static char **block_make(char *const *environment, const char *const *fields,
                         const struct set_variables *variables)
{
    size_t count = 0;
    size_t bytes = variables->text.len;
    size_t made = 0;
    char **block;
    char *to;

    for (; environment && environment[count]; count++)
        bytes += strlen(environment[count]) + 1;
    block = malloc((count + variables->count + 1) * sizeof *block + bytes);
    if (!block)
        return NULL;
    to = (char *)&block[count + variables->count + 1];
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(environment[i]) + 1;

        if (is_field(environment[i], fields) || is_set(environment[i], variables))
            continue;
        block[made++] = memcpy(to, environment[i], len);
        to += len;
    }
    if (variables->text.len)
        memcpy(to, variables->text.at, variables->text.len);
    for (size_t i = 0; i < variables->count; i++) {
        block[made++] = to;
        to += strlen(to) + 1;
    }
    block[made] = NULL;
    return block;
}

char **tl_environment_new(struct tl_propagator *propagator, const struct tl_context *context,
                          char *const *environment)
{
    struct set_variables variables = {.text = {.limit = VALUES_BYTES_MAX}};
    const int saved = errno;
    char **block = NULL;

    tl_inject(propagator, context, variable_set, &variables);
    if (!variables.text.is_failed)
        block = block_make(environment ? environment : environ, tl_propagator_fields(propagator),
                           &variables);
    bytes_done(&variables.text);
    errno = saved;
    return block;
}

void tl_environment_free(char **environment)
{
    free(environment);
}
