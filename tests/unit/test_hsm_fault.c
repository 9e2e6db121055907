/*
 * hsm when its device fails: the Nth PKCS#11 call of each request fails, for every N and every
 * CKR_*, and the answer is KE_UNAVAIL from a process that then ends (KEYS.md section 6). Or it
 * lies. And its wear: session objects and once-only memory are bounded. In process, on the real
 * module with calls taken away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

#include "hsm/p11/blob.h"
#include "hsm/p11/ckr.h"
#include "hsm/role/hsm.h"
#include "hsm/role/seeds.h"
#include "policy/hash.h"
#include "tests/unit/failing_module.h"
#include "tests/unit/hsm_fill.h"

static struct fx fx;
static char sealed[BLOB_TEXT_MAX];

/* --- hsm in process --- */

static void start(struct hsm *h)
{
	char *env[] = {fx.env};
	bool wide;

	*h = (struct hsm){.journal = -1, .objects = 100000, .nlimits = 1};
	assert_int_equal(paylimit_parse(&h->limits[0], "evm:1 1000 1000000/1"), KE_OK);
	countdown = 0;
	assert_int_equal(p11_load(&h->p, fx_module(), env, 1), KE_OK);
	assert_int_equal(p11_open(&h->p, FX_KEYS, false), KE_OK);
	assert_int_equal(p11_login(&h->p, FX_PIN), KE_OK);
	assert_int_equal(hsm_prepare(h, ROLE_HSM, FX_HOST, &wide), KE_OK);
	put_shims(&h->p);
}

static void end(struct hsm *h)
{
	p11_close(&h->p);
	free(h->picks);
	free(h->logs);
	free(h->text);
	free(h->once.slots);
	free(h->once.facts);
	free(h->once.logs);
}

struct request {
	uint16_t type;
	uint8_t body[2048];
	size_t n;
};

static uint8_t answer[MSG_BODY_MAX];

/* One request as serve() hands it over; *r is the result in the answer. */
static int handle(struct hsm *h, const struct request *q, int *r, size_t *len)
{
	struct serve_peer peer = {.who.role = ROLE_ENGINE};
	struct msg m = {.type = q->type, .id = 1, .body = q->body, .len = q->n, .fd = -1};
	struct wire_out w;
	struct wire_in in;
	int e;

	wire_out_init(&w, answer, sizeof answer);
	e = hsm_handle(h, &peer, &m, &w);
	assert_int_equal(w.err, KE_OK);
	wire_in_init(&in, answer, w.len);
	*r = wire_get_i32(&in);
	*len = w.len;
	return e;
}

static void session(struct request *q)
{
	struct wire_out w;

	*q = (struct request){.type = MSG_HSM_SESSION};
	wire_out_init(&w, q->body, sizeof q->body);
	wire_put_raw(&w, q->body, 32);
	wire_put_u8(&w, 1);
	wire_put_u32(&w, 1);
	wire_put_u64(&w, (uint64_t)time(NULL));
	q->n = w.len;
}

static void dbkey(struct request *q, uint16_t type)
{
	struct wire_out w;

	*q = (struct request){.type = type};
	wire_out_init(&w, q->body, sizeof q->body);
	wire_put_cstr(&w, sealed);
	wire_put_raw(&w, FX_APPLIANCE, 16);
	q->n = w.len;
}

static void plain(struct request *q, uint16_t type, size_t n)
{
	*q = (struct request){.type = type, .n = n};
}

/* A seed that h makes for it: its commitment and its blob, as they stand in the answer. */
static void fresh_seed(struct hsm *h, uint8_t commit[32], const uint8_t **blob, size_t *n)
{
	struct request make;
	struct wire_in in;
	int r;

	plain(&make, MSG_HSM_NEW_SEED, 16);
	assert_int_equal(handle(h, &make, &r, n), KE_OK);
	assert_int_equal(r, KE_OK);
	wire_in_init(&in, answer, *n);
	(void)wire_get_i32(&in);
	wire_get_raw(&in, commit, 32);
	(void)wire_get_view(&in, 32);
	*blob = wire_get_str(&in, 400, n);
}

static const uint8_t raffle[16];

static void reveal(struct hsm *h, struct request *q)
{
	const uint8_t *blob;
	struct wire_out w;
	uint8_t commit[32];
	size_t n;

	fresh_seed(h, commit, &blob, &n);
	*q = (struct request){.type = MSG_HSM_REVEAL_SEED};
	wire_out_init(&w, q->body, sizeof q->body);
	wire_put_raw(&w, raffle, 16);
	wire_put_raw(&w, commit, 32);
	wire_put_u64(&w, 10);
	wire_put_raw(&w, commit, 32);
	wire_put_raw(&w, commit, 32);
	wire_put_cstr(&w, "entropy");
	wire_put_str(&w, blob, n);
	assert_int_equal(w.err, KE_OK);
	q->n = w.len;
}

