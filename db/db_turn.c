/*
 * Turns and savepoints (DESIGN.md section 5): one turn of the engine is one transaction, each
 * request in it one savepoint. Runs in engine. A turn begins deferred, so that one which only
 * reads locks and syncs nothing; with the store open in one process alone, turning into a writer
 * later cannot fail.
 */
#include <sqlite3.h>

#include "db/db_behind.h"
#include "db/db_sqlite.h"

static int run(struct db *d, enum db_turn_sql i)
{
	int rc = sqlite3_step(d->turn_st[i].s);
	int r = rc == SQLITE_DONE ? KE_OK : db_sqlite_error(d, rc, sqlite3_sql(d->turn_st[i].s));

	sqlite3_reset(d->turn_st[i].s);
	return r;
}

int db_turn_begin(struct db *d)
{
	if (d->turn)
		return db_fail(d, KE_STATE, "a turn is open already");
	int r = run(d, DB_BEGIN);
	if (r)
		return r;
	d->turn = true;
	d->head_turn = d->head;
	return KE_OK;
}

static void turn_over(struct db *d)
{
	d->turn = false;
	d->saved = false;
	d->lost = false;
}

int db_turn_commit(struct db *d, bool *wrote)
{
	if (wrote)
		*wrote = false;
	if (!d->turn)
		return db_fail(d, KE_STATE, "no turn is open");
	bool writes = db_turn_wrote(d);
	int r = d->lost    ? KE_IO
		: d->saved ? db_fail(d, KE_STATE, "a savepoint is open")
			   : db_behind_sweep(d);
	if (!r)
		r = run(d, DB_COMMIT);
	if (r) {
		db_turn_rollback(d);
		return r;
	}
	turn_over(d);
	if (wrote)
		*wrote = writes;
	return KE_OK;
}

void db_turn_rollback(struct db *d)
{
	if (!d->turn)
		return;
	/* SQLite rolls back by itself when the disk fails; then there is nothing left to do. */
	if (!sqlite3_get_autocommit(d->sq))
		(void)run(d, DB_ROLLBACK);
	d->head = d->head_turn;
	turn_over(d);
}

bool db_turn_open(const struct db *d)
{
	return d->turn;
}

bool db_turn_lost(const struct db *d)
{
	return d->lost;
}

bool db_turn_wrote(const struct db *d)
{
	return d->turn && sqlite3_txn_state(d->sq, "main") == SQLITE_TXN_WRITE;
}

void db_refuse_writes(struct db *d, bool refuse)
{
	d->refuses = refuse;
}

int db_savepoint(struct db *d)
{
	if (!d->turn || d->saved)
		return db_fail(d, KE_STATE, "a savepoint stands alone within a turn");
	if (d->lost)
		return KE_IO;
	int r = run(d, DB_SAVE);
	if (r)
		return r;
	d->saved = true;
	d->head_saved = d->head;
	return KE_OK;
}

int db_release(struct db *d)
{
	if (!d->saved)
		return db_fail(d, KE_STATE, "no savepoint is open");
	if (d->lost)
		return KE_IO;
	int r = run(d, DB_RELEASE);
	if (!r)
		d->saved = false;
	return r;
}

int db_rollback_to(struct db *d)
{
	if (!d->saved)
		return db_fail(d, KE_STATE, "no savepoint is open");
	d->head = d->head_saved;
	if (d->lost)
		return KE_IO;
	int r = run(d, DB_UNDO);
	if (!r)
		r = run(d, DB_RELEASE);
	if (!r)
		d->saved = false;
	return r;
}
