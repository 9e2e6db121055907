/*
 * Raffles (db_raffle.h). Runs in engine.
 */
#include <assert.h>
#include <string.h>

#include "db/db_raffle.h"
#include "db/db_sql.h"

/* The states stand in the store as numbers. */
static_assert(RAFFLE_DRAFT == 0 && RAFFLE_OPEN == 1 && RAFFLE_CLOSED == 2 && RAFFLE_DRAWN == 3 &&
		  RAFFLE_ABORTED == 4,
    "the raffle states are part of the store's format");

/* An aborted one keeps the state that it was aborted in; raffles_by_state has this very term. */
#define STATE "CASE WHEN aborted_ms > 0 THEN 4 ELSE state END"

#define COLUMNS(description)                                                                       \
	"r.no, r.id, r.format, r.title, " description ", " STATE                                   \
	", r.price, r.currency, r.capacity,"                                                       \
	" r.per_person, r.winners, r.reserves, r.sold, r.version, r.created_by, r.created_ms,"     \
	" r.opened_ms, r.closed_ms, r.drawn_ms, r.seed_commit1, r.seed_commit2, r.seed_blob,"      \
	" r.entropy, r.entropy_by, r.entropy_ms, r.root, r.aggregate, r.server_seed,"              \
	" r.aborted_ms, r.sales_close_s"
#define TABLES "raffles r JOIN raffle_texts t ON t.raffle = r.no"
/* A list shows no description, and does not read them. */
#define ITEMS "SELECT " COLUMNS("''") " FROM raffles r"

enum {
	CREATE,
	CREATE_TEXTS,
	GET,
	PAGE_PUBLIC,
	PAGE_STATE,
	OPEN,
	CLOSE,
	ENTROPY,
	DRAW,
	DRAW2,
	ABORT,
	DRAW_TEXTS,
	RECORD,
	NOTE,
	EXISTS,
	SALE,
	SOLD,
	OLD_SEEDS,
	COUNT_SEEDS,
	SET_SEED
};
static const char *const texts[] = {
    [CREATE] = "INSERT INTO raffles (no, id, format, title, price, currency, capacity, per_person,"
	       " winners, reserves, created_by, created_ms, seeds)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    [CREATE_TEXTS] = "INSERT INTO raffle_texts (raffle, description) VALUES ($1, $2)",
    [GET] = "SELECT " COLUMNS("t.description") " FROM " TABLES " WHERE r.id = $1",
    [PAGE_PUBLIC] = ITEMS " WHERE r.id < $1 AND r.state >= 1"
			  " ORDER BY r.id DESC LIMIT $2",
    [PAGE_STATE] = ITEMS " WHERE r.id < $1 AND " STATE " = $3"
			 " ORDER BY r.id DESC LIMIT $2",
    [OPEN] = "UPDATE raffles SET state = 1, version = version + 1, seed_commit1 = $2,"
	     " seed_commit2 = $3, seed_blob = $4, opened_ms = $5 WHERE id = $1 AND state = 0",
    [CLOSE] = "UPDATE raffles SET state = 2, version = version + 1, root = $2, aggregate = $3,"
	      " closed_ms = $4 WHERE id = $1 AND state = 1 AND aborted_ms = 0",
    [ENTROPY] = "UPDATE raffles SET version = version + 1, entropy = $2, entropy_by = $3,"
		" entropy_ms = $4 WHERE id = $1 AND state = 2 AND entropy IS NULL AND format = 1",
    [DRAW] = "UPDATE raffles SET state = 3, version = version + 1, server_seed = $2, drawn_ms = $3"
	     " WHERE id = $1 AND state = 2 AND entropy IS NOT NULL",
    [DRAW2] = "UPDATE raffles SET state = 3, version = version + 1, server_seed = $2, drawn_ms = $3"
	      " WHERE id = $1 AND state = 2 AND format = 2 AND aborted_ms = 0",
    [ABORT] = "UPDATE raffles SET aborted_ms = $2, version = version + 1"
	      " WHERE id = $1 AND state IN (1, 2) AND format = 2 AND aborted_ms = 0",
    [DRAW_TEXTS] = "UPDATE raffle_texts SET record = $2, note = $3"
		   " WHERE raffle = (SELECT no FROM raffles WHERE id = $1)",
    [RECORD] = "SELECT t.record FROM " TABLES " WHERE r.id = $1 AND t.record IS NOT NULL",
    [NOTE] = "SELECT t.note FROM " TABLES " WHERE r.id = $1 AND t.note IS NOT NULL",
    [EXISTS] = "SELECT CASE WHEN entropy IS NULL THEN 0 ELSE 1 END FROM raffles WHERE id = $1",
    [SALE] = "SELECT no, format, " STATE ", price, currency, capacity, per_person, sold, tree,"
	     " seeds, sales_close_s FROM raffles WHERE id = $1",
    [SOLD] = "UPDATE raffles SET sold = $3, tree = $4, seeds = $5"
	     " WHERE no = $1 AND sold = $2 AND state = 1 AND aborted_ms = 0",
    [OLD_SEEDS] = "SELECT id, seed_commit1, seed_blob FROM raffles WHERE " STATE " IN (1, 2)"
		  " AND substr(seed_blob, 1, 21) <> $1 LIMIT $2 OFFSET $3",
    [COUNT_SEEDS] = "SELECT count(*) FROM raffles"
		    " WHERE state IN (1, 2) AND aborted_ms = 0 AND substr(seed_blob, 1, 21) = $1",
    [SET_SEED] = "UPDATE raffles SET seed_blob = $3 WHERE id = $1 AND seed_blob = $2",
};
DB_SQL_LIST(raffle, texts);

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_raffle, i);
}

