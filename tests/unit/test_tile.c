/*
 * Tiles: paths as c2sp.org/tlog-tiles writes them and nothing else, which tiles a tree has, and
 * proofs from stored subtrees against the verification of RFC 9162, and somebody else's log with
 * its split view.
 */
#include "tests/unit/vectors.h"

#include "policy/audit.h"
#include "policy/hash.h"
#include "policy/leaf.h"
#include "policy/merkle.h"
#include "policy/tile.h"
#include "policy/tile_proof.h"
#include "policy/tlog.h"

/* --- paths --- */

struct path {
	const char *path;
	struct tile t;
};

static const struct path good[] = {
    {"0/000", {false, 0, 0, 256}},
    {"0/000.p/1", {false, 0, 0, 1}},
    {"0/000.p/255", {false, 0, 0, 255}},
    {"1/999", {false, 1, 999, 256}},
    {"0/x001/000", {false, 0, 1000, 256}},
    {"2/x001/x234/067.p/8", {false, 2, 1234067, 8}},
    {"0/x001/x000/000", {false, 0, 1000000, 256}},
    {"entries/x001/x234/067", {true, 0, 1234067, 256}},
    {"entries/000.p/17", {true, 0, 0, 17}},
    {"7/000.p/255", {false, 7, 0, 255}},
    {"0/x072/x057/x594/x037/x927/935.p/255", {false, 0, 72057594037927935, 255}},
};

static const char *const bad[] = {"", "0", "0/", "/000", "0/0", "0/00", "0/0000", "0/000/",
    "0/000/1", "00/000", "8/000", "63/000", "-1/000", "+0/000", "0/-01", "0/0a0", "0/x000/000",
    "0/x000", "0/x1/000", "0/x001/x000", "0/x001", "0/001/000", "0/x001/0", "0/X001/000", "0/000.p",
    "0/000.p/", "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/1/", "0/000.P/1",
    "0/000.p/1.p/1", "0/000p/1", "0/x001.p/1", "0//000", "0/000.p//1", " 0/000", "0/000 ",
    "0/%30%30%30", "0/../000", "0/..", "entries", "entries/", "entries/0", "entries/x000/000",
    "Entries/000", "entry/000", "entries/0/000", "7/000", "7/001.p/1",
    "0/x072/x057/x594/x037/x927/935", "0/x072/x057/x594/x037/x927/936",
    "0/x999/x999/x999/x999/x999/999", "0/x001/x999/x999/x999/x999/x999/x999/999"};

static void test_paths(void **state)
{
	char path[TILE_PATH_MAX + 1];
	struct tile t;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		const struct tile *want = &good[i].t;

		assert_int_equal(tile_parse(&t, good[i].path, strlen(good[i].path)), KE_OK);
		assert_true(t.entries == want->entries && t.level == want->level &&
			    t.n == want->n && t.width == want->width);
		assert_int_equal(tile_path(&t, path), strlen(good[i].path));
		assert_string_equal(path, good[i].path);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		if (tile_parse(&t, bad[i], strlen(bad[i])) != KE_FORMAT)
			fail_msg("%s is accepted", bad[i]);
	assert_int_equal(tile_parse(&t, "0/000\0", 6), KE_FORMAT);
}

static void test_within(void **state)
{
	static const struct {
		const char *path;
		uint64_t least; /* the smallest tree that has it */
	} cases[] = {{"0/000.p/1", 1}, {"0/000", 256}, {"0/001.p/44", 300}, {"entries/001", 512},
	    {"1/000.p/1", 256}, {"1/000.p/2", 512}, {"1/000", 65536}, {"2/000.p/1", 65536},
	    {"7/000.p/1", (uint64_t)1 << 56}, {"7/000.p/255", (uint64_t)255 << 56}};
	struct tile t;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(tile_parse(&t, cases[i].path, strlen(cases[i].path)), KE_OK);
		assert_true(tile_within(&t, cases[i].least));
		assert_false(tile_within(&t, cases[i].least - 1));
		assert_true(tile_within(&t, UINT64_MAX));
	}
	t = (struct tile){.n = UINT64_MAX, .width = 1};
	assert_false(tile_within(&t, UINT64_MAX));
}

/* --- proofs --- */

#define LEAVES 66100
#define LEVELS 3

/* What a log keeps of its tree. */
static uint8_t nodes[LEVELS][LEAVES][32];
static uint64_t have[LEVELS];
static uint8_t roots[LEAVES + 1][32];
static int lost = -1; /* a level that cannot be read */

