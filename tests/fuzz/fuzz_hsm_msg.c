/*
 * Fuzzes every message of hsm and of tlskey, down to the token: what engine and net may send goes
 * through msg_check and the real handlers with a real SoftHSM behind them. An input is either a
 * body as it stands or a valid body with some bytes changed, so that the fuzzer gets past seals and
 * commitments that it could not guess. No input may crash a handler, end the process, or make an
 * answer that msg.def does not allow; nothing but KE_PEER may come back for what cannot be read.
 */
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/escrow.h"
#include "hsm/role/hsm.h"
#include "policy/backup.h"
#include "policy/hash.h"
#include "policy/tlog.h"
#include "tests/unit/hsm_fill.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * SoftHSM leaks with every session object and every Ed25519 signature, so libFuzzer would look for
 * leaks after every input; the handlers themselves allocate nothing that outlives a request.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:quarantine_size_mb=16";
}

/* Refusals are logged by design, thousands a second here. */
void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_fatal(const char *func, const char *fmt, ...)
{
	(void)func;
	(void)fmt;
	abort();
}

static const struct {
	uint16_t type;
	enum role to, from;
} requests[] = {
    {MSG_HSM_KEYS, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_OPEN_DBKEY, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SESSION, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REFRESH, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_HOLDER, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_NEW_SEED, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REVEAL_SEED, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SIGN_DRAW1, ROLE_HSM, ROLE_ENGINE},
    {MSG_TLS_SIGN, ROLE_TLSKEY, ROLE_NET},
    {MSG_HSM_ANCHOR, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_RESEAL_DBKEY, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REWRAP_SEED, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SEAL_CREDENTIAL, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_OPEN_CREDENTIAL, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_RESEAL_CREDENTIALS, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_NEW_DEPOSIT, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SIGN_PAYOUT, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_IMPORT_KEY, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_IMPORT_DEPOSIT, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REWRAP_DEPOSIT, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_RAISE, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SIGN_BACKUP, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_CHECK_BACKUP, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_ESCROW, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_COSIGN, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_AGREE, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REVEAL2, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_SIGN_APPROVED, ROLE_HSM, ROLE_ENGINE},
    {MSG_HSM_REVEAL_APPROVED, ROLE_HSM, ROLE_ENGINE},
};
#define REQUESTS (sizeof requests / sizeof requests[0])

struct body {
	uint8_t bytes[4096];
	size_t n;
};

static struct fx fx;
static struct hsm hsm, tlskey;
static struct body valid[REQUESTS];
static uint8_t answer[MSG_BODY_MAX];

static void must(int ok)
{
	if (!ok)
		abort();
}

/* The process that a fuzzer is goes on where a real one would be replaced. */
static void renew(void)
{
	hsm.p.made = 0;
	must(once_load(&hsm.once, -1) == KE_OK);
}

static int run(size_t which, const uint8_t *body, size_t n, struct wire_in *in)
{
	static uint8_t packet[MSG_MAX];
	const struct msg_rule *rule;
	struct hsm *h = requests[which].to == ROLE_HSM ? &hsm : &tlskey;
	struct serve_peer peer = {.who.role = requests[which].from};
	struct wire_out head, w;
	struct msg m;
	int r;

	wire_out_init(&head, packet, sizeof packet);
	wire_put_u16(&head, MSG_VERSION);
	wire_put_u16(&head, requests[which].type);
	wire_put_u32(&head, (uint32_t)n);
	wire_put_u64(&head, 1);
	wire_put_raw(&head, body, n);
	must(head.err == KE_OK);
	r = msg_check(packet, head.len, -1, requests[which].to, requests[which].from, RUN, &m);
	if (r != KE_OK)
		return r;
	wire_out_init(&w, answer, sizeof answer);
	r = hsm_handle(h, &peer, &m, &w);
	if (r == KE_CLOSED) {
		must(!h->lost);
		renew();
		r = KE_OK;
	}
	must(r == KE_OK || r == KE_PEER);
	if (r == KE_PEER)
		return r;
	rule = msg_rule((uint16_t)(m.type + 1));
	must(w.err == KE_OK && w.len >= rule->min && w.len <= rule->max);
	wire_in_init(in, answer, w.len);
	return wire_get_i32(in);
}

#include "tests/fuzz/hsm_life.h"

/* Valid bodies, one after the other: each from the answers to those before. */

