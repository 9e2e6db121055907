/*
 * Networks in words: see chain.h.
 */
#include "policy/chain.h"

#include <stdbool.h>
#include <string.h>

#include "policy/text.h"

static const char *const clusters[] = {CHAIN_CLUSTERS};
#define CLUSTERS ((int64_t)(sizeof clusters / sizeof clusters[0]))

const char *chain_cluster(int64_t network)
{
	return network >= 1 && network <= CLUSTERS ? clusters[network - 1] : NULL;
}

int chain_check(const struct chain *c)
{
	if (c->kind == PAYOUT_EVM)
		return c->network >= 1 && c->network <= CHAIN_ID_MAX ? KE_OK : KE_RANGE;
	return c->kind == PAYOUT_SOLANA && chain_cluster(c->network) != NULL ? KE_OK : KE_RANGE;
}

static bool is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

/* Is it this word, then a colon and more? */
static bool begins(const char *s, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n > len + 1 && memcmp(s, word, len) == 0 && s[len] == ':';
}

int chain_parse(struct chain *c, const char *s, size_t n)
{
	uint64_t id;

	*c = (struct chain){.kind = PAYOUT_SOLANA, .network = 1};
	if (is(s, n, "solana"))
		return KE_OK;
	if (begins(s, n, "evm")) {
		if (text_unu64(&id, s + 4, n - 4) != KE_OK || id > (uint64_t)CHAIN_ID_MAX)
			return KE_FORMAT;
		*c = (struct chain){.kind = PAYOUT_EVM, .network = (int64_t)id};
		return id > 0 ? KE_OK : KE_FORMAT;
	}
	if (!begins(s, n, "solana"))
		return KE_FORMAT;
	while (c->network <= CLUSTERS && !is(s + 7, n - 7, clusters[c->network - 1]))
		c->network++;
	return c->network <= CLUSTERS ? KE_OK : KE_FORMAT;
}
