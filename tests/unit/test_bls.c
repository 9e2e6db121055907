/*
 * BLS12-381 and drand: RFC 9380's constants, bytes and points, quicknet's points and real rounds,
 * every forgery that tests/vectors/drand.txt names, single bits of a good signature, key and
 * message, and a chain of another scheme.
 */
#include "tests/unit/vectors.h"

#include "policy/bls_map.h"
#include "policy/drand.h"
#include "policy/hash.h"

static void test_hash_to_curve(void **state)
{
	char dst[BLS_DST_MAX + 1] = "";
	uint8_t msg[1024], xy[96];
	struct vectors v;
	int n = 0;

	(void)state;
	vectors_open(&v, "bls.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "dst"))
			snprintf(dst, sizeof(dst), "%s", v.word[1]);
		if (!vectors_is(&v, "hash"))
			continue;
		bls_hash_to_g1(xy, msg, vectors_hex(v.word[1], msg, sizeof(msg)), dst);
		assert_hex(xy, 48, v.word[2]);
		assert_hex(xy + 48, 48, v.word[3]);
		n++;
	}
	assert_int_equal(n, 12 + 5);
}

static void test_expand(void **state)
{
	char dst[BLS_DST_MAX + 1] = "";
	uint8_t msg[1024], out[BLS_UNIFORM];
	struct vectors v;
	int n = 0;

	(void)state;
	vectors_open(&v, "bls.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "dst"))
			snprintf(dst, sizeof(dst), "%s", v.word[1]);
		if (!vectors_is(&v, "expand"))
			continue;
		bls_expand(out, msg, vectors_hex(v.word[1], msg, sizeof(msg)), dst);
		assert_hex(out, sizeof(out), v.word[2]);
		n++;
	}
	assert_int_equal(n, 5);
}

/* Points as they are sent, against the same written out: which of the two roots is meant? */
static void test_compressed(void **state)
{
	uint8_t in[96], out[192];
	struct bls_point p;
	struct vectors v;
	int n = 0;

	(void)state;
	vectors_open(&v, "bls.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "point")) {
			assert_int_equal(vectors_hex(v.word[1], in, 48), 48);
			assert_int_equal(bls_g1_get(&p, in), KE_OK);
			fp_put(out, &p.x.re);
			fp_put(out + 48, &p.y.re);
			assert_hex(out, 96, v.word[2]);
			assert_true(fp_is_zero(&p.x.im) && fp_is_zero(&p.y.im));
			assert_true(bls_in_subgroup(&p));
			n++;
		}
		if (!vectors_is(&v, "key"))
			continue;
		assert_int_equal(vectors_hex(v.word[1], in, 96), 96);
		assert_memory_equal(in, drand_quicknet.pub, 96);
		assert_int_equal(bls_g2_get(&p, in), KE_OK);
		fp_put(out, &p.x.im);
		fp_put(out + 48, &p.x.re);
		fp_put(out + 96, &p.y.im);
		fp_put(out + 144, &p.y.re);
		assert_hex(out, 192, v.word[2]);
		assert_true(bls_in_subgroup(&p));
		n++;
	}
	assert_int_equal(n, 12 + 12 + 1);
}

struct iso {
	const char *name;
	const char *const *coefficients;
	size_t n;
};

#define ISO(name, ...) static const char *const name[] = {__VA_ARGS__};
#include "policy/bls_iso.def"
#undef ISO
static const struct iso isogeny[] = {
#define ISO(name, ...) {#name, name, sizeof(name) / sizeof(name[0])},
#include "policy/bls_iso.def"
#undef ISO
};
#define ISOS (sizeof(isogeny) / sizeof(isogeny[0]))

