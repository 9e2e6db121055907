/*
 * The audit trail (db_audit.h): a hash chain whose head is kept in memory. Runs in engine.
 */
#include <stdio.h>
#include <string.h>

#include "db/db_audit.h"
#include "db/db_sql.h"
#include "policy/hash.h"
#include "policy/text.h"

enum { APPEND, PAGE, ALL, HASH };
static const char *const texts[] = {
    [APPEND] = "INSERT INTO audit (seq, at_ms, actor, action, subject, detail, hash)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [PAGE] = "SELECT seq, at_ms, actor, action, subject, detail, hash FROM audit"
	     " WHERE seq < $1 ORDER BY seq DESC LIMIT $2",
    [HASH] = "SELECT hash FROM audit WHERE seq = $1",
    [ALL] = "SELECT seq, at_ms, actor, action, subject, detail, hash FROM audit ORDER BY seq",
};
DB_SQL_LIST(audit, texts);

/* hash before ‖ line */
#define INPUT_MAX (32 + 14 + 21 + 21 + 33 + DB_ACTION_MAX + 1 + 33 + DB_DETAIL_MAX + 1)

static void id_text(char out[33], const uint8_t *id, bool has)
{
	if (has)
		text_hex(out, id, 16);
	else
		memcpy(out, "-", 2);
}

/* The hash of a line after `before`; KE_LONG, KE_FORMAT. */
static int chain(const struct db_audit *a, const uint8_t before[32], uint8_t hash[32])
{
	char in[INPUT_MAX], actor[33], subject[33];

	if (a->detail_len > DB_DETAIL_MAX || strlen(a->action) > DB_ACTION_MAX)
		return KE_LONG;
	if (!a->action[0] || strpbrk(a->action, " \n") || memchr(a->detail, '\n', a->detail_len))
		return KE_FORMAT;
	id_text(actor, a->actor, a->has_actor);
	id_text(subject, a->subject, a->has_subject);
	memcpy(in, before, 32);
	int n = snprintf(in + 32, sizeof in - 32, "klero-audit/1 %lld %lld %s %s %s ",
	    (long long)a->seq, (long long)a->at_ms, actor, a->action, subject);
	if (n < 0 || 32 + (size_t)n + a->detail_len > sizeof in)
		return KE_LONG;
	memcpy(in + 32 + n, a->detail, a->detail_len);
	hash_sha256(hash, in, 32 + (size_t)n + a->detail_len);
	return KE_OK;
}

static int insert(struct db *d, const struct db_audit *a)
{
	struct db_st *st = db_sql(d, DB_NOUN_audit, APPEND);

	db_in_int(st, a->seq);
	db_in_int(st, a->at_ms);
	db_in_id(st, a->has_actor ? a->actor : NULL);
	db_in_cstr(st, a->action);
	db_in_id(st, a->has_subject ? a->subject : NULL);
	db_in_text(st, a->detail, a->detail_len);
	db_in_blob(st, a->hash, 32);
	return db_exec(st);
}

int db_audit_append(struct db *d, int64_t now_ms, const uint8_t *actor, const char *action,
    const uint8_t *subject, const char *detail, size_t n)
{
	struct db_head *h = db_head(d);
	struct db_audit a = {.seq = h->audit + 1,
	    .at_ms = now_ms,
	    .has_actor = actor,
	    .has_subject = subject,
	    .action = action,
	    .detail = n ? detail : "",
	    .detail_len = n};

	if (actor)
		memcpy(a.actor, actor, 16);
	if (subject)
		memcpy(a.subject, subject, 16);
	int r = chain(&a, h->audit_hash, a.hash);
	if (!r)
		r = insert(d, &a);
	if (r)
		return r;
	h->audit = a.seq;
	memcpy(h->audit_hash, a.hash, 32);
	return KE_OK;
}

struct rows {
	int (*each)(void *arg, const struct db_audit *a);
	void *arg;
};

static int one_row(struct db_st *st, void *arg)
{
	const struct rows *rs = arg;
	struct db_audit a;
	char action[DB_ACTION_MAX + 1];

	a.seq = db_out_int(st);
	a.at_ms = db_out_int(st);
	a.has_actor = !db_out_isnull(st);
	db_out_blob(st, a.actor, 16);
	db_out_text(st, action, sizeof action);
	a.action = action;
	a.has_subject = !db_out_isnull(st);
	db_out_blob(st, a.subject, 16);
	a.detail = db_out_view(st, &a.detail_len);
	if (!a.detail)
		a.detail = "";
	db_out_blob(st, a.hash, 32);
	return rs->each(rs->arg, &a);
}

int db_audit_page(struct db *d, int64_t before, int64_t limit,
    int (*each)(void *arg, const struct db_audit *a), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_audit, PAGE);
	struct rows rs = {each, arg};

	db_in_int(st, before ? before : INT64_MAX);
	db_in_int(st, limit);
	return db_each(st, one_row, &rs);
}

int db_audit_head(struct db *d, int64_t *seq, uint8_t hash[32])
{
	const struct db_head *h = db_head(d);

	if (!db_turn_open(d))
		return KE_STATE;
	*seq = h->audit;
	memcpy(hash, h->audit_hash, 32);
	return KE_OK;
}

int db_audit_hash(struct db *d, int64_t seq, uint8_t hash[32])
{
	struct db_st *st = db_sql(d, DB_NOUN_audit, HASH);

	db_in_int(st, seq);
	int r = db_step(st);
	if (r)
		return r;
	db_out_blob(st, hash, 32);
	return db_end(st);
}

struct walk {
	int64_t seq, bad;
	uint8_t hash[32];
};

static int walk_row(void *arg, const struct db_audit *a)
{
	struct walk *w = arg;
	uint8_t hash[32];

	w->bad = a->seq;
	if (a->seq != w->seq + 1 || chain(a, w->hash, hash) || memcmp(hash, a->hash, 32) != 0)
		return KE_DAMAGED;
	w->bad = 0;
	w->seq = a->seq;
	memcpy(w->hash, hash, 32);
	return KE_OK;
}

int db_audit_check(struct db *d, int64_t *lines, int64_t *bad)
{
	struct walk w = {0};
	struct rows rs = {walk_row, &w};

	int r = db_each(db_sql(d, DB_NOUN_audit, ALL), one_row, &rs);
	/* The rows end where the head says they do: lines cut off the end would fit the chain. */
	if (!r && (w.seq != db_head(d)->audit || memcmp(w.hash, db_head(d)->audit_hash, 32) != 0))
		r = KE_DAMAGED;
	*lines = w.seq;
	if (bad)
		*bad = w.bad;
	return r;
}
