/*
 * The ledger recomputed (db_ledger.h): what has to hold of it whatever happened. Runs in engine
 * (kleroctl status, tests) and trusts no row. Each question is a query that finds what must not be;
 * the first row found is the answer.
 */
#include <stdio.h>
#include <string.h>

#include "db/db_behind.h"
#include "db/db_ledger.h"
#include "db/db_sql.h"

enum {
	SUM_BALANCES,
	SUM_ENTRIES,
	UNPAIRED,
	BALANCE,
	CHAIN,
	HEADS,
	ORPHAN,
	NO_BALANCE,
	QUESTIONS,
	COUNT_ACCOUNTS = QUESTIONS,
	COUNT_TRANSFERS,
	COUNT_ENTRIES,
	WALK
};

static const char *const texts[] = {
    [SUM_BALANCES] = "SELECT max(a.id) FROM accounts a JOIN " DB_BALANCES " b ON b.account = a.id"
		     " GROUP BY a.currency HAVING sum(b.balance) <> 0 LIMIT 1",
    /* What every account has received and spent must be what stands on it. */
    [SUM_ENTRIES] = "SELECT max(a.id) FROM accounts a JOIN entries e ON e.account = a.id"
		    " GROUP BY a.currency HAVING sum(e.amount) <> 0 LIMIT 1",
    [UNPAIRED] =
	"SELECT t.id FROM transfers t"
	" LEFT JOIN entries e ON e.transfer = t.id LEFT JOIN accounts a ON a.id = e.account"
	" GROUP BY t.id HAVING count(e.seq) <> 2 OR sum(e.amount) <> 0"
	" OR count(DISTINCT a.currency) <> 1 OR count(DISTINCT a.id) <> 2 LIMIT 1",
    [BALANCE] = "SELECT b.account FROM " DB_BALANCES " b LEFT JOIN"
		" (SELECT account, sum(amount) AS total, max(seq) AS newest FROM entries GROUP BY "
		"account) e"
		" ON e.account = b.account WHERE b.balance <> coalesce(e.total, 0)"
		" OR b.last_entry <> coalesce(e.newest, 0) LIMIT 1",
    [CHAIN] = "SELECT e.seq FROM entries e LEFT JOIN entries p ON p.seq = e.prev"
	      " WHERE e.prev <> 0 AND (p.seq IS NULL OR p.account <> e.account OR"
	      " p.balance_after + e.amount <> e.balance_after)"
	      " OR e.prev = 0 AND e.amount <> e.balance_after LIMIT 1",
    /* As many first entries as accounts that have any: no chain forks. */
    [HEADS] = "SELECT account FROM entries GROUP BY account"
	      " HAVING count(DISTINCT prev) <> count(*) LIMIT 1",
    [ORPHAN] = "SELECT e.seq FROM entries e LEFT JOIN transfers t ON t.id = e.transfer"
	       " LEFT JOIN " DB_BALANCES " b ON b.account = e.account"
	       " WHERE t.id IS NULL OR b.account IS NULL LIMIT 1",
    [NO_BALANCE] = "SELECT a.id FROM accounts a LEFT JOIN " DB_BALANCES " b ON b.account = a.id"
		   " WHERE b.account IS NULL OR b.may_owe <> CASE WHEN a.kind = 3 THEN 1 ELSE 0 END"
		   " OR b.held < 0 OR b.may_owe = 0 AND b.balance < b.held LIMIT 1",
    [COUNT_ACCOUNTS] = "SELECT count(*) FROM accounts",
    [COUNT_TRANSFERS] = "SELECT count(*) FROM transfers",
    [COUNT_ENTRIES] = "SELECT count(*) FROM entries",
    [WALK] = "SELECT a.id, a.currency, b.balance FROM accounts a"
	     " JOIN " DB_BALANCES " b ON b.account = a.id WHERE a.id > $1 ORDER BY a.id LIMIT $2",
};
DB_SQL_LIST(ledger_check, texts);

static const char *const words[QUESTIONS] = {
    [SUM_BALANCES] = "the balances of a currency do not sum to zero; it is that of account",
    [SUM_ENTRIES] = "the entries of a currency do not sum to zero; it is that of account",
    [UNPAIRED] = "a transfer has not two entries that cancel each other; it is number",
    [BALANCE] = "a balance is not what the entries say; it is that of account",
    [CHAIN] = "an entry does not follow the one before it; it is number",
    [HEADS] = "two entries follow the same one; they are of account",
    [ORPHAN] = "an entry belongs to no transfer or account; it is number",
    [NO_BALANCE] = "a balance breaks its limits; it is that of account",
};

static int questions(struct db *d, struct db_ledger_report *rep)
{
	for (size_t i = 0; i < QUESTIONS; i++) {
		int64_t found;
		int r = db_exec_int(db_sql(d, DB_NOUN_ledger_check, i), &found);
		if (r == KE_NOTFOUND)
			continue;
		if (r)
			return r;
		snprintf(rep->why, sizeof rep->why, "%s %lld", words[i], (long long)found);
		return KE_DAMAGED;
	}
	return KE_OK;
}

static int count(struct db *d, size_t i, int64_t *n)
{
	return db_exec_int(db_sql(d, DB_NOUN_ledger_check, i), n);
}

int db_ledger_check(struct db *d, struct db_ledger_report *rep)
{
	*rep = (struct db_ledger_report){0};
	int r = count(d, COUNT_ACCOUNTS, &rep->accounts);
	if (!r)
		r = count(d, COUNT_TRANSFERS, &rep->transfers);
	if (!r)
		r = count(d, COUNT_ENTRIES, &rep->entries);
	return r ? r : questions(d, rep);
}

/* --- the same first question in steps, while sales go on --- */

static void add(struct db_walk *w, const char *currency, int64_t amount)
{
	size_t i = 0;

	while (i < w->n && strcmp(w->c[i].currency, currency) != 0)
		i++;
	if (i == DB_WALK_CURRENCIES || strlen(currency) >= sizeof w->c[i].currency) {
		w->broken = true;
		return;
	}
	if (i == w->n) {
		memcpy(w->c[i].currency, currency, strlen(currency) + 1);
		w->c[i].sum = 0;
		w->n++;
	}
	if (__builtin_add_overflow(w->c[i].sum, amount, &w->c[i].sum))
		w->broken = true;
}

void db_walk_moved(struct db_walk *w, int64_t account, const char *currency, int64_t amount)
{
	if (account <= w->upto)
		add(w, currency, amount);
}

static int walk_row(struct db_st *st, void *arg)
{
	struct db_walk *w = arg;
	char currency[DB_CURRENCY_MAX + 1];

	w->upto = db_out_int(st);
	db_out_text(st, currency, sizeof currency);
	add(w, currency, db_out_int(st));
	return KE_OK;
}

int db_ledger_walk(struct db *d, int64_t most, bool *whole)
{
	struct db_walk *w = &db_head(d)->walk;
	struct db_st *st = db_sql(d, DB_NOUN_ledger_check, WALK);
	int64_t from = w->upto;

	db_in_int(st, from);
	db_in_int(st, most);
	int r = db_each(st, walk_row, w);
	if (r)
		return r;
	if (w->upto != from)
		return KE_AGAIN;
	*whole = !w->broken;
	for (size_t i = 0; i < w->n; i++)
		*whole = *whole && w->c[i].sum == 0;
	*w = (struct db_walk){0};
	return KE_OK;
}
