/*
 * The backup file and its manifest: see backup.h. Pure.
 */
#include "policy/backup.h"

#include <stdio.h>
#include <string.h>

#include "policy/canon.h"
#include "policy/purpose.h"
#include "policy/text.h"

const char *const backup_words[BACKUP_NAMES] = {
#define X(name, word, required) word,
    BACKUP_LIST(X)
#undef X
};

static const bool is_required[BACKUP_NAMES] = {
#define X(name, word, required) required,
    BACKUP_LIST(X)
#undef X
};

/* --- the manifest --- */

static void need_lines(struct canon *io, struct backup_manifest *m)
{
	size_t i = 0;

	for (; canon_more(io, "need ", i, m->needs, BACKUP_NEEDS_MAX); i++) {
		canon_lit(io, "need ");
		canon_choice(io, purpose_words, KEY_PURPOSES, &m->need[i].purpose);
		canon_lit(io, " ");
		canon_u64(io, &m->need[i].version);
		canon_lit(io, "\n");
	}
	m->needs = i;
}

static void section_lines(struct canon *io, struct backup_manifest *m)
{
	size_t i = 0;

	for (; canon_more(io, "section ", i, m->sections, BACKUP_NAMES); i++) {
		struct backup_section *s = &m->section[i];

		canon_lit(io, "section ");
		canon_choice(io, backup_words, BACKUP_NAMES, &s->name);
		canon_lit(io, " ");
		canon_u64(io, &s->len);
		canon_lit(io, " ");
		canon_hex(io, s->hash, sizeof s->hash);
		canon_lit(io, "\n");
		if (io->err == KE_OK && i > 0 && m->section[i - 1].name >= s->name)
			canon_fail(io, KE_FORMAT);
	}
	m->sections = i;
}

static void text(struct canon *io, struct backup_manifest *m)
{
	canon_lit(io, BACKUP_MAGIC);
	canon_u64_line(io, "made ", &m->made_s);
	canon_hex_line(io, "appliance ", m->appliance, sizeof m->appliance);
	canon_lit(io, "program ");
	canon_name(io, m->program, sizeof m->program);
	canon_lit(io, "\n");
	canon_u64_line(io, "schema ", &m->schema);
	canon_lit(io, "audit ");
	canon_u64(io, &m->audit);
	canon_lit(io, " ");
	canon_hex(io, m->audit_hash, sizeof m->audit_hash);
	canon_lit(io, "\n");
	canon_u64_line(io, "anchor ", &m->anchor);
	canon_u64_line(io, "log-key ", &m->log_key);
	need_lines(io, m);
	section_lines(io, m);
	canon_lit(io, BACKUP_END);
}

int backup_text(const struct backup_manifest *m, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct backup_manifest copy = *m;

	text(&io, &copy);
	*len = io.len;
	return io.err;
}

int backup_parse(struct backup_manifest *m, const char *s, size_t n)
{
	struct canon io = {.in = (const uint8_t *)s, .cap = n};

	*m = (struct backup_manifest){.needs = 0};
	text(&io, m);
	return io.err == KE_OK && io.len == n ? KE_OK : KE_FORMAT;
}

bool backup_whole(const struct backup_manifest *m)
{
	for (unsigned name = 0; name < BACKUP_NAMES; name++) {
		size_t i = 0;

		while (i < m->sections && m->section[i].name != name)
			i++;
		if (i == m->sections && is_required[name])
			return false;
	}
	return true;
}

bool backup_same_facts(const struct backup_manifest *a, const struct backup_manifest *b)
{
	char one[BACKUP_TEXT_MAX], other[BACKUP_TEXT_MAX];
	struct backup_manifest bare_a = *a, bare_b = *b;
	size_t n, m;

	bare_a.sections = 0;
	bare_b.sections = 0;
	return backup_text(&bare_a, one, sizeof one, &n) == KE_OK &&
	       backup_text(&bare_b, other, sizeof other, &m) == KE_OK && n == m &&
	       memcmp(one, other, n) == 0;
}

int backup_compare(
    const struct backup_manifest *m, const struct backup_manifest *found, unsigned *which)
{
	*which = BACKUP_NAMES;
	if (m->sections != found->sections)
		return KE_CRYPTO;
	for (size_t i = 0; i < m->sections; i++) {
		const struct backup_section *a = &m->section[i], *b = &found->section[i];

		if (a->name != b->name)
			return KE_CRYPTO;
		if (a->len != b->len || memcmp(a->hash, b->hash, HASH_LEN) != 0) {
			*which = a->name;
			return KE_CRYPTO;
		}
	}
	return KE_OK;
}

/* --- the file --- */

size_t backup_line(char out[BACKUP_LINE_MAX], unsigned name, uint64_t len)
{
	bool manifest = name >= BACKUP_NAMES;
	int n = snprintf(out, BACKUP_LINE_MAX, "%s%s %llu\n", manifest ? "" : "section ",
	    manifest ? "manifest" : backup_words[name], (unsigned long long)len);

	return n > 0 ? (size_t)n : 0;
}

