/*
 * Beacons whose secrets everybody knows, for tests that need values of moments to come: a drand
 * chain whose secret key is 1, so that a signature is the hashed point itself, and a NIST beacon
 * under a fresh RSA key.
 */
#ifndef TESTS_UNIT_CHAIN_MAKE_H
#define TESTS_UNIT_CHAIN_MAKE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "policy/be.h"
#include "policy/bls.h"
#include "policy/drand.h"
#include "policy/hash.h"
#include "policy/pulse.h"
#include "policy/text.h"

/* The generator of G2, compressed; rounds each second since 1970. */
static inline struct drand_chain chain_made(void)
{
	static const char g2[] = "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049"
				 "334cf11213945d57e5ac7d055d042b7e024aa2b2f08f0a91260805272dc51051"
				 "c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8";
	struct drand_chain c = {
	    .group_hash = {1, 2, 3}, .period_s = 1, .genesis_s = 1, .id = "secret-is-1"};

	if (text_unhex(c.pub, BLS_PUB_LEN, g2, sizeof(g2) - 1) != KE_OK)
		c.period_s = 0;
	return c;
}

/* sig = 1 · H(round), compressed as Zcash does. */
static inline void chain_sign(uint64_t round, uint8_t sig[BLS_SIG_LEN])
{
	static const char half[] = "0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b1"
				   "20f55ffff58a9ffffdcff7fffffffd555";
	uint8_t number[8], msg[32], xy[96], middle[48];

	be_put64(number, round);
	hash_sha256(msg, number, sizeof(number));
	bls_hash_to_g1(xy, msg, sizeof(msg), "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_");
	memcpy(sig, xy, BLS_SIG_LEN);
	if (text_unhex(middle, 48, half, 96) != KE_OK)
		memset(middle, 0, 48);
	sig[0] = (uint8_t)(sig[0] | 0x80 | (memcmp(xy + 48, middle, 48) > 0 ? 0x20 : 0));
}

struct nist_made {
	EVP_PKEY *key;
	char pem[PULSE_CERT_MAX];
	uint8_t id[PULSE_HASH];
};

static inline int nist_make(struct nist_made *m)
{
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	uint8_t *der = NULL;
	int n, ok;

	m->key = EVP_RSA_gen(2048);
	X509_set_pubkey(x, m->key);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	ok = X509_sign(x, m->key, EVP_sha256()) > 0 && PEM_write_bio_X509(bio, x) == 1;
	n = BIO_read(bio, m->pem, sizeof(m->pem) - 1);
	m->pem[n > 0 ? n : 0] = '\0';
	n = i2d_X509(x, &der);
	ok = ok && n > 0 && EVP_Digest(der, (size_t)n, m->id, NULL, EVP_sha512(), NULL) == 1;
	OPENSSL_free(der);
	BIO_free(bio);
	X509_free(x);
	return ok ? 0 : -1;
}

/* A pulse of chain 7 at that moment; before: whom it follows, or NULL. */
static inline void nist_pulse(const struct nist_made *m, int64_t at_ms, uint64_t number,
    const struct pulse *before, struct pulse *p)
{
	uint8_t text[PULSE_SIGNED_MAX + PULSE_SIG_MAX];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t n, len = PULSE_SIG_MAX;

	*p = (struct pulse){.version = "2.0", .uri = "https://beacon.example/", .period_ms = 60000};
	p->chain = 7;
	p->pulse = number;
	p->at_ms = at_ms;
	text_time(p->time, at_ms);
	memcpy(p->certificate, m->id, PULSE_HASH);
	if (before != NULL)
		memcpy(p->previous, before->output, PULSE_HASH);
	n = pulse_signed(p, text);
	if (EVP_DigestSignInit(md, NULL, EVP_sha512(), NULL, m->key) != 1 ||
	    EVP_DigestSign(md, p->signature, &len, text, n) != 1)
		len = 0;
	p->signature_len = len;
	memcpy(text + n, p->signature, len);
	EVP_Digest(text, n + len, p->output, NULL, EVP_sha512(), NULL);
	EVP_MD_CTX_free(md);
}

#endif