static void rewrap(struct hsm *h, struct request *q)
{
	const uint8_t *blob;
	struct wire_out w;
	uint8_t commit[32];
	size_t n;

	fresh_seed(h, commit, &blob, &n);
	*q = (struct request){.type = MSG_HSM_REWRAP_SEED};
	wire_out_init(&w, q->body, sizeof q->body);
	wire_put_raw(&w, raffle, 16);
	wire_put_raw(&w, commit, 32);
	wire_put_str(&w, blob, n);
	q->n = w.len;
}

/* One that h has issued just now. */
static void refresh(struct hsm *h, struct request *q)
{
	const uint8_t *token;
	struct request ask;
	struct wire_out w;
	struct wire_in in;
	size_t n;
	int r;

	session(&ask);
	assert_int_equal(handle(h, &ask, &r, &n), KE_OK);
	wire_in_init(&in, answer, n);
	(void)wire_get_i32(&in);
	(void)wire_get_str(&in, 2048, &n);
	(void)wire_get_u64(&in);
	token = wire_get_str(&in, 256, &n);
	*q = (struct request){.type = MSG_HSM_REFRESH};
	wire_out_init(&w, q->body, sizeof q->body);
	wire_put_str(&w, token, n);
	q->n = w.len;
}

static void new_deposit(struct request *q)
{
	plain(q, MSG_HSM_NEW_DEPOSIT, 17);
	q->body[16] = PAYOUT_EVM;
}

/* A deposit key that h makes for it, and, but for the rewrapping, a payout from it. */
static void with_deposit(struct hsm *h, struct request *q, uint16_t type)
{
	struct payout p = {.id = "a payout",
	    .kind = PAYOUT_EVM,
	    .chain_id = 1,
	    .gas_limit = 21000,
	    .to = {1},
	    .value = u256_of(1)};
	struct request make;
	size_t n;
	int r;

	new_deposit(&make);
	assert_int_equal(handle(h, &make, &r, &n), KE_OK);
	assert_int_equal(r, KE_OK);
	*q = (struct request){.type = type, .n = 16 + n - 4};
	memcpy(q->body + 16, answer + 4, n - 4);
	if (type == MSG_HSM_REWRAP_DEPOSIT)
		return;
	assert_int_equal(payout_put(&p, q->body + q->n, sizeof q->body - q->n, &n), KE_OK);
	q->n += n;
}

enum which {
	SESSION,
	OPEN_DBKEY,
	HOLDER,
	NEW_SEED,
	REVEAL,
	RESEAL,
	REWRAP,
	REFRESH,
	NEW_DEPOSIT, /* these take milliseconds each: not every code for them */
	PAYOUT,
	REWRAP_DEPOSIT,
	REQUESTS
};

static void make_request(struct hsm *h, unsigned which, struct request *q)
{
	switch (which) {
	case SESSION:
		session(q);
		break;
	case OPEN_DBKEY:
		dbkey(q, MSG_HSM_OPEN_DBKEY);
		break;
	case HOLDER:
		plain(q, MSG_HSM_HOLDER, 48);
		break;
	case NEW_SEED:
		plain(q, MSG_HSM_NEW_SEED, 16);
		break;
	case REVEAL:
		reveal(h, q);
		break;
	case RESEAL:
		dbkey(q, MSG_HSM_RESEAL_DBKEY);
		break;
	case REWRAP:
		rewrap(h, q);
		break;
	case NEW_DEPOSIT:
		new_deposit(q);
		break;
	case PAYOUT:
		with_deposit(h, q, MSG_HSM_SIGN_PAYOUT);
		break;
	case REWRAP_DEPOSIT:
		with_deposit(h, q, MSG_HSM_REWRAP_DEPOSIT);
		break;
	default:
		refresh(h, q);
	}
}

/* As a fresh process would be, at less cost: no operation is left over, nothing was ever asked. */
static void renew(struct hsm *h)
{
	countdown = 0;
	h->lost = false;
	h->once.n = 0;
	memset(h->once.slots, 0, ONCE_SLOTS * sizeof *h->once.slots);
	assert_int_equal(
	    real.C_OpenSession(h->p.slot, CKF_SERIAL_SESSION, NULL, NULL, &h->p.session), CKR_OK);
}

