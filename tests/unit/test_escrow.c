/*
 * Escrow of server seeds, from the real klerod-hsm with a captured engine as the one who asks: any
 * three of five officers open a seed and no two do, in the one order that there is; what is altered
 * or comes from elsewhere is refused.
 */
#include "tests/unit/hsm_peer.h"

#include "policy/escrow_open.h"
#include "policy/hash.h"

#define OFFICERS 5
#define M        3

static struct peer hsm;
static char public_pem[OFFICERS + 1][RCONF_PEM], private_pem[OFFICERS + 1][4096];

struct made {
	uint8_t raffle[16], commit1[32], commit2[32];
	char blob[512], text[ESCROW_TEXT_MAX + 1];
	size_t n;
};
static struct made made;
static struct escrow bundle;

static size_t pem_of(EVP_PKEY *key, bool private, char *out, size_t cap)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(private ? PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
				 : PEM_write_bio_PUBKEY(bio, key),
	    1);
	n = BIO_read(bio, out, (int)cap - 1);
	assert_true(n > 0);
	out[n] = '\0';
	BIO_free(bio);
	return (size_t)n;
}

static int setup(void **state)
{
	if (peer_setup(state) != 0)
		return 1;
	for (unsigned i = 0; i <= OFFICERS; i++) {
		EVP_PKEY *key = EVP_RSA_gen(i == 1 ? ESCROW_BITS_MAX : ESCROW_BITS_MIN);

		pem_of(key, false, public_pem[i], sizeof(public_pem[i]));
		pem_of(key, true, private_pem[i], sizeof(private_pem[i]));
		EVP_PKEY_free(key);
	}
	return 0;
}

static void start_with(unsigned m, unsigned n)
{
	memset(&escrow, 0, sizeof escrow);
	escrow.m = (uint8_t)m;
	for (unsigned i = 0; i < n; i++)
		escrow.pem[i] = public_pem[i];
	start_role(&hsm, ROLE_HSM);
}

static void new_seed(struct made *x)
{
	randombytes_buf(x->raffle, 16);
	assert_int_equal(ask(&hsm, MSG_HSM_NEW_SEED, x->raffle, 16), KE_OK);
	wire_get_raw(&hsm.in, x->commit1, 32);
	wire_get_raw(&hsm.in, x->commit2, 32);
	wire_get_cstr(&hsm.in, x->blob, sizeof x->blob);
}

static int ask_escrow(struct made *x, const uint8_t raffle[16], const char *blob)
{
	uint8_t body[1024];
	const uint8_t *text;
	struct wire_out w;
	int r;

	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, raffle, 16);
	wire_put_cstr(&w, blob);
	r = ask(&hsm, MSG_HSM_ESCROW, body, w.len);
	if (r != KE_OK)
		return r;
	text = wire_get_str(&hsm.in, ESCROW_TEXT_MAX, &x->n);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
	memcpy(x->text, text, x->n);
	return r;
}

/* From the text of the step before (n 0: the first) to the next one's. */
static int open_by(const struct escrow *e, const struct made *x, unsigned officer, char *step,
    size_t *n, uint8_t seed[32])
{
	static struct escrow_step s;
	unsigned who = 99;
	int r = KE_OK;

	if (*n == 0)
		escrow_step_begin(&s, e, x->text, x->n);
	else
		r = escrow_step_parse(&s, e, x->text, x->n, step, *n);
	if (r == KE_OK)
		r = escrow_step_open(
		    &s, e, private_pem[officer], strlen(private_pem[officer]), &who);
	if (r != KE_OK)
		return r;
	assert_int_equal(who, officer);
	r = escrow_step_seed(&s, e, seed);
	if (r != KE_STATE)
		return r;
	assert_int_equal(escrow_step_text(&s, step, ESCROW_TEXT_MAX, n), KE_OK);
	return KE_AGAIN;
}

/* Highest number first; KE_OK when they have the seed. */
static int open_all(
    const struct escrow *e, const struct made *x, unsigned officers, uint8_t seed[32])
{
	static char step[ESCROW_TEXT_MAX + 1];
	size_t n = 0;
	int r = KE_AGAIN;

	for (unsigned i = OFFICERS; r == KE_AGAIN && i-- > 0;)
		if ((officers & (1u << i)) != 0)
			r = open_by(e, x, i, step, &n, seed);
	return r;
}

static void make_one(void)
{
	new_seed(&made);
	assert_int_equal(ask_escrow(&made, made.raffle, made.blob), KE_OK);
	assert_int_equal(escrow_parse(&bundle, made.text, made.n), KE_OK);
}

