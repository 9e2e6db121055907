/*
 * Fuzz target: escrow bundles, and what one officer hands to the next. What is read must be written
 * again to the very same bytes, and its shares must lie where the officers' keys say.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/escrow_open.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* The bundle's part ends at a NUL; the step's is what follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct escrow e;
	static struct escrow_step s;
	static char text[ESCROW_TEXT_MAX];
	const uint8_t *nul = memchr(data, '\0', size);
	size_t n = nul != NULL ? (size_t)(nul - data) : size, len;
	int r;

	if (escrow_parse(&e, (const char *)data, n) == KE_OK) {
		must(escrow_text(&e, text, sizeof(text), &len) == KE_OK);
		must(len == n && memcmp(text, data, n) == 0);
		must(e.used <= sizeof(e.data) && e.nshares <= ESCROW_SHARES_MAX);
		escrow_step_begin(&s, &e, (const char *)data, n);
		must(escrow_step_text(&s, text, sizeof(text), &len) == KE_OK);
		must(escrow_step_parse(&s, &e, (const char *)data, n, text, len) == KE_OK);
	}
	if (nul == NULL)
		return 0;
	data = nul + 1;
	size -= n + 1;
	r = escrow_step_parse(&s, &e, "", 0, (const char *)data, size);
	must(s.used <= sizeof(s.data) && s.nshares <= ESCROW_SHARES_MAX);
	/* of another bundle: it was read to its end, and nothing else was looked at */
	if (r == KE_WRONG_KEY) {
		must(escrow_step_text(&s, text, sizeof(text), &len) == KE_OK);
		must(len == size && memcmp(text, data, size) == 0);
	}
	return 0;
}
