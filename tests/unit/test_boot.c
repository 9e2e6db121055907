/*
 * The start of engine before its sandbox (daemon/engine/boot.h): each allocation of libcrypto's own
 * start fails once. Either the process ends, or libcrypto is as good as ever; SQLCipher's writes
 * need its generator, and one that could not be made then is never made later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/rand.h>

#include "daemon/engine/boot.h"
#include "daemon/engine/engine.h"
#include "tests/unit/fail_alloc.h"
#include "tests/unit/forked.h"

enum end { GOOD = 80, NO_RANDOM, NOT_REACHED };

static struct engine engine;

/* The n-th allocation fails. In a child, for libcrypto starts once in a process. */
static void warm_up(void *n)
{
	uint8_t raw[16];

	fail_alloc_at = *(unsigned *)n;
	boot_warm_up(&engine);
	if (fail_alloc_at != 0)
		_exit(NOT_REACHED);
	_exit(RAND_bytes(raw, sizeof raw) == 1 ? GOOD : NO_RANDOM);
}

static void test_libcrypto_starts_or_engine_ends(void **state)
{
	unsigned ended = 0, good = 0;

	(void)state;
	if (!fail_alloc_works())
		skip();
	for (unsigned n = 1;; n += n < 400 ? 1 : 37) {
		int status = forked_run(warm_up, &n);

		if (status == NOT_REACHED)
			break;
		if (status == NO_RANDOM)
			fail_msg("without allocation %u engine goes on and can write nothing", n);
		/* libcrypto 3.0 itself does not survive some of them: that is an end, too */
		ended += status != GOOD;
		good += status == GOOD;
	}
	/* both are seen, or this shows nothing */
	assert_true(ended > 10 && good > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_libcrypto_starts_or_engine_ends),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}
