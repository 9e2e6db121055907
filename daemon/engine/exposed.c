/*
 * What a compromised key has touched: see exposed.h. Runs in engine.
 */
#include "daemon/engine/exposed.h"

#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "db/db_exposed.h"

/* When a version was in use: until_ms is now for one that has no successor yet. */
struct span {
	int64_t from_ms, until_ms;
};

static struct span span_of(struct engine *e, const struct anchor_key *k)
{
	const struct anchor *a = &e->quorum.anchor;
	struct span s = {(int64_t)k->since_s * 1000, turn_now_ms(e)};

	for (size_t i = 0; i < a->keys; i++) {
		const struct anchor_key *next = &a->key[i];
		int64_t since_ms = (int64_t)next->since_s * 1000 + 999; /* it knows seconds */

		if (next->purpose == k->purpose && next->version > k->version &&
		    since_ms < s.until_ms)
			s.until_ms = since_ms;
	}
	return s;
}

static int put_id(void *arg, const uint8_t id[16])
{
	jsonw_uuid(arg, id);
	return KE_OK;
}

/* Sessions that had an access or a refresh token of that time, and stand yet. */
static int put_sessions(struct engine *e, struct jsonw *w, const struct span *s)
{
	int64_t n;
	int r = db_exposed_sessions(e->db, s->from_ms + SESSION_LIFE_MS, s->until_ms, &n);

	if (r == KE_OK)
		jsonw_kint(w, "sessions", n);
	return r;
}

static int put_raffles(
    struct engine *e, struct jsonw *w, const struct anchor_key *k, const struct span *s)
{
	int r;

	jsonw_key(w, "raffles");
	jsonw_array(w);
	r = k->purpose == KEY_SEED ? db_exposed_seeds(e->db, s->from_ms, s->until_ms, put_id, w)
				   : db_exposed_records(e->db, s->from_ms, s->until_ms, put_id, w);
	jsonw_array_end(w);
	return r;
}

int exposed_put(struct engine *e, struct jsonw *w, const struct anchor_key *k)
{
	struct span s = span_of(e, k);
	int r = KE_OK;

	if (k->compromised == 0)
		return KE_OK;
	jsonw_key(w, "exposed");
	jsonw_object(w);
	jsonw_ktime(w, "from", s.from_ms);
	jsonw_ktime(w, "until", s.until_ms);
	if (k->purpose == KEY_TOKEN || k->purpose == KEY_MAC)
		r = put_sessions(e, w, &s);
	else if (k->purpose == KEY_SEED || k->purpose == KEY_LOG)
		r = put_raffles(e, w, k, &s);
	jsonw_object_end(w);
	return r;
}
