/*
 * Users, sessions, deposits, stored answers, the audit trail, jobs: every function and every
 * refusal, on a real store.
 */
#include "tests/unit/db_env.h"

#include "db/db_audit.h"
#include "db/db_deposit.h"
#include "db/db_idem.h"
#include "db/db_job.h"
#include "db/db_session.h"

static void test_users(void **state)
{
	struct env *e = *state;
	struct db_user u,
	    v = {.id = {1}, .email = "a@b.c", .credential = "$x", .roles = 9, .created_ms = 77};
	uint8_t id[16], nobody[16] = {9};
	int64_t n;

	snprintf(v.display_name, sizeof v.display_name, "Zoë");
	env_ok(e, db_user_create(e->d, &v));
	assert_int_equal(db_user_create(e->d, &v), KE_EXISTS);
	v.id[0] = 2;
	assert_int_equal(db_user_create(e->d, &v), KE_EXISTS); /* the address */
	snprintf(v.email, sizeof v.email, "A@b.d");
	assert_int_equal(db_user_create(e->d, &v), KE_FORMAT);
	snprintf(v.email, sizeof v.email, "zo\xc3\x8b@b.d"); /* beyond ASCII nothing is folded */
	env_ok(e, db_user_create(e->d, &v));
	assert_int_equal(db_user_by_email(e->d, "A@b.c", 5, &u), KE_FORMAT);
	assert_int_equal(db_user_by_email(e->d, "a@b.c", 4, &u), KE_NOTFOUND);
	env_ok(e, db_user_by_email(e->d, "a@b.c", 5, &u));
	assert_int_equal(u.id[0], 1);
	assert_int_equal(u.version, 1);
	assert_int_equal(u.roles, 9);
	assert_int_equal(u.created_ms, 77);
	assert_string_equal(u.display_name, "Zoë");
	memcpy(id, u.id, 16);
	assert_int_equal(db_user_update_profile(e->d, id, 2, "X", 1), KE_CONFLICT);
	env_ok(e, db_user_update_profile(e->d, id, 1, "Xenia", 5));
	assert_int_equal(db_user_update_profile(e->d, id, 1, "X", 1), KE_CONFLICT);
	assert_int_equal(db_user_update_profile(e->d, nobody, 1, "X", 1), KE_NOTFOUND);
	env_ok(e, db_user_set_roles(e->d, id, 1));
	env_ok(e, db_user_set_credential(e->d, id, "$y"));
	assert_int_equal(db_user_set_roles(e->d, nobody, 1), KE_NOTFOUND);
	assert_int_equal(db_user_set_credential(e->d, nobody, "$y"), KE_NOTFOUND);
	env_commit(e);
	env_ok(e, db_user_by_id(e->d, id, &u));
	assert_int_equal(u.version, 4);
	assert_string_equal(u.credential, "$y");
	assert_string_equal(u.display_name, "Xenia");
	assert_int_equal(u.roles, 1);
	assert_int_equal(db_user_by_id(e->d, nobody, &u), KE_NOTFOUND);
	env_ok(e, db_user_count(e->d, &n));
	assert_int_equal(n, 2);
}

#define HEAD(v) "klero:1:data:v00000" v ":"

struct heap {
	size_t n;
	struct db_credential c[8];
};

static int gather(void *arg, const struct db_credential *c)
{
	struct heap *h = arg;

	h->c[h->n++] = *c;
	return KE_OK;
}

static int64_t count(struct env *e, const char *head)
{
	int64_t n;

	env_ok(e, db_user_count_head(e->d, head, &n));
	assert_int_equal(db_user_has_head(e->d, head) == KE_OK, n > 0);
	return n;
}

