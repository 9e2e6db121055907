/*
 * Anchor, proposals and approvals: both texts come back as they were written, nothing else is
 * read, and each thing that must not count does not: forged, repeated, expired, for others, by
 * strangers, by those whom the proposal would bring in.
 */
#include "tests/unit/ssh_sign.h"

#include "policy/proposal.h"

#define NOW     1800000000u
#define SIGNERS 5

static struct signer signer[SIGNERS];

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return 1;
	for (size_t i = 0; i < SIGNERS; i++)
		signer_make(&signer[i]);
	return 0;
}

/* n officers from the signers, any m of them together. */
static struct officers *some_officers(size_t n, uint64_t m)
{
	static struct officers o;

	o = (struct officers){.threshold = m, .n = n};
	for (size_t i = 0; i < n; i++) {
		snprintf(o.officer[i].name, sizeof(o.officer[i].name), "officer-%zu", i);
		o.officer[i].key = signer[i % SIGNERS].key;
	}
	return &o;
}

/* An appliance of three officers, two of whom must agree, with version 1 of every key. */
static void make_anchor(struct anchor *a)
{
	uint64_t version;

	*a = (struct anchor){.serial = 7, .epoch = 3, .written_s = NOW - 1000, .audit = 12};
	memset(a->audit_hash, 0xcd, 32);
	memset(a->appliance, 0xab, 16);
	a->officers = *some_officers(3, 2);
	for (unsigned p = 0; p < KEY_PURPOSES; p++)
		assert_int_equal(anchor_add(a, p, NOW - 5000, &version), KE_OK);
}

static void make_proposal(struct proposal *p, const struct anchor *a, enum proposal_action action)
{
	*p = (struct proposal){
	    .epoch = a->epoch, .expires_s = NOW + 86400, .action = action, .purpose = KEY_TOKEN};
	memcpy(p->appliance, a->appliance, 16);
	randombytes_buf(p->nonce, 16);
	if (action == PROPOSE_OFFICERS)
		p->officers = *some_officers(4, 3);
	else if (action == PROPOSE_PAYOUT)
		p->payout = (struct payout){.kind = PAYOUT_EVM,
		    .chain_id = 5,
		    .gas_limit = 21000,
		    .max_fee = 2,
		    .to = {0xde, 0xad},
		    .value = u256_of(1000)};
	else if (action != PROPOSE_ROTATE)
		p->version = 1;
	memcpy(p->payout.id, p->nonce, 16);
}

/* --- the anchor --- */

static void test_anchor_text(void **state)
{
	struct anchor a, back;
	char text[ANCHOR_TEXT_MAX], again[ANCHOR_TEXT_MAX];
	size_t n, m;

	(void)state;
	make_anchor(&a);
	assert_int_equal(anchor_compromise(&a, KEY_LOG, 1), KE_OK);
	assert_int_equal(
	    anchor_use_nonce(&a, (const uint8_t *)"0123456789abcdef", NOW + 9, NOW), KE_OK);
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_OK);
	assert_int_equal(anchor_parse(&back, text, n), KE_OK);
	assert_int_equal(anchor_text(&back, again, sizeof(again), &m), KE_OK);
	assert_int_equal(n, m);
	assert_memory_equal(text, again, n);
	for (size_t cap = 0; cap < n; cap++) {
		assert_int_equal(anchor_text(&a, again, cap, &m), KE_FULL);
		assert_int_equal(anchor_parse(&back, text, cap), KE_FORMAT);
	}
	assert_int_equal(anchor_parse(&back, text, n + 1), KE_FORMAT);
}

