/*
 * hsm and kdf of the engine in the fuzzer's process, as they should be: each question's right
 * answer. Included by engine_lab.h, behind its context.
 */
#ifndef TESTS_FUZZ_ENGINE_LAB_HSM_H
#define TESTS_FUZZ_ENGINE_LAB_HSM_H

static void lab_sign(const char *text, size_t n, uint8_t out[64])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[96];
	const uint8_t *p = der;
	size_t len = sizeof der;
	ECDSA_SIG *sig;

	must(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, lab.key) == 1);
	must(EVP_DigestSign(ctx, der, &len, (const uint8_t *)text, n) == 1);
	EVP_MD_CTX_free(ctx);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	must(sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32);
	must(BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32);
	ECDSA_SIG_free(sig);
}

static int lab_token(char *token, size_t cap, const uint8_t user[16], const uint8_t family[16])
{
	static const char header[] =
	    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v000001\"}";
	char claims[512], sub[37], sid[37];
	uint8_t sig[64];
	int n;

	text_uuid(sub, user);
	text_uuid(sid, family);
	snprintf(claims, sizeof claims,
	    "{\"iss\":\"https://" LAB_HOST "\",\"aud\":\"https://" LAB_HOST "\",\"sub\":\"%s\","
	    "\"client_id\":\"klero\",\"sid\":\"%s\",\"roles\":[\"user\"],\"iat\":%lld,"
	    "\"exp\":%lld,\"jti\":\"00\"}",
	    sub, sid, (long long)(LAB_START / 1000), (long long)(LAB_START / 1000 + 900));
	n = text_b64url(token, cap, header, sizeof header - 1);
	token[n++] = '.';
	n += text_b64url(token + n, cap - (size_t)n, claims, strlen(claims));
	lab_sign(token, (size_t)n, sig);
	token[n++] = '.';
	return n + text_b64url(token + n, cap - (size_t)n, sig, sizeof sig);
}

static void lab_session(struct wire_in *in, struct wire_out *w)
{
	const uint8_t *user = wire_get_view(in, 16), *family = wire_get_view(in, 16);
	char token[1536] = "stale", refresh[33];

	(void)wire_get_u8(in);
	(void)wire_get_u32(in);
	(void)wire_get_u64(in);
	must(wire_end(in) == KE_OK);
	/* signing is slow, and what an input is answered is not used again */
	if (lab.sessions < 3) {
		(void)lab_token(token, sizeof token, user, family);
		memcpy(lab.token[lab.sessions++], token, sizeof token);
	}
	text_hex(refresh, family, 16);
	wire_put_cstr(w, token);
	wire_put_u64(w, (uint64_t)(LAB_START / 1000 + 900));
	wire_put_cstr(w, refresh);
}

/* A refresh token is its family in hex: of generation 1. */
static int lab_refresh(struct wire_in *in, struct wire_out *w)
{
	uint8_t family[16];
	size_t n;
	const uint8_t *text = wire_get_str(in, 256, &n);

	if (text == NULL || n != 32 || text_unhex(family, 16, (const char *)text, 32) != KE_OK)
		return KE_FORMAT;
	wire_put_raw(w, family, 16);
	wire_put_u32(w, 1);
	return KE_OK;
}

static int lab_sign_draw(struct wire_in *in, struct wire_out *w)
{
	static struct record_pick picks[RECORD1_PICKS_MAX];
	static char text[RECORD1_TEXT_MAX];
	struct record1 rec = {.picks = picks};
	const char *what;
	uint8_t sig[64];
	size_t n;

	(void)wire_get_str(in, 256, &n);
	must(record1_unwire(&rec, in->p, (size_t)(in->end - in->p)) == KE_OK);
	must(record1_check(&rec, &what) == KE_OK);
	must(record1_text(&rec, text, sizeof text, &n) == KE_OK);
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, n, lab.log_secret);
	wire_put_raw(w, lab.e.hsm.log.id, 4);
	wire_put_u8(w, NOTE_ED25519);
	wire_put_raw(w, sig, sizeof sig);
	return KE_OK;
}

static void lab_keys(struct wire_out *w)
{
	wire_put_u8(w, 1);
	wire_put_u32(w, 1);
	wire_put_u8(w, NOTE_ED25519);
	wire_put_raw(w, lab.e.hsm.log.pub, 32);
	wire_put_u8(w, 1);
	wire_put_u32(w, 1);
	wire_put_raw(w, lab.e.hsm.tokens.key[0].point, TOKEN_POINT);
}

static const uint8_t lab_seed[32] = {7};

static void lab_commit(struct wire_out *w)
{
	uint8_t commit[32];

	hash_sha256(commit, lab_seed, 32);
	wire_put_raw(w, commit, 32);
	wire_put_raw(w, commit, 32);
	wire_put_cstr(w, "klero:1:seed:1:AAAA");
}

/* One officer decides; every key is at version 1. */
static void lab_anchor(struct wire_out *w)
{
	static const char key[] =
	    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFEhZ5TnM4MATocC4F1WKw4y5x8rKpXmXl4jF071+V9Z";
	static struct anchor a;
	static char text[ANCHOR_TEXT_MAX];
	uint64_t version;
	size_t n;

	a = (struct anchor){.serial = 1, .epoch = 1, .officers = {.threshold = 1, .n = 1}};
	memcpy(a.officers.officer[0].name, "ada", 4);
	must(ssh_key_line(&a.officers.officer[0].key, key, sizeof key - 1) == KE_OK);
	for (unsigned p = 0; p < KEY_PURPOSES; p++)
		must(anchor_add(&a, p, 0, &version) == KE_OK);
	must(anchor_text(&a, text, sizeof text, &n) == KE_OK);
	wire_put_str(w, text, n);
}

