/*
 * Proposals and approvals: see quorum.h. Runs in engine.
 */
#include "daemon/engine/quorum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/oplog.h"
#include "daemon/engine/rewrap.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_meta.h"
#include "policy/text.h"

#define LOOK_MS 2000
#define ACT_MAX (RCONF_KEYADM_TEXT + RCONF_KEYADM_APPROVALS + 8 + 40)

static int refuse(const char **why, int r, const char *words)
{
	*why = words;
	return r;
}

/* actor NULL: the control socket, or keyadm */
static int audit(struct engine *e, const char *action, const uint8_t id[16], const uint8_t *actor,
    const char *word)
{
	char detail[128];
	int n = snprintf(detail, sizeof detail, "{\"word\":\"%s\"}", word);

	return db_audit_append(e->db, turn_now_ms(e), actor, action, id, detail,
	    (size_t)n < sizeof detail ? (size_t)n : 0);
}

/* --- proposing --- */

#define LIVE_WORDS "the store holds values under this version: what they protect would be lost"

/* hsm knows no store: that a version is not destroyed under what it holds is for engine to see. */
static int check_unused(struct engine *e, const struct proposal *p)
{
	const struct anchor_key *k = anchor_key(&e->quorum.anchor, p->purpose, p->version);
	int64_t live = 0;
	int r = turn_begin(e);

	if (p->action != PROPOSE_DESTROY || k == NULL)
		return KE_OK;
	if (r == KE_OK)
		r = rewrap_count(e, k, &live);
	return r == KE_OK && live > 0 ? KE_CONFLICT : r;
}

int quorum_check_proposer(struct engine *e, const struct proposal *p, const char **why)
{
	const struct officers *o = &e->quorum.anchor.officers;

	if (p->proposer[0] == '\0')
		return KE_OK;
	if (officers_find(o, p->proposer) == NULL)
		return refuse(why, KE_NOTFOUND, "no officer has the proposer's name");
	if (o->threshold == o->n)
		return refuse(why, KE_STATE,
		    "all officers must approve, so none of them can be the proposer");
	return KE_OK;
}

static int check_wish(struct engine *e, const struct proposal *p, const char **why)
{
	const struct anchor *a = &e->quorum.anchor;
	int r;

	if (a->officers.n == 0)
		return refuse(why, KE_STATE, "no officers are enrolled: kleroctl officer enrol");
	if (p->action == PROPOSE_OFFICERS && officers_check(&p->officers) != KE_OK)
		return refuse(why, KE_RANGE,
		    "officers need different names and keys, and a threshold that they can reach");
	if (quorum_check_proposer(e, p, why) != KE_OK)
		return KE_RANGE;
	if (p->version != 0 && anchor_key(a, p->purpose, p->version) == NULL)
		return refuse(why, KE_NOTFOUND, "there is no such version of this key");
	r = check_unused(e, p);
	return r == KE_CONFLICT ? refuse(why, r, LIVE_WORDS) : r;
}

static int store_proposal(struct engine *e, const struct proposal *p, const uint8_t *by)
{
	struct db_proposal row = {.created_ms = turn_now_ms(e)};
	size_t n;
	int r = proposal_text(p, row.text, sizeof row.text - 1, &n);

	if (r != KE_OK)
		return r;
	row.text[n] = '\0';
	row.expires_ms = (int64_t)p->expires_s * 1000;
	memcpy(row.id, p->nonce, sizeof row.id);
	if (by != NULL)
		memcpy(row.created_by, by, sizeof row.created_by);
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_proposal_create(e->db, &row);
	if (r == KE_OK)
		r = audit(e, "proposal", row.id, by, proposal_words[p->action]);
	return r;
}

/* What is not the caller's wish. */
static void frame(struct engine *e, struct proposal *p, int64_t life_s)
{
	const struct anchor *a = &e->quorum.anchor;

	memcpy(p->appliance, a->appliance, sizeof p->appliance);
	p->epoch = a->epoch;
	p->expires_s = (uint64_t)(turn_now_ms(e) / 1000 + life_s);
}

