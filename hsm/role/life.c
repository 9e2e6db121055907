/*
 * Agreeing to a v2 raffle's records: see life.h. Runs in hsm.
 *
 * What hsm enforces by itself, whatever engine says:
 * - one open record for a raffle, of a seed of that raffle, whose promised values are of pinned
 *   beacons and far enough behind the end of sales, before which it was shown, with a fresh
 *   beacon value;
 * - amends only while sales go on, in one order, later ones when tickets are in the log;
 * - one close record, not of a time before the end of sales, told before the first promised value
 *   can be known, and from then on no other checkpoint of the tickets;
 * - a draw or an abort, never both.
 */
#include "hsm/role/life.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/escrow.h"
#include "hsm/role/seeds.h"
#include "policy/be.h"
#include "policy/hash.h"
#include "policy/text.h"

int life_refuse(const uint8_t raffle[16], const char *why)
{
	char hex[33];

	text_hex(hex, raffle, 16);
	log_security("raffle %s: %s", hex, why);
	return KE_DENIED;
}

void life_no_draw(uint8_t value[32])
{
	static const char abort[] = "kleroterion/v2/abort";

	hash_sha256(value, abort, sizeof abort);
}

/* --- papers --- */

static int take_open(struct life_papers *p, const struct record2 *r, const uint8_t leaf[32])
{
	if (r->kind != RECORD2_OPEN)
		return KE_FORMAT;
	p->open = *r;
	p->terms = r->terms;
	memcpy(p->raffle, r->raffle, 16);
	memcpy(p->open_leaf, leaf, 32);
	return KE_OK;
}

static int take_amend(struct life_papers *p, const struct record2 *r, const uint8_t leaf[32])
{
	if (r->kind != RECORD2_AMEND || p->amends == LIFE_AMENDS_MAX)
		return KE_FORMAT;
	memcpy(p->amend_leaf[p->amends++], leaf, 32);
	p->terms = r->terms;
	return KE_OK;
}

static int take(struct life_papers *p, const char *text, size_t n, bool first, bool last)
{
	struct record2 r = {.picks = NULL};
	uint8_t leaf[32];

	if (record2_parse(&r, text, n) != KE_OK)
		return KE_FORMAT;
	record2_leaf(leaf, text, n);
	if (first)
		return take_open(p, &r, leaf);
	if (memcmp(r.raffle, p->raffle, 16) != 0)
		return KE_FORMAT;
	/* a draw's has picks, which do not fit; what follows an open record names it */
	if (r.kind == RECORD2_FORFEIT || memcmp(r.open_leaf, p->open_leaf, 32) != 0)
		return KE_FORMAT;
	if (!last)
		return take_amend(p, &r, leaf);
	p->last = r;
	p->has_last = true;
	memcpy(p->last_leaf, leaf, 32);
	return KE_OK;
}

int life_papers_get(struct wire_in *in, bool last, struct life_papers *p)
{
	uint8_t n = wire_get_u8(in);
	int r = n > 0 ? KE_OK : KE_FORMAT;

	*p = (struct life_papers){.amends = 0};
	for (uint8_t i = 0; i < n; i++) {
		size_t len;
		const char *text = (const char *)wire_get_str(in, RECORD2_TEXT_MAX, &len);

		if (text == NULL)
			return KE_PEER;
		if (r == KE_OK)
			r = take(p, text, len, i == 0, last && i > 0 && i == n - 1);
	}
	return in->err == KE_OK ? r : KE_PEER;
}

/* --- facts --- */

int life_bound(struct hsm *h, enum once_kind kind, const uint8_t raffle[16], bool *bound)
{
	static const uint8_t none[32];
	int r = once_ask(&h->once, kind, raffle, 16, none);

	*bound = r == KE_OK || r == KE_DENIED;
	return *bound || r == KE_NOTFOUND ? KE_OK : r;
}

static int ask_amend(
    struct hsm *h, const struct life_papers *p, uint8_t seq, const uint8_t leaf[32])
{
	uint8_t id[17];

	memcpy(id, p->raffle, 16);
	id[16] = seq;
	return once_ask(&h->once, ONCE_AMEND, id, sizeof id, leaf);
}

static int tell_amend(struct hsm *h, const struct life_papers *p)
{
	uint8_t id[17];

	memcpy(id, p->raffle, 16);
	id[16] = p->amends;
	return once_tell(&h->once, ONCE_AMEND, id, sizeof id, p->last_leaf);
}

