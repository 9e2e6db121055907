/*
 * Winners' files: see db_winners.h. Runs in engine.
 */
#include "db/db_winners.h"

#include <string.h>

#include "db/db_sql.h"

enum { PUT, GET };
static const char *const texts[] = {
    [PUT] = "INSERT INTO winners_files (raffle, part, text) VALUES ($1, $2, $3)",
    [GET] = "SELECT text FROM winners_files WHERE raffle = $1 ORDER BY part",
};
DB_SQL_LIST(winners, texts);

int db_winners_put(struct db *d, const uint8_t raffle[16], const char *text, size_t n)
{
	int r = KE_OK;

	for (size_t at = 0; r == KE_OK && at < n; at += DB_WINNERS_PART) {
		struct db_st *st = db_sql(d, DB_NOUN_winners, PUT);
		size_t rest = n - at;

		db_in_id(st, raffle);
		db_in_int(st, (int64_t)(at / DB_WINNERS_PART));
		db_in_text(st, text + at, rest < DB_WINNERS_PART ? rest : DB_WINNERS_PART);
		r = db_exec(st);
	}
	return r;
}

struct whole {
	char *text;
	size_t cap, n;
};

static int part_row(struct db_st *st, void *arg)
{
	struct whole *w = arg;
	size_t n;
	const void *part = db_out_view(st, &n);

	if (n > w->cap - w->n)
		return KE_LONG;
	if (n > 0)
		memcpy(w->text + w->n, part, n);
	w->n += n;
	return KE_OK;
}

int db_winners_get(struct db *d, const uint8_t raffle[16], char *text, size_t cap, size_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_winners, GET);
	struct whole w = {.text = text, .cap = cap};
	int r;

	db_in_id(st, raffle);
	r = db_each(st, part_row, &w);
	*n = w.n;
	return r == KE_OK && w.n == 0 ? KE_NOTFOUND : r;
}
