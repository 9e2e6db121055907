/*
 * Pools (db_pool.h). Runs in engine.
 */
#include "db/db_pool.h"

#include <assert.h>
#include <string.h>

#include "db/db_sql.h"

static_assert(PAYOUT_EVM == 1 && PAYOUT_SOLANA == 2, "the chains are part of the store's format");

#define SELECT                                                                                     \
	"SELECT id, name, chain, network, address, public_key, key, imported, created_by,"         \
	" created_ms FROM pools"
#define OLD(chain, len, than)                                                                      \
	SELECT " WHERE chain = " chain " AND substr(key, 1, " len ") " than " $1"

enum { CREATE, GET, BY_ADDRESS, PAGE, ADD, COUNT, SET_KEY, OLD_KEYS, COUNT_KEYS = OLD_KEYS + 2 };
static const char *const texts[] = {
    [CREATE] = "INSERT INTO pools (id, name, chain, network, address, public_key, key, imported,"
	       " created_by, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    [GET] = SELECT " WHERE id = $1",
    [BY_ADDRESS] = SELECT " WHERE address = $1",
    [PAGE] = SELECT " WHERE id < $1 ORDER BY id DESC LIMIT $2",
    [ADD] = "UPDATE counts SET n = n + 1 WHERE name = 'pools'",
    [COUNT] = "SELECT n FROM counts WHERE name = 'pools'",
    [SET_KEY] = "UPDATE pools SET key = $3 WHERE id = $1 AND key = $2",
    /* each for EVM, then for Solana, whose heads are longer; by halves, which an index finds */
    [OLD_KEYS] = OLD("1", "24", "<") " UNION ALL " OLD("1", "24", ">") " LIMIT $2 OFFSET $3",
    [OLD_KEYS + 1] = OLD("2", "29", "<") " UNION ALL " OLD("2", "29", ">") " LIMIT $2 OFFSET $3",
    [COUNT_KEYS] = "SELECT count(*) FROM pools WHERE chain = 1 AND substr(key, 1, 24) = $1",
    [COUNT_KEYS + 1] = "SELECT count(*) FROM pools WHERE chain = 2 AND substr(key, 1, 29) = $1",
};
DB_SQL_LIST(pool, texts);

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_pool, i);
}

static int insert(struct db *d, const struct db_pool *p)
{
	static const uint8_t nobody[16];
	struct db_st *st = sql(d, CREATE);

	db_in_id(st, p->id);
	db_in_cstr(st, p->name);
	db_in_int(st, p->chain);
	db_in_int(st, p->network);
	db_in_cstr(st, p->address);
	db_in_blob(st, p->public_key, p->public_len);
	db_in_cstr(st, p->key);
	db_in_int(st, p->imported);
	db_in_id(st, memcmp(p->created_by, nobody, 16) != 0 ? p->created_by : NULL);
	db_in_int(st, p->created_ms);
	return db_exec(st);
}

int db_pool_create(struct db *d, const struct db_pool *p)
{
	int r = insert(d, p);

	return r ? r : db_exec_one(sql(d, ADD));
}

static void read_row(struct db_st *st, struct db_pool *p)
{
	db_out_blob(st, p->id, 16);
	db_out_text(st, p->name, sizeof p->name);
	p->chain = (enum payout_kind)db_out_int(st);
	p->network = db_out_int(st);
	db_out_text(st, p->address, sizeof p->address);
	db_out_bytes(st, p->public_key, sizeof p->public_key, &p->public_len);
	db_out_text(st, p->key, sizeof p->key);
	p->imported = db_out_int(st) != 0;
	db_out_blob(st, p->created_by, 16);
	p->created_ms = db_out_int(st);
}

static int read_one(struct db_st *st, struct db_pool *p)
{
	int r = db_step(st);

	if (r)
		return r;
	read_row(st, p);
	return db_end(st);
}

int db_pool_get(struct db *d, const uint8_t id[16], struct db_pool *p)
{
	struct db_st *st = sql(d, GET);

	db_in_id(st, id);
	return read_one(st, p);
}

int db_pool_by_address(struct db *d, const char *address, struct db_pool *p)
{
	struct db_st *st = sql(d, BY_ADDRESS);

	db_in_cstr(st, address);
	return read_one(st, p);
}

struct page {
	int (*each)(void *arg, const struct db_pool *p);
	void *arg;
};

static int page_row(struct db_st *st, void *arg)
{
	const struct page *pg = arg;
	struct db_pool p;

	read_row(st, &p);
	return pg->each(pg->arg, &p);
}

int db_pool_page(struct db *d, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_pool *p), void *arg)
{
	struct db_st *st = sql(d, PAGE);
	struct page pg = {each, arg};

	db_in_id(st, before ? before : db_id_last);
	db_in_int(st, limit);
	return db_each(st, page_row, &pg);
}

int db_pool_count(struct db *d, int64_t *n)
{
	return db_exec_int(sql(d, COUNT), n);
}

/* --- the wrapping of their keys --- */

static bool is_chain(enum payout_kind chain)
{
	return chain == PAYOUT_EVM || chain == PAYOUT_SOLANA;
}

int db_pool_old_keys(struct db *d, enum payout_kind chain, const char *head, int64_t limit,
    int64_t skip, int (*each)(void *arg, const struct db_pool *p), void *arg)
{
	struct page pg = {each, arg};

	if (!is_chain(chain))
		return KE_RANGE;
	struct db_st *st = sql(d, OLD_KEYS + chain - PAYOUT_EVM);
	db_in_cstr(st, head);
	db_in_int(st, limit);
	db_in_int(st, skip);
	return db_each(st, page_row, &pg);
}

int db_pool_count_keys(struct db *d, enum payout_kind chain, const char *head, int64_t *n)
{
	if (!is_chain(chain))
		return KE_RANGE;
	struct db_st *st = sql(d, COUNT_KEYS + chain - PAYOUT_EVM);
	db_in_cstr(st, head);
	return db_exec_int(st, n);
}

int db_pool_set_key(struct db *d, const struct db_pool *p, const char *key)
{
	struct db_st *st = sql(d, SET_KEY);

	db_in_id(st, p->id);
	db_in_cstr(st, p->key);
	db_in_cstr(st, key);
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_STATE : r;
}
