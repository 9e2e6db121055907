/*
 * C2SP signed notes: verifier keys, signature lines and verification. Pure; notes and keys come
 * from strangers. https://c2sp.org/signed-note
 */
#include "policy/note.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/text.h"

#define ED25519  0x01            /* the signature type, first byte of what a vkey encodes */
#define DASH     "\xe2\x80\x94 " /* em dash, space: how a signature line begins */
#define DASH_LEN 4

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

void note_key_id(uint8_t id[4], const char *name, const uint8_t pub[32])
{
	uint8_t tail[2 + 32] = {'\n', ED25519}, digest[32];

	memcpy(tail + 2, pub, 32);
	hash_sha256_2(digest, name, strlen(name), tail, sizeof(tail));
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

int note_vkey(const char *name, const uint8_t pub[32], char *out, size_t cap)
{
	uint8_t id[4], key[33] = {ED25519};
	char hex[9], b64[TEXT_B64_LEN(33) + 1];
	const char *piece[] = {name, "+", hex, "+", b64};
	size_t len;

	note_key_id(id, name, pub);
	text_hex(hex, id, sizeof(id));
	memcpy(key + 1, pub, 32);
	text_b64(b64, key, sizeof(key));
	return cap == 0 ? KE_FULL : join(out, cap, &len, piece, 5);
}

int note_vkey_parse(struct note_key *k, const char *s, size_t n)
{
	const char *plus = memchr(s, '+', n), *end = s + n;
	uint8_t key[33], id[4];
	size_t name_len, len;

	if (plus == NULL)
		return KE_FORMAT;
	name_len = (size_t)(plus - s);
	if (name_len > NOTE_NAME_MAX || !name_ok(s, name_len))
		return KE_FORMAT;
	if (end - plus < 10 || plus[9] != '+' || text_unhex(id, 4, plus + 1, 8) != KE_OK)
		return KE_FORMAT;
	if (text_unb64(key, sizeof(key), &len, plus + 10, (size_t)(end - plus - 10)) != KE_OK)
		return KE_FORMAT;
	if (len != sizeof(key))
		return KE_FORMAT;
	if (key[0] != ED25519)
		return KE_VERSION;
	memcpy(k->name, s, name_len);
	k->name[name_len] = '\0';
	memcpy(k->pub, key + 1, 32);
	note_key_id(k->id, k->name, k->pub);
	return memcmp(k->id, id, 4) == 0 ? KE_OK : KE_FORMAT;
}

int note_sig_line(const char *name, const uint8_t id[4], const uint8_t sig[64], char *out,
    size_t cap, size_t *len)
{
	char b64[TEXT_B64_LEN(68) + 1];
	const char *piece[] = {DASH, name, " ", b64, "\n"};
	uint8_t both[68];

	memcpy(both, id, 4);
	memcpy(both + 4, sig, 64);
	text_b64(b64, both, sizeof(both));
	return cap == 0 ? KE_FULL : join(out, cap, len, piece, 5);
}

/* --- opening a note --- */

/* The line that begins at p; *next is behind its LF. */
static int line_split(struct note_line *l, const char *p, const char *end, const char **next)
{
	const char *lf = memchr(p, '\n', (size_t)(end - p)), *blank;
	size_t bytes;

	if (lf == NULL || lf - p < DASH_LEN || memcmp(p, DASH, DASH_LEN) != 0)
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

/* KE_NOTFOUND when the line is another key's. */
static int line_verify(
    const struct note_line *l, const struct note_key *k, const char *text, size_t text_len)
{
	uint8_t id[4], sig[4 + crypto_sign_BYTES];
	size_t n;

	if (note_line_id(l, k->name, id) != KE_OK || memcmp(id, k->id, 4) != 0)
		return KE_NOTFOUND;
	if (text_unb64(sig, sizeof(sig), &n, l->b64, l->b64_len) != KE_OK || n != sizeof(sig))
		return KE_CRYPTO;
	if (crypto_sign_verify_detached(sig + 4, (const uint8_t *)text, text_len, k->pub) != 0)
		return KE_CRYPTO;
	return KE_OK;
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
