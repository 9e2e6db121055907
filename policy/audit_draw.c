/*
 * Auditing a draw against its ticket log: see audit_draw.h. Pure.
 */
#include "policy/audit_draw.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "policy/seen.h"

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t) && crypto_shorthash_KEYBYTES <= 32,
    "a hash of a holder is a number, and the draw key has its key");

/* --- the picks in the order of the log --- */

static int by_index(const void *a, const void *b, void *arg)
{
	const struct record_pick *picks = arg;
	uint64_t x = picks[*(const uint32_t *)a].index, y = picks[*(const uint32_t *)b].index;

	return x < y ? -1 : x > y;
}

int audit_draw_init(struct audit_draw *d, const struct audit_raffle *raffle,
    const struct record_pick *picks, size_t n)
{
	memset(d, 0, sizeof(*d));
	d->raffle = raffle;
	d->picks = picks;
	d->n = n;
	d->by_index = calloc(n + 1, sizeof(*d->by_index));
	if (d->by_index == NULL)
		return KE_NOMEM;
	for (size_t i = 0; i < n; i++)
		d->by_index[i] = (uint32_t)i;
	qsort_r(d->by_index, n, sizeof(*d->by_index), by_index, (void *)(uintptr_t)picks);
	return KE_OK;
}

void audit_draw_free(struct audit_draw *d)
{
	free(d->by_index);
	free(d->holder);
	memset(d, 0, sizeof(*d));
}

/* --- leaves --- */

static int keep_holder(struct audit_draw *d, const struct leaf *l, char *why)
{
	if (d->tickets == d->cap) {
		size_t cap = d->cap == 0 ? 1024 : 2 * d->cap;
		uint64_t *more = realloc(d->holder, cap * sizeof(*more));

		if (more == NULL)
			return audit_no(why, KE_NOMEM, "out of memory");
		d->holder = more;
		d->cap = cap;
	}
	(void)crypto_shorthash(
	    (uint8_t *)&d->holder[d->tickets++], l->holder_commit, 32, d->raffle->draw_key);
	return KE_OK;
}

int audit_draw_leaf(
    void *arg, uint64_t index, const uint8_t *p, size_t n, const uint8_t hash[32], char *why)
{
	struct audit_draw *d = arg;
	uint8_t raffle[16];
	struct leaf l;
	int r;

	memcpy(raffle, d->raffle->id, 16);
	r = audit_ticket(raffle, index, p, n, hash, why);
	if (r == KE_OK)
		r = leaf_decode(&l, p, n);
	if (r == KE_OK && d->found < d->n && d->picks[d->by_index[d->found]].index == index) {
		if (memcmp(d->picks[d->by_index[d->found]].ticket, l.ticket, 16) != 0)
			return audit_no(why, KE_CRYPTO,
			    "ticket %llu is not the one that the draw names",
			    (unsigned long long)index);
		d->found++;
	}
	return r == KE_OK && d->raffle->holder ? keep_holder(d, &l, why) : r;
}

/* --- the shuffle --- */

static int no(char *why, uint64_t index, const char *what)
{
	return audit_no(why, KE_CRYPTO, "ticket %llu %s", (unsigned long long)index, what);
}

/* Is the next position the next pick's, or rightly passed over? *won follows. */
static int judge(struct audit_draw *d, struct seen *holders, uint64_t index, size_t *won, char *why)
{
	bool next = *won < d->n && d->picks[*won].index == index;
	int r;

	if (!d->raffle->holder) {
		(*won)++;
		return next ? KE_OK : no(why, index, "is the shuffle's, and the draw has another");
	}
	if (index >= d->tickets)
		return no(why, index, "is not in the log");
	if (!next)
		return seen_find(holders, &d->holder[index]) != 0
			   ? KE_OK
			   : no(why, index, "is passed over, and its holder had not won");
	(*won)++;
	r = seen_add(holders, &d->holder[index]);
	if (r == KE_EXISTS)
		return no(why, index, "is of a holder who had won before");
	return r == KE_OK ? r : audit_no(why, r, "%s", ke_words(r));
}

int audit_draw_end(struct audit_draw *d, char *why)
{
	uint64_t wanted = (uint64_t)d->raffle->winners + d->raffle->reserves, index;
	struct draw_walk walk;
	struct seen holders;
	size_t won = 0;
	int r;

	if (wanted > d->raffle->tickets)
		wanted = d->raffle->tickets;
	if (d->found != d->n || d->n > wanted || (d->n < wanted && !d->raffle->holder))
		return audit_no(
		    why, KE_CRYPTO, "the draw has other winners than the log has tickets");
	if (seen_init(&holders, sizeof(uint64_t), d->raffle->draw_key) != KE_OK)
		return audit_no(why, KE_NOMEM, "out of memory");
	r = draw_walk_init(&walk, d->raffle->tickets, d->n, d->raffle->draw_key);
	while (r == KE_OK && won < wanted) {
		r = draw_walk_next(&walk, &index);
		if (r == KE_OK)
			r = judge(d, &holders, index, &won, why);
	}
	draw_walk_free(&walk);
	seen_free(&holders);
	if (r == KE_NOMEM)
		return audit_no(why, r, "out of memory");
	if (r == KE_NOTFOUND)
		r = won == d->n
			? KE_OK
			: audit_no(why, KE_CRYPTO, "its winners are not in the shuffle's order");
	return r;
}
