/*
 * policy/complete: a draw that somebody else finishes gives the winners that the appliance would
 * have drawn; records that do not belong together, another seed, other tickets give none, and the
 * step says which of them it was.
 */
#include "tests/unit/vectors.h"

#include "policy/complete.h"
#include "tests/unit/bundle2_make.h"

static struct made2 m;
static uint8_t entries[MADE2_N_MAX][COMPLETE_ENTRY];
static struct complete c;
static uint8_t seed[32];

/* A raffle that was drawn, taken apart into what a stranger has. */
static void make(uint64_t tickets, uint64_t holders, unsigned dedupe)
{
	assert_int_equal(made2_init(&m, tickets, holders, 3, 2), 0);
	m.rec[MADE2_OPEN].dedupe = dedupe;
	assert_int_equal(made2_finish(&m), 0);
	memset(&c, 0, sizeof c);
	c.open = m.rec[MADE2_OPEN];
	c.close = m.rec[MADE2_CLOSE];
	record2_leaf(c.open_leaf, m.text[MADE2_OPEN], m.text_len[MADE2_OPEN]);
	c.terms = m.rec[MADE2_DRAW].terms;
	for (uint64_t i = 0; i < tickets; i++) {
		be_put16(entries[i], LEAF_LEN);
		memcpy(entries[i] + 2, m.leaf[i], LEAF_LEN);
	}
	c.entries = entries[0];
	c.entries_len = tickets * COMPLETE_ENTRY;
	memcpy(seed, m.rec[MADE2_DRAW].server_seed, 32);
}

static void test_same_winners(void **state)
{
	static const struct {
		uint64_t tickets, holders;
		unsigned dedupe;
	} rows[] = {
	    {20, 20, DEDUPE_NONE},
	    {20, 2, DEDUPE_NONE},
	    {20, 20, DEDUPE_HOLDER},
	    {20, 4, DEDUPE_HOLDER}, /* fewer holders than prizes */
	    {20, 1, DEDUPE_HOLDER},
	    {4, 4, DEDUPE_NONE}, /* fewer tickets */
	    {1, 1, DEDUPE_HOLDER},
	};
	enum complete_step step;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct record2 *draw = &m.rec[MADE2_DRAW];

		make(rows[i].tickets, rows[i].holders, rows[i].dedupe);
		assert_int_equal(complete_draw(&c, seed, &step), KE_OK);
		assert_int_equal(c.winners, draw->winners);
		assert_int_equal(c.reserves, draw->reserves);
		assert_memory_equal(c.draw_key, draw->draw_key, 32);
		for (size_t k = 0; k < c.winners + c.reserves; k++) {
			assert_int_equal(c.picks[k].index, m.picks[k].index);
			assert_memory_equal(c.picks[k].ticket, m.picks[k].ticket, 16);
		}
		free(c.picks);
	}
}

/* --- what does not belong together --- */

static void open_kind(void)
{
	c.open.kind = RECORD2_CLOSE;
}

static void close_kind(void)
{
	c.close.kind = RECORD2_ABORT;
}

static void other_raffle(void)
{
	c.close.raffle[0] ^= 1;
}

static void other_open(void)
{
	c.close.open_leaf[0] ^= 1;
}

static void other_seed(void)
{
	seed[0] ^= 1;
}

static void half_an_entry(void)
{
	c.entries_len--;
}

static void entry_missing(void)
{
	c.entries_len -= COMPLETE_ENTRY;
}

static void long_entry(void)
{
	entries[3][0] = 1;
}

static void short_entry(void)
{
	entries[3][1]--;
}

static void no_leaf(void)
{
	entries[3][2] ^= 1;
}

static void other_place(void)
{
	memcpy(entries[3], entries[4], COMPLETE_ENTRY);
}

static void other_raffles_leaf(void)
{
	struct leaf l;

	assert_int_equal(leaf_decode(&l, entries[3] + 2, LEAF_LEN), KE_OK);
	l.raffle[0] ^= 1;
	leaf_encode(entries[3] + 2, &l);
}

static void other_holder(void)
{
	struct leaf l;

	assert_int_equal(leaf_decode(&l, entries[3] + 2, LEAF_LEN), KE_OK);
	l.holder_commit[0] ^= 1;
	leaf_encode(entries[3] + 2, &l);
}

static void test_refused(void **state)
{
	static const struct {
		void (*change)(void);
		enum complete_step step;
	} rows[] = {
	    {open_kind, COMPLETE_RECORDS},
	    {close_kind, COMPLETE_RECORDS},
	    {other_raffle, COMPLETE_RECORDS},
	    {other_open, COMPLETE_RECORDS},
	    {other_seed, COMPLETE_SEED},
	    {half_an_entry, COMPLETE_TICKETS},
	    {entry_missing, COMPLETE_TICKETS},
	    {long_entry, COMPLETE_TICKETS},
	    {short_entry, COMPLETE_TICKETS},
	    {no_leaf, COMPLETE_TICKETS},
	    {other_place, COMPLETE_TICKETS},
	    {other_raffles_leaf, COMPLETE_TICKETS},
	    {other_holder, COMPLETE_TICKETS},
	};
	enum complete_step step;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make(20, 20, DEDUPE_NONE);
		rows[i].change();
		assert_int_equal(complete_draw(&c, seed, &step), KE_CRYPTO);
		assert_int_equal(step, rows[i].step);
		assert_null(c.picks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_winners),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("complete", tests, NULL, NULL);
}