int quorum_propose(
    struct engine *e, struct proposal *p, const uint8_t *by, int64_t life_s, const char **why)
{
	int r;

	if (!e->quorum.known)
		return refuse(why, KE_UNAVAIL, "hsm has not told the token's anchor");
	r = check_wish(e, p, why);
	if (r != KE_OK)
		return r;
	if (life_s < PROPOSAL_OPEN_MIN || life_s > PROPOSAL_OPEN_MAX)
		return refuse(why, KE_RANGE, "it may stand open from a minute to 29 days");
	frame(e, p, life_s);
	engine_uuid(&e->ids, p->nonce, turn_now_ms(e));
	r = store_proposal(e, p, by);
	if (r == KE_FORMAT)
		return refuse(why, KE_RANGE, "the proposal lacks a purpose, a version or officers");
	return r;
}

int quorum_propose_payout(struct engine *e, const struct db_payout *payout)
{
	struct proposal p = {.action = PROPOSE_PAYOUT, .payout = payout->say};
	int r;

	if (!e->quorum.known)
		return KE_UNAVAIL;
	if (e->quorum.anchor.officers.n == 0)
		return KE_STATE;
	frame(e, &p, PROPOSAL_OPEN_S);
	memcpy(p.nonce, payout->say.id, sizeof p.nonce);
	memcpy(p.pool, payout->pool, sizeof p.pool);
	r = store_proposal(e, &p, payout->created_by);
	return r == KE_EXISTS ? KE_OK : r;
}

/* Which proposal the raffle's draw has. */
static void draw_key(char key[DB_META_KEY_MAX + 1], const uint8_t raffle[16])
{
	memcpy(key, "draw-asked/", sizeof "draw-asked/");
	text_hex(key + strlen(key), raffle, 16);
}

int quorum_draw(struct engine *e, const uint8_t raffle[16], struct db_proposal *p)
{
	char key[DB_META_KEY_MAX + 1];
	uint8_t id[16];
	size_t n;
	int r = turn_begin(e);

	draw_key(key, raffle);
	if (r == KE_OK)
		r = db_meta_get(e->db, key, id, sizeof id, &n);
	if (r != KE_OK)
		return r;
	return n == sizeof id ? db_proposal_get(e->db, id, p) : KE_DAMAGED;
}

int quorum_propose_draw(
    struct engine *e, const uint8_t raffle[16], const uint8_t *by, uint8_t id[16])
{
	struct proposal p = {.action = PROPOSE_DRAW};
	char key[DB_META_KEY_MAX + 1];
	struct db_proposal open;
	int r = quorum_draw(e, raffle, &open);

	if (r == KE_OK && open.state == DB_PROPOSAL_OPEN && open.expires_ms > turn_now_ms(e)) {
		memcpy(id, open.id, sizeof open.id);
		return KE_OK;
	}
	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	if (!e->quorum.known)
		return KE_UNAVAIL;
	if (e->quorum.anchor.officers.n == 0)
		return KE_STATE;
	frame(e, &p, PROPOSAL_OPEN_S);
	engine_uuid(&e->ids, p.nonce, turn_now_ms(e));
	memcpy(p.raffle, raffle, sizeof p.raffle);
	memcpy(id, p.nonce, sizeof p.nonce);
	r = store_proposal(e, &p, by);
	draw_key(key, raffle);
	return r == KE_OK ? db_meta_set(e->db, key, id, sizeof p.nonce) : r;
}

/* --- approving --- */

struct collected {
	char text[RCONF_KEYADM_APPROVALS];
	size_t n;
};

static int collect(void *arg, const struct db_approval *a)
{
	struct collected *c = arg;
	size_t n = strlen(a->signature);

	if (n >= sizeof c->text - c->n)
		return KE_FULL;
	memcpy(c->text + c->n, a->signature, n + 1);
	c->n += n;
	return KE_OK;
}

int quorum_approvals(struct engine *e, const uint8_t id[16], char out[RCONF_KEYADM_APPROVALS])
{
	struct collected c = {.n = 0};
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_approval_each(e->db, id, collect, &c);
	memcpy(out, c.text, sizeof c.text);
	return r;
}

