/*
 * Proposals and approvals in the store: every function and every refusal, on a real one.
 */
#include "tests/unit/db_env.h"

#include "db/db_proposal.h"

static struct db_proposal *proposal(uint8_t n, int64_t expires_ms)
{
	static struct db_proposal p;

	p = (struct db_proposal){.id = {n}, .created_ms = 7, .expires_ms = expires_ms};
	snprintf(p.text, sizeof p.text, "kleroterion approval v1\nnumber %u\n", n);
	return &p;
}

static void test_proposals(void **state)
{
	struct env *e = *state;
	uint8_t nobody[16] = {99};
	struct db_proposal p;
	int64_t n;

	env_ok(e, db_proposal_create(e->d, proposal(1, 1000)));
	assert_int_equal(db_proposal_create(e->d, proposal(1, 1000)), KE_EXISTS);
	p = *proposal(2, 1001);
	memset(p.created_by, 5, 16);
	env_ok(e, db_proposal_create(e->d, &p));
	memset(p.text, 'x', sizeof p.text - 1); /* the longest comes back whole */
	p.text[sizeof p.text - 1] = '\0';
	p.id[0] = 3;
	env_ok(e, db_proposal_create(e->d, &p));
	env_commit(e);
	env_ok(e, db_proposal_get(e->d, p.id, &p));
	assert_int_equal(strlen(p.text), sizeof p.text - 1);
	assert_int_equal(p.created_by[15], 5);
	env_ok(e, db_proposal_get(e->d, proposal(1, 0)->id, &p));
	assert_int_equal(p.state, DB_PROPOSAL_OPEN);
	assert_string_equal(p.text, proposal(1, 0)->text);
	assert_memory_equal(p.created_by, env_zero, 16);
	assert_int_equal(p.created_ms, 7);
	assert_int_equal(p.expires_ms, 1000);
	assert_int_equal(p.decided_ms, 0);
	assert_int_equal(p.approvals, 0);
	assert_int_equal(db_proposal_get(e->d, nobody, &p), KE_NOTFOUND);
	env_ok(e, db_proposal_count(e->d, DB_PROPOSAL_OPEN, &n));
	assert_int_equal(n, 3);
	/* the second and the third stand past the first's expiry */
	env_ok(e, db_proposal_expire(e->d, 999, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_proposal_expire(e->d, 1000, &n));
	assert_int_equal(n, 1);
	env_ok(e, db_proposal_get(e->d, proposal(1, 0)->id, &p));
	assert_int_equal(p.state, DB_PROPOSAL_EXPIRED);
	assert_int_equal(p.decided_ms, 1000);
	assert_string_equal(p.reason, "expired");
	env_ok(e, db_proposal_expire(e->d, 1000, NULL));
	env_ok(e, db_proposal_count(e->d, DB_PROPOSAL_OPEN, &n));
	assert_int_equal(n, 2);
}

static void test_proposal_states(void **state)
{
	struct env *e = *state;
	uint8_t nobody[16] = {99}, one[16] = {1}, two[16] = {2};
	struct db_proposal p;
	int64_t n;

	env_ok(e, db_proposal_create(e->d, proposal(2, 1000)));
	env_ok(e, db_proposal_create(e->d, proposal(1, 1000)));
	env_ok(e, db_proposal_oldest(e->d, DB_PROPOSAL_OPEN, &p));
	assert_int_equal(p.id[0], 1);
	assert_int_equal(db_proposal_oldest(e->d, DB_PROPOSAL_APPROVED, &p), KE_NOTFOUND);
	env_ok(e, db_proposal_set(e->d, two, DB_PROPOSAL_OPEN, DB_PROPOSAL_APPROVED, "", 50));
	assert_int_equal(
	    db_proposal_set(e->d, two, DB_PROPOSAL_OPEN, DB_PROPOSAL_REJECTED, "no", 51), KE_STATE);
	assert_int_equal(
	    db_proposal_set(e->d, nobody, DB_PROPOSAL_OPEN, DB_PROPOSAL_REJECTED, "no", 51),
	    KE_NOTFOUND);
	env_ok(e, db_proposal_oldest(e->d, DB_PROPOSAL_APPROVED, &p));
	assert_int_equal(p.id[0], 2);
	assert_int_equal(p.decided_ms, 50);
	/* what is approved does not expire here any more: keyadm is at it */
	env_ok(e, db_proposal_expire(e->d, 5000, &n));
	assert_int_equal(n, 1);
	env_ok(e,
	    db_proposal_set(e->d, two, DB_PROPOSAL_APPROVED, DB_PROPOSAL_FAILED, "it broke", 60));
	assert_int_equal(db_proposal_oldest(e->d, DB_PROPOSAL_APPROVED, &p), KE_NOTFOUND);
	/* settled ones are not live, whoever asks for the oldest or the number of them */
	assert_int_equal(db_proposal_oldest(e->d, DB_PROPOSAL_FAILED, &p), KE_NOTFOUND);
	env_ok(e, db_proposal_count(e->d, DB_PROPOSAL_FAILED, &n));
	assert_int_equal(n, 0);
	env_ok(e, db_proposal_get(e->d, two, &p));
	assert_int_equal(p.state, DB_PROPOSAL_FAILED);
	assert_string_equal(p.reason, "it broke");
	assert_int_equal(
	    db_proposal_set(e->d, one, DB_PROPOSAL_OPEN, DB_PROPOSAL_DONE, "", 70), KE_STATE);
	assert_string_equal(db_proposal_word(DB_PROPOSAL_REJECTED), "rejected");
	assert_string_equal(db_proposal_word(DB_PROPOSAL_STATES), "unknown");
}

static int note_proposal(void *arg, const struct db_proposal *p)
{
	char *seen = arg;
	size_t n = strlen(seen);

	seen[n] = (char)('0' + p->id[0]);
	return p->id[0] == 9 ? KE_FULL : KE_OK;
}

static void test_proposal_page(void **state)
{
	struct env *e = *state;
	uint8_t before[16] = {3};
	char seen[16] = "";

	env_ok(e, db_proposal_page(e->d, NULL, 9, note_proposal, seen));
	assert_string_equal(seen, "");
	for (uint8_t i = 1; i <= 5; i++)
		env_ok(e, db_proposal_create(e->d, proposal(i, 1000)));
	env_ok(e, db_proposal_page(e->d, NULL, 2, note_proposal, seen));
	env_ok(e, db_proposal_page(e->d, before, 9, note_proposal, seen));
	assert_string_equal(seen, "5421");
	env_ok(e, db_proposal_create(e->d, proposal(9, 1000)));
	assert_int_equal(db_proposal_page(e->d, NULL, 9, note_proposal, seen), KE_FULL);
	assert_string_equal(seen, "54219"); /* the caller's refusal ends it */
}

static int note_approval(void *arg, const struct db_approval *a)
{
	char *seen = arg;
	size_t n = strlen(seen);

	snprintf(seen + n, 256 - n, "%s %s %lld;", a->officer, a->signature, (long long)a->at_ms);
	return strcmp(a->officer, "zoe") == 0 ? KE_FULL : KE_OK;
}

static void test_approvals(void **state)
{
	struct env *e = *state;
	struct db_approval a = {.officer = "bob", .signature = "sig-b", .at_ms = 20};
	struct db_proposal p;
	uint8_t one[16] = {1};
	char seen[256] = "";

	/* of no proposal */
	assert_int_equal(db_approval_add(e->d, one, &a), KE_STATE);
	env_ok(e, db_proposal_create(e->d, proposal(1, 1000)));
	env_ok(e, db_proposal_create(e->d, proposal(2, 1000)));
	env_ok(e, db_approval_each(e->d, one, note_approval, seen));
	assert_string_equal(seen, "");
	env_ok(e, db_approval_add(e->d, one, &a));
	assert_int_equal(db_approval_add(e->d, one, &a), KE_EXISTS);
	snprintf(a.signature, sizeof a.signature, "another");
	assert_int_equal(db_approval_add(e->d, one, &a), KE_EXISTS);
	env_ok(e, db_approval_add(e->d, proposal(2, 0)->id, &a)); /* of the other one */
	a = (struct db_approval){.officer = "alice", .signature = "sig-a", .at_ms = 30};
	env_ok(e, db_approval_add(e->d, one, &a));
	env_ok(e, db_approval_each(e->d, one, note_approval, seen));
	assert_string_equal(seen, "alice sig-a 30;bob sig-b 20;");
	env_ok(e, db_proposal_get(e->d, one, &p));
	assert_int_equal(p.approvals, 2);
	snprintf(a.officer, sizeof a.officer, "zoe");
	memset(a.signature, 's', SSH_ARMOR_MAX);
	env_ok(e, db_approval_add(e->d, one, &a));
	assert_int_equal(db_approval_each(e->d, one, note_approval, seen), KE_FULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, env_start_turn, env_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_proposals), T(test_proposal_states), T(test_proposal_page), T(test_approvals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
