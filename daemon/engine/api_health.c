/*
 * How the appliance is: health, metrics; and what admins and auditors read: audit, jobs. Runs in
 * engine. Health must answer while the store does not.
 */
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/health.h"
#include "daemon/engine/list.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_job.h"
#include "db/db_meta.h"
#include "db/db_user.h"
#include "policy/be.h"

/* Does the store answer? Asked afresh each time: one look-up by key. */
static bool store_works(struct engine *e)
{
	uint8_t id[16];
	size_t n;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_meta_get(e->db, DB_META_APPLIANCE, id, sizeof id, &n);
	return r == KE_OK && !e->turn.sick;
}

/* The present one has answered: its channel is there from its start on, before it has logged in. */
static bool hsm_works(const struct engine *e)
{
	return e->peers.hsm.chan != NULL && e->hsm.known == e->peers.hsm.serial;
}

void health_tokens(struct engine *e, const struct msg *m)
{
	/* raw[2] by the table */
	for (size_t i = 0; i < 2; i++) {
		if (m->body[i] >= TOKEN_STATES)
			fatal("parent names a state of a token that there is not");
		e->tokens_are[i] = m->body[i];
	}
}

/* Why a token does not serve; works: what engine sees itself. */
static const char *token_word(const struct engine *e, size_t which, bool works)
{
	static const char *const words[TOKEN_STATES] = {
	    [TOKEN_OK] = "unavailable",
	    [TOKEN_AWAY] = "unavailable",
	    [TOKEN_REFUSES] = "pin-refused",
	    [TOKEN_LOCKED] = "pin-locked",
	    [TOKEN_OTHER] = "other-token",
	};

	return works ? "ok" : words[e->tokens_are[which]];
}

bool health_ready(struct engine *e, enum problem *p)
{
	if (!store_works(e))
		*p = PB_STORE_UNAVAILABLE;
	else if (!hsm_works(e))
		*p = PB_HSM_UNAVAILABLE;
	else if (peers_kdfs(e) == 0)
		*p = PB_RESTARTING;
	else
		return true;
	return false;
}

/* What auditors of the operator log are given: hsm's present log key, under that log's name. */
static void put_log_key(const struct engine *e, struct jsonw *w)
{
	const struct note_key *now = &e->hsm.log;
	char vkey[NOTE_VKEY_MAX];
	struct note_key k;

	if (e->hsm.log_version != 0 &&
	    origin_key(&(struct log_name){.oplog = true}, e->conf.host, now->type, now->pub, &k) ==
		KE_OK &&
	    note_vkey(k.name, k.type, k.pub, vkey, sizeof vkey) == KE_OK)
		jsonw_kcstr(w, "log_vkey", vkey);
}

static void put_more(struct engine *e, struct jsonw *w)
{
	static const char *const ledger[] = {[MAINT_LEDGER_UNKNOWN] = "being checked",
	    [MAINT_LEDGER_OK] = "ok",
	    [MAINT_LEDGER_BROKEN] = "does not sum to zero"};
	int64_t users = 0;

	if (turn_begin(e) == KE_OK && db_user_count(e->db, &users) == KE_OK)
		jsonw_kint(w, "users", users);
	jsonw_kcstr(w, "ledger", ledger[e->maint.ledger]);
	jsonw_kint(w, "schema", db_schema(e->db));
	jsonw_kint(w, "token_key_version", e->hsm.tokens.key[0].version);
	jsonw_kint(w, "log_key_version", e->hsm.log_version);
	jsonw_kbool(w, "v1_commitments", e->hsm.has_digest_key);
	jsonw_kint(w, "waiting", e->jobs.waiting);
	jsonw_kint(w, "kdf_queue", e->kdf.queued);
	jsonw_kint(w, "turns", (int64_t)e->metrics.counter[METRIC_TURNS]);
	put_log_key(e, w);
	jsonw_kint(w, "checkpoints", (int64_t)e->ckpt.signatures);
	jsonw_kint(w, "tickets_sold", (int64_t)e->metrics.counter[METRIC_TICKETS_SOLD]);
}

static bool any_seen(struct engine *e, enum db_seen seen)
{
	int64_t n = 0;

	return turn_begin(e) == KE_OK && db_life_seen(e->db, seen, &n) == KE_OK && n > 0;
}

/*
 * "unwitnessed": a v2 raffle can only be aborted; "late": one has neither draw nor abort though its
 * values should be there; "waiting": one waits for its witnesses.
 */
static const char *draws_word(struct engine *e)
{
	int64_t n = 0;

	if (any_seen(e, DB_SEEN_TOO_LATE))
		return "unwitnessed";
	if (turn_begin(e) == KE_OK && life_late(e, &n) == KE_OK && n > 0)
		return "late";
	return any_seen(e, DB_SEEN_WAITING) ? "waiting" : "ok";
}