/* To parent, after the commit that has made the proposal "approved". */
static int send_act(struct engine *e, const struct db_proposal *p)
{
	char *approvals = malloc(RCONF_KEYADM_APPROVALS);
	uint8_t head[32];
	int64_t lines;
	struct turn_out *o;
	struct wire_out w;
	int r;

	if (approvals == NULL)
		fatal("out of memory");
	r = quorum_approvals(e, p->id, approvals);
	if (r == KE_OK)
		r = db_audit_head(e->db, &lines, head);
	if (r == KE_OK) {
		o = turn_out_new(TURN_PARENT, ACT_MAX);
		wire_out_init(&w, o->body, ACT_MAX);
		wire_put_u64(&w, (uint64_t)lines);
		wire_put_raw(&w, head, sizeof head);
		wire_put_cstr(&w, p->text);
		wire_put_cstr(&w, approvals);
		o->len = w.len;
		o->type = MSG_ENGINE_ACT;
		turn_send(e, o);
		e->quorum.busy = true;
	}
	free(approvals);
	return r;
}

static int add_approval(
    struct engine *e, const struct db_proposal *p, const char *armor, size_t n, const char **why)
{
	const struct approval one = {armor, n};
	struct db_approval row = {.at_ms = turn_now_ms(e)};
	int r;
	const struct officer *o =
	    proposal_signer(&e->quorum.anchor, p->text, strlen(p->text), &one, &r);

	if (o == NULL && r == KE_DENIED)
		return refuse(why, r, "no officer has signed this, or not for approvals");
	if (o == NULL)
		return refuse(why, KE_CRYPTO, "this is no signature over the proposal");
	if (proposal_is_own(p->text, o))
		return refuse(
		    why, KE_DENIED, "this officer has proposed it, others must approve it");
	snprintf(row.officer, sizeof row.officer, "%s", o->name);
	memcpy(row.signature, armor, n);
	/* they stand one behind the other when they go to keyadm */
	if (armor[n - 1] != '\n')
		row.signature[n] = '\n';
	r = db_approval_add(e->db, p->id, &row);
	if (r == KE_EXISTS)
		return refuse(why, r, "this officer has approved already");
	return r == KE_OK ? audit(e, "proposal-approved", p->id, NULL, o->name) : r;
}

/* Into the operator log, for everybody: what officers have approved has been done. */
static int publish(struct engine *e, const struct db_proposal *row)
{
	struct record2 rec = {.kind = RECORD2_APPROVED, .at_s = (uint64_t)turn_now_ms(e) / 1000};
	struct proposal *p = calloc(1, sizeof *p);
	char text[512];
	uint64_t index;
	size_t n;
	int r;

	if (p == NULL)
		fatal("out of memory");
	r = proposal_parse(p, row->text, strlen(row->text));
	memcpy(rec.raffle, e->appliance, sizeof rec.raffle);
	if (r == KE_OK)
		snprintf(rec.word, sizeof rec.word, "%s", proposal_words[p->action]);
	free(p);
	hash_sha256(rec.paper, row->text, strlen(row->text));
	if (r == KE_OK)
		r = record2_text(&rec, text, sizeof text, &n);
	return r == KE_OK ? oplog_append(e, rec.raffle, rec.kind, text, n, turn_now_ms(e), &index)
			  : r;
}

static int settle(struct engine *e, int result, const char *reason)
{
	enum db_proposal_state to = result == KE_OK ? DB_PROPOSAL_DONE : DB_PROPOSAL_FAILED;
	struct db_proposal row;
	int r = turn_begin(e);

	/* a fresh hsm that does not start: the token is changed all the same */
	if (result == KE_UNAVAIL)
		return KE_OK;
	if (r == KE_OK)
		r = db_proposal_set(
		    e->db, e->quorum.acting, DB_PROPOSAL_APPROVED, to, reason, turn_now_ms(e));
	if (r == KE_OK && to == DB_PROPOSAL_DONE) {
		r = db_proposal_get(e->db, e->quorum.acting, &row);
		if (r == KE_OK)
			r = publish(e, &row);
	}
	return r == KE_OK
		   ? audit(e, "proposal-settled", e->quorum.acting, NULL, db_proposal_word(to))
		   : r;
}

