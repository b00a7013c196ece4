// SPDX-License-Identifier: Apache-2.0
// A resource as the SDK keeps it: its attributes, and the OTLP bytes made of them once.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/str.h"

// Body of an OTLP Resource message; lives as long as the resource. NULL: the default resource's.
struct str resource_encoded(const struct tl_resource *resource);
struct str resource_schema_url(const struct tl_resource *resource);

// What the environment says (umbrella): tl_resource_default gives it out. Takes the reference.
void resource_default_set(struct tl_resource *resource);
