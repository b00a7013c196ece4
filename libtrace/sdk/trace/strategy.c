// SPDX-License-Identifier: Apache-2.0
// Reading and following remote strategies. Operations are kept sorted, so that asking takes a
// binary search; those that the answer does not name share one limiter.

#include "libtrace/sdk/trace/strategy.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/arena.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/decimal.h"
#include "libtrace/otlp/json_token.h"
#include "libtrace/sdk/trace/sampler.h"

enum { DEPTH_MAX = 16, FIRST_OPERATIONS = 16 };

struct operation {
    struct str name;
    struct tl_sampler *ratio;
    struct limiter lower_bound;
};

enum strategy_kind { STRATEGY_NONE, STRATEGY_RATIO, STRATEGY_RATE, STRATEGY_OPERATIONS };

struct strategy {
    enum strategy_kind kind;
    double ratio;      // STRATEGY_RATIO, and of operations that are not named
    double per_second; // STRATEGY_RATE, and the lower bound of each operation
    struct tl_sampler *sampler;
    struct limiter limiter;
    struct operation *operations;
    size_t count;
    size_t capacity;
    struct arena names;
};

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

void limiter_init(struct limiter *limiter, double per_second)
{
    const double interval = per_second > 0 ? 1e9 / per_second : 0;
    const double burst = per_second > 1 ? per_second : 1;

    atomic_init(&limiter->due_ns, 0);
    limiter->interval_ns = interval < 1e18 ? (uint64_t)interval : (uint64_t)1e18;
    limiter->interval_ns += per_second > 0 && limiter->interval_ns == 0;
    limiter->tolerance_ns = per_second > 0 ? (uint64_t)smaller((burst - 1) * interval, 1e18) : 0;
}

