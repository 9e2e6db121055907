/*
 * Error codes of the whole house. Every function that can fail returns KE_OK (0) or one of
 * these negative values. Linked into every process; trusts nobody, holds nothing.
 */
#ifndef POLICY_KE_H
#define POLICY_KE_H

/* name, value, words for a log line */
#define KE_LIST(X)                                                                                 \
	X(KE_OK, 0, "ok")                                                                          \
	X(KE_INTERNAL, -1, "internal error")                                                       \
	X(KE_NOMEM, -2, "out of memory")                                                           \
	X(KE_IO, -3, "input or output failed")                                                     \
	X(KE_FORMAT, -4, "malformed input")                                                        \
	X(KE_SHORT, -5, "input ends too early")                                                    \
	X(KE_LONG, -6, "input is too long")                                                        \
	X(KE_RANGE, -7, "value out of range")                                                      \
	X(KE_DENIED, -8, "not allowed")                                                            \
	X(KE_NOTFOUND, -9, "not found")                                                            \
	X(KE_EXISTS, -10, "exists already")                                                        \
	X(KE_STATE, -11, "wrong state")                                                            \
	X(KE_FUNDS, -12, "insufficient funds")                                                     \
	X(KE_LIMIT, -13, "limit reached")                                                          \
	X(KE_CONFLICT, -14, "modified by another request")                                         \
	X(KE_UNAVAIL, -15, "not available now")                                                    \
	X(KE_TIMEOUT, -16, "deadline passed")                                                      \
	X(KE_AUTH, -17, "not authenticated")                                                       \
	X(KE_CRYPTO, -18, "cryptographic check failed")                                            \
	X(KE_CLOSED, -19, "closed by the peer")                                                    \
	X(KE_FULL, -20, "queue or buffer full")                                                    \
	X(KE_VERSION, -21, "unknown version")                                                      \
	X(KE_DAMAGED, -22, "stored data is damaged")                                               \
	X(KE_WRONG_KEY, -23, "wrong key")                                                          \
	X(KE_PEER, -24, "peer broke the protocol")                                                 \
	X(KE_AGAIN, -25, "nothing there yet")

enum ke {
#define X(name, value, words) name = (value),
	KE_LIST(X)
#undef X
};

#define KE_CHECK __attribute__((warn_unused_result))

/* The words for r, for a log line or a command's message; never NULL. */
const char *ke_words(int r);

#endif
