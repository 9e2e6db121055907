/*
 * Logs in the store: records and their tree, subtrees, checkpoints that only grow, which logs are
 * behind, and what the store refuses.
 */
#include "tests/unit/db_env.h"

#include "db/db_log.h"
#include "db/db_raffle.h"
#include "db/db_winners.h"

#define RECORDS 600

static void make_record(struct db_record *r, char text[32], uint64_t i)
{
	*r = (struct db_record){.raffle = {7}, .kind = (unsigned)(i % 3), .at_ms = (int64_t)i};
	r->len = (size_t)snprintf(text, 32, "record %llu\n", (unsigned long long)i);
	r->text = text;
	merkle_leaf_hash(r->leaf, text, r->len);
}

static void append(struct env *e, uint64_t n, struct merkle_range *same)
{
	struct db_record r;
	char text[32];

	for (uint64_t i = same->size; i < n; i++) {
		make_record(&r, text, i);
		env_ok(e, db_log_append(e->d, &r));
		assert_int_equal(r.index, i);
		merkle_range_add(same, r.leaf);
	}
}

static int look(void *arg, const struct db_record *r)
{
	struct db_record want;
	uint64_t *next = arg;
	char text[32];

	make_record(&want, text, *next);
	assert_int_equal(r->index, (*next)++);
	assert_int_equal(r->kind, want.kind);
	assert_int_equal(r->at_ms, want.at_ms);
	assert_int_equal(r->len, want.len);
	assert_memory_equal(r->text, text, want.len);
	assert_memory_equal(r->leaf, want.leaf, 32);
	return KE_OK;
}

static int count(void *arg, const struct db_record *r)
{
	unsigned *n = arg;

	assert_int_equal(r->kind, 2);
	assert_int_equal(r->index, 2 + 3 * (*n)++);
	return KE_OK;
}

static void test_records(void **state)
{
	struct env *e = *state;
	uint8_t hash[256][32], root[32], want[32];
	struct merkle_range same, first;
	struct db_record r = {.raffle = {1}, .text = "x"};
	struct db_log l;
	uint64_t next = 250;
	unsigned n = 0;
	char *text;

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	merkle_range_init(&same);
	append(e, RECORDS, &same);
	env_ok(e, db_log_get(e->d, DB_LOG_OPERATOR, &l));
	assert_int_equal(l.range.size, RECORDS);
	merkle_range_root(&l.range, root);
	merkle_range_root(&same, want);
	assert_memory_equal(root, want, 32);
	env_ok(e, db_log_records(e->d, 250, 20, look, &next));
	assert_int_equal(next, 270);
	env_ok(e, db_log_records_of(e->d, (uint8_t[16]){7}, 2, count, &n));
	assert_int_equal(n, RECORDS / 3);
	/* the second full subtree of 256, from its leaves */
	env_ok(e, db_log_leaves(e->d, 256, 256, hash));
	merkle_range_init(&first);
	for (size_t i = 0; i < 256; i++)
		merkle_range_add(&first, hash[i]);
	env_ok(e, db_log_nodes(e->d, DB_LOG_OPERATOR, 1, 1, 1, hash));
	assert_memory_equal(hash[0], first.hash[0], 32);
	env_ok(e, db_log_nodes(e->d, DB_LOG_OPERATOR, 1, 0, 2, hash));
	assert_int_equal(db_log_nodes(e->d, DB_LOG_OPERATOR, 1, 1, 2, hash), KE_NOTFOUND);
	assert_int_equal(db_log_nodes(e->d, DB_LOG_OPERATOR, 2, 0, 1, hash), KE_NOTFOUND);
	assert_int_equal(db_log_leaves(e->d, RECORDS - 1, 2, hash), KE_NOTFOUND);
	/* an entry of a tile has at most 65535 bytes */
	text = malloc(DB_LOG_TEXT_MAX + 1);
	memset(text, 't', DB_LOG_TEXT_MAX + 1);
	r.text = text;
	r.len = DB_LOG_TEXT_MAX + 1;
	assert_int_equal(db_log_append(e->d, &r), KE_LONG);
	r.len = DB_LOG_TEXT_MAX;
	env_ok(e, db_log_append(e->d, &r));
	free(text);
	env_ok(e, db_turn_commit(e->d, NULL));
}

