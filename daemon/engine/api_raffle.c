/*
 * The life of a raffle but its sales and its draw: create, list, get, open, close, entropy. The
 * state machine is policy's; the store changes states by compare-and-set only. Runs in engine.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/api_life.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/life.h"
#include "daemon/engine/list.h"
#include "daemon/engine/money.h"
#include "daemon/engine/raffle.h"

/* --- create --- */

enum {
	F_TITLE,
	F_DESCRIPTION,
	F_PRICE,
	F_CAPACITY,
	F_PER_PERSON,
	F_WINNERS,
	F_RESERVES,
	F_FORMAT,
	F_SALES_CLOSE,
	F_DEADLINE,
	F_DELAY,
	F_CHAIN,
	F_ROUND,
	F_NIST,
	F_DEDUPE,
	F_RULES,
	FIELD_COUNT
};

/* v2 wherever it can be, unless the client wants otherwise. */
static enum raffle_format format_of(const struct rq *q)
{
	const struct api_value *format = rq_field(q, F_FORMAT);

	if (format->present)
		return format->i == 0 ? RAFFLE_V1 : RAFFLE_V2;
	return life_possible(q->e) ? RAFFLE_V2 : RAFFLE_V1;
}

static void fill(const struct rq *q, struct db_raffle *r)
{
	const struct api_value *title = rq_field(q, F_TITLE),
			       *description = rq_field(q, F_DESCRIPTION),
			       *per_person = rq_field(q, F_PER_PERSON),
			       *reserves = rq_field(q, F_RESERVES);

	*r = (struct db_raffle){
	    .price = rq_field(q, F_PRICE)->i,
	    .capacity = rq_field(q, F_CAPACITY)->i,
	    .per_person = per_person->present ? per_person->i : 0,
	    .winners = rq_field(q, F_WINNERS)->i,
	    .format = format_of(q),
	    .reserves = reserves->present ? reserves->i : 0,
	    .created_ms = q->now_ms,
	};
	engine_uuid(&q->e->ids, r->id, q->now_ms);
	memcpy(r->title, title->p, title->n);
	if (description->present)
		memcpy(r->description, description->p, description->n);
	memcpy(r->created_by, q->user, sizeof r->created_by);
}

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* v1 knows none of these, and lists its picks. */
static int refuse_v2_fields(struct rq *q, const struct db_raffle *raffle)
{
	int r = KE_OK;

	if (raffle->winners > RECORD1_PICKS_MAX / 2 || raffle->reserves > RECORD1_PICKS_MAX / 2)
		return rq_refuse_field(q, "/winners", "more-than-a-draw");
	for (unsigned i = F_SALES_CLOSE; r == KE_OK && i < FIELD_COUNT; i++)
		r = rq_demand(q, i, false);
	return r;
}

/* What v2 adds to a draft. */
static int fill_life(struct rq *q, const struct db_raffle *r, struct db_life *l)
{
	static const struct terms_fields fields = {
	    F_SALES_CLOSE, F_DEADLINE, F_DELAY, F_CHAIN, F_ROUND, F_NIST};
	const struct api_value *dedupe = rq_field(q, F_DEDUPE), *rules = rq_field(q, F_RULES);

	*l = (struct db_life){.dedupe = dedupe->present ? (unsigned)dedupe->i : DEDUPE_NONE,
	    .on_default = DEFAULT_VOID};
	hash_sha256(l->rules, rules->p, rules->present ? rules->n : 0);
	if (r->winners + r->reserves > DRAW_MAX)
		return rq_refuse_field(q, "/winners", "more-than-a-draw");
	return life_terms_get(q, &fields, &l->terms);
}

static int create_life(struct rq *q, const struct db_raffle *r, struct db_life *l)
{
	const struct api_value *rules = rq_field(q, F_RULES);

	l->raffle = r->no;
	l->late_s = life_late_s(&q->e->lives.site, &l->terms);
	return db_life_create(q->e->db, l, rules->present ? (const char *)rules->p : "",
	    rules->present ? rules->n : 0);
}

int api_raffle_create(struct rq *q)
{
	struct db_raffle r;
	struct db_life l;
	int64_t revenue;
	int err;

	fill(q, &r);
	if (!money_currency(q->e, rq_field(q, F_PRICE), r.currency))
		return rq_refuse(q, PB_CURRENCY);
	/* then no sum of sales of this raffle can overflow */
	if (rules_money_mul(r.price, r.capacity, &revenue) != KE_OK)
		return rq_refuse(q, PB_AMOUNT);
	if (r.winners > r.capacity)
		return rq_refuse_field(q, "/winners", "more-than-capacity");
	r.reserves = lesser(r.reserves, r.capacity - r.winners);
	err = r.format == RAFFLE_V2 ? fill_life(q, &r, &l) : refuse_v2_fields(q, &r);
	if (err == KE_OK)
		err = db_raffle_create(q->e->db, &r);
	if (err == KE_OK)
		err = db_raffle_get(q->e->db, r.id, &r);
	if (err == KE_OK && r.format == RAFFLE_V2)
		err = create_life(q, &r, &l);
	if (err == KE_OK)
		err = audit_add(q, q->user, "raffle-create", r.id, "{}");
	if (err == KE_OK)
		err = db_raffle_get(q->e->db, r.id, &r);
	if (err != KE_OK)
		return err;
	rq_location(q, "/api/v1/raffles/", r.id);
	q->ans.version = r.version;
	err = raffle_put(q, rq_json(q), &r, NULL);
	return err == KE_OK ? rq_json_end(q) : err;
}

