/*
 * What the tests of refused v2 bundles share: raffles to begin with, one of them with a value of
 * its file replaced, and the step, the error and the words that the check must end with.
 */
#ifndef TESTS_UNIT_BUNDLE2_REFUSED_H
#define TESTS_UNIT_BUNDLE2_REFUSED_H

#include "policy/jsonw.h"

#define MADE2_N_MAX 900
#include "tests/unit/bundle2_test.h"
#include "tests/unit/json_edit.h"

static struct bundle2_trust trust;

/* The bundle of m, with up to two values replaced. */
static inline int check_with(
    const char *path, const char *value, const char *path2, const char *value2)
{
	size_t n = 0;
	char *text = made2_write(&m, &n);
	int r;

	assert_non_null(text);
	if (path != NULL)
		text = json_edit(text, &n, path, value);
	if (path2 != NULL)
		text = json_edit(text, &n, path2, value2);
	r = bundle2_check(text, n, &trust, &res);
	free(text);
	assert_int_equal(r, res.err);
	return r;
}

static inline void assert_refused(enum bundle2_step step, int err, const char *words)
{
	if (res.step != step || res.err != err || strstr(res.why, words) == NULL)
		fail_msg("%s, %s: \"%s\" and not %s, %s: \"%s\"", bundle2_step_words(res.step),
		    ke_words(res.err), res.why, bundle2_step_words(step), ke_words(err), words);
}

static inline void refused(enum bundle2_step step, const char *words)
{
	(void)check_with(NULL, NULL, NULL, NULL);
	assert_refused(step, KE_CRYPTO, words);
}

/* --- raffles to begin with --- */

static inline void finish(void)
{
	assert_int_equal(made2_finish(&m), 0);
	trust_all(&trust);
}

static inline void drawn(void)
{
	make(20, 20, 3, 2);
	finish();
}

static inline void aborted(void)
{
	make(20, 20, 3, 2);
	m.aborted = true;
	finish();
	m.tickets_size = 0;
}

static inline void aborted_closed(void)
{
	aborted();
	m.tickets_size = 20;
}

static inline void amended(void)
{
	uint64_t was_s;

	make(20, 20, 3, 2);
	m.amended = true;
	m.nforfeits = 2;
	m.forfeits[0] = 1;
	m.forfeits[1] = 3;
	m.rec[MADE2_OPEN].terms.beacons[0].round = 999000;
	m.rec[MADE2_OPEN].terms.sales_close_s -= 4000;
	finish();
	assert_int_equal(drand_round_time(&drand_quicknet, 999000, &was_s), KE_OK);
	m.seen_s = was_s - 60;
}

/* One prize a holder, and some tickets passed over. */
static inline void once(void)
{
	make(20, 4, 3, 1);
	m.rec[MADE2_OPEN].dedupe = DEDUPE_HOLDER;
	do {
		m.rec[MADE2_DRAW].server_seed[0]++;
		finish();
	} while (m.npassed < 2);
}

/* More winners and reserves than a record lists. */
static inline void filed(void)
{
	make(850, 850, 801, 9);
	finish();
}

/* A text as a JSON string. */
static inline const char *quoted(const char *s)
{
	static char json[16384];
	struct jsonw w;

	jsonw_init(&w, json, sizeof(json) - 1);
	jsonw_str(&w, s, strlen(s));
	assert_int_equal(w.err, KE_OK);
	json[w.len] = '\0';
	return json;
}

#endif
