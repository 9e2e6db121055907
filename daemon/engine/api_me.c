/*
 * Who a token speaks for, the own profile, and the public keys that let others check our tokens.
 * Runs in engine.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "db/db_user.h"
#include "policy/roles.h"
#include "policy/text.h"

static void put_roles(struct jsonw *w, uint8_t roles)
{
	jsonw_key(w, "roles");
	jsonw_array(w);
	for (unsigned bit = 1; bit <= ROLES_ALL; bit <<= 1) {
		if ((roles & bit) != 0)
			jsonw_cstr(w, roles_word(bit));
	}
	jsonw_array_end(w);
}

int api_auth_me(struct rq *q)
{
	struct jsonw *w = rq_json(q);

	jsonw_object(w);
	jsonw_kuuid(w, "user_id", q->user);
	jsonw_kuuid(w, "session_id", q->session);
	put_roles(w, q->roles);
	jsonw_object_end(w);
	return rq_json_end(q);
}

static int answer_profile(struct rq *q)
{
	struct db_user u;
	struct jsonw *w = rq_json(q);
	int r = db_user_by_id(q->e->db, q->user, &u);

	if (r != KE_OK)
		return r == KE_NOTFOUND ? rq_refuse(q, PB_NOT_FOUND) : r;
	jsonw_object(w);
	jsonw_kuuid(w, "id", u.id);
	jsonw_kcstr(w, "email", u.email);
	jsonw_kcstr(w, "display_name", u.display_name);
	put_roles(w, u.roles);
	jsonw_ktime(w, "created_at", u.created_ms);
	jsonw_kint(w, "version", u.version);
	jsonw_object_end(w);
	q->ans.version = u.version;
	sodium_memzero(&u, sizeof u);
	return rq_json_end(q);
}

int api_me_get(struct rq *q)
{
	return answer_profile(q);
}

int api_me_patch(struct rq *q)
{
	enum { NAME, VERSION };
	const struct api_value *name = rq_field(q, NAME), *version = rq_field(q, VERSION);
	int64_t want = version->present ? version->i : q->req.if_match;
	int r;

	if (want == 0)
		return rq_refuse(q, PB_VERSION_REQUIRED);
	if (version->present && q->req.if_match != 0 && q->req.if_match != want)
		return rq_refuse_field(q, "/version", "contradicts-if-match");
	r = db_user_update_profile(q->e->db, q->user, want, (const char *)name->p, name->n);
	if (r == KE_CONFLICT)
		return rq_refuse(q, PB_VERSION_CONFLICT);
	if (r == KE_OK)
		r = audit_add(q, q->user, "profile", q->user, "{}");
	return r == KE_OK ? answer_profile(q) : r;
}

static int put_jwk(struct jsonw *w, const struct token_key *k)
{
	char kid[TOKEN_KID_MAX], x[64], y[64];

	token_kid(kid, k->version);
	if (text_b64url(x, sizeof x, k->point + 1, 32) < 0 ||
	    text_b64url(y, sizeof y, k->point + 33, 32) < 0)
		return KE_INTERNAL;
	jsonw_object(w);
	jsonw_kcstr(w, "kty", "EC");
	jsonw_kcstr(w, "crv", "P-256");
	jsonw_kcstr(w, "use", "sig");
	jsonw_kcstr(w, "alg", "ES256");
	jsonw_kcstr(w, "kid", kid);
	jsonw_kcstr(w, "x", x);
	jsonw_kcstr(w, "y", y);
	jsonw_object_end(w);
	return KE_OK;
}

/* RFC 7517, RFC 7518 section 6.2: the key that signs, those that are going to and those that did */
int api_jwks(struct rq *q)
{
	const struct token_keys *keys = &q->e->hsm.tokens;
	struct jsonw *w;
	int r = KE_OK;

	if (keys->n == 0)
		return KE_UNAVAIL;
	w = rq_json(q);
	jsonw_object(w);
	jsonw_key(w, "keys");
	jsonw_array(w);
	for (size_t i = 0; r == KE_OK && i < keys->n; i++)
		r = put_jwk(w, &keys->key[i]);
	jsonw_array_end(w);
	jsonw_object_end(w);
	return r == KE_OK ? rq_json_end(q) : r;
}

static void put_url(struct jsonw *w, const char *key, const char *issuer, const char *path)
{
	char url[512];

	snprintf(url, sizeof url, "%s%s", issuer, path);
	jsonw_kcstr(w, key, url);
}

static void put_words(struct jsonw *w, const char *key, const char *word)
{
	jsonw_key(w, key);
	jsonw_array(w);
	if (word != NULL)
		jsonw_cstr(w, word);
	jsonw_array_end(w);
}

/* OpenID Connect Discovery 1.0 section 3, as far as it applies to our own tokens. */
int api_discovery(struct rq *q)
{
	struct jsonw *w = rq_json(q);

	jsonw_object(w);
	jsonw_kcstr(w, "issuer", q->e->issuer);
	put_url(w, "jwks_uri", q->e->issuer, route_table[RT_jwks].path);
	put_url(w, "token_endpoint", q->e->issuer, route_table[RT_login].path);
	put_words(w, "response_types_supported", NULL);
	put_words(w, "subject_types_supported", "public");
	put_words(w, "id_token_signing_alg_values_supported", "ES256");
	jsonw_object_end(w);
	return rq_json_end(q);
}
