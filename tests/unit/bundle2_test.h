/*
 * What the tests of v2 bundles share: one that was made, all that may be trusted in it, and what a
 * check of it says.
 */
#ifndef TESTS_BUNDLE2_TEST_H
#define TESTS_BUNDLE2_TEST_H

#include "tests/unit/bundle2_make.h"

#define ENDED (BUNDLE2_SIGNED | BUNDLE2_IN_LOG | BUNDLE2_WITNESSED)
#define ALL                                                                                        \
	(BUNDLE2_REPRODUCED | BUNDLE2_SIGNED | BUNDLE2_IN_LOG | BUNDLE2_BEACON | BUNDLE2_WITNESSED)

static struct made2 m;
static struct bundle2_result res;

static inline void trust_all(struct bundle2_trust *t)
{
	struct pulse p;

	memset(t, 0, sizeof(*t));
	assert_int_equal(pulse_parse(&p, m.pulse, strlen(m.pulse)), KE_OK);
	memcpy(t->certificates[0], p.certificate, PULSE_HASH);
	t->ncertificates = 1;
}

static inline void make(uint64_t n, uint64_t holders, uint64_t winners, uint64_t reserves)
{
	assert_int_equal(made2_init(&m, n, holders, winners, reserves), 0);
}

static inline int check_made(const struct bundle2_trust *t)
{
	size_t n = 0;
	char *text = made2_write(&m, &n);
	int r;

	assert_non_null(text);
	r = bundle2_check(text, n, t, &res);
	free(text);
	assert_int_equal(r, res.err);
	if (r != KE_OK)
		assert_true(res.why[0] != '\0');
	return r;
}

static inline void assert_fails(const struct bundle2_trust *t, enum bundle2_step step)
{
	assert_int_not_equal(check_made(t), KE_OK);
	if (res.step != step)
		fail_msg("%s for %s: %s", bundle2_step_words(res.step), bundle2_step_words(step),
		    res.why);
}

static inline void fresh(struct bundle2_trust *t)
{
	make(20, 20, 3, 2);
	assert_int_equal(made2_finish(&m), 0);
	trust_all(t);
}

#endif
