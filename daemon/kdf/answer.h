/*
 * What kdf does with a message: a serve_handler of its own, apart from main() so that tests and the
 * fuzzer reach it. Runs in kdf; trusts engine to be its only peer, and none of the bytes.
 */
#ifndef DAEMON_KDF_ANSWER_H
#define DAEMON_KDF_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/phc.h"
#include "daemon/msg/serve.h"

/* serve_handler; ctx is the struct phc_cost of fresh hashes. */
int kdf_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w);

/*
 * Is phc the hash of this password? KE_AUTH; KE_RANGE when the string is not one that we would
 * work on. *raise: its cost lies below c.
 */
int kdf_verify(const struct phc_cost *c, const char *phc, const uint8_t *password, size_t n,
    bool *raise) KE_CHECK;

#endif
