/*
 * Fuzz target: the proof check. Its result must be consistent, its words one line of ASCII; and
 * what verifies under the key of the seeds must be the seed's own raffle, since nobody else has the
 * secret (white space, escapes and the title may differ: they are not signed).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle.h"
#include "tests/unit/bundle_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_words(const struct bundle_result *res)
{
	size_t n = strnlen(res->why, sizeof(res->why));

	must(n < sizeof(res->why) && (n == 0) == (res->err == KE_OK));
	for (size_t i = 0; i < n; i++)
		must(res->why[i] >= ' ' && res->why[i] <= '~');
	must(strnlen(res->vkey, sizeof(res->vkey)) < sizeof(res->vkey));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct made made;
	static struct note_key key;
	static uint8_t no_commit[32];
	const char *text = (const char *)data;
	struct bundle_result res;
	int r;

	if (made.n == 0) {
		must(made_init(&made, 5, 2, 1) == 0);
		must(note_vkey_parse(&key, made.vkey, strlen(made.vkey)) == KE_OK);
	}
	r = bundle_check(text, size, NULL, NULL, &res);
	must(r == res.err && res.step < BUNDLE_STEPS);
	check_words(&res);
	if (r == KE_OK)
		must(res.step == BUNDLE_STEPS - 1 && res.tickets > 0 && res.winners > 0);
	if (r == KE_OK && bundle_check(text, size, &key, NULL, &res) == KE_OK) {
		/* the fuzzer has no secret key: this is the seed's own record */
		must(res.tickets == made.n && res.winners == 2 && res.reserves == 1);
		must(bundle_check(text, size, &key, made.rec.seed_commit, &res) == KE_OK);
	}
	must(bundle_check(text, size, &key, no_commit, &res) != KE_OK);
	return 0;
}