#define LAB_PHC        "$argon2id$v=19$m=65536,t=3,p=1$AAAA$BBBB"
#define LAB_CREDENTIAL "klero:1:data:v000001:AAAA"

static void lab_reseal(struct wire_in *in, struct wire_out *w)
{
	uint16_t n = wire_get_u16(in);

	while (n-- > 0) {
		wire_put_i32(w, KE_OK);
		wire_put_cstr(w, LAB_CREDENTIAL);
	}
}

/* A key that is this pool's and no other's. */
static void lab_deposit(const uint8_t pool[16], size_t pub_len, struct wire_out *w)
{
	uint8_t pub[PAYOUT_PUB_MAX] = {4};

	memcpy(pub + 8, pool, 16);
	wire_put_u8(w, (uint8_t)pub_len);
	wire_put_raw(w, pub, pub_len);
	wire_put_cstr(w,
	    pub_len == 65 ? "klero:1:deposit:v000001:AAAA" : "klero:1:deposit25519:v000001:AAAA");
}

/* A transaction is its fields, named by their hash. */
static void lab_payout(struct wire_in *in, struct wire_out *w)
{
	uint8_t name[64] = {0};
	size_t n, pub_len;

	(void)wire_get_view(in, 16);
	pub_len = wire_get_u8(in);
	(void)wire_get_view(in, pub_len);
	(void)wire_get_str(in, DB_POOL_KEY_MAX, &n);
	n = (size_t)(in->end - in->p);
	must(in->err == KE_OK && n > 17);
	hash_sha256(name, in->p, n);
	wire_put_u8(w, pub_len == 65 ? 32 : 64);
	wire_put_raw(w, name, pub_len == 65 ? 32 : 64);
	wire_put_str(w, in->p, n);
}

/* Its size, then a signature by nobody. */
static void lab_sign_checkpoint(struct wire_in *in, struct wire_out *w)
{
	uint8_t sig[64] = {7};

	(void)wire_get_view(in, 17);
	wire_put_u64(w, wire_get_u64(in));
	wire_put_raw(w, sig, 4);
	wire_put_u8(w, NOTE_ED25519);
	wire_put_raw(w, sig, sizeof sig);
}

/* The right answer's body behind its result; the result. */
static int lab_answer(const struct lab_ask *a, struct wire_out *w)
{
	struct wire_in in;
	size_t n;

	wire_in_init(&in, a->body, a->len);
	switch (a->type) {
	case MSG_KDF_HASH:
	case MSG_HSM_OPEN_CREDENTIAL:
		wire_put_cstr(w, LAB_PHC);
		return KE_OK;
	case MSG_HSM_SEAL_CREDENTIAL:
		wire_put_cstr(w, LAB_CREDENTIAL);
		return KE_OK;
	case MSG_HSM_RAISE:
		wire_put_u32(w, 1);
		return KE_OK;
	case MSG_HSM_RESEAL_CREDENTIALS:
		lab_reseal(&in, w);
		return KE_OK;
	case MSG_KDF_VERIFY:
		wire_put_u8(w, 0);
		return KE_OK;
	case MSG_HSM_KEYS:
		lab_keys(w);
		return KE_OK;
	case MSG_HSM_SESSION:
		lab_session(&in, w);
		return KE_OK;
	case MSG_HSM_REFRESH:
		return lab_refresh(&in, w);
	case MSG_HSM_NEW_SEED:
		lab_commit(w);
		return KE_OK;
	case MSG_HSM_ESCROW:
		return KE_NOTFOUND;
	case MSG_HSM_SIGN_DRAW1:
		return lab_sign_draw(&in, w);
	case MSG_HSM_ANCHOR:
		lab_anchor(w);
		return KE_OK;
	case MSG_HSM_SIGN_CHECKPOINT:
		lab_sign_checkpoint(&in, w);
		return KE_OK;
	case MSG_HSM_REWRAP_SEED:
		wire_put_cstr(w, "klero:1:seed:v000001:AAAA");
		return KE_OK;
	case MSG_HSM_RESEAL_DBKEY:
		wire_put_cstr(w, LAB_SEALED);
		return KE_OK;
	case MSG_HSM_NEW_DEPOSIT:
	case MSG_HSM_IMPORT_DEPOSIT:
		lab_deposit(a->body, payout_pub_len(a->body[16]), w);
		return KE_OK;
	case MSG_HSM_SIGN_APPROVED:
		(void)wire_get_str(&in, PROPOSAL_TEXT_MAX, &n);
		(void)wire_get_str(&in, RCONF_KEYADM_APPROVALS, &n);
		lab_payout(&in, w);
		return KE_OK;
	case MSG_HSM_SIGN_PAYOUT:
		lab_payout(&in, w);
		return KE_OK;
	case MSG_HSM_REWRAP_DEPOSIT:
		wire_put_cstr(w, "klero:1:deposit:v000001:BBBB");
		return KE_OK;
	default: /* a holder's salt, the key that an import is sealed to, a revealed seed */
		wire_put_raw(w, lab_seed, 32);
		return KE_OK;
	}
}

#endif