static int read_nodes(void *arg, unsigned level, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	(void)arg;
	assert_true(n > 0 && n <= TILE_WIDTH / 2 && (n & (n - 1)) == 0);
	assert_int_equal(first / TILE_WIDTH, (first + n - 1) / TILE_WIDTH);
	if ((int)level == lost)
		return KE_IO;
	assert_true(level < LEVELS && first + n <= have[level]);
	memcpy(hash, nodes[level][first], (size_t)n * 32);
	return KE_OK;
}

static const struct tile_reader reader = {read_nodes, NULL};

static int make_tree(void **state)
{
	struct merkle_subtree done[MERKLE_SUBTREES];
	struct merkle_range r;

	(void)state;
	merkle_range_init(&r);
	merkle_range_root(&r, roots[0]);
	for (uint64_t i = 0; i < LEAVES; i++) {
		size_t n;

		merkle_leaf_hash(nodes[0][i], &i, sizeof i);
		have[0]++;
		n = merkle_range_grow(&r, nodes[0][i], done);
		for (size_t k = 0; k < n; k++) {
			/* each once, in order: the level below it is full up to there */
			assert_int_equal(done[k].level, k + 1);
			assert_int_equal(done[k].index, have[done[k].level]++);
			memcpy(nodes[done[k].level][done[k].index], done[k].root, 32);
		}
		merkle_range_root(&r, roots[i + 1]);
	}
	assert_int_equal(have[1], LEAVES / 256);
	assert_int_equal(have[2], 1);
	return 0;
}

/* Small ones all, and around the tiles' edges. */
static uint64_t next_size(uint64_t n)
{
	uint64_t edge = (n + 255) / 256 * 256;

	if (n < 20 || edge - n < 3 || (n > edge - 256 && n < edge - 253))
		return n + 1;
	return n + 61;
}

static void test_root(void **state)
{
	uint8_t root[32];

	(void)state;
	for (uint64_t n = 0; n <= LEAVES; n = next_size(n)) {
		assert_int_equal(tile_root(&reader, n, root), KE_OK);
		assert_memory_equal(root, roots[n], 32);
	}
}

static void check_inclusion(uint64_t i, uint64_t size)
{
	uint8_t path[MERKLE_LEVELS][32];
	size_t n;

	assert_int_equal(tile_inclusion(&reader, i, size, path, &n), KE_OK);
	assert_int_equal(merkle_verify_inclusion(
			     nodes[0][i], i, size, (const uint8_t(*)[32])path, n, roots[size]),
	    KE_OK);
}

static void test_inclusion(void **state)
{
	uint8_t path[MERKLE_LEVELS][32];
	size_t n;

	(void)state;
	for (uint64_t size = 1; size <= 40; size++)
		for (uint64_t i = 0; i < size; i++)
			check_inclusion(i, size);
	for (uint64_t size = 255; size <= LEAVES; size += 1021)
		for (uint64_t i = 0; i < size; i += 4093)
			check_inclusion(i, size);
	check_inclusion(LEAVES - 1, LEAVES);
	assert_int_equal(tile_inclusion(&reader, 7, 7, path, &n), KE_RANGE);
	assert_int_equal(tile_inclusion(&reader, 0, 0, path, &n), KE_RANGE);
	lost = 1;
	assert_int_equal(tile_inclusion(&reader, 3, 1000, path, &n), KE_IO);
	lost = -1;
}

static void check_consistency(uint64_t from, uint64_t to)
{
	uint8_t path[MERKLE_LEVELS + 1][32];
	size_t n;

	assert_int_equal(tile_consistency(&reader, from, to, path, &n), KE_OK);
	assert_int_equal(merkle_verify_consistency(
			     from, to, (const uint8_t(*)[32])path, n, roots[from], roots[to]),
	    KE_OK);
}

static void test_consistency(void **state)
{
	uint8_t path[MERKLE_LEVELS + 1][32];
	size_t n;

	(void)state;
	for (uint64_t to = 1; to <= 40; to++)
		for (uint64_t from = 1; from <= to; from++)
			check_consistency(from, to);
	for (uint64_t to = 255; to <= LEAVES; to += 1021)
		for (uint64_t from = 1; from <= to; from += 4095)
			check_consistency(from, to);
	check_consistency(65536, LEAVES);
	check_consistency(LEAVES - 1, LEAVES);
	assert_int_equal(tile_consistency(&reader, 0, 5, path, &n), KE_RANGE);
	assert_int_equal(tile_consistency(&reader, 6, 5, path, &n), KE_RANGE);
	lost = 0;
	assert_int_equal(tile_consistency(&reader, 300, 301, path, &n), KE_IO);
	lost = -1;
}

/* --- somebody else's log --- */

static uint8_t served[TILE_WIDTH * 32];