enum state { BEGIN, BETWEEN, INSIDE, LAST, DONE, BROKEN };

void backup_reader_init(struct backup_reader *r)
{
	memset(r, 0, sizeof *r);
	r->name = BACKUP_NAMES;
}

/* "kleroterion backup v<n>" with another number: made by another program. */
static int bad_magic(const struct backup_reader *r)
{
	static const char any[] = "kleroterion backup v";

	return r->line_len > sizeof any - 1 && memcmp(r->line, any, sizeof any - 1) == 0
		   ? KE_VERSION
		   : KE_FORMAT;
}

static int begin_manifest(struct backup_reader *r)
{
	if (r->left == 0 || r->left > sizeof r->note || !backup_whole(&r->found))
		return KE_FORMAT;
	r->name = BACKUP_NAMES;
	r->state = INSIDE;
	return KE_OK;
}

static int begin_section(struct backup_reader *r, unsigned name)
{
	struct backup_section *s = &r->found.section[r->found.sections];

	if (r->found.sections > 0 && s[-1].name >= name)
		return KE_FORMAT;
	*s = (struct backup_section){.name = name, .len = r->left};
	r->found.sections++;
	r->name = name;
	hash_run_start(r->run);
	r->state = INSIDE;
	return KE_OK;
}

/* "section <name> <length>" or "manifest <length>" */
static int take_head(struct backup_reader *r)
{
	struct canon io = {.in = (const uint8_t *)r->line, .cap = r->line_len};
	bool manifest = canon_at(&io, "manifest ");
	unsigned name = BACKUP_NAMES;

	canon_lit(&io, manifest ? "manifest " : "section ");
	if (!manifest) {
		canon_choice(&io, backup_words, BACKUP_NAMES, &name);
		canon_lit(&io, " ");
	}
	canon_u64(&io, &r->left);
	canon_lit(&io, "\n");
	if (io.err != KE_OK || io.len != r->line_len)
		return KE_FORMAT;
	return manifest ? begin_manifest(r) : begin_section(r, name);
}

static int take_line(struct backup_reader *r)
{
	const char *want = r->state == BEGIN ? BACKUP_MAGIC : BACKUP_END;

	if (r->state == BETWEEN)
		return take_head(r);
	if (r->line_len != strlen(want) || memcmp(r->line, want, r->line_len) != 0)
		return r->state == BEGIN ? bad_magic(r) : KE_FORMAT;
	r->state = r->state == BEGIN ? BETWEEN : DONE;
	return KE_OK;
}

/* Collects a line and, at its end, takes it. */
static int read_line(struct backup_reader *r, const uint8_t *p, size_t n, size_t *used)
{
	while (*used < n) {
		char c = (char)p[(*used)++];
		int e;

		if (r->line_len == sizeof r->line)
			return r->state == BEGIN ? bad_magic(r) : KE_FORMAT;
		r->line[r->line_len++] = c;
		if (c != '\n')
			continue;
		e = take_line(r);
		r->line_len = 0;
		return e;
	}
	return KE_OK;
}

static void end_inside(struct backup_reader *r)
{
	if (r->name == BACKUP_NAMES) {
		r->state = LAST;
		return;
	}
	hash_run_end(r->found.section[r->found.sections - 1].hash, r->run);
	r->state = BETWEEN;
}

static void read_inside(
    struct backup_reader *r, const uint8_t *p, size_t n, size_t *used, struct backup_piece *piece)
{
	size_t k = r->left < n ? (size_t)r->left : n;

	*used = k;
	if (r->name == BACKUP_NAMES) {
		memcpy(r->note + r->note_len, p, k);
		r->note_len += k;
	} else {
		uint64_t whole = r->found.section[r->found.sections - 1].len;

		*piece = (struct backup_piece){r->name, p, k, r->left == whole, r->left == k};
		hash_run_add(r->run, p, k);
	}
	r->left -= k;
	if (r->left == 0)
		end_inside(r);
}

int backup_read(
    struct backup_reader *r, const uint8_t *p, size_t n, size_t *used, struct backup_piece *piece)
{
	int e = KE_OK;

	*used = 0;
	*piece = (struct backup_piece){.name = BACKUP_NAMES};
	if (n == 0)
		return r->state == BROKEN ? KE_FORMAT : KE_OK;
	if (r->state == INSIDE && r->left > 0)
		read_inside(r, p, n, used, piece);
	else if (r->state == DONE || r->state == BROKEN)
		e = KE_FORMAT; /* nothing may follow the end */
	else
		e = read_line(r, p, n, used);
	/* a section of no bytes is over with its line */
	if (e == KE_OK && r->state == INSIDE && r->left == 0) {
		read_inside(r, p, 0, &(size_t){0}, piece);
		piece->p = p;
	}
	if (e != KE_OK)
		r->state = BROKEN;
	return e;
}

int backup_read_end(const struct backup_reader *r)
{
	return r->state == DONE ? KE_OK : r->state == BROKEN ? KE_FORMAT : KE_SHORT;
}
