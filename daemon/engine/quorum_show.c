/*
 * Proposals, officers and keys as JSON: see quorum.h. Runs in engine.
 */
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/exposed.h"
#include "daemon/engine/quorum.h"
#include "daemon/engine/rewrap.h"

static int put_approval(void *arg, const struct db_approval *a)
{
	struct jsonw *w = arg;

	jsonw_object(w);
	jsonw_kcstr(w, "officer", a->officer);
	jsonw_ktime(w, "at", a->at_ms);
	jsonw_object_end(w);
	return KE_OK;
}

int quorum_put(struct engine *e, struct jsonw *w, const struct db_proposal *p, bool whose)
{
	static const uint8_t nobody[16];
	int r = turn_begin(e);

	jsonw_object(w);
	jsonw_kuuid(w, "id", p->id);
	jsonw_kcstr(w, "state", db_proposal_word(p->state));
	jsonw_kcstr(w, "text", p->text);
	jsonw_ktime(w, "created_at", p->created_ms);
	if (whose && memcmp(p->created_by, nobody, sizeof nobody) != 0)
		jsonw_kuuid(w, "created_by", p->created_by);
	jsonw_ktime(w, "expires_at", p->expires_ms);
	if (p->decided_ms != 0)
		jsonw_ktime(w, "decided_at", p->decided_ms);
	if (p->reason[0] != '\0')
		jsonw_kcstr(w, "reason", p->reason);
	jsonw_key(w, "approvals");
	jsonw_array(w);
	if (r == KE_OK)
		r = db_approval_each(e->db, p->id, put_approval, w);
	jsonw_array_end(w);
	jsonw_object_end(w);
	return r;
}

static void put_officers(struct jsonw *w, const struct officers *o)
{
	char print[SSH_PRINT_LEN + 1];

	jsonw_kint(w, "threshold", (int64_t)o->threshold);
	jsonw_key(w, "officers");
	jsonw_array(w);
	for (size_t i = 0; i < o->n; i++) {
		ssh_key_print(print, &o->officer[i].key);
		jsonw_object(w);
		jsonw_kcstr(w, "name", o->officer[i].name);
		jsonw_kcstr(w, "key", print);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

static int put_key(struct engine *e, struct jsonw *w, const struct anchor_key *k)
{
	uint64_t now_s = (uint64_t)(turn_now_ms(e) / 1000);
	int64_t live = -1;
	int r = rewrap_count(e, k, &live);

	jsonw_object(w);
	jsonw_kcstr(w, "purpose", purpose_words[k->purpose]);
	jsonw_kint(w, "version", (int64_t)k->version);
	jsonw_kcstr(w, "state", anchor_state_words[anchor_state(&e->quorum.anchor, k, now_s)]);
	if (k->since_s > 0) /* a key of before anchors has no date */
		jsonw_ktime(w, "since", (int64_t)k->since_s * 1000);
	jsonw_kbool(w, "compromised", k->compromised != 0);
	if (live >= 0)
		jsonw_kint(w, "values", live);
	if (r == KE_OK)
		r = exposed_put(e, w, k);
	jsonw_object_end(w);
	return r;
}

/* How far the re-sealing of what stands under older versions of the data key is. */
static int put_resealing(struct engine *e, struct jsonw *w)
{
	struct reseal_progress p;
	int r = reseal_progress(e, &p);

	jsonw_object(w);
	jsonw_kcstr(w, "purpose", purpose_words[KEY_DATA]);
	if (p.left >= 0)
		jsonw_kint(w, "left", p.left);
	jsonw_kint(w, "done", (int64_t)e->reseal.done);
	if (p.per_s >= 0)
		jsonw_kint(w, "per_second", p.per_s);
	if (p.seconds >= 0)
		jsonw_kint(w, "seconds_left", p.seconds);
	if (e->reseal.least > 0)
		jsonw_kint(w, "opens_from", e->reseal.least);
	jsonw_object_end(w);
	return r;
}

int quorum_put_keys(struct engine *e, struct jsonw *w)
{
	const struct anchor *a = &e->quorum.anchor;
	int r = turn_begin(e);

	jsonw_object(w);
	jsonw_kbool(w, "known", e->quorum.known);
	jsonw_kint(w, "epoch", (int64_t)a->epoch);
	put_officers(w, &a->officers);
	jsonw_key(w, "keys");
	jsonw_array(w);
	for (size_t i = 0; r == KE_OK && i < a->keys; i++)
		r = put_key(e, w, &a->key[i]);
	jsonw_array_end(w);
	jsonw_key(w, "resealing");
	if (r == KE_OK)
		r = put_resealing(e, w);
	jsonw_object_end(w);
	return r;
}
