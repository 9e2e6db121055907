/*
 * Reading what drand's relays answer. Pure; see drand.h. A chain's facts come from a relay, a file
 * of the auditor's or a stranger's proof: what counts is their hash, by which a chain is named. Of
 * a round it is the signature.
 */
#include <string.h>

#include "policy/drand.h"
#include "policy/jsondoc.h"
#include "policy/text.h"

#define INFO_MAX   4096
#define TOKENS_MAX 64

static int get_hex(const struct jsondoc *d, const char *name, uint8_t *dst, size_t n)
{
	size_t i = jsondoc_member(d, 0, name);

	if (i == 0 || d->toks[i].type != JSON_STRING)
		return KE_FORMAT;
	return text_unhex(
	    dst, n, d->text + d->toks[i].start, (size_t)(d->toks[i].end - d->toks[i].start));
}

static int get_names(const struct jsondoc *d, struct drand_chain *c)
{
	size_t meta = jsondoc_member(d, 0, "metadata");
	char scheme[64];

	if (meta == 0 || jsondoc_text(d, meta, "beaconID", c->id, sizeof(c->id)) != KE_OK ||
	    jsondoc_text(d, 0, "schemeID", scheme, sizeof(scheme)) != KE_OK)
		return KE_FORMAT;
	return strcmp(scheme, DRAND_SCHEME) == 0 ? KE_OK : KE_VERSION;
}

int drand_chain_parse(struct drand_chain *c, const char *json, size_t n)
{
	struct json_tok toks[TOKENS_MAX];
	struct jsondoc d;
	uint8_t said[32], hash[32];
	int64_t period, genesis;
	int r;

	memset(c, 0, sizeof(*c));
	if (n > INFO_MAX || jsondoc_read(&d, json, n, toks, TOKENS_MAX) != KE_OK)
		return KE_FORMAT;
	/* first of all: another scheme's keys are of another length */
	r = get_names(&d, c);
	if (r != KE_OK)
		return r;
	if (get_hex(&d, "public_key", c->pub, BLS_PUB_LEN) != KE_OK ||
	    get_hex(&d, "groupHash", c->group_hash, 32) != KE_OK ||
	    get_hex(&d, "hash", said, 32) != KE_OK ||
	    jsondoc_int(&d, 0, "period", 1, UINT32_MAX, &period) != KE_OK ||
	    jsondoc_int(&d, 0, "genesis_time", 1, INT64_MAX, &genesis) != KE_OK)
		return KE_FORMAT;
	c->period_s = (uint32_t)period;
	c->genesis_s = (uint64_t)genesis;
	drand_chain_hash(hash, c);
	return memcmp(hash, said, 32) == 0 ? KE_OK : KE_CRYPTO;
}

int drand_round_parse(uint64_t *round, uint8_t sig[BLS_SIG_LEN], const char *json, size_t n)
{
	struct json_tok toks[TOKENS_MAX];
	struct jsondoc d;
	int64_t number;

	*round = 0;
	if (n > INFO_MAX || jsondoc_read(&d, json, n, toks, TOKENS_MAX) != KE_OK ||
	    jsondoc_int(&d, 0, "round", 1, INT64_MAX, &number) != KE_OK)
		return KE_FORMAT;
	*round = (uint64_t)number;
	return get_hex(&d, "signature", sig, BLS_SIG_LEN);
}
