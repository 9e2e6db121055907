/*
 * Deposit keys: made, taken over by a new version of the key that wraps them, or that seals them.
 * Runs in hsm: see hsm.h.
 *
 * An EVM key is made in the token and leaves it wrapped only. It is bound to its row by its public
 * key: each answer unwraps what it has made, or was given, has it sign, and verifies that under the
 * public key before anything is told. A Solana key is a sealed value (sealed.h), for modules do not
 * wrap Ed25519: it is in clear in locked memory of hsm while it is made and while it signs.
 */
#include "hsm/role/deposit.h"

#include <sodium.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/sealed.h"
#include "policy/hash.h"

int deposit_get(struct wire_in *in, struct deposit *d)
{
	size_t n;

	d->pool = wire_get_view(in, 16);
	n = wire_get_u8(in);
	d->kind = n == payout_pub_len(PAYOUT_SOLANA) ? PAYOUT_SOLANA : PAYOUT_EVM;
	if (in->err == KE_OK && n != payout_pub_len(d->kind))
		return KE_PEER;
	d->pub = wire_get_view(in, n);
	d->text = wire_get_str(in, BLOB_TEXT_MAX, &d->n);
	return in->err == KE_OK ? KE_OK : KE_PEER;
}

int deposit_active(struct hsm *h, const struct key **k)
{
	*k = key_ring_get(&h->ring, KEY_DEPOSIT, 0);
	if (*k != NULL)
		return KE_OK;
	log_warn(
	    "token %s has no key klero/deposit, for its module could not keep one: see kleroctl "
	    "hsm check; when it can now, officers make one with kleroctl key rotate deposit",
	    h->p.label);
	return KE_STATE;
}

/* The blob of the text and the key that opens it. */
struct wrapped {
	uint8_t blob[BLOB_DATA_MAX];
	size_t len;
	const struct key *k;
};

static int find_wrapped(struct hsm *h, const struct deposit *d, struct wrapped *b)
{
	uint32_t version;
	int r = deposit_active(h, &b->k);

	if (r == KE_OK)
		r = blob_get((const char *)d->text, d->n, BLOB_DEPOSIT, &version, b->blob,
		    sizeof b->blob, &b->len);
	if (r != KE_OK)
		return r;
	b->k = key_ring_get(&h->ring, KEY_DEPOSIT, version);
	return b->k != NULL ? KE_OK : KE_VERSION;
}

static int try_sign(struct hsm *h, const struct deposit *d, const struct wrapped *b,
    enum chainkey_use use, struct chainkey_sig *sig, CK_OBJECT_HANDLE *secret)
{
	int r = chainkey_unwrap(&h->p, b->k->handle, b->blob, b->len, use, secret);

	if (r != KE_OK)
		return r;
	r = chainkey_sign(&h->p, *secret, d->pub, sig);
	if (r != KE_OK)
		(void)!op_destroy(&h->p, *secret);
	return r;
}

/* Unwrapped and signed: the secret is there when the signature is good, and only then. */
static int open_and_sign(struct hsm *h, const struct deposit *d, enum chainkey_use use,
    struct chainkey_sig *sig, CK_OBJECT_HANDLE *secret)
{
	struct wrapped b;
	unsigned tries = 0;
	int r = find_wrapped(h, d, &b);

	if (r != KE_OK)
		return r;
	do
		r = try_sign(h, d, &b, use, sig, secret);
	while (hsm_once_more(h, &r, &tries));
	return r;
}

int deposit_sign(struct hsm *h, const struct deposit *d, struct chainkey_sig *sig)
{
	CK_OBJECT_HANDLE secret;
	int r = open_and_sign(h, d, CHAINKEY_SIGN, sig, &secret);

	return r == KE_OK ? op_destroy(&h->p, secret) : r;
}

/* Of a text that is about to be told: does it open to the key of that address? */
static int check_text(struct hsm *h, const uint8_t *pub, const char *text)
{
	const struct deposit d = {
	    .kind = PAYOUT_EVM, .pub = pub, .text = (const uint8_t *)text, .n = strlen(text)};
	struct chainkey_sig sig;
	int r = op_random(&h->p, sig.digest, sizeof sig.digest);

	return r == KE_OK ? deposit_sign(h, &d, &sig) : r;
}