/* Since it was proposed something may have come under the version that it destroys. */
static int act_on(struct engine *e, const struct db_proposal *row)
{
	struct proposal *p = calloc(1, sizeof *p);
	int r;

	if (p == NULL)
		fatal("out of memory");
	memcpy(e->quorum.acting, row->id, sizeof e->quorum.acting);
	r = proposal_parse(p, row->text, strlen(row->text));
	if (r == KE_OK)
		r = check_unused(e, p);
	free(p);
	if (r == KE_CONFLICT)
		return settle(e, r, LIVE_WORDS);
	return r == KE_OK ? send_act(e, row) : r;
}

/* As approved; keyadm takes them one at a time. */
static int promote(struct engine *e, struct db_proposal *p)
{
	int r = db_proposal_set(
	    e->db, p->id, DB_PROPOSAL_OPEN, DB_PROPOSAL_APPROVED, "", turn_now_ms(e));

	/* not for keyadm: engine asks hsm, and what hsm says is the payout's state, or the raffle's
	 */
	if (r == KE_OK && proposal_is_hsms(p->text)) {
		payout_look(e);
		r = db_proposal_set(
		    e->db, p->id, DB_PROPOSAL_APPROVED, DB_PROPOSAL_DONE, "", turn_now_ms(e));
		return r == KE_OK ? publish(e, p) : r;
	}
	if (r != KE_OK || e->quorum.busy)
		return r;
	return act_on(e, p);
}

int quorum_approve(
    struct engine *e, const uint8_t id[16], const char *armor, size_t n, const char **why)
{
	struct db_proposal p;
	int r = turn_begin(e);

	if (!e->quorum.known)
		return refuse(why, KE_UNAVAIL, "hsm has not told the token's anchor");
	if (r == KE_OK)
		r = db_proposal_get(e->db, id, &p);
	if (r == KE_NOTFOUND)
		return refuse(why, r, "there is no such proposal");
	if (r != KE_OK)
		return r;
	if (p.state != DB_PROPOSAL_OPEN)
		return refuse(why, KE_STATE, "the proposal is not open any more");
	if (n == 0 || n >= SSH_ARMOR_MAX)
		return refuse(why, KE_CRYPTO, "this is no signature of ssh-keygen -Y sign");
	r = add_approval(e, &p, armor, n, why);
	if (r != KE_OK || (uint64_t)p.approvals + 1 < e->quorum.anchor.officers.threshold)
		return r;
	return promote(e, &p);
}

int quorum_reject(struct engine *e, const uint8_t id[16], const uint8_t *by, const char **why)
{
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_proposal_set(
		    e->db, id, DB_PROPOSAL_OPEN, DB_PROPOSAL_REJECTED, "rejected", turn_now_ms(e));
	if (r == KE_NOTFOUND)
		return refuse(why, r, "there is no such proposal");
	if (r == KE_STATE)
		return refuse(why, r, "the proposal is not open any more");
	payout_look(e); /* it may be a payout's */
	return r == KE_OK ? audit(e, "proposal-rejected", id, by, "rejected") : r;
}

/* --- the anchor --- */

/*
 * Does the store hold the audit line that the token knows of? Otherwise it is an older one that was
 * put back, or another; that shows until officers act again, and their action takes its place.
 */
static enum quorum_history history_of(struct engine *e, const struct anchor *a)
{
	uint8_t hash[32];
	int r = turn_begin(e);

	if (r == KE_OK && a->audit == 0)
		return QUORUM_HISTORY_OK;
	if (r == KE_OK)
		r = a->audit <= INT64_MAX ? db_audit_hash(e->db, (int64_t)a->audit, hash)
					  : KE_NOTFOUND;
	if (r == KE_NOTFOUND)
		return QUORUM_HISTORY_OLDER;
	if (r != KE_OK)
		return QUORUM_HISTORY_UNKNOWN;
	return memcmp(hash, a->audit_hash, 32) == 0 ? QUORUM_HISTORY_OK : QUORUM_HISTORY_OLDER;
}

