/*
 * C2SP signed notes: verifier keys, signature lines and verification. Pure; notes and keys come
 * from strangers. https://c2sp.org/signed-note
 */
#include "policy/note.h"

#include <sodium.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/p256.h"
#include "policy/text.h"

_Static_assert(NOTE_SIG_MAX >= P256_DER_MAX, "the longest signature of ours");
#define DASH_LEN (sizeof(NOTE_DASH) - 1)

/* --- names and keys --- */

/* White space of Unicode beyond ASCII, which names must not contain. */
static const char *const space[] = {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\xa8",
    "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

static bool is_space(const char *s, size_t len)
{
	if (len == 1)
		return (uint8_t)*s <= 0x20;
	/* U+2000 to U+200A */
	if (len == 3 && memcmp(s, "\xe2\x80", 2) == 0 && (uint8_t)s[2] <= 0x8a)
		return true;
	for (size_t i = 0; i < sizeof(space) / sizeof(space[0]); i++)
		if (strlen(space[i]) == len && memcmp(s, space[i], len) == 0)
			return true;
	return false;
}

/* Not empty, UTF-8, neither space nor plus. */
static bool name_ok(const char *s, size_t n)
{
	const char *end = s + n;

	if (n == 0)
		return false;
	while (s < end) {
		size_t len = text_utf8_len(s, (size_t)(end - s));

		if (len == 0 || *s == '+' || is_space(s, len))
			return false;
		s += len;
	}
	return true;
}

/* SubjectPublicKeyInfo of a P-256 key (RFC 5480), as far as its point. */
static const uint8_t spki[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

#define KEY_MAX (1 + sizeof(spki) + P256_POINT)

size_t note_pub_len(enum note_type type)
{
	if (type == NOTE_ECDSA)
		return P256_POINT;
	return type == NOTE_ED25519 || type == NOTE_COSIGN ? 32 : 0;
}

/* What a verifier key encodes: type ‖ public key. */
static size_t encode_key(uint8_t out[KEY_MAX], enum note_type type, const uint8_t *pub)
{
	size_t at = 0, n = note_pub_len(type);

	out[at++] = (uint8_t)type;
	if (type == NOTE_ECDSA) {
		memcpy(out + at, spki, sizeof(spki));
		at += sizeof(spki);
	}
	memcpy(out + at, pub, n);
	return at + n;
}

/* The public key in it; only the one encoding of each. */
static int decode_key(struct note_key *k, const uint8_t *key, size_t n)
{
	uint8_t again[KEY_MAX];
	EVP_PKEY *point;
	size_t len;

	if (n == 0)
		return KE_FORMAT;
	len = note_pub_len((enum note_type)key[0]);
	if (len == 0)
		return KE_VERSION;
	k->type = (enum note_type)key[0];
	if (n < 1 + len)
		return KE_FORMAT;
	memcpy(k->pub, key + n - len, len);
	if (encode_key(again, k->type, k->pub) != n || memcmp(again, key, n) != 0)
		return KE_FORMAT;
	if (k->type != NOTE_ECDSA)
		return KE_OK;
	point = p256_key(k->pub);
	EVP_PKEY_free(point);
	return point != NULL ? KE_OK : KE_FORMAT;
}

void note_key_id(uint8_t id[4], const char *name, enum note_type type, const uint8_t *pub)
{
	uint8_t tail[1 + KEY_MAX] = {'\n'}, digest[32];
	size_t n = encode_key(tail + 1, type, pub);

	if (type == NOTE_ECDSA)
		hash_sha256(digest, tail + 2, n - 1);
	else
		hash_sha256_2(digest, name, strlen(name), tail, 1 + n);
	memcpy(id, digest, 4);
}

/* Joins pieces into out with a NUL; *len is the length without it. */
static int join(char *out, size_t cap, size_t *len, const char *const *piece, size_t pieces)
{
	size_t at = 0;

	for (size_t i = 0; i < pieces; i++) {
		size_t n = strlen(piece[i]);

		if (n >= cap - at)
			return KE_FULL;
		memcpy(out + at, piece[i], n + 1);
		at += n;
	}
	*len = at;
	return KE_OK;
}

int note_vkey(const char *name, enum note_type type, const uint8_t *pub, char *out, size_t cap)
{
	uint8_t id[4], key[KEY_MAX];
	char hex[9], b64[TEXT_B64_LEN(KEY_MAX) + 1];
	const char *piece[] = {name, "+", hex, "+", b64};
	size_t len;

	note_key_id(id, name, type, pub);
	text_hex(hex, id, sizeof(id));
	text_b64(b64, key, encode_key(key, type, pub));
	return cap == 0 ? KE_FULL : join(out, cap, &len, piece, 5);
}

static int vkey_parse(struct note_key *k, const char *s, size_t n)
{
	const char *plus = memchr(s, '+', n), *end = s + n;
	uint8_t key[KEY_MAX], id[4];
	size_t name_len, len;
	int r;

	if (plus == NULL)
		return KE_FORMAT;
	name_len = (size_t)(plus - s);
	if (name_len > NOTE_NAME_MAX || !name_ok(s, name_len))
		return KE_FORMAT;
	if (end - plus < 10 || plus[9] != '+' || text_unhex(id, 4, plus + 1, 8) != KE_OK)
		return KE_FORMAT;
	if (text_unb64(key, sizeof(key), &len, plus + 10, (size_t)(end - plus - 10)) != KE_OK)
		return KE_FORMAT;
	r = decode_key(k, key, len);
	if (r != KE_OK)
		return r;
	memcpy(k->name, s, name_len);
	k->name[name_len] = '\0';
	note_key_id(k->id, k->name, k->type, k->pub);
	return memcmp(k->id, id, 4) == 0 ? KE_OK : KE_FORMAT;
}

int note_vkey_parse(struct note_key *k, const char *s, size_t n)
{
	int r = vkey_parse(k, s, n);

	return r == KE_OK && k->type == NOTE_COSIGN ? KE_VERSION : r;
}

int note_witness_parse(struct note_key *k, const char *s, size_t n)
{
	int r = vkey_parse(k, s, n);

	return r == KE_OK && k->type != NOTE_COSIGN ? KE_VERSION : r;
}

bool note_key_same(const struct note_key *a, const struct note_key *b)
{
	return strcmp(a->name, b->name) == 0 && a->type == b->type &&
	       memcmp(a->pub, b->pub, note_pub_len(a->type)) == 0;
}

int note_sig_line(const char *name, enum note_type type, const uint8_t id[4], const uint8_t sig[64],
    char *out, size_t cap, size_t *len)
{
	char b64[TEXT_B64_LEN(4 + NOTE_SIG_MAX) + 1];
	const char *piece[] = {NOTE_DASH, name, " ", b64, "\n"};
	uint8_t both[4 + NOTE_SIG_MAX];
	size_t n = 64;
	int r = KE_OK;

	memcpy(both, id, 4);
	if (type == NOTE_ECDSA)
		r = p256_der(sig, both + 4, &n);
	else
		memcpy(both + 4, sig, n);
	if (r != KE_OK)
		return r;
	text_b64(b64, both, 4 + n);
	return cap == 0 ? KE_FULL : join(out, cap, len, piece, 5);
}

/* --- opening a note --- */

/* The line that begins at p; *next is behind its LF. */
static int line_split(struct note_line *l, const char *p, const char *end, const char **next)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p)), *blank;
	size_t bytes;

	if (lf == NULL || (size_t)(lf - p) < DASH_LEN || memcmp(p, NOTE_DASH, DASH_LEN) != 0)
		return KE_FORMAT;
	*next = lf + 1;
	l->name = p + DASH_LEN;
	blank = memchr(l->name, ' ', (size_t)(lf - l->name));
	if (blank == NULL)
		return KE_FORMAT;
	l->name_len = (size_t)(blank - l->name);
	l->b64 = blank + 1;
	l->b64_len = (size_t)(lf - l->b64);
	if (!name_ok(l->name, l->name_len))
		return KE_FORMAT;
	/* A key id and at least one byte; other algorithms' signatures may have any length. */
	if (text_unb64(NULL, 0, &bytes, l->b64, l->b64_len) != KE_OK || bytes < 5)
		return KE_FORMAT;
	return KE_OK;
}

