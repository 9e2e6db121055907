/*
 * Fuzz target: the records of a v2 draw, and files of winners. What is read must be written again
 * to the very same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/record2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* As a file of as many picks as it has lines. */
static void file(const uint8_t *data, size_t size, struct record_pick picks[64])
{
	struct record2 r = {.kind = RECORD2_DRAW, .picks = picks, .picks_cap = 64};
	static char text[16384];
	size_t n;

	for (size_t i = 0; i < size; i++)
		r.winners += data[i] == '\n';
	hash_sha256(r.winners_file, data, size);
	if (record2_file_parse(&r, (const char *)data, size) != KE_OK)
		return;
	must(record2_file_text(&r, text, sizeof(text), &n) == KE_OK);
	must(n == size && memcmp(text, data, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record_pick picks[64];
	static char text[16384];
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX];
	struct record2 r = {.picks = picks, .picks_cap = 64};
	size_t n;

	file(data, size, picks);
	if (record2_parse(&r, (const char *)data, size) != KE_OK)
		return 0;
	must(record2_text(&r, text, sizeof(text), &n) == KE_OK);
	must(n == size && memcmp(text, data, n) == 0);
	must(record2_contributions(&r, given) <= sizeof(given));
	return 0;
}