/* A token that knows of no audit line yet has none in its text, and does not know of line 0. */
static void test_anchor_audit(void **state)
{
	struct anchor a, back;
	char text[ANCHOR_TEXT_MAX], *line, *end;
	size_t n;

	(void)state;
	make_anchor(&a);
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_OK);
	assert_int_equal(anchor_parse(&back, text, n), KE_OK);
	assert_int_equal(back.audit, 12);
	assert_memory_equal(back.audit_hash, a.audit_hash, 32);
	line = memmem(text, n, "audit 12 ", 9);
	end = (char *)memchr(line, 10, n) + 1;
	memcpy(line, "audit 00 ", 9);
	assert_int_equal(anchor_parse(&back, text, n), KE_FORMAT);
	memmove(line, end, n - (size_t)(end - text));
	assert_int_equal(anchor_parse(&back, text, n - (size_t)(end - line)), KE_OK);
	assert_int_equal(back.audit, 0);
	a.audit = 0;
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_OK);
	assert_null(memmem(text, n, "audit", 5));
}

/* Whatever is read is written in the same way: there is one text for each anchor. */
static void test_anchor_bytes(void **state)
{
	struct anchor a, back;
	char text[ANCHOR_TEXT_MAX], again[ANCHOR_TEXT_MAX];
	size_t n, m, read = 0;

	(void)state;
	make_anchor(&a);
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_OK);
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			if (anchor_parse(&back, text, n) == KE_OK) {
				read++;
				assert_int_equal(
				    anchor_text(&back, again, sizeof(again), &m), KE_OK);
				assert_int_equal(m, n);
				assert_memory_equal(again, text, n);
			}
			text[i] ^= (char)(1 << bit);
		}
	}
	assert_true(read > 0); /* digits, hex and names have other values */
}

static void test_anchor_nonsense(void **state)
{
	struct anchor a;
	char text[ANCHOR_TEXT_MAX];
	size_t n;

	(void)state;
	make_anchor(&a);
	a.key[0].version = 2;
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_FORMAT);
	make_anchor(&a);
	a.officers.threshold = 4;
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_FORMAT);
	make_anchor(&a);
	strcpy(a.officers.officer[1].name, "Not Lower");
	assert_int_equal(anchor_text(&a, text, sizeof(text), &n), KE_FORMAT);
}

/* --- versions --- */

static uint64_t active(const struct anchor *a, uint64_t now_s)
{
	return anchor_active(a, KEY_TOKEN, now_s)->version;
}

static enum key_state state_of(const struct anchor *a, uint64_t version, uint64_t now_s)
{
	return anchor_state(a, anchor_key(a, KEY_TOKEN, version), now_s);
}

static void test_rotation(void **state)
{
	struct anchor a;
	uint64_t version;

	(void)state;
	make_anchor(&a);
	assert_int_equal(anchor_add(&a, KEY_TOKEN, NOW + 600, &version), KE_OK);
	assert_int_equal(version, 2);
	assert_int_equal(active(&a, NOW), 1);
	assert_int_equal(state_of(&a, 2, NOW), KEY_PRE_ACTIVE);
	assert_int_equal(anchor_destroy(&a, KEY_TOKEN, 2, NOW), KE_STATE);
	assert_int_equal(anchor_destroy(&a, KEY_TOKEN, 1, NOW), KE_STATE);
	assert_int_equal(active(&a, NOW + 600), 2);
	assert_int_equal(state_of(&a, 1, NOW + 600), KEY_DEACTIVATED);
	/* the clock set back before all of them leaves the first */
	assert_int_equal(active(&a, 0), 1);
	/* a third cannot begin before the second */
	assert_int_equal(anchor_add(&a, KEY_TOKEN, NOW, &version), KE_OK);
	assert_int_equal(anchor_key(&a, KEY_TOKEN, 3)->since_s, NOW + 600);
	assert_int_equal(active(&a, NOW), 1);
	assert_int_equal(active(&a, NOW + 600), 3);
	assert_int_equal(anchor_destroy(&a, KEY_TOKEN, 1, NOW + 601), KE_OK);
	assert_int_equal(state_of(&a, 1, NOW), KEY_DESTROYED);
	assert_int_equal(anchor_destroy(&a, KEY_TOKEN, 1, NOW + 601), KE_STATE);
	assert_int_equal(anchor_destroy(&a, KEY_TOKEN, 9, NOW + 601), KE_NOTFOUND);
}

