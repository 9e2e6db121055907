/*
 * The v1 draw record: text and wire form go both ways, anything else is refused, and a record that
 * does not follow from its own sources is found out.
 */
#include "tests/unit/vectors.h"

#include "policy/hash.h"
#include "policy/record.h"

static struct record_pick picks[RECORD1_PICKS_MAX], other_picks[RECORD1_PICKS_MAX];

static void fill(struct record1 *r, uint32_t winners, uint32_t reserves)
{
	memset(r, 0, sizeof(*r));
	memset(picks, 0, sizeof(picks));
	memset(r->raffle, 0xab, 16);
	memset(r->server_seed, 7, 32);
	hash_sha256(r->seed_commit, r->server_seed, 32);
	r->tickets = 100000;
	memset(r->root, 1, 32);
	memset(r->aggregate, 2, 32);
	memcpy(r->entropy, "feed", 4);
	r->entropy_len = 4;
	memset(r->entropy_by, 3, 16);
	r->entropy_ms = 1785000000000;
	r->drawn_ms = 1785000000001;
	r->winners = winners;
	r->reserves = reserves;
	r->picks = picks;
	assert_int_equal(record1_draw(r), KE_OK);
	for (uint32_t i = 0; i < winners + reserves; i++)
		memset(picks[i].ticket, (int)(i + 1), 16);
}

static const char head[] =
    "kleroterion/v1 draw\n"
    "raffle abababababababababababababababab\n"
    "seed-commit sha256 4bb06f8e4e3a7715d201d573d0aa423762e55dabd61a2c02278fa56cc6d294e0\n"
    "server-seed 0707070707070707070707070707070707070707070707070707070707070707\n"
    "tickets 100000\n"
    "root 0101010101010101010101010101010101010101010101010101010101010101\n"
    "aggregate 0202020202020202020202020202020202020202020202020202020202020202\n"
    "entropy 66656564\n"
    "entropy-by 03030303030303030303030303030303 1785000000000\n"
    "drawn-at 1785000000001\n"
    "draw-key ";

static void assert_same(const struct record1 *a, const struct record1 *b)
{
	assert_memory_equal(a->raffle, b->raffle, 16);
	assert_memory_equal(a->seed_commit, b->seed_commit, 32);
	assert_memory_equal(a->server_seed, b->server_seed, 32);
	assert_true(a->tickets == b->tickets);
	assert_memory_equal(a->root, b->root, 32);
	assert_memory_equal(a->aggregate, b->aggregate, 32);
	assert_int_equal(a->entropy_len, b->entropy_len);
	assert_memory_equal(a->entropy, b->entropy, a->entropy_len);
	assert_memory_equal(a->entropy_by, b->entropy_by, 16);
	assert_true(a->entropy_ms == b->entropy_ms);
	assert_true(a->drawn_ms == b->drawn_ms);
	assert_memory_equal(a->draw_key, b->draw_key, 32);
	assert_int_equal(a->winners, b->winners);
	assert_int_equal(a->reserves, b->reserves);
	for (uint32_t i = 0; i < a->winners + a->reserves; i++) {
		assert_true(a->picks[i].index == b->picks[i].index);
		assert_memory_equal(a->picks[i].ticket, b->picks[i].ticket, 16);
	}
}

static void test_text(void **state)
{
	static char text[RECORD1_TEXT_MAX];
	struct record1 r, back = {.picks = other_picks};
	size_t len, small;

	(void)state;
	fill(&r, 3, 2);
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_OK);
	assert_memory_equal(text, head, sizeof(head) - 1);
	assert_memory_equal(text + len - 34, " 05050505050505050505050505050505\n", 34);
	assert_int_equal(record1_parse(&back, text, len), KE_OK);
	assert_same(&r, &back);
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(record1_text(&r, text, cap, &small), KE_FULL);
	assert_int_equal(record1_text(&r, text, len, &small), KE_OK);
}

/* The largest record fits the sizes that callers reserve for it. */
static void test_largest(void **state)
{
	static char text[RECORD1_TEXT_MAX];
	static uint8_t wire[65536 - 512];
	struct record1 r, back = {.picks = other_picks};
	size_t len;

	(void)state;
	fill(&r, RECORD1_PICKS_MAX, 0);
	r.tickets = UINT64_MAX;
	r.entropy_len = DRAW_ENTROPY_MAX;
	r.entropy_ms = r.drawn_ms = UINT64_MAX;
	for (uint32_t i = 0; i < RECORD1_PICKS_MAX; i++)
		picks[i].index = UINT64_MAX;
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_OK);
	assert_int_equal(record1_parse(&back, text, len), KE_OK);
	assert_same(&r, &back);
	assert_int_equal(record1_wire(&r, wire, sizeof(wire), &len), KE_OK);
	assert_int_equal(record1_unwire(&back, wire, len), KE_OK);
	assert_same(&r, &back);
}