/* A turn that is undone leaves no record and no hash. */
static void test_undone(void **state)
{
	struct env *e = *state;
	struct merkle_range same;
	struct db_log l;
	uint8_t hash[1][32];

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	merkle_range_init(&same);
	append(e, 250, &same);
	env_ok(e, db_turn_commit(e->d, NULL));
	env_ok(e, db_turn_begin(e->d));
	append(e, 300, &same);
	db_turn_rollback(e->d);
	env_ok(e, db_turn_begin(e->d));
	env_ok(e, db_log_get(e->d, DB_LOG_OPERATOR, &l));
	assert_int_equal(l.range.size, 250);
	assert_int_equal(db_log_nodes(e->d, 0, 1, 0, 1, hash), KE_NOTFOUND);
	same = l.range;
	append(e, 300, &same);
	env_ok(e, db_turn_commit(e->d, NULL));
}

static struct db_checkpoint checkpoint(uint64_t size)
{
	struct db_checkpoint c = {.size = size, .root = {(uint8_t)size}, .at_ms = 5};

	c.len = (size_t)snprintf(c.note, sizeof c.note, "note of %llu\n", (unsigned long long)size);
	return c;
}

static void set_checkpoint(struct env *e, int64_t no, uint64_t size, int want)
{
	struct db_checkpoint c = checkpoint(size);

	assert_int_equal(db_log_set_checkpoint(e->d, no, &c), want);
}

static void expect_behind(struct env *e, int64_t after, int64_t want)
{
	int64_t no = -1;
	int r = db_log_behind(e->d, after, &no);

	assert_int_equal(r, want < 0 ? KE_NOTFOUND : KE_OK);
	if (want >= 0)
		assert_int_equal(no, want);
}

static void test_checkpoints(void **state)
{
	struct env *e = *state;
	struct merkle_range same;
	struct db_checkpoint c;
	struct db_log l;

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	assert_int_equal(db_log_checkpoint(e->d, 0, UINT64_MAX, &c), KE_NOTFOUND);
	expect_behind(e, -1, 0); /* an empty log has a checkpoint too */
	set_checkpoint(e, 0, 1, KE_RANGE);
	set_checkpoint(e, 0, 0, KE_OK);
	expect_behind(e, -1, -1);
	merkle_range_init(&same);
	append(e, 5, &same);
	expect_behind(e, -1, 0);
	expect_behind(e, 0, -1);
	set_checkpoint(e, 0, 3, KE_OK);
	set_checkpoint(e, 0, 3, KE_STATE);
	set_checkpoint(e, 0, 2, KE_STATE);
	set_checkpoint(e, 0, 5, KE_OK);
	env_ok(e, db_log_get(e->d, 0, &l));
	assert_int_equal(l.logged, 5);
	/* the operator log keeps them all */
	env_ok(e, db_log_checkpoint(e->d, 0, 4, &c));
	assert_int_equal(c.size, 3);
	assert_string_equal(c.note, "note of 3\n");
	env_ok(e, db_log_checkpoint(e->d, 0, UINT64_MAX, &c));
	assert_true(c.size == 5 && c.root[0] == 5 && c.at_ms == 5 && c.len == strlen(c.note));
	assert_int_equal(db_log_met(e->d, 0, 0, &c), KE_NOTFOUND);
	c = (struct db_checkpoint){.size = 5, .note = "cosigned", .len = 8};
	env_ok(e, db_log_set_note(e->d, 0, &c));
	env_ok(e, db_log_checkpoint(e->d, 0, 5, &c));
	assert_string_equal(c.note, "cosigned");
	assert_int_equal(c.met_s, 0);
	c.size = 4;
	assert_int_equal(db_log_set_note(e->d, 0, &c), KE_NOTFOUND);
	c.len = DB_LOG_NOTE_MAX + 1;
	assert_int_equal(db_log_set_note(e->d, 0, &c), KE_LONG);
	env_ok(e, db_turn_commit(e->d, NULL));
}