static void make_session(struct body *b, struct body *refresh)
{
	struct wire_out w;
	struct wire_in in;
	const uint8_t *text;
	size_t n;

	wire_out_init(&w, b->bytes, sizeof b->bytes);
	wire_put_raw(&w, b->bytes, 32);
	wire_put_u8(&w, 9);
	wire_put_u32(&w, 1);
	wire_put_u64(&w, (uint64_t)time(NULL));
	b->n = w.len;
	must(run(2, b->bytes, b->n, &in) == KE_OK);
	(void)wire_get_str(&in, 2048, &n);
	(void)wire_get_u64(&in);
	text = wire_get_str(&in, 256, &n);
	wire_out_init(&w, refresh->bytes, sizeof refresh->bytes);
	wire_put_str(&w, text, n);
	refresh->n = w.len;
	must(wire_end(&in) == KE_OK && run(3, refresh->bytes, refresh->n, &in) == KE_OK);
}

static void make_draw(struct body *seed, struct body *reveal, struct body *draw)
{
	static struct record_pick picks[5];
	struct record1 rec = {.tickets = 1000, .winners = 3, .reserves = 2, .picks = picks};
	struct wire_out w;
	struct wire_in in;
	const uint8_t *blob;
	size_t n;

	seed->n = 16;
	must(run(5, seed->bytes, 16, &in) == KE_OK);
	wire_get_raw(&in, rec.seed_commit, 32);
	(void)wire_get_view(&in, 32);
	blob = wire_get_str(&in, 400, &n);
	rec.entropy[0] = 'e';
	rec.entropy_len = 1;
	wire_out_init(&w, reveal->bytes, sizeof reveal->bytes);
	wire_put_raw(&w, rec.raffle, 16);
	wire_put_raw(&w, rec.seed_commit, 32);
	wire_put_u64(&w, rec.tickets);
	wire_put_raw(&w, rec.root, 32);
	wire_put_raw(&w, rec.aggregate, 32);
	wire_put_str(&w, rec.entropy, 1);
	wire_put_str(&w, blob, n);
	reveal->n = w.len;
	must(run(6, reveal->bytes, reveal->n, &in) == KE_OK);
	wire_get_raw(&in, rec.server_seed, 32);
	must(record1_draw(&rec) == KE_OK);
	wire_out_init(&w, draw->bytes, sizeof draw->bytes);
	wire_put_cstr(&w, FX_HOST "/klero/log");
	must(record1_wire(&rec, draw->bytes + w.len, sizeof draw->bytes - w.len, &n) == KE_OK);
	draw->n = w.len + n;
	must(run(7, draw->bytes, draw->n, &in) == KE_OK);
}

static void make_dbkey(struct body *b)
{
	char text[BLOB_TEXT_MAX];
	struct wire_out w;
	struct wire_in in;

	must(blob_make_class_key(&hsm.p, key_ring_get(&hsm.ring, KEY_MASTER, 0),
		 &(struct blob_class){BLOB_DB, 0, (const uint8_t *)FX_APPLIANCE}, text,
		 sizeof text) == KE_OK);
	wire_out_init(&w, b->bytes, sizeof b->bytes);
	wire_put_cstr(&w, text);
	wire_put_raw(&w, FX_APPLIANCE, 16);
	b->n = w.len;
	must(run(1, b->bytes, b->n, &in) == KE_OK);
}

static void make_tls(struct body *b)
{
	struct wire_in in;

	hash_sha256(b->bytes, key_ring_get(&tlskey.ring, KEY_TLS, 1)->pub, KEY_PUB_MAX);
	memset(b->bytes + 32, ' ', 64);
	memcpy(b->bytes + 96, "TLS 1.3, server CertificateVerify", 34);
	b->n = 162;
	must(run(8, b->bytes, b->n, &in) == KE_OK);
}

/* The same sealed key and another seed: what rotation asks for. */
static void make_rotation(struct body *reseal, struct body *rewrap)
{
	static uint8_t raffle[16] = {9}, commit[32];
	struct wire_out w;
	struct wire_in in;
	const uint8_t *blob;
	size_t n;

	*reseal = valid[1];
	must(run(10, reseal->bytes, reseal->n, &in) == KE_OK);
	must(run(5, raffle, 16, &in) == KE_OK);
	wire_get_raw(&in, commit, 32);
	(void)wire_get_view(&in, 32);
	blob = wire_get_str(&in, 400, &n);
	wire_out_init(&w, rewrap->bytes, sizeof rewrap->bytes);
	wire_put_raw(&w, raffle, 16);
	wire_put_raw(&w, commit, 32);
	wire_put_str(&w, blob, n);
	rewrap->n = w.len;
	must(run(11, rewrap->bytes, rewrap->n, &in) == KE_OK);
}

