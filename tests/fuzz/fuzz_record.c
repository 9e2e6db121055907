/*
 * Fuzz target: the draw record's text and wire form. The first byte chooses the form; what is read
 * must be written again to the very same bytes, and survive the other form.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct record_pick picks[RECORD1_PICKS_MAX], other_picks[RECORD1_PICKS_MAX];

static void must(int ok)
{
	if (!ok)
		abort();
}

static void same(const void *a, size_t an, const void *b, size_t bn)
{
	must(an == bn && memcmp(a, b, an) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[RECORD1_TEXT_MAX];
	static uint8_t wire[65536];
	struct record1 r = {.picks = picks}, other = {.picks = other_picks};
	const void *body = data + 1;
	size_t n, m;
	const char *what;
	int from_text;

	if (size == 0)
		return 0;
	from_text = data[0] & 1;
	if ((from_text ? record1_parse(&r, body, size - 1) : record1_unwire(&r, body, size - 1)) !=
	    KE_OK)
		return 0;
	must(record1_text(&r, text, sizeof(text), &n) == KE_OK);
	must(record1_wire(&r, wire, sizeof(wire), &m) == KE_OK);
	same(body, size - 1, from_text ? (const void *)text : wire, from_text ? n : m);
	must(record1_parse(&other, text, n) == KE_OK);
	must(record1_wire(&other, wire, sizeof(wire), &m) == KE_OK);
	must(record1_unwire(&other, wire, m) == KE_OK);
	must(record1_text(&other, text, sizeof(text), &m) == KE_OK && n == m);
	if (record1_check(&r, &what) == KE_OK)
		must(record1_draw(&r) == KE_OK);
	return 0;
}
