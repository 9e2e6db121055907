/*
 * redact_line over any bytes: within its bound, printable, no address or id left, and nothing to do
 * a second time.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *out = malloc(REDACT_GROWS * size + 1), *again;
	size_t n, m;

	if (out == NULL || size > 4096) {
		free(out);
		return 0;
	}
	n = redact_line(out, (const char *)data, size);
	demand(n <= REDACT_GROWS * size && out[n] == '\0' && strlen(out) == n);
	for (size_t i = 0; i < n; i++) {
		demand(out[i] >= ' ' && out[i] <= '~');
		demand(out[i] != '@' || i == 0 || i + 1 == n ||
		       !isalnum((unsigned char)out[i - 1]) || !isalnum((unsigned char)out[i + 1]));
	}
	again = malloc(REDACT_GROWS * n + 1);
	if (again != NULL) {
		m = redact_line(again, out, n);
		demand(m == n && memcmp(again, out, n) == 0);
	}
	free(again);
	free(out);
	return 0;
}