/* Which of them had a quorum of witnesses, and when. */
static void test_met(void **state)
{
	struct env *e = *state;
	struct merkle_range same;
	struct db_checkpoint c;

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	merkle_range_init(&same);
	append(e, 9, &same);
	for (uint64_t size = 2; size < 9; size += 3) {
		set_checkpoint(e, 0, size, KE_OK);
		c = (struct db_checkpoint){.size = size, .note = "met", .len = 3};
		c.met_s = size == 2 ? 0 : 1000 + size;
		env_ok(e, db_log_set_note(e->d, 0, &c));
	}
	env_ok(e, db_log_met(e->d, 0, 1, &c));
	assert_true(c.size == 5 && c.met_s == 1005 && c.len == 3);
	env_ok(e, db_log_met(e->d, 0, 4, &c));
	assert_int_equal(c.size, 5);
	env_ok(e, db_log_met(e->d, 0, 5, &c));
	assert_int_equal(c.size, 8);
	assert_int_equal(db_log_met(e->d, 0, 8, &c), KE_NOTFOUND);
	assert_int_equal(db_log_met(e->d, 0, UINT64_MAX, &c), KE_NOTFOUND);
	env_ok(e, db_turn_commit(e->d, NULL));
}

static struct db_raffle make_raffle(struct env *e, uint8_t n, enum raffle_format format)
{
	struct db_raffle r = {.id = {0x20, [15] = n},
	    .format = format,
	    .price = 1,
	    .currency = "EUR",
	    .capacity = 1000,
	    .winners = 1};
	struct db_user u;

	env_id(r.created_by, 1);
	if (db_user_by_id(e->d, r.created_by, &u) == KE_NOTFOUND)
		env_user(e, 1, r.created_by);
	env_ok(e, db_raffle_create(e->d, &r));
	env_ok(e, db_raffle_get(e->d, r.id, &r));
	assert_int_equal(r.format, format);
	return r;
}

static void sell(struct env *e, const uint8_t id[16], int64_t n)
{
	uint8_t leaf[32] = {1};
	struct db_sale s;

	env_ok(e, db_raffle_sale(e->d, id, &s));
	for (int64_t i = 0; i < n; i++)
		merkle_range_add(&s.range, leaf);
	s.sold += n;
	env_ok(e, db_raffle_sold(e->d, &s, s.sold - n));
}

/* Ticket logs: of v2 raffles that were opened, one checkpoint each. */
static void test_tickets(void **state)
{
	static const uint8_t commit[32] = {1};
	struct env *e = *state;
	struct db_raffle old, draft, r;
	struct db_checkpoint c;
	struct db_log l;

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	old = make_raffle(e, 1, RAFFLE_V1);
	draft = make_raffle(e, 2, RAFFLE_V2);
	r = make_raffle(e, 3, RAFFLE_V2);
	env_ok(e, db_raffle_set_open(e->d, old.id, commit, commit, "seed", 1));
	env_ok(e, db_raffle_set_open(e->d, r.id, commit, commit, "seed", 1));
	assert_int_equal(db_log_of_raffle(e->d, old.id, &l), KE_NOTFOUND);
	assert_int_equal(db_log_get(e->d, old.no, &l), KE_NOTFOUND);
	assert_int_equal(db_log_of_raffle(e->d, draft.id, &l), KE_NOTFOUND);
	env_ok(e, db_log_of_raffle(e->d, r.id, &l));
	assert_true(l.no == r.no && l.range.size == 0 && l.logged == -1);
	expect_behind(e, 0, r.no);
	set_checkpoint(e, r.no, 0, KE_OK);
	expect_behind(e, 0, -1);
	sell(e, old.id, 3);
	expect_behind(e, 0, -1);
	sell(e, r.id, 3);
	expect_behind(e, 0, r.no);
	expect_behind(e, r.no, -1);
	set_checkpoint(e, r.no, 4, KE_RANGE);
	set_checkpoint(e, r.no, 3, KE_OK);
	env_ok(e, db_log_get(e->d, r.no, &l));
	assert_memory_equal(l.raffle, r.id, 16);
	assert_int_equal(l.logged, 3);
	assert_int_equal(db_log_checkpoint(e->d, r.no, 2, &c), KE_NOTFOUND);
	env_ok(e, db_turn_commit(e->d, NULL));
}