/* What that log serves at the path, from the tree that reader reads. */
static size_t serve(const struct tile *t)
{
	uint64_t first = t->n * TILE_WIDTH;
	size_t len = 0;

	if (!t->entries) {
		memcpy(served, nodes[t->level][first], (size_t)t->width * 32);
		return (size_t)t->width * 32;
	}
	for (uint64_t i = first; i < first + t->width; i++) {
		int n = snprintf((char *)served + len + 2, 32, "record %u", (unsigned)i);

		served[len] = 0;
		served[len + 1] = (uint8_t)n;
		len += 2 + (size_t)n;
	}
	return len;
}

static void test_published(void **state)
{
	uint8_t root[32], digest[32];
	struct merkle_subtree done[MERKLE_SUBTREES];
	struct merkle_range r;
	struct vectors v;
	struct tile t;
	unsigned tiles = 0;

	(void)state;
	merkle_range_init(&r);
	have[1] = 0;
	for (unsigned i = 0; i < 300; i++) {
		char entry[32];
		int n = snprintf(entry, sizeof entry, "record %u", i);

		merkle_leaf_hash(nodes[0][i], entry, (size_t)n);
		if (merkle_range_grow(&r, nodes[0][i], done) > 0)
			memcpy(nodes[1][have[1]++], done[0].root, 32);
	}
	vectors_open(&v, "tiles.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "root")) {
			assert_int_equal(tile_root(&reader, vectors_u64(v.word[1]), root), KE_OK);
			assert_hex(root, 32, v.word[2]);
			continue;
		}
		if (!vectors_is(&v, "tile"))
			continue;
		assert_int_equal(tile_parse(&t, v.word[1], strlen(v.word[1])), KE_OK);
		assert_true(tile_within(&t, 300) && !tile_within(&t, 255 + t.n));
		hash_sha256(digest, served, serve(&t));
		assert_hex(digest, 32, v.word[2]);
		tiles++;
	}
	assert_int_equal(tiles, 5);
}

static int read_served(void *arg, const struct tile *t, const uint8_t **p, size_t *n)
{
	(void)arg;
	*p = served;
	*n = serve(t);
	return KE_OK;
}

static int any_leaf(
    void *arg, uint64_t index, const uint8_t *p, size_t n, const uint8_t hash[32], char *why)
{
	(void)arg, (void)p, (void)n, (void)hash;
	return index < 300 ? KE_OK : audit_no(why, KE_RANGE, "one too many");
}

/* A checkpoint of tiles.txt, by its witness alone: a log's own signature is of a type that we do
 * not know.
 */
static void read_cosigned(const char *file, struct checkpoint *c)
{
	struct note_key witness;
	struct note_lines lines;
	struct vectors v;
	char note[1024];
	size_t n = vectors_file(file, note, sizeof note), len;
	uint64_t when = 0;

	vectors_open(&v, "tiles.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "cosigned") && strcmp(v.word[1], file) == 0) {
			assert_int_equal(
			    note_witness_parse(&witness, v.word[2], strlen(v.word[2])), KE_OK);
			assert_int_equal(cosign_verify(note, n, &witness, &when), KE_OK);
		}
	assert_true(when != 0);
	assert_int_equal(note_lines_begin(&lines, note, n, &len), KE_OK);
	assert_int_equal(checkpoint_parse(c, note, len), KE_OK);
}

/* Two witnesses were shown two trees of one size, and who compares them sees it. */
static void test_split_view(void **state)
{
	struct checkpoint mine, other;
	struct audit a = {.read = read_served, .leaf = any_leaf};

	(void)state;
	read_cosigned("tiles/checkpoint", &mine);
	read_cosigned("tiles/split-view.checkpoint", &other);
	assert_string_equal(mine.origin, other.origin);
	assert_true(mine.size == 300 && other.size == 300);
	assert_int_equal(merkle_verify_consistency(300, 300, NULL, 0, mine.root, mine.root), KE_OK);
	assert_int_equal(
	    merkle_verify_consistency(300, 300, NULL, 0, mine.root, other.root), KE_CRYPTO);
	a.old = &mine;
	assert_int_equal(audit_log(&a, &mine), KE_OK);
	a.old = &other;
	assert_int_equal(audit_log(&a, &mine), KE_CRYPTO);
	assert_string_equal(a.why,
	    "the log was rewritten: its first 300 entries are not those of the older checkpoint");
	a.old = NULL;
	assert_int_equal(audit_log(&a, &other), KE_CRYPTO);
	assert_string_equal(a.why, "the root of the 300 entries is not the checkpoint's");
}

/* --- a log that serves something else --- */

enum spoil { NOTHING, NO_PARTIAL, UNREADABLE, CUT, SHORT_TILE, OTHER_TILE };

