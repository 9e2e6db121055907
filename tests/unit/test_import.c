/*
 * Deposit keys of Solana in klerod-hsm, and the old platform's keys of both kinds, with a captured
 * engine as the one who asks: what is made and signed, and every refusal.
 */
#include "tests/unit/deposit_ask.h"

#include "policy/hash.h"
#include "policy/legacy.h"
#include "policy/solana.h"
#include "tests/unit/vectors.h"

static uint8_t legacy[32], evm_address_want[20], solana_pub[32];

static struct payout transfer(void)
{
	struct payout p = {.kind = PAYOUT_SOLANA, .value = u256_of(1000000)};

	randombytes_buf(p.id, 16);
	memset(p.to, 0x22, 32);
	memset(p.blockhash, 0x33, 32);
	return p;
}

static void check_transfer(const struct kept *k, const struct payout *p, const struct paid *paid)
{
	uint8_t message[PAYOUT_TX_MAX], tx[PAYOUT_TX_MAX];
	size_t n, len;

	assert_int_equal(solana_message(p, k->pub, message, sizeof message, &n), KE_OK);
	assert_int_equal(paid->name_len, 64);
	assert_int_equal(crypto_sign_verify_detached(paid->name, message, n, k->pub), 0);
	assert_int_equal(solana_signed(paid->name, message, n, tx, sizeof tx, &len), KE_OK);
	assert_int_equal(paid->len, len);
	assert_memory_equal(paid->tx, tx, len);
}

static void test_solana(void **state)
{
	struct payout p = transfer(), q;
	struct kept a, b;
	struct paid paid, again;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_SOLANA), KE_OK);
	assert_int_equal(new_deposit(&b, PAYOUT_SOLANA), KE_OK);
	assert_int_equal(a.n, 32);
	assert_memory_not_equal(a.pub, b.pub, 32);
	assert_non_null(strstr(a.text, "klero:1:deposit25519:v000001:"));
	assert_int_equal(sign_payout(&a, &p, &paid), KE_OK);
	check_transfer(&a, &p, &paid);
	assert_int_equal(sign_payout(&a, &p, &again), KE_OK);
	assert_memory_equal(&again, &paid, sizeof paid);
	/* once: another receiver, blockhash, amount or address under the same id */
	q = p;
	q.to[0] ^= 1;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.blockhash[0] ^= 1;
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	q = p;
	q.value = u256_of(1);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_DENIED);
	assert_int_equal(sign_payout(&b, &p, &paid), KE_DENIED);
	/* to itself; more than one may; more than all may, of which 1005000 is gone */
	q = transfer();
	memcpy(q.to, a.pub, 32);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_RANGE);
	q = transfer();
	q.value = u256_of(1000000000 - 4999);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_LIMIT);
	q.value = u256_of(1000000000 - 5000);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_OK);
	randombytes_buf(q.id, 16);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_LIMIT);
	q.value = u256_of(1000000000 - 1005000 - 5000);
	assert_int_equal(sign_payout(&a, &q, &paid), KE_OK);
	stop_role(&hsm);
}

static void refuse(const struct kept *k, int why)
{
	struct kept copy = *k;

	assert_int_equal(rewrap_deposit(&copy), why);
}