void health_put(struct engine *e, struct jsonw *w, bool more)
{
	static const char *const history[] = {[QUORUM_HISTORY_UNKNOWN] = "unknown",
	    [QUORUM_HISTORY_OK] = "ok",
	    [QUORUM_HISTORY_OLDER] = "older-than-token"};
	bool store = store_works(e), hsm = hsm_works(e);
	unsigned n = peers_kdfs(e);

	jsonw_object(w);
	jsonw_kcstr(w, "status", store && hsm && n > 0 ? "ok" : "degraded");
	jsonw_kcstr(w, "database", store ? "ok" : "unavailable");
	jsonw_kcstr(w, "hsm", token_word(e, 0, hsm));
	jsonw_kcstr(w, "tls", token_word(e, 1, e->tokens_are[1] == TOKEN_OK));
	jsonw_kcstr(w, "kdf", n > 0 ? "ok" : "unavailable");
	jsonw_kcstr(w, "history", history[e->quorum.history]);
	jsonw_kcstr(w, "logs", ckpt_late(e) ? "late" : "ok");
	if (cosign_word(e) != NULL)
		jsonw_kcstr(w, "cosignatures", cosign_word(e));
	if (witness_word(e) != NULL)
		jsonw_kcstr(w, "witness", witness_word(e));
	jsonw_kcstr(w, "draws", draws_word(e));
	jsonw_kcstr(w, "clock", beacons_clock_word(beacons_clock(e)));
	if (beacons_clock(e) != BEACONS_CLOCK_NONE || e->conf.beacons.nists[0][0] != '\0')
		jsonw_kcstr(w, "beacons", beacons_works(e) ? "ok" : "unavailable");
	jsonw_kcstr(w, "version", KLERO_VERSION);
	if (more)
		put_more(e, w);
	jsonw_object_end(w);
}

int api_health(struct rq *q)
{
	health_put(q->e, rq_json(q), false);
	return rq_json_end(q);
}

int api_health_ready(struct rq *q)
{
	enum problem p;
	struct jsonw *w;

	if (!health_ready(q->e, &p))
		return rq_refuse_retry(q, p, 2);
	w = rq_json(q);
	jsonw_object(w);
	jsonw_kcstr(w, "status", "ready");
	jsonw_object_end(w);
	return rq_json_end(q);
}

int api_metrics(struct rq *q)
{
	size_t len;
	int r = metrics_write(q->e, q->e->scratch, ENGINE_SCRATCH, &len);

	if (r == KE_FULL)
		return KE_INTERNAL;
	return r == KE_OK ? rq_text(q, API_TEXT_METRICS, len) : r;
}

/* net answers these two itself; asking engine finds nothing. */
int api_openapi(struct rq *q)
{
	return rq_refuse(q, PB_NOT_FOUND);
}

int api_verify_page(struct rq *q)
{
	return rq_refuse(q, PB_NOT_FOUND);
}

/* --- audit --- */

static int put_line(void *arg, const struct db_audit *a)
{
	struct list *l = arg;

	if (!list_take_number(l, a->seq))
		return KE_OK;
	jsonw_object(l->w);
	jsonw_kint(l->w, "seq", a->seq);
	jsonw_ktime(l->w, "at", a->at_ms);
	if (a->has_actor)
		jsonw_kuuid(l->w, "actor", a->actor);
	jsonw_kcstr(l->w, "action", a->action);
	if (a->has_subject)
		jsonw_kuuid(l->w, "subject", a->subject);
	jsonw_key(l->w, "detail");
	jsonw_raw(l->w, a->detail, a->detail_len);
	jsonw_khex(l->w, "hash", a->hash, sizeof a->hash);
	jsonw_object_end(l->w);
	return KE_OK;
}

int api_audit(struct rq *q)
{
	struct list l;
	int r = list_begin(&l, q, 0, "", 8);

	if (r == KE_OK)
		r = db_audit_page(q->e->db, list_number(&l), list_wanted(&l), put_line, &l);
	return r == KE_OK ? list_end(&l) : r;
}

/* --- jobs --- */

/*
 * The position of this list: state, when it runs, id. 56 bits of milliseconds last for two million
 * years; no job runs before 1970.
 */
#define JOB_POS 16
#define RUN_AT  ((UINT64_C(1) << 56) - 1)

static void pos_of_job(const struct db_job *j, uint8_t pos[JOB_POS])
{
	be_put64(pos, (uint64_t)j->state << 56 | ((uint64_t)j->run_at_ms & RUN_AT));
	be_put64(pos + 8, (uint64_t)j->id);
}

static struct db_job_at job_at(const uint8_t pos[JOB_POS])
{
	uint64_t at = be_get64(pos);

	return (struct db_job_at){.state = (enum db_job_state)(at >> 56),
	    .run_at_ms = (int64_t)(at & RUN_AT),
	    .id = (int64_t)be_get64(pos + 8)};
}

static int put_job(void *arg, const struct db_job *j)
{
	struct list *l = arg;
	struct jsonw *w = l->w;
	uint8_t pos[JOB_POS];

	pos_of_job(j, pos);
	if (!list_take(l, pos))
		return KE_OK;
	jsonw_object(w);
	jsonw_kint(w, "id", j->id);
	jsonw_kcstr(w, "kind", j->kind);
	jsonw_kuuid(w, "subject", j->subject);
	jsonw_kcstr(w, "state", db_job_word(j->state));
	jsonw_kint(w, "attempts", j->attempts);
	jsonw_ktime(w, "run_at", j->run_at_ms);
	jsonw_ktime(w, "updated_at", j->updated_ms);
	if (j->last_error[0] != '\0')
		jsonw_kcstr(w, "last_error", j->last_error);
	jsonw_object_end(w);
	return KE_OK;
}

int api_jobs(struct rq *q)
{
	struct db_job_at after;
	struct list l;
	int r = list_begin(&l, q, 0, "", JOB_POS);

	if (r == KE_OK) {
		after = job_at(l.pos);
		r = db_job_list(q->e->db, l.from ? &after : NULL, list_wanted(&l), put_job, &l);
	}
	if (r == KE_RANGE)
		return rq_refuse(q, PB_CURSOR);
	return r == KE_OK ? list_end(&l) : r;
}
