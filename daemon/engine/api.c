/*
 * The gate: see api.h. Runs in engine.
 */
#include "daemon/engine/api.h"

#include <sodium.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/idem.h"
#include "db/db_session.h"
#include "db/db_user.h"
#include "policy/hash.h"

static rq_handler *const handlers[ROUTE_COUNT] = {
#define ROUTE(name, ...) [RT_##name] = api_##name,
#include "daemon/api/route.def"
#undef ROUTE
};

/* A token that was never ours costs its address something: net counts it. */
static int refuse_token(struct rq *q, enum problem p)
{
	int r = rq_refuse(q, p);

	metrics_count(&q->e->metrics, METRIC_TOKENS_REFUSED);
	if (p == PB_TOKEN_INVALID)
		q->ans.flags |= API_ANS_AUTHBAD;
	return r;
}

static void speak_for(struct rq *q, const struct tokcache_entry *t)
{
	memcpy(q->user, t->user, sizeof q->user);
	memcpy(q->session, t->session, sizeof q->session);
	q->roles = t->roles;
	q->known = true;
}

/* The store has the last word: is the session still live, and what may the user do today? */
static int fill_cache(struct rq *q, const struct token_claims *c, struct tokcache_entry *t)
{
	struct db_session s;
	struct db_user u;
	int r = db_session_get(q->e->db, c->session, &s);

	if (r == KE_OK && (s.revoked_ms != 0 || memcmp(s.user, c->user, sizeof s.user) != 0))
		r = KE_NOTFOUND;
	if (r == KE_OK)
		r = db_user_by_id(q->e->db, c->user, &u);
	if (r != KE_OK)
		return r;
	t->roles = u.roles;
	t->expires_s = c->expires_s;
	memcpy(t->user, c->user, sizeof t->user);
	memcpy(t->session, c->session, sizeof t->session);
	sodium_memzero(&u, sizeof u);
	tokcache_put(q->e->tokens, t);
	return KE_OK;
}

/* Counts a request of the user's; *s says what is left. */
static int count(struct rq *q, const uint8_t user[16], struct userlimit_state *s)
{
	int r = userlimit_hit(q->e->limits, user, engine_clock_s(), s);

	q->ans.limit = s->limit;
	q->ans.window_s = s->window_s;
	q->ans.remaining = s->remaining;
	q->ans.reset_s = s->reset_s;
	return r == KE_LIMIT ? rq_refuse_retry(q, PB_RATE_LIMITED, s->reset_s) : r;
}

/*
 * Once ours, and now expired. net did not count the request per address because of it, so it is
 * its user who pays; and who goes on beyond that limit makes the address pay after all, for no
 * cache spares engine the signature of a token that is not valid.
 */
static int stale_token(struct rq *q, const struct token_claims *c)
{
	struct userlimit_state s;
	int r = count(q, c->user, &s);

	if (r == RQ_REFUSED)
		q->ans.flags |= API_ANS_AUTHBAD;
	if (r != KE_OK)
		return r;
	/* who renews a token may still show the old one */
	if (q->row->who == WHO_ANYONE && q->row->method == POST)
		return KE_OK;
	return refuse_token(q, PB_TOKEN_EXPIRED);
}

static int verify_token(struct rq *q, struct tokcache_entry *t)
{
	struct token_claims c;
	int r;

	metrics_count(&q->e->metrics, METRIC_TOKEN_MISSES);
	r = token_verify_any(
	    &q->e->hsm.tokens, q->e->issuer, q->now_ms / 1000, q->req.token, q->req.token_len, &c);
	if (r == KE_TIMEOUT)
		return stale_token(q, &c);
	if (r == KE_AUTH)
		return refuse_token(q, PB_TOKEN_INVALID);
	if (r != KE_OK)
		return r;
	r = fill_cache(q, &c, t);
	return r == KE_NOTFOUND ? refuse_token(q, PB_TOKEN_INVALID) : r;
}

static int authenticate(struct rq *q)
{
	const struct tokcache_entry *hit;
	struct tokcache_entry t = {0};
	int r;

	if (route_ignores_token(q->row))
		return KE_OK;
	if (q->req.token_len == 0)
		return q->row->who == WHO_ANYONE ? KE_OK : rq_refuse(q, PB_UNAUTHENTICATED);
	hash_sha256(t.hash, q->req.token, q->req.token_len);
	hit = tokcache_get(q->e->tokens, t.hash, q->now_ms / 1000);
	if (hit != NULL) {
		metrics_count(&q->e->metrics, METRIC_TOKEN_HITS);
		speak_for(q, hit);
		return KE_OK;
	}
	r = verify_token(q, &t);
	if (r == KE_OK && t.expires_s != 0)
		speak_for(q, &t);
	return r;
}

static int authorise(struct rq *q)
{
	if (q->row->who == WHO_ANYONE || (q->row->who & q->roles) != 0)
		return KE_OK;
	return rq_refuse(q, PB_FORBIDDEN);
}

static int limit(struct rq *q)
{
	struct userlimit_state s;

	if (!q->known || q->row->rate == RATE_FREE)
		return KE_OK;
	return count(q, q->user, &s);
}

static int gate(struct rq *q)
{
	int r;

	if (q->e->stopping)
		return rq_refuse_retry(q, PB_RESTARTING, 1);
	r = authenticate(q);
	if (r == KE_OK)
		r = authorise(q);
	if (r == KE_OK)
		r = limit(q);
	if (r == KE_OK)
		r = idem_look(q);
	if (r != KE_OK)
		return r == KE_EXISTS ? KE_OK : r;
	r = handlers[q->req.route](q);
	/* what one user was told is not for all: only what anybody is told may be kept by net */
	if (r == KE_OK && q->row->cache != CACHE_NO && !q->known && q->ans.status == 200)
		q->ans.flags |= API_ANS_CACHE;
	return r;
}

int api_request(struct engine *e, uint8_t net, const struct msg *m)
{
	struct rq *q;
	int r = rq_new(e, net, m->id, m->body, m->len, &q);

	if (r == KE_OK)
		rq_run(q, gate);
	return r;
}