/* Credentials by the version of their key: found in order, counted, taken over once. */
static void test_credentials(void **state)
{
	static const char *const texts[] = {HEAD("1") "a", HEAD("2") "b",
	    "$argon2id$v=19$m=65536,t", HEAD("1") "d", HEAD("3") "e", HEAD("1") "f"};
	static const uint8_t first[16];
	struct env *e = *state;
	struct heap h = {0};
	struct db_user u = {.roles = 1};
	char head[DB_HEAD_LEN + 1];

	for (uint8_t i = 0; i < 6; i++) {
		u.id[0] = (uint8_t)(i + 1);
		snprintf(u.email, sizeof u.email, "%u@b.c", i);
		snprintf(u.credential, sizeof u.credential, "%s", texts[i]);
		env_ok(e, db_user_create(e->d, &u));
	}
	assert_int_equal(count(e, HEAD("1")), 3);
	assert_int_equal(count(e, HEAD("2")), 1);
	assert_int_equal(count(e, "$argon2id$v=19$m=6553"), 1);
	assert_int_equal(count(e, HEAD("4")), 0);
	/* every head but one, in order, whatever stands there */
	env_ok(e, db_user_next_head(e->d, "", HEAD("2"), head));
	assert_string_equal(head, "$argon2id$v=19$m=6553");
	env_ok(e, db_user_next_head(e->d, head, HEAD("2"), head));
	assert_string_equal(head, HEAD("1"));
	env_ok(e, db_user_next_head(e->d, head, HEAD("2"), head));
	assert_string_equal(head, HEAD("3"));
	assert_int_equal(db_user_next_head(e->d, head, HEAD("2"), head), KE_NOTFOUND);
	/* by id, from where one stood */
	env_ok(e, db_user_with_head(e->d, HEAD("1"), first, 2, gather, &h));
	assert_int_equal(h.n, 2);
	assert_string_equal(h.c[1].text, HEAD("1") "d");
	env_ok(e, db_user_with_head(e->d, HEAD("1"), h.c[1].id, 2, gather, &h));
	assert_int_equal(h.n, 3);
	assert_int_equal(h.c[2].id[0], 6);
	/* compare and set */
	env_ok(e, db_user_reseal(e->d, h.c[0].id, HEAD("1") "a", HEAD("2") "A"));
	assert_int_equal(db_user_reseal(e->d, h.c[0].id, HEAD("1") "a", HEAD("2") "B"), KE_STATE);
	env_ok(e, db_user_moved(e->d, HEAD("1") "a", HEAD("2") "A", 1));
	env_ok(e, db_user_moved(e->d, HEAD("1"), HEAD("2"), 0));
	assert_int_equal(count(e, HEAD("1")), 2);
	assert_int_equal(count(e, HEAD("2")), 2);
	env_ok(e, db_user_by_id(e->d, h.c[0].id, &u));
	assert_string_equal(u.credential, HEAD("2") "A");
	assert_int_equal(u.version, 1); /* nothing that its owner would have to know */
	/* a new password moves the number, too */
	env_ok(e, db_user_set_credential(e->d, h.c[2].id, HEAD("3") "x"));
	assert_int_equal(count(e, HEAD("1")), 1);
	assert_int_equal(count(e, HEAD("3")), 2);
	/* a number that was kept wrongly stops nobody */
	env_ok(e, db_user_moved(e->d, HEAD("1"), HEAD("2"), 9));
	env_ok(e, db_user_moved(e->d, "nothing of the kind", HEAD("2"), 1));
	env_commit(e);
}

