/*
 * Balances and holdings written behind (db_behind.h). Runs in engine. What is kept in memory is
 * guarded as the tables are: a balance changes only with its entry, and leaves memory only when it
 * stands in its table.
 */
#include "db/db_behind.h"

#include "db/db_sqlite.h"

#define FITS                                                                                       \
	" AND e.account = NEW.account AND e.balance_after = NEW.balance"                           \
	" AND e.amount = NEW.balance - "

/*
 * may_owe and held as in the table: db_behind_settle() comes before whoever changes them there. A
 * turn keeps each page that it changes as it was, in memory: small pages for small rows.
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
			     ") STRICT;";

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
    " WHERE t.idx > g.last GROUP BY t.holder;";

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

enum { SWEPT, NEXT, BALANCES, BALANCE, BALANCES_DONE, HOLDINGS, HOLDING, HOLDINGS_DONE };
static const char *const texts[] = {
    [SWEPT] = "SELECT entry FROM swept WHERE only = 1",
    [NEXT] = "UPDATE swept SET entry = $1 WHERE only = 1",
    [BALANCES] = "SELECT account, balance, last_entry FROM recent_balances"
		 " WHERE account > $1 AND account <= $2 ORDER BY account",
    [BALANCE] = "UPDATE balances SET balance = $2, last_entry = $3 WHERE account = $1",
    [BALANCES_DONE] = "DELETE FROM recent_balances WHERE account > $1 AND account <= $2",
    [HOLDINGS] = "SELECT holder, tickets, last FROM recent_holdings"
		 " WHERE holder > $1 AND holder <= $2 ORDER BY holder",
    [HOLDING] = "UPDATE holdings SET tickets = $2, last = $3 WHERE holder = $1",
    [HOLDINGS_DONE] = "DELETE FROM recent_holdings WHERE holder > $1 AND holder <= $2",
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
	struct db_sweep *s = &db_head(d)->sweep;
	int64_t swept;

	int r = db_turn_begin(d);
	if (!r)
		r = db_exec_int(db_sql(d, DB_NOUN_behind, SWEPT), &swept);
	db_turn_rollback(d);
	if (r)
		return r == KE_NOTFOUND ? db_fail(d, KE_DAMAGED, "swept is empty") : r;
	/* a round that died with its process counts: short lives add up to one */
	*s = (struct db_sweep){.from = db_head(d)->entry, .done = db_head(d)->entry - swept};
	return KE_OK;
}

void db_behind_grew(struct db *d, size_t n)
{
	struct db_sweep *s = &db_head(d)->sweep;

	s->done += (int64_t)n;
	s->grew = true;
	s->own = true;
}

/* One row onto its page. (An UPDATE … FROM would make a table of the rows first, each time.) */
static int write_row(struct db_st *row, size_t how)
{
	struct db_st *st = db_sql(row->d, DB_NOUN_behind, how);

	for (int i = 0; i < 3; i++)
		db_in_int(st, db_out_int(row));
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? db_fail(row->d, KE_DAMAGED, "a row that was sold to is gone") : r;
}

static int write_balance(struct db_st *row, void *arg)
{
	(void)arg;
	return write_row(row, BALANCE);
}

static int write_holding(struct db_st *row, void *arg)
{
	(void)arg;
	return write_row(row, HOLDING);
}

/* The rows of (from, upto] that statement `rows` finds onto their pages, and out of memory. */
static int range(struct db *d, size_t rows, int64_t from, int64_t upto)
{
	const size_t done = rows == BALANCES ? BALANCES_DONE : HOLDINGS_DONE;
	struct db_st *st = db_sql(d, DB_NOUN_behind, rows);

	if (from >= upto)
		return KE_OK;
	db_in_int(st, from);
	db_in_int(st, upto);
	int r = db_each(st, rows == BALANCES ? write_balance : write_holding, NULL);
	if (r)
		return r;
	st = db_sql(d, DB_NOUN_behind, done);
	db_in_int(st, from);
	db_in_int(st, upto);
	return db_exec(st);
}

int db_behind_settle(struct db *d, int64_t account)
{
	return range(d, BALANCES, account - 1, account);
}

/* Of so many rows those whose turn has come. */
static int64_t share(const struct db *d, int64_t rows)
{
	int64_t done = d->head.sweep.done;

	return done >= d->round ? rows : rows / d->round * done + rows % d->round * done / d->round;
}

static int sweep_to(struct db *d, int64_t account, int64_t holder)
{
	struct db_sweep *s = &db_head(d)->sweep;
	int r = range(d, BALANCES, s->account, account);

	if (!r)
		r = range(d, HOLDINGS, s->holder, holder);
	s->account = account;
	s->holder = holder;
	return r;
}

/* Everything that the round began with stands in its table. */
static int next_round(struct db *d)
{
	struct db_sweep *s = &db_head(d)->sweep;
	struct db_st *st = db_sql(d, DB_NOUN_behind, NEXT);

	db_in_int(st, s->from);
	*s = (struct db_sweep){.from = db_head(d)->entry, .own = s->own};
	return db_exec_one(st);
}

int db_behind_sweep(struct db *d)
{
	struct db_head *h = db_head(d);

	if (!h->sweep.grew)
		return KE_OK;
	h->sweep.grew = false;
	int r = sweep_to(d, share(d, h->account), share(d, h->holder));
	return r || h->sweep.done < d->round ? r : next_round(d);
}

/* From the first row to the last; twice, for what the second round begins with is swept, too. */
static int sweep_all(struct db *d)
{
	struct db_head *h = db_head(d);
	int r = KE_OK;

	for (int i = 0; !r && i < 2; i++) {
		h->sweep.account = 0;
		h->sweep.holder = 0;
		r = sweep_to(d, h->account, h->holder);
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
