/*
 * Raffles, holders and tickets: the life cycle by compare-and-set, sales, lists, the walk over a
 * raffle's tickets for the proof.
 */
#include "tests/unit/db_env.h"

#include "db/db_raffle.h"
#include "db/db_ticket.h"

static const uint8_t seed1[32] = {1}, seed2[32] = {2}, hash3[32] = {3}, salt4[32] = {4};

static struct db_raffle draft(struct env *e, uint8_t n)
{
	struct db_raffle r = {.format = RAFFLE_V1,
	    .price = 250,
	    .currency = "EUR",
	    .capacity = 1000,
	    .per_person = 10,
	    .winners = 3,
	    .reserves = 2,
	    .created_ms = 50};
	struct db_user u;

	r.id[0] = 0x20;
	r.id[15] = n;
	env_id(r.created_by, 1);
	if (db_user_by_id(e->d, r.created_by, &u) == KE_NOTFOUND)
		env_user(e, 1, r.created_by);
	snprintf(r.title, sizeof r.title, "Raffle %u", n);
	snprintf(r.description, sizeof r.description, "A car");
	env_ok(e, db_raffle_create(e->d, &r));
	return r;
}

static void test_life(void **state)
{
	struct env *e = *state;
	struct db_raffle r = draft(e, 1), q;
	uint8_t none[16] = {0};
	struct db_sale s;
	char buf[100];
	size_t n;

	assert_int_equal(db_raffle_create(e->d, &r), KE_EXISTS);
	assert_int_equal(db_raffle_get(e->d, none, &q), KE_NOTFOUND);
	env_ok(e, db_raffle_get(e->d, r.id, &q));
	assert_int_equal(q.state, RAFFLE_DRAFT);
	assert_int_equal(q.version, 1);
	assert_string_equal(q.title, "Raffle 1");
	assert_string_equal(q.description, "A car");
	assert_string_equal(q.seed_blob, "");
	assert_int_equal(q.entropy_len, 0);

	/* every wrong order is refused and changes nothing */
	env_ok(e, db_raffle_sale(e->d, r.id, &s));
	s.sold = 1;
	assert_int_equal(db_raffle_sold(e->d, &s, 0), KE_STATE);
	assert_int_equal(db_raffle_set_closed(e->d, r.id, hash3, hash3, 1), KE_STATE);
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, "e", 1, none, 1), KE_STATE);
	assert_int_equal(db_raffle_set_drawn(e->d, r.id, seed1, "r", 1, "n", 1, 1), KE_STATE);
	assert_int_equal(db_raffle_set_open(e->d, none, seed1, seed2, "b", 1), KE_NOTFOUND);
	env_ok(e, db_raffle_set_open(e->d, r.id, seed1, seed2, "klero:1:seed:v000001:x", 60));
	assert_int_equal(db_raffle_set_open(e->d, r.id, seed1, seed2, "b", 61), KE_STATE);
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, "e", 1, none, 1), KE_STATE);
	env_ok(e, db_raffle_set_closed(e->d, r.id, hash3, salt4, 70));
	assert_int_equal(db_raffle_set_closed(e->d, r.id, hash3, hash3, 71), KE_STATE);
	env_ok(e, db_raffle_sale(e->d, r.id, &s));
	s.sold = 1;
	assert_int_equal(db_raffle_sold(e->d, &s, 0), KE_STATE);
	assert_int_equal(db_raffle_set_drawn(e->d, r.id, seed1, "r", 1, "n", 1, 1), KE_STATE);
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, "", 0, none, 1), KE_RANGE);
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, buf, 257, none, 1), KE_RANGE);
	assert_int_equal(db_raffle_set_entropy(e->d, none, "e", 1, none, 1), KE_NOTFOUND);
	env_ok(e, db_raffle_set_entropy(e->d, r.id, "dice\0five", 9, r.created_by, 80));
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, "again", 5, none, 81), KE_EXISTS);
	assert_int_equal(db_raffle_record(e->d, r.id, buf, sizeof buf, &n), KE_NOTFOUND);
	env_ok(e, db_raffle_set_drawn(e->d, r.id, seed2, "record\n", 7, "note\nsig\n", 9, 90));
	assert_int_equal(db_raffle_set_drawn(e->d, r.id, seed1, "r", 1, "n", 1, 91), KE_STATE);
	assert_int_equal(db_raffle_set_entropy(e->d, r.id, "again", 5, none, 81), KE_EXISTS);
	env_commit(e);

	env_ok(e, db_raffle_get(e->d, r.id, &q));
	assert_int_equal(q.state, RAFFLE_DRAWN);
	assert_int_equal(q.version, 5);
	assert_int_equal(q.opened_ms, 60);
	assert_int_equal(q.closed_ms, 70);
	assert_int_equal(q.entropy_ms, 80);
	assert_int_equal(q.drawn_ms, 90);
	assert_memory_equal(q.seed_commit1, seed1, 32);
	assert_memory_equal(q.seed_commit2, seed2, 32);
	assert_string_equal(q.seed_blob, "klero:1:seed:v000001:x");
	assert_memory_equal(q.root, hash3, 32);
	assert_memory_equal(q.aggregate, salt4, 32);
	assert_int_equal(q.entropy_len, 9);
	assert_memory_equal(q.entropy, "dice\0five", 9);
	assert_memory_equal(q.entropy_by, r.created_by, 16);
	assert_memory_equal(q.server_seed, seed2, 32);
	env_ok(e, db_raffle_record(e->d, r.id, buf, sizeof buf, &n));
	assert_int_equal(n, 7);
	assert_memory_equal(buf, "record\n", 7);
	env_ok(e, db_raffle_note(e->d, r.id, buf, sizeof buf, &n));
	assert_memory_equal(buf, "note\nsig\n", 9);
	assert_int_equal(db_raffle_note(e->d, r.id, buf, 8, &n), KE_LONG);
}

