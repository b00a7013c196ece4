// SPDX-License-Identifier: Apache-2.0
// A counter, the same counter bound, a histogram and an observed gauge:
// OTEL_METRICS_EXPORTER=console.

#include <throughline/throughline.h>

static void observe_stock(void *self, struct tl_observer *observer)
{
    struct tl_instrument *const *stock = self;

    tl_observe(observer, *stock, 42, NULL, 0);
}

int main(void)
{
    const struct tl_attribute paid[] = {TL_STR("shop.payment", "card"), TL_BOOL("shop.paid", true)};
    struct tl_instrument *orders =
        tl_counter(NULL, "shop.orders", "{order}", "Orders that were taken");
    struct tl_instrument *seconds =
        tl_histogram(NULL, "shop.order.duration", "s", "How long an order took");
    struct tl_instrument *stock = tl_instrument_get(
        NULL, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_GAUGE,
                                              .name = "shop.stock",
                                              .unit = "{item}",
                                              .description = "Items on the shelf"});
    struct tl_callback *callback = tl_callback_new(&stock, 1, observe_stock, &stock);
    struct tl_bound *paid_orders = tl_bound_new(orders, paid, TL_COUNT(paid));

    tl_measure(orders, 1, paid, TL_COUNT(paid));
    tl_bound_measure(paid_orders, 2); // the same series, found already
    tl_measure_double(seconds, 0.012, NULL, 0);
    tl_flush(1000);
    tl_bound_free(paid_orders);
    tl_callback_free(callback);
    return 0;
}