static void test_other_values(void **state)
{
	struct kept a, b, e, x;
	char *data;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_SOLANA), KE_OK);
	assert_int_equal(new_deposit(&b, PAYOUT_SOLANA), KE_OK);
	assert_int_equal(new_deposit(&e, PAYOUT_EVM), KE_OK);
	x = a;
	memcpy(x.text, b.text, sizeof x.text); /* another row's */
	refuse(&x, KE_CRYPTO);
	x = a;
	memcpy(x.pool, b.pool, 16); /* moved to another row, with its public key */
	refuse(&x, KE_CRYPTO);
	x = a;
	memcpy(x.pub, b.pub, 32);
	refuse(&x, KE_CRYPTO);
	x = a;
	data = strrchr(x.text, ':') + 1;
	for (size_t i = 0; data[i] != '\0'; i++) {
		char was = data[i];

		data[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(rewrap_deposit(&x), KE_OK);
		data[i] = was;
	}
	for (size_t cut = 1; cut < 90; cut++) {
		x = a;
		x.text[strlen(x.text) - cut] = '\0';
		assert_int_not_equal(rewrap_deposit(&x), KE_OK);
	}
	x = a;
	memcpy(strstr(x.text, ":v"), ":v000002", 8);
	refuse(&x, KE_VERSION);
	x = a;
	x.text[6] = '2';
	refuse(&x, KE_VERSION);
	/* the kinds for each other, by their names and by their public keys */
	x = a;
	memcpy(x.text, e.text, sizeof x.text);
	refuse(&x, KE_FORMAT);
	x = e;
	memcpy(x.text, a.text, sizeof x.text);
	refuse(&x, KE_FORMAT);
	refuse(&a, KE_OK);
	stop_role(&hsm);
}

static int import_as(struct kept *k, unsigned kind, unsigned layout, const uint8_t box_key[32],
    const uint8_t key[32], const char *value)
{
	uint8_t body[1024], box[LEGACY_KEY_LEN + crypto_box_SEALBYTES];
	struct wire_out w;
	int r;

	assert_int_equal(crypto_box_seal(box, key, LEGACY_KEY_LEN, box_key), 0);
	wire_out_init(&w, body, sizeof body);
	wire_put_raw(&w, k->pool, 16);
	wire_put_u8(&w, (uint8_t)kind);
	wire_put_u8(&w, (uint8_t)layout);
	wire_put_raw(&w, box, sizeof box);
	wire_put_cstr(&w, value);
	assert_int_equal(w.err, KE_OK);
	r = ask(&hsm, MSG_HSM_IMPORT_DEPOSIT, body, w.len);
	if (r == KE_OK)
		get_kept(k);
	return r;
}

static void box_key_of(uint8_t out[32])
{
	assert_int_equal(ask(&hsm, MSG_HSM_IMPORT_KEY, NULL, 0), KE_OK);
	wire_get_raw(&hsm.in, out, 32);
	assert_int_equal(wire_end(&hsm.in), KE_OK);
}

static unsigned layout_of(const char *word)
{
	unsigned i = 0;

	while (i < LEGACY_LAYOUT_COUNT && strcmp(word, legacy_words[i]) != 0)
		i++;
	return i;
}

/* An imported key is the address that it was, and pays out like any other. */
static void check_imported(struct kept *k, bool is_evm)
{
	struct payout p = is_evm ? ether() : transfer();
	uint8_t address[20];
	struct paid paid;

	p.chain_id = is_evm ? 77 : 0;
	if (is_evm) {
		evm_address(address, k->pub);
		assert_memory_equal(address, evm_address_want, 20);
		assert_int_equal(sign_payout(k, &p, &paid), KE_OK);
	} else {
		assert_memory_equal(k->pub, solana_pub, 32);
	}
	assert_int_equal(rewrap_deposit(k), KE_OK);
}

static void test_vectors(void **state)
{
	uint8_t box_key[32];
	struct vectors v;

	(void)state;
	start_role(&hsm, ROLE_HSM);
	box_key_of(box_key);
	vectors_open(&v, "legacy.txt");
	while (vectors_next(&v)) {
		bool is_evm = v.words > 2 && strcmp(v.word[2], "evm") == 0;
		struct kept k = {.n = 0};

		if (vectors_is(&v, "key"))
			vectors_hex32(v.word[2], legacy);
		if (vectors_is(&v, "evm"))
			assert_int_equal(evm_address_parse(evm_address_want, v.word[2], 42), KE_OK);
		if (vectors_is(&v, "solana"))
			assert_int_equal(
			    base58_get(solana_pub, 32, v.word[2], strlen(v.word[2])), KE_OK);
		if (!vectors_is(&v, "value"))
			continue;
		randombytes_buf(k.pool, 16);
		assert_int_equal(import_as(&k, is_evm ? PAYOUT_EVM : PAYOUT_SOLANA,
				     layout_of(v.word[1]), box_key, legacy, v.word[3]),
		    KE_OK);
		check_imported(&k, is_evm);
	}
	stop_role(&hsm);
}