static void test_large_texts(void **state)
{
	struct env *e = *state;
	struct db_raffle r = draft(e, 1), q;
	char *record = malloc(DB_NOTE_MAX + 1), *back = malloc(DB_NOTE_MAX + 1);
	size_t n;

	assert_true(record && back);
	memset(record, 'r', DB_NOTE_MAX + 1);
	env_ok(e, db_raffle_set_open(e->d, r.id, seed1, seed2, "b", 60));
	env_ok(e, db_raffle_set_closed(e->d, r.id, hash3, salt4, 70));
	env_ok(e, db_raffle_set_entropy(e->d, r.id, "e", 1, r.created_by, 80));
	assert_int_equal(
	    db_raffle_set_drawn(e->d, r.id, seed1, record, DB_RECORD_MAX + 1, "n", 1, 1), KE_LONG);
	assert_int_equal(
	    db_raffle_set_drawn(e->d, r.id, seed1, "r", 1, record, DB_NOTE_MAX + 1, 1), KE_LONG);
	env_ok(e,
	    db_raffle_set_drawn(e->d, r.id, seed1, record, DB_RECORD_MAX, record, DB_NOTE_MAX, 1));
	env_ok(e, db_raffle_note(e->d, r.id, back, DB_NOTE_MAX, &n));
	assert_int_equal(n, DB_NOTE_MAX);
	assert_memory_equal(back, record, n);
	free(record);
	free(back);
	r = draft(e, 2);
	r.id[15] = 3;
	memset(r.title, 't', DB_TITLE_MAX);
	memset(r.description, 'd', DB_DESCRIPTION_MAX);
	env_ok(e, db_raffle_create(e->d, &r));
	env_ok(e, db_raffle_get(e->d, r.id, &q));
	assert_int_equal(strlen(q.description), DB_DESCRIPTION_MAX);
	assert_int_equal(strlen(q.title), DB_TITLE_MAX);
	r.id[15] = 4;
	r.price = 0;
	assert_int_equal(db_raffle_create(e->d, &r), KE_RANGE);
	r.price = 1;
	r.created_by[3] = 77; /* nobody */
	assert_int_equal(db_raffle_create(e->d, &r), KE_STATE);
}

struct seen {
	int n;
	uint8_t id[50];
};

static int take(void *arg, const struct db_raffle *r)
{
	struct seen *s = arg;

	s->id[s->n++] = r->id[15];
	return KE_OK;
}

