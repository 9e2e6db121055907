/*
 * The sampler and the shuffle: the numeric vectors (n up to 2^64 - 1, with rejections), the v2
 * context, the v1 key, and properties against a plain Fisher-Yates.
 */
#include "tests/unit/vectors.h"

#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/seen.h"

/* Words that the sampler has taken so far. */
static uint64_t words_taken(const struct draw_stream *s)
{
	return s->block * 4 - s->left;
}

/* word[first …]: n's count of words taken, then the winners */
static void check_winners(const uint8_t key[32], uint64_t n, size_t k, char *const *word)
{
	uint64_t *out = calloc(k, sizeof(*out));
	struct draw_stream s;

	assert_non_null(out);
	assert_int_equal(draw_shuffle(out, k, n, key), KE_OK);
	for (size_t i = 0; i < k; i++)
		assert_true(out[i] == vectors_u64(word[1 + i]));
	draw_stream_init(&s, key);
	for (size_t i = 0; i < k; i++)
		draw_stream_uniform(&s, n - i);
	assert_true(words_taken(&s) == vectors_u64(word[0]));
	free(out);
}

static void test_vectors(void **state)
{
	uint8_t key[32] = {0}, raffle[16], open_leaf[32], root[32], message[1024], context[32];
	size_t fixed = 23 + 16 + 32 + 8 + 32 + 2, len = 0;
	struct draw_stream s;
	struct vectors v;
	int numeric = 0;

	(void)state;
	vectors_open(&v, "draw2.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "raffle_id"))
			assert_int_equal(vectors_hex(v.word[1], raffle, 16), 16);
		if (vectors_is(&v, "open_leaf_hash"))
			vectors_hex32(v.word[1], open_leaf);
		if (vectors_is(&v, "ticket_root"))
			vectors_hex32(v.word[1], root);
		if (vectors_is(&v, "context_message"))
			len = vectors_hex(v.word[1], message, sizeof(message));
		if (vectors_is(&v, "context")) {
			assert_true(len > fixed && len <= sizeof(message));
			draw_context_v2(
			    context, raffle, open_leaf, 10, root, 2, message + fixed, len - fixed);
			assert_hex(context, 32, v.word[1]);
		}
		if (vectors_is(&v, "draw_key"))
			vectors_hex32(v.word[1], key);
		if (vectors_is(&v, "first_words")) {
			draw_stream_init(&s, key);
			for (size_t i = 1; i < v.words; i++)
				assert_true(draw_stream_word(&s) == vectors_u64(v.word[i]));
		}
		if (vectors_is(&v, "winners"))
			check_winners(key, 10, v.words - 2, v.word + 1);
		if (vectors_is(&v, "numeric")) {
			vectors_hex32(v.word[1], key);
			assert_int_equal(v.words - 5, vectors_u64(v.word[3]));
			check_winners(key, vectors_u64(v.word[2]), v.words - 5, v.word + 4);
			numeric++;
		}
	}
	assert_int_equal(numeric, 7);
}

/* A whole permutation in memory, shuffled with the same words. */
static void plain_shuffle(uint64_t *perm, uint64_t n, const uint8_t key[32])
{
	struct draw_stream s;

	draw_stream_init(&s, key);
	for (uint64_t i = 0; i < n; i++)
		perm[i] = i;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t j = i + draw_stream_uniform(&s, n - i), t = perm[i];

		perm[i] = perm[j];
		perm[j] = t;
	}
}

static void test_against_plain(void **state)
{
	uint64_t perm[200], out[200];
	uint8_t key[32];

	(void)state;
	for (uint64_t n = 1; n <= 200; n++) {
		hash_sha256(key, &n, sizeof(n));
		plain_shuffle(perm, n, key);
		/* asking for fewer never changes the earlier positions */
		for (uint64_t k = 0; k <= n; k += n < 20 ? 1 : n / 5) {
			assert_int_equal(draw_shuffle(out, k, n, key), KE_OK);
			assert_memory_equal(out, perm, k * sizeof(*out));
		}
	}
}