/* iv:tag:text of test_vectors' EVM key, and of its two halves' Solana key */
#define IV  "ZGVmZ2hpamtsbW5v"
#define TAG "tbfzp/IqTXma2hRzSBKdGQ=="
#define TEXT                                                                                       \
	"eGPqBUnRbq1fVGbZ6ldTznWmMDi4XcdFlrOZLJnBk3qk3SaleSOpPcvCTw/FcP32KTr90xZyJRjLkJ+w3LeXuTm0"

static void test_import_refused(void **state)
{
	static const struct {
		unsigned kind;
		const char *value;
		int why;
	} bad[] = {
	    {PAYOUT_SOLANA, "v1:" IV ":" TAG ":" TEXT, KE_RANGE},
	    {PAYOUT_EVM, "v2:" IV ":" TAG ":" TEXT, KE_VERSION},
	    {PAYOUT_EVM, IV ":" TAG ":" TEXT, KE_VERSION},
	    {PAYOUT_EVM, "v1:" IV ":" TAG, KE_FORMAT},
	    {PAYOUT_EVM, "v1:" IV ":tbfzp/IqTXma2hRzSBKd:" TEXT, KE_FORMAT}, /* a shorter tag */
	    {PAYOUT_EVM, "v1:" IV ":tbfzp/IqTXma2hRzSBKdGR==:" TEXT, KE_FORMAT},
	    {PAYOUT_EVM, "v1:" IV ":tbfzp/IqTXma2hRzSBKdGA==:" TEXT, KE_CRYPTO}, /* another one */
	    {PAYOUT_EVM, "v1:ZGVmZ2hpamtsbW5w:" TAG ":" TEXT, KE_CRYPTO},
	    {PAYOUT_EVM, "v1:" IV ":" TAG ":" TEXT "AAAA", KE_CRYPTO},
	    {PAYOUT_EVM, "v1:" IV ":" TAG ":eGPqBUnRbq1fVGbZ", KE_CRYPTO},
	};
	uint8_t box_key[32], other[32] = {9};
	struct kept k = {.pool = "a pool"};

	(void)state;
	start_role(&hsm, ROLE_HSM);
	box_key_of(box_key);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(
		    import_as(&k, bad[i].kind, LEGACY_PARTS, box_key, legacy, bad[i].value),
		    bad[i].why);
	/* the old platform's key is another; the box is for another process */
	assert_int_equal(
	    import_as(&k, PAYOUT_EVM, LEGACY_PARTS, box_key, other, bad[0].value), KE_CRYPTO);
	assert_int_equal(
	    import_as(&k, PAYOUT_EVM, LEGACY_PARTS, other, legacy, bad[0].value), KE_WRONG_KEY);
	assert_int_equal(
	    import_as(&k, PAYOUT_EVM, LEGACY_IV_TAG_TEXT, box_key, legacy, bad[0].value),
	    KE_FORMAT);
	assert_int_equal(
	    import_as(&k, PAYOUT_EVM, LEGACY_PARTS, box_key, legacy, bad[0].value), KE_OK);
	stop_role(&hsm);
}

