/*
 * Reading what drand's relays answer. Pure; see drand.h. A chain's facts come from a relay, a file
 * of the auditor's or a stranger's proof: what counts is their hash, by which a chain is named. Of
 * a round it is the signature.
 */
#include <string.h>

#include "policy/drand.h"
#include "policy/json.h"
#include "policy/text.h"

#define INFO_MAX   4096
#define TOKENS_MAX 64

struct info {
	const char *json;
	struct json_tok toks[TOKENS_MAX];
	size_t ntoks;
};

static const struct json_tok *member(const struct info *in, size_t object, const char *name)
{
	size_t i = 0;

	if (in->toks[object].type == JSON_OBJECT)
		i = json_member(in->json, in->toks, in->ntoks, object, name);
	return i != 0 ? &in->toks[i] : NULL;
}

static int get_hex(const struct info *in, const char *name, uint8_t *dst, size_t n)
{
	const struct json_tok *t = member(in, 0, name);

	if (t == NULL || t->type != JSON_STRING)
		return KE_FORMAT;
	return text_unhex(dst, n, in->json + t->start, (size_t)(t->end - t->start));
}

static int get_uint(const struct info *in, const char *name, int64_t max, uint64_t *v)
{
	const struct json_tok *t = member(in, 0, name);
	int64_t value;

	if (t == NULL || json_int(in->json, t, &value) != KE_OK || value < 1 || value > max)
		return KE_FORMAT;
	*v = (uint64_t)value;
	return KE_OK;
}

static int get_word(const struct info *in, const struct json_tok *t, char *dst, size_t cap)
{
	size_t n;

	if (t == NULL || json_string(in->json, t, dst, cap - 1, &n) != KE_OK)
		return KE_FORMAT;
	dst[n] = '\0';
	return strlen(dst) == n ? KE_OK : KE_FORMAT;
}

static int get_names(const struct info *in, struct drand_chain *c)
{
	const struct json_tok *meta = member(in, 0, "metadata");
	char scheme[64];

	if (meta == NULL)
		return KE_FORMAT;
	if (get_word(in, member(in, (size_t)(meta - in->toks), "beaconID"), c->id, sizeof(c->id)) !=
		KE_OK ||
	    get_word(in, member(in, 0, "schemeID"), scheme, sizeof(scheme)) != KE_OK)
		return KE_FORMAT;
	return strcmp(scheme, DRAND_SCHEME) == 0 ? KE_OK : KE_VERSION;
}

static int split(struct info *in, size_t n)
{
	if (n > INFO_MAX || json_check(in->json, n, TOKENS_MAX, &in->ntoks, NULL) != KE_OK)
		return KE_FORMAT;
	return json_split(in->json, n, in->toks, in->ntoks);
}

int drand_chain_parse(struct drand_chain *c, const char *json, size_t n)
{
	struct info in = {.json = json};
	uint8_t said[32], hash[32];
	uint64_t period = 0;
	int r;

	memset(c, 0, sizeof(*c));
	if (split(&in, n) != KE_OK)
		return KE_FORMAT;
	if (get_hex(&in, "public_key", c->pub, BLS_PUB_LEN) != KE_OK ||
	    get_hex(&in, "groupHash", c->group_hash, 32) != KE_OK ||
	    get_hex(&in, "hash", said, 32) != KE_OK ||
	    get_uint(&in, "period", UINT32_MAX, &period) != KE_OK ||
	    get_uint(&in, "genesis_time", INT64_MAX, &c->genesis_s) != KE_OK)
		return KE_FORMAT;
	c->period_s = (uint32_t)period;
	r = get_names(&in, c);
	if (r != KE_OK)
		return r;
	drand_chain_hash(hash, c);
	return memcmp(hash, said, 32) == 0 ? KE_OK : KE_CRYPTO;
}

int drand_round_parse(uint64_t *round, uint8_t sig[BLS_SIG_LEN], const char *json, size_t n)
{
	struct info in = {.json = json};

	*round = 0;
	if (split(&in, n) != KE_OK || get_uint(&in, "round", INT64_MAX, round) != KE_OK)
		return KE_FORMAT;
	return get_hex(&in, "signature", sig, BLS_SIG_LEN);
}