static void test_roll_back(void **state)
{
	struct anchor a;
	uint64_t version;

	(void)state;
	make_anchor(&a);
	assert_int_equal(
	    anchor_roll_back(&a, KEY_TOKEN, 1), KE_STATE); /* there is nothing after it */
	assert_int_equal(anchor_add(&a, KEY_TOKEN, NOW, &version), KE_OK);
	assert_int_equal(anchor_add(&a, KEY_TOKEN, NOW, &version), KE_OK);
	assert_int_equal(anchor_roll_back(&a, KEY_TOKEN, 2), KE_OK);
	assert_int_equal(active(&a, NOW + 1), 2);
	assert_int_equal(state_of(&a, 3, NOW + 1), KEY_DEACTIVATED);
	assert_int_equal(anchor_roll_back(&a, KEY_TOKEN, 3), KE_STATE); /* never again */
	assert_int_equal(anchor_compromise(&a, KEY_TOKEN, 1), KE_OK);
	assert_int_equal(anchor_compromise(&a, KEY_TOKEN, 1), KE_EXISTS);
	assert_int_equal(anchor_roll_back(&a, KEY_TOKEN, 1), KE_STATE);
	assert_int_equal(anchor_roll_back(&a, KEY_TOKEN, 9), KE_NOTFOUND);
	/* a new version goes on counting, and begins when the one in use did or later */
	assert_int_equal(anchor_add(&a, KEY_TOKEN, NOW + 1, &version), KE_OK);
	assert_int_equal(version, 4);
	assert_int_equal(active(&a, NOW + 1), 4);
	while (a.keys < ANCHOR_KEYS_MAX)
		assert_int_equal(anchor_add(&a, KEY_MAC, NOW, &version), KE_OK);
	assert_int_equal(anchor_add(&a, KEY_MAC, NOW, &version), KE_FULL);
}

static void test_officers(void **state)
{
	struct anchor a;
	struct officers o;

	(void)state;
	make_anchor(&a);
	assert_int_equal(anchor_set_officers(&a, some_officers(4, 4)), KE_OK);
	assert_int_equal(a.epoch, 4);
	assert_int_equal(anchor_set_officers(&a, some_officers(4, 5)), KE_RANGE);
	assert_int_equal(anchor_set_officers(&a, some_officers(4, 0)), KE_RANGE);
	assert_int_equal(anchor_set_officers(&a, some_officers(0, 0)), KE_RANGE);
	assert_int_equal(anchor_set_officers(&a, some_officers(6, 2)), KE_EXISTS); /* a key twice */
	o = *some_officers(3, 2);
	strcpy(o.officer[2].name, o.officer[0].name);
	assert_int_equal(anchor_set_officers(&a, &o), KE_EXISTS);
	assert_int_equal(a.epoch, 4);
	assert_int_equal(a.officers.n, 4);
}

static void test_nonces(void **state)
{
	struct anchor a;
	uint8_t nonce[16] = {0};

	(void)state;
	make_anchor(&a);
	for (unsigned i = 0; i < ANCHOR_NONCES_MAX; i++) {
		nonce[0] = (uint8_t)i;
		assert_int_equal(anchor_use_nonce(&a, nonce, NOW + 10 + i % 2, NOW), KE_OK);
		assert_int_equal(anchor_use_nonce(&a, nonce, NOW + 10, NOW), KE_EXISTS);
	}
	nonce[0] = 0xff;
	assert_int_equal(anchor_use_nonce(&a, nonce, NOW + 10, NOW), KE_FULL);
	assert_int_equal(anchor_use_nonce(&a, nonce, NOW, NOW), KE_TIMEOUT);
	/* half of them have expired, so there is room */
	assert_int_equal(anchor_use_nonce(&a, nonce, NOW + 20, NOW + 10), KE_OK);
	assert_int_equal(a.nonces, ANCHOR_NONCES_MAX / 2 + 1);
	/* what was forgotten had expired, and a clock set back does not bring it to life */
	anchor_written(&a, NOW + 10);
	assert_int_equal(anchor_now(&a, NOW), NOW + 10);
	assert_int_equal(a.serial, 8);
}