static void test_bounds(void **state)
{
	static char text[RECORD1_TEXT_MAX];
	struct record1 r;
	size_t len;

	(void)state;
	fill(&r, 1, 0);
	r.winners = 0;
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_RANGE);
	r.winners = 1;
	r.reserves = RECORD1_PICKS_MAX;
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_RANGE);
	r.reserves = UINT32_MAX;
	assert_int_equal(record1_wire(&r, text, sizeof(text), &len), KE_RANGE);
	r.reserves = 0;
	r.entropy_len = 0;
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_RANGE);
	r.entropy_len = DRAW_ENTROPY_MAX + 1;
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_RANGE);
	assert_int_equal(record1_draw(&r), KE_RANGE);
}

/* Every prefix, and every single byte changed, is another record or none. */
static void test_refused(void **state)
{
	static char text[RECORD1_TEXT_MAX], again[RECORD1_TEXT_MAX];
	struct record1 r, back = {.picks = other_picks};
	size_t len, n;

	(void)state;
	fill(&r, 2, 1);
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_OK);
	for (size_t i = 0; i < len; i++) {
		/* up to its last lines a record may end after any winner or reserve */
		if (record1_parse(&back, text, i) == KE_OK)
			assert_true(text[i - 1] == '\n' && back.winners + back.reserves < 3);
		for (const char *c = "0az \n\t+-\xc3"; *c != '\0'; c++) {
			char was = text[i];

			text[i] = *c;
			if (record1_parse(&back, text, len) == KE_OK) {
				assert_int_equal(
				    record1_text(&back, again, sizeof(again), &n), KE_OK);
				assert_int_equal(n, len);
				assert_memory_equal(again, text, len);
			}
			text[i] = was;
		}
	}
	assert_int_equal(record1_parse(&back, text, len + 1), KE_FORMAT);
	text[len] = '\n';
	assert_int_equal(record1_parse(&back, text, len + 1), KE_FORMAT);
}

/* text with `from` once replaced by `to` is refused */
static void refuse(const char *text, const char *from, const char *to)
{
	static char changed[RECORD1_TEXT_MAX];
	struct record1 back = {.picks = other_picks};
	const char *at = strstr(text, from);
	int n;

	assert_non_null(at);
	n = snprintf(
	    changed, sizeof(changed), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	if (record1_parse(&back, changed, (size_t)n) != KE_FORMAT)
		fail_msg("accepted with \"%s\" for \"%s\"", to, from);
}

static void test_refused_lines(void **state)
{
	static char text[RECORD1_TEXT_MAX];
	struct record1 r;
	size_t len;

	(void)state;
	fill(&r, 2, 1);
	assert_int_equal(record1_text(&r, text, sizeof(text) - 1, &len), KE_OK);
	text[len] = '\0';
	refuse(text, "v1", "v2");
	refuse(text, "\nraffle", "\r\nraffle");
	refuse(text, "raffle ", "raffle  ");
	refuse(text, "abab\n", "abab \n");
	refuse(text, "abab\n", "abAB\n");
	refuse(text, "abab\n", "ababab\n");
	refuse(text, "sha256", "sha512");
	refuse(text, "tickets 1", "tickets 01");
	refuse(text, "tickets 1", "tickets 18446744073709551616");
	refuse(text, "tickets 1", "tickets -1");
	refuse(text, "tickets 100000\n", "");
	refuse(text, "entropy 66656564", "entropy ");
	refuse(text, "entropy 66656564", "entropy 6665656");
	refuse(text, "winner 1 ", "winner 2 ");
	refuse(text, "winner 1 ", "winner 01 ");
	refuse(text, "winner 2 ", "winner 3 ");
	refuse(text, "reserve 1 ", "reserve 3 ");
	refuse(text, "reserve 1 ", "winner 1 ");
	refuse(text, "winner 1 ", "reserve 1 ");
}

/* Three thousand winner lines are more than a record has room for. */
static void test_too_many_lines(void **state)
{
	static char text[300000];
	struct record1 r, back = {.picks = other_picks};
	size_t len;

	(void)state;
	fill(&r, RECORD1_PICKS_MAX, 0);
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_OK);
	len += (size_t)snprintf(text + len, sizeof(text) - len,
	    "winner %d 5 00000000000000000000000000000000\n", RECORD1_PICKS_MAX + 1);
	assert_int_equal(record1_parse(&back, text, len), KE_FORMAT);
	fill(&r, RECORD1_PICKS_MAX - 1, 1);
	assert_int_equal(record1_text(&r, text, sizeof(text), &len), KE_OK);
	assert_int_equal(record1_parse(&back, text, len), KE_OK);
	len += (size_t)snprintf(
	    text + len, sizeof(text) - len, "reserve 2 5 00000000000000000000000000000000\n");
	assert_int_equal(record1_parse(&back, text, len), KE_FORMAT);
}