/* A statement whose first parameter is the raffle's id. */
static struct db_st *sql_of(struct db *d, size_t i, const uint8_t id[16])
{
	struct db_st *st = sql(d, i);

	db_in_id(st, id);
	return st;
}

static int create_row(struct db *d, const struct db_raffle *r, int64_t no)
{
	struct db_st *st = sql(d, CREATE);
	uint8_t seeds[HASH_STATE_LEN];

	hash_run_start(seeds);
	db_in_int(st, no);
	db_in_id(st, r->id);
	db_in_int(st, r->format);
	db_in_cstr(st, r->title);
	db_in_int(st, r->price);
	db_in_cstr(st, r->currency);
	db_in_int(st, r->capacity);
	db_in_int(st, r->per_person);
	db_in_int(st, r->winners);
	db_in_int(st, r->reserves);
	db_in_id(st, r->created_by);
	db_in_int(st, r->created_ms);
	db_in_blob(st, seeds, sizeof seeds);
	return db_exec(st);
}

int db_raffle_create(struct db *d, const struct db_raffle *r)
{
	int64_t no = ++db_head(d)->raffle;

	int e = create_row(d, r, no);
	if (e)
		return e;
	struct db_st *st = sql(d, CREATE_TEXTS);
	db_in_int(st, no);
	db_in_cstr(st, r->description);
	return db_exec(st);
}

static void read_row(struct db_st *st, struct db_raffle *r)
{
	r->no = db_out_int(st);
	db_out_blob(st, r->id, 16);
	r->format = (enum raffle_format)db_out_int(st);
	db_out_text(st, r->title, sizeof r->title);
	db_out_text(st, r->description, sizeof r->description);
	r->state = (enum raffle_state)db_out_int(st);
	r->price = db_out_int(st);
	db_out_text(st, r->currency, sizeof r->currency);
	r->capacity = db_out_int(st);
	r->per_person = db_out_int(st);
	r->winners = db_out_int(st);
	r->reserves = db_out_int(st);
	r->sold = db_out_int(st);
	r->version = db_out_int(st);
	db_out_blob(st, r->created_by, 16);
	r->created_ms = db_out_int(st);
	r->opened_ms = db_out_int(st);
	r->closed_ms = db_out_int(st);
	r->drawn_ms = db_out_int(st);
	db_out_blob(st, r->seed_commit1, 32);
	db_out_blob(st, r->seed_commit2, 32);
	db_out_text(st, r->seed_blob, sizeof r->seed_blob);
	db_out_bytes(st, r->entropy, sizeof r->entropy, &r->entropy_len);
	db_out_blob(st, r->entropy_by, 16);
	r->entropy_ms = db_out_int(st);
	db_out_blob(st, r->root, 32);
	db_out_blob(st, r->aggregate, 32);
	db_out_blob(st, r->server_seed, 32);
	r->aborted_ms = db_out_int(st);
	r->sales_close_s = db_out_int(st);
}

