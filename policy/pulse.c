/*
 * Pulses of NIST's randomness beacon. Pure; see pulse.h.
 */
#include "policy/pulse.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "policy/be.h"
#include "policy/jsondoc.h"
#include "policy/text.h"

#define TOKENS_MAX 128

/* --- reading --- */

struct reader {
	struct jsondoc doc;
	int err; /* the first error sticks */
};

/* The member's token, 0 and an error when the object lacks it. */
static size_t member(struct reader *r, size_t object, const char *name)
{
	size_t i = r->err == KE_OK ? jsondoc_member(&r->doc, object, name) : 0;

	if (i == 0)
		r->err = KE_FORMAT;
	return i;
}

static void get_text(struct reader *r, size_t object, const char *name, char *dst)
{
	if (r->err == KE_OK)
		r->err = jsondoc_text(&r->doc, object, name, dst, PULSE_TEXT_MAX + 1);
}

static uint64_t get_uint(struct reader *r, size_t object, const char *name, int64_t max)
{
	int64_t v = 0;

	if (r->err == KE_OK)
		r->err = jsondoc_int(&r->doc, object, name, 0, max, &v);
	return r->err == KE_OK ? (uint64_t)v : 0;
}

/* A hex digit's value, of either case: the beacon writes both. */
static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* At most cap bytes of hex; *n of them. */
static void get_hex(
    struct reader *r, size_t object, const char *name, uint8_t *dst, size_t cap, size_t *n)
{
	char hex[2 * PULSE_SIG_MAX + 1];
	size_t len = 0;

	if (r->err == KE_OK)
		r->err = jsondoc_text(&r->doc, object, name, hex, 2 * cap + 1);
	if (r->err == KE_OK)
		len = strlen(hex);
	if (len % 2 != 0)
		r->err = KE_FORMAT;
	for (size_t k = 0; r->err == KE_OK && k < len; k += 2) {
		int high = digit(hex[k]), low = digit(hex[k + 1]);

		if (high < 0 || low < 0)
			r->err = KE_FORMAT;
		else
			dst[k / 2] = (uint8_t)(high << 4 | low);
	}
	*n = r->err == KE_OK ? len / 2 : 0;
}

static void get_hash(struct reader *r, size_t object, const char *name, uint8_t dst[PULSE_HASH])
{
	size_t n;

	get_hex(r, object, name, dst, PULSE_HASH, &n);
	if (r->err == KE_OK && n != PULSE_HASH)
		r->err = KE_FORMAT;
}

/* listValues names each of the five once, in this order. */
static void get_list(struct reader *r, size_t object, struct pulse *p)
{
	static const char *const types[] = {"previous", "hour", "day", "month", "year"};
	uint8_t *const values[] = {p->previous, p->hour, p->day, p->month, p->year};
	size_t list = member(r, object, "listValues"), at = list + 1;
	char type[PULSE_TEXT_MAX + 1];

	if (r->err != KE_OK)
		return;
	if (r->doc.toks[list].type != JSON_ARRAY || r->doc.toks[list].size != 5)
		r->err = KE_FORMAT;
	for (size_t i = 0; r->err == KE_OK && i < 5; i++) {
		get_text(r, at, "type", type);
		if (r->err == KE_OK && strcmp(type, types[i]) != 0)
			r->err = KE_FORMAT;
		get_hash(r, at, "value", values[i]);
		at = json_next(r->doc.toks, r->doc.n, at);
	}
}

static void get_pulse(struct reader *r, struct pulse *p)
{
	size_t o = member(r, 0, "pulse"), e;

	get_text(r, o, "uri", p->uri);
	get_text(r, o, "version", p->version);
	p->cipher_suite = (uint32_t)get_uint(r, o, "cipherSuite", UINT32_MAX);
	p->period_ms = (uint32_t)get_uint(r, o, "period", UINT32_MAX);
	get_hash(r, o, "certificateId", p->certificate);
	p->chain = get_uint(r, o, "chainIndex", INT64_MAX);
	p->pulse = get_uint(r, o, "pulseIndex", INT64_MAX);
	get_text(r, o, "timeStamp", p->time);
	get_hash(r, o, "localRandomValue", p->local);
	e = member(r, o, "external");
	get_hash(r, e, "sourceId", p->source);
	p->external_status = (uint32_t)get_uint(r, e, "statusCode", UINT32_MAX);
	get_hash(r, e, "value", p->external);
	get_list(r, o, p);
	get_hash(r, o, "precommitmentValue", p->precommitment);
	p->status = (uint32_t)get_uint(r, o, "statusCode", UINT32_MAX);
	get_hex(r, o, "signatureValue", p->signature, PULSE_SIG_MAX, &p->signature_len);
	get_hash(r, o, "outputValue", p->output);
}

int pulse_parse(struct pulse *p, const char *json, size_t n)
{
	struct json_tok toks[TOKENS_MAX];
	struct reader r = {.err = KE_OK};
	int err;

	memset(p, 0, sizeof(*p));
	if (n > PULSE_JSON_MAX)
		return KE_FORMAT;
	err = jsondoc_read(&r.doc, json, n, toks, TOKENS_MAX);
	if (err != KE_OK)
		return err;
	get_pulse(&r, p);
	if (r.err != KE_OK || text_untime(&p->at_ms, p->time, strlen(p->time)) != KE_OK)
		return KE_FORMAT;
	if (strcmp(p->version, "2.0") != 0 || p->cipher_suite != 0)
		return KE_VERSION;
	return KE_OK;
}

