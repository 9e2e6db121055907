/*
 * The cost parameters of stored password hashes: what kdf accepts to work on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "policy/phc.h"

static void test_libsodium_agrees(void **state)
{
	char phc[crypto_pwhash_STRBYTES];
	struct phc_cost cost;

	(void)state;
	assert_int_equal(crypto_pwhash_argon2id_str(phc, "pw", 2, 2, 9 * 1024 * 1024), 0);
	assert_int_equal(phc_parse(phc, &cost), KE_OK);
	assert_int_equal(cost.memory_kib, 9 * 1024);
	assert_int_equal(cost.passes, 2);
	assert_true(phc_bounded(&cost));
}

/* What we read from a string makes, with the password, what libsodium has put into it. */
static void test_values(void **state)
{
	char phc[crypto_pwhash_STRBYTES], cut[crypto_pwhash_STRBYTES];
	uint8_t salt[PHC_SALT], hash[PHC_HASH], again[PHC_HASH];

	(void)state;
	assert_int_equal(crypto_pwhash_argon2id_str(phc, "pw", 2, 2, 9 * 1024 * 1024), 0);
	assert_int_equal(phc_values(phc, salt, hash), KE_OK);
	assert_int_equal(crypto_pwhash_argon2id(again, sizeof again, "pw", 2, salt, 2,
			     9 * 1024 * 1024, crypto_pwhash_argon2id_ALG_ARGON2ID13),
	    0);
	assert_memory_equal(hash, again, sizeof hash);
	for (size_t n = 0; n < strlen(phc); n++) {
		memcpy(cut, phc, n);
		cut[n] = '\0';
		assert_int_equal(phc_values(cut, salt, hash), KE_FORMAT);
	}
	memcpy(cut, phc, sizeof cut);
	cut[strlen(phc)] = 'A';
	cut[strlen(phc) + 1] = '\0';
	assert_int_equal(phc_values(cut, salt, hash), KE_FORMAT);
}

static void test_refusals(void **state)
{
	static const char *const bad[] = {
	    "",
	    "$argon2i$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=16$m=65536,t=3,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=,t=3,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=65536,t=3,p=2$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=65536,t=,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=99999999999999999999,t=3,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=-1,t=3,p=1$c2FsdA$aGFzaA",
	    "$argon2id$v=19$m=65536",
	};
	struct phc_cost cost;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(phc_parse(bad[i], &cost), KE_FORMAT);
}

static void test_bounds(void **state)
{
	(void)state;
	assert_true(phc_bounded(&(struct phc_cost){65536, 3}));
	assert_false(phc_bounded(&(struct phc_cost){4096, 3}));
	assert_false(phc_bounded(&(struct phc_cost){2u * 1024 * 1024, 3}));
	assert_false(phc_bounded(&(struct phc_cost){65536, 0}));
	assert_false(phc_bounded(&(struct phc_cost){65536, 11}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_libsodium_agrees),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_bounds),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("phc", tests, NULL, NULL);
}