int db_raffle_get(struct db *d, const uint8_t id[16], struct db_raffle *r)
{
	struct db_st *st = sql_of(d, GET, id);

	int e = db_step(st);
	if (e)
		return e;
	read_row(st, r);
	return db_end(st);
}

struct page {
	int (*each)(void *arg, const struct db_raffle *r);
	void *arg;
};

static int page_row(struct db_st *st, void *arg)
{
	const struct page *pg = arg;
	struct db_raffle r;

	read_row(st, &r);
	return pg->each(pg->arg, &r);
}

int db_raffle_page(struct db *d, int state, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_raffle *r), void *arg)
{
	struct db_st *st =
	    sql_of(d, state < 0 ? PAGE_PUBLIC : PAGE_STATE, before ? before : db_id_last);
	struct page pg = {each, arg};

	db_in_int(st, limit);
	if (state >= 0)
		db_in_int(st, state);
	return db_each(st, page_row, &pg);
}

int db_raffle_set_open(struct db *d, const uint8_t id[16], const uint8_t seed_commit1[32],
    const uint8_t seed_commit2[32], const char *seed_blob, int64_t now_ms)
{
	struct db_st *st = sql_of(d, OPEN, id);

	if (strlen(seed_blob) > DB_SEED_BLOB_MAX)
		return KE_LONG;
	db_in_blob(st, seed_commit1, 32);
	db_in_blob(st, seed_commit2, 32);
	db_in_cstr(st, seed_blob);
	db_in_int(st, now_ms);
	return db_exec_cas(st, sql_of(d, EXISTS, id), KE_STATE);
}

int db_raffle_set_closed(struct db *d, const uint8_t id[16], const uint8_t root[32],
    const uint8_t aggregate[32], int64_t now_ms)
{
	struct db_st *st = sql_of(d, CLOSE, id);

	db_in_blob(st, root, 32);
	db_in_blob(st, aggregate, 32);
	db_in_int(st, now_ms);
	return db_exec_cas(st, sql_of(d, EXISTS, id), KE_STATE);
}

int db_raffle_set_entropy(struct db *d, const uint8_t id[16], const void *entropy, size_t n,
    const uint8_t by[16], int64_t now_ms)
{
	struct db_st *st = sql_of(d, ENTROPY, id);
	int64_t entered;

	if (n == 0 || n > DRAW_ENTROPY_MAX)
		return KE_RANGE;
	db_in_blob(st, entropy, n);
	db_in_id(st, by);
	db_in_int(st, now_ms);
	int r = db_exec_one(st);
	if (r != KE_NOTFOUND)
		return r;
	r = db_exec_int(sql_of(d, EXISTS, id), &entered);
	if (r)
		return r;
	return entered ? KE_EXISTS : KE_STATE;
}

int db_raffle_set_drawn(struct db *d, const uint8_t id[16], const uint8_t server_seed[32],
    const char *record, size_t record_len, const char *note, size_t note_len, int64_t now_ms)
{
	struct db_st *st = sql_of(d, DRAW, id);

	if (record_len > DB_RECORD_MAX || note_len > DB_NOTE_MAX)
		return KE_LONG;
	db_in_blob(st, server_seed, 32);
	db_in_int(st, now_ms);
	int r = db_exec_cas(st, sql_of(d, EXISTS, id), KE_STATE);
	if (r)
		return r;
	st = sql_of(d, DRAW_TEXTS, id);
	db_in_text(st, record, record_len);
	db_in_text(st, note, note_len);
	return db_exec_one(st);
}

