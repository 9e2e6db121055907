/*
 * SSH keys and signatures: see sshsig.h. Every length is checked against what is left before it is
 * used, every string must be consumed to its end, and there is one form of each value.
 */
#include "policy/sshsig.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"
#include "policy/text.h"

#define CURVE        "nistp256"
#define MAGIC        "SSHSIG"
#define MAGIC_LEN    6
#define BEGIN        "-----BEGIN SSH SIGNATURE-----\n"
#define END          SSH_ARMOR_END
#define SIG_RAW_MAX  1024
#define USER_PRESENT 0x01 /* flag of a FIDO signature (PROTOCOL.u2f) */

static const struct {
	const char *name;
	bool sk;
} kinds[] = {
#define X(name, sk, word) {word, sk},
    SSH_KINDS(X)
#undef X
};

/* What is left of a buffer of RFC 4251 strings; the first failure stays. */
struct rest {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static struct rest take(struct rest *in, size_t n)
{
	struct rest out = {in->p, n, false};

	if (in->bad || in->n < n) {
		in->bad = true;
		return (struct rest){NULL, 0, true};
	}
	in->p += n;
	in->n -= n;
	return out;
}

static uint8_t take_u8(struct rest *in)
{
	struct rest v = take(in, 1);

	return v.bad ? 0 : v.p[0];
}

static uint32_t take_u32(struct rest *in)
{
	struct rest v = take(in, 4);

	return v.bad ? 0 : be_get32(v.p);
}

static struct rest take_string(struct rest *in)
{
	return take(in, take_u32(in));
}

static bool is_text(const struct rest *s, const char *text)
{
	return !s->bad && s->n == strlen(text) && (s->n == 0 || memcmp(s->p, text, s->n) == 0);
}

/* Nothing failed and nothing is left. */
static bool at_end(const struct rest *in)
{
	return !in->bad && in->n == 0;
}

static bool is_p256(enum ssh_kind kind)
{
	return kind == SSH_P256 || kind == SSH_SK_P256;
}

/* --- keys --- */

static int kind_of(const struct rest *name, enum ssh_kind *kind)
{
	if (name->bad)
		return KE_FORMAT;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (is_text(name, kinds[i].name)) {
			*kind = (enum ssh_kind)i;
			return KE_OK;
		}
	}
	return KE_VERSION;
}

/* The point or the 32 bytes of Ed25519, and that they are a key. */
static int read_pub(struct ssh_key *k, struct rest *in)
{
	struct rest curve = {0}, pub;
	EVP_PKEY *point;

	if (is_p256(k->kind)) {
		curve = take_string(in);
		if (!is_text(&curve, CURVE))
			return KE_FORMAT;
	}
	pub = take_string(in);
	if (pub.bad || pub.n != (is_p256(k->kind) ? P256_POINT : 32u))
		return KE_FORMAT;
	memset(k->pub, 0, sizeof(k->pub));
	memcpy(k->pub, pub.p, pub.n);
	if (!is_p256(k->kind))
		return crypto_core_ed25519_is_valid_point(k->pub) == 1 ? KE_OK : KE_FORMAT;
	point = k->pub[0] == 0x04 ? p256_key(k->pub) : NULL;
	EVP_PKEY_free(point);
	return point != NULL ? KE_OK : KE_FORMAT;
}

int ssh_key_blob(struct ssh_key *k, const uint8_t *blob, size_t n)
{
	struct rest in = {blob, n, n > SSH_BLOB_MAX}, name = take_string(&in), app;
	int r = kind_of(&name, &k->kind);

	if (r != KE_OK)
		return r;
	r = read_pub(k, &in);
	if (r != KE_OK)
		return r;
	memset(k->app_hash, 0, sizeof(k->app_hash));
	if (kinds[k->kind].sk) {
		app = take_string(&in);
		if (app.bad)
			return KE_FORMAT;
		hash_sha256(k->app_hash, app.p, app.n);
	}
	if (!at_end(&in))
		return KE_FORMAT;
	memcpy(k->blob, blob, n);
	k->blob_len = n;
	return KE_OK;
}