static void test_sessions(void **state)
{
	struct env *e = *state;
	struct db_session s = {.id = {5}, .created_ms = 10, .expires_ms = 1000}, t;
	uint8_t nobody[16] = {8};
	int64_t n;

	assert_int_equal(db_session_create(e->d, &s), KE_STATE); /* no such user */
	env_user(e, 1, s.user);
	env_ok(e, db_session_create(e->d, &s));
	assert_int_equal(db_session_create(e->d, &s), KE_EXISTS);
	env_ok(e, db_session_get(e->d, s.id, &t));
	assert_int_equal(t.generation, 1);
	assert_int_equal(t.rotated_ms, 10);
	assert_int_equal(t.revoked_ms, 0);
	assert_int_equal(db_session_get(e->d, nobody, &t), KE_NOTFOUND);
	assert_int_equal(db_session_rotate(e->d, s.id, 2, 20, 2000), KE_CONFLICT);
	env_ok(e, db_session_rotate(e->d, s.id, 1, 20, 2000));
	assert_int_equal(db_session_rotate(e->d, s.id, 1, 20, 2000), KE_CONFLICT);
	assert_int_equal(db_session_rotate(e->d, nobody, 1, 20, 2000), KE_NOTFOUND);
	env_ok(e, db_session_get(e->d, s.id, &t));
	assert_int_equal(t.generation, 2);
	assert_int_equal(t.rotated_ms, 20);
	assert_int_equal(t.expires_ms, 2000);
	env_ok(e, db_session_revoke(e->d, s.id, 30));
	env_ok(e, db_session_revoke(e->d, s.id, 40));
	assert_int_equal(db_session_revoke(e->d, nobody, 40), KE_NOTFOUND);
	env_ok(e, db_session_get(e->d, s.id, &t));
	assert_int_equal(t.revoked_ms, 30);
	assert_int_equal(db_session_rotate(e->d, s.id, 2, 50, 3000), KE_CONFLICT);
	for (uint8_t i = 10; i < 20; i++) {
		s.id[0] = i;
		s.expires_ms = 100 * i;
		env_ok(e, db_session_create(e->d, &s));
	}
	env_ok(e, db_session_revoke_all(e->d, s.user, 60, &n));
	assert_int_equal(n, 10);
	env_ok(e, db_session_revoke_all(e->d, s.user, 70, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_session_purge_expired(e->d, 1500, 3, &n));
	assert_int_equal(n, 3);
	env_ok(e, db_session_purge_expired(e->d, 1500, 100, &n));
	assert_int_equal(n, 2);
	env_ok(e, db_session_purge_expired(e->d, 1500, 100, &n));
	assert_int_equal(n, 0);
}

struct list {
	int n, stop_at;
	uint8_t id[40];
	int64_t number[40];
};

static int take_deposit(void *arg, const struct db_deposit *p)
{
	struct list *l = arg;

	if (l->stop_at && l->n == l->stop_at)
		return KE_FULL;
	l->number[l->n] = p->amount;
	l->id[l->n++] = p->id[15];
	return KE_OK;
}

static void test_deposits(void **state)
{
	struct env *e = *state;
	struct db_deposit p = {.amount = 5,
			      .currency = "EUR",
			      .provider = "manual",
			      .reference = "INV 7",
			      .created_ms = 3},
			  q;
	uint8_t admin[16] = {7}, before[16] = {0};
	struct list l = {0};

	env_user(e, 1, p.user);
	assert_int_equal(db_deposit_get(e->d, p.id, &q), KE_NOTFOUND);
	p.amount = 0;
	assert_int_equal(db_deposit_create(e->d, &p), KE_RANGE);
	for (uint8_t i = 1; i <= 10; i++) {
		p.id[15] = i;
		p.amount = 100 + i;
		env_ok(e, db_deposit_create(e->d, &p));
	}
	assert_int_equal(db_deposit_create(e->d, &p), KE_EXISTS);
	env_ok(e, db_deposit_get(e->d, p.id, &q));
	assert_int_equal(q.state, DB_DEPOSIT_PENDING);
	assert_int_equal(q.amount, 110);
	assert_string_equal(q.currency, "EUR");
	assert_string_equal(q.reference, "INV 7");
	assert_string_equal(q.provider, "manual");
	assert_int_equal(q.decided_ms, 0);
	assert_memory_equal(q.decided_by, env_zero, 16);
	assert_int_equal(db_deposit_decide(e->d, p.id, DB_DEPOSIT_PENDING, admin, 9), KE_RANGE);
	env_ok(e, db_deposit_decide(e->d, p.id, DB_DEPOSIT_CONFIRMED, admin, 9));
	assert_int_equal(db_deposit_decide(e->d, p.id, DB_DEPOSIT_CONFIRMED, admin, 10), KE_STATE);
	assert_int_equal(db_deposit_decide(e->d, p.id, DB_DEPOSIT_REJECTED, admin, 10), KE_STATE);
	assert_int_equal(
	    db_deposit_decide(e->d, admin, DB_DEPOSIT_REJECTED, admin, 10), KE_NOTFOUND);
	env_ok(e, db_deposit_get(e->d, p.id, &q));
	assert_int_equal(q.state, DB_DEPOSIT_CONFIRMED);
	assert_int_equal(q.decided_ms, 9);
	assert_memory_equal(q.decided_by, admin, 16);
	p.id[15] = 4;
	env_ok(e, db_deposit_decide(e->d, p.id, DB_DEPOSIT_REJECTED, admin, 11));

	env_ok(e, db_deposit_page(e->d, DB_DEPOSIT_ANY, NULL, 3, take_deposit, &l));
	assert_int_equal(l.n, 3);
	assert_int_equal(l.id[0], 10);
	assert_int_equal(l.id[2], 8);
	before[15] = 8;
	env_ok(e, db_deposit_page(e->d, DB_DEPOSIT_ANY, before, 30, take_deposit, &l));
	assert_int_equal(l.n, 10);
	assert_int_equal(l.id[9], 1);
	l.n = 0;
	env_ok(e, db_deposit_page(e->d, DB_DEPOSIT_PENDING, NULL, 30, take_deposit, &l));
	assert_int_equal(l.n, 8);
	l.n = 0;
	env_ok(e, db_deposit_page(e->d, DB_DEPOSIT_REJECTED, NULL, 30, take_deposit, &l));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.id[0], 4);
	l = (struct list){.stop_at = 2};
	assert_int_equal(
	    db_deposit_page(e->d, DB_DEPOSIT_ANY, NULL, 30, take_deposit, &l), KE_FULL);
	assert_int_equal(l.n, 2);
	assert_string_equal(db_deposit_word(DB_DEPOSIT_REJECTED), "rejected");
}

