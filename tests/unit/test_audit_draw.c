/*
 * policy/audit_draw: a ticket log and the draw that was made of it agree; each way in which they
 * can disagree is named; and each allocation that fails is told as lack of memory, with the word
 * for it.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"

#include "policy/audit_draw.h"
#include "policy/draw.h"

#define TICKETS 3000
#define PICKS   100

/* A log of tickets, whose holders are numbers, and what a draw of it says. */
static struct {
	uint8_t holder[TICKETS];
	uint64_t order[TICKETS]; /* the shuffle */
	struct audit_raffle raffle;
	struct record_pick picks[TICKETS];
	size_t n, shown; /* picks; leaves that the log shows */
	char why[AUDIT_WHY_MAX];
} t;

static void ticket_id(uint8_t id[16], uint64_t index)
{
	memset(id, 0x40, 16);
	memcpy(id, &index, sizeof index);
}

static void add_pick(uint64_t index)
{
	t.picks[t.n].index = index;
	ticket_id(t.picks[t.n++].ticket, index);
}

/* The picks that are right: the shuffle's first, of each holder one where a holder wins once. */
static void pick(void)
{
	bool won[256] = {false};

	t.n = 0;
	for (size_t i = 0; i < t.raffle.tickets && t.n < PICKS; i++) {
		uint64_t index = t.order[i];

		if (t.raffle.holder && won[t.holder[index]])
			continue;
		won[t.holder[index]] = true;
		add_pick(index);
	}
}

/* Of so many holders, who have as many tickets each. */
static void make(bool once, uint64_t tickets, unsigned holders)
{
	memset(&t, 0, sizeof t);
	memset(t.raffle.id, 0xab, sizeof t.raffle.id);
	memset(t.raffle.draw_key, 7, sizeof t.raffle.draw_key);
	t.raffle.holder = once;
	t.raffle.winners = PICKS - 20;
	t.raffle.reserves = 20;
	t.raffle.tickets = t.shown = tickets;
	for (size_t i = 0; i < tickets; i++)
		t.holder[i] = (uint8_t)(i % holders);
	assert_int_equal(draw_shuffle(t.order, tickets, tickets, t.raffle.draw_key), KE_OK);
	pick();
}

static int show(struct audit_draw *d, uint64_t index)
{
	static const uint8_t hash[32];
	struct leaf l = {.index = index};
	uint8_t text[LEAF_LEN];

	memcpy(l.raffle, t.raffle.id, 16);
	ticket_id(l.ticket, index);
	memset(l.holder_commit, t.holder[index], sizeof l.holder_commit);
	leaf_encode(text, &l);
	return audit_draw_leaf(d, index, text, sizeof text, hash, t.why);
}

static int audit(void)
{
	struct audit_draw d;
	int r = audit_draw_init(&d, &t.raffle, t.picks, t.n);

	snprintf(t.why, sizeof t.why, "%s", r == KE_OK ? "" : ke_words(r));
	for (size_t i = 0; r == KE_OK && i < t.shown; i++)
		r = show(&d, i);
	if (r == KE_OK)
		r = audit_draw_end(&d, t.why);
	audit_draw_free(&d);
	return r;
}

static void refused(const char *words)
{
	assert_int_equal(audit(), KE_CRYPTO);
	if (strstr(t.why, words) == NULL)
		fail_msg("\"%s\", not \"%s\"", t.why, words);
}

static void test_good(void **state)
{
	(void)state;
	make(false, TICKETS, 200);
	assert_int_equal(t.n, PICKS);
	assert_int_equal(audit(), KE_OK);
	make(true, TICKETS, 200);
	assert_int_equal(t.n, PICKS);
	assert_int_equal(audit(), KE_OK);
	/* fewer holders than prizes: all tickets are looked at */
	make(true, TICKETS, 5);
	assert_int_equal(t.n, 5);
	assert_int_equal(audit(), KE_OK);
	/* fewer tickets than prizes */
	make(false, 30, 200);
	assert_int_equal(t.n, 30);
	assert_int_equal(audit(), KE_OK);
}

static void test_not_of_the_log(void **state)
{
	(void)state;
	make(false, TICKETS, 200);
	t.picks[7].ticket[0] ^= 1;
	refused("is not the one that the draw names");
	make(false, TICKETS, 200);
	t.raffle.id[0] ^= 1;
	assert_int_equal(audit(), KE_OK); /* what show() says follows */
	t.picks[7].index = TICKETS;
	refused("other winners than the log has tickets");
	/* one too few, and one too many */
	make(false, TICKETS, 200);
	t.n--;
	refused("other winners than the log has tickets");
	make(true, TICKETS, 200);
	t.raffle.reserves--;
	refused("other winners than the log has tickets");
	/* a close record of more tickets than there are leaves */
	make(true, TICKETS, 200);
	t.raffle.tickets = (uint64_t)1 << 40;
	t.n = 0;
	refused("is not in the log");
}

static void test_not_the_shuffles(void **state)
{
	struct record_pick first;

	(void)state;
	make(false, TICKETS, 200);
	first = t.picks[0];
	t.picks[0] = t.picks[1];
	t.picks[1] = first;
	refused("is the shuffle's, and the draw has another");
}

static void test_one_prize_per_holder(void **state)
{
	(void)state;
	/* one is left out who should have won */
	make(true, TICKETS, 200);
	memmove(&t.picks[3], &t.picks[4], (--t.n - 3) * sizeof t.picks[0]);
	refused("is passed over, and its holder had not won");
	/* drawn as if a holder could win twice */
	make(false, TICKETS, 20);
	t.raffle.holder = true;
	refused("is of a holder who had won before");
	/* the second ticket of the first winner, behind the last winner, whom it came before */
	make(true, TICKETS, 1);
	memset(t.holder, 1, sizeof t.holder);
	t.holder[t.order[0]] = t.holder[t.order[1]] = 0;
	pick();
	assert_int_equal(t.n, 2);
	assert_int_equal(audit(), KE_OK);
	add_pick(t.order[1]);
	refused("its winners are not in the shuffle's order");
}

static int audit_with_words(void)
{
	int r = audit();

	assert_string_equal(t.why, r == KE_OK ? "" : ke_words(KE_NOMEM));
	return r;
}

static void test_memory(void **state)
{
	(void)state;
	if (!fail_alloc_works())
		skip();
	make(true, TICKETS, 200);
	/* picks; holders three times; the set of those who won, twice its two parts; the shuffle */
	assert_true(fail_alloc_each(audit_with_words, KE_NOMEM) >= 9);
	make(true, TICKETS, 5);
	assert_true(fail_alloc_each(audit_with_words, KE_NOMEM) >= 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_not_of_the_log),
	    cmocka_unit_test(test_not_the_shuffles),
	    cmocka_unit_test(test_one_prize_per_holder),
	    cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("audit_draw", tests, NULL, NULL);
}
