/*
 * What anyone reads of the logs, and a buyer's receipt: checkpoints, tiles, entry bundles, proofs
 * that a ticket is in its log. Nothing beyond the newest signed checkpoint is shown. Runs in
 * engine; net keeps these answers, for a checkpoint until the next one and a tile for good.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/ckpt.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"
#include "daemon/engine/tlogproof.h"
#include "daemon/msg/log.h"
#include "db/db_log.h"
#include "db/db_ticket.h"
#include "policy/ticketid.h"

_Static_assert(LOGREAD_TILE_MAX <= ENGINE_SCRATCH, "every tile can be answered");

/* The log of a request; refused when there is none, or it has no checkpoint yet. */
static int find_log(struct rq *q, bool oplog, struct db_log *log)
{
	int r = oplog ? db_log_get(q->e->db, DB_LOG_OPERATOR, log)
		      : db_log_of_raffle(q->e->db, rq_field(q, 0)->p, log);

	if (r == KE_NOTFOUND || (r == KE_OK && log->logged < 0))
		return rq_refuse(q, PB_NOT_FOUND);
	return r;
}

static int answer_checkpoint(struct rq *q, bool oplog)
{
	struct db_checkpoint c;
	struct db_log log;
	int r = find_log(q, oplog, &log);

	if (r == KE_OK)
		r = db_log_checkpoint(q->e->db, log.no, (uint64_t)log.logged, &c);
	if (r != KE_OK)
		return r == KE_NOTFOUND ? KE_DAMAGED : r;
	memcpy(q->e->scratch, c.note, c.len);
	return rq_text(q, API_TEXT, c.len);
}

static int answer_tile(struct rq *q, bool oplog)
{
	const struct api_value *path = rq_field(q, oplog ? 0 : 1);
	struct logread read;
	struct db_log log;
	struct tile t;
	size_t len = 0;
	int r = find_log(q, oplog, &log);

	if (r == KE_OK)
		r = tile_parse(&t, (const char *)path->p, path->n);
	if (r != KE_OK)
		return r;
	if (!tile_within(&t, (uint64_t)log.logged))
		return rq_refuse(q, PB_NOT_FOUND);
	logread_init(&read, q->e, &log);
	r = logread_tile(&read, &t, (uint8_t *)q->e->scratch, ENGINE_SCRATCH, &len);
	return r == KE_OK ? rq_text(q, API_OCTETS, len) : r;
}

int api_log_checkpoint(struct rq *q)
{
	return answer_checkpoint(q, true);
}

int api_raffle_checkpoint(struct rq *q)
{
	return answer_checkpoint(q, false);
}

int api_log_tile(struct rq *q)
{
	return answer_tile(q, true);
}

int api_raffle_tile(struct rq *q)
{
	return answer_tile(q, false);
}

/* --- receipts --- */

struct owner {
	uint8_t ticket[16], user[16], salt[32];
};

static int take_owner(void *arg, const struct db_ticket_row *row)
{
	struct owner *o = arg;

	memcpy(o->ticket, row->t.id, sizeof o->ticket);
	memcpy(o->user, row->user, sizeof o->user);
	memcpy(o->salt, row->salt, sizeof o->salt);
	return KE_OK;
}

/* The own ticket and its log; anybody else's is not found, nor is one of a raffle without a log. */
static int find_ticket(struct rq *q, struct db_log *log, int64_t *index, struct owner *o)
{
	const uint8_t *id = rq_field(q, 0)->p;
	int64_t raffle;
	int r;

	ticketid_place(id, &raffle, index);
	r = db_ticket_at(q->e->db, raffle, *index, take_owner, o);
	if (r == KE_OK && (memcmp(o->ticket, id, sizeof o->ticket) != 0 ||
			      memcmp(o->user, q->user, sizeof q->user) != 0))
		r = KE_NOTFOUND;
	if (r == KE_OK)
		r = db_log_get(q->e->db, raffle, log);
	return r == KE_NOTFOUND ? rq_refuse(q, PB_NOT_FOUND) : r;
}

int api_ticket_receipt(struct rq *q)
{
	struct db_log log;
	struct owner o;
	int64_t index;
	size_t len = 0;
	int r = find_ticket(q, &log, &index, &o);

	if (r != KE_OK)
		return r;
	if (!ckpt_covers(&log, (uint64_t)index))
		return rq_refuse_retry(q, PB_RECEIPT_PREPARING, 1);
	r = tlogproof_write(q->e, &log, (uint64_t)index, UINT64_MAX, o.salt, sizeof o.salt,
	    q->e->scratch, ENGINE_SCRATCH, &len);
	return r == KE_OK ? rq_text(q, API_TEXT, len) : r;
}
