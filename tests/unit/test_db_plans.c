/*
 * How SQLite means to run each statement of the store: none may walk through, or sort, a table that
 * grows with users, sales or time. A plan does not depend on what is stored (nothing is ever
 * ANALYZEd), so an empty store tells.
 */
#include "tests/unit/db_env.h"

#include "db/db_sqlite.h"

static const struct db_sql_list *const lists[] = {
#define X(noun) &db_##noun##_sql,
    DB_NOUNS(X)
#undef X
};

/* What may, by how the statement begins. */
static const struct exception {
	const char *begins, *why;
} exceptions[] = {
    {"SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", "one row, from the end"},
    {"DELETE FROM idempotency WHERE (created_ms < $1 OR created_ms > $2) AND no IN"
     " (SELECT no FROM idempotency ORDER BY no LIMIT $3)",
	"the first $3 rows"},
    {"SELECT seq, at_ms, actor, action, subject, detail, hash FROM audit ORDER BY seq",
	"db_audit_check: the whole chain, and no request asks for it"},
    {"SELECT count(*) FROM (SELECT 1 FROM sessions WHERE expires_ms >= $1",
	"what the index gives, $3 rows at most"},
    {"SELECT id FROM (SELECT id, no, opened_ms, drawn_ms FROM raffles ORDER BY no DESC LIMIT $3)"
     " WHERE opened_ms",
	"the newest $3 rows"},
    {"SELECT id FROM (SELECT id, no, opened_ms, drawn_ms FROM raffles ORDER BY no DESC LIMIT $3)"
     " WHERE drawn_ms",
	"the newest $3 rows"},
    {"UPDATE sessions SET revoked_ms = $1 WHERE revoked_ms = 0",
	"all of them, once, when a store is restored"},
    {"SELECT id, kind, subject, priority, run_at_ms, attempts, state, last_error, updated_ms FROM"
     " jobs WHERE state = 0 AND run_at_ms <= $1 ORDER BY priority DESC, run_at_ms, id LIMIT 1",
	"sorts the jobs that are due, which wait for no more than each other"},
    {"INSERT INTO witness_evidence (", "counts DB_EVIDENCE_MAX rows at most"},
    {"SELECT count(*) FROM witness_evidence WHERE kind", "the same"},
};

static bool may(size_t noun, const char *sql)
{
	/* db_ledger_check reads everything, with engine stopped; its walk has a LIMIT */
	if (noun == DB_NOUN_ledger_check)
		return strstr(sql, "$1") == NULL;
	for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
		if (strncmp(sql, exceptions[i].begins, strlen(exceptions[i].begins)) == 0)
			return true;
	return false;
}

static bool walks(const char *detail)
{
	return strncmp(detail, "SCAN ", 5) == 0 || strncmp(detail, "USE TEMP B-TREE", 15) == 0 ||
	       strstr(detail, "AUTOMATIC") != NULL;
}

/* How many lines of a statement's plan walk. */
static int plan(struct env *e, const char *sql)
{
	char text[4096];
	sqlite3_stmt *s;
	int n = 0;

	snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(e->d->sq, text, -1, &s, NULL), SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW)
		n += walks((const char *)sqlite3_column_text(s, 3));
	sqlite3_finalize(s);
	return n;
}

static void test_no_statement_walks(void **state)
{
	struct env *e = *state;
	size_t excepted = 0;

	env_open(e, DB_CREATE);
	e->d->shut = false;
	for (size_t i = 0; i < DB_NOUN_COUNT; i++) {
		for (size_t j = 0; j < lists[i]->n; j++) {
			const char *sql = lists[i]->text[j];
			int n = plan(e, sql);

			if (n > 0 && !may(i, sql))
				fail_msg("walks through a table that grows: %s", sql);
			excepted += n > 0 && i != DB_NOUN_ledger_check;
		}
	}
	/* an exception that no statement needs any more is a mistake */
	assert_int_equal(excepted, sizeof exceptions / sizeof exceptions[0]);
	e->d->shut = true;
}

/* The test can see what it looks for. */
static void test_sees_a_walk(void **state)
{
	struct env *e = *state;

	env_open(e, DB_CREATE);
	e->d->shut = false;
	assert_int_equal(plan(e, "SELECT count(*) FROM users"), 1);
	assert_int_equal(plan(e, "SELECT id FROM raffles ORDER BY price LIMIT $1"), 2);
	assert_int_equal(plan(e, "SELECT no FROM raffles WHERE id = $1"), 0);
	/* what a trigger on a table with children costs */
	assert_int_equal(
	    sqlite3_exec(e->d->sq, "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END",
		NULL, NULL, NULL),
	    SQLITE_OK);
	assert_true(plan(e, "INSERT INTO users (id) VALUES ($1)") > 0);
	e->d->shut = true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_no_statement_walks, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_sees_a_walk, env_start, env_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