/*
 * Wraps a key under the active version, and opens that again, for money will lie under it. The
 * object is destroyed, whatever happens.
 */
static int keep(struct hsm *h, CK_OBJECT_HANDLE secret, const uint8_t *pub, char *text, size_t cap)
{
	uint8_t blob[CHAINKEY_BLOB_MAX];
	const struct key *k;
	size_t n = 0;
	int r = deposit_active(h, &k), e;

	if (r == KE_OK)
		r = chainkey_wrap(&h->p, k->handle, secret, blob, &n);
	e = op_destroy(&h->p, secret);
	if (r == KE_OK)
		r = e;
	if (r == KE_OK)
		r = blob_put(text, cap, BLOB_DEPOSIT, k->version, blob, n);
	if (r == KE_OK)
		r = check_text(h, pub, text);
	if (r == KE_CRYPTO)
		return hsm_lied(h, r, "what it has wrapped does not open");
	return r == KE_OK ? once_stand(&h->once, KEY_DEPOSIT, pub, SECP_POINT, k->version) : r;
}

static int make_evm(struct hsm *h, uint8_t pub[SECP_POINT], char *text, size_t cap)
{
	CK_OBJECT_HANDLE secret;
	const struct key *k;
	int r = deposit_active(h, &k);

	if (r == KE_OK)
		r = chainkey_make(&h->p, &secret, pub);
	return r == KE_OK ? keep(h, secret, pub, text, cap) : r;
}

static int keep_evm(struct hsm *h, uint8_t pub[SECP_POINT], char *text, size_t cap)
{
	CK_OBJECT_HANDLE secret;
	const struct key *k;
	int r = deposit_active(h, &k);

	if (r == KE_OK)
		r = chainkey_import(&h->p, h->secrets->seed, &secret, pub);
	return r == KE_OK ? keep(h, secret, pub, text, cap) : r;
}

/* --- Solana --- */

void deposit_wipe(struct hsm *h)
{
	sodium_memzero(h->secrets->seed, sizeof h->secrets->seed);
	sodium_memzero(h->secrets->signer, sizeof h->secrets->signer);
}

/* bound has room for what the place refers to. */
static struct sealed_place place_of(
    const uint8_t pool[16], const uint8_t pub[32], uint8_t bound[32])
{
	hash_sha256(bound, pub, 32);
	return (struct sealed_place){.class = KEY_DEPOSIT25519,
	    .table = "pools",
	    .column = "key",
	    .row = pool,
	    .row_len = 16,
	    .bound = bound};
}

/* The class key that is not there is a state of the token's, as with deposit_active(). */
static int stateful(int r)
{
	return r == KE_NOTFOUND ? KE_STATE : r;
}

int deposit_signer(struct hsm *h, const uint8_t pub[32])
{
	uint8_t made[32];

	if (crypto_sign_seed_keypair(made, h->secrets->signer, h->secrets->seed) != 0)
		return KE_INTERNAL;
	return sodium_memcmp(made, pub, 32) == 0 ? KE_OK : KE_CRYPTO;
}

int deposit_open(struct hsm *h, const struct deposit *d)
{
	uint8_t bound[32];
	struct sealed_place at = place_of(d->pool, d->pub, bound);
	size_t n = 0;
	int r = sealed_open(h, &at, (const char *)d->text, d->n, h->secrets->seed, 32, &n);

	if (r == KE_OK && n != 32)
		r = KE_FORMAT;
	if (r == KE_OK)
		r = deposit_signer(h, d->pub);
	if (r != KE_OK)
		deposit_wipe(h);
	return stateful(r);
}

static int seal_solana(
    struct hsm *h, const uint8_t pool[16], const uint8_t pub[32], char *text, size_t cap)
{
	const struct key *k = key_ring_get(&h->ring, KEY_DEPOSIT25519, 0);
	uint8_t bound[32];
	struct sealed_place at = place_of(pool, pub, bound);
	int r = stateful(sealed_seal(h, &at, h->secrets->seed, 32, text, cap));

