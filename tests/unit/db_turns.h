/*
 * A turn that leaves its number in every part of the store that must agree with it: what the tests
 * of falls write and count. Each program includes it once.
 */
#ifndef TESTS_UNIT_DB_TURNS_H
#define TESTS_UNIT_DB_TURNS_H

#include <string.h>

#include "db/db.h"
#include "db/db_audit.h"
#include "db/db_ledger.h"
#include "db/db_meta.h"
#include "db/db_sqlite.h"

static const uint8_t turns_user[16] = {1};

/* Turn n: a transfer from outside, a long audit line, and n in meta. KE_OK: it is durable. */
static int turns_one(struct db *d, int64_t n)
{
	static const uint8_t nobody[16];
	struct db_account out, in;
	static char detail[2000];

	if (!detail[0])
		memset(detail, 'x', sizeof detail);
	/* of each three turns all balances are swept once */
	db_head(d)->sweep.length = d->round = 6;
	int r = db_turn_begin(d);
	if (!r)
		r = db_account_open(d, DB_ACCOUNT_PROVIDER, nobody, "EUR", &out);
	if (!r)
		r = db_account_open(d, DB_ACCOUNT_USER, turns_user, "EUR", &in);
	if (!r)
		r = db_ledger_transfer(d, &out, &in, 1, "deposit", turns_user, n, NULL);
	if (!r)
		r = db_audit_append(d, n, turns_user, "a.b", NULL, detail, sizeof detail);
	if (!r)
		r = db_meta_set(d, "turn", &n, sizeof n);
	if (r) {
		db_turn_rollback(d);
		return r;
	}
	return db_turn_commit(d, NULL);
}

/* How many turns the store holds. KE_DAMAGED when a part of it does not agree. */
static int turns_count(struct db *d, int64_t *n)
{
	struct db_ledger_report rep;
	struct db_account a = {0};
	int64_t lines = 0;
	size_t len;

	*n = 0;
	int r = db_turn_begin(d);
	if (!r)
		r = db_ledger_check(d, &rep);
	if (!r)
		r = db_audit_check(d, &lines, NULL);
	if (!r) {
		r = db_meta_get(d, "turn", n, sizeof *n, &len);
		r = r == KE_NOTFOUND ? KE_OK : r;
	}
	if (!r && *n)
		r = db_account_get(d, DB_ACCOUNT_USER, turns_user, "EUR", &a);
	if (!r && (lines != *n || rep.transfers != *n || a.balance != *n))
		r = KE_DAMAGED;
	db_turn_rollback(d);
	return r;
}

#endif
