/*
 * Fuzz target: the audit of a log. The input is an entry bundle of the operator log, then of a
 * ticket log, then of one that was drawn from; with a reader that has nothing else, no more entries
 * can be taken than are there, and no root but their own is agreed to.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/audit_draw.h"

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

/* What the end says of leaves that were read in part, it says. */
static void audit_drawn(struct input *in, uint64_t size, bool holder)
{
	static const struct record_pick picks[] = {{.index = 1}, {.index = 0}};
	struct audit_raffle raffle = {
	    .holder = holder, .winners = 1, .reserves = 2, .tickets = size};
	struct audit_draw d;
	char why[AUDIT_WHY_MAX] = "";

	memset(raffle.id, 0xab, sizeof(raffle.id));
	if (audit_draw_init(&d, &raffle, picks, 2) == KE_OK) {
		audit_as(in, size, audit_draw_leaf, &d);
		if (audit_draw_end(&d, why) != KE_OK && why[0] == '\0')
			abort();
	}
	audit_draw_free(&d);
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
	audit_drawn(&in, 2 + size % 600, size & 1);
	return 0;
}
