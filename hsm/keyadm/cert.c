/*
 * The self-signed certificate: see cert.h. Runs in klerod-keyadm.
 */
#include "hsm/keyadm/cert.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "hsm/p11/op.h"
#include "policy/p256.h"
#include "policy/hash.h"

#define CERT_MAX 4096 /* DER */
#define NAMES    (sizeof((struct rconf_keyadm *)0)->names / RCONF_PATH)

/* DER: a definite length in the fewest bytes. */
static size_t put_head(uint8_t *out, uint8_t tag, size_t len)
{
	out[0] = tag;
	if (len < 128) {
		out[1] = (uint8_t)len;
		return 2;
	}
	if (len < 256) {
		out[1] = 0x81;
		out[2] = (uint8_t)len;
		return 3;
	}
	out[1] = 0x82;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	return 4;
}

static bool is_ip(const char *s)
{
	uint8_t a[16];

	return inet_pton(AF_INET, s, a) == 1 || inet_pton(AF_INET6, s, a) == 1;
}

static bool is_dns(const char *s)
{
	for (const char *c = s; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("-.*", *c) == NULL)
			return false;
	return s[0] != '\0' && strlen(s) <= 253;
}

/* "DNS:a,IP:b": OpenSSL's own notation, safe because the names hold no comma. */
static int alternative_names(struct p11 *p, const struct rconf_keyadm *c, char *out, size_t cap)
{
	size_t used = 0;

	for (size_t i = 0; i <= NAMES; i++) {
		const char *name = i == 0 ? c->host : c->names[i - 1];
		int n;

		if (name[0] == '\0' || (i > 0 && strcmp(name, c->host) == 0))
			continue;
		if (!is_ip(name) && !is_dns(name))
			return p11_fail(p, KE_FORMAT,
			    "tls-names: %.80s is no DNS name and no IP address", name);
		n = snprintf(out + used, cap - used, "%s%s:%s", used > 0 ? "," : "",
		    is_ip(name) ? "IP" : "DNS", name);
		if (n < 0 || (size_t)n >= cap - used)
			return p11_fail(p, KE_FULL, "tls-names: too long");
		used += (size_t)n;
	}
	return used > 0 ? KE_OK : p11_fail(p, KE_FORMAT, "tls-names: none");
}

static int add_extensions(X509 *x, const char *names)
{
	const struct {
		int nid;
		const char *value;
	} wanted[] = {
	    {NID_basic_constraints, "critical,CA:FALSE"},
	    {NID_key_usage, "critical,digitalSignature"},
	    {NID_ext_key_usage, "serverAuth"},
	    {NID_subject_key_identifier, "hash"},
	    {NID_authority_key_identifier, "keyid:always"},
	    {NID_subject_alt_name, names},
	};
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, wanted[i].nid, wanted[i].value);
		int ok = e != NULL && X509_add_ext(x, e, -1) == 1;

		X509_EXTENSION_free(e);
		if (!ok)
			return KE_INTERNAL;
	}
	return KE_OK;
}

static int set_serial(struct p11 *p, X509 *x)
{
	uint8_t rnd[16];
	BIGNUM *bn;
	int r = op_random(p, rnd, sizeof rnd);

	if (r != KE_OK)
		return r;
	rnd[0] = (uint8_t)((rnd[0] & 0x7f) | 0x40); /* positive, and always of one length */
	bn = BN_bin2bn(rnd, sizeof rnd, NULL);
	r = bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) != NULL ? KE_OK
										   : KE_NOMEM;
	BN_free(bn);
	return r;
}

static int set_names_and_times(X509 *x, const char *host, int64_t now_s)
{
	X509_NAME *name = X509_get_subject_name(x);
	time_t now = (time_t)now_s;
	/* RFC 5280 allows a common name of 64 characters; nobody reads it beside the others */
	const char *cn = strlen(host) <= 64 ? host : "klerod";

	if (X509_NAME_add_entry_by_NID(
		name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1 ||
	    X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, &now) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(x), CERT_DAYS, 0, &now) == NULL)
		return KE_NOMEM;
	return KE_OK;
}

