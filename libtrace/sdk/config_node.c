// SPDX-License-Identifier: Apache-2.0
// Building the model, and the public functions that read it. Everything of a model is in its arena.

#include "libtrace/sdk/config_node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/arena.h"
#include "libtrace/sdk/config_scalar.h"

struct tl_config {
    struct arena arena;
    const char *name;
    struct tl_config_node *root;
};

struct building {
    struct tl_config *config;
    const struct substitution *by;
    struct tl_config_node *open[CONFIG_DEPTH_MAX];
    struct tl_config_node *last[CONFIG_DEPTH_MAX]; // of each, where the next one is hung on
    size_t depth;
    size_t count;
    const char *key;
    unsigned line;
    unsigned column;
};

__attribute__((format(printf, 4, 5))) static int refuse(const struct building *building, int code,
                                                        char out_why[256], const char *format, ...)
{
    const int head = snprintf(out_why, 256, "%s:%u:%u: ", building->config->name, building->line,
                              building->column);
    va_list args;

    va_start(args, format);
    if (head < 0 || head >= 256 || vsnprintf(out_why + head, 256 - (size_t)head, format, args) < 0)
        out_why[0] = '\0';
    va_end(args);
    return code;
}

static char *text_copy(struct building *building, struct str text)
{
    char *copy = arena_take(&building->config->arena, text.len + 1);

    if (copy && text.len)
        memcpy(copy, text.at, text.len);
    return copy;
}

static int node_add(struct building *building, struct tl_config_node **out_node, char out_why[256])
{
    struct tl_config_node *parent = building->depth ? building->open[building->depth - 1] : NULL;
    struct tl_config_node *node;

    if (building->count++ >= CONFIG_NODES_MAX)
        return refuse(building, -E2BIG, out_why, "more than %d values", CONFIG_NODES_MAX);
    node = arena_take(&building->config->arena, sizeof *node);
    if (!node)
        return refuse(building, -ENOMEM, out_why, "more text than a configuration may have");
    node->line = building->line;
    node->column = building->column;
    node->key = building->key;
    building->key = NULL;
    if (!parent) {
        building->config->root = node;
    } else {
        if (parent->first)
            building->last[building->depth - 1]->next = node;
        else
            parent->first = node;
        building->last[building->depth - 1] = node;
        parent->count++;
    }
    *out_node = node;
    return 0;
}

// Tags of the core schema say what a scalar is; the plain ones' looks must agree.
static int kind_set(const struct building *building, struct tl_config_node *node, bool is_plain,
                    struct str tag, char out_why[256])
{
    static const struct {
        const char *tag;
        enum tl_config_kind kind;
    } rows[] = {{"tag:yaml.org,2002:str", TL_CONFIG_STRING},
                {"tag:yaml.org,2002:null", TL_CONFIG_NULL},
                {"tag:yaml.org,2002:bool", TL_CONFIG_BOOL},
                {"tag:yaml.org,2002:int", TL_CONFIG_INT},
                {"tag:yaml.org,2002:float", TL_CONFIG_DOUBLE}};
    const struct str text = {node->text, node->text_len};
    const enum tl_config_kind looks = config_scalar_kind(text, &node->integer, &node->number);

    node->kind = is_plain ? looks : TL_CONFIG_STRING;
    if (tag.len == 0)
        return 0;
    if (str_equal(tag, STR("!")) || str_equal(tag, str_of(rows[0].tag))) {
        node->kind = TL_CONFIG_STRING;
        return 0;
    }
    for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++) {
        if (!str_equal(tag, str_of(rows[i].tag)))
            continue;
        if (looks != rows[i].kind && !(looks == TL_CONFIG_INT && rows[i].kind == TL_CONFIG_DOUBLE))
            return refuse(building, -EINVAL, out_why, "'%.*s' is not what its tag says",
                          STR_ARGS(text));
        node->kind = rows[i].kind;
        return 0;
    }
    return refuse(building, -EINVAL, out_why, "'%.*s' is not a tag of the core schema",
                  STR_ARGS(tag));
}

static int scalar_take(void *self, struct str text, bool is_plain, struct str tag,
                       char out_why[256])
{
    struct building *building = self;
    struct bytes done = {.limit = CONFIG_BYTES_MAX};
    struct tl_config_node *node = NULL;
    struct why why = {""};
    int failed = node_add(building, &node, out_why);

    if (failed || !node)
        return failed ? failed : -ENOMEM;
    failed = substitute(text, building->by, &done, &why);
    if (!failed) {
        node->text = text_copy(building, bytes_str(&done));
        node->text_len = done.len;
        // A value with a NUL would be cut in silence by whoever takes it as a C string.
        if (done.len && memchr(done.at, '\0', done.len))
            failed = why_fail(&why, -EINVAL, "text with a NUL");
    }
    bytes_done(&done);
    if (failed)
        return refuse(building, failed, out_why, "%.200s", why.text);
    if (!node->text)
        return refuse(building, -ENOMEM, out_why, "more text than a configuration may have");
    return kind_set(building, node, is_plain, tag, out_why);
}