int ssh_key_line(struct ssh_key *k, const char *line, size_t n)
{
	const char *blank = memchr(line, ' ', n), *b64, *end = line + n, *more;
	uint8_t blob[SSH_BLOB_MAX];
	size_t len;
	int r;

	if (blank == NULL)
		return KE_FORMAT;
	b64 = blank + 1;
	more = memchr(b64, ' ', (size_t)(end - b64));
	len = (size_t)((more != NULL ? more : end) - b64);
	if (text_unb64(blob, sizeof(blob), &len, b64, len) != KE_OK)
		return KE_FORMAT;
	r = ssh_key_blob(k, blob, len);
	if (r != KE_OK)
		return r;
	/* the word before the blob says the same as the blob */
	len = (size_t)(blank - line);
	if (len != strlen(kinds[k->kind].name) || memcmp(line, kinds[k->kind].name, len) != 0)
		return KE_FORMAT;
	return KE_OK;
}

void ssh_key_print(char out[SSH_PRINT_LEN + 1], const struct ssh_key *k)
{
	char b64[TEXT_B64_LEN(32) + 1];
	uint8_t digest[32];

	hash_sha256(digest, k->blob, k->blob_len);
	text_b64(b64, digest, sizeof(digest));
	memcpy(out, "SHA256:", 7);
	memcpy(out + 7, b64, SSH_PRINT_LEN - 7);
	out[SSH_PRINT_LEN] = '\0';
}

/* --- signatures --- */

/* What a signature blob holds (PROTOCOL.sshsig), and the fields of its inner signature. */
struct sig {
	struct rest ns, hash, inner;
	uint8_t rs[64]; /* r ‖ s of ECDSA, or Ed25519's 64 bytes */
	uint8_t flags;
	uint32_t counter;
};

/* Takes the lines of the armor together and decodes them. */
static int dearmor(uint8_t *raw, size_t *raw_len, const char *armor, size_t n)
{
	char b64[SSH_ARMOR_MAX];
	size_t len = 0;

	if (n > SSH_ARMOR_MAX || n < strlen(BEGIN) || memcmp(armor, BEGIN, strlen(BEGIN)) != 0)
		return KE_FORMAT;
	if (armor[n - 1] == '\n')
		n--;
	if (n < strlen(BEGIN END) || memcmp(armor + n - strlen(END), END, strlen(END)) != 0)
		return KE_FORMAT;
	for (size_t i = strlen(BEGIN); i < n - strlen(END); i++)
		if (armor[i] != '\n')
			b64[len++] = armor[i];
	return text_unb64(raw, SIG_RAW_MAX, raw_len, b64, len) == KE_OK ? KE_OK : KE_FORMAT;
}

static int read_envelope(struct sig *s, struct ssh_key *k, const uint8_t *raw, size_t n)
{
	struct rest in = {raw, n, false}, magic = take(&in, MAGIC_LEN), key, reserved;

	if (!is_text(&magic, MAGIC))
		return KE_FORMAT;
	if (take_u32(&in) != 1)
		return in.bad ? KE_FORMAT : KE_VERSION;
	key = take_string(&in);
	s->ns = take_string(&in);
	reserved = take_string(&in);
	s->hash = take_string(&in);
	s->inner = take_string(&in);
	if (!at_end(&in) || reserved.n != 0)
		return KE_FORMAT;
	return ssh_key_blob(k, key.p, key.n);
}

/* A positive number of up to 256 bits in its only form (RFC 4251 section 5, mpint). */
static int read_number(uint8_t out[32], struct rest *in)
{
	struct rest v = take_string(in);

	if (v.bad || v.n == 0 || (v.p[0] & 0x80) != 0)
		return KE_FORMAT;
	if (v.p[0] == 0) {
		if (v.n == 1 || (v.p[1] & 0x80) == 0)
			return KE_FORMAT;
		v.p++;
		v.n--;
	}
	if (v.n > 32)
		return KE_FORMAT;
	memset(out, 0, 32);
	memcpy(out + 32 - v.n, v.p, v.n);
	return KE_OK;
}

