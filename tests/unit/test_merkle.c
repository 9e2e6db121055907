/*
 * Merkle trees: the RFC 6962 reference roots, inclusion and consistency probes good and bad, and
 * growing roots and proofs against a plain implementation of the RFC's definitions.
 */
#include "tests/unit/vectors.h"

#include <dirent.h>

#include "policy/hash.h"
#include "policy/json.h"
#include "policy/merkle.h"

#define PROOF_MAX 64

/* --- the probes --- */

/*
 * A hash that is empty or too long cannot even be handed over: refused by its form. A short one
 * (some probes say "don't care") is filled up with zeros.
 */
static bool size_ok(size_t n)
{
	return n > 0 && n <= 32;
}

struct probe {
	uint64_t a, b;
	uint8_t x[32], y[32], proof[PROOF_MAX][32];
	size_t n;
	bool form;
};

static int run_probe(const struct probe *p, bool inclusion)
{
	if (!p->form)
		return KE_FORMAT;
	if (inclusion)
		return merkle_verify_inclusion(p->x, p->a, p->b, p->proof, p->n, p->y);
	return merkle_verify_consistency(p->a, p->b, p->proof, p->n, p->x, p->y);
}

static void test_reference(void **state)
{
	uint8_t leaf[64], hash[32], root[32];
	struct merkle_range r;
	struct vectors v;
	char want[9][65];
	uint64_t roots = 0;

	(void)state;
	vectors_open(&v, "merkle.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "root"))
			memcpy(want[vectors_u64(v.word[1])], v.word[2], 65);
	merkle_range_init(&r);
	vectors_open(&v, "merkle.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "empty")) {
			merkle_range_root(&r, root);
			assert_hex(root, 32, v.word[1]);
			assert_hex(root, 32, want[0]);
		}
		if (!vectors_is(&v, "leaf"))
			continue;
		merkle_leaf_hash(hash, leaf, vectors_hex(v.word[1], leaf, sizeof(leaf)));
		merkle_range_add(&r, hash);
		merkle_range_root(&r, root);
		assert_hex(root, 32, want[r.size]);
		roots++;
	}
	assert_int_equal(roots, 8);
}

static void test_probes(void **state)
{
	struct vectors v;
	int good = 0, bad = 0;

	(void)state;
	vectors_open(&v, "merkle.txt");
	while (vectors_next(&v)) {
		bool inclusion = vectors_is(&v, "inclusion");
		struct probe p = {.form = true};

		if (!inclusion && !vectors_is(&v, "consistency"))
			continue;
		p.a = vectors_u64(v.word[2]);
		p.b = vectors_u64(v.word[3]);
		p.form = size_ok(vectors_hex(v.word[4], p.x, 32)) &&
			 size_ok(vectors_hex(v.word[5], p.y, 32));
		for (size_t i = 6; i < v.words; i++)
			p.form = size_ok(vectors_hex(v.word[i], p.proof[p.n++], 32)) && p.form;
		if ((run_probe(&p, inclusion) == KE_OK) != (strcmp(v.word[1], "good") == 0))
			fail_msg("vector %zu is not %s", v.seen, v.word[1]);
		*(strcmp(v.word[1], "good") == 0 ? &good : &bad) += 1;
	}
	assert_true(good >= 5);
	assert_true(bad >= 90);
}

/* --- the whole collection, when the project's vectors are at hand --- */

struct collection {
	int files, good;
};

static bool json_hash(const char *text, const struct json_tok *t, uint8_t hash[32])
{
	size_t n;

	return t->type == JSON_STRING &&
	       text_unb64(hash, 32, &n, text + t->start, (size_t)(t->end - t->start)) == KE_OK &&
	       size_ok(n);
}

static uint64_t json_number(const char *text, const struct json_tok *t)
{
	uint64_t v;

	assert_int_equal(text_unu64(&v, text + t->start, (size_t)(t->end - t->start)), KE_OK);
	return v;
}

static void run_file(struct collection *c, const char *path, bool inclusion)
{
	static const char *const names[2][4] = {
	    {"size1", "size2", "root1", "root2"}, {"leafIdx", "treeSize", "leafHash", "root"}};
	const char *const *name = names[inclusion];
	struct probe p = {.form = true};
	struct json_tok t[128];
	char text[16384];
	size_t tokens, proof;
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	assert_int_equal(json_check(text, n, 128, &tokens, NULL), KE_OK);
	assert_int_equal(json_split(text, n, t, tokens), KE_OK);
	p.a = json_number(text, &t[json_member(text, t, tokens, 0, name[0])]);
	p.b = json_number(text, &t[json_member(text, t, tokens, 0, name[1])]);
	p.form = json_hash(text, &t[json_member(text, t, tokens, 0, name[2])], p.x);
	p.form = json_hash(text, &t[json_member(text, t, tokens, 0, name[3])], p.y) && p.form;
	proof = json_member(text, t, tokens, 0, "proof");
	for (int i = 0; i < t[proof].size; i++)
		p.form = json_hash(text, &t[proof + 1 + (size_t)i], p.proof[p.n++]) && p.form;
	c->files++;
	if (t[json_member(text, t, tokens, 0, "wantErr")].type == JSON_FALSE) {
		c->good++;
		if (run_probe(&p, inclusion) != KE_OK)
			fail_msg("%s is refused", path);
	} else if (run_probe(&p, inclusion) == KE_OK) {
		fail_msg("%s is accepted", path);
	}
}

