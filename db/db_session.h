/*
 * Sessions: families of refresh tokens. A token is (family, generation) under the HSM's MAC, so
 * the store keeps no token, only which generation is the current one.
 */
#ifndef DB_DB_SESSION_H
#define DB_DB_SESSION_H

#include "db/db.h"

struct db_session {
	uint8_t id[16]; /* family */
	uint8_t user[16];
	uint32_t generation; /* the current one, from 1 */
	int64_t created_ms;
	int64_t rotated_ms; /* when `generation` was made */
	int64_t expires_ms;
	int64_t revoked_ms; /* 0: live */
};

/* Takes id, user, created_ms, expires_ms; generation becomes 1. */
int db_session_create(struct db *d, const struct db_session *s) KE_CHECK;
int db_session_get(struct db *d, const uint8_t id[16], struct db_session *s) KE_CHECK;
/* generation `expected` becomes expected + 1; KE_CONFLICT when it is not the current one or
 * revoked. */
int db_session_rotate(struct db *d, const uint8_t id[16], uint32_t expected, int64_t now_ms,
    int64_t expires_ms) KE_CHECK;
/* KE_NOTFOUND when there is none; revoking twice keeps the first time. */
int db_session_revoke(struct db *d, const uint8_t id[16], int64_t now_ms) KE_CHECK;
/* *n (may be NULL) is how many were live. */
int db_session_revoke_all(
    struct db *d, const uint8_t user[16], int64_t now_ms, int64_t *n) KE_CHECK;
/* All of all users; after a restore no token of before may count. */
int db_session_revoke_everybody(struct db *d, int64_t now_ms, int64_t *n) KE_CHECK;
/* Deletes at most `most` that expired before `before_ms`. */
int db_session_purge_expired(struct db *d, int64_t before_ms, int64_t most, int64_t *n) KE_CHECK;

#endif