/* A deposit key of that kind as engine hands it over, then its payout. */
static void make_deposit(struct body *made, struct body *rewrap, struct body *sign, uint8_t kind)
{
	struct payout p = {.id = {kind},
	    .kind = kind,
	    .chain_id = 1,
	    .gas_limit = 21000,
	    .to = {1},
	    .value = u256_of(1)};
	struct wire_out w;
	struct wire_in in;
	size_t n;

	made->n = 17;
	made->bytes[16] = kind;
	must(run(15, made->bytes, 17, &in) == KE_OK);
	wire_out_init(&w, rewrap->bytes, sizeof rewrap->bytes);
	wire_put_raw(&w, made->bytes, 16);
	wire_put_raw(&w, in.p, (size_t)(in.end - in.p)); /* its answer is the question's form */
	rewrap->n = w.len;
	must(run(19, rewrap->bytes, rewrap->n, &in) == KE_OK);
	*sign = *rewrap;
	must(payout_put(&p, sign->bytes + w.len, sizeof sign->bytes - w.len, &n) == KE_OK);
	sign->n = w.len + n;
	must(run(16, sign->bytes, sign->n, &in) == KE_OK);
}

/* A value of tests/vectors/legacy.txt and its key. */
static void make_import(struct body *b)
{
	static const char value[] =
	    "v1:ZGVmZ2hpamtsbW5v:tbfzp/IqTXma2hRzSBKdGQ==:eGPqBUnRbq1fVGbZ6ldTznWmMDi4XcdFlrOZLJnBk"
	    "3qk3SaleSOpPcvCTw/FcP32KTr90xZyJRjLkJ+w3LeXuTm0";
	uint8_t key[32], box[32 + crypto_box_SEALBYTES];
	struct wire_out w;
	struct wire_in in;

	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)i;
	must(run(17, b->bytes, 0, &in) == KE_OK);
	must(crypto_box_seal(box, key, sizeof key, in.p) == 0);
	wire_out_init(&w, b->bytes, sizeof b->bytes);
	wire_put_raw(&w, b->bytes, 16);
	wire_put_u8(&w, PAYOUT_EVM);
	wire_put_u8(&w, LEGACY_PARTS);
	wire_put_raw(&w, box, sizeof box);
	wire_put_cstr(&w, value);
	b->n = w.len;
	must(run(18, b->bytes, b->n, &in) == KE_OK);
}

/* A body that begins with what is asked of officers, of whom none has approved it. */
static void begin_proposed(struct body *b, struct wire_out *w, struct proposal *asked)
{
	static char text[PROPOSAL_TEXT_MAX];
	size_t n;

	asked->epoch = hsm.anchor.epoch;
	asked->expires_s = (uint64_t)time(NULL) + 86400;
	memcpy(asked->appliance, hsm.anchor.appliance, 16);
	must(proposal_text(asked, text, sizeof text, &n) == KE_OK);
	wire_out_init(w, b->bytes, sizeof b->bytes);
	wire_put_str(w, text, n);
	wire_put_cstr(w, "");
}

/* The payout of a key with a proposal of it that nobody has approved: so far hsm reads it. */
static void make_approved(struct body *b, const struct body *key)
{
	struct payout p = {.id = "approve me",
	    .kind = PAYOUT_EVM,
	    .chain_id = 2,
	    .gas_limit = 21000,
	    .to = {1},
	    .value = u256_of(7)};
	struct proposal asked = {.action = PROPOSE_PAYOUT, .payout = p};
	struct wire_out w;
	struct wire_in in;
	size_t n;

	memcpy(asked.nonce, p.id, 16);
	begin_proposed(b, &w, &asked);
	wire_put_raw(&w, key->bytes, key->n);
	must(payout_put(&p, b->bytes + w.len, sizeof b->bytes - w.len, &n) == KE_OK);
	b->n = w.len + n;
	must(run(REQUESTS - 2, b->bytes, b->n, &in) == KE_DENIED);
}

/* The draw that was drawn already, which needs no approval any more, with a proposal of it. */
static void make_approved_draw(struct body *b, const struct body *reveal)
{
	struct proposal asked = {.action = PROPOSE_DRAW};
	struct wire_out w;
	struct wire_in in;

	begin_proposed(b, &w, &asked);
	wire_put_raw(&w, reveal->bytes, reveal->n);
	b->n = w.len;
	must(run(REQUESTS - 1, b->bytes, b->n, &in) == KE_OK);
	hsm.draw_approval = true;
}