/* What is served of a tile or of a bundle, as t says, and of which width. */
struct spoiled {
	enum spoil how;
	bool entries;
	unsigned width;
};

static int read_spoiled(void *arg, const struct tile *t, const uint8_t **p, size_t *n)
{
	const struct spoiled *s = arg;

	if (s->how == NO_PARTIAL && t->width < TILE_WIDTH)
		return KE_NOTFOUND;
	(void)read_served(NULL, t, p, n);
	if (t->entries != s->entries || t->width != s->width)
		return KE_OK;
	if (s->how == UNREADABLE)
		return KE_IO;
	if (s->how == CUT || s->how == SHORT_TILE)
		*n -= 1;
	if (s->how == OTHER_TILE)
		served[3] ^= 1;
	return KE_OK;
}

static void test_spoiled(void **state)
{
	static const struct {
		struct spoiled s;
		int err;
		const char *words;
	} rows[] = {
	    {{NOTHING, false, 0}, KE_OK, ""},
	    {{NO_PARTIAL, false, 0}, KE_OK, ""},
	    {{UNREADABLE, true, 256}, KE_IO, "tile/entries/000 cannot be read"},
	    {{UNREADABLE, true, 44}, KE_IO, "tile/entries/001.p/44 cannot be read"},
	    {{UNREADABLE, false, 256}, KE_IO, "tile/0/000 cannot be read"},
	    {{UNREADABLE, false, 44}, KE_IO, "tile/0/001.p/44 cannot be read"},
	    {{UNREADABLE, false, 1}, KE_IO, "tile/1/000.p/1 cannot be read"},
	    {{CUT, true, 44}, KE_FORMAT, "the log is truncated: entry 299"},
	    {{SHORT_TILE, false, 256}, KE_CRYPTO, "tile/0/000 is not the one of its entries"},
	    {{OTHER_TILE, false, 256}, KE_CRYPTO, "tile/0/000 is not the one of its entries"},
	    {{OTHER_TILE, false, 44}, KE_CRYPTO, "tile/0/001.p/44 is not the one of its entries"},
	    {{OTHER_TILE, false, 1}, KE_CRYPTO, "tile/1/000.p/1 is not the one of its entries"},
	};
	struct checkpoint mine, older;
	struct audit a = {.leaf = any_leaf, .read = read_spoiled};

	(void)state;
	read_cosigned("tiles/checkpoint", &mine);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct spoiled s = rows[i].s;

		a.read_arg = &s;
		assert_int_equal(audit_log(&a, &mine), rows[i].err);
		if (strncmp(a.why, rows[i].words, strlen(rows[i].words)) != 0)
			fail_msg("%s, not %s", a.why, rows[i].words);
	}
	older = mine;
	older.size++;
	a.old = &older;
	assert_int_equal(audit_log(&a, &mine), KE_CRYPTO);
	assert_string_equal(
	    a.why, "the checkpoint of 300 entries is smaller than the older one of 301");
}

/* A leaf of a ticket log is this raffle's, at its index; words from it cannot reach a terminal. */
static void test_tickets(void **state)
{
	uint8_t text[LEAF_LEN], raffle[16] = {0xab}, hash[32] = {0};
	struct leaf l = {.index = 5, .raffle = {0xab}};
	char why[AUDIT_WHY_MAX];

	(void)state;
	leaf_encode(text, &l);
	assert_int_equal(audit_ticket(raffle, 5, text, LEAF_LEN, hash, why), KE_OK);
	assert_int_equal(audit_ticket(raffle, 5, text, LEAF_LEN - 1, hash, why), KE_FORMAT);
	assert_string_equal(why, "entry 5 is not the leaf of a ticket");
	assert_int_equal(audit_ticket(raffle, 6, text, LEAF_LEN, hash, why), KE_CRYPTO);
	assert_string_equal(why, "entry 6 is the leaf of ticket 5");
	raffle[0] ^= 1;
	assert_int_equal(audit_ticket(raffle, 5, text, LEAF_LEN, hash, why), KE_CRYPTO);
	assert_string_equal(why, "entry 5 is a ticket of another raffle");
	assert_int_equal(audit_no(why, KE_RANGE, "a%sb", "\x1b[2J\xc3\xa9"), KE_RANGE);
	assert_string_equal(why, "a?[2J??b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_within),
	    cmocka_unit_test(test_root),
	    cmocka_unit_test(test_inclusion),
	    cmocka_unit_test(test_consistency),
	    cmocka_unit_test(test_published), /* from here on it is another tree */
	    cmocka_unit_test(test_split_view),
	    cmocka_unit_test(test_spoiled),
	    cmocka_unit_test(test_tickets),
	};

	return cmocka_run_group_tests(tests, make_tree, NULL);
}
