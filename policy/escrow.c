/*
 * The escrow bundle's text and what follows from its officers. Pure; see escrow.h. The opening of
 * layers is in escrow_open.c.
 */
#include "policy/escrow.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "policy/escrow_canon.h"
#include "policy/text.h"

static const char *const wraps[ESCROW_WRAPS] = {"rsa-oaep-sha256", "rsa-oaep-sha1"};

/* --- keys --- */

/* Is it of our sizes? */
static int take_key(struct escrow_key *k, EVP_PKEY *key)
{
	BIGNUM *e = NULL;
	int bits, len, r = KE_FORMAT;
	uint8_t *at = k->der;

	if (key == NULL || !EVP_PKEY_is_a(key, "RSA"))
		return KE_FORMAT;
	bits = EVP_PKEY_get_bits(key);
	len = i2d_PUBKEY(key, NULL);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return KE_FORMAT;
	if (bits < ESCROW_BITS_MIN || bits > ESCROW_BITS_MAX || len > ESCROW_DER_MAX ||
	    !BN_is_word(e, RSA_F4)) {
		r = KE_RANGE;
	} else if (len > 0 && i2d_PUBKEY(key, &at) == len) {
		k->len = (size_t)len;
		k->modulus = ((size_t)bits + 7) / 8;
		r = KE_OK;
	}
	BN_free(e);
	return r;
}

int escrow_key_pem(struct escrow_key *k, const char *pem, size_t n)
{
	BIO *bio = n <= ESCROW_PEM_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	int r = take_key(k, key);

	EVP_PKEY_free(key);
	BIO_free(bio);
	return r;
}

int escrow_key_der(struct escrow_key *k, const uint8_t *der, size_t n)
{
	const uint8_t *at = der;
	EVP_PKEY *key = n <= ESCROW_DER_MAX ? d2i_PUBKEY(NULL, &at, (long)n) : NULL;
	int r = take_key(k, key);

	EVP_PKEY_free(key);
	/* only the one encoding of each */
	if (r == KE_OK && (k->len != n || memcmp(k->der, der, n) != 0))
		r = KE_FORMAT;
	return r;
}

/* --- officers --- */

unsigned escrow_first(const struct escrow_officers *o)
{
	return (1u << o->m) - 1;
}

/* The next number with as many bits (Gosper). */
unsigned escrow_next(const struct escrow_officers *o, unsigned share)
{
	unsigned low = share & (0u - share), up = share + low;
	unsigned next = up | (((share ^ up) >> 2) / low);

	return next < 1u << o->n ? next : 0;
}

unsigned escrow_last(unsigned officers)
{
	return 31u - (unsigned)__builtin_clz(officers);
}

size_t escrow_layers_len(const struct escrow_officers *o, unsigned left)
{
	size_t n = 0;

	for (unsigned i = 0; i < o->n; i++)
		if ((left & (1u << i)) != 0)
			n += o->key[i].modulus + (n == 0 ? 0 : ESCROW_IV + ESCROW_TAG);
	return n;
}

/* Room for the text's fixed part and for what stands around each share. */
#define TEXT_FIXED 512
#define TEXT_SHARE 40

/* A text that fits has no more shares, and no more bytes in them, than struct escrow has room for.
 */
_Static_assert(ESCROW_SHARES_MAX *TEXT_B64_LEN(ESCROW_BITS_MIN / 8) > ESCROW_TEXT_MAX &&
		   sizeof(((struct escrow *)0)->data) >= ESCROW_TEXT_MAX / 4 * 3,
    "the text is the limit");

static int check_size(const struct escrow_officers *o)
{
	size_t text = TEXT_FIXED;

	for (unsigned i = 0; i < o->n; i++)
		text += TEXT_B64_LEN(o->key[i].len) + 8;
	for (unsigned s = escrow_first(o); s != 0; s = escrow_next(o, s)) {
		text += TEXT_B64_LEN(escrow_layers_len(o, s)) + TEXT_SHARE + 3 * (size_t)o->m;
		if (text > ESCROW_TEXT_MAX)
			return KE_LIMIT;
	}
	return KE_OK;
}