static void make_deposits(void)
{
	struct body sign;

	must(paylimit_parse(&hsm.limits[0], "evm:1 1000000 1000000000/1") == KE_OK);
	must(paylimit_parse(&hsm.limits[1], "solana 1000000 1000000000/1") == KE_OK);
	must(paylimit_parse(&hsm.limits[2], "evm:2 1000000 1000000000/1 5") == KE_OK);
	hsm.nlimits = 3;
	make_import(&valid[18]);
	make_deposit(&valid[15], &valid[19], &valid[16], PAYOUT_SOLANA);
	/* one of each kind stays: SIGN_PAYOUT's is Solana's, REWRAP_DEPOSIT's is EVM's */
	make_deposit(&valid[15], &valid[19], &sign, PAYOUT_EVM);
	make_approved(&valid[REQUESTS - 2], &valid[19]);
	make_approved_draw(&valid[REQUESTS - 1], &valid[6]);
}

/* Where the build counts lines; it would at an ordinary exit. */
extern int __llvm_profile_write_file(void) __attribute__((weak));

/* SoftHSM crashes in exit handlers under OpenSSL 3: leave before it gets there. */
static void leave(void)
{
	if (__llvm_profile_write_file != NULL)
		(void)__llvm_profile_write_file();
	p11_close(&hsm.p);
	fx_end(&fx);
	_exit(0);
}

/* The PHC string, what it is sealed as, and both of them in one question. */
static void make_credentials(struct body *plain, struct body *sealed, struct body *both)
{
	static const char phc[] = "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
				  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	struct wire_out w;
	struct wire_in in;
	size_t n;
	const uint8_t *text;

	wire_out_init(&w, plain->bytes, sizeof plain->bytes);
	wire_put_raw(&w, "a user's own id ", 16);
	wire_put_cstr(&w, phc);
	plain->n = w.len;
	must(run(12, plain->bytes, plain->n, &in) == KE_OK);
	text = wire_get_str(&in, 500, &n);
	wire_out_init(&w, sealed->bytes, sizeof sealed->bytes);
	wire_put_raw(&w, "a user's own id ", 16);
	wire_put_str(&w, text, n);
	sealed->n = w.len;
	must(run(13, sealed->bytes, sealed->n, &in) == KE_OK);
	wire_out_init(&w, both->bytes, sizeof both->bytes);
	wire_put_u16(&w, 2);
	wire_put_raw(&w, plain->bytes, plain->n);
	wire_put_raw(&w, sealed->bytes, sealed->n);
	both->n = w.len;
	must(run(14, both->bytes, both->n, &in) == KE_OK);
}

/* A manifest of now, as engine has it signed, and the note that comes of it. */
static void make_backup(struct body *sign, struct body *check)
{
	static const unsigned names[] = {BACKUP_STORE, BACKUP_LOG, BACKUP_KEYS, BACKUP_CONF};
	struct backup_manifest m = {.made_s = (uint64_t)time(NULL),
	    .program = "0.1.0",
	    .anchor = hsm.anchor.serial,
	    .log_key = 1,
	    .sections = 4};
	char note[BACKUP_NOTE_MAX];
	uint8_t id[4], sig[64];
	struct wire_out w;
	struct wire_in in;
	size_t n, line;
	uint8_t type;

	memcpy(m.appliance, hsm.anchor.appliance, sizeof m.appliance);
	for (size_t i = 0; i < 4; i++)
		m.section[i].name = names[i];
	must(backup_text(&m, note, sizeof note, &n) == KE_OK);
	wire_out_init(&w, sign->bytes, sizeof sign->bytes);
	wire_put_str(&w, note, n);
	sign->n = w.len;
	must(run(21, sign->bytes, sign->n, &in) == KE_OK);
	wire_get_raw(&in, id, sizeof id);
	type = wire_get_u8(&in);
	wire_get_raw(&in, sig, sizeof sig);
	note[n++] = '\n';
	must(note_sig_line(hsm.log_name, (enum note_type)type, id, sig, note + n, 512, &line) ==
	     KE_OK);
	wire_out_init(&w, check->bytes, sizeof check->bytes);
	wire_put_str(&w, note, n + line);
	check->n = w.len;
	must(run(22, check->bytes, check->n, &in) == KE_OK);
}

