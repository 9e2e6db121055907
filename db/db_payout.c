/*
 * Payouts (db_payout.h). Runs in engine.
 */
#include "db/db_payout.h"

#include <string.h>

#include "db/db_sql.h"

#define SELECT                                                                                     \
	"SELECT y.id, y.pool, y.idem, y.state, y.created_by, y.created_ms, y.settled_ms,"          \
	" y.to_address, y.amount, y.nonce, y.max_fee, y.max_priority_fee, y.gas_limit,"            \
	" y.blockhash, y.tx, y.tx_hash, p.chain, p.network"                                        \
	" FROM payouts y JOIN pools p ON p.id = y.pool"

enum { CREATE, GET, BY_IDEM, PAGE, WAITING, SIGN, REFUSE, EXISTS, ADD, COUNT };
static const char *const texts[] = {
    [CREATE] = "INSERT INTO payouts (id, pool, idem, created_by, created_ms, to_address, amount,"
	       " nonce, max_fee, max_priority_fee, gas_limit, blockhash)"
	       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    [GET] = SELECT " WHERE y.id = $1",
    [BY_IDEM] = SELECT " WHERE y.idem = $1",
    [PAGE] = SELECT " WHERE y.pool = $1 AND y.id < $2 ORDER BY y.id DESC LIMIT $3",
    [WAITING] = SELECT " WHERE y.state = 0 AND y.id > $1 ORDER BY y.id LIMIT $2",
    [SIGN] = ("UPDATE payouts SET state = 1, tx = $2, tx_hash = $3, settled_ms = $4"
	      " WHERE id = $1 AND state = 0"),
    [REFUSE] = "UPDATE payouts SET state = 2, settled_ms = $2 WHERE id = $1 AND state = 0",
    [EXISTS] = "SELECT 1 FROM payouts WHERE id = $1",
    [ADD] = "UPDATE counts SET n = n + $2 WHERE name = $1",
    [COUNT] = "SELECT n FROM counts WHERE name = $1",
};
DB_SQL_LIST(payout, texts);

static const char *const words[DB_PAYOUT_STATES] = {"requested", "signed", "refused"};
static const char *const counts[DB_PAYOUT_STATES] = {
    "payouts-requested", "payouts-signed", "payouts-refused"};

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_payout, i);
}

const char *db_payout_word(enum db_payout_state s)
{
	return s < DB_PAYOUT_STATES ? words[s] : "unknown";
}

static int add(struct db *d, enum db_payout_state s, int64_t n)
{
	struct db_st *st = sql(d, ADD);

	db_in_cstr(st, counts[s]);
	db_in_int(st, n);
	return db_exec_one(st);
}

static bool fits(const struct payout *y)
{
	return payout_check(y) == KE_OK && y->nonce <= INT64_MAX && y->max_fee <= INT64_MAX &&
	       y->gas_limit <= INT64_MAX; /* priority_fee <= max_fee */
}

int db_payout_create(struct db *d, const struct db_payout *p)
{
	struct db_st *st = sql(d, CREATE);
	const struct payout *y = &p->say;
	bool evm = y->kind == PAYOUT_EVM;

	if (!fits(y))
		return KE_RANGE;
	db_in_id(st, y->id);
	db_in_id(st, p->pool);
	db_in_id(st, p->idem);
	db_in_id(st, p->created_by);
	db_in_int(st, p->created_ms);
	db_in_blob(st, y->to, payout_to_len(y->kind));
	db_in_blob(st, y->value.be, sizeof y->value.be);
	if (evm)
		db_in_int(st, (int64_t)y->nonce);
	else
		db_in_null(st);
	db_in_int(st, (int64_t)y->max_fee);
	db_in_int(st, (int64_t)y->priority_fee);
	db_in_int(st, (int64_t)y->gas_limit);
	if (evm)
		db_in_null(st);
	else
		db_in_blob(st, y->blockhash, sizeof y->blockhash);
	int r = db_exec(st);
	return r ? r : add(d, DB_PAYOUT_REQUESTED, 1);
}

