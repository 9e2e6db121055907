/*
 * Balances, holdings and the index of answers written behind (db_behind.h). Runs in engine. What is
 * kept in memory of money is guarded as its table is: a balance changes only with its entry.
 */
#include <string.h>

#include "db/db_behind.h"
#include "db/db_sqlite.h"
#include "policy/be.h"

#define FITS                                                                                       \
	" AND e.account = NEW.account AND e.balance_after = NEW.balance"                           \
	" AND e.amount = NEW.balance - "

/*
 * The three texts below are in the words of this driver, as the tables' own are (migrations.def).
 * may_owe and held as in the table: db_behind_settle() comes before whoever changes them there.
 */
static const char tables[] = "CREATE TEMP TABLE recent_balances ("
			     " account INTEGER PRIMARY KEY,"
			     " may_owe INTEGER NOT NULL,"
			     " balance INTEGER NOT NULL,"
			     " held INTEGER NOT NULL,"
			     " last_entry INTEGER NOT NULL,"
			     " CHECK (held >= 0 AND (may_owe = 1 OR balance >= held))"
			     ") STRICT;"
			     "CREATE TEMP TABLE recent_holdings ("
			     " holder INTEGER PRIMARY KEY,"
			     " tickets INTEGER NOT NULL CHECK (tickets > 0),"
			     " last INTEGER NOT NULL CHECK (last >= 0)"
			     ") STRICT;"
			     "CREATE TEMP TABLE recent_scopes ("
			     " scope BLOB PRIMARY KEY,"
			     " no INTEGER NOT NULL"
			     ") STRICT, WITHOUT ROWID;";

/*
 * What was appended since: of each account the newest entry, to which the amounts must lead; of
 * each holder the tickets after the last one that is counted, which the first of them must name.
 * Tickets are found by their raffle and index: so many of a raffle are new as were paid for.
 * Both NULL, which no column takes, when that does not hold.
 */
static const char recover[] =
    "INSERT INTO recent_balances (account, may_owe, balance, held, last_entry)"
    " SELECT e.account, b.may_owe,"
    " CASE WHEN b.balance + sum(e.amount) = e.balance_after THEN e.balance_after END,"
    " b.held, max(e.seq)"
    " FROM entries e CROSS JOIN balances b ON b.account = e.account"
    " WHERE e.seq > (SELECT entry FROM swept) AND e.seq > b.last_entry GROUP BY e.account;"
    "INSERT INTO recent_holdings (holder, tickets, last)"
    " SELECT t.holder, CASE WHEN min(t.prev) = g.last THEN g.tickets + count(*) END, max(t.idx)"
    " FROM (SELECT f.ref AS ref, sum(e.amount) AS paid FROM entries e"
    "  CROSS JOIN transfers f ON f.id = e.transfer"
    "  WHERE e.seq > (SELECT entry FROM swept) AND e.amount > 0 AND f.kind = 'buy'"
    "  GROUP BY f.ref) p"
    " CROSS JOIN raffles r ON r.id = p.ref"
    " CROSS JOIN tickets t ON t.raffle = r.no AND t.idx >= r.sold - p.paid / r.price"
    " CROSS JOIN holdings g ON g.holder = t.holder"
    " WHERE t.idx > g.last GROUP BY t.holder;"
    "INSERT OR REPLACE INTO recent_scopes (scope, no)"
    " SELECT scope, no FROM idempotency WHERE no > (SELECT answer FROM swept) ORDER BY no;";

static const char guards[] =
    "CREATE TEMP TRIGGER recent_balances_begin BEFORE INSERT ON recent_balances"
    " WHEN NOT EXISTS (SELECT 1 FROM main.balances b CROSS JOIN main.entries e"
    "  WHERE b.account = NEW.account AND b.may_owe = NEW.may_owe AND b.held = NEW.held"
    "  AND e.seq = NEW.last_entry AND e.prev = b.last_entry" FITS "b.balance)"
    " BEGIN SELECT RAISE(ABORT, 'a balance changes only with its entry'); END;"
    "CREATE TEMP TRIGGER recent_balances_follow BEFORE UPDATE ON recent_balances"
    " WHEN NEW.account <> OLD.account OR NEW.may_owe <> OLD.may_owe OR NEW.held <> OLD.held"
    " OR NOT EXISTS (SELECT 1 FROM main.entries e"
    "  WHERE e.seq = NEW.last_entry AND e.prev = OLD.last_entry" FITS "OLD.balance)"
    " BEGIN SELECT RAISE(ABORT, 'a balance changes only with its entry'); END;";

