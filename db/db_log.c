/*
 * Logs (db_log.h). Runs in engine.
 */
#include <string.h>

#include "db/db_log.h"
#include "db/db_sql.h"

enum {
	GET_OPERATOR,
	GET,
	OF_RAFFLE,
	OPERATOR_BEHIND,
	BEHIND,
	COMPLETE,
	NODES,
	GROW,
	APPEND,
	RECORDS,
	LEAVES,
	OF_KIND,
	LOGGED_OPERATOR,
	LOGGED,
	PUT_CHECKPOINT,
	DROP_CHECKPOINTS,
	CHECKPOINT,
	MET,
	SET_NOTE
};
#define CHECKPOINTS "SELECT size, root, at_ms, note, met_s FROM checkpoints"
#define RECORD      "SELECT idx, raffle, kind, at_ms, leaf, text FROM records"
static const char *const texts[] = {
    [GET_OPERATOR] = "SELECT size, tree, logged FROM oplog WHERE no = $1",
    [GET] = "SELECT no, id, sold, tree, logged FROM raffles"
	    " WHERE no = $1 AND format = 2 AND state >= 1",
    [OF_RAFFLE] = "SELECT no, id, sold, tree, logged FROM raffles"
		  " WHERE id = $1 AND format = 2 AND state >= 1",
    [OPERATOR_BEHIND] = "SELECT no FROM oplog WHERE no > $1 AND size > logged",
    [BEHIND] = "SELECT no FROM raffles WHERE no > $1 AND format = 2 AND state >= 1"
	       " AND sold > logged ORDER BY no LIMIT 1",
    [COMPLETE] = "INSERT INTO nodes (log, level, idx, hash) VALUES ($1, $2, $3, $4)",
    [NODES] = "SELECT idx, hash FROM nodes WHERE log = $1 AND level = $2 AND idx >= $3"
	      " ORDER BY idx LIMIT $4",
    [GROW] = "UPDATE oplog SET size = $2, tree = $3 WHERE no = 0 AND size = $1",
    [APPEND] = "INSERT INTO records (idx, raffle, kind, at_ms, leaf, text)"
	       " VALUES ($1, $2, $3, $4, $5, $6)",
    [RECORDS] = RECORD " WHERE idx >= $1 ORDER BY idx LIMIT $2",
    [LEAVES] = "SELECT idx, leaf FROM records WHERE idx >= $1 ORDER BY idx LIMIT $2",
    [OF_KIND] = RECORD " WHERE raffle = $1 AND kind = $2 ORDER BY idx",
    [LOGGED_OPERATOR] = "UPDATE oplog SET logged = $2 WHERE no = $1 AND logged < $2",
    [LOGGED] = "UPDATE raffles SET logged = $2 WHERE no = $1 AND logged < $2",
    [PUT_CHECKPOINT] = "INSERT INTO checkpoints (log, size, root, at_ms, note)"
		       " VALUES ($1, $2, $3, $4, $5)",
    [DROP_CHECKPOINTS] = "DELETE FROM checkpoints WHERE log = $1 AND size < $2",
    [CHECKPOINT] = CHECKPOINTS " WHERE log = $1 AND size <= $2 ORDER BY size DESC LIMIT 1",
    [MET] = CHECKPOINTS " WHERE log = $1 AND size > $2 AND met_s > 0 ORDER BY size LIMIT 1",
    [SET_NOTE] = "UPDATE checkpoints SET note = $3, met_s = $4 WHERE log = $1 AND size = $2",
};
DB_SQL_LIST(log, texts);

/* A statement whose first parameter is a number. */
static struct db_st *sql_of(struct db *d, size_t i, int64_t no)
{
	struct db_st *st = db_sql(d, DB_NOUN_log, i);

	db_in_int(st, no);
	return st;
}

/* --- the logs --- */

/* size, tree, logged */
static int read_log(struct db *d, struct db_st *st, struct db_log *l)
{
	int64_t size = db_out_int(st);
	size_t n;
	const void *tree = db_out_view(st, &n);
	int r = merkle_range_get(&l->range, (uint64_t)size, tree, n), e;

	if (r != KE_OK)
		r = db_fail(
		    d, KE_DAMAGED, "the tree of log %lld does not fit its size", (long long)l->no);
	l->logged = db_out_int(st);
	e = db_end(st);
	return r != KE_OK ? r : e;
}

