// SPDX-License-Identifier: Apache-2.0
// OpenSSL takes itself down when the program exits, under threads that still use it and before a
// last flush. Any thread.

#pragma once

// Leaves OpenSSL standing until the process ends, for the copy that the library which has `symbol`
// (the address of a function of it) is linked with. To be called before that library begins; does
// nothing where it has no OpenSSL, or where OpenSSL was in use already: then its handler is older
// than what the caller registers with atexit(3) from now on, and runs after that.
void openssl_exit_prevent(const void *symbol);