/* Of each table three in a row: what is kept of it, one row onto its page, those out of memory. */
enum {
	BALANCES,
	BALANCE,
	BALANCES_DONE,
	HOLDINGS,
	HOLDING,
	HOLDINGS_DONE,
	SCOPES,
	SCOPE,
	SCOPES_DONE,
	SCOPES_PURGED,
	OLDEST,
	SWEPT,
	NEXT
};
static const char *const texts[] = {
    [SWEPT] = "SELECT entry, answer FROM swept WHERE only = 1",
    [NEXT] = "UPDATE swept SET entry = $1, answer = $2 WHERE only = 1",
    [BALANCES] = "SELECT account, balance, last_entry FROM recent_balances"
		 " WHERE account > $1 AND account <= $2 ORDER BY account",
    [BALANCE] = "UPDATE balances SET balance = $2, last_entry = $3 WHERE account = $1",
    [BALANCES_DONE] = "DELETE FROM recent_balances WHERE account > $1 AND account <= $2",
    [HOLDINGS] = "SELECT holder, tickets, last FROM recent_holdings"
		 " WHERE holder > $1 AND holder <= $2 ORDER BY holder",
    [HOLDING] = "UPDATE holdings SET tickets = $2, last = $3 WHERE holder = $1",
    [HOLDINGS_DONE] = "DELETE FROM recent_holdings WHERE holder > $1 AND holder <= $2",
    [SCOPES] = "SELECT scope, no FROM recent_scopes"
	       " WHERE scope > $1 AND scope <= $2 ORDER BY scope",
    [SCOPE] = "INSERT INTO scopes (scope, no) VALUES ($1, $2)"
	      " ON CONFLICT (scope) DO UPDATE SET no = excluded.no",
    [SCOPES_DONE] = "DELETE FROM recent_scopes WHERE scope > $1 AND scope <= $2",
    [SCOPES_PURGED] = "DELETE FROM scopes WHERE scope > $1 AND scope <= $2 AND no < $3",
    [OLDEST] = "SELECT coalesce(min(no), 0) FROM idempotency",
};
DB_SQL_LIST(behind, texts);

int db_behind_open(struct db *d)
{
	int r = db_sqlite_exec(d, tables);

	if (r)
		return r;
	d->round = DB_ROUND;
	r = db_sqlite_exec(d, recover);
	if (r == KE_INTERNAL || r == KE_RANGE || r == KE_EXISTS)
		return db_fail(d, KE_DAMAGED, "what was sold last does not follow what stands");
	return r ? r : db_sqlite_exec(d, guards);
}

int db_behind_start(struct db *d)
{
	struct db_head *h = db_head(d);
	int64_t entry = 0, answer = 0, left;

	int r = db_turn_begin(d);
	if (r)
		return r;
	struct db_st *st = db_sql(d, DB_NOUN_behind, SWEPT);
	r = db_step(st);
	if (!r) {
		entry = db_out_int(st);
		answer = db_out_int(st);
		r = db_end(st);
	}
	db_turn_rollback(d);
	if (r)
		return r == KE_NOTFOUND ? db_fail(d, KE_DAMAGED, "swept is empty") : r;
	/* numbers of purged answers are not given again while their scopes stand */
	if (h->idem < answer)
		h->idem = answer;
	left = h->entry - entry + (h->idem - answer);
	h->sweep = (struct db_sweep){.entry = h->entry, .answer = h->idem, .length = d->round};
	/* what a process that died has left is swept soon, and at once when many have died early */
	if (left > 0)
		h->sweep.length = left > 5 * d->round / 2 ? 1 : d->round / 8 + 1;
	return KE_OK;
}

void db_behind_grew(struct db *d, size_t n)
{
	struct db_sweep *s = &db_head(d)->sweep;

	s->done += (int64_t)n;
	s->grew = true;
	s->own = true;
}

/* A row of three numbers onto its page. (An UPDATE … FROM would make a table of the rows first.) */
static int write_numbers(struct db_st *row, void *arg)
{
	const size_t *how = arg;
	struct db_st *st = db_sql(row->d, DB_NOUN_behind, *how);

	for (int i = 0; i < 3; i++)
		db_in_int(st, db_out_int(row));
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? db_fail(row->d, KE_DAMAGED, "a row that was sold to is gone") : r;
}

static int write_scope(struct db_st *row, void *arg)
{
	const size_t *how = arg;
	struct db_st *st = db_sql(row->d, DB_NOUN_behind, *how);
	uint8_t scope[16];

	db_out_blob(row, scope, sizeof scope);
	db_in_id(st, scope);
	db_in_int(st, db_out_int(row));
	return db_exec(st);
}

/* A key that a sweep has come to: a number, or `len` bytes. */
struct key {
	int64_t number;
	const uint8_t *bytes; /* NULL: the number */
	size_t len;
};