static int read_raffle(struct db *d, struct db_st *st, struct db_log *l)
{
	int r = db_step(st);

	if (r != KE_OK)
		return r;
	l->no = db_out_int(st);
	db_out_blob(st, l->raffle, 16);
	return read_log(d, st, l);
}

int db_log_get(struct db *d, int64_t no, struct db_log *l)
{
	struct db_st *st;
	int r;

	if (no != DB_LOG_OPERATOR)
		return read_raffle(d, sql_of(d, GET, no), l);
	st = sql_of(d, GET_OPERATOR, no);
	r = db_step(st);
	if (r != KE_OK)
		return r;
	l->no = no;
	memset(l->raffle, 0, sizeof l->raffle);
	return read_log(d, st, l);
}

int db_log_of_raffle(struct db *d, const uint8_t id[16], struct db_log *l)
{
	struct db_st *st = db_sql(d, DB_NOUN_log, OF_RAFFLE);

	db_in_id(st, id);
	return read_raffle(d, st, l);
}

int db_log_behind(struct db *d, int64_t after, int64_t *no)
{
	int r = db_exec_int(sql_of(d, OPERATOR_BEHIND, after), no);

	return r == KE_NOTFOUND ? db_exec_int(sql_of(d, BEHIND, after), no) : r;
}

/* --- subtrees --- */

int db_log_complete(struct db *d, int64_t no, const struct merkle_subtree *done, size_t n)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < n; i++) {
		struct db_st *st = sql_of(d, COMPLETE, no);

		db_in_int(st, done[i].level);
		db_in_int(st, (int64_t)done[i].index);
		db_in_blob(st, done[i].root, 32);
		r = db_exec(st);
	}
	return r;
}

/* Hashes of consecutive numbers, as rows bring them. */
struct hashes {
	struct db *d;
	uint64_t next;
	unsigned n;
	uint8_t (*hash)[32];
};

static int hash_row(struct db_st *st, void *arg)
{
	struct hashes *h = arg;

	if ((uint64_t)db_out_int(st) != h->next)
		return KE_NOTFOUND;
	db_out_blob(st, h->hash[h->n++], 32);
	h->next++;
	return KE_OK;
}

static int read_hashes(struct db_st *st, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	struct hashes h = {.next = first, .hash = hash};
	int r;

	db_in_int(st, n);
	r = db_each(st, hash_row, &h);
	return r == KE_OK && h.n != n ? KE_NOTFOUND : r;
}

int db_log_nodes(
    struct db *d, int64_t no, unsigned level, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	struct db_st *st = sql_of(d, NODES, no);

	db_in_int(st, level);
	db_in_int(st, (int64_t)first);
	return read_hashes(st, first, n, hash);
}

/* --- records --- */

static int put_record(struct db *d, const struct db_record *r)
{
	struct db_st *st = sql_of(d, APPEND, (int64_t)r->index);

	db_in_id(st, r->raffle);
	db_in_int(st, r->kind);
	db_in_int(st, r->at_ms);
	db_in_blob(st, r->leaf, 32);
	db_in_text(st, r->text, r->len);
	return db_exec(st);
}

int db_log_append(struct db *d, struct db_record *rec)
{
	struct merkle_subtree done[MERKLE_SUBTREES];
	uint8_t tree[MERKLE_LEVELS * 32];
	struct db_log l;
	struct db_st *st;
	size_t n;
	int r = rec->len > DB_LOG_TEXT_MAX ? KE_LONG : db_log_get(d, DB_LOG_OPERATOR, &l);

	if (r != KE_OK)
		return r;
	rec->index = l.range.size;
	n = merkle_range_grow(&l.range, rec->leaf, done);
	r = put_record(d, rec);
	if (r == KE_OK)
		r = db_log_complete(d, DB_LOG_OPERATOR, done, n);
	if (r != KE_OK)
		return r;
	st = sql_of(d, GROW, (int64_t)rec->index);
	db_in_int(st, (int64_t)l.range.size);
	db_in_blob(st, tree, merkle_range_put(&l.range, tree));
	return db_exec_one(st);
}

