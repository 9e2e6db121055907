/*
 * Witnessed logs and evidence: see db_witness.h. Runs in engine.
 */
#include "db/db_witness.h"

#include "db/db_sql.h"

enum { PUT, EVIDENCE, COUNT };
static const char *const texts[] = {
    [PUT] = "INSERT INTO witnessed (origin, size, root, note, at_ms) VALUES ($1, $2, $3, $4, $5)"
	    " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root,"
	    " note = excluded.note, at_ms = excluded.at_ms",
    [EVIDENCE] = "INSERT INTO witness_evidence (origin, size, root, note, at_ms, kind, against)"
		 " SELECT $1, $2, $3, $4, $5, $6,"
		 " (SELECT w.note FROM witnessed w WHERE w.origin = $1)"
		 " WHERE (SELECT count(*) FROM witness_evidence) < $7"
		 " ON CONFLICT (origin, size, root) DO NOTHING RETURNING 1",
    [COUNT] = "SELECT count(*) FROM witness_evidence WHERE kind = $1",
};
DB_SQL_LIST(witness, texts);

static int fill(struct db_st *st, const struct db_witnessed *w)
{
	if (w->size > INT64_MAX || w->note_len > DB_WITNESS_NOTE_MAX)
		return KE_RANGE;
	db_in_cstr(st, w->origin);
	db_in_int(st, (int64_t)w->size);
	db_in_blob(st, w->root, 32);
	db_in_text(st, w->note, w->note_len);
	db_in_int(st, w->at_ms);
	return KE_OK;
}

int db_witness_put(struct db *d, const struct db_witnessed *w)
{
	struct db_st *st = db_sql(d, DB_NOUN_witness, PUT);
	int r = fill(st, w);

	return r == KE_OK ? db_exec(st) : r;
}

int db_witness_evidence(
    struct db *d, enum db_evidence_kind kind, const struct db_witnessed *w, bool *kept)
{
	struct db_st *st = db_sql(d, DB_NOUN_witness, EVIDENCE);
	int64_t one = 0;
	int r = fill(st, w);

	*kept = false;
	if (r != KE_OK)
		return r;
	db_in_int(st, kind);
	db_in_int(st, DB_EVIDENCE_MAX);
	r = db_exec_int(st, &one);
	*kept = r == KE_OK;
	return r == KE_NOTFOUND ? KE_OK : r;
}

int db_witness_count(struct db *d, enum db_evidence_kind kind, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_witness, COUNT);

	db_in_int(st, kind);
	return db_exec_int(st, n);
}