/* Seals a plaintext as the old platform did. */
static void old_value(char *out, size_t cap, const uint8_t *plain, size_t n)
{
	static const uint8_t zero[sizeof legacy];
	uint8_t all[12 + 16 + LEGACY_TEXT_MAX] = {0};
	EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
	int len;

	assert_memory_not_equal(legacy, zero, 32);
	assert_int_equal(EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, legacy, all), 1);
	assert_int_equal(EVP_EncryptUpdate(gcm, all + 28, &len, plain, (int)n), 1);
	assert_int_equal(EVP_EncryptFinal_ex(gcm, all + 28 + len, &len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_GCM_GET_TAG, 16, all + 12), 1);
	EVP_CIPHER_CTX_free(gcm);
	assert_true(cap > 3 + TEXT_B64_LEN(28 + n));
	memcpy(out, "v1:", 3);
	text_b64(out + 3, all, 28 + n);
}

/* What opens, and is no key. */
static void test_bad_insides(void **state)
{
	static const struct {
		unsigned kind;
		const char *plain;
		int why;
	} bad[] = {
	    {PAYOUT_EVM, "hello", KE_FORMAT},
	    {PAYOUT_EVM, "0000000000000000000000000000000000000000000000000000000000000000",
		KE_RANGE},
	    {PAYOUT_EVM, "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
		KE_RANGE},
	    {PAYOUT_SOLANA, /* test 1 of RFC 8032 with the last digit changed: another public half
			     */
		"49W385L4rePHy6PAaQUovbD2aacgN4HsKXSMeUzRg4fmwXszN91JuMFrQRj3vMDpZuRF3ZknQBuRBoWQJE"
		"fXst"
		"Mx",
		KE_FORMAT},
	};
	uint8_t box_key[32];
	struct kept k = {.pool = "a pool"};
	char value[LEGACY_MAX];

	(void)state;
	start_role(&hsm, ROLE_HSM);
	box_key_of(box_key);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		old_value(value, sizeof value, (const uint8_t *)bad[i].plain, strlen(bad[i].plain));
		assert_int_equal(
		    import_as(&k, bad[i].kind, LEGACY_IV_TAG_TEXT, box_key, legacy, value),
		    bad[i].why);
	}
	stop_role(&hsm);
}

static void test_malformed(void **state)
{
	uint8_t body[512] = {0};

	(void)state;
	start_role(&hsm, ROLE_HSM);
	expect_blame(&hsm, MSG_HSM_IMPORT_DEPOSIT, body, 101); /* kind 0 */
	body[16] = PAYOUT_EVM;
	body[17] = LEGACY_LAYOUT_COUNT;
	expect_blame(&hsm, MSG_HSM_IMPORT_DEPOSIT, body, 101);
	body[17] = 0;
	expect_blame(&hsm, MSG_HSM_IMPORT_DEPOSIT, body, 103); /* more than the text */
	stop_role(&hsm);
}

/* Rotation of the class key: what was sealed under the old version moves over. */
static void test_rotate(void **state)
{
	struct rconf_keyadm_done done;
	struct kept a, old;

	(void)state;
	assert_int_equal(enrol(2, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(new_deposit(&a, PAYOUT_SOLANA), KE_OK);
	old = a;
	stop_role(&hsm);
	assert_int_equal(act(PROPOSE_ROTATE, KEY_DEPOSIT25519, 0, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	assert_int_equal(rewrap_deposit(&a), KE_OK);
	assert_non_null(strstr(a.text, "klero:1:deposit25519:v000002:"));
	refuse(&old, KE_OK);
	refuse(&a, KE_OK);
	stop_role(&hsm);
	assert_int_equal(act(PROPOSE_DESTROY, KEY_DEPOSIT25519, 1, 3, &done), KE_STATE);
	assert_int_equal(act(PROPOSE_ABANDON, KEY_DEPOSIT25519, 1, 3, &done), KE_OK);
	start_role(&hsm, ROLE_HSM);
	refuse(&old, KE_VERSION);
	refuse(&a, KE_OK);
	stop_role(&hsm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_solana),
	    cmocka_unit_test(test_other_values),
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_import_refused),
	    cmocka_unit_test(test_bad_insides),
	    cmocka_unit_test(test_malformed),
	    cmocka_unit_test(test_rotate),
	};

	return cmocka_run_group_tests(tests, officers_setup, peer_teardown);
}