int life_known(struct hsm *h, const struct life_papers *p, const char **why)
{
	static const uint8_t none[32];
	int r = once_ask(&h->once, ONCE_OPEN, p->raffle, 16, p->open_leaf);

	*why = "its open record is not the one that was agreed to";
	for (uint8_t i = 0; r == KE_OK && i < p->amends; i++) {
		*why = "an amend that was not agreed to";
		r = ask_amend(h, p, i, p->amend_leaf[i]);
	}
	if (r != KE_OK)
		return r == KE_NOTFOUND ? KE_DENIED : r;
	*why = "an amend is withheld";
	r = ask_amend(h, p, p->amends, none);
	if (r == KE_NOTFOUND)
		return KE_OK;
	/* the last paper can be that very one, asked about again */
	if (r == KE_DENIED && p->has_last && p->last.kind == RECORD2_AMEND)
		r = ask_amend(h, p, p->amends, p->last_leaf);
	return r;
}

static void checkpoint_value(uint8_t value[32], uint64_t size, const uint8_t root[32])
{
	uint8_t n[8];

	be_put64(n, size);
	hash_sha256_2(value, n, sizeof n, root, 32);
}

int life_checkpoint(struct hsm *h, const uint8_t raffle[16], uint64_t size, const uint8_t root[32])
{
	static const uint8_t some[32] = {1};
	uint8_t value[32];
	int r;

	checkpoint_value(value, size, root);
	r = once_ask(&h->once, ONCE_LAST, raffle, 16, value);
	if (r == KE_DENIED)
		return life_refuse(raffle, "its tickets are closed with another checkpoint");
	if (r != KE_NOTFOUND || size == 0)
		return r == KE_NOTFOUND ? KE_OK : r;
	return once_tell(&h->once, ONCE_SOLD, raffle, 16, some);
}

/* --- agreeing --- */

/* A value of this moment, signed: the record that holds it was not made before. */
static int check_fresh(
    struct hsm *h, const struct life_papers *p, const struct record2_terms *t, uint64_t now_s)
{
	const struct beacon *b = &t->not_before;
	const char *why;

	if (life_not_before(&h->site, b, now_s, &why) != RULES_YES)
		return life_refuse(p->raffle, why);
	if (drand_verify(
		life_chain(&h->site, b->chain_hash), b->round, b->signature, BLS_SIG_LEN) != KE_OK)
		return life_refuse(p->raffle, "not-before is not signed by its chain");
	return KE_OK;
}

static int check_open(struct hsm *h, const struct life_papers *p, uint64_t now_s)
{
	struct log_name name = {.oplog = false};
	char origin[NOTE_NAME_MAX + 1];
	const char *why;
	int r;

	memcpy(name.raffle, p->raffle, 16);
	if (origin_of(&name, h->host, origin) != KE_OK || strcmp(origin, p->open.origin) != 0)
		return life_refuse(p->raffle, "its tickets' origin is not this appliance's");
	if (life_terms(&h->site, &p->terms, now_s, &why) != RULES_YES)
		return life_refuse(p->raffle, why);
	r = escrow_vouch(h, &p->open);
	if (r == KE_DENIED)
		return life_refuse(p->raffle, "its escrow is not the one of this appliance");
	return r == KE_OK ? check_fresh(h, p, &p->terms, now_s) : r;
}

/* What comes with the papers: the seed's v1 commitment, by which it is remembered, and the seed. */
struct ware {
	const uint8_t *commit, *text;
	size_t n;
};

/* Made here, for this raffle, and never told to anybody. */
static int check_seed(struct hsm *h, const struct life_papers *p, const struct ware *s)
{
	uint8_t value[32] = {0};
	bool over;
	int r;

	memcpy(value, p->raffle, 16);
	r = once_ask(&h->once, ONCE_SEED, s->commit, 32, value);
	if (r == KE_DENIED || r == KE_NOTFOUND)
		return life_refuse(
		    p->raffle, "an open record with a seed that was not made for it");
	if (r == KE_OK)
		r = life_bound(h, ONCE_DRAW, p->raffle, &over);
	if (r == KE_OK && over)
		return life_refuse(p->raffle, "an open record after its seed was revealed");
	return r;
}

static int agree_open(
    struct hsm *h, const struct life_papers *p, const struct ware *s, uint64_t now_s)
{
	int r = once_ask(&h->once, ONCE_OPEN, p->raffle, 16, p->open_leaf);

	if (r == KE_DENIED)
		return life_refuse(p->raffle, "a second open record");
	if (r != KE_NOTFOUND)
		return r;
	r = check_seed(h, p, s);
	if (r == KE_OK)
		r = check_open(h, p, now_s);
	if (r == KE_OK)
		r = seed_is(h, p->raffle, s->commit, p->open.seed_commit, s->text, s->n);
	return r == KE_OK ? once_tell(&h->once, ONCE_OPEN, p->raffle, 16, p->open_leaf) : r;
}