/* With one officer, whose private key nobody has kept. */
static void make_escrow(struct body *b)
{
	static struct rconf_hsm c = {.escrow_m = 1};
	EVP_PKEY *key = EVP_RSA_gen(ESCROW_BITS_MIN);
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *blob;
	struct wire_out w;
	struct wire_in in;
	size_t n;

	must(PEM_write_bio_PUBKEY(bio, key) == 1);
	must(BIO_read(bio, c.escrow[0], sizeof c.escrow[0] - 1) > 0);
	BIO_free(bio);
	EVP_PKEY_free(key);
	must(escrow_prepare(&hsm, &c) == KE_OK);
	memset(b->bytes, 0x23, 16);
	must(run(5, b->bytes, 16, &in) == KE_OK);
	(void)wire_get_view(&in, 64);
	blob = wire_get_str(&in, 400, &n);
	wire_out_init(&w, b->bytes + 16, sizeof b->bytes - 16);
	wire_put_str(&w, blob, n);
	b->n = 16 + w.len;
	must(run(23, b->bytes, b->n, &in) == KE_OK);
}

/* The first checkpoint of a log that is witnessed. */
static void make_cosign(struct body *b)
{
	struct checkpoint c = {.origin = "w.example/klero", .size = 1};
	struct note_key *k = &hsm.witnessed[0];
	char text[CHECKPOINT_TEXT_MAX];
	uint8_t secret[64], sig[64];
	struct wire_out w;
	struct wire_in in;
	size_t n;

	memcpy(k->name, c.origin, sizeof c.origin);
	k->type = NOTE_ED25519;
	crypto_sign_keypair(k->pub, secret);
	hsm.nwitnessed = 1;
	must(checkpoint_text(&c, text, sizeof text, &n) == KE_OK);
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, n, secret);
	wire_out_init(&w, b->bytes, sizeof b->bytes);
	wire_put_cstr(&w, c.origin);
	wire_put_u64(&w, c.size);
	wire_put_raw(&w, c.root, 32);
	wire_put_str(&w, sig, sizeof sig);
	wire_put_u64(&w, 0);
	wire_put_u8(&w, 0);
	b->n = w.len;
	must(run(24, b->bytes, b->n, &in) == KE_OK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *env[1];
	bool wide;

	(void)argc;
	(void)argv;
	fx_start(&fx);
	fx_make_token(&fx, FX_KEYS);
	env[0] = fx.env;
	must(sodium_init() >= 0 && p11_load(&hsm.p, fx_module(), env, 1) == KE_OK);
	must(p11_open(&hsm.p, FX_KEYS, true) == KE_OK && p11_login(&hsm.p, FX_PIN) == KE_OK);
	must(fx_fill(&hsm.p, &hsm.ring) == KE_OK);
	hsm.journal = -1;
	hsm.objects = tlskey.objects = 100000;
	must(hsm_prepare(&hsm, ROLE_HSM, FX_HOST, &wide) == KE_OK);
	tlskey = hsm;
	tlskey.self = ROLE_TLSKEY;
	must(atexit(leave) == 0);
	valid[4].n = 48;
	make_dbkey(&valid[1]);
	make_session(&valid[2], &valid[3]);
	make_draw(&valid[5], &valid[6], &valid[7]);
	make_tls(&valid[8]);
	make_rotation(&valid[10], &valid[11]);
	make_credentials(&valid[12], &valid[13], &valid[14]);
	make_life(&valid[25], &valid[26]);
	make_deposits();
	valid[20] = (struct body){.bytes = {KEY_DATA, 1, 0, 0, 0}, .n = 5};
	make_backup(&valid[21], &valid[22]);
	make_escrow(&valid[23]);
	make_cosign(&valid[24]);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct body b;
	struct wire_in in;
	size_t which;

	if (size == 0 || size > sizeof b.bytes)
		return 0;
	which = (data[0] & 0x7f) % REQUESTS;
	if ((data[0] & 0x80) == 0) {
		(void)run(which, data + 1, size - 1, &in);
		return 0;
	}
	/* u16 offset and u8 difference, as often as there is input */
	b = valid[which];
	for (size_t i = 1; i + 3 <= size && b.n > 0; i += 3)
		b.bytes[(size_t)(data[i] | data[i + 1] << 8) % b.n] ^= data[i + 2];
	(void)run(which, b.bytes, b.n, &in);
	return 0;
}
