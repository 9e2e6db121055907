/*
 * Values of public randomness beacons, each stored once its signature was verified: for good those
 * that a raffle waits for, and of each drand chain the newest round that was ever seen.
 * The signatures are stored with them, so that hsm and every auditor can verify them again.
 */
#ifndef DB_DB_BEACON_H
#define DB_DB_BEACON_H

#include "db/db.h"
#include "policy/pulse.h"
#include "policy/record2.h"

struct db_beacon {
	/*
	 * What it is stored under: kind, and chain_hash and round, or chain and at_ms (the moment
	 * that was asked for). drand: signature is its value.
	 */
	struct beacon b;
	/*
	 * nist2: the first pulse from that moment on, as pulse_pack() makes it; when it came later,
	 * its predecessor, which shows that it is the first. Otherwise before_len is 0.
	 */
	uint8_t pulse[PULSE_PACKED_MAX], before[PULSE_PACKED_MAX];
	size_t pulse_len, before_len;
	int64_t stored_ms;
};

/* KE_EXISTS: there is one, which stays; KE_RANGE: a number above 2^63 - 1. */
int db_beacon_put(struct db *d, const struct db_beacon *v) KE_CHECK;
/* By what v->b is stored under; fills in the rest. KE_NOTFOUND. */
int db_beacon_get(struct db *d, struct db_beacon *v) KE_CHECK;

/* Takes the place of an older round of its chain; a newer one stays. seen_ms: by our clock. */
int db_beacon_newest_put(struct db *d, const struct beacon *b, int64_t seen_ms) KE_CHECK;
/* Of b->chain_hash: round and signature. KE_NOTFOUND. */
int db_beacon_newest(struct db *d, struct beacon *b) KE_CHECK;

#endif
