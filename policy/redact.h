/*
 * Takes what is about people, and what could be a secret, out of a line of log or configuration
 * that leaves the house. Pure; runs in kleroctl support. Trusts nothing in the line. It errs on the
 * side of taking too much: what remains must be harmless, and need not be pretty.
 */
#ifndef POLICY_REDACT_H
#define POLICY_REDACT_H

#include <stddef.h>

/* A line may grow: a short address becomes a longer mark. */
#define REDACT_GROWS 10

/*
 * Writes the n bytes of a line to out, which has room for REDACT_GROWS * n + 1, and returns how
 * many were written, a NUL behind them. Replaced are e-mail addresses (<email>), UUIDs (<id>), IP
 * addresses (<address>), nine or more digits (<number>), and runs of 20 or more letters and digits
 * mixed, as keys and tokens are (<secret>). Bytes that are not printable ASCII become '?'.
 */
size_t redact_line(char *out, const char *in, size_t n);

#endif
