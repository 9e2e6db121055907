/*
 * Writing a v2 bundle: the same bytes as ever (which are the fuzzer's seed, too), a piece that does
 * not fit leaves nothing behind, and pieces come in one order only. That what is written can be
 * read, test_bundle2 shows with each of its bundles.
 */
#include "tests/unit/vectors.h"

#include "tests/unit/bundle2_make.h"

#define GOLDEN "tests/fuzz/seeds/fuzz_bundle2/whole"

static struct made2 m;

static void test_golden(void **state)
{
	static char golden[65536];
	size_t n = 0, len = made2_file(GOLDEN, golden, sizeof(golden));
	char *text;

	(void)state;
	assert_int_equal(made2_init(&m, 20, 20, 3, 2), 0);
	assert_int_equal(made2_finish(&m), 0);
	text = made2_write(&m, &n);
	assert_non_null(text);
	assert_int_equal(n, len);
	assert_memory_equal(text, golden, n);
	free(text);
}

static const struct bundle2_text words = {"\xe2\x80\x94 a\n\"b", 8}, none = {NULL, 0},
				 json = {"{}", 2};

/* The piece number i of a bundle that has one of each. */
static int put(struct bundle2_writer *w, int i)
{
	const struct bundle2_record rec = {words, words};
	const struct bundle2_head h = {.operator_vkey = "o",
	    .tickets_vkey = "t",
	    .policy = words,
	    .open = rec,
	    .close = {none, none},
	    .draw = rec,
	    .abort = {none, none},
	    .tickets_checkpoint = words};
	const struct beacon b = {.round = 7};
	const struct bundle2_pulse p = {json, none, words, words};
	const struct bundle2_tail t = {
	    .escrow = (const uint8_t *)"0123456789abcdef0123456789abcdef",
	    .version = "1",
	    .git = "g",
	    .sha256 = "s"};
	struct leaf l = {.index = 3};
	uint8_t leaf[LEAF_LEN];

	leaf_encode(leaf, &l);
	switch (i) {
	case 0:
		return bundle2_put_head(w, &h);
	case 1:
		return bundle2_put_list(w, BUNDLE2_AMENDS);
	case 3:
		return bundle2_put_list(w, BUNDLE2_FORFEITS);
	case 2:
	case 4:
		return bundle2_put_record(w, &rec);
	case 5:
		return bundle2_put_list(w, BUNDLE2_PICKS);
	case 7:
		return bundle2_put_list(w, BUNDLE2_PASSED);
	case 6:
	case 8:
		return bundle2_put_ticket(w, 1, leaf, &words);
	case 9:
		return bundle2_put_list(w, BUNDLE2_VALUES);
	case 10:
		return bundle2_put_drand(w, &json, &b);
	case 11:
		return bundle2_put_nist(w, &p);
	case 12:
		return bundle2_put_list(w, BUNDLE2_TIMESTAMPS);
	case 13:
		return bundle2_put_stamp(w, "token", 5, &words);
	default:
		return bundle2_put_tail(w, &t);
	}
}
#define PIECES 15

/* Each piece at each capacity up to what it needs; then the pieces make one JSON text. */
static void test_room(void **state)
{
	char whole[8192], out[4096];
	size_t n = 0, tokens;
	struct bundle2_writer w;

	(void)state;
	bundle2_write_init(&w, out, 0);
	for (int i = 0; i < PIECES; i++) {
		const struct bundle2_writer before = w;
		int r = KE_FULL;

		for (w.cap = 0; r != KE_OK; w.cap++) {
			r = put(&w, i);
			assert_true(r == KE_OK || r == KE_FULL);
			if (r == KE_FULL)
				assert_true(
				    w.len == 0 && w.next == before.next && w.first == before.first);
		}
		assert_int_equal(w.len, w.cap - 1);
		memcpy(whole + n, out, w.len);
		n += w.len;
		w.len = 0;
	}
	assert_int_equal(json_check(whole, n, 200, &tokens, NULL), KE_OK);
}

/* After these pieces, those would be out of turn. */
static void test_order(void **state)
{
	static const struct {
		int put;     /* pieces that stand */
		int late[6]; /* and that cannot follow, up to -1 */
	} rows[] = {
	    {0, {1, 2, 5, 6, 14, -1}},
	    {1, {0, 2, 3, 13, 14, -1}},
	    {2, {0, 1, 5, 6, 10, -1}},
	    {5, {1, 3, 6, 7, 14, -1}},
	    {7, {2, 5, 9, 10, 14, -1}},
	    {10, {6, 9, 13, 14, -1}},
	    {13, {4, 8, 11, 12, -1}},
	    {15, {0, 1, 12, 13, 14, -1}},
	};
	char out[8192];
	struct bundle2_writer w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bundle2_write_init(&w, out, sizeof(out));
		for (int k = 0; k < rows[i].put; k++)
			assert_int_equal(put(&w, k), KE_OK);
		for (const int *k = rows[i].late; *k >= 0; k++)
			if (put(&w, *k) != KE_RANGE)
				fail_msg("piece %d after %d pieces", *k, rows[i].put);
	}
}

static void test_refused(void **state)
{
	const struct bundle2_text bad = {"\xff", 1};
	const struct bundle2_record rec = {bad, words};
	const struct beacon b = {.round = UINT64_MAX};
	char out[4096];
	struct bundle2_writer w;

	(void)state;
	bundle2_write_init(&w, out, sizeof(out));
	for (int i = 0; i < 4; i++)
		assert_int_equal(put(&w, i), KE_OK);
	w.len = 0;
	assert_int_equal(bundle2_put_record(&w, &rec), KE_FORMAT);
	assert_int_equal(w.len, 0);
	for (int i = 5; i < 10; i++)
		assert_int_equal(put(&w, i), KE_OK);
	w.len = 0;
	assert_int_equal(bundle2_put_drand(&w, &json, &b), KE_RANGE);
	assert_int_equal(w.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
