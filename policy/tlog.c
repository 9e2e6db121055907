/*
 * Checkpoints, cosignatures and proofs of transparency logs. Pure; see tlog.h. Policies are in
 * tlog_policy.c.
 */
#include "policy/tlog.h"

#include <sodium.h>
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

/* --- proofs --- */

static void io_extra(struct canon *io, struct tlog_proof *p)
{
	if (canon_reads(io) ? !canon_at(io, "extra ") : p->extra_len == 0)
		return;
	canon_lit(io, "extra ");
	canon_b64(io, p->extra, sizeof(p->extra), &p->extra_len);
	canon_lit(io, "\n");
}

static void io_path(struct canon *io, struct tlog_proof *p)
{
	size_t n = 0;

	while (io->err == KE_OK && (canon_reads(io) ? !canon_at(io, "\n") : n < p->path_len)) {
		if (n == TLOG_PATH_MAX) {
			canon_fail(io, KE_LIMIT);
			return;
		}
		io_hash(io, p->path[n++]);
	}
	p->path_len = n;
	canon_lit(io, "\n");
}

static void io_proof(struct canon *io, struct tlog_proof *p)
{
	canon_lit(io, TLOG_PROOF_HEAD);
	io_extra(io, p);
	canon_u64_line(io, "index ", &p->index);
	io_path(io, p);
}

int tlog_proof_text(const struct tlog_proof *p, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct tlog_proof copy = *p;

	if (p->extra_len > TLOG_EXTRA_MAX || p->path_len > TLOG_PATH_MAX)
		return KE_RANGE;
	io_proof(&io, &copy);
	if (io.err == KE_OK && p->note_len > cap - io.len)
		return KE_FULL;
	if (io.err == KE_OK)
		memcpy(out + io.len, p->note, p->note_len);
	*len = io.len + p->note_len;
	return io.err;
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
