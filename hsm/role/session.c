/*
 * Access tokens (RFC 9068 over RFC 7519, ES256) and refresh tokens. hsm writes every byte of both
 * itself. Runs in hsm: see hsm.h.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hsm/p11/op.h"
#include "hsm/role/hsm.h"
#include "policy/be.h"
#include "policy/hash.h"
#include "policy/jsonw.h"
#include "policy/roles.h"
#include "policy/text.h"

#define ACCESS_MAX     1536
#define REFRESH_FORMAT 1
#define REFRESH_LEN    57 /* format ‖ mac version ‖ family ‖ generation ‖ tag */
#define REFRESH_TEXT   77 /* in base64url, with its NUL */
#define REFRESH_LABEL  "kleroterion/refresh-token"

struct session {
	const uint8_t *user, *family;
	uint8_t roles;
	uint32_t generation;
	uint64_t now_s;
};

static int make_claims(const struct hsm *h, const struct session *s, const uint8_t jti[16],
    char *out, size_t cap, size_t *len)
{
	char url[HSM_HOST_MAX + 16];
	struct jsonw w;

	snprintf(url, sizeof url, "https://%s", h->host);
	jsonw_init(&w, out, cap);
	jsonw_object(&w);
	jsonw_kcstr(&w, "iss", url);
	jsonw_kcstr(&w, "aud", url);
	jsonw_kuuid(&w, "sub", s->user);
	jsonw_kcstr(&w, "client_id", "klero");
	jsonw_kuuid(&w, "sid", s->family);
	jsonw_key(&w, "roles");
	jsonw_array(&w);
	for (unsigned bit = 1; bit <= ROLES_ALL; bit <<= 1)
		if ((s->roles & bit) != 0)
			jsonw_cstr(&w, roles_word(bit));
	jsonw_array_end(&w);
	jsonw_kint(&w, "iat", (int64_t)s->now_s);
	jsonw_kint(&w, "exp", (int64_t)s->now_s + HSM_TOKEN_LIFE_S);
	jsonw_khex(&w, "jti", jti, 16);
	jsonw_object_end(&w);
	*len = w.len;
	return jsonw_end(&w);
}

/* Appends base64url(data) to a text that has room for cap characters. */
static int append(char *text, size_t cap, size_t *len, const void *data, size_t n)
{
	int r = text_b64url(text + *len, cap - *len, data, n);

	if (r < 0)
		return r;
	*len += (size_t)r;
	return KE_OK;
}

static int append_dot(char *text, size_t cap, size_t *len)
{
	if (*len + 2 > cap)
		return KE_FULL;
	text[(*len)++] = '.';
	text[*len] = '\0';
	return KE_OK;
}

/* Header ‖ '.' ‖ claims, each in base64url: what is signed (RFC 7515 section 5.1). */
static int signing_input(struct hsm *h, const struct key *k, const struct session *s, char *text,
    size_t cap, size_t *len)
{
	char json[ACCESS_MAX / 2];
	uint8_t jti[16];
	size_t n;
	int r = op_random(&h->p, jti, sizeof jti);

	*len = 0;
	if (r != KE_OK)
		return r;
	snprintf(json, sizeof json,
	    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"token-v%06u\"}", k->version);
	r = append(text, cap, len, json, strlen(json));
	if (r == KE_OK)
		r = append_dot(text, cap, len);
	if (r == KE_OK)
		r = make_claims(h, s, jti, json, sizeof json, &n);
	if (r == KE_OK)
		r = append(text, cap, len, json, n);
	return r;
}

static int make_access(struct hsm *h, const struct session *s, char *text, size_t cap, size_t *len)
{
	const struct key *k = key_ring_get(&h->ring, KEY_TOKEN, 0);
	uint8_t digest[32], sig[64];
	int r = signing_input(h, k, s, text, cap, len);

	if (r != KE_OK)
		return r;
	hash_sha256(digest, text, *len);
	r = op_sign_ecdsa(&h->p, k->handle, digest, sig);
	if (r == KE_OK)
		r = append_dot(text, cap, len);
	if (r == KE_OK)
		r = append(text, cap, len, sig, sizeof sig);
	return r;
}

