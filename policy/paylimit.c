/*
 * Limits of payouts: see paylimit.h.
 */
#include "policy/paylimit.h"

#include <string.h>

#include "policy/text.h"

#define WINDOW_MAX_S 31622400 /* a leap year */

/* The next word up to one of the characters of stop, which is passed over; *n its length. */
static const char *word(const char **s, char stop, size_t *n)
{
	const char *start = *s, *end = strchr(start, stop);

	*n = end != NULL ? (size_t)(end - start) : 0;
	*s = end != NULL ? end + 1 : start + strlen(start);
	return start;
}

static int parse_chain(struct paylimit *l, const char *s, size_t n)
{
	l->chain_id = 0;
	l->kind = PAYOUT_SOLANA;
	if (n == 6 && memcmp(s, "solana", 6) == 0)
		return KE_OK;
	l->kind = PAYOUT_EVM;
	if (n < 5 || memcmp(s, "evm:", 4) != 0 || text_unu64(&l->chain_id, s + 4, n - 4) != KE_OK ||
	    l->chain_id == 0)
		return KE_FORMAT;
	return KE_OK;
}

int paylimit_parse(struct paylimit *l, const char *s)
{
	static const struct u256 zero;
	uint64_t window;
	const char *w;
	size_t n;

	w = word(&s, ' ', &n);
	if (parse_chain(l, w, n) != KE_OK)
		return KE_FORMAT;
	w = word(&s, ' ', &n);
	if (u256_parse(&l->each, w, n) != KE_OK)
		return KE_FORMAT;
	w = word(&s, '/', &n);
	if (u256_parse(&l->total, w, n) != KE_OK)
		return KE_FORMAT;
	w = s;
	n = strcspn(w, " ");
	l->approval = l->each;
	if (w[n] == ' ' && u256_parse(&l->approval, w + n + 1, strlen(w + n + 1)) != KE_OK)
		return KE_FORMAT;
	if (text_unu64(&window, w, n) != KE_OK || window == 0 || window > WINDOW_MAX_S)
		return KE_FORMAT;
	l->window_s = (uint32_t)window;
	if (u256_cmp(&l->each, &l->total) > 0 || u256_cmp(&l->total, &zero) == 0)
		return KE_RANGE;
	return KE_OK;
}

const struct paylimit *paylimit_find(
    const struct paylimit *limits, size_t n, const struct payout *p)
{
	for (size_t i = 0; i < n; i++)
		if (limits[i].kind == p->kind &&
		    (p->kind != PAYOUT_EVM || limits[i].chain_id == p->chain_id))
			return &limits[i];
	return NULL;
}

int paylimit_spend(
    const struct paylimit *l, struct paylimit_spent *spent, const struct u256 *cost, uint64_t now_s)
{
	struct paylimit_spent now = *spent;
	uint64_t start_s = now_s - now_s % l->window_s;

	if (u256_cmp(cost, &l->each) > 0)
		return KE_LIMIT;
	if (start_s > now.start_s)
		now = (struct paylimit_spent){.start_s = start_s};
	if (u256_add(&now.sum, &now.sum, cost) != KE_OK || u256_cmp(&now.sum, &l->total) > 0)
		return KE_LIMIT;
	*spent = now;
	return KE_OK;
}