/* Position by position, to the end, with a table that is renewed again and again. */
static void test_walk(void **state)
{
	static uint64_t perm[5000];
	struct draw_walk w;
	uint64_t index;
	uint8_t key[32];

	(void)state;
	for (uint64_t n = 0; n <= 5000; n += n < 100 ? 1 : 700) {
		size_t most = 16;

		hash_sha256(key, &n, sizeof(n));
		plain_shuffle(perm, n, key);
		assert_int_equal(draw_walk_init(&w, n, 0, key), KE_OK);
		for (uint64_t i = 0; i < n; i++) {
			assert_int_equal(draw_walk_next(&w, &index), KE_OK);
			assert_true(index == perm[i]);
			most = w.mask + 1 > most ? w.mask + 1 : most;
		}
		assert_int_equal(draw_walk_next(&w, &index), KE_NOTFOUND);
		/* n / 4 entries or few more are alive at most, in up to four times as many slots */
		assert_true(most <= 16 + 2 * n);
		draw_walk_free(&w);
	}
}

/* A set of what has been seen, numbered, as it grows. */
static void test_seen(void **state)
{
	static const uint8_t key[16] = {3};
	struct seen s;

	(void)state;
	assert_int_equal(seen_init(&s, 4, key), KE_OK);
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 5000; i++) {
			uint32_t value = i * 2654435761u;

			assert_int_equal(seen_find(&s, &value), round == 0 ? 0 : i + 1);
			assert_int_equal(seen_add(&s, &value), round == 0 ? KE_OK : KE_EXISTS);
			assert_int_equal(seen_find(&s, &value), i + 1);
		}
	assert_int_equal(s.n, 5000);
	seen_free(&s);
}

/* The largest draw, of all indexes: a permutation. */
static void test_full_draw(void **state)
{
	uint64_t *out = malloc(DRAW_MAX * sizeof(*out));
	uint8_t *seen = calloc(DRAW_MAX, 1), key[32] = {1};

	(void)state;
	assert_non_null(out);
	assert_non_null(seen);
	assert_int_equal(draw_shuffle(out, DRAW_MAX, DRAW_MAX, key), KE_OK);
	for (size_t i = 0; i < DRAW_MAX; i++) {
		assert_true(out[i] < DRAW_MAX);
		assert_int_equal(seen[out[i]]++, 0);
	}
	free(out);
	free(seen);
}

static void test_bounds(void **state)
{
	static uint64_t out[DRAW_MAX + 1];
	uint8_t key[32] = {0};

	(void)state;
	assert_int_equal(draw_shuffle(out, 2, 1, key), KE_RANGE);
	assert_int_equal(draw_shuffle(out, DRAW_MAX + 1, UINT64_MAX, key), KE_RANGE);
	assert_int_equal(draw_shuffle(out, 0, 0, key), KE_OK);
	assert_int_equal(draw_shuffle(out, 1, 1, key), KE_OK);
	assert_true(out[0] == 0);
}

/* m = 1 takes a word too; m = 0 stands for 2^64 and takes exactly one. */
static void test_uniform_takes_words(void **state)
{
	struct draw_stream s, t;
	uint8_t key[32] = {5};

	(void)state;
	draw_stream_init(&s, key);
	draw_stream_init(&t, key);
	assert_true(draw_stream_uniform(&s, 1) == 0);
	assert_true(words_taken(&s) == 1);
	draw_stream_word(&t);
	assert_true(draw_stream_uniform(&s, 0) == draw_stream_word(&t));
	assert_true(words_taken(&s) == 2);
}

/*
 * The v1 key against HMAC over the bytes written out by hand (DRAW.md section 11); the value itself
 * was made with Python's hmac module.
 */
static void test_v1_key(void **state)
{
	static const uint8_t message[] = "kleroterion/v1\0\0\0\0\4feed"
					 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	uint8_t seed[32], aggregate[32], key[32], want[32], entropy[DRAW_ENTROPY_MAX + 1] = {0};

	(void)state;
	memset(seed, 9, 32);
	memset(aggregate, 'A', 32);
	hash_hmac(want, seed, message, sizeof(message) - 1);
	assert_int_equal(draw_key_v1(key, seed, "feed", 4, aggregate), KE_OK);
	assert_memory_equal(key, want, 32);
	assert_hex(key, 32, "53bb6f662ee1f2418ea9174daa76b4d155380644e15ab1e5ccf4835314125e3e");
	assert_int_equal(draw_key_v1(key, seed, entropy, 0, aggregate), KE_RANGE);
	assert_int_equal(draw_key_v1(key, seed, entropy, DRAW_ENTROPY_MAX, aggregate), KE_OK);
	assert_int_equal(
	    draw_key_v1(key, seed, entropy, DRAW_ENTROPY_MAX + 1, aggregate), KE_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_against_plain),
	    cmocka_unit_test(test_walk),
	    cmocka_unit_test(test_seen),
	    cmocka_unit_test(test_full_draw),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_uniform_takes_words),
	    cmocka_unit_test(test_v1_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