static void test_wire(void **state)
{
	uint8_t wire[1024];
	struct record1 r, back = {.picks = other_picks};
	size_t len, small;

	(void)state;
	fill(&r, 3, 2);
	assert_int_equal(record1_wire(&r, wire, sizeof(wire), &len), KE_OK);
	assert_int_equal(record1_unwire(&back, wire, len), KE_OK);
	assert_same(&r, &back);
	assert_int_equal(record1_unwire(&back, wire, len + 1), KE_FORMAT);
	for (size_t cap = 0; cap < len; cap++) {
		assert_int_equal(record1_wire(&r, wire, cap, &small), KE_FULL);
		assert_int_equal(record1_unwire(&back, wire, cap), KE_FORMAT);
	}
	/* the counts stand 14 bytes before the entropy: 2 and 4 and 4 of them */
	assert_int_equal(record1_wire(&r, wire, sizeof(wire), &len), KE_OK);
	memset(wire + len - 5 * 24 - 4 - 8, 0xff, 4);
	assert_int_equal(record1_unwire(&back, wire, len), KE_FORMAT);
}

static void test_check(void **state)
{
	struct record1 r;
	struct record1_fault f;
	const char *what;

	(void)state;
	fill(&r, 3, 2);
	assert_int_equal(record1_check(&r, &what), KE_OK);
	picks[4].index ^= 1;
	assert_int_equal(record1_fault(&r, &f), KE_CRYPTO);
	assert_string_equal(f.what, "reserve");
	assert_int_equal(f.pos, 2);
	assert_true(f.said == (f.drawn ^ 1));
	picks[1].index ^= 1;
	assert_int_equal(record1_fault(&r, &f), KE_CRYPTO);
	assert_string_equal(f.what, "winner");
	assert_int_equal(f.pos, 2);
	fill(&r, 3, 2);
	r.entropy[0] ^= 1;
	assert_int_equal(record1_check(&r, &what), KE_CRYPTO);
	assert_string_equal(what, "draw-key");
	fill(&r, 3, 2);
	r.aggregate[31] ^= 1;
	assert_int_equal(record1_check(&r, &what), KE_CRYPTO);
	assert_string_equal(what, "draw-key");
	fill(&r, 3, 2);
	r.tickets++;
	assert_int_equal(record1_check(&r, &what), KE_CRYPTO);
	assert_string_equal(what, "winner");
	fill(&r, 3, 2);
	r.server_seed[0] ^= 1;
	assert_int_equal(record1_check(&r, &what), KE_CRYPTO);
	assert_string_equal(what, "seed-commit");
	fill(&r, 3, 2);
	r.tickets = 4;
	assert_int_equal(record1_check(&r, &what), KE_CRYPTO);
	assert_string_equal(what, "tickets");
	assert_int_equal(record1_draw(&r), KE_RANGE);
}

/* Draws that an independent implementation made. */
static void test_draw_vectors(void **state)
{
	struct vectors v;
	size_t draws = 0;

	(void)state;
	vectors_open(&v, "draw1.txt");
	while (vectors_next(&v)) {
		struct record1 r = {.picks = picks};
		const char *what;

		vectors_hex32(v.word[1], r.server_seed);
		vectors_hex32(v.word[2], r.seed_commit);
		r.entropy_len = vectors_hex(v.word[3], r.entropy, sizeof(r.entropy));
		vectors_hex32(v.word[4], r.aggregate);
		r.tickets = vectors_u64(v.word[5]);
		r.winners = (uint32_t)(v.words - 7);
		assert_int_equal(record1_draw(&r), KE_OK);
		assert_hex(r.draw_key, 32, v.word[6]);
		for (uint32_t i = 0; i < r.winners; i++)
			assert_true(picks[i].index == vectors_u64(v.word[7 + i]));
		assert_int_equal(record1_check(&r, &what), KE_OK);
		draws++;
	}
	assert_int_equal(draws, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_largest),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_refused_lines),
	    cmocka_unit_test(test_too_many_lines),
	    cmocka_unit_test(test_wire),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_draw_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
