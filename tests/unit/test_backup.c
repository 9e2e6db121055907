/*
 * The backup file and its manifest (policy/backup.h): what is written is read, in pieces of any
 * size; a file that is cut anywhere, has a bit flipped anywhere, or says more than a backup may, is
 * not taken for a good one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/backup.h"
#include "policy/purpose.h"

static const struct {
	unsigned name;
	const char *text;
} content[] = {{BACKUP_STORE, "a store, encrypted"}, {BACKUP_LOG, ""},
    {BACKUP_CHECK, "klero-check"}, {BACKUP_KEYS, "appliance 00\n"},
    {BACKUP_CONF, "host localhost\nsection store 3\nend\n"}};
#define SECTIONS (sizeof content / sizeof content[0])

static void fill(struct backup_manifest *m)
{
	*m = (struct backup_manifest){
	    .made_s = 1800000000, .schema = 3, .audit = 7, .anchor = 2, .log_key = 1, .needs = 2};
	snprintf(m->program, sizeof m->program, "0.1.0");
	memset(m->appliance, 0xab, sizeof m->appliance);
	memset(m->audit_hash, 0xcd, sizeof m->audit_hash);
	m->need[0] = (struct backup_need){KEY_MASTER, 1};
	m->need[1] = (struct backup_need){KEY_SEED, 3};
	for (size_t i = 0; i < SECTIONS; i++) {
		struct backup_section *s = &m->section[m->sections++];

		*s = (struct backup_section){
		    .name = content[i].name, .len = strlen(content[i].text)};
		hash_sha256(s->hash, content[i].text, s->len);
	}
}

static size_t append(char *file, size_t n, const void *p, size_t len)
{
	memcpy(file + n, p, len);
	return n + len;
}

static size_t append_line(char *file, size_t n, unsigned name, uint64_t len)
{
	return n + backup_line(file + n, name, len);
}

/* A file as kleroctl writes it; the signature is not looked at here. */
static size_t make_file(char *file)
{
	static const char signature[] = "\n\xe2\x80\x94 localhost/klero/log AAAA\n";
	struct backup_manifest m;
	char note[BACKUP_NOTE_MAX];
	size_t n, len;

	fill(&m);
	n = append(file, 0, BACKUP_MAGIC, strlen(BACKUP_MAGIC));
	for (size_t i = 0; i < SECTIONS; i++) {
		n = append_line(file, n, content[i].name, strlen(content[i].text));
		n = append(file, n, content[i].text, strlen(content[i].text));
	}
	assert_int_equal(backup_text(&m, note, sizeof note, &len), KE_OK);
	len = append(note, len, signature, strlen(signature));
	n = append_line(file, n, BACKUP_NAMES, len);
	n = append(file, n, note, len);
	return append(file, n, BACKUP_END, strlen(BACKUP_END));
}

/* Is it a whole file whose sections are what its manifest says? */
static int judge(const char *file, size_t n, size_t step)
{
	static struct backup_reader r;
	struct backup_manifest m;
	const char *end;
	unsigned which;
	int e;

	backup_reader_init(&r);
	for (size_t at = 0; at < n;) {
		struct backup_piece piece;
		size_t used;

		e = backup_read(
		    &r, (const uint8_t *)file + at, n - at < step ? n - at : step, &used, &piece);
		if (e != KE_OK)
			return e;
		at += used;
	}
	e = backup_read_end(&r);
	if (e != KE_OK)
		return e;
	end = memmem(r.note, r.note_len, "\n\n", 2);
	if (end == NULL || backup_parse(&m, r.note, (size_t)(end - r.note) + 1) != KE_OK)
		return KE_FORMAT;
	return backup_compare(&m, &r.found, &which);
}

static void test_whole(void **state)
{
	char file[8192];
	size_t n = make_file(file);

	(void)state;
	for (size_t step = 1; step <= n; step++)
		assert_int_equal(judge(file, n, step), KE_OK);
}

static void test_cut(void **state)
{
	char file[8192];
	size_t n = make_file(file);

	(void)state;
	for (size_t len = 0; len < n; len++)
		assert_int_equal(judge(file, len, 7), KE_SHORT);
	file[n] = '\n';
	assert_int_equal(judge(file, n + 1, 4096), KE_FORMAT);
}