/* --- list, get --- */

static int put_item(void *arg, const struct db_raffle *r)
{
	struct list *l = arg;

	if (list_take(l, r->id))
		raffle_put_item(l->w, r);
	return KE_OK;
}

int api_raffles(struct rq *q)
{
	const struct api_value *state = rq_field(q, 0);
	int which = state->present ? (int)state->i : DB_RAFFLE_PUBLIC;
	struct list l;
	int r;

	if (state->present && !raffle_visible(q, (enum raffle_state)state->i))
		return rq_refuse(q, q->known ? PB_FORBIDDEN : PB_UNAUTHENTICATED);
	r = list_begin(&l, q, 1, state->present ? q->row->fields[0].words[state->i] : "", 16);
	if (r == KE_OK)
		r = db_raffle_page(
		    q->e->db, which, l.from ? l.pos : NULL, list_wanted(&l), put_item, &l);
	return r == KE_OK ? list_end(&l) : r;
}

int api_raffle_get(struct rq *q)
{
	return raffle_answer(q);
}

/* --- open, close, entropy --- */

/* The raffle, if the act may happen to it now. */
static int find_for(struct rq *q, enum raffle_act act, struct db_raffle *r)
{
	enum rules_no no;
	int err = raffle_find(q, r);

	if (err != KE_OK)
		return err;
	if (r->format != RAFFLE_V1)
		return rq_refuse(q, PB_RAFFLE_FORMAT);
	no = rules_raffle_act(r->state, act, r->entropy_len > 0, r->sold);
	return no == RULES_YES ? KE_OK : rq_refuse(q, money_problem(no));
}

/* The act is done: every cached list is stale. */
static int acted(struct rq *q, const char *action)
{
	int r = audit_add(q, q->user, action, rq_field(q, 0)->p, "{}");

	if (r != KE_OK)
		return r;
	turn_dirty(q->e, CACHE_RAFFLES);
	return raffle_answer(q);
}

static int open_seeded(struct rq *q, int r, struct wire_in *in)
{
	uint8_t commit1[32], commit2[32];
	char blob[DB_SEED_BLOB_MAX + 1];

	if (r != KE_OK)
		return KE_UNAVAIL;
	wire_get_raw(in, commit1, sizeof commit1);
	wire_get_raw(in, commit2, sizeof commit2);
	wire_get_cstr(in, blob, sizeof blob);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = db_raffle_set_open(q->e->db, rq_field(q, 0)->p, commit1, commit2, blob, q->now_ms);
	if (r == KE_STATE) /* somebody else opened it meanwhile; this seed is forgotten */
		return rq_refuse(q, PB_RAFFLE_NOT_DRAFT);
	return r == KE_OK ? acted(q, "raffle-open") : r;
}

int api_raffle_open(struct rq *q)
{
	struct db_raffle r;
	int err = raffle_find(q, &r);

	if (err == KE_OK && r.format == RAFFLE_V2)
		return life_api_open(q);
	if (err == KE_OK)
		err = find_for(q, RAFFLE_ACT_OPEN, &r);
	return err == KE_OK ? eng_hsm_new_seed(q, "open_seeded", open_seeded, r.id) : err;
}

int api_raffle_close(struct rq *q)
{
	uint8_t root[32], aggregate[32];
	struct db_raffle r;
	struct db_sale s;
	int err = raffle_find(q, &r);

	if (err == KE_OK && r.format == RAFFLE_V2)
		return life_api_close(q);
	if (err == KE_OK)
		err = find_for(q, RAFFLE_ACT_CLOSE, &r);
	if (err == KE_OK)
		err = db_raffle_sale(q->e->db, r.id, &s);
	if (err != KE_OK)
		return err;
	merkle_range_root(&s.range, root);
	hash_run_end(aggregate, s.aggregate);
	err = db_raffle_set_closed(q->e->db, r.id, root, aggregate, q->now_ms);
	return err == KE_OK ? acted(q, "raffle-close") : err;
}

int api_raffle_entropy(struct rq *q)
{
	const struct api_value *entropy = rq_field(q, 1);
	struct db_raffle r;
	int err = find_for(q, RAFFLE_ACT_ENTROPY, &r);

	if (err != KE_OK)
		return err;
	err = db_raffle_set_entropy(q->e->db, r.id, entropy->p, entropy->n, q->user, q->now_ms);
	return err == KE_OK ? acted(q, "raffle-entropy") : err;
}
