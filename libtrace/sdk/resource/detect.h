// SPDX-License-Identifier: Apache-2.0
// What a process can find out about itself. Each detector is one file. `root` stands before every
// path that is read ("" in life; a folder of a test's).

#pragma once

#include "libtrace/sdk/resource/environment.h"
#include "libtrace/sdk/resource/resource.h"

// Each gives a new resource, empty where there is nothing to say; NULL without memory.
struct tl_resource *detect_host(const char *root);
struct tl_resource *detect_process(const char *root);
// The arguments: on demand only, there are secrets in them.
struct tl_resource *detect_process_arguments(const char *root);
struct tl_resource *detect_container(const char *root);
struct tl_resource *detect_k8s(const char *root, const struct environment *environment);
struct tl_resource *detect_service(const struct environment *environment);
struct tl_resource *detect_environment(const struct environment *environment);

enum { UUID_TEXT = 37, FALLBACK_NAME_BYTES = 300 };

// A random UUID (version 4), the same for the life of this process; a forked child has another.
void service_instance_id(char out_text[static UUID_TEXT]);
// "unknown_service:" and the program's name.
struct str service_fallback_name(char out_room[static FALLBACK_NAME_BYTES]);

// Reads OTEL_RESOURCE_ATTRIBUTES; false (and nothing in *out_resource) at the first error.
bool resource_attributes_read(struct str text, struct tl_resource **out_resource);
// Reads OTEL_ENTITIES: what is well-formed counts, the rest is told and counted. NULL without
// memory.
struct tl_resource *entities_read(struct str text);

// Percent-decodes a text; false: an escape is cut short, it is not UTF-8 then, or no memory.
bool text_decode(struct arena *arena, struct str text, struct str *out_text);

// The id in one line of /proc/self/cgroup or /proc/self/mountinfo: 64 hexadecimal digits where a
// container's engine puts them; empty: none.
struct str container_id_of_cgroup(struct str line);
struct str container_id_of_mount(struct str line);
// The UID of the pod whose volume the line of mountinfo mounts; empty: none.
struct str pod_uid_of_mount(struct str line);

// ---- For detectors: attributes gathered one by one.
enum { DRAFT_MAX = 32 };

struct draft {
    struct arena arena;
    struct tl_attribute list[DRAFT_MAX];
    size_t count;
};

void draft_init(struct draft *draft);
// Keys are literals. Empty text is no attribute.
void draft_text(struct draft *draft, const char *key, struct str text);
void draft_number(struct draft *draft, const char *key, int64_t number);
// The resource, with the schema URL of our conventions when there is anything in it.
struct tl_resource *draft_finish(struct draft *draft);

// The content of a file, at most `room` bytes; empty when it cannot be read.
struct str file_read(const char *root, const char *path, char *room, size_t room_bytes);
// Its first line, trimmed.
struct str file_line(const char *root, const char *path, char *room, size_t room_bytes);
// The next line of a text, without its end; false: no more.
bool line_next(struct str *inout_text, struct str *out_line);
