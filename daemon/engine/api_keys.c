/*
 * Keys, officers and their proposals over the API, so that an officer needs no shell on the
 * appliance: what quorum.h does, by other words for its refusals. Whoever holds an officer's key
 * approves, without an account: the signature is the authentication, and keyadm and hsm check it
 * again. Runs in engine.
 */
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/list.h"
#include "policy/officers.h"

/* What a field's word is in the list that says it for everybody. */
static unsigned choice(const struct rq *q, unsigned field, const char *const *words, unsigned n)
{
	const char *word = q->row->fields[field].words[rq_field(q, field)->i];
	unsigned i = 0;

	while (i < n && strcmp(words[i], word) != 0)
		i++;
	return i;
}

static int answer_proposal(struct rq *q, const uint8_t id[16], bool whose)
{
	struct db_proposal p;
	int r = db_proposal_get(q->e->db, id, &p);

	if (r == KE_OK)
		r = quorum_put(q->e, rq_json(q), &p, whose);
	if (r == KE_OK)
		return rq_json_end(q);
	return r == KE_NOTFOUND ? rq_refuse(q, PB_NOT_FOUND) : r;
}

int api_keys(struct rq *q)
{
	int r;

	if (!q->e->quorum.known)
		return rq_refuse_retry(q, PB_KEYS_UNKNOWN, 2);
	r = quorum_put_keys(q->e, rq_json(q));
	return r == KE_OK ? rq_json_end(q) : r;
}

/* --- proposing --- */

enum { ACTION, PURPOSE, VERSION, OFFICERS, THRESHOLD, EXPIRES_IN, PROPOSER };

/* Each action has its fields: those and no others. */
static int check_fields(struct rq *q, unsigned action)
{
	static const bool wants[PROPOSAL_ACTION_COUNT][EXPIRES_IN] = {
#define X(name, word, purpose, version, officers, payout, draw)                                    \
	[name] = {true, purpose, version, officers, officers},
	    PROPOSAL_ACTIONS(X)
#undef X
	};
	int r = KE_OK;

	for (unsigned i = PURPOSE; r == KE_OK && i <= THRESHOLD; i++)
		r = rq_demand(q, i, wants[action][i]);
	return r;
}

static int take_officers(struct rq *q, struct officers *o)
{
	const struct api_value *text = rq_field(q, OFFICERS);
	char pointer[32];
	size_t line;
	int r = officers_read(
	    o, (uint64_t)rq_field(q, THRESHOLD)->i, (const char *)text->p, text->n, &line);

	/* lines are counted from 1 */
	snprintf(pointer, sizeof pointer, "/officers/%zu", line);
	switch (r) {
	case KE_OK:
		return KE_OK;
	case KE_FORMAT:
		return rq_refuse_field(q, pointer, "not-name-and-key");
	case KE_FULL:
		return rq_refuse_field(q, pointer, "too-many");
	case KE_EXISTS:
		return rq_refuse_field(q, "/officers", "repeated");
	default:
		return rq_refuse_field(q, "/threshold", "more-than-officers");
	}
}

static int take_wish(struct rq *q, struct proposal *p)
{
	int r;

	p->action = choice(q, ACTION, proposal_words, PROPOSAL_ACTION_COUNT);
	r = check_fields(q, p->action);
	if (r != KE_OK)
		return r;
	if (p->action == PROPOSE_OFFICERS)
		return take_officers(q, &p->officers);
	p->purpose = choice(q, PURPOSE, purpose_words, KEY_PURPOSES);
	p->version = (uint64_t)rq_field(q, VERSION)->i;
	return KE_OK;
}

static int take_proposer(struct rq *q, struct proposal *p)
{
	const struct api_value *name = rq_field(q, PROPOSER);
	const char *why;
	int r;

	if (!name->present || !q->e->quorum.known)
		return KE_OK;
	memcpy(p->proposer, name->p, name->n); /* bounded by the row */
	r = quorum_check_proposer(q->e, p, &why);
	if (r == KE_OK)
		return r;
	return rq_refuse_field(
	    q, "/proposer", r == KE_NOTFOUND ? "no-officer" : "all-must-approve");
}

static int refuse_wish(struct rq *q, int r)
{
	switch (r) {
	case KE_UNAVAIL:
		return rq_refuse_retry(q, PB_KEYS_UNKNOWN, 2);
	case KE_STATE:
		return rq_refuse(q, PB_NO_OFFICERS);
	case KE_CONFLICT:
		return rq_refuse(q, PB_KEY_IN_USE);
	case KE_NOTFOUND:
		return rq_refuse(q, PB_NOT_FOUND);
	default:
		return r;
	}
}

int api_proposal_create(struct rq *q)
{
	const struct api_value *life = rq_field(q, EXPIRES_IN);
	struct proposal p = {.action = PROPOSE_ROTATE};
	const char *why;
	int r = take_wish(q, &p);

	if (r == KE_OK)
		r = take_proposer(q, &p);
	if (r != KE_OK)
		return r;
	r = quorum_propose(q->e, &p, q->user, life->present ? life->i : PROPOSAL_OPEN_S, &why);
	if (r != KE_OK)
		return refuse_wish(q, r);
	rq_location(q, "/api/v1/proposals/", p.nonce);
	return answer_proposal(q, p.nonce, true);
}

/* --- looking --- */

static int put_item(void *arg, const struct db_proposal *p)
{
	struct list *l = arg;

	return list_take(l, p->id) ? quorum_put(l->q->e, l->w, p, true) : KE_OK;
}

int api_proposals(struct rq *q)
{
	struct list l;
	int r = list_begin(&l, q, 0, "", 16);

	if (r == KE_OK)
		r = db_proposal_page(
		    q->e->db, l.from ? l.pos : NULL, list_wanted(&l), put_item, &l);
	return r == KE_OK ? list_end(&l) : r;
}

int api_proposal_get(struct rq *q)
{
	return answer_proposal(q, rq_field(q, 0)->p, false);
}

/* --- deciding --- */

/* Why an approval or a rejection was not taken (quorum.h). */
static int refuse_decision(struct rq *q, int r)
{
	switch (r) {
	case KE_UNAVAIL:
		return rq_refuse_retry(q, PB_KEYS_UNKNOWN, 2);
	case KE_NOTFOUND:
		return rq_refuse(q, PB_NOT_FOUND);
	case KE_STATE:
		return rq_refuse(q, PB_PROPOSAL_CLOSED);
	case KE_DENIED:
		return rq_refuse(q, PB_NOT_OFFICER);
	case KE_CRYPTO:
		return rq_refuse(q, PB_APPROVAL_INVALID);
	case KE_EXISTS:
		return rq_refuse(q, PB_APPROVED_ALREADY);
	default:
		return r;
	}
}

int api_proposal_approve(struct rq *q)
{
	const uint8_t *id = rq_field(q, 0)->p;
	const struct api_value *armor = rq_field(q, 1);
	const char *why;
	int r = quorum_approve(q->e, id, (const char *)armor->p, armor->n, &why);

	return r == KE_OK ? answer_proposal(q, id, false) : refuse_decision(q, r);
}

int api_proposal_reject(struct rq *q)
{
	const uint8_t *id = rq_field(q, 0)->p;
	const char *why;
	int r = quorum_reject(q->e, id, q->user, &why);

	return r == KE_OK ? answer_proposal(q, id, true) : refuse_decision(q, r);
}
