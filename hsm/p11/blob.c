/*
 * The text form of sealed and wrapped values: see blob.h. Runs in hsm and keyadm.
 */
#include "hsm/p11/blob.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "hsm/p11/op.h"
#include "policy/be.h"
#include "policy/text.h"

#define VERSION_MAX 999999
#define AAD_MAX     80

int blob_header(char out[BLOB_HEADER_MAX], const char *class, uint32_t version)
{
	int n = snprintf(out, BLOB_HEADER_MAX, "klero:1:%s:v%06u", class, version);

	if (version == 0 || version > VERSION_MAX)
		return KE_RANGE;
	return n > 0 && n < BLOB_HEADER_MAX ? KE_OK : KE_FULL;
}

int blob_put(char *out, size_t cap, const char *class, uint32_t version, const void *p, size_t n)
{
	char head[BLOB_HEADER_MAX];
	int r = blob_header(head, class, version);
	size_t len;

	if (r != KE_OK)
		return r;
	len = strlen(head);
	if (cap < len + 2)
		return KE_FULL;
	memcpy(out, head, len);
	out[len++] = ':';
	r = text_b64url(out + len, cap - len, p, n);
	return r < 0 ? r : KE_OK;
}

/* The six digits of a version. */
static int get_version(const char *s, uint32_t *version)
{
	*version = 0;
	for (unsigned i = 0; i < 6; i++) {
		if (s[i] < '0' || s[i] > '9')
			return KE_FORMAT;
		*version = *version * 10 + (uint32_t)(s[i] - '0');
	}
	return *version > 0 ? KE_OK : KE_FORMAT;
}

int blob_get(const char *text, size_t n, const char *class, uint32_t *version, uint8_t *data,
    size_t cap, size_t *len)
{
	char head[BLOB_HEADER_MAX];
	size_t hl;
	int r = blob_header(head, class, VERSION_MAX);

	if (r != KE_OK)
		return r;
	hl = strlen(head);
	if (n > 8 && memcmp(text, "klero:", 6) == 0 && memcmp(text + 6, "1:", 2) != 0)
		return KE_VERSION;
	if (n <= hl || memcmp(text, head, hl - 6) != 0 || text[hl] != ':')
		return KE_FORMAT;
	r = get_version(text + hl - 6, version);
	if (r != KE_OK)
		return r;
	r = text_unb64url(data, cap, len, text + hl + 1, n - hl - 1);
	return r == KE_OK ? KE_OK : KE_FORMAT;
}

/*
 * "klero/1/sealed" 00 ‖ header ‖ u8 length ‖ appliance id, and ‖ u32 version of the class key when
 * it has versions: a value opens only where it belongs. The header's version is the master key's.
 */
static int associated(
    uint8_t out[AAD_MAX], size_t *len, const struct blob_class *c, uint32_t version)
{
	static const char tag[] = "klero/1/sealed";
	char head[BLOB_HEADER_MAX];
	size_t n = sizeof tag, hl;
	int r = blob_header(head, c->name, version);

	if (r != KE_OK)
		return r;
	hl = strlen(head);
	if (n + hl + 21 > AAD_MAX)
		return KE_FULL;
	memcpy(out, tag, n);
	memcpy(out + n, head, hl);
	n += hl;
	out[n++] = 16;
	memcpy(out + n, c->appliance, 16);
	n += 16;
	if (c->version != 0) {
		be_put32(out + n, c->version);
		n += 4;
	}
	*len = n;
	return KE_OK;
}

int blob_seal_class_key(struct p11 *p, const struct key *master, const struct blob_class *c,
    const uint8_t plain[32], char *out, size_t cap)
{
	uint8_t sealed[32 + OP_SEAL_EXTRA], aad[AAD_MAX];
	size_t aadlen;
	int r = associated(aad, &aadlen, c, master->version);

	if (r == KE_OK)
		r = op_seal(p, master->handle, aad, aadlen, plain, 32, sealed);
	return r == KE_OK ? blob_put(out, cap, c->name, master->version, sealed, sizeof sealed) : r;
}

int blob_make_class_key(
    struct p11 *p, const struct key *master, const struct blob_class *c, char *out, size_t cap)
{
	uint8_t plain[32];
	int r = op_random(p, plain, sizeof plain);

	if (r == KE_OK)
		r = blob_seal_class_key(p, master, c, plain, out, cap);
	sodium_memzero(plain, sizeof plain);
	return r;
}

int blob_open_class_key(struct p11 *p, const struct key_ring *ring, const struct blob_class *c,
    const char *text, size_t n, uint8_t out[32])
{
	uint8_t sealed[BLOB_DATA_MAX], plain[32], aad[AAD_MAX];
	const struct key *master;
	uint32_t version;
	size_t len, got, aadlen;
	int r = blob_get(text, n, c->name, &version, sealed, sizeof sealed, &len);

	if (r != KE_OK)
		return r;
	if (len != 32 + OP_SEAL_EXTRA)
		return KE_FORMAT;
	master = key_ring_get(ring, KEY_MASTER, version);
	if (master == NULL)
		return KE_VERSION;
	r = associated(aad, &aadlen, c, version);
	if (r == KE_OK)
		r = op_open(p, master->handle, aad, aadlen, sealed, len, plain, &got);
	if (r == KE_OK)
		memcpy(out, plain, sizeof plain);
	sodium_memzero(plain, sizeof plain);
	return r;
}
