// SPDX-License-Identifier: Apache-2.0
// Views: which instruments they select and what streams they make of them (specification,
// "View", "Measurement processing"). A set of views never changes; its provider owns it.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/sdk/metrics/stream.h"
#include "throughline/sdk.h"

struct view_set;
struct tl_instrument;

// Copies; views that cannot be are left out, told and counted. NULL without memory.
struct view_set *view_set_new(const struct tl_view *views, size_t count,
                              enum tl_view_matching matching);
void view_set_free(struct view_set *views);
enum tl_view_matching view_set_matching(const struct view_set *views);

// The default of a reader for what a view leaves open.
struct reader_defaults {
    enum tl_temporality temporality;
    struct tl_aggregation aggregation;
    uint32_t limit; // 0: 2000
};

enum { VIEW_STREAMS_MAX = 16 };

// What did not fit, to be told when no lock is held.
enum view_note { VIEW_MISFIT = 1, VIEW_READER_MISFIT = 2 };

// The streams of an instrument with one reader, at most VIEW_STREAMS_MAX: name, unit, description,
// aggregation, temporality, filter, limit and reservoir of each plan. Lists live in `arena` and in
// the set. Returns how many; adds to *notes.
size_t view_plans(const struct view_set *views, const struct tl_instrument *instrument,
                  const struct reader_defaults *defaults, struct arena *arena,
                  struct stream_plan *out_plans, unsigned *notes);
