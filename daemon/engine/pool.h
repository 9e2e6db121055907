/*
 * Pools: what the API, the import and the metrics share. Runs in engine, which trusts hsm's public
 * keys and derives every address from them itself.
 */
#ifndef DAEMON_ENGINE_POOL_H
#define DAEMON_ENGINE_POOL_H

#include "daemon/engine/rq.h"
#include "db/db_pool.h"

/* The pool of the row's first field, a path id; RQ_REFUSED (404). */
int pool_find(struct rq *q, struct db_pool *p) KE_CHECK;
/* What hsm says of a fresh or imported key of chain p->chain: public key, address, key. KE_PEER. */
int pool_take(struct wire_in *in, struct db_pool *p) KE_CHECK;
void pool_put(struct jsonw *w, const struct db_pool *p);

/* The one text of an address, of payout_to_len() bytes, on a pool's chain. */
void pool_address(char out[DB_POOL_ADDRESS_MAX + 1], enum payout_kind chain, const uint8_t *raw);
/* KE_FORMAT, KE_CRYPTO (a wrong checksum). */
int pool_address_parse(
    uint8_t raw[32], enum payout_kind chain, const uint8_t *text, size_t n) KE_CHECK;

#endif