/* But for the signature and its name, which are hsm's to judge. */
static void test_flipped(void **state)
{
	char file[8192];
	size_t n = make_file(file), from;
	struct backup_manifest had, m;

	(void)state;
	fill(&had);
	from = (size_t)((char *)memmem(file, n, "manifest ", 9) - file);
	for (size_t bit = 0; bit < from * 8; bit++) {
		file[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_not_equal(judge(file, n, 4096), KE_OK);
		file[bit / 8] ^= (char)(1 << bit % 8);
	}
	/* within the manifest's text: it says something else, then, and its signature fails */
	from = (size_t)((char *)memmem(file + from, n - from, BACKUP_MAGIC, 21) - file);
	for (size_t at = from; file[at] != '\n' || file[at + 1] != '\n'; at++) {
		size_t len = (size_t)((char *)memmem(file + from, n - from, "\n\n", 2) - file) + 1;

		file[at] ^= 1;
		if (backup_parse(&m, file + from, len - from) == KE_OK)
			assert_memory_not_equal(&m, &had, sizeof m);
		file[at] ^= 1;
	}
}

static void test_order(void **state)
{
	static const char *const bad[] = {
	    "kleroterion backup v1\nsection log 0\nsection store 1\nx",
	    "kleroterion backup v1\nsection store 1\nxsection store 1\nx",
	    "kleroterion backup v1\nsection other 1\nx",
	    "kleroterion backup v1\nsection store 01\nx",
	    "kleroterion backup v1\nsection store 18446744073709551616\nx",
	    "kleroterion backup v1\nsection store -1\nx",
	    "kleroterion backup v1\nmanifest 4\nabcdend\n", /* of what? */
	    "kleroterion backup v1\nend\n",
	    "SQLite format 3\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(judge(bad[i], strlen(bad[i]), 4096), KE_FORMAT);
	assert_int_equal(judge("kleroterion backup v2\nx", 23, 4096), KE_VERSION);
	assert_int_equal(judge("kleroterion backup v17\nx", 24, 1), KE_VERSION);
}

static void test_manifest(void **state)
{
	struct backup_manifest m, other;
	char text[BACKUP_TEXT_MAX];
	unsigned which = 0;
	size_t n;

	(void)state;
	fill(&m);
	assert_true(backup_whole(&m));
	assert_int_equal(backup_text(&m, text, sizeof text, &n), KE_OK);
	assert_int_equal(backup_parse(&other, text, n), KE_OK);
	assert_memory_equal(&m, &other, sizeof m);
	for (size_t cap = 0; cap < n; cap++)
		assert_int_equal(backup_text(&m, text, cap, &(size_t){0}), KE_FULL);
	/* the same facts, whatever the sections */
	other.sections = 0;
	assert_true(backup_same_facts(&m, &other));
	assert_false(backup_whole(&other));
	other.audit++;
	assert_false(backup_same_facts(&m, &other));
	/* one section less, one that differs */
	other = m;
	other.sections--;
	assert_int_equal(backup_compare(&m, &other, &which), KE_CRYPTO);
	assert_int_equal(which, BACKUP_NAMES);
	other = m;
	other.section[3].len++;
	assert_int_equal(backup_compare(&m, &other, &which), KE_CRYPTO);
	assert_int_equal(which, BACKUP_KEYS);
	other = m;
	other.section[3].name++;
	assert_int_equal(backup_compare(&m, &other, &which), KE_CRYPTO);
	assert_int_equal(which, BACKUP_NAMES);
	/* sections out of their order, and a text that goes on */
	other = m;
	other.section[3] = m.section[2];
	assert_int_equal(backup_text(&other, text, sizeof text, &n), KE_FORMAT);
	assert_false(
	    backup_same_facts(&m, &(struct backup_manifest){.need = {{KEY_SEED, 1}}, .needs = 1}));
	assert_int_equal(backup_text(&m, text, sizeof text - 1, &n), KE_OK);
	text[n] = '\n';
	assert_int_equal(backup_parse(&other, text, n + 1), KE_FORMAT);
	/* what has no text has no facts that could be the same */
	other = m;
	other.program[0] = '+';
	assert_false(backup_same_facts(&m, &other));
	assert_false(backup_same_facts(&other, &m));
	/* as many needs as there is room for, and one more */
	other = m;
	other.needs = 0;
	while (other.needs < BACKUP_NEEDS_MAX)
		other.need[other.needs++] = (struct backup_need){KEY_SEED, 999999};
	assert_int_equal(backup_text(&other, text, sizeof text, &n), KE_OK);
	assert_int_equal(backup_parse(&m, text, n), KE_OK);
	assert_int_equal(m.needs, BACKUP_NEEDS_MAX);
}

/* What comes in pieces of other sizes than a line's, a note's or a file's. */
static void test_pieces(void **state)
{
	static const char *const bad[] = {
	    "kleroterion backup v1\nsection store 1 \nx",
	    "kleroterion backup v1\nmanifest 0\n",
	    "kleroterion backup v1\nsection "
	    "a-name-that-is-longer-than-any-line-of-ours-is-allowed-to"
	    "-be-and-longer-still-and-still-longer-than-that 1\nx",
	    "kleroterion backup\n",
	    "kleroterion backup v1 and then much more than a line of ours has room for, so that it "
	    "is "
	    "no line at all, whatever it says\n",
	};
	static struct backup_reader r;
	struct backup_piece piece;
	char file[8192], line[64];
	size_t n = make_file(file), at, used;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		for (size_t step = 1; step < 100; step += 33)
			if (judge(bad[i], strlen(bad[i]), step) == KE_OK)
				fail_msg("%s", bad[i]);
	/* a manifest of more than there is room for */
	at = (size_t)((char *)memmem(file, n, "manifest ", 9) - file);
	snprintf(line, sizeof line, "manifest %zu\n", sizeof r.note + 1);
	memcpy(file + at, line, strlen(line));
	assert_int_equal(judge(file, at + strlen(line), 4096), KE_FORMAT);
	/* nothing more is read of what was broken, nor taken for cut off */
	backup_reader_init(&r);
	assert_int_equal(backup_read(&r, (const uint8_t *)"", 0, &used, &piece), KE_OK);
	assert_int_equal(backup_read(&r, (const uint8_t *)"x\n", 2, &used, &piece), KE_FORMAT);
	assert_int_equal(backup_read(&r, (const uint8_t *)"x", 1, &used, &piece), KE_FORMAT);
	assert_int_equal(backup_read(&r, (const uint8_t *)"", 0, &used, &piece), KE_FORMAT);
	assert_int_equal(backup_read_end(&r), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_flipped),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_manifest),
	    cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