#define FOLDERS 64

/* All .json files below a folder; folders wait in a list. */
static void run_folder(struct collection *c, const char *top, bool inclusion)
{
	static char todo[FOLDERS][512];
	size_t n = 1;

	snprintf(todo[0], sizeof(todo[0]), "%s/%s", top, inclusion ? "inclusion" : "consistency");
	while (n > 0) {
		char folder[512], path[1024];
		const struct dirent *e;
		DIR *d;

		memcpy(folder, todo[--n], sizeof(folder));
		d = opendir(folder);
		if (d == NULL)
			return;
		while ((e = readdir(d)) != NULL) {
			size_t len = strlen(e->d_name);

			snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
			if (len > 5 && strcmp(e->d_name + len - 5, ".json") == 0)
				run_file(c, path, inclusion);
			else if (e->d_name[0] != '.' && n < FOLDERS)
				assert_true(snprintf(todo[n++], 512, "%s", path) < 512);
		}
		closedir(d);
	}
}

static void test_collection(void **state)
{
	const char *shared = getenv("KLERO_SHARED");
	struct collection c = {0};
	char top[256];

	(void)state;
	snprintf(
	    top, sizeof(top), "%s/vectors/merkle/testdata", shared != NULL ? shared : "../shared");
	run_folder(&c, top, true);
	run_folder(&c, top, false);
	if (c.files == 0) {
		print_message("the whole collection of probes is not here (%s)\n", top);
		skip();
	}
	print_message("%d probes, %d of them good\n", c.files, c.good);
	assert_true(c.good > 0 && c.good < c.files);
}

/* --- against the definitions --- */

#define TREE 300

static uint8_t leaves[TREE][32];

static uint64_t split_at(uint64_t n)
{
	uint64_t k = 1;

	while (2 * k < n)
		k *= 2;
	return k;
}

/* MTH of leaves from … from + n - 1 (RFC 6962 section 2.1), by its own words. */
static void plain_root(uint8_t out[32], uint64_t from, uint64_t n)
{
	uint8_t left[32], right[32], node[65] = {1};

	if (n == 1) {
		memcpy(out, leaves[from], 32);
		return;
	}
	plain_root(left, from, split_at(n));
	plain_root(right, from + split_at(n), n - split_at(n));
	memcpy(node + 1, left, 32);
	memcpy(node + 33, right, 32);
	hash_sha256(out, node, 65);
}

/* PATH(m, D[n]) */
static size_t plain_path(uint8_t (*proof)[32], uint64_t m, uint64_t from, uint64_t n)
{
	uint64_t k = split_at(n);
	size_t len;

	if (n == 1)
		return 0;
	if (m < k) {
		len = plain_path(proof, m, from, k);
		plain_root(proof[len], from + k, n - k);
	} else {
		len = plain_path(proof, m - k, from + k, n - k);
		plain_root(proof[len], from, k);
	}
	return len + 1;
}

/* SUBPROOF(m, D[n], b) */
static size_t plain_subproof(
    uint8_t (*proof)[32], uint64_t m, uint64_t from, uint64_t n, bool whole)
{
	uint64_t k = split_at(n);
	size_t len;

	if (m == n && whole)
		return 0;
	if (m == n) {
		plain_root(proof[0], from, n);
		return 1;
	}
	if (m <= k) {
		len = plain_subproof(proof, m, from, k, whole);
		plain_root(proof[len], from + k, n - k);
	} else {
		len = plain_subproof(proof, m - k, from + k, n - k, false);
		plain_root(proof[len], from, k);
	}
	return len + 1;
}

static void make_leaves(void)
{
	for (uint64_t i = 0; i < TREE; i++)
		merkle_leaf_hash(leaves[i], &i, sizeof(i));
}