static void read_row(struct db_st *st, struct db_payout *p)
{
	struct payout *y = &p->say;
	size_t n;

	*p = (struct db_payout){.tx_len = 0};
	db_out_blob(st, y->id, 16);
	db_out_blob(st, p->pool, 16);
	db_out_blob(st, p->idem, 16);
	p->state = (enum db_payout_state)db_out_int(st);
	db_out_blob(st, p->created_by, 16);
	p->created_ms = db_out_int(st);
	p->settled_ms = db_out_int(st);
	db_out_bytes(st, y->to, sizeof y->to, &n);
	db_out_blob(st, y->value.be, sizeof y->value.be);
	y->nonce = (uint64_t)db_out_int(st);
	y->max_fee = (uint64_t)db_out_int(st);
	y->priority_fee = (uint64_t)db_out_int(st);
	y->gas_limit = (uint64_t)db_out_int(st);
	db_out_blob(st, y->blockhash, sizeof y->blockhash);
	db_out_bytes(st, p->tx, sizeof p->tx, &p->tx_len);
	db_out_bytes(st, p->tx_hash, sizeof p->tx_hash, &p->tx_hash_len);
	y->kind = (uint8_t)db_out_int(st);
	y->chain_id = (uint64_t)db_out_int(st);
	if (y->kind != PAYOUT_EVM)
		y->chain_id = 0; /* the network is one of Solana's clusters */
}

static int get(struct db *d, size_t i, const uint8_t key[16], struct db_payout *p)
{
	struct db_st *st = sql(d, i);

	db_in_id(st, key);
	int r = db_step(st);
	if (r)
		return r;
	read_row(st, p);
	return db_end(st);
}

int db_payout_get(struct db *d, const uint8_t id[16], struct db_payout *p)
{
	return get(d, GET, id, p);
}

int db_payout_by_idem(struct db *d, const uint8_t idem[16], struct db_payout *p)
{
	return get(d, BY_IDEM, idem, p);
}

struct page {
	int (*each)(void *arg, const struct db_payout *p);
	void *arg;
};

static int page_row(struct db_st *st, void *arg)
{
	const struct page *pg = arg;
	struct db_payout p;

	read_row(st, &p);
	return pg->each(pg->arg, &p);
}

int db_payout_page(struct db *d, const uint8_t pool[16], const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_payout *p), void *arg)
{
	struct db_st *st = sql(d, PAGE);
	struct page pg = {each, arg};

	db_in_id(st, pool);
	db_in_id(st, before ? before : db_id_last);
	db_in_int(st, limit);
	return db_each(st, page_row, &pg);
}

int db_payout_waiting(struct db *d, const uint8_t *after, int64_t limit,
    int (*each)(void *arg, const struct db_payout *p), void *arg)
{
	static const uint8_t first[16];
	struct db_st *st = sql(d, WAITING);
	struct page pg = {each, arg};

	db_in_id(st, after ? after : first);
	db_in_int(st, limit);
	return db_each(st, page_row, &pg);
}

/* The one way out of `requested`: st is the update, its parameters filled. */
static int settle(struct db *d, struct db_st *st, const uint8_t id[16], enum db_payout_state to)
{
	struct db_st *row = sql(d, EXISTS);

	db_in_id(row, id);
	int r = db_exec_cas(st, row, KE_STATE);
	if (!r)
		r = add(d, DB_PAYOUT_REQUESTED, -1);
	return r ? r : add(d, to, 1);
}

int db_payout_set_signed(struct db *d, const struct db_payout *p, int64_t now_ms)
{
	struct db_st *st = sql(d, SIGN);

	db_in_id(st, p->say.id);
	db_in_blob(st, p->tx, p->tx_len);
	db_in_blob(st, p->tx_hash, p->tx_hash_len);
	db_in_int(st, now_ms);
	return settle(d, st, p->say.id, DB_PAYOUT_SIGNED);
}

int db_payout_set_refused(struct db *d, const uint8_t id[16], int64_t now_ms)
{
	struct db_st *st = sql(d, REFUSE);

	db_in_id(st, id);
	db_in_int(st, now_ms);
	return settle(d, st, id, DB_PAYOUT_REFUSED);
}

int db_payout_count(struct db *d, enum db_payout_state s, int64_t *n)
{
	struct db_st *st;

	if (s >= DB_PAYOUT_STATES)
		return KE_RANGE;
	st = sql(d, COUNT);
	db_in_cstr(st, counts[s]);
	return db_exec_int(st, n);
}