/*
 * Everything but the signature. OpenSSL writes a certificate's algorithm fields only by signing it,
 * so a throw-away key signs it before the real public key goes in; nothing else of that is kept.
 */
static int fill(struct p11 *p, X509 *x, EVP_PKEY *pub, const struct rconf_keyadm *c, int64_t now_s)
{
	char names[NAMES * RCONF_PATH];
	EVP_PKEY *throw_away = NULL;
	int r = alternative_names(p, c, names, sizeof names);

	if (r == KE_OK)
		r = set_serial(p, x);
	if (r == KE_OK)
		r = set_names_and_times(x, c->host, now_s);
	if (r != KE_OK)
		return r;
	if (X509_set_version(x, X509_VERSION_3) != 1 || X509_set_pubkey(x, pub) != 1)
		return KE_NOMEM;
	r = add_extensions(x, names);
	if (r != KE_OK)
		return p11_fail(p, r, "tls-names: not accepted: %.200s", names);
	throw_away = EVP_EC_gen("P-256");
	if (throw_away == NULL || X509_sign(x, throw_away, EVP_sha256()) == 0)
		r = KE_NOMEM;
	EVP_PKEY_free(throw_away);
	return r;
}

/* Certificate ::= SEQUENCE { tbs, ecdsa-with-SHA256, BIT STRING } */
static int assemble(
    uint8_t out[CERT_MAX], size_t *len, const uint8_t *tbs, size_t n, const uint8_t sig[64])
{
	static const uint8_t alg[] = {
	    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
	uint8_t der[80];
	size_t sn, at;
	int r = p256_der(sig, der, &sn);

	if (r != KE_OK)
		return r;
	if (n + sizeof alg + sn + 16 > CERT_MAX)
		return KE_FULL;
	at = put_head(out, 0x30, n + sizeof alg + sn + 3);
	memcpy(out + at, tbs, n);
	at += n;
	memcpy(out + at, alg, sizeof alg);
	at += sizeof alg;
	at += put_head(out + at, 0x03, sn + 1);
	out[at++] = 0; /* no unused bits */
	memcpy(out + at, der, sn);
	*len = at + sn;
	return KE_OK;
}

/* The n bytes that are to be signed, and around them the whole; OpenSSL's, freed here. */
static int sign(struct p11 *p, const struct key *k, unsigned char *tbs, int n,
    uint8_t out[CERT_MAX], size_t *len)
{
	uint8_t digest[32], sig[64];
	int r;

	if (n <= 0)
		return KE_NOMEM;
	hash_sha256(digest, tbs, (size_t)n);
	r = op_sign_ecdsa(p, k->handle, digest, sig);
	if (r == KE_OK)
		r = assemble(out, len, tbs, (size_t)n, sig);
	OPENSSL_free(tbs);
	return r;
}

static int print(BIO *bio, char *pem, size_t cap)
{
	int len = BIO_read(bio, pem, (int)cap - 1);

	if (len <= 0 || BIO_pending(bio) > 0)
		return KE_FULL;
	pem[len] = '\0';
	return KE_OK;
}

/* Reads the finished certificate again, checks its signature and writes it as PEM. */
static int check_and_print(const uint8_t *der, size_t n, EVP_PKEY *pub, char *pem, size_t cap)
{
	const unsigned char *at = der;
	X509 *x = d2i_X509(NULL, &at, (long)n);
	BIO *bio = BIO_new(BIO_s_mem());
	int r = KE_INTERNAL;

	if (x != NULL && bio != NULL && X509_verify(x, pub) == 1 && PEM_write_bio_X509(bio, x) == 1)
		r = print(bio, pem, cap);
	BIO_free(bio);
	X509_free(x);
	return r;
}

/* The same of a request. */
static int check_and_print_request(
    const uint8_t *der, size_t n, EVP_PKEY *pub, char *pem, size_t cap)
{
	const unsigned char *at = der;
	X509_REQ *q = d2i_X509_REQ(NULL, &at, (long)n);
	BIO *bio = BIO_new(BIO_s_mem());
	int r = KE_INTERNAL;

	if (q != NULL && bio != NULL && X509_REQ_verify(q, pub) == 1 &&
	    PEM_write_bio_X509_REQ(bio, q) == 1)
		r = print(bio, pem, cap);
	BIO_free(bio);
	X509_REQ_free(q);
	return r;
}

int cert_make(struct p11 *p, const struct key *k, const struct rconf_keyadm *c, int64_t now_s,
    char *pem, size_t cap)
{
	EVP_PKEY *pub = p256_key(k->pub);
	X509 *x = X509_new();
	unsigned char *tbs = NULL;
	uint8_t der[CERT_MAX];
	size_t n = 0;
	int tbs_len, r = KE_NOMEM;

	p11_why(p, "the certificate cannot be made");
	if (pub == NULL || x == NULL)
		goto out;
	r = fill(p, x, pub, c, now_s);
	if (r == KE_OK) {
		tbs_len = i2d_re_X509_tbs(x, &tbs);
		r = sign(p, k, tbs, tbs_len, der, &n);
	}
	if (r == KE_OK)
		r = check_and_print(der, n, pub, pem, cap);
out:
	X509_free(x);
	EVP_PKEY_free(pub);
	return r;
}

/* Names only: what else a certificate says is the authority's to decide. */
static int fill_request(struct p11 *p, X509_REQ *q, EVP_PKEY *pub, const struct rconf_keyadm *c)
{
	char names[NAMES * RCONF_PATH];
	STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *e = NULL;
	int r = alternative_names(p, c, names, sizeof names);

	if (r == KE_OK) {
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
		if (e == NULL)
			r = p11_fail(p, KE_FORMAT, "tls-names: not accepted: %.200s", names);
	}
	if (r == KE_OK &&
	    (all == NULL || sk_X509_EXTENSION_push(all, e) <= 0 ||
		X509_REQ_set_version(q, X509_REQ_VERSION_1) != 1 ||
		X509_REQ_set_pubkey(q, pub) != 1 || X509_REQ_add_extensions(q, all) != 1))
		r = KE_NOMEM;
	X509_EXTENSION_free(e);
	sk_X509_EXTENSION_free(all);
	return r;
}

int cert_request(
    struct p11 *p, const struct key *k, const struct rconf_keyadm *c, char *pem, size_t cap)
{
	EVP_PKEY *pub = p256_key(k->pub);
	X509_REQ *q = X509_REQ_new();
	unsigned char *tbs = NULL;
	uint8_t der[CERT_MAX];
	size_t n = 0;
	int tbs_len, r = KE_NOMEM;

	p11_why(p, "the request cannot be made");
	if (pub == NULL || q == NULL)
		goto out;
	r = fill_request(p, q, pub, c);
	if (r == KE_OK) {
		tbs_len = i2d_re_X509_REQ_tbs(q, &tbs);
		r = sign(p, k, tbs, tbs_len, der, &n);
	}
	if (r == KE_OK)
		r = check_and_print_request(der, n, pub, pem, cap);
out:
	X509_REQ_free(q);
	EVP_PKEY_free(pub);
	return r;
}

uint32_t cert_version(const char *pem, const struct key_ring *ring)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = x != NULL ? X509_get0_pubkey(x) : NULL;
	unsigned char *pub = NULL;
	size_t n = key != NULL ? EVP_PKEY_get1_encoded_public_key(key, &pub) : 0;
	uint32_t version = 0;

	for (size_t i = 0; i < ring->n; i++) {
		const struct key *k = &ring->keys[i];

		if (k->purpose == KEY_TLS && n == KEY_PUB_MAX && memcmp(k->pub, pub, n) == 0)
			version = k->version;
	}
	OPENSSL_free(pub);
	X509_free(x);
	BIO_free(bio);
	return version;
}