static int open_take(void *self, bool is_map, char out_why[256])
{
    struct building *building = self;
    struct tl_config_node *node = NULL;
    const int failed = node_add(building, &node, out_why);

    if (failed || !node)
        return failed ? failed : -ENOMEM;
    if (building->depth == CONFIG_DEPTH_MAX)
        return refuse(building, -E2BIG, out_why, "nested deeper than %d", CONFIG_DEPTH_MAX);
    node->kind = is_map ? TL_CONFIG_MAP : TL_CONFIG_LIST;
    building->open[building->depth] = node;
    building->last[building->depth++] = NULL;
    return 0;
}

static int key_take(void *self, struct str key, char out_why[256])
{
    struct building *building = self;

    if (key.len == 0 || memchr(key.at, '\0', key.len))
        return refuse(building, -EINVAL, out_why, "a key without text");
    building->key = text_copy(building, key);
    return building->key
               ? 0
               : refuse(building, -ENOMEM, out_why, "more text than a configuration may have");
}

static int close_take(void *self, char out_why[256])
{
    struct building *building = self;

    (void)out_why;
    building->depth--;
    return 0;
}

static void place_take(void *self, unsigned line, unsigned column)
{
    struct building *building = self;

    building->line = line;
    building->column = column;
}

struct tl_config *config_build(struct str text, const char *name,
                               int (*parse)(const char *text, size_t len, const char *name,
                                            void *builder, char out_why[256]),
                               const struct substitution *by, struct why *why)
{
    struct building building = {
        .config = calloc(1, sizeof *building.config), .by = by, .line = 1, .column = 1};
    struct config_builder_v1 builder = {.size = sizeof builder,
                                        .self = &building,
                                        .scalar = scalar_take,
                                        .open = open_take,
                                        .key = key_take,
                                        .close = close_take,
                                        .place = place_take};
    char reason[256] = "no memory";
    int failed = -ENOMEM;

    if (text.len > CONFIG_BYTES_MAX) {
        snprintf(reason, sizeof reason, "%s: larger than 1 MiB", name);
        failed = -EFBIG;
    } else if (building.config) {
        arena_init(&building.config->arena, CONFIG_TEXT_MAX);
        building.config->name = text_copy(&building, str_of(name));
        failed = building.config->name ? parse(text.at, text.len, name, &builder, reason) : -ENOMEM;
    }
    if (failed || !building.config->root) {
        why_fail(why, failed ? failed : -EINVAL, "%s", reason);
        tl_config_free(building.config);
        return NULL;
    }
    return building.config;
}

const char *config_name(const struct tl_config *config)
{
    return config->name;
}

void tl_config_free(struct tl_config *config)
{
    if (!config)
        return;
    arena_done(&config->arena);
    free(config);
}

const struct tl_config_node *tl_config_root(const struct tl_config *config)
{
    return config ? config->root : NULL;
}

enum tl_config_kind tl_config_kind(const struct tl_config_node *node)
{
    return node ? node->kind : TL_CONFIG_NULL;
}

size_t tl_config_count(const struct tl_config_node *node)
{
    return node ? node->count : 0;
}

const struct tl_config_node *tl_config_at(const struct tl_config_node *node, size_t index)
{
    const struct tl_config_node *at = node ? node->first : NULL;

    while (at && index--)
        at = at->next;
    return at;
}

const char *tl_config_key(const struct tl_config_node *node, size_t index)
{
    const struct tl_config_node *at = tl_config_at(node, index);

    return at ? at->key : NULL;
}

const struct tl_config_node *tl_config_get(const struct tl_config_node *node, const char *key)
{
    const struct tl_config_node *at =
        node && key && node->kind == TL_CONFIG_MAP ? node->first : NULL;

    while (at && strcmp(at->key, key) != 0)
        at = at->next;
    return at;
}

const char *tl_config_text(const struct tl_config_node *node)
{
    return node && node->kind != TL_CONFIG_NULL ? node->text : NULL;
}

bool tl_config_bool(const struct tl_config_node *node, bool *out_value)
{
    if (!node || node->kind != TL_CONFIG_BOOL)
        return false;
    *out_value = node->integer;
    return true;
}

// A whole number may be written as one with a point, as JSON schema has it.
bool tl_config_int(const struct tl_config_node *node, int64_t *out_value)
{
    if (node && node->kind == TL_CONFIG_DOUBLE && node->number >= -0x1p53 &&
        node->number <= 0x1p53 && node->number == (double)(int64_t)node->number) {
        *out_value = (int64_t)node->number;
        return true;
    }
    if (!node || node->kind != TL_CONFIG_INT)
        return false;
    *out_value = node->integer;
    return true;
}

bool tl_config_double(const struct tl_config_node *node, double *out_value)
{
    if (!node || (node->kind != TL_CONFIG_DOUBLE && node->kind != TL_CONFIG_INT))
        return false;
    *out_value = node->number;
    return true;
}