static void test_pages(void **state)
{
	struct env *e = *state;
	struct seen s = {0};
	uint8_t before[16] = {0x20};

	for (uint8_t i = 1; i <= 9; i++) {
		struct db_raffle r = draft(e, i);
		if (i > 3)
			env_ok(e, db_raffle_set_open(e->d, r.id, seed1, seed2, "b", 1));
		if (i > 7)
			env_ok(e, db_raffle_set_closed(e->d, r.id, hash3, hash3, 1));
	}
	env_ok(e, db_raffle_page(e->d, DB_RAFFLE_PUBLIC, NULL, 4, take, &s));
	assert_int_equal(s.n, 4);
	assert_memory_equal(s.id, ((uint8_t[]){9, 8, 7, 6}), 4);
	before[15] = 6;
	env_ok(e, db_raffle_page(e->d, DB_RAFFLE_PUBLIC, before, 40, take, &s));
	assert_int_equal(s.n, 6);
	s.n = 0;
	env_ok(e, db_raffle_page(e->d, RAFFLE_DRAFT, NULL, 40, take, &s));
	assert_int_equal(s.n, 3);
	assert_memory_equal(s.id, ((uint8_t[]){3, 2, 1}), 3);
	s.n = 0;
	env_ok(e, db_raffle_page(e->d, RAFFLE_OPEN, before, 40, take, &s));
	assert_int_equal(s.n, 2);
	assert_memory_equal(s.id, ((uint8_t[]){5, 4}), 2);
	s.n = 0;
	env_ok(e, db_raffle_page(e->d, RAFFLE_DRAWN, NULL, 40, take, &s));
	assert_int_equal(s.n, 0);
}

/* --- tickets --- */

static void ticket(struct db_ticket *t, int64_t index, const char *seed)
{
	*t = (struct db_ticket){.index = index,
	    .issued_ms = 1000 + index,
	    .client_seed = seed,
	    .client_seed_len = strlen(seed)};
	t->id[0] = 0x30;
	t->id[15] = (uint8_t)index;
}

/* Sells n tickets to a user in one step, as the engine does. */
static void sell(struct env *e, const uint8_t raffle[16], const uint8_t user[16], int n)
{
	struct db_holder h;
	struct db_ticket t[20];
	struct db_sale s;
	uint8_t leaf[32] = {0};

	env_ok(e, db_raffle_sale(e->d, raffle, &s));
	int r = db_holder_get(e->d, s.no, user, &h);
	if (r == KE_NOTFOUND)
		r = db_holder_create(e->d, s.no, user, salt4, &h);
	env_ok(e, r);
	for (int i = 0; i < n; i++) {
		ticket(&t[i], s.sold + i, i % 2 ? "seed" : "");
		leaf[0] = (uint8_t)(s.sold + i);
		merkle_range_add(&s.range, leaf);
		hash_run_add(s.aggregate, leaf, 32);
	}
	env_ok(e, db_ticket_issue(e->d, &h, t, (size_t)n));
	s.sold += n;
	env_ok(e, db_raffle_sold(e->d, &s, s.sold - n));
	assert_int_equal(db_raffle_sold(e->d, &s, s.sold - n), KE_STATE);
}

struct rows {
	int n;
	int64_t index[200];
	uint8_t user[200];
};

static int take_row(void *arg, const struct db_ticket_row *r)
{
	struct rows *rs = arg;

	assert_memory_equal(r->salt, salt4, 32);
	assert_int_equal(r->t.id[15], (uint8_t)r->t.index);
	assert_int_equal(r->t.issued_ms, 1000 + r->t.index);
	assert_true(r->t.client_seed_len == 0 || memcmp(r->t.client_seed, "seed", 4) == 0);
	rs->index[rs->n] = r->t.index;
	rs->user[rs->n++] = r->user[15];
	return KE_OK;
}

static int take_ticket(void *arg, const struct db_ticket *t)
{
	struct rows *rs = arg;

	rs->index[rs->n++] = t->index;
	return KE_OK;
}

