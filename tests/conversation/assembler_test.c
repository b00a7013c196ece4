// SPDX-License-Identifier: Apache-2.0
// The assembler's limits, and that every message is accounted for.

#include "tests/support/check.h"

#include "libtrace/conversation/assembler.h"
#include "libtrace/conversation/stats.h"

struct world {
    struct assembler *assembler;
    uint64_t random;
    uint64_t time_ns;
    unsigned spans;
    struct span last;
    struct connection last_about;
    char last_peer[64];
    uint64_t before[CONVERSATION_STATS];
};

static uint64_t random_next(void *self)
{
    struct world *world = self;

    return ++world->random;
}

static void emit(void *self, const struct connection *connection, const struct span *span)
{
    struct world *world = self;

    world->spans++;
    world->last = *span;
    world->last_about = *connection;
    assert_true(connection->peer_address.len < sizeof world->last_peer);
    memcpy(world->last_peer, connection->peer_address.at, connection->peer_address.len);
}

static void world_open(struct world *world, size_t max_connections, size_t max_bytes_each)
{
    const struct assembler_plan plan = {
        .limits = {max_connections, max_bytes_each, 0},
        .emit = emit,
        .emit_self = world,
        .random = random_next,
        .random_self = world,
    };

    *world = (struct world){.assembler = assembler_new(&plan)};
    assert_non_null(world->assembler);
    for (size_t i = 0; i < CONVERSATION_STATS; i++)
        world->before[i] = stats_get(&conversation_stats, i);
}

static uint64_t counted(const struct world *world, enum conversation_stat row)
{
    return stats_get(&conversation_stats, row) - world->before[row];
}

static void world_close(struct world *world)
{
    assembler_free(world->assembler);
    assert_int_equal(counted(world, CONVERSATION_spans), world->spans);
    assert_int_equal(counted(world, CONVERSATION_messages),
                     counted(world, CONVERSATION_spans) +
                         counted(world, CONVERSATION_messages_untold) +
                         counted(world, CONVERSATION_messages_repeated) +
                         counted(world, CONVERSATION_messages_crowded) +
                         counted(world, CONVERSATION_messages_no_memory) +
                         counted(world, CONVERSATION_messages_abandoned));
}

static void give(struct world *world, uint64_t conn, enum direction direction, uint64_t offset,
                 struct str bytes)
{
    struct segment segment = {
        .conn = conn,
        .direction = direction,
        .offset = offset,
        .time_ns = world->time_ns += 1000000,
        .bytes = bytes,
    };

    assembler_segment(world->assembler, &segment);
}

static void least_used_connection_makes_room_and_is_told(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 2, 1 << 16);
    give(&world, 1, DIRECTION_OUT, 0, STR("GET /1 HTTP/1.1\r\n\r\n"));
    give(&world, 2, DIRECTION_OUT, 0, STR("GET /2 HTTP/1.1\r\n\r\n"));
    give(&world, 1, DIRECTION_IN, 0, STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"));
    assert_int_equal(world.spans, 0);
    give(&world, 3, DIRECTION_OUT, 0, STR("GET /3 HTTP/1.1\r\n\r\n"));
    assert_int_equal(world.spans, 1);
    assert_int_equal(world.last_about.conn, 2);
    assert_int_equal(counted(&world, CONVERSATION_connections_evicted), 1);
    assert_int_equal(counted(&world, CONVERSATION_spans_unanswered), 1);
    world_close(&world);
    assert_int_equal(counted(&world, CONVERSATION_messages_abandoned), 2);
}

static void silent_connection_is_forgotten_and_told(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 10, 1 << 16);
    give(&world, 1, DIRECTION_OUT, 0, STR("GET /1 HTTP/1.1\r\n\r\n"));
    assembler_tick(world.assembler, world.time_ns + 59, 60);
    assert_int_equal(world.spans, 0);
    assembler_tick(world.assembler, world.time_ns + 60, 60);
    assert_int_equal(world.spans, 1);
    assert_int_equal(world.last.status, SPAN_STATUS_UNSET);
    assert_int_equal(counted(&world, CONVERSATION_connections_idle), 1);
    assembler_close(world.assembler, 1, 99);
    world_close(&world);
}

static void opened_connection_is_not_silent_before_it_spoke(void **state)
{
    const struct connection opened = {
        .conn = 1, .role = CONN_ROLE_SERVER, .peer_address = STR("10.0.0.9"), .peer_port = 99};
    struct world world;

    (void)state;
    world_open(&world, 10, 1 << 16);
    assert_int_equal(assembler_open(world.assembler, &opened), 0);
    // Between what is said of it and what it says, the clock of 1970 is not its last word.
    assembler_tick(world.assembler, world.time_ns + 1000, 60);
    give(&world, 1, DIRECTION_IN, 0, STR("GET /1 HTTP/1.1\r\n\r\n"));
    give(&world, 1, DIRECTION_OUT, 0, STR("HTTP/1.1 204 OK\r\n\r\n"));
    assert_str(str_of(world.last_peer), "10.0.0.9");
    assert_int_equal(counted(&world, CONVERSATION_connections_idle), 0);
    world_close(&world);
}

