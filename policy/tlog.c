/*
 * Checkpoints, cosignatures and proofs of transparency logs. Pure; see tlog.h. Policies are in
 * tlog_policy.c.
 */
#include "policy/tlog.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "policy/be.h"
#include "policy/canon.h"
#include "policy/merkle.h"
#include "policy/text.h"

/* --- checkpoints --- */

/* 32 bytes in base64 */
static void io_hash(struct canon *io, uint8_t hash[32])
{
	size_t n = 32;

	canon_b64(io, hash, 32, &n);
	if (n != 32)
		canon_fail(io, KE_FORMAT);
	canon_lit(io, "\n");
}

static void io_checkpoint(struct canon *io, struct checkpoint *c)
{
	canon_visible(io, c->origin, sizeof(c->origin));
	canon_lit(io, "\n");
	canon_u64_line(io, "", &c->size);
	io_hash(io, c->root);
}

int checkpoint_text(const struct checkpoint *c, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct checkpoint copy = *c;

	io_checkpoint(&io, &copy);
	*len = io.len;
	return io.err == KE_OK || io.err == KE_FULL ? io.err : KE_RANGE;
}

int checkpoint_parse(struct checkpoint *c, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};

	memset(c, 0, sizeof(*c));
	io_checkpoint(&io, c);
	return io.err == KE_OK && io.len == n ? KE_OK : KE_FORMAT;
}

int checkpoint_open(struct checkpoint *c, const char *note, size_t n, const struct note_key *log)
{
	size_t text_len;
	int r = note_open(note, n, log, &text_len);

	if (r == KE_OK)
		r = checkpoint_parse(c, note, text_len);
	if (r == KE_OK && strcmp(c->origin, log->name) != 0)
		r = KE_FORMAT;
	return r;
}

/* --- cosignatures --- */

int cosign_text(uint64_t time_s, const char *text, size_t n, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};

	if (time_s > INT64_MAX)
		return KE_RANGE;
	canon_lit(&io, "cosignature/v1\n");
	canon_u64_line(&io, "time ", &time_s);
	if (io.err == KE_OK && n > cap - io.len)
		return KE_FULL;
	if (io.err == KE_OK)
		memcpy(out + io.len, text, n);
	*len = io.len + n;
	return io.err;
}

static int cosign_check(const struct note_key *w, const struct note_line *line, const char *text,
    size_t n, uint64_t *time_s)
{
	char msg[COSIGN_TEXT_MAX];
	uint8_t sig[4 + COSIGN_LEN], id[4];
	size_t len;

	if (note_line_id(line, w->name, id) != KE_OK || memcmp(id, w->id, 4) != 0)
		return KE_NOTFOUND;
	if (text_unb64(sig, sizeof(sig), &len, line->b64, line->b64_len) != KE_OK ||
	    len != sizeof(sig))
		return KE_CRYPTO;
	*time_s = be_get64(sig + 4);
	if (cosign_text(*time_s, text, n, msg, sizeof(msg), &len) != KE_OK)
		return KE_CRYPTO;
	if (crypto_sign_verify_detached(sig + 12, (const uint8_t *)msg, len, w->pub) != 0)
		return KE_CRYPTO;
	return KE_OK;
}

int cosign_verify(const char *note, size_t n, const struct note_key *w, uint64_t *time_s)
{
	struct note_lines lines;
	struct note_line line;
	size_t text_len;
	uint64_t when = 0;
	int result = KE_NOTFOUND, r = note_lines_begin(&lines, note, n, &text_len);

	*time_s = UINT64_MAX;
	while (r == KE_OK && (r = note_lines_next(&lines, &line)) == KE_OK) {
		int v = cosign_check(w, &line, note, text_len, &when);

		if (v == KE_OK && when < *time_s)
			*time_s = when;
		/* One wrong cosignature by this witness outweighs a good one. */
		if (v != KE_NOTFOUND && result != KE_CRYPTO)
			result = v;
	}
	return r == KE_NOTFOUND ? result : r;
}

int cosign_take(const char *note, size_t note_len, const char *answer, size_t n,
    const struct note_key *w, const char **line, size_t *len, uint64_t *time_s)
{
	struct note_lines head, l = {.p = answer, .end = answer + n};
	struct note_line one;
	size_t text_len;
	int r = note_lines_begin(&head, note, note_len, &text_len);

	while (r == KE_OK) {
		const char *from = l.p;

		r = note_lines_next(&l, &one);
		if (r != KE_OK)
			break;
		r = cosign_check(w, &one, note, text_len, time_s);
		*line = from;
		*len = (size_t)(l.p - from);
		if (r != KE_NOTFOUND)
			return r;
		r = KE_OK;
	}
	return r;
}