static void test_idempotency(void **state)
{
	struct env *e = *state;
	struct db_idem_key k = {.user = {1}, .route = "raffle_buy", .key = "abc", .key_len = 3};
	struct db_idem_key k2 = k, k3 = k, k4 = k;
	struct db_idem v = {.body_hash = {5},
			   .status = 201,
			   .created_ms = 10,
			   .answer = "{\"a\":1}",
			   .answer_len = 7},
		       w;
	char buf[64];

	k2.user[0] = 2;
	k3.route = "deposit";
	k4.key_len = 2;
	assert_int_equal(db_idem_get(e->d, &k, &w, buf, sizeof buf), KE_NOTFOUND);
	env_ok(e, db_idem_put(e->d, &k, &v));
	assert_int_equal(db_idem_put(e->d, &k, &v), KE_EXISTS);
	assert_int_equal(db_idem_get(e->d, &k2, &w, buf, sizeof buf), KE_NOTFOUND);
	assert_int_equal(db_idem_get(e->d, &k3, &w, buf, sizeof buf), KE_NOTFOUND);
	assert_int_equal(db_idem_get(e->d, &k4, &w, buf, sizeof buf), KE_NOTFOUND);
	assert_int_equal(db_idem_get(e->d, &k, &w, buf, 6), KE_LONG);
	env_ok(e, db_idem_get(e->d, &k, &w, buf, sizeof buf));
	assert_int_equal(w.status, 201);
	assert_int_equal(w.body_hash[0], 5);
	assert_int_equal(w.created_ms, 10);
	assert_int_equal(w.answer_len, 7);
	assert_memory_equal(w.answer, "{\"a\":1}", 7);

	/* promised, then told */
	struct db_idem_name name = {.keyed = false};
	env_ok(e, db_idem_scope(&k2, name.scope));
	name.body_hash[0] = 5;
	env_ok(e, db_idem_promise(e->d, &name, 5)); /* nothing: the row is the next one's */
	name.keyed = true;
	env_ok(e, db_idem_promise(e->d, &name, 10));
	env_ok(e, db_idem_promise(e->d, &name, 20));
	env_ok(e, db_idem_get(e->d, &k2, &w, buf, sizeof buf));
	assert_int_equal(w.status, 0);
	assert_int_equal(w.answer_len, 0);
	assert_int_equal(w.created_ms, 10);
	v.status = 200;
	v.answer_len = 0;
	v.body_hash[0] = 6; /* another body may not finish it */
	assert_int_equal(db_idem_put(e->d, &k2, &v), KE_EXISTS);
	v.body_hash[0] = 5;
	env_ok(e, db_idem_put(e->d, &k2, &v));
	assert_int_equal(db_idem_put(e->d, &k2, &v), KE_EXISTS);
	env_ok(e, db_idem_promise(e->d, &name, 20)); /* and stays told */
	env_ok(e, db_idem_get(e->d, &k2, &w, buf, sizeof buf));
	assert_int_equal(w.status, 200);

	k.key = buf;
	k.key_len = 257;
	assert_int_equal(db_idem_put(e->d, &k, &v), KE_LONG);
	v.answer_len = DB_ANSWER_MAX + 1;
	assert_int_equal(db_idem_put(e->d, &k4, &v), KE_LONG);
}

