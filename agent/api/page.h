// SPDX-License-Identifier: Apache-2.0
// The files of dashboards/web, embedded in the program. Constant; any thread.

#pragma once

#include <microhttpd.h>

#include "libtrace/base/str.h"

struct page_file {
    const char *path; // "/page/HASH/app.js"; the views share one file, whose path is ""
    const char *type;
    const char *etag; // quoted
    const unsigned char *data;
    size_t data_bytes;
    const unsigned char *gzip; // NULL when it would not be smaller
    size_t gzip_bytes;
};

// Generated from dashboards/web by dashboards/embed.py, sorted by path.
extern const struct page_file page_files[];
extern const size_t page_file_count;
extern const char page_content_security_policy[];

// The file at a path, or that of the views ("/", "/traces", "/trace/ID", ...). NULL: no page.
const struct page_file *page_find(struct str path);

// Answers 200 or 304. MHD_NO: out of memory.
enum MHD_Result page_answer(const struct page_file *file, struct MHD_Connection *connection);
