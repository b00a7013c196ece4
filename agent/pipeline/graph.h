// SPDX-License-Identifier: Apache-2.0
// The running form of a configuration: receivers, their outlets, exporter queues and senders.
// Built and stopped by main's thread.

#pragma once

#include "agent/config/config.h"

struct graph;

// Opens exporters, then receivers. A receiver that this host cannot have (-EPERM, -EOPNOTSUPP), and
// any of the built-in configuration whose address is not taken, is logged and left out; anything
// else is an error and nothing stays open.
int graph_start(struct config *config, struct graph **out_graph, struct why *why);

// Receivers first, then the queues drain within the time, then the exporters close.
void graph_stop(struct graph *graph, uint64_t drain_ms);