static void test_every_subset(void **state)
{
	uint8_t seed[32], commit[32], digest[32];
	unsigned opened = 0;

	(void)state;
	start_with(M, OFFICERS);
	make_one();
	assert_int_equal(bundle.nshares, 10);
	assert_memory_equal(bundle.raffle, made.raffle, 16);
	assert_memory_equal(bundle.seed_commit, made.commit2, 32);
	for (unsigned set = 0; set < 1u << OFFICERS; set++) {
		unsigned many = (unsigned)__builtin_popcount(set);
		int r = open_all(&bundle, &made, set, seed);

		if (many > M)
			continue; /* the first three have it; then nothing is left to open */
		assert_true((r == KE_OK) == (many == M));
		if (many != M)
			continue;
		hash_kdf(commit, seed, "kleroterion/v2/seed-commit", made.raffle, 16);
		assert_memory_equal(commit, made.commit2, 32);
		hash_sha256(digest, seed, 32);
		assert_memory_equal(digest, made.commit1, 32);
		opened++;
	}
	assert_int_equal(opened, 10);
	stop_role(&hsm);
}

static void test_order(void **state)
{
	static char step[ESCROW_TEXT_MAX + 1];
	uint8_t seed[32];
	size_t n = 0;

	(void)state;
	/* nobody has the outermost layer of a share that he is not the last officer of */
	assert_int_equal(open_by(&bundle, &made, 0, step, &n, seed), KE_STATE);
	assert_int_equal(open_by(&bundle, &made, 1, step, &n, seed), KE_STATE);
	assert_int_equal(open_by(&bundle, &made, OFFICERS, step, &n, seed), KE_WRONG_KEY);
	assert_int_equal(open_by(&bundle, &made, 3, step, &n, seed), KE_AGAIN);
	assert_int_equal(open_by(&bundle, &made, 3, step, &n, seed), KE_STATE);
	assert_int_equal(open_by(&bundle, &made, 4, step, &n, seed), KE_STATE);
	assert_int_equal(open_by(&bundle, &made, 0, step, &n, seed), KE_STATE);
	assert_int_equal(open_by(&bundle, &made, 1, step, &n, seed), KE_AGAIN);
	assert_int_equal(open_by(&bundle, &made, 0, step, &n, seed), KE_OK);
	/* half a key, and something else */
	assert_int_equal(escrow_step_open(&(struct escrow_step){.nshares = 0}, &bundle, "no key", 6,
			     &(unsigned){0}),
	    KE_FORMAT);
}

/* What is altered does not read, or does not open; the open record's hash names all of it. */
static void test_tampered(void **state)
{
	static struct made bad;
	static struct escrow e;
	const char *first = strstr(made.text, "[0,1,2]"), *second = strstr(made.text, "[0,1,3]");
	uint8_t seed[32];
	unsigned parsed = 0;

	(void)state;
	for (size_t i = 0; i < made.n; i += i < 300 ? 1 : 41) {
		bad = made;
		bad.text[i] ^= 1;
		if (escrow_parse(&e, bad.text, bad.n) != KE_OK)
			continue;
		parsed++;
		if (made.text + i > first && made.text + i < second)
			assert_int_equal(open_all(&e, &bad, 7, seed), KE_CRYPTO);
	}
	assert_true(parsed > 100);
	for (size_t cut = 0; cut < made.n; cut += 97)
		assert_int_not_equal(escrow_parse(&e, made.text, cut), KE_OK);
	bad = made;
	bad.text[bad.n++] = '\n';
	assert_int_equal(escrow_parse(&e, bad.text, bad.n), KE_FORMAT);
}

static void test_another_raffle(void **state)
{
	static struct made other;
	static struct escrow theirs, mixed;
	static struct escrow_step s;
	static char step[ESCROW_TEXT_MAX + 1];
	uint8_t seed[32];
	size_t n = 0;

	(void)state;
	start_with(M, OFFICERS);
	new_seed(&other);
	assert_int_equal(ask_escrow(&other, other.raffle, other.blob), KE_OK);
	assert_int_equal(escrow_parse(&theirs, other.text, other.n), KE_OK);
	/* the officers' step of one raffle, with the bundle of the other */
	assert_int_equal(open_by(&bundle, &made, 4, step, &n, seed), KE_AGAIN);
	assert_int_equal(
	    escrow_step_parse(&s, &theirs, other.text, other.n, step, n), KE_WRONG_KEY);
	/* the other one's shares under this one's name */
	mixed = theirs;
	memcpy(mixed.raffle, made.raffle, 16);
	memcpy(mixed.seed_commit, made.commit2, 32);
	assert_int_equal(open_all(&mixed, &made, 7, seed), KE_CRYPTO);
	/* a share of its own raffle, in the place of another one */
	mixed = bundle;
	memcpy(mixed.data + mixed.share[1].at, bundle.data + bundle.share[2].at, 384);
	assert_int_equal(open_all(&mixed, &made, mixed.share[1].officers, seed), KE_CRYPTO);
	stop_role(&hsm);
}

