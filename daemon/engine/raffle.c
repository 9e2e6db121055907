/*
 * Shared by the handlers of raffles: see raffle.h. Runs in engine.
 */
#include "daemon/engine/raffle.h"

#include <stdlib.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/idem.h"
#include "daemon/msg/log.h"
#include "policy/bundle.h"

bool raffle_visible(const struct rq *q, enum raffle_state state)
{
	return state != RAFFLE_DRAFT || (q->roles & WHO_ORGANISER) != 0;
}

int raffle_find(struct rq *q, struct db_raffle *r)
{
	int err = db_raffle_get(q->e->db, rq_field(q, 0)->p, r);

	if (err == KE_NOTFOUND || (err == KE_OK && !raffle_visible(q, r->state)))
		return rq_refuse(q, PB_NOT_FOUND);
	return err;
}

static int drawn1(struct rq *q, const struct db_raffle *r, struct drawn *d)
{
	int err = db_raffle_record(q->e->db, r->id, d->text, sizeof d->text, &d->len);

	d->rec.picks = d->picks;
	if (err == KE_OK && record1_parse(&d->rec, d->text, d->len) != KE_OK)
		err = KE_DAMAGED;
	d->winners = d->rec.winners;
	d->reserves = d->rec.reserves;
	return err;
}

int raffle_drawn(struct rq *q, const struct db_raffle *r, struct drawn **out)
{
	struct drawn *d = calloc(1, sizeof *d);
	int err;

	if (d == NULL)
		fatal("out of memory");
	err = r->format == RAFFLE_V2 ? raffle_drawn2(q, r, d) : drawn1(q, r, d);
	if (err != KE_OK) {
		raffle_drawn_free(d);
		return err;
	}
	*out = d;
	return KE_OK;
}

void raffle_drawn_free(struct drawn *d)
{
	if (d != NULL)
		free(d->standing);
	free(d);
}

void raffle_put_pick(struct jsonw *w, uint64_t pos, const struct record_pick *p)
{
	jsonw_object(w);
	jsonw_kint(w, "pos", (int64_t)pos);
	jsonw_kint(w, "index", (int64_t)p->index);
	jsonw_kuuid(w, "ticket_id", p->ticket);
	jsonw_object_end(w);
}

static void put_picks(struct jsonw *w, const char *key, const struct record_pick *p, uint32_t n)
{
	jsonw_key(w, key);
	jsonw_array(w);
	for (uint32_t i = 0; i < n; i++)
		raffle_put_pick(w, i + 1, &p[i]);
	jsonw_array_end(w);
}

static void put_entropy(struct jsonw *w, const struct db_raffle *r)
{
	if (r->entropy_len == 0)
		return;
	jsonw_khex(w, "entropy", r->entropy, r->entropy_len);
	jsonw_kuuid(w, "entropy_by", r->entropy_by);
	jsonw_ktime(w, "entropy_at", r->entropy_ms);
}

/* What is known from open, close, entropy and draw on; an aborted one was opened, or closed too. */
static void put_progress(struct jsonw *w, const struct db_raffle *r)
{
	if (r->opened_ms != 0) {
		jsonw_khex(w, "seed_commit", r->seed_commit1, 32);
		jsonw_khex(w, "seed_commit_v2", r->seed_commit2, 32);
		jsonw_ktime(w, "opened_at", r->opened_ms);
	}
	if (r->closed_ms != 0) {
		jsonw_khex(w, "tickets_root", r->root, 32);
		jsonw_khex(w, "aggregate_client_seed_hash", r->aggregate, 32);
		jsonw_ktime(w, "closed_at", r->closed_ms);
	}
	put_entropy(w, r);
	if (r->state == RAFFLE_DRAWN) {
		jsonw_khex(w, "server_seed", r->server_seed, 32);
		jsonw_ktime(w, "drawn_at", r->drawn_ms);
	}
	if (r->state == RAFFLE_DRAWN && r->format == RAFFLE_V1)
		jsonw_kcstr(w, "label", BUNDLE_LABEL);
	if (r->format == RAFFLE_V2)
		jsonw_ktime(w, "sales_close", r->sales_close_s * 1000);
	if (r->aborted_ms != 0)
		jsonw_ktime(w, "aborted_at", r->aborted_ms);
}

/* What an item of a list and the raffle itself have in common. */
static void put_fields(struct jsonw *w, const struct db_raffle *r)
{
	jsonw_kuuid(w, "id", r->id);
	jsonw_kcstr(w, "title", r->title);
	jsonw_kcstr(w, "format", r->format == RAFFLE_V2 ? "v2" : "v1");
	jsonw_kcstr(w, "state", rules_raffle_word(r->state));
	jsonw_kmoney(w, "price", r->price, r->currency);
	jsonw_kint(w, "capacity", r->capacity);
	jsonw_key(w, "per_person");
	if (r->per_person == 0)
		jsonw_null(w);
	else
		jsonw_int(w, r->per_person);
	jsonw_kint(w, "winner_count", r->winners);
	jsonw_kint(w, "reserve_count", r->reserves);
	jsonw_kint(w, "sold", r->sold);
	jsonw_ktime(w, "created_at", r->created_ms);
	put_progress(w, r);
	jsonw_kint(w, "version", r->version);
}

void raffle_put_item(struct jsonw *w, const struct db_raffle *r)
{
	jsonw_object(w);
	put_fields(w, r);
	jsonw_object_end(w);
}

int raffle_put(struct rq *q, struct jsonw *w, const struct db_raffle *r, const struct drawn *d)
{
	int err = KE_OK;

	jsonw_object(w);
	put_fields(w, r);
	jsonw_kcstr(w, "description", r->description);
	if (r->format == RAFFLE_V2)
		err = raffle_put_life(q, w, r, d);
	if (d != NULL && !d->filed) {
		put_picks(w, "winners", d->picks, d->winners);
		put_picks(w, "reserves", d->picks + d->winners, d->reserves);
	}
	jsonw_object_end(w);
	return err;
}

int raffle_answer(struct rq *q)
{
	struct db_raffle r;
	struct drawn *d = NULL;
	int err = raffle_find(q, &r);

	if (err == KE_OK && r.state == RAFFLE_DRAWN)
		err = raffle_drawn(q, &r, &d);
	if (err != KE_OK)
		return err;
	err = raffle_put(q, rq_json(q), &r, d);
	raffle_drawn_free(d);
	q->ans.version = r.version;
	if (err == KE_OK)
		err = rq_json_end(q);
	/*
	 * The picks of a drawn raffle can fill 200 KiB, and a v1 raffle stays as it is; a v2
	 * raffle, whose winners can still forfeit, is kept as it was answered, wherever that fits
	 */
	q->again = d != NULL && (r.format != RAFFLE_V2 || q->ans.body_len > IDEM_BODY_MAX);
	return err;
}