static void requests_beyond_the_limit_are_counted_and_pairs_stay_right(void **state)
{
    struct world world;
    uint64_t offset = 0;

    (void)state;
    world_open(&world, 10, 16 * 1024);
    for (int i = 0; i < 200; i++, offset += 14)
        give(&world, 1, DIRECTION_OUT, offset, STR("*1\r\n$4\r\nPING\r\n"));
    assert_true(counted(&world, CONVERSATION_messages_crowded) > 100);
    offset = 0;
    for (int i = 0; i < 200; i++, offset += 7)
        give(&world, 1, DIRECTION_IN, offset, STR("+PONG\r\n"));
    assert_int_equal(world.spans + counted(&world, CONVERSATION_messages_crowded), 200);
    give(&world, 1, DIRECTION_OUT, 200 * 14, STR("*1\r\n$4\r\nTIME\r\n"));
    give(&world, 1, DIRECTION_IN, 200 * 7, STR("-ERR no\r\n"));
    assert_str(world.last.name, "TIME");
    assert_int_equal(world.last.status, SPAN_STATUS_ERROR);
    assert_int_equal(counted(&world, CONVERSATION_responses_orphaned), 0);
    world_close(&world);
}

static void head_beyond_the_limit_is_dropped_and_counted(void **state)
{
    static char header[4001];
    struct world world;
    uint64_t offset = 20;

    (void)state;
    world_open(&world, 10, 16 * 1024);
    memset(header, 'a', sizeof header - 1);
    give(&world, 1, DIRECTION_OUT, 0, STR("GET /1 HTTP/1.1\r\nX: "));
    for (int i = 0; i < 10; i++, offset += 4000)
        give(&world, 1, DIRECTION_OUT, offset, str_of(header));
    assert_int_equal(counted(&world, CONVERSATION_heads_long), 1);
    give(&world, 1, DIRECTION_OUT, offset, STR("GET /2 HTTP/1.1\r\n\r\n"));
    give(&world, 1, DIRECTION_IN, 0, STR("HTTP/1.1 204 OK\r\n\r\n"));
    assert_int_equal(world.spans, 1);
    world_close(&world);
}

static void unknown_protocol_is_given_up(void **state)
{
    static char noise[1000];
    struct world world;

    (void)state;
    world_open(&world, 10, 1 << 16);
    memset(noise, 0x16, sizeof noise);
    for (uint64_t i = 0; i < 20; i++)
        give(&world, 1, i % 2 ? DIRECTION_IN : DIRECTION_OUT, i / 2 * 1000,
             (struct str){noise, sizeof noise});
    assert_int_equal(counted(&world, CONVERSATION_connections_unknown), 1);
    give(&world, 1, DIRECTION_OUT, 10000, STR("GET /1 HTTP/1.1\r\n\r\n"));
    assembler_close(world.assembler, 1, 99);
    assert_int_equal(counted(&world, CONVERSATION_messages), 0);
    world_close(&world);
}

static void offsets_that_begin_anew_are_followed(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 10, 1 << 16);
    give(&world, 1, DIRECTION_OUT, 1 << 20, STR("GET /1 HTTP/1.1\r\n\r\n"));
    give(&world, 1, DIRECTION_IN, 1 << 20, STR("HTTP/1.1 204 OK\r\n\r\n"));
    for (uint64_t i = 0; i < 20; i++) {
        give(&world, 1, DIRECTION_OUT, i * 19, STR("GET /2 HTTP/1.1\r\n\r\n"));
        give(&world, 1, DIRECTION_IN, i * 19, STR("HTTP/1.1 204 OK\r\n\r\n"));
    }
    assert_int_equal(counted(&world, CONVERSATION_repeats), 18);
    assert_int_equal(world.spans, 1 + 12);
    world_close(&world);
}

static void more_may_be_said_of_a_connection_later(void **state)
{
    const struct connection first = {.conn = 1, .role = CONN_ROLE_SERVER, .pid = 7};
    const struct connection later = {.conn = 1, .peer_address = STR("10.0.0.9"), .peer_port = 99};
    struct world world;

    (void)state;
    world_open(&world, 10, 1 << 16);
    assert_int_equal(assembler_open(world.assembler, &first), 0);
    give(&world, 1, DIRECTION_IN, 0, STR("GET /1 HTTP/1.1\r\n\r\n"));
    assert_int_equal(assembler_open(world.assembler, &later), 0);
    give(&world, 1, DIRECTION_OUT, 0, STR("HTTP/1.1 204 OK\r\n\r\n"));
    assert_int_equal(world.last.kind, SPAN_KIND_SERVER);
    assert_int_equal(world.last_about.pid, 7);
    assert_int_equal(world.last_about.peer_port, 99);
    assert_str(str_of(world.last_peer), "10.0.0.9");
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_used_connection_makes_room_and_is_told),
        cmocka_unit_test(silent_connection_is_forgotten_and_told),
        cmocka_unit_test(opened_connection_is_not_silent_before_it_spoke),
        cmocka_unit_test(requests_beyond_the_limit_are_counted_and_pairs_stay_right),
        cmocka_unit_test(head_beyond_the_limit_is_dropped_and_counted),
        cmocka_unit_test(unknown_protocol_is_given_up),
        cmocka_unit_test(offsets_that_begin_anew_are_followed),
        cmocka_unit_test(more_may_be_said_of_a_connection_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
