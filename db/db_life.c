/*
 * Lives of v2 raffles, and refunds (db_life.h). Runs in engine.
 */
#include "db/db_life.h"

#include <string.h>

#include "db/db_behind.h"
#include "db/db_sql.h"
#include "policy/be.h"

enum {
	CREATE,
	GET,
	RULES,
	TERMS,
	SALES_CLOSE,
	ON_DEFAULT,
	TOLD,
	SEEN,
	HOW_MANY_SEEN,
	OVER,
	REFUNDED,
	LATE,
	PROPOSE,
	PENDING,
	DECIDED,
	SET_ASKED,
	ASKED,
	EXISTS,
	REFUND_DUE,
	REFUND_PUT,
	REFUND_SUM
};
static const char *const texts[] = {
    [CREATE] = "INSERT INTO lives (raffle, deadline_s, late_s, beacons, dedupe, on_default,"
	       " rules_hash, rules) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    [GET] = "SELECT l.deadline_s, l.late_s, l.beacons, l.dedupe, l.on_default, l.rules_hash,"
	    " l.told, l.seen, l.over, l.refunded_ms, r.sales_close_s"
	    " FROM lives l JOIN raffles r ON r.no = l.raffle"
	    " WHERE l.raffle = $1",
    [RULES] = "SELECT rules FROM lives WHERE raffle = $1",
    [TERMS] = "UPDATE lives SET deadline_s = $2, late_s = $3, beacons = $4 WHERE raffle = $1",
    [SALES_CLOSE] = "UPDATE raffles SET sales_close_s = $2, version = version + 1 WHERE no = $1",
    [ON_DEFAULT] = "UPDATE lives SET on_default = $2 WHERE raffle = $1",
    [TOLD] = "UPDATE lives SET told = $2 WHERE raffle = $1",
    [SEEN] = "UPDATE lives SET seen = $2 WHERE raffle = $1",
    [HOW_MANY_SEEN] = "SELECT count(*) FROM lives WHERE over = 0 AND seen > 0 AND seen = $1",
    [OVER] = "UPDATE lives SET over = 1 WHERE raffle = $1",
    [REFUNDED] = "UPDATE lives SET refunded_ms = $2 WHERE raffle = $1 AND refunded_ms = 0",
    [LATE] = "SELECT count(*) FROM lives l JOIN raffles r ON r.no = l.raffle"
	     " WHERE l.over = 0 AND l.late_s <= $1 AND r.state >= 1",
    [PROPOSE] = "UPDATE lives SET pending_kind = $2, pending = $3, commit1 = $4, commit2 = $5,"
		" blob = $6, pending_by = $7, pending_scope = $8, pending_body = $9"
		" WHERE raffle = $1 AND pending IS NULL",
    [PENDING] = "SELECT pending_kind, pending, commit1, commit2, blob, pending_by, pending_scope,"
		" pending_body FROM lives WHERE raffle = $1 AND pending IS NOT NULL",
    [DECIDED] = "UPDATE lives SET pending_kind = NULL, pending = NULL, commit1 = NULL,"
		" commit2 = NULL, blob = NULL, pending_by = NULL, pending_scope = NULL,"
		" pending_body = NULL WHERE raffle = $1",
    /* what says whose a waiting record is; no record waits while a draw is asked for */
    [SET_ASKED] = "UPDATE lives SET pending_scope = $2, pending_body = $3"
		  " WHERE raffle = $1 AND pending IS NULL",
    [ASKED] = "SELECT pending_scope, pending_body FROM lives WHERE raffle = $1"
	      " AND pending IS NULL",
    [EXISTS] = "SELECT 1 FROM lives WHERE raffle = $1",
    [REFUND_DUE] = "SELECT h.no, h.user_id, g.tickets FROM holders h"
		   " JOIN " DB_HOLDINGS " g ON g.holder = h.no"
		   " LEFT JOIN refunds f ON f.holder = h.no"
		   " WHERE h.raffle = $1 AND h.user_id > $2 AND g.tickets > 0 AND f.holder IS NULL"
		   " ORDER BY h.user_id LIMIT $3",
    [REFUND_PUT] = "INSERT INTO refunds (holder, transfer, amount, at_ms) VALUES ($1, $2, $3, $4)",
    [REFUND_SUM] = "SELECT count(*), coalesce(sum(f.amount), 0) FROM holders h"
		   " JOIN refunds f ON f.holder = h.no WHERE h.raffle = $1",
};
DB_SQL_LIST(life, texts);

static struct db_st *sql(struct db *d, size_t i, int64_t raffle)
{
	struct db_st *st = db_sql(d, DB_NOUN_life, i);

	db_in_int(st, raffle);
	return st;
}

/* --- beacons: kind, chain hash or chain number, round or moment --- */

#define BEACON_LEN 41

