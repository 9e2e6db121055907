/*
 * Fuzz target: the records of a v2 draw. What is read must be written again to the very same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/record2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record_pick picks[64];
	static char text[16384];
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX];
	struct record2 r = {.picks = picks, .picks_cap = 64};
	size_t n;

	if (record2_parse(&r, (const char *)data, size) != KE_OK)
		return 0;
	must(record2_text(&r, text, sizeof(text), &n) == KE_OK);
	must(n == size && memcmp(text, data, n) == 0);
	must(record2_contributions(&r, given) <= sizeof(given));
	return 0;
}