/* --- proposals --- */

static void expect_line(const struct proposal *p, const char *line)
{
	char text[PROPOSAL_TEXT_MAX + 1];
	size_t n;

	assert_int_equal(proposal_text(p, text, PROPOSAL_TEXT_MAX, &n), KE_OK);
	text[n] = '\0';
	if (strstr(text, line) == NULL)
		fail_msg("%s is not in %s", line, text);
	assert_true(proposal_is_hsms(text));
}

/* Officers read to whom, how much, from where, at what cost; hsm reads the same, to the last byte.
 */
static void test_payout_text(void **state)
{
	char text[PROPOSAL_TEXT_MAX + 1];
	struct anchor a;
	struct proposal p, back;
	size_t n;

	(void)state;
	make_anchor(&a);
	make_proposal(&p, &a, PROPOSE_PAYOUT);
	memset(p.pool, 0x11, 16);
	expect_line(&p, "\nmeans pay 1000 wei on the chain evm:5 to "
			"0xdEad000000000000000000000000000000000000 from the address of pool "
			"11111111-1111-1111-1111-111111111111, at a cost of 43000 at most, fees "
			"included\n");
	p.payout.kind = PAYOUT_SOLANA;
	p.payout.chain_id = p.payout.gas_limit = p.payout.max_fee = 0;
	memset(p.payout.to, 0, 31);
	p.payout.to[31] = 1;
	expect_line(&p, "\nmeans pay 1000 lamports on the chain solana to "
			"11111111111111111111111111111112 from the address of pool ");
	memset(p.payout.value.be + 24, 0xff, 8);
	memset(p.payout.to, 0xff, 32);
	expect_line(&p, " at a cost of 18446744073709556615 at most");
	assert_int_equal(proposal_text(&p, text, sizeof text, &n), KE_OK);
	for (size_t i = 0; i < n; i++) { /* no byte of it can be another */
		text[i] ^= 1;
		if (proposal_parse(&back, text, n) == KE_OK)
			assert_memory_equal(&back.payout.to, &p.payout.to, 32);
		text[i] ^= 1;
	}
	make_proposal(&p, &a, PROPOSE_PAYOUT); /* the longest of all sentences fits */
	p.payout.chain_id = p.payout.max_fee = p.payout.gas_limit = UINT64_MAX;
	memset(p.payout.value.be, 0xff, 15);
	expect_line(&p, " at most, fees included\n");
	p.payout.id[0] ^= 1; /* its nonce is the payout's id */
	assert_int_equal(proposal_text(&p, text, sizeof text, &n), KE_FORMAT);
	p.payout = (struct payout){.kind = 0};
	memcpy(p.payout.id, p.nonce, 16);
	assert_int_equal(proposal_text(&p, text, sizeof text, &n), KE_FORMAT);
	make_proposal(&p, &a, PROPOSE_OFFICERS);
	assert_int_equal(proposal_text(&p, text, sizeof text - 1, &n), KE_OK);
	text[n] = '\0';
	assert_false(proposal_is_hsms(text));
	make_proposal(&p, &a, PROPOSE_DRAW);
	p.version = 0;
	memset(p.raffle, 0x11, 16);
	expect_line(&p,
	    "\nraffle 11111111111111111111111111111111\nmeans reveal the seed of raffle "
	    "11111111-1111-1111-1111-111111111111 and draw its winners, once\n");
}

