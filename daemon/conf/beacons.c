/*
 * The beacons of the configuration, with the files that it names: see conf_beacons in conf.h. Runs
 * in parent and kleroctl.
 */
#include "daemon/conf/conf.h"

#include <stdio.h>
#include <string.h>

#define INFO_MAX 4096

bool conf_asks(const struct conf *c)
{
	return c->drand_relays[0][0] != '\0' || c->nist_beacons[0][0] != '\0';
}

static int no(char *why, size_t whylen, int r, const char *what, const char *how)
{
	snprintf(why, whylen, "%s: %s", what, how);
	return r;
}

static int read_chain(const char *path, struct drand_chain *chain, char *why, size_t whylen)
{
	char json[INFO_MAX];
	size_t n = 0;
	int r;

	if (strcmp(path, CONF_QUICKNET) == 0) {
		*chain = drand_quicknet;
		return KE_OK;
	}
	r = conf_file(path, false, json, sizeof json, &n, why, whylen);
	if (r != KE_OK)
		return r;
	r = drand_chain_parse(chain, json, n);
	if (r == KE_VERSION)
		return no(why, whylen, r, path, "a chain of another scheme than " DRAND_SCHEME);
	if (r == KE_CRYPTO)
		return no(why, whylen, r, path, "its hash is not that of what it says");
	return r == KE_OK ? r : no(why, whylen, r, path, "no information of a drand chain");
}

/* Twice the same chain would be asked for twice as often. */
static bool is_listed(const struct rconf_beacons *b, const struct drand_chain *chain)
{
	uint8_t hash[32], other[32];

	drand_chain_hash(hash, chain);
	for (uint8_t i = 0; i < b->nchains; i++) {
		drand_chain_hash(other, &b->chains[i]);
		if (memcmp(hash, other, sizeof hash) == 0)
			return true;
	}
	return false;
}

static int read_chains(const struct conf *c, struct rconf_beacons *b, char *why, size_t whylen)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < RCONF_CHAINS; i++) {
		const char *path = c->drand_chains[i];
		struct drand_chain chain;

		if (path[0] == '\0' && i > 0)
			break;
		r = read_chain(path[0] != '\0' ? path : CONF_QUICKNET, &chain, why, whylen);
		if (r == KE_OK && is_listed(b, &chain))
			return no(
			    why, whylen, KE_EXISTS, "drand-chain", "one of them stands twice");
		if (r == KE_OK)
			b->chains[b->nchains++] = chain;
	}
	return r;
}

int conf_beacons(const struct conf *c, struct rconf_beacons *b, char *why, size_t whylen)
{
	bool drand = c->drand_relays[0][0] != '\0', nist = c->nist_beacons[0][0] != '\0';

	memset(b, 0, sizeof *b);
	if (!drand && c->drand_chains[0][0] != '\0')
		return no(why, whylen, KE_FORMAT, "drand-chain", "needs a drand-relay");
	if (nist != (c->nist_certificates[0][0] != '\0'))
		return no(why, whylen, KE_FORMAT, "nist-beacon",
		    "needs a nist-certificate, and that a nist-beacon");
	memcpy(b->relays, c->drand_relays, sizeof b->relays);
	memcpy(b->nists, c->nist_beacons, sizeof b->nists);
	return drand ? read_chains(c, b, why, whylen) : KE_OK;
}

int conf_certificates(
    const struct conf *c, char pem[RCONF_CERTS][RCONF_CERTIFICATE], char *why, size_t whylen)
{
	int r = KE_OK;

	memset(pem, 0, RCONF_CERTS * RCONF_CERTIFICATE);
	for (size_t i = 0; r == KE_OK && i < RCONF_CERTS && c->nist_certificates[i][0] != '\0';
	     i++) {
		size_t n = 0;

		r = conf_file(
		    c->nist_certificates[i], false, pem[i], RCONF_CERTIFICATE - 1, &n, why, whylen);
		if (r == KE_OK && strstr(pem[i], "-----BEGIN CERTIFICATE-----") == NULL)
			r = no(why, whylen, KE_FORMAT, c->nist_certificates[i],
			    "no certificate in PEM");
	}
	return r;
}