bool limiter_take(struct limiter *limiter, uint64_t now_ns)
{
    uint64_t due = atomic_load_explicit(&limiter->due_ns, memory_order_relaxed);

    if (limiter->interval_ns == 0)
        return false;
    for (;;) {
        const uint64_t start = due > now_ns ? due : now_ns;

        if (start - now_ns > limiter->tolerance_ns)
            return false;
        if (atomic_compare_exchange_weak_explicit(&limiter->due_ns, &due,
                                                  start + limiter->interval_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

// A number that is not negative; false also sticks in the tokens.
static double number_take(struct json_tokens *tokens)
{
    double value = 0;

    if (json_peek(tokens) != JSON_NUMBER || !decimal_read(json_plain_take(tokens), &value) ||
        value < 0) {
        if (!tokens->problem)
            tokens->problem = "a number of 0 or more was expected";
        return 0;
    }
    return value;
}

// {"samplingRate": 0.5} and {"maxTracesPerSecond": 5}: the number behind one key.
static bool number_of(struct json_tokens *tokens, const char *name, double *out_value)
{
    bool is_first = true;
    bool is_found = false;
    struct str key;

    if (json_peek(tokens) != JSON_OBJECT) {
        json_skip(tokens, DEPTH_MAX); // null: not this strategy
        return false;
    }
    while (json_next(tokens, &is_first, &key)) {
        if (!str_equal(key, str_of(name))) {
            json_skip(tokens, DEPTH_MAX);
            continue;
        }
        *out_value = number_take(tokens);
        is_found = true;
    }
    // An absent number is zero in protobuf's JSON.
    if (!is_found)
        *out_value = 0;
    return !tokens->problem;
}

static struct operation *operation_add(struct strategy *strategy)
{
    if (strategy->count == strategy->capacity) {
        const size_t more = strategy->capacity ? strategy->capacity * 2 : FIRST_OPERATIONS;
        struct operation *grown =
            realloc(strategy->operations, more * sizeof strategy->operations[0]);

        if (!grown)
            return NULL;
        strategy->operations = grown;
        strategy->capacity = more;
    }
    memset(&strategy->operations[strategy->count], 0, sizeof strategy->operations[0]);
    return &strategy->operations[strategy->count++];
}

static void operation_take(struct json_tokens *tokens, struct strategy *strategy)
{
    struct operation *operation = operation_add(strategy);
    bool is_first = true;
    struct str key;
    double ratio = 0;

    if (!operation) {
        tokens->problem = "no memory";
        return;
    }
    operation->name = (struct str){"", 0};
    while (json_next(tokens, &is_first, &key)) {
        if (str_equal(key, STR("operation")))
            operation->name = arena_copy(&strategy->names, json_string_take(tokens));
        else if (str_equal(key, STR("probabilisticSampling")))
            number_of(tokens, "samplingRate", &ratio);
        else
            json_skip(tokens, DEPTH_MAX);
    }
    if (tokens->problem)
        return;
    operation->ratio = tl_sampler_ratio(smaller(ratio, 1));
    if (!operation->ratio || (!operation->name.at && operation->name.len))
        tokens->problem = "no memory";
}

static void operation_list_take(struct json_tokens *tokens, struct strategy *strategy)
{
    bool is_first = true;

    if (json_peek(tokens) == JSON_WORD) {
        json_skip(tokens, DEPTH_MAX);
        return;
    }
    while (json_next_item(tokens, &is_first)) {
        if (strategy->count == STRATEGY_OPERATIONS_MAX) {
            tokens->problem = "more than 2000 operations";
            return;
        }
        operation_take(tokens, strategy);
    }
}

static void operations_take(struct json_tokens *tokens, struct strategy *strategy)
{
    bool is_first = true;
    struct str key;

    if (json_peek(tokens) != JSON_OBJECT) {
        json_skip(tokens, DEPTH_MAX);
        return;
    }
    strategy->kind = STRATEGY_OPERATIONS;
    strategy->ratio = 0;
    strategy->per_second = 0;
    while (json_next(tokens, &is_first, &key)) {
        if (str_equal(key, STR("defaultSamplingProbability")))
            strategy->ratio = number_take(tokens);
        else if (str_equal(key, STR("defaultLowerBoundTracesPerSecond")))
            strategy->per_second = number_take(tokens);
        else if (str_equal(key, STR("perOperationStrategies")))
            operation_list_take(tokens, strategy);
        else
            json_skip(tokens, DEPTH_MAX);
    }
}

// Operations win over the others, which servers send beside them for older clients.
static void strategy_take(struct json_tokens *tokens, struct strategy *strategy)
{
    bool is_first = true;
    struct str key;
    double number;

    while (json_next(tokens, &is_first, &key)) {
        if (str_equal(key, STR("operationSampling"))) {
            operations_take(tokens, strategy);
        } else if (str_equal(key, STR("probabilisticSampling"))) {
            if (number_of(tokens, "samplingRate", &number) && strategy->kind == STRATEGY_NONE) {
                strategy->kind = STRATEGY_RATIO;
                strategy->ratio = number;
            }
        } else if (str_equal(key, STR("rateLimitingSampling"))) {
            if (number_of(tokens, "maxTracesPerSecond", &number) &&
                strategy->kind == STRATEGY_NONE) {
                strategy->kind = STRATEGY_RATE;
                strategy->per_second = number;
            }
        } else {
            json_skip(tokens, DEPTH_MAX);
        }
    }
    if (json_peek(tokens) != JSON_END || tokens->at != tokens->end)
        tokens->problem = tokens->problem ? tokens->problem : "text behind the answer";
}

static int operation_order(const void *a, const void *b)
{
    const struct str x = ((const struct operation *)a)->name;
    const struct str y = ((const struct operation *)b)->name;
    const size_t shorter = x.len < y.len ? x.len : y.len;
    const int order = shorter ? memcmp(x.at, y.at, shorter) : 0;

    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static int strategy_ready(struct strategy *strategy, struct why *why)
{
    if (strategy->kind == STRATEGY_NONE)
        return why_fail(why, -EBADMSG, "no strategy in the answer");
    limiter_init(&strategy->limiter, strategy->per_second);
    strategy->sampler = tl_sampler_ratio(smaller(strategy->ratio, 1));
    if (!strategy->sampler)
        return why_fail(why, -ENOMEM, "no memory");
    for (size_t i = 0; i < strategy->count; i++)
        limiter_init(&strategy->operations[i].lower_bound, strategy->per_second);
    if (strategy->count)
        qsort(strategy->operations, strategy->count, sizeof strategy->operations[0],
              operation_order);
    return 0;
}

int strategy_read(struct str json, struct strategy **out_strategy, struct why *why)
{
    struct json_tokens tokens = json_tokens_of(json);
    struct strategy *strategy;
    int failed = 0;

    if (json.len > STRATEGY_BYTES_MAX)
        return why_fail(why, -E2BIG, "an answer of more than 1 MiB");
    strategy = calloc(1, sizeof *strategy);
    if (!strategy)
        return why_fail(why, -ENOMEM, "no memory");
    arena_init(&strategy->names, STRATEGY_BYTES_MAX);
    strategy_take(&tokens, strategy);
    failed = tokens.problem ? json_tokens_why(&tokens, why) : strategy_ready(strategy, why);
    json_tokens_done(&tokens);
    if (failed) {
        strategy_free(strategy);
        return failed;
    }
    *out_strategy = strategy;
    return 0;
}

void strategy_free(struct strategy *strategy)
{
    if (!strategy)
        return;
    for (size_t i = 0; i < strategy->count; i++)
        tl_sampler_unref(strategy->operations[i].ratio);
    free(strategy->operations);
    tl_sampler_unref(strategy->sampler);
    arena_done(&strategy->names);
    free(strategy);
}

static struct operation *operation_find(struct strategy *strategy, struct str name)
{
    const struct operation wanted = {.name = name};

    if (strategy->count == 0)
        return NULL;
    return bsearch(&wanted, strategy->operations, strategy->count, sizeof strategy->operations[0],
                   operation_order);
}

void strategy_sample(struct strategy *strategy, const struct tl_sampling *sampling,
                     struct tl_sampling_result *out_result, uint64_t now_ns)
{
    const struct str name = {sampling->name, sampling->name ? sampling->name_len : 0};
    struct operation *operation;
    struct limiter *limiter = &strategy->limiter;

    if (strategy->kind == STRATEGY_RATE) {
        if (limiter_take(limiter, now_ns))
            out_result->decision = TL_RECORD_AND_SAMPLE;
        return;
    }
    operation = operation_find(strategy, name);
    if (operation)
        limiter = &operation->lower_bound;
    tl_sampler_ask(operation ? operation->ratio : strategy->sampler, sampling, out_result);
    if (strategy->kind != STRATEGY_OPERATIONS)
        return;
    // What the probability keeps counts towards the lower bound.
    if (limiter_take(limiter, now_ns))
        out_result->decision = TL_RECORD_AND_SAMPLE;
}