static void test_captured_engine(void **state)
{
	static struct made a, b;
	uint8_t body[1024] = {0};
	struct wire_out w;

	(void)state;
	start_with(M, OFFICERS);
	new_seed(&a);
	new_seed(&b);
	/* the seed of one raffle under the name of another: its officers would reveal it too early
	 */
	assert_int_equal(ask_escrow(&b, b.raffle, a.blob), KE_DENIED);
	assert_int_equal(ask_escrow(&a, a.raffle, "klero:1:seed:v000001:AAAA"), KE_FORMAT);
	assert_int_equal(ask_escrow(&a, a.raffle, "klero:1:seed:v000009:AAAA"), KE_FORMAT);
	a.blob[30] = (char)(a.blob[30] == 'A' ? 'B' : 'A');
	assert_int_equal(ask_escrow(&a, a.raffle, a.blob), KE_CRYPTO);
	expect_blame(&hsm, MSG_HSM_ESCROW, body, 40);
	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, b.raffle, 16);
	wire_put_cstr(&w, b.blob);
	expect_blame(&hsm, MSG_HSM_ESCROW, body, w.len + 1);
	/* another bundle of the same seed, as after a cut: as good as the first */
	assert_int_equal(ask_escrow(&b, b.raffle, b.blob), KE_OK);
	assert_int_equal(ask_escrow(&b, b.raffle, b.blob), KE_OK);
	stop_role(&hsm);
	start_with(0, 0);
	new_seed(&a);
	assert_int_equal(ask_escrow(&a, a.raffle, a.blob), KE_NOTFOUND);
	stop_role(&hsm);
}

static void expect_no_start(const char *words)
{
	hsm.fd = -1;
	hsm.self = ROLE_HSM;
	fx_spawn(&ctx.f, &hsm.c, "klerod-hsm", "hsm");
	configure(&hsm, FX_KEYS, FX_PIN);
	assert_int_equal(fx_wait(&hsm.c), HSM_EXIT_FAILED);
	assert_true(fx_logged(&ctx.f, words));
}

static void test_configuration(void **state)
{
	static char small[RCONF_PEM];
	EVP_PKEY *key = EVP_RSA_gen(2048);

	(void)state;
	pem_of(key, false, small, sizeof small);
	EVP_PKEY_free(key);
	memset(&escrow, 0, sizeof escrow);
	escrow.m = 1;
	escrow.pem[0] = small;
	expect_no_start("escrow key 1 is not of 3072 to 4096 bits");
	escrow.pem[0] = public_pem[0];
	escrow.pem[1] = "-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----\n";
	expect_no_start("escrow key 2 is no RSA public key in PEM");
	escrow.pem[1] = public_pem[0];
	expect_no_start("escrow: a key stands twice");
	escrow.m = 3;
	escrow.pem[1] = public_pem[1];
	expect_no_start("escrow: 3 of 2 officers");
	memset(&escrow, 0, sizeof escrow);
}

static void test_limits(void **state)
{
	static struct escrow_officers o;

	(void)state;
	o.n = ESCROW_OFFICERS_MAX;
	for (unsigned i = 0; i < o.n; i++) {
		assert_int_equal(
		    escrow_key_pem(&o.key[i], public_pem[0], strlen(public_pem[0])), KE_OK);
		o.key[i].der[0] = (uint8_t)i; /* another one, as far as this goes */
	}
	o.m = 8;
	assert_int_equal(escrow_officers_check(&o), KE_LIMIT);
	o.m = 16;
	assert_int_equal(escrow_officers_check(&o), KE_OK);
	o.m = 3;
	o.n = 7;
	assert_int_equal(escrow_officers_check(&o), KE_OK);
	o.n = 8;
	assert_int_equal(escrow_officers_check(&o), KE_LIMIT);
	o.m = 0;
	assert_int_equal(escrow_officers_check(&o), KE_RANGE);
}

static void test_promised(void **state)
{
	static struct record2 open;
	const char *why = "";

	(void)state;
	open.kind = RECORD2_OPEN;
	memcpy(open.raffle, made.raffle, 16);
	memcpy(open.seed_commit, made.commit2, 32);
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
	open.escrow_m = M;
	open.escrow_n = OFFICERS;
	hash_sha256(open.escrow, made.text, made.n);
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_OK);
	open.seed_commit[5] ^= 1;
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
	open.seed_commit[5] ^= 1;
	open.raffle[5] ^= 1;
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
	open.raffle[5] ^= 1;
	open.escrow[5] ^= 1;
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
	open.escrow[5] ^= 1;
	open.escrow_m = 2;
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
	open.kind = RECORD2_CLOSE;
	assert_int_equal(escrow_promised(&bundle, made.text, made.n, &open, &why), KE_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_subset),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_tampered),
	    cmocka_unit_test(test_another_raffle),
	    cmocka_unit_test(test_captured_engine),
	    cmocka_unit_test(test_configuration),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_promised),
	};

	return cmocka_run_group_tests(tests, setup, peer_teardown);
}