/* tag = KDF(mac key, label, family ‖ u32 generation) */
static int refresh_tag(struct hsm *h, const struct key *mac, const uint8_t family[16],
    uint32_t generation, uint8_t tag[32])
{
	uint8_t ctx[20];

	memcpy(ctx, family, 16);
	be_put32(ctx + 16, generation);
	return op_kdf(&h->p, mac->handle, REFRESH_LABEL, ctx, sizeof ctx, tag);
}

static int make_refresh(struct hsm *h, const struct session *s, char text[REFRESH_TEXT])
{
	const struct key *mac = key_ring_get(&h->ring, KEY_MAC, 0);
	uint8_t raw[REFRESH_LEN];
	int r;

	raw[0] = REFRESH_FORMAT;
	be_put32(raw + 1, mac->version);
	memcpy(raw + 5, s->family, 16);
	be_put32(raw + 21, s->generation);
	r = refresh_tag(h, mac, s->family, s->generation, raw + 25);
	if (r == KE_OK) {
		r = text_b64url(text, REFRESH_TEXT, raw, sizeof raw);
		r = r < 0 ? r : KE_OK;
	}
	sodium_memzero(raw, sizeof raw);
	return r;
}

bool hsm_is_now(uint64_t now_s)
{
	struct timespec ts;
	uint64_t own;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		return false;
	own = (uint64_t)ts.tv_sec;
	return now_s + HSM_CLOCK_SLACK_S >= own && now_s <= own + HSM_CLOCK_SLACK_S;
}

int hsm_answer_session(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	char access[ACCESS_MAX], refresh[REFRESH_TEXT];
	struct wire_in in;
	struct session s;
	size_t len = 0;
	int r = KE_RANGE;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	s.user = wire_get_view(&in, 16);
	s.family = wire_get_view(&in, 16);
	s.roles = wire_get_u8(&in);
	s.generation = wire_get_u32(&in);
	s.now_s = wire_get_u64(&in);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if ((s.roles & ~ROLES_ALL) == 0 && hsm_is_now(s.now_s)) {
		r = make_access(h, &s, access, sizeof access, &len);
		if (r == KE_OK)
			r = make_refresh(h, &s, refresh);
	}
	if (hsm_result(h, w, r)) {
		wire_put_str(w, access, len);
		wire_put_u64(w, s.now_s + HSM_TOKEN_LIFE_S);
		wire_put_cstr(w, refresh);
	}
	sodium_memzero(access, sizeof access);
	sodium_memzero(refresh, sizeof refresh);
	return KE_OK;
}

/* KE_FORMAT: not of our making; KE_VERSION: its key is gone; KE_AUTH: forged. */
static int check_refresh(struct hsm *h, const uint8_t *text, size_t n, uint8_t raw[REFRESH_LEN])
{
	const struct key *mac;
	uint8_t tag[32], first[32];
	size_t len;
	int r = text_unb64url(raw, REFRESH_LEN, &len, (const char *)text, n);

	if (r != KE_OK || len != REFRESH_LEN || raw[0] != REFRESH_FORMAT)
		return KE_FORMAT;
	/* version 0 would mean the active key */
	mac = be_get32(raw + 1) != 0 ? key_ring_get(&h->ring, KEY_MAC, be_get32(raw + 1)) : NULL;
	if (mac == NULL || mac->compromised)
		return KE_VERSION;
	r = refresh_tag(h, mac, raw + 5, be_get32(raw + 21), tag);
	if (r == KE_OK && sodium_memcmp(tag, raw + 25, sizeof tag) != 0) {
		/* nobody is sent away for what a device got wrong once */
		memcpy(first, tag, sizeof first);
		r = refresh_tag(h, mac, raw + 5, be_get32(raw + 21), tag);
		if (r == KE_OK && sodium_memcmp(tag, first, sizeof tag) != 0)
			r = hsm_lied(h, KE_CRYPTO, "two MACs of one text differ");
		else if (r == KE_OK)
			r = KE_AUTH;
	}
	sodium_memzero(tag, sizeof tag);
	sodium_memzero(first, sizeof first);
	return r;
}

int hsm_answer_refresh(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	uint8_t raw[REFRESH_LEN];
	struct wire_in in;
	const uint8_t *text;
	size_t n;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	text = wire_get_str(&in, 256, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, check_refresh(h, text, n, raw))) {
		wire_put_raw(w, raw + 5, 16);
		wire_put_u32(w, be_get32(raw + 21));
	}
	sodium_memzero(raw, sizeof raw);
	return KE_OK;
}