static void compare_history(struct engine *e)
{
	const struct anchor *a = &e->quorum.anchor;

	e->quorum.history = history_of(e, a);
	if (e->quorum.history == QUORUM_HISTORY_OLDER)
		log_security("the store is older than the token: its audit log lacks line %llu, "
			     "which the token knows; a backup was restored, or the store replaced",
		    (unsigned long long)a->audit);
}

static int anchor_told(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct quorum *q = &e->quorum;
	const uint8_t *text;
	size_t n;

	(void)j;
	if (in == NULL || r != KE_OK) {
		q->known = false;
		if (r != KE_NOTFOUND)
			q->asked = 0;
		return KE_OK;
	}
	text = wire_get_str(in, ANCHOR_TEXT_MAX, &n);
	if (wire_end(in) != KE_OK || anchor_parse(&q->anchor, (const char *)text, n) != KE_OK)
		return KE_PEER;
	q->known = true;
	compare_history(e);
	rewrap_start(e);
	return KE_OK;
}

void quorum_ask(struct engine *e)
{
	struct quorum *q = &e->quorum;

	if (e->peers.hsm.chan == NULL || q->asked == e->peers.hsm.serial || q->job.id != 0)
		return;
	q->asked = e->peers.hsm.serial;
	if (eng_hsm_anchor(e, &q->job, anchor_told) != KE_OK)
		q->asked = 0;
}

/* --- what became of it --- */

void quorum_acted(struct engine *e, const struct msg *m)
{
	char reason[DB_REASON_MAX + 1];
	struct wire_in in;
	int32_t result;
	int r;

	wire_in_init(&in, m->body, m->len);
	result = wire_get_i32(&in);
	wire_get_cstr(&in, reason, sizeof reason);
	if (wire_end(&in) != KE_OK)
		fatal("parent's answer does not decode");
	if (!e->quorum.busy)
		return; /* of a former engine's request: the anchor tells more */
	e->quorum.busy = false;
	if (result == KE_AGAIN)
		return; /* taken up again by the next tick */
	r = settle(e, result, reason);
	quorum_ask(e); /* the fresh hsm is here already */
	if (r != KE_OK)
		log_warn("an approved proposal cannot be settled now: %s", ke_words(r));
}

/* Has the token carried it out? Its nonce is used up then. */
static bool is_used(const struct anchor *a, const uint8_t id[16])
{
	for (size_t i = 0; i < a->nonces; i++)
		if (memcmp(a->nonce[i].nonce, id, 16) == 0)
			return true;
	return false;
}

/* One that is approved and not settled: a restart came between, or keyadm was busy. */
static int take_up(struct engine *e)
{
	struct db_proposal p;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_proposal_oldest(e->db, DB_PROPOSAL_APPROVED, &p);
	if (r != KE_OK)
		return r == KE_NOTFOUND ? KE_OK : r;
	memcpy(e->quorum.acting, p.id, sizeof p.id);
	if (is_used(&e->quorum.anchor, p.id))
		return settle(e, KE_OK, "");
	if (p.expires_ms <= turn_now_ms(e))
		return settle(e, KE_TIMEOUT, "it expired before it could be carried out");
	return act_on(e, &p);
}

void quorum_tick(struct engine *e)
{
	struct quorum *q = &e->quorum;
	int r;

	quorum_ask(e);
	if (engine_clock_ms() < q->next_ms)
		return;
	q->next_ms = engine_clock_ms() + LOOK_MS;
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_proposal_expire(e->db, turn_now_ms(e), NULL);
	if (r == KE_OK && q->known && !q->busy && q->job.id == 0)
		r = take_up(e);
	if (r != KE_OK && r != KE_IO)
		log_warn("proposals: %s", ke_words(r));
}
