/*
 * Escrow bundles: see escrow.h. Runs in engine.
 */
#include "daemon/engine/escrow.h"

#include <stdlib.h>

#include "daemon/engine/api.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/raffle.h"
#include "daemon/msg/log.h"
#include "db/db_escrow.h"
#include "policy/escrow.h"
#include "policy/hash.h"

_Static_assert(DB_ESCROW_MAX == ESCROW_TEXT_MAX, "the store holds every bundle");

int escrow_take(struct rq *q, int r, struct wire_in *in, struct record2 *open)
{
	struct escrow *e;
	const char *text;
	size_t n;

	if (in == NULL)
		return KE_UNAVAIL;
	if (r == KE_NOTFOUND)
		return wire_end(in) == KE_OK ? KE_OK : KE_PEER;
	if (r != KE_OK)
		return KE_UNAVAIL;
	text = (const char *)wire_get_str(in, ESCROW_TEXT_MAX, &n);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	e = malloc(sizeof *e);
	if (e == NULL)
		fatal("out of memory");
	r = escrow_parse(e, text, n) == KE_OK ? KE_OK : KE_PEER;
	if (r == KE_OK) {
		open->escrow_m = e->officers.m;
		open->escrow_n = e->officers.n;
		open->on_default = DEFAULT_ESCROW;
		hash_sha256(open->escrow, text, n);
		r = db_escrow_put(q->e->db, open->raffle, text, n, q->now_ms);
	}
	free(e);
	return r;
}

int api_raffle_escrow(struct rq *q)
{
	struct db_raffle raffle;
	size_t n = 0;
	int r = raffle_find(q, &raffle);

	/* what is made and not promised yet is no one's business */
	if (r == KE_OK && raffle.state == RAFFLE_DRAFT)
		return rq_refuse(q, PB_NOT_FOUND);
	if (r == KE_OK)
		r = db_escrow_get(q->e->db, raffle.id, q->e->scratch, ENGINE_SCRATCH, &n);
	if (r == KE_NOTFOUND)
		return rq_refuse(q, PB_NOT_FOUND);
	return r == KE_OK ? rq_text(q, API_JSON, n) : r;
}