int escrow_officers_check(const struct escrow_officers *o)
{
	if (o->m < 1 || o->m > o->n || o->n > ESCROW_OFFICERS_MAX)
		return KE_RANGE;
	for (unsigned i = 0; i < o->n; i++)
		for (unsigned j = 0; j < i; j++)
			if (o->key[i].len == o->key[j].len &&
			    memcmp(o->key[i].der, o->key[j].der, o->key[i].len) == 0)
				return KE_EXISTS;
	return check_size(o);
}

void escrow_aad(uint8_t out[ESCROW_AAD], const struct escrow *e, unsigned share, unsigned below)
{
	static const char tag[22] = "kleroterion/v2/escrow";

	memcpy(out, tag, sizeof(tag));
	memcpy(out + 22, e->raffle, 16);
	memcpy(out + 38, e->seed_commit, 32);
	out[70] = (uint8_t)(share >> 8);
	out[71] = (uint8_t)share;
	out[72] = (uint8_t)below;
}

/* --- the text --- */

static void io_officers(struct canon *io, struct escrow_officers *o)
{
	for (unsigned i = 0; ecanon_item(io, i, o->n, "\"", ESCROW_OFFICERS_MAX); i++) {
		struct escrow_key *k = &o->key[i];
		size_t n = k->len;
		uint8_t der[ESCROW_DER_MAX];

		memcpy(der, k->der, sizeof(der));
		ecanon_b64(io, der, sizeof(der), &n);
		if (canon_reads(io) && io->err == KE_OK && escrow_key_der(k, der, n) != KE_OK)
			canon_fail(io, KE_FORMAT);
		o->n = canon_reads(io) ? i + 1 : o->n;
	}
}

/* Which share, and what of it, follows from the officers. */
static void io_share(struct canon *io, struct escrow *e, unsigned officers)
{
	struct escrow_share *s = &e->share[e->nshares];
	unsigned said = officers;
	size_t n;

	*s = (struct escrow_share){officers, e->used, escrow_layers_len(&e->officers, officers)};
	n = s->len;
	canon_lit(io, "{\"officers\":");
	ecanon_bits(io, &said);
	canon_lit(io, ",\"sealed\":");
	ecanon_b64(io, e->data + e->used, n, &n);
	canon_lit(io, "}");
	if (n != s->len || said != officers)
		canon_fail(io, KE_FORMAT);
	e->used += s->len;
	e->nshares++;
}

static void io_escrow(struct canon *io, struct escrow *e)
{
	uint64_t m = e->officers.m;

	canon_lit(io, "{\"format\":\"" ESCROW_FORMAT "\",\n\"raffle\":");
	ecanon_hex(io, e->raffle, 16);
	canon_lit(io, ",\n\"seed_commit\":");
	ecanon_hex(io, e->seed_commit, 32);
	canon_lit(io, ",\n\"wrap\":");
	ecanon_choice(io, wraps, ESCROW_WRAPS, &e->wrap);
	canon_lit(io, ",\n\"threshold\":");
	ecanon_small(io, &m);
	e->officers.m = (unsigned)m;
	canon_lit(io, ",\n\"officers\":[\n");
	io_officers(io, &e->officers);
	if (io->err == KE_OK)
		io->err = escrow_officers_check(&e->officers);
	canon_lit(io, "],\n\"shares\":[\n");
	if (io->err != KE_OK)
		return;
	e->nshares = 0;
	e->used = 0;
	for (unsigned s = escrow_first(&e->officers); io->err == KE_OK && s != 0;) {
		io_share(io, e, s);
		s = escrow_next(&e->officers, s);
		canon_lit(io, s != 0 ? ",\n" : "]}\n");
	}
}

int escrow_text(struct escrow *e, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};

	io_escrow(&io, e);
	*len = io.len;
	return io.err == KE_OK || io.err == KE_FULL ? io.err : KE_RANGE;
}

int escrow_parse(struct escrow *e, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};

	memset(e, 0, sizeof(*e));
	if (n > ESCROW_TEXT_MAX)
		return KE_LIMIT;
	io_escrow(&io, e);
	if (io.err == KE_OK && io.len != n)
		io.err = KE_FORMAT;
	return io.err;
}