/* Whatever the device has said meanwhile: the seed that is told is the one that was asked for. */
static void assert_reveals(const struct request *q)
{
	uint8_t digest[32];

	hash_sha256(digest, answer + 4, 32);
	assert_memory_equal(digest, q->body + 16, 32);
}

/* True when the Nth call came about and failed; *r, *e: what became of the request. */
static bool spoil(struct hsm *h, unsigned which, unsigned n, int *r, int *e)
{
	struct request q;
	size_t len;
	bool happened;

	renew(h);
	make_request(h, which, &q);
	countdown = n;
	*e = handle(h, &q, r, &len);
	happened = countdown == 0;
	if (*r != KE_OK)
		assert_int_equal(len, 4);
	else if (which == REVEAL)
		assert_reveals(&q);
	return happened;
}

/* It is refused by a process that then ends; or, where the same could be tried again, done. */
static bool fail_nth(struct hsm *h, unsigned which, unsigned n, CK_RV rv, bool *again)
{
	int e, r;

	failure = rv;
	if (!spoil(h, which, n, &r, &e)) {
		assert_int_equal(e, KE_OK);
		assert_int_equal(r, KE_OK);
		return false;
	}
	*again = r == KE_OK;
	if (r == KE_OK) {
		assert_true(ckr_class(rv) == KE_AGAIN || ckr_class(rv) == KE_CRYPTO);
		assert_int_equal(e, KE_OK);
		return true;
	}
	assert_int_equal(r, KE_UNAVAIL);
	assert_int_equal(e, KE_CLOSED);
	assert_true(h->lost);
	return true;
}

/* For requests that take long: one of each class, and those that the calls name themselves. */
static bool is_sample(CK_RV rv)
{
	return rv == CKR_GENERAL_ERROR || rv == CKR_DEVICE_REMOVED || rv == CKR_PIN_INCORRECT ||
	       rv == CKR_PIN_LOCKED || rv == CKR_ENCRYPTED_DATA_INVALID ||
	       rv == CKR_WRAPPED_KEY_INVALID || rv == CKR_TEMPLATE_INCONSISTENT ||
	       rv == CKR_SIGNATURE_INVALID;
}

/* Every call of every request with every value that the standard names, and one that it does not.
 */
static void test_every_call_fails(void **state)
{
	static const unsigned calls[REQUESTS] = {[SESSION] = 5,
	    [OPEN_DBKEY] = 4,
	    [HOLDER] = 2,
	    [NEW_SEED] = 15,
	    [REVEAL] = 3,
	    [RESEAL] = 9,
	    [REWRAP] = 11,
	    [REFRESH] = 2,
	    [NEW_DEPOSIT] = 10,
	    [PAYOUT] = 4,
	    [REWRAP_DEPOSIT] = 11};
	static struct hsm h;
	unsigned codes = 0, more = 0;

	(void)state;
	start(&h);
	for (CK_RV rv = 1; rv <= 0x2ff; rv++) {
		if (strcmp(ckr_name(rv), "CKR_?") == 0 && rv != 0x2ff)
			continue;
		codes++;
		for (unsigned both = BEFORE; both <= AFTER; both++) {
			how = both;
			for (unsigned which = 0; which < REQUESTS; which++) {
				unsigned n = 1;
				bool again = false;

				if (which >= NEW_DEPOSIT && !is_sample(rv))
					continue;
				while (fail_nth(&h, which, n, rv, &again)) {
					more += again;
					n++;
				}
				assert_int_equal(n - 1, calls[which]);
			}
		}
	}
	assert_true(codes > 80);
	assert_true(more > 0);
	end(&h);
}

/*
 * A bit of an answer of the device is wrong, once. What hsm can check it checks. It lets two kinds
 * pass: the two signatures of a session, of which engine checks the one that can be checked, and a
 * MAC that is told once (a holder's salt, a refresh token).
 */
static void test_lies(void **state)
{
	static struct hsm h;
	unsigned found = 0, passed[REQUESTS] = {0};
	int e, r;

	(void)state;
	start(&h);
	how = LIE;
	for (unsigned which = 0; which < REQUESTS; which++) {
		for (unsigned n = 1; lied = false, spoil(&h, which, n, &r, &e); n++) {
			found += lied && r != KE_OK;
			passed[which] += lied && r == KE_OK;
			assert_true(r == KE_OK || r == KE_UNAVAIL || r == KE_CRYPTO);
			assert_true(r != KE_UNAVAIL || h.lost);
		}
	}
	/* random numbers are no more wrong for another bit: of a session and of an IV */
	assert_int_equal(passed[SESSION], 3);
	assert_int_equal(passed[HOLDER], 1);
	assert_int_equal(passed[RESEAL], 1);
	assert_int_equal(passed[OPEN_DBKEY] + passed[NEW_SEED], 0);
	/* read once more, when it is not the seed that was committed to */
	assert_int_equal(passed[REVEAL], 1);
	assert_int_equal(passed[REWRAP] + passed[REFRESH], 0);
	/*
	 * A deposit key: the digest that it is tried with, a signature that is made once more, and
	 * a bit behind the wrapping, when the compiler has looked at its length too early.
	 */
	assert_int_equal(passed[PAYOUT], 1);
	assert_in_range(passed[NEW_DEPOSIT], 2, 3);
	assert_in_range(passed[REWRAP_DEPOSIT], 4, 5);
	assert_true(found >= 10);
	end(&h);
}