static size_t put_beacons(const struct record2_terms *t, uint8_t out[])
{
	for (size_t i = 0; i < t->nbeacons; i++) {
		const struct beacon *b = &t->beacons[i];
		uint8_t *p = out + i * BEACON_LEN;

		memset(p, 0, BEACON_LEN);
		p[0] = (uint8_t)b->kind;
		if (b->kind == BEACON_DRAND)
			memcpy(p + 1, b->chain_hash, 32);
		else
			be_put64(p + 1, b->chain);
		be_put64(p + 33, b->kind == BEACON_DRAND ? b->round : b->at_ms);
	}
	return t->nbeacons * BEACON_LEN;
}

static void get_beacons(struct record2_terms *t, const uint8_t *in, size_t n)
{
	t->nbeacons = n / BEACON_LEN;
	for (size_t i = 0; i < t->nbeacons; i++) {
		struct beacon *b = &t->beacons[i];
		const uint8_t *p = in + i * BEACON_LEN;

		*b = (struct beacon){.kind = (enum beacon_kind)p[0]};
		if (b->kind == BEACON_DRAND) {
			memcpy(b->chain_hash, p + 1, 32);
			b->round = be_get64(p + 33);
		} else {
			b->chain = be_get64(p + 1);
			b->at_ms = be_get64(p + 33);
		}
	}
}

static bool fits(const struct record2_terms *t, uint64_t late_s)
{
	return t->nbeacons > 0 && t->nbeacons <= RECORD2_BEACONS_MAX &&
	       t->sales_close_s <= INT64_MAX && t->deadline_s <= INT64_MAX && late_s <= INT64_MAX;
}

static int set_sales_close(struct db *d, int64_t raffle, uint64_t at_s)
{
	struct db_st *st = sql(d, SALES_CLOSE, raffle);

	db_in_int(st, (int64_t)at_s);
	return db_exec_one(st);
}

/* --- the row --- */

int db_life_create(struct db *d, const struct db_life *l, const char *rules, size_t n)
{
	uint8_t beacons[RECORD2_BEACONS_MAX * BEACON_LEN];
	struct db_st *st;

	if (n > DB_RULES_MAX)
		return KE_LONG;
	if (!fits(&l->terms, l->late_s))
		return KE_RANGE;
	st = sql(d, CREATE, l->raffle);
	db_in_int(st, (int64_t)l->terms.deadline_s);
	db_in_int(st, (int64_t)l->late_s);
	db_in_blob(st, beacons, put_beacons(&l->terms, beacons));
	db_in_int(st, l->dedupe);
	db_in_int(st, l->on_default);
	db_in_blob(st, l->rules, 32);
	db_in_text(st, rules, n);
	int r = db_exec(st);
	return r ? r : set_sales_close(d, l->raffle, l->terms.sales_close_s);
}

int db_life_get(struct db *d, int64_t raffle, struct db_life *l)
{
	uint8_t beacons[RECORD2_BEACONS_MAX * BEACON_LEN];
	struct db_st *st = sql(d, GET, raffle);
	size_t n;

	int r = db_step(st);
	if (r)
		return r;
	*l = (struct db_life){.raffle = raffle};
	l->terms.deadline_s = (uint64_t)db_out_int(st);
	l->late_s = (uint64_t)db_out_int(st);
	db_out_bytes(st, beacons, sizeof beacons, &n);
	get_beacons(&l->terms, beacons, n);
	l->dedupe = (unsigned)db_out_int(st);
	l->on_default = (unsigned)db_out_int(st);
	db_out_blob(st, l->rules, 32);
	l->told = (enum db_told)db_out_int(st);
	l->seen = (enum db_seen)db_out_int(st);
	l->over = db_out_int(st) != 0;
	l->refunded_ms = db_out_int(st);
	l->terms.sales_close_s = (uint64_t)db_out_int(st);
	return db_end(st);
}

int db_life_rules(struct db *d, int64_t raffle, char *buf, size_t cap, size_t *n)
{
	return db_exec_copy(sql(d, RULES, raffle), buf, cap, n);
}

int db_life_set_terms(struct db *d, int64_t raffle, const struct record2_terms *t, uint64_t late_s)
{
	uint8_t beacons[RECORD2_BEACONS_MAX * BEACON_LEN];
	struct db_st *st;

	if (!fits(t, late_s))
		return KE_RANGE;
	st = sql(d, TERMS, raffle);
	db_in_int(st, (int64_t)t->deadline_s);
	db_in_int(st, (int64_t)late_s);
	db_in_blob(st, beacons, put_beacons(t, beacons));
	int r = db_exec_one(st);
	return r ? r : set_sales_close(d, raffle, t->sales_close_s);
}

int db_life_set_default(struct db *d, int64_t raffle, unsigned on_default)
{
	struct db_st *st = sql(d, ON_DEFAULT, raffle);

	db_in_int(st, on_default);
	return db_exec_one(st);
}

int db_life_set_told(struct db *d, int64_t raffle, enum db_told told)
{
	struct db_st *st = sql(d, TOLD, raffle);

	db_in_int(st, told);
	return db_exec_one(st);
}