struct records {
	int (*each)(void *arg, const struct db_record *r);
	void *arg;
};

static int record_row(struct db_st *st, void *arg)
{
	const struct records *rs = arg;
	struct db_record r;

	r.index = (uint64_t)db_out_int(st);
	db_out_blob(st, r.raffle, 16);
	r.kind = (unsigned)db_out_int(st);
	r.at_ms = db_out_int(st);
	db_out_blob(st, r.leaf, 32);
	r.text = db_out_view(st, &r.len);
	return rs->each(rs->arg, &r);
}

int db_log_records(struct db *d, uint64_t first, uint64_t n,
    int (*each)(void *arg, const struct db_record *r), void *arg)
{
	struct db_st *st = sql_of(d, RECORDS, (int64_t)first);
	struct records rs = {each, arg};

	db_in_int(st, (int64_t)n);
	return db_each(st, record_row, &rs);
}

int db_log_leaves(struct db *d, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	return read_hashes(sql_of(d, LEAVES, (int64_t)first), first, n, hash);
}

int db_log_records_of(struct db *d, const uint8_t raffle[16], unsigned kind,
    int (*each)(void *arg, const struct db_record *r), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_log, OF_KIND);
	struct records rs = {each, arg};

	db_in_id(st, raffle);
	db_in_int(st, kind);
	return db_each(st, record_row, &rs);
}

/* --- checkpoints --- */

static int put_checkpoint(struct db *d, int64_t no, const struct db_checkpoint *c)
{
	struct db_st *st = sql_of(d, PUT_CHECKPOINT, no);

	db_in_int(st, (int64_t)c->size);
	db_in_blob(st, c->root, 32);
	db_in_int(st, c->at_ms);
	db_in_text(st, c->note, c->len);
	return db_exec(st);
}

int db_log_set_checkpoint(struct db *d, int64_t no, const struct db_checkpoint *c)
{
	struct db_st *st = sql_of(d, no == DB_LOG_OPERATOR ? LOGGED_OPERATOR : LOGGED, no);
	int r;

	db_in_int(st, (int64_t)c->size);
	r = db_exec_one(st);
	if (r != KE_OK)
		return r == KE_NOTFOUND ? KE_STATE : r;
	r = put_checkpoint(d, no, c);
	if (r != KE_OK || no == DB_LOG_OPERATOR)
		return r;
	st = sql_of(d, DROP_CHECKPOINTS, no);
	db_in_int(st, (int64_t)c->size);
	return db_exec(st);
}

/* One of a log, by the statement's bound of its size. */
static int get_checkpoint(
    struct db *d, size_t which, int64_t no, uint64_t size, struct db_checkpoint *c)
{
	struct db_st *st = sql_of(d, which, no);
	int r;

	db_in_int(st, size > INT64_MAX ? INT64_MAX : (int64_t)size);
	r = db_step(st);
	if (r != KE_OK)
		return r;
	c->size = (uint64_t)db_out_int(st);
	db_out_blob(st, c->root, 32);
	c->at_ms = db_out_int(st);
	db_out_text(st, c->note, sizeof c->note);
	c->len = strlen(c->note);
	c->met_s = (uint64_t)db_out_int(st);
	return db_end(st);
}

int db_log_checkpoint(struct db *d, int64_t no, uint64_t size, struct db_checkpoint *c)
{
	return get_checkpoint(d, CHECKPOINT, no, size, c);
}

int db_log_met(struct db *d, int64_t no, uint64_t size, struct db_checkpoint *c)
{
	return get_checkpoint(d, MET, no, size, c);
}

int db_log_set_note(struct db *d, int64_t no, const struct db_checkpoint *c)
{
	struct db_st *st = sql_of(d, SET_NOTE, no);

	if (c->len > DB_LOG_NOTE_MAX || c->met_s > INT64_MAX)
		return KE_LONG;
	db_in_int(st, (int64_t)c->size);
	db_in_text(st, c->note, c->len);
	db_in_int(st, (int64_t)c->met_s);
	return db_exec_one(st);
}