static void test_proposal_text(void **state)
{
	struct anchor a;
	struct proposal p, back;
	char text[PROPOSAL_TEXT_MAX], again[PROPOSAL_TEXT_MAX];
	size_t n, m;

	(void)state;
	make_anchor(&a);
	for (unsigned action = 0; action < PROPOSAL_ACTION_COUNT; action++) {
		make_proposal(&p, &a, action);
		if (action % 2 == 1)
			strcpy(p.proposer, "bob@example.org");
		assert_int_equal(proposal_text(&p, text, sizeof(text), &n), KE_OK);
		assert_int_equal(proposal_parse(&back, text, n), KE_OK);
		assert_int_equal(proposal_text(&back, again, sizeof(again), &m), KE_OK);
		assert_int_equal(n, m);
		assert_memory_equal(text, again, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(proposal_parse(&back, text, i), KE_FORMAT);
		/* the words cannot say something else than the fields */
		text[n - 3] ^= 1;
		assert_int_equal(proposal_parse(&back, text, n), KE_FORMAT);
	}
	p.action = PROPOSAL_ACTION_COUNT;
	assert_int_equal(proposal_text(&p, text, sizeof(text), &n), KE_FORMAT);
	make_proposal(&p, &a, PROPOSE_DESTROY);
	p.version = 0;
	assert_int_equal(proposal_text(&p, text, sizeof(text), &n), KE_FORMAT);
}

/* A proposal with its approvals, ready to be counted. */
struct round {
	struct anchor a;
	struct proposal p;
	char text[PROPOSAL_TEXT_MAX];
	size_t n, count;
	char armor[SIGNERS][SSH_ARMOR_MAX];
	struct approval approvals[SIGNERS];
	struct proposal_verdict v;
};

static void write_text(struct round *r)
{
	assert_int_equal(proposal_text(&r->p, r->text, sizeof(r->text), &r->n), KE_OK);
	r->count = 0;
}

static void begin(struct round *r, enum proposal_action action)
{
	make_anchor(&r->a);
	make_proposal(&r->p, &r->a, action);
	write_text(r);
}

static void approve(struct round *r, size_t who, const char *ns)
{
	char *armor = r->armor[r->count];
	size_t n = signer_sign(&signer[who], ns, r->text, r->n, armor);

	r->approvals[r->count++] = (struct approval){armor, n};
}

static int count(struct round *r, uint64_t now_s)
{
	struct proposal p;

	return proposal_count(&p, &r->a, r->text, r->n, r->approvals, r->count, now_s, &r->v);
}

static void test_count(void **state)
{
	static struct round r;

	(void)state;
	begin(&r, PROPOSE_ROTATE);
	assert_int_equal(count(&r, NOW), KE_AGAIN);
	approve(&r, 2, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_AGAIN);
	assert_int_equal(r.v.approvals, 1);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_OK);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_OK);
	assert_int_equal(r.v.approvals, 3);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_EXISTS);
	assert_int_equal(r.v.at, 3);
}

static void test_strangers(void **state)
{
	static struct round r;

	(void)state;
	/* officer 3 comes in with this proposal, and does not count for it */
	begin(&r, PROPOSE_OFFICERS);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 3, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_DENIED);
	assert_int_equal(r.v.at, 1);
	begin(&r, PROPOSE_ROTATE);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 1, "file"); /* signed for something else */
	assert_int_equal(count(&r, NOW), KE_DENIED);
	/* one bad approval spoils it, whatever the others are */
	begin(&r, PROPOSE_ROTATE);
	for (size_t i = 0; i < 3; i++)
		approve(&r, i, PROPOSAL_NAMESPACE);
	r.armor[2][60] ^= 1;
	assert_int_not_equal(count(&r, NOW), KE_OK);
	begin(&r, PROPOSE_ROTATE);
	r.approvals[r.count++] = (struct approval){"", 0};
	assert_int_equal(count(&r, NOW), KE_CRYPTO);
}