static void test_tickets(void **state)
{
	struct env *e = *state;
	struct db_raffle r = draft(e, 1), other = draft(e, 2);
	uint8_t user[3][16], nobody[16] = {9};
	struct rows rs = {0};
	struct db_holder h, stale;
	struct db_ticket t;
	struct db_sale s;

	for (unsigned i = 0; i < 3; i++)
		env_user(e, 10 + i, user[i]);
	env_ok(e, db_raffle_set_open(e->d, r.id, seed1, seed2, "b", 1));
	env_ok(e, db_raffle_set_open(e->d, other.id, seed1, seed2, "b", 1));
	for (int i = 0; i < 30; i++)
		sell(e, r.id, user[i % 3], 1 + i % 4);
	sell(e, other.id, user[0], 5);
	env_commit(e);
	env_ok(e, db_raffle_sale(e->d, r.id, &s));
	assert_int_equal(s.sold, 73);
	assert_int_equal(s.range.size, 73);

	env_ok(e, db_ticket_range(e->d, s.no, 0, 50, take_row, &rs));
	assert_int_equal(rs.n, 50);
	env_ok(e, db_ticket_range(e->d, s.no, 50, 50, take_row, &rs));
	assert_int_equal(rs.n, 73);
	for (int i = 0; i < rs.n; i++)
		assert_int_equal(rs.index[i], i);
	env_ok(e, db_ticket_at(e->d, s.no, 72, take_row, &rs));
	assert_int_equal(db_ticket_at(e->d, s.no, 73, take_row, &rs), KE_NOTFOUND);

	/* the holder's chain, by pages, is what the range says */
	env_ok(e, db_holder_get(e->d, s.no, user[1], &h));
	struct rows mine = {0};
	int64_t before = -1;
	for (int n = -1; mine.n != n;) {
		n = mine.n;
		env_ok(e, db_ticket_page(e->d, s.no, user[1], before, 4, take_ticket, &mine));
		before = mine.index[mine.n - 1];
	}
	assert_int_equal(mine.n, h.tickets);
	assert_int_equal(mine.index[0], h.last);
	for (int i = 72, k = 0; i >= 0; i--)
		if (rs.user[i] == user[1][15])
			assert_int_equal(mine.index[k++], i);
	assert_int_equal(
	    db_ticket_page(e->d, s.no, user[1], mine.index[0] + 1, 4, take_ticket, &mine),
	    KE_RANGE);
	mine.n = 0;
	env_ok(e, db_ticket_page(e->d, s.no, nobody, -1, 4, take_ticket, &mine));
	assert_int_equal(mine.n, 0);

	/* refusals */
	assert_int_equal(db_holder_get(e->d, s.no, nobody, &stale), KE_NOTFOUND);
	assert_int_equal(db_holder_create(e->d, s.no, user[1], salt4, &stale), KE_EXISTS);
	assert_int_equal(db_holder_create(e->d, s.no, nobody, salt4, &stale), KE_STATE);
	assert_int_equal(db_holder_create(e->d, 99, user[1], salt4, &stale), KE_STATE);
	stale = h;
	ticket(&t, 72, "");
	assert_int_equal(db_ticket_issue(e->d, &h, &t, 1), KE_EXISTS);
	env_ok(e, db_savepoint(e->d));
	ticket(&t, 73, "");
	env_ok(e, db_ticket_issue(e->d, &h, &t, 1));
	ticket(&t, 74, "");
	assert_int_equal(db_ticket_issue(e->d, &stale, &t, 1), KE_CONFLICT);
	env_ok(e, db_rollback_to(e->d));
	t.client_seed_len = DB_CLIENT_SEED_MAX + 1;
	assert_int_equal(db_ticket_issue(e->d, &h, &t, 1), KE_LONG);
	assert_int_not_equal(env_raw(e, "UPDATE tickets SET holder = 1 WHERE idx = 3"), SQLITE_OK);
	assert_int_not_equal(env_raw(e, "DELETE FROM tickets WHERE idx = 3"), SQLITE_OK);
}

/* The stored range and running hash, taken up again after a restart, give the same as one run. */
static void test_sale_state(void **state)
{
	struct env *e = *state;
	struct db_raffle r = draft(e, 1);
	struct merkle_range range;
	uint8_t seeds[HASH_STATE_LEN], want[32], got[32], user[16];
	struct db_sale s;

	merkle_range_init(&range);
	hash_run_start(seeds);
	env_user(e, 10, user);
	env_ok(e, db_raffle_set_open(e->d, r.id, seed1, seed2, "b", 1));
	for (int i = 0, sold = 0; i < 25; i++) {
		for (int k = 0; k < 1 + i % 5; k++) {
			uint8_t leaf[32] = {(uint8_t)sold++};
			merkle_range_add(&range, leaf);
			hash_run_add(seeds, leaf, 32);
		}
		sell(e, r.id, user, 1 + i % 5);
		if (i % 4)
			continue;
		env_ok(e, db_turn_commit(e->d, NULL));
		env_close(e);
		env_open(e, 0);
		env_ok(e, db_turn_begin(e->d));
		env_ok(e, db_raffle_sale(e->d, r.id, &s));
		merkle_range_root(&range, want);
		merkle_range_root(&s.range, got);
		assert_memory_equal(got, want, 32);
		hash_run_end(want, seeds);
		hash_run_end(got, s.aggregate);
		assert_memory_equal(got, want, 32);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start_turn, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_life), T(test_large_texts), T(test_pages), T(test_tickets), T(test_sale_state)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