static struct db_st *between(
    struct db *d, size_t what, const struct key *from, const struct key *upto)
{
	const struct key *bound[] = {from, upto};
	struct db_st *st = db_sql(d, DB_NOUN_behind, what);

	for (int i = 0; i < 2; i++) {
		if (bound[i]->bytes)
			db_in_blob(st, bound[i]->bytes, bound[i]->len);
		else
			db_in_int(st, bound[i]->number);
	}
	return st;
}

/* The rows of (from, upto] that statement `kept` finds onto their pages; then out of memory. */
static int range(struct db *d, size_t kept, const struct key *from, const struct key *upto,
    int (*write)(struct db_st *row, void *how))
{
	size_t one = kept + 1, done = kept + 2;

	int r = db_each(between(d, kept, from, upto), write, &one);
	return r ? r : db_exec(between(d, done, from, upto));
}

static int numbers(struct db *d, size_t kept, int64_t from, int64_t upto)
{
	const struct key first = {.number = from}, last = {.number = upto};

	return from < upto ? range(d, kept, &first, &last, write_numbers) : KE_OK;
}

/* Those of answers that are gone: no older one than the oldest is there. */
static int drop_purged(struct db *d, const struct key *from, const struct key *upto)
{
	int64_t oldest;

	int r = db_exec_int(db_sql(d, DB_NOUN_behind, OLDEST), &oldest);
	if (r)
		return r;
	struct db_st *st = between(d, SCOPES_PURGED, from, upto);
	db_in_int(st, oldest);
	return db_exec(st);
}

/* Scopes are hashes: as far as their first eight bytes say. 0: from before the first on. */
static int scopes(struct db *d, uint64_t from, uint64_t upto)
{
	uint8_t a[16], b[16];
	const struct key first = {.bytes = a, .len = from ? sizeof a : 0};
	const struct key last = {.bytes = b, .len = sizeof b};

	if (from == upto)
		return KE_OK;
	memset(a, 0xff, sizeof a);
	memset(b, 0xff, sizeof b);
	be_put64(a, from);
	be_put64(b, upto);
	int r = range(d, SCOPES, &first, &last, write_scope);
	return r ? r : drop_purged(d, &first, &last);
}

int db_behind_settle(struct db *d, int64_t account)
{
	return numbers(d, BALANCES, account - 1, account);
}

/* How far in so many keys the sweep is to be by now. */
static uint64_t share(const struct db *d, uint64_t keys)
{
	uint64_t done = (uint64_t)d->head.sweep.done, all = (uint64_t)d->head.sweep.length;

	return done >= all ? keys : keys / all * done + keys % all * done / all;
}

static int sweep_to(struct db *d, int64_t account, int64_t holder, uint64_t scope)
{
	struct db_sweep *s = &db_head(d)->sweep;
	int r = numbers(d, BALANCES, s->account, account);

	if (!r)
		r = numbers(d, HOLDINGS, s->holder, holder);
	if (!r)
		r = scopes(d, s->scope, scope);
	s->account = account;
	s->holder = holder;
	s->scope = scope;
	return r;
}

/* Everything that the round began with stands in its table. */
static int next_round(struct db *d)
{
	struct db_head *h = db_head(d);
	struct db_st *st = db_sql(d, DB_NOUN_behind, NEXT);

	db_in_int(st, h->sweep.entry);
	db_in_int(st, h->sweep.answer);
	h->sweep = (struct db_sweep){
	    .entry = h->entry, .answer = h->idem, .length = d->round, .own = h->sweep.own};
	return db_exec_one(st);
}

int db_behind_sweep(struct db *d)
{
	struct db_head *h = db_head(d);

	if (!h->sweep.grew)
		return KE_OK;
	h->sweep.grew = false;
	int r = sweep_to(d, (int64_t)share(d, (uint64_t)h->account),
	    (int64_t)share(d, (uint64_t)h->holder), share(d, UINT64_MAX));
	return r || h->sweep.done < h->sweep.length ? r : next_round(d);
}

/* What is left of this round, and a whole one, for what came behind this one's back. */
static int sweep_all(struct db *d)
{
	const struct db_head *h = db_head(d);
	int r = KE_OK;

	for (int i = 0; !r && i < 2; i++) {
		r = sweep_to(d, h->account, h->holder, UINT64_MAX);
		if (!r)
			r = next_round(d);
	}
	return r;
}

void db_behind_finish(struct db *d)
{
	if (!db_head(d)->sweep.own || db_turn_begin(d) != KE_OK)
		return;
	if (sweep_all(d) != KE_OK || db_turn_commit(d, NULL) != KE_OK)
		db_turn_rollback(d);
}
