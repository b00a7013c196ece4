// SPDX-License-Identifier: Apache-2.0
// Files stand under a folder named by the hash of them all, so that they never change and may be
// kept for ever; the one file of the views names that folder and is asked for each time.

#include "agent/api/page.h"

static const struct page_file *file_at(struct str path)
{
    for (size_t i = 0; i < page_file_count; i++) {
        if (str_equal(str_of(page_files[i].path), path))
            return &page_files[i];
    }
    return NULL;
}

const struct page_file *page_find(struct str path)
{
    static const char *const views[] = {"/", "/map", "/traces"};
    static const char *const trees[] = {"/service/", "/trace/"};

    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (str_equal(path, str_of(views[i])))
            return file_at(STR(""));
    }
    for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
        if (str_starts(path, str_of(trees[i])) && path.len > strlen(trees[i]))
            return file_at(STR(""));
    }
    return path.len ? file_at(path) : NULL;
}

// True when a comma-separated header has this element, whatever its parameters.
static bool has_element(const char *header, struct str element)
{
    struct str rest = str_of(header ? header : "");

    while (rest.len) {
        struct str each = {rest.at, str_find(rest, ',')};
        struct str value = str_trim((struct str){each.at, str_find(each, ';')});

        if (str_equal_nocase(value, element))
            return true;
        // RFC 9110 13.1.2: If-None-Match compares weakly.
        if (str_starts(value, STR("W/")) && str_equal(str_from(value, 2), element))
            return true;
        rest = str_from(rest, each.len + 1);
    }
    return false;
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void headers_add(struct MHD_Response *response, const struct page_file *file)
{
    const bool is_view = file->path[0] == '\0';

    MHD_add_response_header(response, "ETag", file->etag);
    MHD_add_response_header(response, "Vary", "Accept-Encoding");
    MHD_add_response_header(response, "Cache-Control",
                            is_view ? "no-cache" : "public, max-age=31536000, immutable");
    MHD_add_response_header(response, "Content-Type", file->type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    if (!is_view)
        return;
    MHD_add_response_header(response, "Content-Security-Policy", page_content_security_policy);
    MHD_add_response_header(response, "Cross-Origin-Opener-Policy", "same-origin");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
}

enum MHD_Result page_answer(const struct page_file *file, struct MHD_Connection *connection)
{
    const bool is_known = has_element(header_of(connection, "If-None-Match"), str_of(file->etag));
    const bool is_gzip =
        file->gzip && has_element(header_of(connection, "Accept-Encoding"), STR("gzip"));
    // libmicrohttpd takes constant data as void *, and leaves it alone.
    struct MHD_Response *response = MHD_create_response_from_buffer(
        is_known ? 0 : (is_gzip ? file->gzip_bytes : file->data_bytes),
        (void *)(uintptr_t)(is_gzip ? file->gzip : file->data), MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    headers_add(response, file);
    if (is_gzip && !is_known)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    result =
        MHD_queue_response(connection, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}