int db_life_set_seen(struct db *d, int64_t raffle, enum db_seen seen)
{
	struct db_st *st = sql(d, SEEN, raffle);

	db_in_int(st, seen);
	return db_exec_one(st);
}

int db_life_seen(struct db *d, enum db_seen seen, int64_t *n)
{
	return db_exec_int(sql(d, HOW_MANY_SEEN, seen), n);
}

int db_life_set_over(struct db *d, int64_t raffle)
{
	return db_exec_one(sql(d, OVER, raffle));
}

int db_life_set_refunded(struct db *d, int64_t raffle, int64_t now_ms)
{
	struct db_st *st = sql(d, REFUNDED, raffle);

	db_in_int(st, now_ms);
	return db_exec_cas(st, sql(d, EXISTS, raffle), KE_STATE);
}

int db_life_late(struct db *d, int64_t now_s, int64_t *n)
{
	return db_exec_int(sql(d, LATE, now_s), n);
}

/* --- what waits for hsm --- */

static void in_request(struct db_st *st, const struct db_idem_name *request)
{
	if (request->keyed) {
		db_in_id(st, request->scope);
		db_in_blob(st, request->body_hash, 32);
	} else {
		db_in_null(st);
		db_in_null(st);
	}
}

static void out_request(struct db_st *st, struct db_idem_name *request)
{
	request->keyed = !db_out_isnull(st);
	db_out_blob(st, request->scope, 16);
	db_out_blob(st, request->body_hash, 32);
}

int db_life_propose(struct db *d, int64_t raffle, const struct db_pending *p)
{
	struct db_st *st = sql(d, PROPOSE, raffle);

	db_in_int(st, p->kind);
	db_in_text(st, p->text, p->len);
	if (p->kind == RECORD2_OPEN) {
		db_in_blob(st, p->commit1, 32);
		db_in_blob(st, p->commit2, 32);
		db_in_cstr(st, p->blob);
	} else {
		db_in_null(st);
		db_in_null(st);
		db_in_null(st);
	}
	db_in_id(st, p->by);
	in_request(st, &p->request);
	return db_exec_cas(st, sql(d, EXISTS, raffle), KE_STATE);
}

int db_life_pending(struct db *d, int64_t raffle, struct db_pending *p)
{
	struct db_st *st = sql(d, PENDING, raffle);

	int r = db_step(st);
	if (r)
		return r;
	*p = (struct db_pending){.kind = (enum record2_kind)db_out_int(st)};
	db_out_text(st, p->text, sizeof p->text);
	p->len = strlen(p->text);
	db_out_blob(st, p->commit1, 32);
	db_out_blob(st, p->commit2, 32);
	db_out_text(st, p->blob, sizeof p->blob);
	db_out_blob(st, p->by, 16);
	out_request(st, &p->request);
	return db_end(st);
}

int db_life_decided(struct db *d, int64_t raffle)
{
	return db_exec_one(sql(d, DECIDED, raffle));
}

int db_life_set_asked(struct db *d, int64_t raffle, const struct db_idem_name *request)
{
	struct db_st *st = sql(d, SET_ASKED, raffle);

	in_request(st, request);
	return db_exec_cas(st, sql(d, EXISTS, raffle), KE_STATE);
}

int db_life_asked(struct db *d, int64_t raffle, struct db_idem_name *request)
{
	struct db_st *st = sql(d, ASKED, raffle);

	*request = (struct db_idem_name){.keyed = false};
	int r = db_step(st);
	if (r)
		return r == KE_NOTFOUND ? KE_OK : r;
	out_request(st, request);
	return db_end(st);
}

/* --- refunds --- */

struct due {
	int (*each)(void *arg, const struct db_refund *r);
	void *arg;
};

static int due_row(struct db_st *st, void *arg)
{
	const struct due *due = arg;
	struct db_refund r;

	r.holder = db_out_int(st);
	db_out_blob(st, r.user, 16);
	r.tickets = db_out_int(st);
	return due->each(due->arg, &r);
}

int db_refund_due(struct db *d, int64_t raffle, const uint8_t after[16], int64_t limit,
    int (*each)(void *arg, const struct db_refund *r), void *arg)
{
	struct db_st *st = sql(d, REFUND_DUE, raffle);
	struct due due = {each, arg};

	db_in_id(st, after);
	db_in_int(st, limit);
	return db_each(st, due_row, &due);
}

int db_refund_put(struct db *d, int64_t holder, int64_t transfer, int64_t amount, int64_t now_ms)
{
	struct db_st *st = sql(d, REFUND_PUT, holder);

	db_in_int(st, transfer);
	db_in_int(st, amount);
	db_in_int(st, now_ms);
	return db_exec(st);
}

int db_refund_sum(struct db *d, int64_t raffle, int64_t *n, int64_t *amount)
{
	struct db_st *st = sql(d, REFUND_SUM, raffle);

	int r = db_step(st);
	if (r)
		return r;
	*n = db_out_int(st);
	*amount = db_out_int(st);
	return db_end(st);
}
