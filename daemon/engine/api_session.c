/*
 * Refresh and logout: the life of a session after login. A refresh token is (family, generation)
 * under the HSM's MAC, so the store knows only which generation is the current one; using an older
 * one than a retry explains revokes the family (API.md "Conventions"). Runs in engine.
 */
#include <sodium.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "daemon/msg/log.h"
#include "db/db_session.h"
#include "db/db_user.h"

#define ACCESS_MAX  2048
#define REFRESH_MAX 256

int session_create(struct rq *q, const uint8_t user[16], const uint8_t family[16])
{
	struct db_session s = {.created_ms = q->now_ms, .expires_ms = q->now_ms + SESSION_LIFE_MS};

	memcpy(s.id, family, sizeof s.id);
	memcpy(s.user, user, sizeof s.user);
	return db_session_create(q->e->db, &s);
}

/* What a device has signed wrongly is not handed to anybody: who asks again gets a good one. */
static bool is_good(struct rq *q, const uint8_t *access, size_t n)
{
	struct token_claims c;
	int r = token_verify_any(&q->e->hsm.tokens, q->e->issuer, q->now_ms / 1000, access, n, &c);

	if (r != KE_OK)
		log_error("hsm's access token does not verify: %s", ke_words(r));
	return r == KE_OK;
}

int session_answer(struct rq *q, struct wire_in *in, int64_t refresh_expires_ms)
{
	const uint8_t *access, *refresh;
	size_t access_len, refresh_len;
	uint64_t expires_s;
	struct jsonw *w;

	access = wire_get_str(in, ACCESS_MAX, &access_len);
	expires_s = wire_get_u64(in);
	refresh = wire_get_str(in, REFRESH_MAX, &refresh_len);
	if (wire_end(in) != KE_OK || expires_s > INT64_MAX / 1000)
		return KE_PEER;
	if (!is_good(q, access, access_len))
		return KE_UNAVAIL;
	q->secret = true;
	w = rq_json(q);
	jsonw_object(w);
	jsonw_kstr(w, "access_token", (const char *)access, access_len);
	jsonw_kcstr(w, "token_type", "Bearer");
	jsonw_kint(w, "expires_in", (int64_t)expires_s - q->now_ms / 1000);
	jsonw_ktime(w, "expires_at", (int64_t)expires_s * 1000);
	jsonw_kstr(w, "refresh_token", (const char *)refresh, refresh_len);
	jsonw_ktime(w, "refresh_expires_at", refresh_expires_ms);
	jsonw_object_end(w);
	return rq_json_end(q);
}

/* --- refresh --- */

struct refresh {
	struct db_session s; /* of the generation that is asked for */
	bool rotates;
};

/*
 * The old token ends when the new one is in hand, not before: while hsm is away nobody is put out.
 * KE_CONFLICT: the same token was brought twice at once, and the other was first.
 */
static int rotate(struct rq *q, struct refresh *f)
{
	struct db_session now;
	int r =
	    db_session_rotate(q->e->db, f->s.id, f->s.generation - 1, q->now_ms, f->s.expires_ms);

	if (r != KE_CONFLICT)
		return r;
	r = db_session_get(q->e->db, f->s.id, &now);
	if (r == KE_OK && (now.revoked_ms != 0 || now.generation != f->s.generation))
		return rq_refuse(q, PB_REFRESH_INVALID);
	return r;
}

static int refresh_finish(struct rq *q, int r, struct wire_in *in)
{
	struct refresh *f = q->state;

	if (r != KE_OK)
		return KE_UNAVAIL;
	if (f->rotates)
		r = rotate(q, f);
	return r == KE_OK ? session_answer(q, in, f->s.expires_ms) : r;
}

static int issue(struct rq *q)
{
	struct refresh *f = q->state;
	struct db_user u;
	int r = db_user_by_id(q->e->db, f->s.user, &u);

	if (r != KE_OK)
		return r == KE_NOTFOUND ? rq_refuse(q, PB_REFRESH_INVALID) : r;
	sodium_memzero(u.credential, sizeof u.credential);
	return eng_hsm_session(
	    q, "refresh_finish", refresh_finish, f->s.user, f->s.id, u.roles, f->s.generation);
}

static int issue_next(struct rq *q)
{
	struct refresh *f = q->state;

	f->rotates = true;
	f->s.expires_ms = q->now_ms + SESSION_LIFE_MS;
	f->s.generation++;
	return issue(q);
}

/* Two hold the same token: nobody can tell which of them is the thief. */
static int reused(struct rq *q)
{
	struct refresh *f = q->state;
	int r = db_session_revoke(q->e->db, f->s.id, q->now_ms);

	if (r == KE_OK)
		r = audit_add(
		    q, f->s.user, "refresh-reused", f->s.id, "{\"current\":%u}", f->s.generation);
	if (r != KE_OK)
		return r;
	tokcache_drop_session(q->e->tokens, f->s.id);
	metrics_count(&q->e->metrics, METRIC_REFRESH_REUSED);
	log_security("a refresh token was used again after its grace; the session is revoked");
	return rq_problem(q, PB_REFRESH_REUSED);
}

/* Either way round: a clock that was set back must not stretch the grace until it has caught up. */
static bool within_grace(int64_t rotated_ms, int64_t now_ms)
{
	int64_t ago = now_ms - rotated_ms;

	return ago <= SESSION_GRACE_MS && ago >= -SESSION_GRACE_MS;
}

static int refresh_known(struct rq *q, int r, struct wire_in *in)
{
	struct refresh *f = q->state;
	uint8_t family[16];
	uint32_t generation;

	if (r == KE_UNAVAIL || r == KE_TIMEOUT)
		return r;
	if (r != KE_OK)
		return rq_refuse(q, PB_REFRESH_INVALID);
	wire_get_raw(in, family, sizeof family);
	generation = wire_get_u32(in);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = db_session_get(q->e->db, family, &f->s);
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	/* a generation from the future: the store was restored from before it */
	if (r == KE_NOTFOUND || f->s.revoked_ms != 0 || f->s.expires_ms <= q->now_ms ||
	    f->s.rotated_ms > q->now_ms + SESSION_AHEAD_MS || generation > f->s.generation)
		return rq_refuse(q, PB_REFRESH_INVALID);
	if (generation == f->s.generation)
		return issue_next(q);
	if (generation + 1 == f->s.generation && within_grace(f->s.rotated_ms, q->now_ms))
		return issue(q);
	return reused(q);
}

int api_refresh(struct rq *q)
{
	const struct api_value *token = rq_field(q, 0);

	rq_state(q, sizeof(struct refresh));
	return eng_hsm_refresh(q, "refresh_known", refresh_known, token->p, token->n);
}

/* --- logout --- */

int api_logout(struct rq *q)
{
	int r = db_session_revoke(q->e->db, q->session, q->now_ms);

	if (r == KE_OK)
		r = audit_add(q, q->user, "logout", q->session, "{}");
	if (r != KE_OK)
		return r;
	tokcache_drop_session(q->e->tokens, q->session);
	return rq_empty(q);
}