/*
 * Whether a seed is the one of an open record is told for good, so neither one wrong answer of the
 * device nor a memory that cannot be read is a "no".
 */
static void test_a_seed_that_is_doubted(void **state)
{
	static struct hsm h;
	uint8_t commit1[32], commit2[32], other[16] = {1};
	char text[400] = {0};
	const uint8_t *blob;
	unsigned n = 0, lies = 0;
	size_t len;
	int r;

	(void)state;
	start(&h);
	renew(&h);
	how = LIE;
	fresh_seed(&h, commit1, &blob, &len);
	memcpy(commit2, answer + 4 + 32, 32);
	memcpy(text, blob, len);
	do {
		lied = false;
		countdown = ++n;
		r = seed_is(&h, raffle, commit1, commit2, (const uint8_t *)text, len);
		assert_true(r == KE_OK || r == KE_UNAVAIL);
		lies += lied;
	} while (countdown == 0);
	assert_int_equal(r, KE_OK);
	assert_in_range(lies, 2, n);
	countdown = 0;
	h.once.journal.fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_true(h.once.journal.fd >= 0);
	assert_int_equal(seed_is(&h, raffle, commit1, commit2, (const uint8_t *)text, len), KE_IO);
	close(h.once.journal.fd);
	h.once.journal.fd = -1;
	assert_int_equal(
	    seed_is(&h, other, commit1, commit2, (const uint8_t *)text, len), KE_DENIED);
	commit2[0] ^= 1;
	assert_int_equal(
	    seed_is(&h, raffle, commit1, commit2, (const uint8_t *)text, len), KE_CRYPTO);
	end(&h);
}

/* --- wear --- */

static void test_objects_wear_out(void **state)
{
	static struct hsm h;
	struct request q;
	size_t len;
	int r;

	(void)state;
	start(&h);
	plain(&q, MSG_HSM_NEW_SEED, 16);
	h.objects = 1000;
	h.p.made = 1000 - 4; /* each seed is made, and unwrapped once */
	assert_int_equal(handle(&h, &q, &r, &len), KE_OK);
	assert_false(h.worn);
	assert_int_equal(handle(&h, &q, &r, &len), KE_OK);
	assert_true(h.worn);
	/* it serves on, until it must go */
	h.p.made = 1000 + HSM_WEAR_MORE - 4;
	assert_int_equal(handle(&h, &q, &r, &len), KE_OK);
	assert_int_equal(r, KE_OK);
	/* the last one is answered, then the process goes, as planned */
	assert_int_equal(handle(&h, &q, &r, &len), KE_CLOSED);
	assert_int_equal(r, KE_OK);
	assert_true(len > 64);
	assert_false(h.lost);
	end(&h);
}

/* --- */

static int setup(void **state)
{
	char *env[] = {fx.env};
	struct p11 p = {.dl = NULL};
	struct key_ring ring;

	(void)state;
	fx_start(&fx);
	fx_make_token(&fx, FX_KEYS);
	if (sodium_init() < 0 || p11_load(&p, fx_module(), env, 1) != KE_OK ||
	    p11_open(&p, FX_KEYS, true) != KE_OK || p11_login(&p, FX_PIN) != KE_OK)
		return 1;
	if (fx_fill(&p, &ring) != KE_OK ||
	    blob_make_class_key(&p, key_ring_get(&ring, KEY_MASTER, 0),
		&(struct blob_class){BLOB_DB, 0, (const uint8_t *)FX_APPLIANCE}, sealed,
		sizeof sealed) != KE_OK)
		return 1;
	p11_close(&p);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_end(&fx);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_call_fails),
	    cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_a_seed_that_is_doubted),
	    cmocka_unit_test(test_objects_wear_out),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	fflush(NULL);
	_exit(failed != 0); /* SoftHSM crashes in exit handlers */
}