int db_raffle_set_drawn2(
    struct db *d, const uint8_t id[16], const uint8_t server_seed[32], int64_t now_ms)
{
	struct db_st *st = sql_of(d, DRAW2, id);

	db_in_blob(st, server_seed, 32);
	db_in_int(st, now_ms);
	return db_exec_cas(st, sql_of(d, EXISTS, id), KE_STATE);
}

int db_raffle_set_aborted(struct db *d, const uint8_t id[16], int64_t now_ms)
{
	struct db_st *st = sql_of(d, ABORT, id);

	db_in_int(st, now_ms);
	return db_exec_cas(st, sql_of(d, EXISTS, id), KE_STATE);
}

int db_raffle_record(struct db *d, const uint8_t id[16], char *buf, size_t cap, size_t *n)
{
	return db_exec_copy(sql_of(d, RECORD, id), buf, cap, n);
}

int db_raffle_note(struct db *d, const uint8_t id[16], char *buf, size_t cap, size_t *n)
{
	return db_exec_copy(sql_of(d, NOTE, id), buf, cap, n);
}

int db_raffle_sale(struct db *d, const uint8_t id[16], struct db_sale *s)
{
	struct db_st *st = sql_of(d, SALE, id);
	size_t n;

	int r = db_step(st);
	if (r)
		return r;
	memcpy(s->id, id, 16);
	s->no = db_out_int(st);
	s->format = (enum raffle_format)db_out_int(st);
	s->state = (enum raffle_state)db_out_int(st);
	s->price = db_out_int(st);
	db_out_text(st, s->currency, sizeof s->currency);
	s->capacity = db_out_int(st);
	s->per_person = db_out_int(st);
	s->sold = db_out_int(st);
	const void *tree = db_out_view(st, &n);
	if (merkle_range_get(&s->range, (uint64_t)s->sold, tree, n))
		r = db_fail(d, KE_DAMAGED, "the tree of raffle %lld does not fit its size",
		    (long long)s->no);
	db_out_blob(st, s->aggregate, sizeof s->aggregate);
	s->sales_close_s = db_out_int(st);
	int e = db_end(st);
	return r ? r : e;
}

int db_raffle_sold(struct db *d, const struct db_sale *s, int64_t sold_before)
{
	struct db_st *st = sql(d, SOLD);
	uint8_t tree[MERKLE_LEVELS * 32];

	db_in_int(st, s->no);
	db_in_int(st, sold_before);
	db_in_int(st, s->sold);
	db_in_blob(st, tree, merkle_range_put(&s->range, tree));
	db_in_blob(st, s->aggregate, sizeof s->aggregate);
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_STATE : r;
}

struct seeds {
	int (*each)(void *arg, const struct db_seed *s);
	void *arg;
};

static int seed_row(struct db_st *st, void *arg)
{
	const struct seeds *all = arg;
	struct db_seed s;

	db_out_blob(st, s.id, sizeof s.id);
	db_out_blob(st, s.commit1, sizeof s.commit1);
	db_out_text(st, s.blob, sizeof s.blob);
	return all->each(all->arg, &s);
}

int db_raffle_old_seeds(struct db *d, const char *head, int64_t limit, int64_t skip,
    int (*each)(void *arg, const struct db_seed *s), void *arg)
{
	struct db_st *st = sql(d, OLD_SEEDS);
	struct seeds all = {each, arg};

	db_in_cstr(st, head);
	db_in_int(st, limit);
	db_in_int(st, skip);
	return db_each(st, seed_row, &all);
}

int db_raffle_count_seeds(struct db *d, const char *head, int64_t *n)
{
	struct db_st *st = sql(d, COUNT_SEEDS);

	db_in_cstr(st, head);
	return db_exec_int(st, n);
}

int db_raffle_set_seed(struct db *d, const struct db_seed *s, const char *blob)
{
	struct db_st *st = sql(d, SET_SEED);

	db_in_id(st, s->id);
	db_in_cstr(st, s->blob);
	db_in_cstr(st, blob);
	return db_exec_cas(st, sql_of(d, EXISTS, s->id), KE_STATE);
}