/* --- what is signed --- */

struct writer {
	uint8_t *out;
	size_t n; /* PULSE_SIGNED_MAX is more than all fields together */
};

static void put_u32(struct writer *w, uint32_t v)
{
	be_put32(w->out + w->n, v);
	w->n += 4;
}

static void put_u64(struct writer *w, uint64_t v)
{
	be_put64(w->out + w->n, v);
	w->n += 8;
}

/* u32 length ‖ bytes */
static void put_long(struct writer *w, const void *p, size_t n)
{
	put_u32(w, (uint32_t)n);
	memcpy(w->out + w->n, p, n);
	w->n += n;
}

static void put_text(struct writer *w, const char *s)
{
	put_long(w, s, strlen(s));
}

_Static_assert(PULSE_SIGNED_MAX >= 3 * (4 + PULSE_TEXT_MAX) + 10 * (4 + PULSE_HASH) + 4 * 4 + 2 * 8,
    "a pulse does not fit");

size_t pulse_signed(const struct pulse *p, uint8_t out[PULSE_SIGNED_MAX])
{
	const uint8_t *const values[] = {
	    p->external, p->previous, p->hour, p->day, p->month, p->year, p->precommitment};
	struct writer w = {.out = out};

	put_text(&w, p->uri);
	put_text(&w, p->version);
	put_u32(&w, p->cipher_suite);
	put_u32(&w, p->period_ms);
	put_long(&w, p->certificate, PULSE_HASH);
	put_u64(&w, p->chain);
	put_u64(&w, p->pulse);
	put_text(&w, p->time);
	put_long(&w, p->local, PULSE_HASH);
	put_long(&w, p->source, PULSE_HASH);
	put_u32(&w, p->external_status);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		put_long(&w, values[i], PULSE_HASH);
	put_u32(&w, p->status);
	return w.n;
}

/* --- checking --- */

static int name_of(uint8_t id[PULSE_HASH], const X509 *cert)
{
	unsigned len = 0;

	if (X509_digest(cert, EVP_sha512(), id, &len) != 1 || len != PULSE_HASH)
		return KE_INTERNAL;
	return KE_OK;
}

static X509 *read_certificate(const char *pem, size_t n)
{
	BIO *bio = n <= PULSE_CERT_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

int pulse_certificate(uint8_t id[PULSE_HASH], const char *pem, size_t n)
{
	X509 *cert = read_certificate(pem, n);
	EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
	int r = key != NULL && EVP_PKEY_is_a(key, "RSA") ? name_of(id, cert) : KE_FORMAT;

	X509_free(cert);
	return r;
}

static int check_certificate(const struct pulse *p, const X509 *cert)
{
	uint8_t id[PULSE_HASH];
	int r = name_of(id, cert);

	if (r != KE_OK)
		return r;
	return memcmp(id, p->certificate, PULSE_HASH) == 0 ? KE_OK : KE_WRONG_KEY;
}

static int check_signature(const struct pulse *p, EVP_PKEY *key, const uint8_t *msg, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = KE_CRYPTO;

	/* PKCS#1 v1.5 is what an RSA key does without being told otherwise */
	if (ctx != NULL && EVP_PKEY_is_a(key, "RSA") &&
	    EVP_DigestVerifyInit(ctx, NULL, EVP_sha512(), NULL, key) == 1 &&
	    EVP_DigestVerify(ctx, p->signature, p->signature_len, msg, n) == 1)
		r = KE_OK;
	EVP_MD_CTX_free(ctx);
	return r;
}

/* output = SHA-512(what is signed ‖ signature) */
static int check_output(const struct pulse *p, uint8_t *msg, size_t n)
{
	uint8_t output[EVP_MAX_MD_SIZE];

	memcpy(msg + n, p->signature, p->signature_len);
	if (EVP_Digest(msg, n + p->signature_len, output, NULL, EVP_sha512(), NULL) != 1)
		return KE_INTERNAL;
	return memcmp(output, p->output, PULSE_HASH) == 0 ? KE_OK : KE_CRYPTO;
}

int pulse_verify(const struct pulse *p, const char *pem, size_t n)
{
	X509 *cert = read_certificate(pem, n);
	EVP_PKEY *key = cert != NULL ? X509_get0_pubkey(cert) : NULL;
	uint8_t msg[PULSE_SIGNED_MAX + PULSE_SIG_MAX];
	size_t len = pulse_signed(p, msg);
	int r = key != NULL ? check_certificate(p, cert) : KE_FORMAT;

	if (r == KE_OK)
		r = check_signature(p, key, msg, len);
	if (r == KE_OK)
		r = check_output(p, msg, len);
	X509_free(cert);
	return r;
}

int pulse_follows(const struct pulse *b, const struct pulse *a)
{
	if (b->chain != a->chain || a->pulse == UINT64_MAX || b->pulse != a->pulse + 1)
		return KE_CRYPTO;
	if (memcmp(b->previous, a->output, PULSE_HASH) != 0 || b->at_ms <= a->at_ms)
		return KE_CRYPTO;
	return KE_OK;
}

int pulse_first(const struct pulse *p, const struct pulse *before, int64_t at_ms)
{
	if (p->at_ms == at_ms)
		return KE_OK;
	if (p->at_ms < at_ms || before == NULL || before->at_ms >= at_ms)
		return KE_CRYPTO;
	return pulse_follows(p, before);
}
