// SPDX-License-Identifier: Apache-2.0
// Batches share wires when merged; receipts end once, with the worst outcome.

#include "tests/support/check.h"

#include <errno.h>

#include "libtrace/model/batch.h"
#include "libtrace/model/receipt.h"

static struct batch *batch_with(const char *text, size_t records, uint64_t received_ns)
{
    return batch_new(SIGNAL_TRACES, (uint8_t *)strdup(text), strlen(text), records, received_ns);
}

static void merge_keeps_every_piece_in_order(void **state)
{
    struct batch *parts[3] = {batch_with("one", 1, 30), batch_with("two", 2, 20),
                              batch_with("three", 3, 40)};
    struct batch *merged = batch_merge(parts, 3);

    (void)state;
    assert_int_equal(batch_pieces(merged), 3);
    assert_int_equal(batch_records(merged), 6);
    assert_int_equal(batch_bytes(merged), 11);
    assert_int_equal(batch_received_ns(merged), 20);
    assert_str(batch_piece(merged, 0), "one");
    assert_str(batch_piece(merged, 2), "three");
    batch_unref(merged);
}

static void receipt_ends_with_the_last_batch_that_carries_it(void **state)
{
    struct receipt_queue *queue = receipt_queue_new();
    struct batch *parts[2] = {batch_with("a", 1, 1), batch_with("b", 1, 1)};
    enum receipt_end end;
    struct batch *held;
    struct batch *merged;
    uint64_t position = 0;

    (void)state;
    assert_int_equal(batch_receipt_add(parts[0], receipt_new(queue, 77)), 0);
    held = batch_ref(parts[0]);
    merged = batch_merge(parts, 2);
    batch_unref(held);
    assert_int_equal(receipt_queue_take(queue, &position, &end), -EAGAIN);
    batch_unref(merged);
    assert_int_equal(receipt_queue_take(queue, &position, &end), 0);
    assert_int_equal(position, 77);
    assert_int_equal(end, RECEIPT_DELIVERED);
    receipt_queue_free(queue);
}

static void a_drop_of_one_part_is_what_the_source_hears(void **state)
{
    struct receipt_queue *queue = receipt_queue_new();
    struct batch *batch = batch_with("a", 1, 1);
    enum receipt_end end;
    uint64_t position;

    (void)state;
    assert_int_equal(batch_receipt_add(batch, receipt_new(queue, 1)), 0);
    batch_mark_dropped(batch);
    batch_unref(batch);
    assert_int_equal(receipt_queue_take(queue, &position, &end), 0);
    assert_int_equal(end, RECEIPT_DROPPED);
    receipt_queue_free(queue);
}

static void a_receipt_may_outlive_its_queue(void **state)
{
    struct receipt_queue *queue = receipt_queue_new();
    struct batch *batch = batch_with("a", 1, 1);

    (void)state;
    assert_int_equal(batch_receipt_add(batch, receipt_new(queue, 1)), 0);
    receipt_queue_free(queue);
    batch_unref(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merge_keeps_every_piece_in_order),
        cmocka_unit_test(receipt_ends_with_the_last_batch_that_carries_it),
        cmocka_unit_test(a_drop_of_one_part_is_what_the_source_hears),
        cmocka_unit_test(a_receipt_may_outlive_its_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
