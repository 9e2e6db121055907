/*
 * Idempotency-Key: see idem.h. Runs in engine.
 */
#include "daemon/engine/idem.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/raffle.h"
#include "daemon/msg/log.h"
#include "policy/hash.h"

/*
 * Forms of a stored answer. The second is for one that may be too long for its row and cannot
 * change any more, a drawn raffle: without a body, which is written again from the raffle for a
 * replay (raffle_answer() says when).
 */
#define IDEM_WHOLE  1
#define IDEM_RAFFLE 2

static struct db_idem_key key_of(const struct rq *q)
{
	struct db_idem_key k = {
	    .route = q->row->name, .key = q->req.idem, .key_len = q->req.idem_len};

	memcpy(k.user, q->user, sizeof k.user);
	return k;
}

/* Everything the client said, path and If-Match too. */
static void body_hash(const struct rq *q, uint8_t out[32])
{
	uint64_t version = (uint64_t)q->req.if_match;
	uint8_t head[8];

	for (int i = 0; i < 8; i++)
		head[i] = (uint8_t)(version >> (8 * i));
	hash_sha256_2(out, head, sizeof head, q->req.fields, q->req.fields_len);
}

static bool in_flight(const struct rq *q)
{
	const struct jobs *jobs = &q->e->jobs;

	for (unsigned i = 0; jobs->waiting > 0 && i < JOBS_MAX; i++) {
		const struct rq *other = jobs->place[i] == NULL ? NULL : rq_of_job(jobs->place[i]);

		if (other != NULL && other->row == q->row && other->keep &&
		    other->req.idem_len == q->req.idem_len &&
		    memcmp(other->req.idem, q->req.idem, q->req.idem_len) == 0 &&
		    memcmp(other->user, q->user, sizeof q->user) == 0)
			return true;
	}
	return false;
}

/* u8 format, u8 type, i64 version, str location, body */
static int answer_put(const struct rq *q, uint8_t *buf, size_t cap, size_t *len)
{
	const struct api_ans *a = &q->ans;
	struct wire_out w;

	if ((a->flags & API_ANS_FILE) != 0)
		return KE_FULL;
	wire_out_init(&w, buf, cap);
	wire_put_u8(&w, q->again ? IDEM_RAFFLE : IDEM_WHOLE);
	wire_put_u8(&w, a->type);
	wire_put_i64(&w, a->version);
	wire_put_str(&w, a->location, a->location_len);
	wire_put_raw(&w, a->body, q->again ? 0 : a->body_len);
	*len = w.len;
	return w.err;
}

static int answer_get(struct rq *q, uint16_t status, const uint8_t *buf, size_t len)
{
	struct wire_in in;
	const uint8_t *location;
	uint8_t format;
	size_t n;

	wire_in_init(&in, buf, len);
	format = wire_get_u8(&in);
	if (format != IDEM_WHOLE && format != IDEM_RAFFLE)
		return KE_VERSION;
	q->ans.status = status;
	q->ans.type = wire_get_u8(&in);
	q->ans.version = wire_get_i64(&in);
	location = wire_get_str(&in, sizeof q->location, &n);
	if (in.err != KE_OK)
		return KE_DAMAGED;
	memcpy(q->location, location, n);
	q->ans.location = (const uint8_t *)q->location;
	q->ans.location_len = n;
	q->ans.body_len = (size_t)(in.end - in.p);
	q->ans.body = in.p;
	q->ans.flags |= API_ANS_REPLAY;
	return format == IDEM_RAFFLE ? raffle_answer(q) : KE_OK;
}

int idem_name(const struct rq *q, struct db_idem_name *name)
{
	struct db_idem_key k = key_of(q);

	*name = (struct db_idem_name){.keyed = q->keep};
	if (!name->keyed)
		return KE_OK;
	body_hash(q, name->body_hash);
	return db_idem_scope(&k, name->scope);
}

bool idem_is(const struct rq *q, const struct db_idem_name *name)
{
	struct db_idem_name own;

	return idem_name(q, &own) == KE_OK && own.keyed && name->keyed &&
	       memcmp(own.scope, name->scope, sizeof own.scope) == 0 &&
	       memcmp(own.body_hash, name->body_hash, sizeof own.body_hash) == 0;
}

/* The effect came when nobody waited: told as things stand now, and from here on always so. */
static int tell_promised(struct rq *q)
{
	int r = raffle_answer(q);

	q->keep = true; /* idem_keep() writes it into the row */
	q->ans.flags |= API_ANS_REPLAY;
	return r;
}

int idem_look(struct rq *q)
{
	struct db_idem_key k = key_of(q);
	struct db_idem v;
	uint8_t hash[32];
	int r;

	if (q->row->idem == IDEM_NONE || q->req.idem_len == 0)
		return q->row->idem == IDEM_REQUIRED ? rq_refuse(q, PB_IDEM_REQUIRED) : KE_OK;
	r = db_idem_get(q->e->db, &k, &v, q->e->stored, DB_ANSWER_MAX);
	if (r == KE_NOTFOUND) {
		if (in_flight(q))
			return rq_refuse(q, PB_IDEM_IN_FLIGHT);
		q->keep = true;
		return KE_OK;
	}
	if (r != KE_OK)
		return r;
	body_hash(q, hash);
	if (memcmp(hash, v.body_hash, sizeof hash) != 0)
		return rq_refuse(q, PB_IDEM_MISMATCH);
	r = v.status == 0 ? tell_promised(q) : answer_get(q, v.status, v.answer, v.answer_len);
	return r == KE_OK ? KE_EXISTS : r;
}

int idem_keep(struct rq *q)
{
	struct db_idem_key k = key_of(q);
	struct db_idem v = {.status = q->ans.status, .created_ms = q->now_ms};
	int r;

	if (!q->keep || q->ans.status >= 500 || q->ans.status == 429)
		return KE_OK;
	v.answer = q->e->stored;
	r = answer_put(q, q->e->stored, DB_ANSWER_MAX, &v.answer_len);
	if (r != KE_OK)
		return r;
	body_hash(q, v.body_hash);
	r = db_idem_put(q->e->db, &k, &v);
	if (r == KE_EXISTS)
		log_error("%s: an idempotency key was taken while its request ran", q->row->name);
	return r;
}
