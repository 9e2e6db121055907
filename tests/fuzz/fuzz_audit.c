/*
 * Fuzz target: the audit of a log. The input is an entry bundle of the operator log, then of a
 * ticket log; with a reader that has nothing else, no more entries can be taken than are there, and
 * no root but their own is agreed to.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/audit_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *p;
	size_t n;
};

static int entries(void *arg, const struct tile *t, const uint8_t **p, size_t *n)
{
	const struct input *in = arg;

	if (!t->entries)
		return KE_NOTFOUND;
	*p = in->p;
	*n = in->n;
	return KE_OK;
}

static void audit_as(struct input *in, uint64_t size, audit_leaf *leaf, void *arg)
{
	static struct audit a;
	struct checkpoint head = {.size = size};
	struct checkpoint old = {.size = 1};

	a.read = entries;
	a.read_arg = in;
	a.leaf = leaf;
	a.leaf_arg = arg;
	a.old = size & 1 ? &old : NULL;
	if (audit_log(&a, &head) == KE_OK || a.why[0] == '\0' || a.range.size > size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct audit_records records;
	struct checkpoint head = {.size = 1};
	uint8_t raffle[16];

	memset(raffle, 0xab, sizeof(raffle));
	if (audit_records_init(&records, "draws.example.org/klero", &head) != KE_OK)
		return 0;
	audit_as(&in, 2 + size % 600, audit_record, &records);
	if (records.n > records.cap)
		abort();
	audit_records_free(&records);
	audit_as(&in, 2 + size % 600, audit_ticket, raffle);
	return 0;
}