static void test_idempotency_purge(void **state)
{
	struct env *e = *state;
	struct db_idem v = {.status = 200, .answer = "", .answer_len = 0};
	char name[8];
	struct db_idem_key k = {.route = "r", .key = name};
	int64_t n;

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d", i);
		k.key_len = strlen(name);
		v.created_ms = i;
		env_ok(e, db_idem_put(e->d, &k, &v));
	}
	env_ok(e, db_idem_purge(e->d, 20, INT64_MAX, 8, &n));
	assert_int_equal(n, 8);
	env_ok(e, db_idem_purge(e->d, 20, INT64_MAX, 100, &n));
	assert_int_equal(n, 12);
	env_ok(e, db_idem_purge(e->d, 20, INT64_MAX, 100, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_idem_purge(e->d, 20, 39, 100, &n)); /* 40 to 49 are from the future */
	assert_int_equal(n, 10);
}

static int take_audit(void *arg, const struct db_audit *a)
{
	struct list *l = arg;

	l->number[l->n++] = a->seq;
	assert_int_equal(a->has_actor, a->seq % 2 == 0);
	assert_int_equal(a->has_subject, a->seq % 3 == 0);
	assert_string_equal(a->action, "user.login");
	assert_memory_equal(a->detail, "{}", 2);
	return KE_OK;
}

static void audit_lines(struct env *e, int from, int to)
{
	static const uint8_t id[16] = {4};

	for (int i = from; i <= to; i++)
		env_ok(e, db_audit_append(e->d, 1000 + i, i % 2 ? NULL : id, "user.login",
			      i % 3 ? NULL : id, "{}", 2));
}

static void test_audit(void **state)
{
	struct env *e = *state;
	struct list l = {0};
	uint8_t hash[32], again[32];
	int64_t seq, lines, bad;

	env_ok(e, db_audit_head(e->d, &seq, hash));
	assert_int_equal(seq, 0);
	audit_lines(e, 1, 10);
	env_ok(e, db_audit_head(e->d, &seq, hash));
	assert_int_equal(seq, 10);
	/* A request that is undone leaves no line and no gap. */
	env_ok(e, db_savepoint(e->d));
	audit_lines(e, 11, 12);
	env_ok(e, db_rollback_to(e->d));
	env_ok(e, db_audit_head(e->d, &seq, again));
	assert_int_equal(seq, 10);
	assert_memory_equal(hash, again, 32);
	audit_lines(e, 11, 11);
	env_commit(e);
	audit_lines(e, 12, 20);
	db_turn_rollback(e->d);
	env_ok(e, db_turn_begin(e->d));
	audit_lines(e, 12, 12);
	env_ok(e, db_audit_check(e->d, &lines, &bad));
	db_turn_rollback(e->d);
	env_close(e);
	env_open(e, 0);
	env_ok(e, db_turn_begin(e->d));
	audit_lines(e, 12, 14);
	env_ok(e, db_audit_page(e->d, 0, 3, take_audit, &l));
	assert_int_equal(l.n, 3);
	assert_int_equal(l.number[0], 14);
	env_ok(e, db_audit_page(e->d, l.number[2], 30, take_audit, &l));
	assert_int_equal(l.n, 14);
	assert_int_equal(l.number[13], 1);
	env_ok(e, db_audit_check(e->d, &lines, &bad));
	assert_int_equal(lines, 14);
	assert_int_equal(db_audit_append(e->d, 1, NULL, "two words", NULL, "{}", 2), KE_FORMAT);
	assert_int_equal(db_audit_append(e->d, 1, NULL, "", NULL, "{}", 2), KE_FORMAT);
	assert_int_equal(db_audit_append(e->d, 1, NULL, "a", NULL, "{\n}", 3), KE_FORMAT);
	assert_int_equal(
	    db_audit_append(e->d, 1, NULL, "a", NULL, "{}", DB_DETAIL_MAX + 1), KE_LONG);
	env_ok(e, db_audit_check(e->d, &lines, &bad));
}