/* Eight characters hold the key id; the rest may be longer than any signature of ours. */
int note_line_id(const struct note_line *l, const char *name, uint8_t id[4])
{
	uint8_t head[6];
	size_t n;

	if (l->name_len != strlen(name) || memcmp(l->name, name, l->name_len) != 0)
		return KE_NOTFOUND;
	if (text_unb64(head, sizeof(head), &n, l->b64, 8) != KE_OK)
		return KE_NOTFOUND;
	memcpy(id, head, 4);
	return KE_OK;
}

int note_verify(
    const struct note_key *k, const uint8_t *sig, size_t n, const char *text, size_t len)
{
	uint8_t digest[32];

	if (k->type == NOTE_ECDSA) {
		hash_sha256(digest, text, len);
		return p256_verify_der(k->pub, digest, sig, n);
	}
	if (n != crypto_sign_BYTES ||
	    crypto_sign_verify_detached(sig, (const uint8_t *)text, len, k->pub) != 0)
		return KE_CRYPTO;
	return KE_OK;
}

/* KE_NOTFOUND when the line is another key's. */
static int line_verify(
    const struct note_line *l, const struct note_key *k, const char *text, size_t text_len)
{
	uint8_t id[4], sig[4 + NOTE_SIG_MAX];
	size_t n;

	if (note_line_id(l, k->name, id) != KE_OK || memcmp(id, k->id, 4) != 0)
		return KE_NOTFOUND;
	if (text_unb64(sig, sizeof(sig), &n, l->b64, l->b64_len) != KE_OK)
		return KE_CRYPTO;
	return note_verify(k, sig + 4, n - 4, text, text_len);
}