/* Our constants are the RFC's, each of them: an isogeny that is wrong might go unseen in points. */
static void test_isogeny(void **state)
{
	uint8_t all[16 * FP_LEN], digest[32];
	struct vectors v;
	size_t n = 0;
	struct fp c;

	(void)state;
	vectors_open(&v, "bls.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "cofactor")) {
			/* that which bls_hash_point() multiplies by */
			assert_true(BLS_X + 1 == strtoull(v.word[1], NULL, 16));
			n++;
		}
		for (size_t i = 0; vectors_is(&v, "isogeny") && i < ISOS; i++) {
			if (strcmp(isogeny[i].name, v.word[1]) != 0)
				continue;
			assert_int_equal(isogeny[i].n, vectors_u64(v.word[2]));
			assert_true(isogeny[i].n <= sizeof(all) / FP_LEN);
			for (size_t k = 0; k < isogeny[i].n; k++) {
				fp_hex(&c, isogeny[i].coefficients[k]);
				fp_put(all + k * FP_LEN, &c);
			}
			hash_sha256(digest, all, isogeny[i].n * FP_LEN);
			assert_hex(digest, 32, v.word[3]);
			n++;
		}
	}
	assert_int_equal(n, ISOS + 1);
}

static void test_chain(void **state)
{
	struct drand_chain c = drand_quicknet;
	uint8_t hash[32];
	struct vectors v;
	uint64_t t;

	(void)state;
	vectors_open(&v, "drand.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "chain")) {
			drand_chain_hash(hash, &c);
			assert_hex(hash, 32, v.word[1]);
			c.genesis_s++;
			drand_chain_hash(hash, &c);
			c.genesis_s--;
			assert_int_not_equal(hash[0], 0x52);
		}
		if (!vectors_is(&v, "round"))
			continue;
		assert_int_equal(drand_round_time(&c, vectors_u64(v.word[1]), &t), KE_OK);
		assert_true(t == vectors_u64(v.word[3]));
		assert_true(drand_round_from(&c, t) == vectors_u64(v.word[1]));
		assert_true(drand_round_from(&c, t + 1) == vectors_u64(v.word[1]) + 1);
		assert_true(drand_round_from(&c, t + 3) == vectors_u64(v.word[1]) + 1);
	}
	assert_int_equal(drand_round_time(&c, 0, &t), KE_RANGE);
	assert_int_equal(drand_round_time(&c, UINT64_MAX, &t), KE_RANGE);
	assert_true(drand_round_from(&c, 0) == 1);
	assert_true(drand_round_from(&c, c.genesis_s) == 1);
}

static void test_rounds(void **state)
{
	uint8_t sig[64];
	struct vectors v;
	int good = 0, forged = 0;

	(void)state;
	vectors_open(&v, "drand.txt");
	while (vectors_next(&v)) {
		size_t n = 0;

		if (vectors_is(&v, "round")) {
			n = vectors_hex(v.word[2], sig, sizeof(sig));
			assert_int_equal(
			    drand_verify(&drand_quicknet, vectors_u64(v.word[1]), sig, n), KE_OK);
			good++;
		}
		if (vectors_is(&v, "forged")) {
			n = vectors_hex(v.word[2], sig, sizeof(sig));
			assert_int_not_equal(
			    drand_verify(&drand_quicknet, vectors_u64(v.word[1]), sig, n), KE_OK);
			forged++;
		}
	}
	assert_int_equal(good, 12);
	assert_int_equal(forged, 10);
}

static void round_one(uint8_t sig[48], uint8_t msg[32])
{
	struct vectors v;

	vectors_open(&v, "drand.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "round") && vectors_u64(v.word[1]) == 1) {
			assert_int_equal(vectors_hex(v.word[2], sig, 48), 48);
			vectors_hex32(v.word[4], msg);
		}
}

