/*
 * Sealed values: see sealed.h. Runs in hsm.
 */
#include "hsm/role/sealed.h"

#include <sodium.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "policy/text.h"

#define NONCE   crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG     crypto_aead_xchacha20poly1305_ietf_ABYTES
#define ROW_MAX 64
#define AAD_MAX 256

_Static_assert(NONCE + TAG == SEALED_EXTRA, "nonce and tag");

/* A bounded buffer that fills up; the first overflow is kept. */
struct aad {
	uint8_t bytes[AAD_MAX];
	size_t n;
	int err;
};

static void put(struct aad *a, const void *p, size_t n)
{
	if (n > AAD_MAX - a->n) {
		a->err = KE_LONG;
		return;
	}
	memcpy(a->bytes + a->n, p, n);
	a->n += n;
}

static void put_field(struct aad *a, const void *p, size_t n)
{
	uint8_t len = (uint8_t)n;

	if (n > 255)
		a->err = KE_LONG;
	put(a, &len, 1);
	put(a, p, n);
}

/*
 * "klero/1/value" 00 ‖ header ‖ appliance id, table, column, row id, each behind its u8 length, and
 * ‖ the SHA-256 that it is bound to. The header has a fixed form, so no two places give the same.
 */
static int associate(
    struct aad *a, const struct hsm *h, const struct sealed_place *at, uint32_t version)
{
	static const char tag[] = "klero/1/value";
	char head[BLOB_HEADER_MAX];
	int r = blob_header(head, purpose_words[at->class], version);

	a->n = 0;
	a->err = KE_OK;
	if (r != KE_OK)
		return r;
	if (at->row_len == 0 || at->row_len > ROW_MAX)
		return KE_LONG;
	put(a, tag, sizeof tag);
	put(a, head, strlen(head));
	put_field(a, h->anchor.appliance, sizeof h->anchor.appliance);
	put_field(a, at->table, strlen(at->table));
	put_field(a, at->column, strlen(at->column));
	put_field(a, at->row, at->row_len);
	if (at->bound != NULL)
		put(a, at->bound, 32);
	return a->err;
}

static int seal(const struct key *k, const struct aad *a, const void *plain, size_t n,
    uint8_t sealed[SEALED_PLAIN_MAX + SEALED_EXTRA])
{
	unsigned long long len;

	randombytes_buf(sealed, NONCE);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(
		sealed + NONCE, &len, plain, n, a->bytes, a->n, NULL, sealed, k->secret) != 0)
		return KE_INTERNAL;
	return len == n + TAG ? KE_OK : KE_INTERNAL;
}

int sealed_seal(const struct hsm *h, const struct sealed_place *at, const void *plain, size_t n,
    char *out, size_t cap)
{
	const struct key *k = key_ring_get(&h->ring, at->class, 0);
	uint8_t sealed[SEALED_PLAIN_MAX + SEALED_EXTRA];
	struct aad a;
	int r;

	if (k == NULL || k->secret == NULL)
		return KE_NOTFOUND;
	if (n == 0 || n > SEALED_PLAIN_MAX)
		return KE_LONG;
	r = associate(&a, h, at, k->version);
	if (r == KE_OK)
		r = seal(k, &a, plain, n, sealed);
	if (r == KE_OK)
		r = blob_put(
		    out, cap, purpose_words[at->class], k->version, sealed, n + SEALED_EXTRA);
	return r;
}

static int open_with(
    const struct key *k, const struct aad *a, const uint8_t *sealed, size_t n, uint8_t *out)
{
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		out, NULL, NULL, sealed + NONCE, n - NONCE, a->bytes, a->n, sealed, k->secret) != 0)
		return KE_CRYPTO;
	return KE_OK;
}

static int open_value(const struct hsm *h, const struct sealed_place *at, const char *text,
    size_t n, uint8_t *out, size_t cap, size_t *len)
{
	uint8_t sealed[SEALED_PLAIN_MAX + SEALED_EXTRA];
	const struct key *k;
	uint32_t version;
	struct aad a;
	size_t got;
	int r = blob_get(text, n, purpose_words[at->class], &version, sealed, sizeof sealed, &got);

	if (r != KE_OK)
		return r;
	if (got <= SEALED_EXTRA)
		return KE_FORMAT;
	if (got - SEALED_EXTRA > cap)
		return KE_LONG;
	k = key_ring_get(&h->ring, at->class, version);
	if (k == NULL || k->secret == NULL || version < h->least[at->class])
		return KE_VERSION;
	r = associate(&a, h, at, version);
	if (r == KE_OK)
		r = open_with(k, &a, sealed, got, out);
	*len = got - SEALED_EXTRA;
	return r;
}

/* Whatever the reason: it names the row, and tells nothing of the value. */
static void tell(const struct sealed_place *at, int r)
{
	char hex[2 * ROW_MAX + 1] = "?";

	if (at->row_len <= ROW_MAX)
		text_hex(hex, at->row, at->row_len);
	log_security("sealed value %s.%s of row %s does not open: %s", at->table, at->column, hex,
	    ke_words(r));
}

int sealed_open(const struct hsm *h, const struct sealed_place *at, const char *text, size_t n,
    uint8_t *out, size_t cap, size_t *len)
{
	int r = open_value(h, at, text, n, out, cap, len);

	if (r == KE_OK)
		return r;
	sodium_memzero(out, cap);
	*len = 0;
	tell(at, r);
	return r;
}

/*
 * For the life of this process: a fresh one opens all that the anchor names until it hears the same
 * again. So a lie costs a restart and no value, and a store that is restored with older values is
 * taken over like any other. Never above the version that is sealed under.
 */
int hsm_answer_raise(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const struct key *active;
	struct wire_in in;
	uint32_t version;
	uint8_t purpose;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	purpose = wire_get_u8(&in);
	version = wire_get_u32(&in);
	if (wire_end(&in) != KE_OK || purpose >= KEY_PURPOSES || !key_is_class(purpose))
		return KE_PEER;
	active = key_ring_get(&h->ring, purpose, 0);
	if (version > active->version)
		version = active->version;
	if (version > h->least[purpose]) {
		h->least[purpose] = version;
		log_info("versions of %s before %u open nothing any more", purpose_words[purpose],
		    version);
	}
	if (hsm_result(h, w, KE_OK))
		wire_put_u32(w, h->least[purpose]);
	return KE_OK;
}