static int read_rs(struct sig *s, bool p256, struct rest *in)
{
	struct rest v = take_string(in);

	if (v.bad)
		return KE_FORMAT;
	if (!p256) {
		if (v.n != sizeof(s->rs))
			return KE_FORMAT;
		memcpy(s->rs, v.p, sizeof(s->rs));
		return KE_OK;
	}
	if (read_number(s->rs, &v) != KE_OK || read_number(s->rs + 32, &v) != KE_OK)
		return KE_FORMAT;
	return at_end(&v) ? KE_OK : KE_FORMAT;
}

static int read_inner(struct sig *s, const struct ssh_key *k)
{
	struct rest in = s->inner, name = take_string(&in);

	if (!is_text(&name, kinds[k->kind].name))
		return KE_FORMAT;
	if (read_rs(s, is_p256(k->kind), &in) != KE_OK)
		return KE_FORMAT;
	if (kinds[k->kind].sk) {
		s->flags = take_u8(&in);
		s->counter = take_u32(&in);
	}
	return at_end(&in) ? KE_OK : KE_FORMAT;
}

static size_t put_string(uint8_t *to, const void *p, size_t n)
{
	be_put32(to, (uint32_t)n);
	if (n > 0)
		memcpy(to + 4, p, n);
	return 4 + n;
}

#define SIGNED_MAX (MAGIC_LEN + 4 + 64 + 4 + 4 + 6 + 4 + 64)

/* What was signed: the magic word, namespace, nothing, the hash's name and the hash. 0: none. */
static size_t signed_bytes(
    uint8_t out[SIGNED_MAX], const struct sig *s, const void *msg, size_t msg_len)
{
	uint8_t digest[64];
	size_t n = MAGIC_LEN, len;

	if (is_text(&s->hash, "sha512")) {
		crypto_hash_sha512(digest, msg, msg_len);
		len = 64;
	} else if (is_text(&s->hash, "sha256")) {
		hash_sha256(digest, msg, msg_len);
		len = 32;
	} else {
		return 0;
	}
	memcpy(out, MAGIC, MAGIC_LEN);
	n += put_string(out + n, s->ns.p, s->ns.n);
	n += put_string(out + n, NULL, 0);
	n += put_string(out + n, s->hash.p, s->hash.n);
	return n + put_string(out + n, digest, len);
}

/* A FIDO authenticator signs the application, its flags, its counter and the hash of the rest. */
static size_t fido_bytes(
    uint8_t out[69], const struct ssh_key *k, const struct sig *s, const uint8_t *tbs, size_t n)
{
	memcpy(out, k->app_hash, 32);
	out[32] = s->flags;
	be_put32(out + 33, s->counter);
	hash_sha256(out + 37, tbs, n);
	return 69;
}

static int check(const struct ssh_key *k, const struct sig *s, const void *msg, size_t msg_len)
{
	uint8_t plain[SIGNED_MAX], fido[69], digest[32];
	const uint8_t *tbs = plain;
	size_t n = signed_bytes(plain, s, msg, msg_len);

	if (n == 0)
		return KE_VERSION;
	if (kinds[k->kind].sk) {
		if ((s->flags & USER_PRESENT) == 0)
			return KE_DENIED;
		n = fido_bytes(fido, k, s, plain, n);
		tbs = fido;
	}
	if (is_p256(k->kind)) {
		hash_sha256(digest, tbs, n);
		return p256_verify(k->pub, digest, s->rs);
	}
	return crypto_sign_verify_detached(s->rs, tbs, n, k->pub) == 0 ? KE_OK : KE_CRYPTO;
}

int sshsig_verify(struct ssh_key *signer, const char *ns, const char *armor, size_t n,
    const void *msg, size_t msg_len)
{
	uint8_t raw[SIG_RAW_MAX];
	struct sig s = {0};
	size_t len;
	int r = dearmor(raw, &len, armor, n);

	if (r == KE_OK)
		r = read_envelope(&s, signer, raw, len);
	if (r == KE_OK)
		r = read_inner(&s, signer);
	if (r != KE_OK)
		return r;
	if (strlen(ns) > 64 || !is_text(&s.ns, ns))
		return KE_DENIED;
	return check(signer, &s, msg, msg_len);
}
