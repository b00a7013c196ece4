// SPDX-License-Identifier: Apache-2.0
// Instruments: what was registered, and the streams that measurements go to.

#pragma once

#include "libtrace/sdk/metrics/meter.h"
#include "libtrace/sdk/metrics/stream.h"

enum { INSTRUMENT_STREAMS_MAX = 64 };

// The streams of all readers. Replaced as a whole; former ones live as long as the provider.
struct stream_list {
    // Measurements that are on their way into these streams outside of a section (guard.h): a
    // change of views waits for them.
    _Atomic uint32_t under_way;
    struct stream_list *former;
    size_t count;
    struct stream *streams[];
};

struct tl_instrument {
    _Atomic(struct stream_list *) streams;
    bool is_double;
    bool refuses_negative;
    bool is_observed;
    bool is_inert; // its name cannot be
    enum tl_exemplar_filter exemplars;
    enum tl_instrument_kind kind;
    struct tl_meter *meter;
    struct str given_name; // as it was given; `name` may be another case of it
    const char *name;
    const char *unit;
    const char *description;
    const double *boundaries;
    size_t boundary_count;
    bool has_boundaries;
    const struct str *attribute_keys;
    size_t attribute_key_count;
    bool has_attribute_keys;
    uint64_t created_ns;
    _Atomic(struct stream *)
        retired; // taken out of use by a change of views, not freed before the provider
    struct arena arena;
    struct tl_instrument *_Atomic next;
};

// Ascending, finite, not too many.
bool boundaries_are_valid(const double *boundaries, size_t count);

// Makes the streams by the provider's views, readers and state; under the provider's lock. Streams
// that are the same as before go on, others are retired. -ENOMEM: the former ones stay. Adds to
// *notes (enum view_note).
int instrument_resolve(struct tl_instrument *instrument, unsigned *notes);

// With no lock held: tells of the notes, and of streams that have one name and are not the same.
void instrument_tell(const struct tl_instrument *instrument, unsigned notes);

// No streams from now on: after a shutdown.
void instrument_close(struct tl_instrument *instrument);

// After a fork, in the child: bound handles find their series anew.
void instrument_forked(struct tl_instrument *instrument);

void instrument_free(struct tl_instrument *instrument);