/* UTF-8 without control characters but LF. */
static bool text_ok(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((uint8_t)s[i] < 0x20 && s[i] != '\n')
			return false;
	return text_utf8(s, n) == KE_OK;
}

/* The offset of the first signature line: behind the last empty line. 0: there is none. */
static size_t find_signatures(const char *msg, size_t n)
{
	for (size_t i = n; i >= 2; i--)
		if (msg[i - 1] == '\n' && msg[i - 2] == '\n')
			return i;
	return 0;
}

int note_lines_begin(struct note_lines *l, const char *msg, size_t n, size_t *text_len)
{
	size_t from = find_signatures(msg, n);

	if (from == 0 || from == n || !text_ok(msg, n))
		return KE_FORMAT;
	*l = (struct note_lines){.p = msg + from, .end = msg + n};
	*text_len = from - 1;
	return KE_OK;
}

int note_lines_next(struct note_lines *l, struct note_line *line)
{
	if (l->p == l->end)
		return KE_NOTFOUND;
	if (++l->seen > NOTE_SIGS_MAX)
		return KE_FORMAT;
	return line_split(line, l->p, l->end, &l->p);
}

int note_open(const char *msg, size_t n, const struct note_key *k, size_t *text_len)
{
	struct note_lines lines;
	struct note_line line;
	int result = KE_NOTFOUND, r = note_lines_begin(&lines, msg, n, text_len);

	while (r == KE_OK && (r = note_lines_next(&lines, &line)) == KE_OK) {
		int v = line_verify(&line, k, msg, *text_len);

		/* One wrong signature by this key outweighs a good one. */
		if (v != KE_NOTFOUND && result != KE_CRYPTO)
			result = v;
	}
	return r == KE_NOTFOUND ? result : r;
}

int note_signature(
    const char *msg, size_t n, const struct note_key *k, uint8_t sig[NOTE_SIG_MAX], size_t *len)
{
	uint8_t id[4], both[4 + NOTE_SIG_MAX];
	struct note_lines lines;
	struct note_line line;
	size_t text_len;
	int r = note_lines_begin(&lines, msg, n, &text_len);

	while (r == KE_OK && (r = note_lines_next(&lines, &line)) == KE_OK) {
		if (note_line_id(&line, k->name, id) != KE_OK || memcmp(id, k->id, 4) != 0 ||
		    text_unb64(both, sizeof(both), len, line.b64, line.b64_len) != KE_OK)
			continue;
		*len -= 4;
		memcpy(sig, both + 4, *len);
		return KE_OK;
	}
	return r;
}

int note_signer(const char *msg, size_t n, const char *name, uint8_t id[4])
{
	struct note_lines lines;
	struct note_line line;
	size_t text_len;
	int r = note_lines_begin(&lines, msg, n, &text_len);

	while (r == KE_OK && (r = note_lines_next(&lines, &line)) == KE_OK)
		if (note_line_id(&line, name, id) == KE_OK)
			return KE_OK;
	return r;
}