static void test_growing(void **state)
{
	uint8_t root[32], want[32], stored[MERKLE_LEVELS * 32];
	struct merkle_range r, back;

	(void)state;
	make_leaves();
	merkle_range_init(&r);
	for (uint64_t n = 1; n <= TREE; n++) {
		size_t len;

		merkle_range_add(&r, leaves[n - 1]);
		merkle_range_root(&r, root);
		plain_root(want, 0, n);
		assert_memory_equal(root, want, 32);
		len = merkle_range_put(&r, stored);
		assert_int_equal(merkle_range_get(&back, n, stored, len), KE_OK);
		merkle_range_root(&back, root);
		assert_memory_equal(root, want, 32);
		assert_int_equal(merkle_range_get(&back, n, stored, len - 32), KE_FORMAT);
		assert_int_equal(merkle_range_get(&back, n, stored, len - 1), KE_FORMAT);
		assert_int_equal(merkle_range_get(&back, n, stored, len), KE_OK);
		r = back;
	}
	assert_int_equal(merkle_range_get(&back, 0, NULL, 0), KE_OK);
	assert_int_equal(merkle_range_get(&back, UINT64_MAX, stored, 64 * 32), KE_OK);
}

static void test_inclusion(void **state)
{
	uint8_t proof[PROOF_MAX][32], root[32];

	(void)state;
	make_leaves();
	for (uint64_t n = 1; n <= 70; n++) {
		plain_root(root, 0, n);
		for (uint64_t i = 0; i < n; i++) {
			const uint8_t(*p)[32] = (const uint8_t(*)[32])proof;
			size_t len = plain_path(proof, i, 0, n);

			assert_int_equal(
			    merkle_verify_inclusion(leaves[i], i, n, p, len, root), KE_OK);
			assert_int_not_equal(
			    merkle_verify_inclusion(leaves[i], i, n, p, len + 1, root), KE_OK);
			if (len > 0)
				assert_int_not_equal(
				    merkle_verify_inclusion(leaves[i], i, n, p, len - 1, root),
				    KE_OK);
			assert_int_not_equal(
			    merkle_verify_inclusion(leaves[i + 1], i, n, p, len, root), KE_OK);
			if (n > 1)
				assert_int_not_equal(merkle_verify_inclusion(leaves[i],
							 i == 0 ? 1 : i - 1, n, p, len, root),
				    KE_OK);
		}
		assert_int_equal(merkle_verify_inclusion(leaves[0], n, n, NULL, 0, root), KE_RANGE);
	}
	assert_int_equal(merkle_verify_inclusion(leaves[0], 0, 0, NULL, 0, root), KE_RANGE);
}

/* A proof that is too long for the size it claims, though its hashes lead to the root. */
static void test_other_size(void **state)
{
	uint8_t root[32];

	(void)state;
	make_leaves();
	merkle_node_hash(root, leaves[0], leaves[1]);
	assert_int_equal(merkle_verify_inclusion(leaves[1], 1, 2, &leaves[0], 1, root), KE_OK);
	assert_int_equal(merkle_verify_inclusion(leaves[1], 0, 1, &leaves[0], 1, root), KE_CRYPTO);
}

static void test_consistency(void **state)
{
	uint8_t proof[PROOF_MAX][32], old[32], new[32];
	const uint8_t(*p)[32] = (const uint8_t(*)[32])proof;

	(void)state;
	make_leaves();
	for (uint64_t n = 1; n <= 70; n++) {
		plain_root(new, 0, n);
		for (uint64_t m = 1; m <= n; m++) {
			size_t len = plain_subproof(proof, m, 0, n, true);

			plain_root(old, 0, m);
			assert_int_equal(merkle_verify_consistency(m, n, p, len, old, new), KE_OK);
			assert_int_not_equal(
			    merkle_verify_consistency(m, n, p, len + 1, old, new), KE_OK);
			if (m == n)
				continue;
			assert_int_not_equal(
			    merkle_verify_consistency(m, n, p, len - 1, old, new), KE_OK);
			assert_int_not_equal(
			    merkle_verify_consistency(m, n, p, len, new, old), KE_OK);
			old[31] ^= 1;
			assert_int_not_equal(
			    merkle_verify_consistency(m, n, p, len, old, new), KE_OK);
		}
	}
	assert_int_equal(merkle_verify_consistency(0, 5, NULL, 0, old, new), KE_RANGE);
	assert_int_equal(merkle_verify_consistency(6, 5, NULL, 0, old, new), KE_RANGE);
	assert_int_equal(merkle_verify_consistency(4, 5, NULL, 0, old, new), KE_CRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reference),
	    cmocka_unit_test(test_probes),
	    cmocka_unit_test(test_collection),
	    cmocka_unit_test(test_growing),
	    cmocka_unit_test(test_inclusion),
	    cmocka_unit_test(test_other_size),
	    cmocka_unit_test(test_consistency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