/* The hash is the documented one: recomputed here from its parts. */
static void test_audit_line(void **state)
{
	struct env *e = *state;
	static const uint8_t actor[16] = {0xab};
	char in[200] = {0};
	uint8_t hash[32], want[32];
	int64_t seq;

	env_ok(e, db_audit_append(e->d, 1700, actor, "a.b", NULL, "{\"n\":1}", 7));
	env_ok(e, db_audit_head(e->d, &seq, hash));
	int n = snprintf(in + 32, sizeof in - 32,
	    "klero-audit/1 1 1700 ab000000000000000000000000000000 a.b - {\"n\":1}");
	crypto_hash_sha256(want, (const unsigned char *)in, 32 + (size_t)n);
	assert_memory_equal(hash, want, 32);
}

static void test_audit_tampering(void **state)
{
	static const char *const edits[] = {"UPDATE audit SET detail = '{ }' WHERE seq = 5",
	    "UPDATE audit SET at_ms = 1 WHERE seq = 5",
	    "UPDATE audit SET actor = x'00000000000000000000000000000000' WHERE seq = 5",
	    "UPDATE audit SET actor = NULL WHERE seq = 6", "DELETE FROM audit WHERE seq = 5",
	    "DELETE FROM audit WHERE seq = 20", "UPDATE audit SET seq = 21 WHERE seq = 20", NULL};
	struct env *e = *state;
	int64_t lines, bad;

	audit_lines(e, 1, 20);
	for (int i = 0; edits[i]; i++) {
		assert_int_not_equal(env_raw(e, edits[i]), SQLITE_OK); /* the triggers */
		env_ok(e, db_audit_check(e->d, &lines, &bad));
	}
	env_commit(e);
	sqlite3_db_config(e->d->sq, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	for (int i = 0; edits[i]; i++) {
		assert_int_equal(env_raw(e, edits[i]), SQLITE_OK);
		assert_int_equal(db_audit_check(e->d, &lines, &bad), KE_DAMAGED);
		db_turn_rollback(e->d);
		env_ok(e, db_turn_begin(e->d));
	}
	env_ok(e, db_audit_check(e->d, &lines, &bad));
}

static int take_job(void *arg, const struct db_job *j)
{
	struct list *l = arg;

	l->number[l->n] = j->state;
	l->id[l->n++] = j->subject[0];
	return KE_OK;
}

struct page {
	struct list l;
	struct db_job_at last;
};

static int take_paged(void *arg, const struct db_job *j)
{
	struct page *p = arg;

	p->last = (struct db_job_at){j->state, j->run_at_ms, j->id};
	return take_job(&p->l, j);
}

/* Pages of any size give what one of all gives. */
static void job_pages(struct env *e, int page)
{
	struct page all = {0}, paged = {0};
	int before = -1;

	env_ok(e, db_job_list(e->d, NULL, 20, take_paged, &all));
	assert_int_equal(all.l.n, 8);
	assert_int_equal(all.l.number[0], DB_JOB_RUNNING);
	assert_int_equal(all.l.number[6], DB_JOB_FAILED);
	assert_int_equal(all.l.number[7], DB_JOB_DONE);
	while (paged.l.n != before) {
		before = paged.l.n;
		env_ok(e, db_job_list(e->d, before ? &paged.last : NULL, page, take_paged, &paged));
		assert_true(paged.l.n - before <= page);
	}
	assert_memory_equal(&paged.l, &all.l, sizeof all.l);
	all.last.state = DB_JOB_STATES;
	assert_int_equal(db_job_list(e->d, &all.last, page, take_paged, &all), KE_RANGE);
}

static void test_jobs(void **state)
{
	struct env *e = *state;
	struct db_job j[10];
	struct list l = {0};
	uint8_t s[16] = {0};
	int64_t at, n;
	size_t got;

	assert_int_equal(db_job_next(e->d, &at), KE_NOTFOUND);
	for (uint8_t i = 1; i <= 8; i++) {
		s[0] = i;
		env_ok(e, db_job_put(e->d, "proof", s, i == 8 ? 5 : 0, i == 7 ? 600 : 100 * i, 1));
	}
	s[0] = 3;
	env_ok(e, db_job_put(e->d, "proof", s, 0, 9999, 1)); /* never later than it was */
	env_ok(e, db_job_next(e->d, &at));
	assert_int_equal(at, 100);
	env_ok(e, db_job_claim(e->d, 350, j, 10, &got));
	assert_int_equal(got, 3);
	assert_int_equal(j[2].subject[0], 3);
	assert_int_equal(j[0].state, DB_JOB_RUNNING);
	env_ok(e, db_job_claim(e->d, 5000, j + 3, 7, &got));
	assert_int_equal(got, 2); /* five at once */
	assert_int_equal(j[3].subject[0], 8);
	env_ok(e, db_job_claim(e->d, 5000, j + 5, 5, &got));
	assert_int_equal(got, 0);

	env_ok(e, db_job_done(e->d, j[0].id, 0, 5001));
	assert_int_equal(db_job_done(e->d, j[0].id, 0, 5001), KE_STATE);
	env_ok(e, db_job_done(e->d, j[1].id, 7000, 5001)); /* periodic */
	env_ok(e, db_job_retry(e->d, j[2].id, "no answer", 0, 5001));
	assert_int_equal(db_job_retry(e->d, j[2].id, "no answer", 0, 5001), KE_STATE);
	assert_int_equal(db_job_retry(e->d, 999, "no answer", 0, 5001), KE_NOTFOUND);
	env_ok(e, db_job_retry(e->d, j[3].id, "broken", 1, 5001));
	env_ok(e, db_job_list(e->d, NULL, 7, take_job, &l));
	assert_int_equal(l.n, 7);
	for (int page = 1; page <= 9; page++)
		job_pages(e, page);
	s[0] = 8;
	env_ok(e, db_job_put(e->d, "proof", s, 0, 1, 5002)); /* revived */
	env_ok(e, db_job_recover(e->d, 5003, &n));
	assert_int_equal(n, 1);
	env_ok(e, db_job_purge(e->d, 6000, 0, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_job_purge(e->d, 5001, 9, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_job_purge(e->d, 6000, 9, &n));
	assert_int_equal(n, 1);
	assert_string_equal(db_job_word(DB_JOB_FAILED), "failed");
	/* what a wrong clock has put off for years is due; what is due within the hour stays */
	s[0] = 20;
	env_ok(e, db_job_put(e->d, "years", s, 0, INT64_C(1) << 40, 6000));
	env_ok(e, db_job_put(e->d, "hour", s, 0, 3600000, 6000));
	env_ok(e, db_job_hasten(e->d, 6000, &n));
	assert_int_equal(n, 1);
}

static void test_job_backoff(void **state)
{
	struct env *e = *state;
	int64_t now_ms = 0, wait = 1000;
	struct db_job j;
	size_t got;

	env_ok(e, db_job_put(e->d, "sweep", env_zero, 0, 0, 0));
	for (int i = 1; i <= 20; i++) {
		env_ok(e, db_job_claim(e->d, now_ms, &j, 1, &got));
		assert_int_equal(got, 1);
		assert_int_equal(j.attempts, i - 1);
		env_ok(e, db_job_retry(e->d, j.id, "again", 0, now_ms));
		wait = wait * 2 > 3600000 ? 3600000 : wait * 2;
		env_ok(e, db_job_claim(e->d, now_ms + wait - 1, &j, 1, &got));
		assert_int_equal(got, 0);
		now_ms += wait;
	}
	env_ok(e, db_job_claim(e->d, now_ms, &j, 1, &got));
	assert_string_equal(j.last_error, "again");
	env_ok(e, db_job_put(e->d, "sweep", env_zero, 0, 0, 0)); /* running: stays as it is */
	env_ok(e, db_job_done(e->d, j.id, now_ms + 5, now_ms));
	env_ok(e, db_job_claim(e->d, now_ms + 5, &j, 1, &got));
	assert_int_equal(got, 1);
	assert_int_equal(j.attempts, 0);
	assert_string_equal(j.last_error, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start_turn, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_users), T(test_credentials), T(test_sessions),
	    T(test_deposits), T(test_idempotency), T(test_idempotency_purge), T(test_audit),
	    T(test_audit_line), T(test_audit_tampering), T(test_jobs), T(test_job_backoff)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
