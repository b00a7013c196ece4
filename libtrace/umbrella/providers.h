// SPDX-License-Identifier: Apache-2.0
// Exporters, processors and readers as settings name them; where one cannot be had, the agent's
// ring takes its place, which is told and counted.

#pragma once

#include "libtrace/umbrella/environment.h"

struct tl_sampler *provider_sampler(const struct sampler_variables *sampler);
struct tl_tracer_provider *provider_traces(const struct variables *variables);
struct tl_meter_provider *provider_metrics(const struct variables *variables);
struct tl_logger_provider *provider_logs(const struct variables *variables);