/* The file of many winners: whole, of any length, of a raffle that exists, once and for all. */
static void test_winners(void **state)
{
	static const char *const tries[] = {
	    "UPDATE winners_files SET text = 'other'", "DELETE FROM winners_files"};
	static const size_t lengths[] = {
	    1, DB_WINNERS_PART, DB_WINNERS_PART + 1, 3 * DB_WINNERS_PART + 7};
	char *text = malloc(4 * DB_WINNERS_PART), *got = malloc(4 * DB_WINNERS_PART);
	struct env *e = *state;
	uint8_t nobody[16];
	size_t n;

	assert_true(text != NULL && got != NULL);
	for (size_t i = 0; i < 4 * DB_WINNERS_PART; i++)
		text[i] = (char)('a' + i * 7 / 1000 % 26);
	env_open(e, DB_CREATE);
	for (size_t i = 0; i < 4; i++) {
		struct db_raffle r;

		env_ok(e, db_turn_begin(e->d));
		r = make_raffle(e, (uint8_t)(10 + i), RAFFLE_V2);
		assert_int_equal(
		    db_winners_get(e->d, r.id, got, 4 * DB_WINNERS_PART, &n), KE_NOTFOUND);
		env_ok(e, db_winners_put(e->d, r.id, text, lengths[i]));
		env_ok(e, db_turn_commit(e->d, NULL));
		env_ok(e, db_turn_begin(e->d));
		env_ok(e, db_winners_get(e->d, r.id, got, lengths[i], &n));
		assert_true(n == lengths[i] && memcmp(got, text, n) == 0);
		assert_int_equal(db_winners_get(e->d, r.id, got, n - 1, &n), KE_LONG);
		assert_int_equal(db_winners_put(e->d, r.id, text, 1), KE_EXISTS);
		db_turn_rollback(e->d);
	}
	env_ok(e, db_turn_begin(e->d));
	env_id(nobody, 99);
	assert_int_equal(db_winners_put(e->d, nobody, text, 1), KE_STATE);
	db_turn_rollback(e->d);
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
		if ((env_raw(e, tries[i]) & 0xff) != SQLITE_CONSTRAINT)
			fail_msg("%s", tries[i]);
	free(text);
	free(got);
}

/* What is in a log is never altered, whatever a program tries. */
static void test_fixed(void **state)
{
	static const char *const tries[] = {"UPDATE records SET text = 'other' WHERE idx = 0",
	    "DELETE FROM records", "UPDATE nodes SET hash = zeroblob(32)", "DELETE FROM nodes",
	    "INSERT INTO records VALUES (999, zeroblob(16), 0, 0, zeroblob(32), '')",
	    "INSERT INTO nodes VALUES (0, 0, 0, zeroblob(32))",
	    "UPDATE oplog SET logged = size + 1", "INSERT INTO oplog VALUES (1, 0, x'', -1)"};
	struct env *e = *state;
	struct merkle_range same;

	env_open(e, DB_CREATE);
	env_ok(e, db_turn_begin(e->d));
	merkle_range_init(&same);
	append(e, 256, &same);
	env_ok(e, db_turn_commit(e->d, NULL));
	for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
		if ((env_raw(e, tries[i]) & 0xff) != SQLITE_CONSTRAINT)
			fail_msg("%s", tries[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_records, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_undone, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_checkpoints, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_met, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_tickets, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_winners, env_start, env_stop),
	    cmocka_unit_test_setup_teardown(test_fixed, env_start, env_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
