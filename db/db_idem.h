/*
 * Stored answers of idempotent requests. The scope (user, route, key) is kept as the first 16
 * bytes of its SHA-256.
 */
#ifndef DB_DB_IDEM_H
#define DB_DB_IDEM_H

#include "db/db.h"

#define DB_ANSWER_MAX 65536

struct db_idem_key {
	uint8_t user[16];
	const char
	    *route; /* the row's name: a route's number may change with the program, this not */
	const void *key;
	size_t key_len;
};

struct db_idem {
	uint8_t body_hash[32];
	uint16_t status; /* 0: promised, see below */
	int64_t created_ms;
	const void *answer; /* put: the caller's; get: within the caller's buf */
	size_t answer_len;
};

/* What the store keeps of user, route and key; KE_LONG. */
int db_idem_scope(const struct db_idem_key *k, uint8_t out[16]) KE_CHECK;
/* KE_NOTFOUND; KE_LONG when cap is less than the answer. */
int db_idem_get(
    struct db *d, const struct db_idem_key *k, struct db_idem *v, void *buf, size_t cap) KE_CHECK;
/*
 * The common case in one call: KE_OK when the key was new and is stored now, KE_EXISTS when not
 * (then db_idem_get). Writes the answer of a row that was promised, for the same body.
 */
int db_idem_put(struct db *d, const struct db_idem_key *k, const struct db_idem *v) KE_CHECK;

/* A request as the store knows it, for an effect that may come when nobody waits for it any more.
 */
struct db_idem_name {
	bool keyed; /* else the rest is empty */
	uint8_t scope[16], body_hash[32];
};

/*
 * The effect of that request is in this turn, without an answer: a row of status 0, to be finished
 * when it is asked for. One that is there stays as it is; a request without a key is promised
 * nothing.
 */
int db_idem_promise(struct db *d, const struct db_idem_name *name, int64_t now_ms) KE_CHECK;
/* Deletes, of the `most` oldest rows, those said to be made before `before_ms` or after `after_ms`.
 */
int db_idem_purge(
    struct db *d, int64_t before_ms, int64_t after_ms, int64_t most, int64_t *n) KE_CHECK;

#endif