/* Another domain, another key, another message, one bit of each: each by its own error. */
static void test_refusals(void **state)
{
	static const char dst[] = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";
	static const char fastnet[] = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";
	uint8_t pub[96], sig[48], msg[32];

	(void)state;
	round_one(sig, msg);
	memcpy(pub, drand_quicknet.pub, sizeof(pub));
	assert_int_equal(bls_verify(pub, sig, 48, msg, 32, dst), KE_OK);
	assert_int_equal(bls_verify(pub, sig, 48, msg, 32, fastnet), KE_CRYPTO);
	assert_int_equal(bls_verify(pub, sig, 48, msg, 31, dst), KE_CRYPTO);
	assert_int_equal(bls_verify(pub, sig, 0, msg, 32, dst), KE_FORMAT);
	assert_int_equal(drand_verify(&drand_quicknet, 0, sig, 48), KE_RANGE);
	msg[31] ^= 1;
	assert_int_equal(bls_verify(pub, sig, 48, msg, 32, dst), KE_CRYPTO);
	msg[31] ^= 1;
	/* the negated key is a key, and another one */
	pub[0] ^= 0x20;
	assert_int_equal(bls_verify(pub, sig, 48, msg, 32, dst), KE_CRYPTO);
	pub[0] ^= 0x20;
	for (size_t bit = 0; bit < 8 * sizeof(pub); bit += 37) {
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(bls_verify(pub, sig, 48, msg, 32, dst), KE_WRONG_KEY);
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(sig); bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(bls_verify(pub, sig, 48, msg, 32, dst), KE_OK);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* What no signature shows: opposite points, infinity, the slope of a doubling. */
static void test_points(void **state)
{
	struct bls_point p, q, sum;
	uint8_t sig[48], msg[32];

	(void)state;
	round_one(sig, msg);
	assert_int_equal(bls_g1_get(&p, sig), KE_OK);
	q = p;
	fp2_neg(&q.y, &p.y);
	bls_add(&sum, &p, &q);
	assert_true(sum.infinity);
	bls_add(&sum, &sum, &p);
	assert_true(fp2_equal(&sum.x, &p.x) && fp2_equal(&sum.y, &p.y));
	bls_add(&q, &p, &p);
	bls_add(&q, &q, &p);
	bls_mul64(&sum, &p, 3);
	assert_true(fp2_equal(&sum.x, &q.x) && fp2_equal(&sum.y, &q.y));
	bls_mul64(&sum, &p, 0);
	assert_true(sum.infinity);
	assert_true(bls_in_subgroup(&p));
}

static const char info[] =
    "{\"public_key\":"
    "\"83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3a"
    "c6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e"
    "76ea"
    "e8991ef5ece45a\",\"period\":3,\"genesis_time\":1692803367,\"hash\":"
    "\"52db9ba70e0cc0f6eaf7803dd07447"
    "a1f5477735fd3f661792ba94600c84e971\",\"groupHash\":"
    "\"f477d5c89f21a17c863a7f937c6a6d15859414d2be09c"
    "d448d4279af331c5d3e\",\"schemeID\":\"bls-unchained-g1-rfc9380\",\"metadata\":{\"beaconID\":"
    "\"quicknet\"}}";

static int info_instead(const char *what, const char *instead)
{
	const char *at = strstr(info, what);
	struct drand_chain c;
	char bad[2048];
	int n;

	assert_non_null(at);
	n = snprintf(
	    bad, sizeof(bad), "%.*s%s%s", (int)(at - info), info, instead, at + strlen(what));
	return drand_chain_parse(&c, bad, (size_t)n);
}

/* As quicknet's relays serve it; each member counts, through the hash. */
static void test_info(void **state)
{
	struct drand_chain c;

	(void)state;
	assert_int_equal(drand_chain_parse(&c, info, strlen(info)), KE_OK);
	assert_memory_equal(c.pub, drand_quicknet.pub, BLS_PUB_LEN);
	assert_string_equal(c.id, "quicknet");
	assert_int_equal(info_instead("\"period\"", "\"more\":[null],\"period\""), KE_OK);
	assert_int_equal(info_instead("83cf", "83ce"), KE_CRYPTO);
	assert_int_equal(info_instead("\"period\":3", "\"period\":30"), KE_CRYPTO);
	assert_int_equal(info_instead("3367", "3368"), KE_CRYPTO);
	assert_int_equal(info_instead("f477", "f478"), KE_CRYPTO);
	assert_int_equal(info_instead("52db", "52dc"), KE_CRYPTO);
	assert_int_equal(info_instead("quicknet", "slownet"), KE_CRYPTO);
	assert_int_equal(info_instead("unchained-g1", "unchained-on-g1"), KE_VERSION);
	assert_int_equal(info_instead("\"period\":3", "\"period\":0"), KE_FORMAT);
	assert_int_equal(info_instead("\"period\":3", "\"period\":\"3\""), KE_FORMAT);
	assert_int_equal(info_instead("83cf", "83CF"), KE_FORMAT);
	assert_int_equal(info_instead("beaconID", "beacon"), KE_FORMAT);
	assert_int_equal(info_instead("{\"beaconID\":\"quicknet\"}", "\"quicknet\""), KE_FORMAT);
	assert_int_equal(info_instead("quicknet", "quick\\u0000net"), KE_FORMAT);
	assert_int_equal(drand_chain_parse(&c, "[]", 2), KE_FORMAT);
	assert_int_equal(drand_chain_parse(&c, "", 0), KE_FORMAT);
}

/* drand's older chain is refused by its scheme's name, and so are its rounds. */
static void test_chained(void **state)
{
	uint8_t long_sig[96], sig[BLS_SIG_LEN];
	struct drand_chain c;
	struct vectors v;
	uint64_t round;
	char json[512];
	int n = 0;

	(void)state;
	vectors_open(&v, "drand.txt");
	while (vectors_next(&v)) {
		if (vectors_is(&v, "chained")) {
			assert_int_equal(
			    drand_chain_parse(&c, v.word[1], strlen(v.word[1])), KE_VERSION);
			n++;
		}
		if (!vectors_is(&v, "chained-round"))
			continue;
		snprintf(json, sizeof(json), "{\"round\":%s,\"signature\":\"%s\"}", v.word[1],
		    v.word[2]);
		assert_int_equal(drand_round_parse(&round, sig, json, strlen(json)), KE_FORMAT);
		assert_int_equal(vectors_hex(v.word[2], long_sig, 96), 96);
		for (size_t len = BLS_SIG_LEN; len <= 96; len += BLS_SIG_LEN)
			assert_int_not_equal(
			    drand_verify(&drand_quicknet, vectors_u64(v.word[1]), long_sig, len),
			    KE_OK);
		n++;
	}
	assert_int_equal(n, 3);
}

static void test_contribution(void **state)
{
	/* of the v2 draw in the specification's vectors: tests/vectors/draw2.txt, context_message
	 */
	static const char want[] =
	    "0152db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
	    "0000000001e538dd1e3f931ad3c2321e8c572135aabc96e27ce6cf1e5a807f0b4aa07362"
	    "2b946ada";
	uint8_t out[DRAND_CONTRIBUTION_LEN], hash[32], sig[48];
	struct vectors v;

	(void)state;
	drand_chain_hash(hash, &drand_quicknet);
	vectors_open(&v, "drand.txt");
	while (vectors_next(&v))
		if (vectors_is(&v, "round") && strcmp(v.word[1], "31799517") == 0)
			assert_int_equal(vectors_hex(v.word[2], sig, 48), 48);
	drand_contribution(out, hash, 31799517, sig);
	assert_hex(out, sizeof(out), want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hash_to_curve),
	    cmocka_unit_test(test_expand),
	    cmocka_unit_test(test_compressed),
	    cmocka_unit_test(test_isogeny),
	    cmocka_unit_test(test_chain),
	    cmocka_unit_test(test_rounds),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_points),
	    cmocka_unit_test(test_info),
	    cmocka_unit_test(test_chained),
	    cmocka_unit_test(test_contribution),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
