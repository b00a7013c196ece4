// SPDX-License-Identifier: Apache-2.0
// librabbitmq with producer and consumer spans. Source: OpenTelemetry semantic conventions 1.44,
// "Messaging spans" and "RabbitMQ". Link libthroughline-amqp and librabbitmq.

#pragma once

#include <amqp.h>

#include <throughline/throughline.h>

#ifdef __cplusplus
extern "C" {
#endif

// As amqp_basic_publish, inside a PRODUCER span; its traceparent goes into the headers table beside
// what is there. `properties` stays the caller's and may be NULL. An error of the call is on the
// span; what the broker refuses later is not.
TL_API int tl_amqp_basic_publish(amqp_connection_state_t connection, amqp_channel_t channel,
                                 amqp_bytes_t exchange, amqp_bytes_t routing_key,
                                 amqp_boolean_t mandatory, amqp_boolean_t immediate,
                                 const amqp_basic_properties_t *properties, amqp_bytes_t body);

// A CONSUMER span for one delivered message, child of the traceparent in its headers. `queue` is
// what was consumed from. Make it current, work, then tl_span_end.
TL_API struct tl_span *tl_amqp_process_start(const amqp_envelope_t *envelope, const char *queue);

#ifdef __cplusplus
}
#endif
