/*
 * Sales, money and kept answers as test_db_behind.c has them: what the store is asked to do, and
 * what it must say afterwards. Each test program includes it once.
 */
#ifndef TESTS_UNIT_BEHIND_MODEL_H
#define TESTS_UNIT_BEHIND_MODEL_H

#include "tests/unit/db_env.h"

#include "db/db_idem.h"
#include "db/db_raffle.h"
#include "db/db_sqlite.h"
#include "db/db_ticket.h"

#define PEOPLE  9
#define RAFFLES 3
#define PRICE   7
#define KEYS    40
#define KEEP_MS 60

struct model {
	int64_t balance[PEOPLE], tickets[RAFFLES][PEOPLE], last[RAFFLES][PEOPLE];
	int64_t sold[RAFFLES];
	int64_t now_ms, kept[KEYS]; /* kept: when each key's answer was, 0: it has none */
};

static void raffle_id(uint8_t id[16], unsigned n)
{
	env_id(id, n);
	id[0] = 0x20;
}

static void fill(struct env *e, struct model *m)
{
	static const uint8_t hash[32] = {1};

	*m = (struct model){.sold = {0}};
	for (unsigned i = 0; i < PEOPLE; i++) {
		uint8_t id[16];

		env_user(e, i, id);
		for (unsigned k = 0; k < RAFFLES; k++)
			m->last[k][i] = -1;
	}
	for (unsigned k = 0; k < RAFFLES; k++) {
		struct db_raffle r = {.format = RAFFLE_V1,
		    .title = "r",
		    .price = PRICE,
		    .currency = "EUR",
		    .capacity = 1000000,
		    .winners = 1};

		raffle_id(r.id, k);
		env_id(r.created_by, 0);
		env_ok(e, db_raffle_create(e->d, &r));
		env_ok(e, db_raffle_set_open(e->d, r.id, hash, hash, "b", 1));
	}
}

static void fund(struct env *e, struct model *m, unsigned i, int64_t amount)
{
	uint8_t id[16];

	env_id(id, i);
	env_fund(e, id, amount);
	m->balance[i] += amount;
}

static void issue(struct env *e, struct db_sale *s, struct db_holder *h, int64_t n)
{
	static const uint8_t leaf[32] = {3};
	struct db_ticket t[3] = {{0}};

	for (int64_t i = 0; i < n; i++) {
		t[i].index = s->sold + i;
		t[i].client_seed = "";
		merkle_range_add(&s->range, leaf);
		hash_run_add(s->aggregate, leaf, 32);
	}
	env_ok(e, db_ticket_issue(e->d, h, t, (size_t)n));
	s->sold += n;
	env_ok(e, db_raffle_sold(e->d, s, s->sold - n));
}

/* As engine sells: charged, issued, counted. */
static void sell(struct env *e, struct model *m, unsigned i, unsigned k, int64_t n)
{
	static const uint8_t salt[32] = {4};
	uint8_t user[16], raffle[16];
	struct db_account w, p;
	struct db_holder h;
	struct db_sale s;

	env_id(user, i);
	raffle_id(raffle, k);
	env_ok(e, db_raffle_sale(e->d, raffle, &s));
	env_ok(e, db_account_open(e->d, DB_ACCOUNT_USER, user, "EUR", &w));
	env_ok(e, db_account_open(e->d, DB_ACCOUNT_POT, raffle, "EUR", &p));
	int r = db_ledger_transfer(e->d, &w, &p, n * PRICE, "buy", raffle, 1, NULL);
	if (m->balance[i] < n * PRICE) {
		assert_int_equal(r, KE_FUNDS);
		return;
	}
	env_ok(e, r);
	r = db_holder_get(e->d, s.no, user, &h);
	if (r == KE_NOTFOUND)
		r = db_holder_create(e->d, s.no, user, salt, &h);
	env_ok(e, r);
	issue(e, &s, &h, n);
	m->balance[i] -= n * PRICE;
	m->tickets[k][i] += n;
	m->sold[k] += n;
	m->last[k][i] = m->sold[k] - 1;
}

static struct db_idem_key key_of(unsigned i, char name[8])
{
	struct db_idem_key k = {.user = {1}, .route = "buy", .key = name};

	k.key_len = (size_t)snprintf(name, 8, "k%u", i);
	return k;
}

/* An answer says when it was given. */
static void keep(struct env *e, struct model *m, unsigned i)
{
	char name[8], answer[24];
	struct db_idem_key k = key_of(i, name);
	struct db_idem v = {.status = 201, .created_ms = ++m->now_ms, .answer = answer};

	v.answer_len = (size_t)snprintf(answer, sizeof answer, "%lld", (long long)m->now_ms);
	assert_int_equal(db_idem_put(e->d, &k, &v), m->kept[i] ? KE_EXISTS : KE_OK);
	if (!m->kept[i])
		m->kept[i] = m->now_ms;
}

static void purge(struct env *e, struct model *m)
{
	int64_t n, gone = 0;

	env_ok(e, db_idem_purge(e->d, m->now_ms - KEEP_MS, INT64_MAX, 1000, &n));
	for (unsigned i = 0; i < KEYS; i++)
		if (m->kept[i] && m->kept[i] < m->now_ms - KEEP_MS) {
			m->kept[i] = 0;
			gone++;
		}
	assert_int_equal(n, gone);
}

static void compare_answers(struct env *e, const struct model *m)
{
	for (unsigned i = 0; i < KEYS; i++) {
		char name[8], buf[24] = "";
		struct db_idem_key k = key_of(i, name);
		struct db_idem v;

		int r = db_idem_get(e->d, &k, &v, buf, sizeof buf - 1);
		assert_int_equal(r, m->kept[i] ? KE_OK : KE_NOTFOUND);
		assert_int_equal(atoll(buf), m->kept[i]);
	}
}

static void step(struct env *e, struct model *m, uint32_t *seed)
{
	unsigned i = env_next(seed) % PEOPLE;

	if (env_next(seed) % 2)
		keep(e, m, env_next(seed) % KEYS);
	if (env_next(seed) % 20 == 0)
		purge(e, m);
	if (env_next(seed) % 4 == 0)
		fund(e, m, i, 1 + env_next(seed) % 60);
	else
		sell(e, m, i, env_next(seed) % RAFFLES, 1 + env_next(seed) % 3);
}

static void compare(struct env *e, const struct model *m)
{
	struct db_ledger_report rep;
	struct db_account a;
	struct db_holder h;

	env_ok(e, db_ledger_check(e->d, &rep));
	compare_answers(e, m);
	for (unsigned i = 0; i < PEOPLE; i++) {
		uint8_t user[16];

		env_id(user, i);
		int r = db_account_get(e->d, DB_ACCOUNT_USER, user, "EUR", &a);
		assert_int_equal(r == KE_OK ? a.balance : 0, m->balance[i]);
		for (unsigned k = 0; k < RAFFLES; k++) {
			r = db_holder_get(e->d, k + 1, user, &h);
			assert_int_equal(r == KE_OK ? h.tickets : 0, m->tickets[k][i]);
			assert_int_equal(r == KE_OK ? h.last : -1, m->last[k][i]);
		}
	}
}

static int64_t number(struct env *e, const char *sql)
{
	sqlite3_stmt *s;

	e->d->shut = false;
	assert_int_equal(sqlite3_prepare_v2(e->d->sq, sql, -1, &s, NULL), SQLITE_OK);
	e->d->shut = true;
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

#endif
