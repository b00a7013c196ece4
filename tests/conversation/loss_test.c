// SPDX-License-Identifier: Apache-2.0
// Whatever segments are lost, cut short, doubled or torn: a response is never given to another
// request than its own, and when nothing more is lost all is right again.

#include "tests/support/check.h"

#include "libtrace/conversation/assembler.h"
#include "libtrace/conversation/stats.h"

enum { EXCHANGES = 400, ROUNDS = 60 };

struct world {
    struct assembler *assembler;
    uint64_t random;
    uint64_t time_ns;
    uint64_t offsets[2];
    unsigned loss_percent; // now
    size_t copied_max;
    unsigned spans;
    unsigned answered;
    unsigned wrong;
    unsigned last_id;
};

struct wire {
    const char *name;
    size_t copied_max; // of a segment, in odd rounds
    size_t (*request)(unsigned id, char *out, size_t room);
    size_t (*response)(unsigned id, char *out, size_t room);
};

// A small generator (xorshift): the same losses in every run.
static uint64_t random_next(void *self)
{
    struct world *world = self;

    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

static bool happens(struct world *world, unsigned percent)
{
    return random_next(world) % 100 < percent;
}

// Requests are named "id<ID>" and responses say "E<ID>" or the status 200 + ID % 300.
static void emit(void *self, const struct connection *connection, const struct span *span)
{
    struct world *world = self;
    const struct value *status = attribute_find(span->attributes, STR("http.response.status_code"));
    struct str text = attribute_string(span->attributes, STR("db.query.text"));
    const struct str error = attribute_string(span->attributes, STR("db.response.status_code"));
    const char *at;
    uint64_t id = 0;

    (void)connection;
    if (text.len == 0)
        text = attribute_string(span->attributes, STR("url.full"));
    at = memmem(text.at, text.len, "id", 2);
    assert_non_null(at);
    text = str_from(text, (size_t)(at - text.at) + 2);
    for (size_t i = 0; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++)
        id = id * 10 + (uint64_t)(text.at[i] - '0');
    world->spans++;
    world->last_id = (unsigned)id;
    if (status) {
        world->answered++;
        world->wrong += status->integer != (int64_t)(200 + id % 300);
    } else if (error.len) {
        uint64_t said = UINT64_MAX;

        world->answered++;
        world->wrong += !str_to_u64(str_from(error, 1), &said) || said != id;
    }
}

static size_t http_request(unsigned id, char *out, size_t room)
{
    return (size_t)snprintf(out, room, "GET /id%u HTTP/1.1\r\nHost: a\r\nX-Pad: %0*u\r\n\r\n", id,
                            1 + (int)id % 90, 0);
}

static size_t http_response(unsigned id, char *out, size_t room)
{
    const unsigned body = id % 7 * 30;

    if (id % 3 == 0)
        return (size_t)snprintf(
            out, room, "HTTP/1.1 %u X\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%0*u\r\n0\r\n\r\n",
            200 + id % 300, body + 1, (int)body + 1, 0);
    return (size_t)snprintf(out, room, "HTTP/1.1 %u X\r\nContent-Length: %u\r\n\r\n%0*u",
                            200 + id % 300, body + 1, (int)body + 1, 0);
}

static size_t redis_request(unsigned id, char *out, size_t room)
{
    char key[16];

    snprintf(key, sizeof key, "id%u", id);
    return (size_t)snprintf(out, room, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$5\r\nvalue\r\n",
                            strlen(key), key);
}

static size_t redis_response(unsigned id, char *out, size_t room)
{
    return (size_t)snprintf(out, room, "-E%u no\r\n", id);
}

static size_t postgres_request(unsigned id, char *out, size_t room)
{
    const int len = snprintf(out + 5, room - 5, "SELECT * FROM id%u", id);

    memcpy(out, "Q\0\0\0", 4);
    out[4] = (char)(len + 5);
    return (size_t)len + 6;
}

// Some rows, then an error.
static size_t postgres_response(unsigned id, char *out, size_t room)
{
    static const char row[] = "D\0\0\0\x15\0\1\0\0\0\x0b some value";
    static const char ready[] = "Z\0\0\0\5I";
    size_t len = 0;
    int error_len;

    for (unsigned i = 0; i < id % 5; i++, len += sizeof row - 1)
        memcpy(out + len, row, sizeof row - 1);
    error_len = snprintf(out + len + 5, room - len - 5, "SERROR%cCE%04u%cMno%c", 0, id, 0, 0) + 1;
    memcpy(out + len, "E\0\0\0", 4);
    out[len + 4] = (char)(error_len + 4);
    len += 5 + (size_t)error_len;
    memcpy(out + len, ready, sizeof ready - 1);
    return len + sizeof ready - 1;
}

static size_t give(struct world *world, enum direction direction, const char *bytes, size_t len)
{
    struct segment segment = {
        .conn = 1,
        .direction = direction,
        .offset = world->offsets[direction],
        .time_ns = world->time_ns += 1000,
        .bytes = {bytes, len},
    };

    world->offsets[direction] += len;
    if (happens(world, world->loss_percent))
        return len;
    if (len > world->copied_max) {
        segment.bytes.len = world->copied_max;
        segment.lost_bytes = (uint32_t)(len - world->copied_max);
    }
    for (int times = happens(world, world->loss_percent) ? 2 : 1; times; times--)
        assembler_segment(world->assembler, &segment);
    return len;
}

// In one segment, or torn into two or three.
static void message_give(struct world *world, enum direction direction, const char *bytes,
                         size_t len)
{
    for (unsigned pieces = (unsigned)(random_next(world) % 3); pieces && len > 1; pieces--) {
        const size_t step = 1 + random_next(world) % (len - 1);

        bytes += give(world, direction, bytes, step);
        len -= step;
    }
    give(world, direction, bytes, len);
}

static void conversation_run(struct world *world, const struct wire *wire, unsigned round)
{
    const struct connection connection = {.conn = 1, .role = CONN_ROLE_CLIENT};
    char bytes[1024];

    assembler_open(world->assembler, &connection);
    for (unsigned id = 1; id <= EXCHANGES; id++) {
        const bool is_lossy = id > 1 && id + 20 <= EXCHANGES;

        // The first and the last ones lose nothing.
        world->loss_percent = is_lossy ? round % 20 : 0;
        world->copied_max = is_lossy && round % 2 ? wire->copied_max : sizeof bytes;
        message_give(world, DIRECTION_OUT, bytes, wire->request(id, bytes, sizeof bytes));
        message_give(world, DIRECTION_IN, bytes, wire->response(id, bytes, sizeof bytes));
        if (id + 10 == EXCHANGES)
            world->answered = 0;
    }
    assembler_close(world->assembler, 1, world->time_ns + 1);
}

static void wire_check(const struct wire *wire)
{
    unsigned wrong = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct world world = {.random = 88172645463325252u + round};
        const struct assembler_plan plan = {
            .limits = {10, 1 << 18, 0},
            .emit = emit,
            .emit_self = &world,
            .random = random_next,
            .random_self = &world,
        };

        world.assembler = assembler_new(&plan);
        assert_non_null(world.assembler);
        conversation_run(&world, wire, round);
        assembler_free(world.assembler);
        wrong += world.wrong;
        if (world.wrong)
            print_error("%s, round %u: %u of %u spans are wrong\n", wire->name, round, world.wrong,
                        world.spans);
        if (world.answered != 10 || world.last_id != EXCHANGES)
            fail_msg("%s, round %u: %u of the last 10 answered, the last is %u", wire->name, round,
                     world.answered, world.last_id);
        if (round % 20 == 0)
            assert_true(world.spans == EXCHANGES);
    }
    assert_int_equal(wrong, 0);
}

static void http_is_never_paired_wrongly(void **state)
{
    static const struct wire wire = {"http1", 60, http_request, http_response};

    (void)state;
    wire_check(&wire);
}

static void redis_is_never_paired_wrongly(void **state)
{
    static const struct wire wire = {"redis", 60, redis_request, redis_response};

    (void)state;
    wire_check(&wire);
}

static void postgres_is_never_paired_wrongly(void **state)
{
    // Rows that were not copied are passed over up to the end of the response, for which the next
    // one's end may be taken if that one's query was lost as well.
    static const struct wire wire = {"postgres", 1024, postgres_request, postgres_response};

    (void)state;
    wire_check(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_is_never_paired_wrongly),
        cmocka_unit_test(redis_is_never_paired_wrongly),
        cmocka_unit_test(postgres_is_never_paired_wrongly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