static int agree_amend(struct hsm *h, const struct life_papers *p, uint64_t now_s)
{
	bool closed, over, sold;
	const char *why;
	int r = ask_amend(h, p, p->amends, p->last_leaf);

	if (r != KE_NOTFOUND)
		return r == KE_DENIED ? life_refuse(p->raffle, "another amend in its place") : r;
	r = life_bound(h, ONCE_CLOSE, p->raffle, &closed);
	if (r == KE_OK)
		r = life_bound(h, ONCE_DRAW, p->raffle, &over);
	if (r == KE_OK)
		r = life_bound(h, ONCE_SOLD, p->raffle, &sold);
	if (r != KE_OK)
		return r;
	if (closed || over)
		return life_refuse(p->raffle, "an amend after the end");
	if (p->amends == LIFE_AMENDS_MAX)
		return KE_LIMIT;
	if (life_amend(&h->site, &p->terms, &p->last.terms, sold, now_s, &why) != RULES_YES)
		return life_refuse(p->raffle, why);
	r = check_fresh(h, p, &p->last.terms, now_s);
	return r == KE_OK ? tell_amend(h, p) : r;
}

static int agree_close(struct hsm *h, const struct life_papers *p, uint64_t now_s)
{
	uint64_t first_s, last_s;
	uint8_t value[32];
	int r = once_ask(&h->once, ONCE_CLOSE, p->raffle, 16, p->last_leaf);

	if (r == KE_DENIED)
		return life_refuse(p->raffle, "a second close record");
	if (r != KE_NOTFOUND)
		return r;
	r = life_moments(&h->site, &p->terms, &first_s, &last_s);
	if (r != KE_OK)
		return r;
	if (now_s >= first_s)
		return life_refuse(p->raffle, "closed when its first beacon value could be known "
					      "already: it cannot be drawn");
	if (p->last.at_s < p->terms.sales_close_s)
		return life_refuse(p->raffle, "closed before the end of its sales");
	if (p->last.at_s > now_s + HSM_CLOCK_SLACK_S)
		return life_refuse(p->raffle, "closed in the future");
	checkpoint_value(value, p->last.tickets, p->last.root);
	r = once_tell(&h->once, ONCE_LAST, p->raffle, 16, value);
	if (r == KE_DENIED)
		return life_refuse(p->raffle, "closed with other tickets before");
	return r == KE_OK ? once_tell(&h->once, ONCE_CLOSE, p->raffle, 16, p->last_leaf) : r;
}

/* Its seed is not needed any more. */
static int agree_abort(struct hsm *h, const struct life_papers *p, const struct ware *s)
{
	uint8_t value[32];
	int r = seed_owner(h, s->commit, p->raffle);

	life_no_draw(value);
	if (r == KE_OK)
		r = once_tell(&h->once, ONCE_DRAW, p->raffle, 16, value);
	if (r == KE_DENIED)
		return life_refuse(p->raffle, "an abort after the seed was revealed");
	return r == KE_OK ? once_stand(&h->once, KEY_SEED, s->commit, 32, 0) : r;
}

static int agree(struct hsm *h, const struct life_papers *p, const struct ware *s)
{
	uint64_t now_s = (uint64_t)time(NULL);
	const char *why;
	int r;

	if (!p->has_last)
		return p->amends == 0 ? agree_open(h, p, s, now_s) : KE_FORMAT;
	r = life_known(h, p, &why);
	if (r != KE_OK)
		return r == KE_DENIED ? life_refuse(p->raffle, why) : r;
	switch (p->last.kind) {
	case RECORD2_AMEND:
		return agree_amend(h, p, now_s);
	case RECORD2_CLOSE:
		return agree_close(h, p, now_s);
	case RECORD2_ABORT:
		return agree_abort(h, p, s);
	default:
		return KE_FORMAT;
	}
}

int hsm_answer_agree(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct life_papers papers;
	struct ware s;
	struct wire_in in;
	int r;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	s.commit = wire_get_view(&in, 32);
	s.text = wire_get_str(&in, BLOB_TEXT_MAX, &s.n);
	r = life_papers_get(&in, true, &papers);
	if (r == KE_PEER || wire_end(&in) != KE_OK)
		return KE_PEER;
	(void)hsm_result(h, w, r == KE_OK ? agree(h, &papers, &s) : r);
	return KE_OK;
}