int cosign_line(const struct note_key *w, uint64_t time_s, const uint8_t sig[64],
    char out[COSIGN_LINE_MAX], size_t *len)
{
	uint8_t both[4 + COSIGN_LEN];
	char b64[TEXT_B64_LEN(sizeof(both)) + 1];
	int n;

	memcpy(both, w->id, 4);
	be_put64(both + 4, time_s);
	memcpy(both + 12, sig, 64);
	text_b64(b64, both, sizeof(both));
	n = snprintf(out, COSIGN_LINE_MAX, NOTE_DASH "%s %s\n", w->name, b64);
	*len = n > 0 ? (size_t)n : 0;
	return n > 0 && n < COSIGN_LINE_MAX ? KE_OK : KE_FULL;
}

/* --- proofs --- */

static void io_extra(struct canon *io, struct tlog_proof *p)
{
	if (canon_reads(io) ? !canon_at(io, "extra ") : p->extra_len == 0)
		return;
	canon_lit(io, "extra ");
	canon_b64(io, p->extra, sizeof(p->extra), &p->extra_len);
	canon_lit(io, "\n");
}

/* Up to max hashes, a line each, and an empty line. */
static void io_path(struct canon *io, uint8_t (*path)[32], size_t *len, size_t max)
{
	size_t n = 0;

	while (io->err == KE_OK && (canon_reads(io) ? !canon_at(io, "\n") : n < *len)) {
		if (n == max) {
			canon_fail(io, KE_LIMIT);
			return;
		}
		io_hash(io, path[n++]);
	}
	*len = n;
	canon_lit(io, "\n");
}

/* Behind what was written, the note as it is. */
static int put_note(struct canon *io, const char *note, size_t n, size_t *len)
{
	if (io->err == KE_OK && n > io->cap - io->len)
		canon_fail(io, KE_FULL);
	if (io->err == KE_OK)
		memcpy(io->out + io->len, note, n);
	*len = io->len + n;
	return io->err;
}

static void io_proof(struct canon *io, struct tlog_proof *p)
{
	canon_lit(io, TLOG_PROOF_HEAD);
	io_extra(io, p);
	canon_u64_line(io, "index ", &p->index);
	io_path(io, p->path, &p->path_len, TLOG_PATH_MAX);
}

int tlog_proof_text(const struct tlog_proof *p, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct tlog_proof copy = *p;

	if (p->extra_len > TLOG_EXTRA_MAX || p->path_len > TLOG_PATH_MAX)
		return KE_RANGE;
	io_proof(&io, &copy);
	return put_note(&io, p->note, p->note_len, len);
}

int tlog_proof_parse(struct tlog_proof *p, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};

	memset(p, 0, sizeof(*p));
	io_proof(&io, p);
	p->note = text + io.len;
	p->note_len = n - io.len;
	return io.err;
}

int tlog_proof_verify(const struct tlog_proof *p, const uint8_t leaf_hash[32],
    const struct note_key *log, struct checkpoint *c)
{
	int r = checkpoint_open(c, p->note, p->note_len, log);

	if (r != KE_OK)
		return r;
	r = merkle_verify_inclusion(
	    leaf_hash, p->index, c->size, (const uint8_t(*)[32])p->path, p->path_len, c->root);
	return r == KE_OK ? r : KE_CRYPTO;
}

/* --- submissions --- */

static void io_submission(struct canon *io, struct tlog_submission *s)
{
	canon_u64_line(io, TLOG_SUBMISSION_HEADING, &s->old);
	io_path(io, s->path, &s->path_len, TLOG_CONSISTENCY_MAX);
}

int tlog_submission_text(const struct tlog_submission *s, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct tlog_submission copy = *s;

	if (s->path_len > TLOG_CONSISTENCY_MAX)
		return KE_RANGE;
	io_submission(&io, &copy);
	return put_note(&io, s->note, s->note_len, len);
}

int tlog_submission_parse(struct tlog_submission *s, const char *text, size_t n)
{
	struct canon io = {.in = (const uint8_t *)text, .cap = n};

	memset(s, 0, sizeof(*s));
	io_submission(&io, s);
	s->note = text + io.len;
	s->note_len = n - io.len;
	return io.err;
}
