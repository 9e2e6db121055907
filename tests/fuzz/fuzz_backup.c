/*
 * Fuzz target: a backup file and its manifest. However the file comes in pieces, the same is read;
 * every byte of a section is handed out once, with its true hash; a file that is read to its end is
 * what the writers here would write of it; a manifest that is read is written as the very same
 * text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

struct copy {
	uint8_t *p;
	size_t n, cap;
};

static void add(struct copy *c, const void *p, size_t n)
{
	must(c->n + n <= c->cap);
	memcpy(c->p + c->n, p, n);
	c->n += n;
}

static void add_line(struct copy *c, unsigned name, uint64_t len)
{
	char line[BACKUP_LINE_MAX];

	add(c, line, backup_line(line, name, len));
}

static void take(struct backup_reader *r, const struct backup_piece *piece, struct copy *c)
{
	if (piece->name == BACKUP_NAMES)
		return;
	must(r->found.sections > 0 && r->found.section[r->found.sections - 1].name == piece->name);
	if (piece->first)
		add_line(c, piece->name, r->found.section[r->found.sections - 1].len);
	add(c, piece->p, piece->n);
}

/* Reads all of it, step bytes at a time; writes it again into c. */
static int read_in(
    struct backup_reader *r, const uint8_t *data, size_t size, size_t step, struct copy *c)
{
	add(c, BACKUP_MAGIC, strlen(BACKUP_MAGIC));
	backup_reader_init(r);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < step ? size - at : step, used;
		struct backup_piece piece;
		int e = backup_read(r, data + at, n, &used, &piece);

		must(used <= n);
		if (e != KE_OK)
			return e;
		must(used > 0);
		take(r, &piece, c);
		at += used;
	}
	return backup_read_end(r);
}

static void check_hashes(const struct backup_reader *r, const struct copy *c)
{
	size_t at = strlen(BACKUP_MAGIC);

	for (size_t i = 0; i < r->found.sections; i++) {
		const struct backup_section *s = &r->found.section[i];
		char line[BACKUP_LINE_MAX];
		uint8_t hash[32];

		at += backup_line(line, s->name, s->len);
		hash_sha256(hash, c->p + at, (size_t)s->len);
		must(memcmp(hash, s->hash, 32) == 0);
		at += (size_t)s->len;
	}
}

static void check_file(const uint8_t *data, size_t size)
{
	static struct backup_reader whole, bits;
	struct copy c = {.cap = 2 * size + 4096}, d = {.cap = 2 * size + 4096};
	int r, s;

	c.p = malloc(c.cap);
	d.p = malloc(d.cap);
	must(c.p != NULL && d.p != NULL);
	r = read_in(&whole, data, size, size + 1, &c);
	s = read_in(&bits, data, size, 3, &d);
	must(r == s && c.n == d.n && memcmp(c.p, d.p, c.n) == 0);
	if (r == KE_OK) {
		check_hashes(&whole, &c);
		add_line(&c, BACKUP_NAMES, whole.note_len);
		add(&c, whole.note, whole.note_len);
		add(&c, BACKUP_END, strlen(BACKUP_END));
		must(c.n == size && memcmp(c.p, data, size) == 0);
	}
	free(c.p);
	free(d.p);
}

static void check_manifest(const char *s, size_t n)
{
	static struct backup_manifest m, other;
	static char again[BACKUP_TEXT_MAX * 4];
	unsigned which;
	size_t len;

	if (n > sizeof again || backup_parse(&m, s, n) != KE_OK)
		return;
	must(backup_text(&m, again, sizeof again, &len) == KE_OK);
	must(len == n && memcmp(again, s, n) == 0);
	other = m;
	must(backup_compare(&m, &other, &which) == KE_OK);
	if (m.sections == 0)
		return;
	other.section[0].hash[0] ^= 1;
	must(backup_compare(&m, &other, &which) == KE_CRYPTO && which == m.section[0].name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_file(data, size);
	check_manifest((const char *)data, size);
	return 0;
}
