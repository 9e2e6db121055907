/*
 * Money, the raffle's state machine and the sale's limits.
 */
#include "tests/unit/vectors.h"

#include "policy/roles.h"
#include "policy/rules.h"

static void test_money(void **state)
{
	int64_t v = 77;

	(void)state;
	assert_int_equal(rules_money_add(RULES_MONEY_MAX - 1, 1, &v), KE_OK);
	assert_true(v == RULES_MONEY_MAX);
	assert_int_equal(rules_money_add(RULES_MONEY_MAX, 1, &v), KE_RANGE);
	assert_int_equal(rules_money_add(-1, 1, &v), KE_RANGE);
	assert_int_equal(rules_money_add(INT64_MAX, INT64_MAX, &v), KE_RANGE);
	assert_int_equal(rules_money_add(1, -1, &v), KE_RANGE);
	assert_int_equal(rules_money_add(1, INT64_MAX, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(1, -1, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(1, RULES_MONEY_MAX + 1, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(0, RULES_MONEY_MAX, &v), KE_OK);
	assert_true(v == 0);
	assert_int_equal(rules_money_mul(3, RULES_MONEY_MAX / 3, &v), KE_OK);
	assert_int_equal(rules_money_mul(3, RULES_MONEY_MAX / 3 + 1, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(RULES_MONEY_MAX, RULES_MONEY_MAX, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(INT64_C(1) << 40, INT64_C(1) << 40, &v), KE_RANGE);
	assert_int_equal(rules_money_mul(-1, -1, &v), KE_RANGE);
}

/* state × act: the answer when entropy is set and tickets are sold */
static void test_states(void **state)
{
	static const enum rules_no want[RAFFLE_ABORTED][6] = {
	    [RAFFLE_DRAFT] = {RULES_YES, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_NOT_CLOSED,
		RULES_NOT_CLOSED, RULES_NOT_DRAWN},
	    [RAFFLE_OPEN] = {RULES_NOT_DRAFT, RULES_YES, RULES_YES, RULES_NOT_CLOSED,
		RULES_NOT_CLOSED, RULES_NOT_DRAWN},
	    [RAFFLE_CLOSED] = {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_ENTROPY_SET,
		RULES_YES, RULES_NOT_DRAWN},
	    [RAFFLE_DRAWN] = {RULES_NOT_DRAFT, RULES_NOT_OPEN, RULES_NOT_OPEN, RULES_DRAWN,
		RULES_DRAWN, RULES_YES},
	};

	(void)state;
	for (int s = 0; s < RAFFLE_ABORTED; s++)
		for (int a = 0; a <= RAFFLE_ACT_PROVE; a++)
			assert_int_equal(
			    rules_raffle_act((enum raffle_state)s, (enum raffle_act)a, true, 10),
			    want[s][a]);
	/* v2's alone */
	for (int s = 0; s < RAFFLE_STATES; s++)
		for (int a = 0; a < RAFFLE_ACTS; a++) {
			if (s < RAFFLE_ABORTED && a <= RAFFLE_ACT_PROVE)
				continue;
			assert_int_equal(
			    rules_raffle_act((enum raffle_state)s, (enum raffle_act)a, true, 10),
			    RULES_FORMAT);
			assert_int_equal(
			    rules_raffle_next((enum raffle_state)s, (enum raffle_act)a), s);
		}
	assert_int_equal(rules_raffle_act(RAFFLE_CLOSED, RAFFLE_ACT_ENTROPY, false, 10), RULES_YES);
	assert_int_equal(
	    rules_raffle_act(RAFFLE_CLOSED, RAFFLE_ACT_DRAW, false, 10), RULES_ENTROPY_MISSING);
	assert_int_equal(rules_raffle_act(RAFFLE_CLOSED, RAFFLE_ACT_DRAW, true, 0), RULES_EMPTY);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(rules_raffle_word(RAFFLE_STATES), "unknown");
	assert_string_equal(rules_raffle_word(RAFFLE_CLOSED), "closed");
	assert_null(roles_word(1u << 20));
	assert_null(roles_word(0));
	assert_int_equal(roles_bit("usr", 3), 0);
	assert_int_equal(roles_bit("users", 5), 0);
	assert_string_equal(ke_words(12345), "unknown error");
}

static void test_next(void **state)
{
	(void)state;
	assert_int_equal(rules_raffle_next(RAFFLE_DRAFT, RAFFLE_ACT_OPEN), RAFFLE_OPEN);
	assert_int_equal(rules_raffle_next(RAFFLE_OPEN, RAFFLE_ACT_BUY), RAFFLE_OPEN);
	assert_int_equal(rules_raffle_next(RAFFLE_OPEN, RAFFLE_ACT_CLOSE), RAFFLE_CLOSED);
	assert_int_equal(rules_raffle_next(RAFFLE_CLOSED, RAFFLE_ACT_ENTROPY), RAFFLE_CLOSED);
	assert_int_equal(rules_raffle_next(RAFFLE_CLOSED, RAFFLE_ACT_DRAW), RAFFLE_DRAWN);
	assert_int_equal(rules_raffle_next(RAFFLE_DRAWN, RAFFLE_ACT_PROVE), RAFFLE_DRAWN);
	/* an act that may not happen moves nothing */
	assert_int_equal(rules_raffle_next(RAFFLE_DRAWN, RAFFLE_ACT_OPEN), RAFFLE_DRAWN);
	assert_string_equal(rules_raffle_word(RAFFLE_DRAFT), "draft");
	assert_string_equal(rules_raffle_word(RAFFLE_DRAWN), "drawn");
}

static void test_sale(void **state)
{
	struct rules_sale s = {.state = RAFFLE_OPEN,
	    .sold = 90,
	    .capacity = 100,
	    .per_person = 5,
	    .held = 2,
	    .price = 250};
	int64_t cost = 0;

	(void)state;
	assert_int_equal(rules_sale(&s, 3, &cost), RULES_YES);
	assert_true(cost == 750);
	assert_int_equal(rules_sale(&s, 4, &cost), RULES_PER_PERSON);
	assert_int_equal(rules_sale(&s, 11, &cost), RULES_SOLD_OUT);
	assert_int_equal(rules_sale(&s, INT64_MAX, &cost), RULES_SOLD_OUT);
	assert_int_equal(rules_sale(&s, 0, &cost), RULES_AMOUNT);
	assert_int_equal(rules_sale(&s, -1, &cost), RULES_AMOUNT);
	s.per_person = 0;
	assert_int_equal(rules_sale(&s, 10, &cost), RULES_YES);
	s.sold = 100;
	assert_int_equal(rules_sale(&s, 1, &cost), RULES_SOLD_OUT);
	s.state = RAFFLE_CLOSED;
	assert_int_equal(rules_sale(&s, 1, &cost), RULES_NOT_OPEN);
	s = (struct rules_sale){
	    .state = RAFFLE_OPEN, .capacity = RULES_MONEY_MAX, .price = RULES_MONEY_MAX};
	assert_int_equal(rules_sale(&s, 2, &cost), RULES_AMOUNT);
}

static void test_deposit(void **state)
{
	uint8_t a[16] = {1}, b[16] = {2};

	(void)state;
	assert_int_equal(rules_deposit_confirm(a, b, true), RULES_YES);
	assert_int_equal(rules_deposit_confirm(a, b, false), RULES_DECIDED);
	assert_int_equal(rules_deposit_confirm(a, a, true), RULES_SELF_APPROVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_money),
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_next),
	    cmocka_unit_test(test_sale),
	    cmocka_unit_test(test_deposit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
