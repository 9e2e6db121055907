/*
 * The ticket leaf against the draw's vectors: commitments, encoding, leaf hash and root.
 */
#include "tests/unit/vectors.h"

#include "policy/hash.h"
#include "policy/leaf.h"
#include "policy/ticketid.h"
#include "policy/merkle.h"

/* word: index, ms, id, holder, salt, seed, commit, seed hash, leaf hash */
static void check_ticket(char *const *word, const uint8_t raffle[16], struct merkle_range *range)
{
	uint8_t salt[32], seed[256], bytes[LEAF_LEN], hash[32];
	size_t seed_len = vectors_hex(word[6], seed, sizeof(seed));
	struct leaf l = {.index = vectors_u64(word[1]), .issued_ms = vectors_u64(word[2])}, back;

	memcpy(l.raffle, raffle, 16);
	assert_int_equal(vectors_hex(word[3], l.ticket, 16), 16);
	vectors_hex32(word[5], salt);
	leaf_holder_commit(l.holder_commit, salt, word[4], strlen(word[4]));
	assert_hex(l.holder_commit, 32, word[7]);
	leaf_client_seed_hash(l.client_seed_hash, seed, seed_len);
	assert_hex(l.client_seed_hash, 32, word[8]);
	leaf_encode(bytes, &l);
	merkle_leaf_hash(hash, bytes, sizeof(bytes));
	assert_hex(hash, 32, word[9]);
	merkle_range_add(range, hash);
	memset(&back, 0, sizeof(back));
	assert_int_equal(leaf_decode(&back, bytes, sizeof(bytes)), KE_OK);
	assert_memory_equal(&back, &l, sizeof(l));
}

static void test_vectors(void **state)
{
	uint8_t raffle[16], root[32];
	struct merkle_range range;
	struct vectors v;
	char want[65] = "";
	int tickets = 0;

	(void)state;
	merkle_range_init(&range);
	vectors_open(&v, "draw2.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "raffle_id"))
			assert_int_equal(vectors_hex(v.word[1], raffle, 16), 16);
		if (vectors_is(&v, "ticket_root"))
			memcpy(want, v.word[1], 65);
		if (vectors_is(&v, "ticket")) {
			check_ticket(v.word, raffle, &range);
			tickets++;
		}
	}
	assert_int_equal(tickets, 10);
	merkle_range_root(&range, root);
	assert_hex(root, 32, want);
}

/* Both bytes of the length count. */
static void test_long_texts(void **state)
{
	static uint8_t message[54 + 32 + 65535];
	uint8_t salt[32], want[32], have[32];

	(void)state;
	for (size_t n = 255; n <= 65535; n += 65280 / 3) {
		size_t seed = sizeof("kleroterion/v2/client-seed");
		size_t holder = sizeof("kleroterion/v2/holder") + 32;

		memset(message, 's', sizeof(message));
		memcpy(message, "kleroterion/v2/client-seed", seed);
		message[seed] = (uint8_t)(n >> 8);
		message[seed + 1] = (uint8_t)n;
		hash_sha256(want, message, seed + 2 + n);
		leaf_client_seed_hash(have, message + seed + 2, n);
		assert_memory_equal(have, want, 32);
		memset(message, 's', sizeof(message));
		memcpy(message, "kleroterion/v2/holder", sizeof("kleroterion/v2/holder"));
		message[holder] = (uint8_t)(n >> 8);
		message[holder + 1] = (uint8_t)n;
		hash_sha256(want, message, holder + 2 + n);
		memset(salt, 's', 32);
		leaf_holder_commit(have, salt, message + holder + 2, n);
		assert_memory_equal(have, want, 32);
	}
}

static void test_refused(void **state)
{
	uint8_t bytes[LEAF_LEN + 1] = "KLT2";
	struct leaf l;

	(void)state;
	assert_int_equal(leaf_decode(&l, bytes, LEAF_LEN), KE_OK);
	assert_int_equal(leaf_decode(&l, bytes, LEAF_LEN - 1), KE_FORMAT);
	assert_int_equal(leaf_decode(&l, bytes, LEAF_LEN + 1), KE_FORMAT);
	assert_int_equal(leaf_decode(&l, bytes, 0), KE_FORMAT);
	bytes[3] = '1';
	assert_int_equal(leaf_decode(&l, bytes, LEAF_LEN), KE_FORMAT);
}

/* A ticket's id says where the ticket is, and is a UUID of version 7. */
static void test_ids(void **state)
{
	static const int64_t places[][2] = {
	    {0, 0}, {1, 0}, {1, 1}, {77, 99999999}, {TICKETID_RAFFLES - 1, TICKETID_INDEXES - 1}};
	const uint8_t salt[2] = {0xff, 0xab}, rnd[10] = {0xff, 0xab};
	int64_t raffle, index;
	uint8_t id[16], other[16];

	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		assert_int_equal(
		    ticketid_make(id, 1795294108251, places[i][0], places[i][1], salt), KE_OK);
		assert_true(id[6] == 0x7f && id[7] == 0xab && (id[8] & 0xc0) == 0x80);
		text_uuid7(other, 1795294108251, rnd);
		assert_memory_equal(id, other, 8);
		ticketid_place(id, &raffle, &index);
		assert_true(raffle == places[i][0] && index == places[i][1]);
	}
	assert_int_equal(ticketid_make(id, 1, TICKETID_RAFFLES, 0, salt), KE_RANGE);
	assert_int_equal(ticketid_make(id, 1, 1, TICKETID_INDEXES, salt), KE_RANGE);
	assert_int_equal(ticketid_make(id, 1, -1, 0, salt), KE_RANGE);
	assert_int_equal(ticketid_make(id, 1, 0, -1, salt), KE_RANGE);
	/* any bytes say some place */
	memset(id, 0xff, 16);
	ticketid_place(id, &raffle, &index);
	assert_true(raffle == TICKETID_RAFFLES - 1 && index == TICKETID_INDEXES - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_long_texts),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
