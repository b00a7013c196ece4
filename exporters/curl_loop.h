// SPDX-License-Identifier: Apache-2.0
// The waiting of a libcurl multi handle as one descriptor: libcurl tells which sockets it waits for
// and when it wants to be called, and both end up in an epoll set. One thread.

#pragma once

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

// -1 where there is none yet.
struct curl_loop {
    int epoll_fd; // what others may poll
    int timer_fd;
    int hint_fd;
};

// 0 or -errno; close also what failed.
int curl_loop_open(struct curl_loop *loop);
void curl_loop_close(struct curl_loop *loop);
// In a child of fork: new ones that share nothing with the parent; epoll_fd keeps its number.
int curl_loop_renew(struct curl_loop *loop);

void curl_loop_attach(struct curl_loop *loop, CURLM *multi);

// Waits until something is ready or the deadline (CLOCK_MONOTONIC), and lets libcurl act. False:
// nothing was, and the time is over. out_code is what libcurl said when that was not CURLM_OK.
bool curl_loop_run(struct curl_loop *loop, CURLM *multi, uint64_t deadline_mono_ns,
                   CURLMcode *out_code);

// Keeps the descriptor readable for a reason that libcurl does not know.
void curl_loop_hint(struct curl_loop *loop, bool is_readable);