/* Who proposes it is one of the officers, and the others decide. */
static void test_own(void **state)
{
	static struct round r;

	(void)state;
	begin(&r, PROPOSE_ROTATE);
	strcpy(r.p.proposer, "officer-1");
	write_text(&r);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_DENIED);
	assert_int_equal(r.v.at, 1);
	assert_non_null(strstr(r.v.why, "proposed himself"));
	r.count = 1;
	assert_int_equal(count(&r, NOW), KE_AGAIN);
	approve(&r, 2, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_OK);
	/* without the line it is another text, and the approvals are not over it */
	r.p.proposer[0] = '\0';
	assert_int_equal(proposal_text(&r.p, r.text, sizeof r.text, &r.n), KE_OK);
	assert_int_equal(count(&r, NOW), KE_CRYPTO);
	/* one who is no officer */
	strcpy(r.p.proposer, "officer-3");
	write_text(&r);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 2, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, NOW), KE_DENIED);
	strcpy(r.p.proposer, "Not Lower");
	assert_int_equal(proposal_text(&r.p, r.text, sizeof r.text, &r.n), KE_FORMAT);
	/* an officer's name is not found in a longer one's line, nor elsewhere */
	strcpy(r.p.proposer, "officer-11");
	write_text(&r);
	assert_false(proposal_is_own(r.text, &r.a.officers.officer[1]));
	strcpy(r.p.proposer, "officer-1");
	write_text(&r);
	assert_true(proposal_is_own(r.text, &r.a.officers.officer[1]));
	assert_false(proposal_is_own(r.text, &r.a.officers.officer[0]));
}

static void test_altered(void **state)
{
	static struct round r;
	char other[PROPOSAL_TEXT_MAX];
	size_t n;

	(void)state;
	begin(&r, PROPOSE_ROTATE);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	/* every other proposal under the same approvals */
	r.p.purpose = KEY_LOG;
	assert_int_equal(proposal_text(&r.p, other, sizeof(other), &n), KE_OK);
	memcpy(r.text, other, n);
	r.n = n;
	assert_int_equal(count(&r, NOW), KE_CRYPTO);
	for (size_t i = 0; i < r.n; i++) {
		r.text[i] ^= 1;
		assert_int_not_equal(count(&r, NOW), KE_OK);
		r.text[i] ^= 1;
	}
}

static void test_frame(void **state)
{
	static struct round r;

	(void)state;
	begin(&r, PROPOSE_ROTATE);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	assert_int_equal(count(&r, r.p.expires_s), KE_TIMEOUT);
	assert_int_equal(count(&r, r.p.expires_s - 1), KE_OK);
	r.a.appliance[3] ^= 1;
	assert_int_equal(count(&r, NOW), KE_DENIED);
	r.a.appliance[3] ^= 1;
	/* used up, even when the clock is set back */
	assert_int_equal(anchor_use_nonce(&r.a, r.p.nonce, r.p.expires_s, NOW), KE_OK);
	assert_int_equal(count(&r, NOW), KE_EXISTS);
	anchor_written(&r.a, r.p.expires_s);
	assert_int_equal(count(&r, NOW - 50), KE_TIMEOUT);
	/* an officer leaves while it stands open */
	begin(&r, PROPOSE_ROTATE);
	approve(&r, 0, PROPOSAL_NAMESPACE);
	approve(&r, 1, PROPOSAL_NAMESPACE);
	assert_int_equal(anchor_set_officers(&r.a, some_officers(2, 2)), KE_OK);
	assert_int_equal(count(&r, NOW), KE_STATE);
	/* open for too long */
	begin(&r, PROPOSE_ROTATE);
	r.p.expires_s = NOW + PROPOSAL_LIFE_MAX + 1;
	write_text(&r);
	assert_int_equal(count(&r, NOW), KE_TIMEOUT);
	/* nobody is enrolled: nobody decides */
	begin(&r, PROPOSE_ROTATE);
	r.a.officers = (struct officers){.n = 0};
	assert_int_equal(count(&r, NOW), KE_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_anchor_text),
	    cmocka_unit_test(test_anchor_audit),
	    cmocka_unit_test(test_anchor_bytes),
	    cmocka_unit_test(test_anchor_nonsense),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_roll_back),
	    cmocka_unit_test(test_officers),
	    cmocka_unit_test(test_nonces),
	    cmocka_unit_test(test_proposal_text),
	    cmocka_unit_test(test_payout_text),
	    cmocka_unit_test(test_count),
	    cmocka_unit_test(test_strangers),
	    cmocka_unit_test(test_own),
	    cmocka_unit_test(test_altered),
	    cmocka_unit_test(test_frame),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