	return r == KE_OK ? once_stand(&h->once, KEY_DEPOSIT25519, pub, 32, k->version) : r;
}

static int keep_solana(
    struct hsm *h, const uint8_t pool[16], uint8_t pub[32], char *text, size_t cap)
{
	if (crypto_sign_seed_keypair(pub, h->secrets->signer, h->secrets->seed) != 0)
		return KE_INTERNAL;
	return seal_solana(h, pool, pub, text, cap);
}

static int rewrap_solana(struct hsm *h, const struct deposit *d, char *text, size_t cap)
{
	int r = deposit_open(h, d);

	if (r == KE_OK)
		r = seal_solana(h, d->pool, d->pub, text, cap);
	deposit_wipe(h);
	return r;
}

/* --- the answers --- */

int deposit_prepare(struct hsm *h)
{
	h->secrets = sodium_malloc(sizeof *h->secrets);
	if (h->secrets == NULL)
		return p11_fail(&h->p, KE_NOMEM, "out of locked memory");
	sodium_memzero(h->secrets, sizeof *h->secrets);
	return crypto_box_keypair(h->secrets->box_pub, h->secrets->box_secret) == 0 ? KE_OK
										    : KE_INTERNAL;
}

int deposit_keep(struct hsm *h, const uint8_t pool[16], unsigned kind, uint8_t pub[PAYOUT_PUB_MAX],
    char *text, size_t cap)
{
	int r =
	    kind == PAYOUT_EVM ? keep_evm(h, pub, text, cap) : keep_solana(h, pool, pub, text, cap);

	deposit_wipe(h);
	return r;
}

int deposit_tell(
    struct hsm *h, struct wire_out *w, int r, unsigned kind, const uint8_t *pub, const char *text)
{
	size_t n = payout_pub_len(kind);

	if (hsm_result(h, w, r)) {
		wire_put_u8(w, (uint8_t)n);
		wire_put_raw(w, pub, n);
		wire_put_cstr(w, text);
	}
	return KE_OK;
}

static int make_solana(
    struct hsm *h, const uint8_t pool[16], uint8_t pub[32], char *text, size_t cap)
{
	int r = op_random(&h->p, h->secrets->seed, 32);

	if (r == KE_OK)
		r = keep_solana(h, pool, pub, text, cap);
	deposit_wipe(h);
	return r;
}

int hsm_answer_new_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	unsigned kind = m->body[16]; /* raw[16], u8 by the table */
	uint8_t pub[PAYOUT_PUB_MAX];
	char text[BLOB_TEXT_MAX];
	int r;

	(void)peer;
	if (payout_pub_len(kind) == 0)
		return KE_PEER;
	if (kind == PAYOUT_EVM)
		r = make_evm(h, pub, text, sizeof text);
	else
		r = make_solana(h, m->body, pub, text, sizeof text);
	return deposit_tell(h, w, r, kind, pub, text);
}

static int rewrap_evm(struct hsm *h, const struct deposit *d, char *text, size_t cap)
{
	CK_OBJECT_HANDLE secret;
	struct chainkey_sig sig;
	int r = op_random(&h->p, sig.digest, sizeof sig.digest);

	if (r == KE_OK)
		r = open_and_sign(h, d, CHAINKEY_WRAP, &sig, &secret);
	return r == KE_OK ? keep(h, secret, d->pub, text, cap) : r;
}

/* Rotation of the deposit key: the secret stays inside, and its address stays what it is. */
int hsm_answer_rewrap_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char text[BLOB_TEXT_MAX];
	struct deposit d;
	struct wire_in in;
	int r;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	if (deposit_get(&in, &d) != KE_OK || wire_end(&in) != KE_OK)
		return KE_PEER;
	if (d.kind == PAYOUT_EVM)
		r = rewrap_evm(h, &d, text, sizeof text);
	else
		r = rewrap_solana(h, &d, text, sizeof text);
	if (hsm_result(h, w, r))
		wire_put_cstr(w, text);
	return KE_OK;
}
