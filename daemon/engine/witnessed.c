/*
 * What witnesses have seen of v2 raffles: see witnessed.h. Runs in engine.
 */
#include "daemon/engine/witnessed.h"

#include <stdlib.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/oplog.h"
#include "daemon/msg/log.h"

#define LOOKED_AT                                                                                  \
	16          /* checkpoints with a quorum behind a record; the first is nearly always it    \
		     */
#define ANSWER_S 30 /* a witness that was asked in time may be on its way that long */

bool witnessed_wanted(const struct engine *e)
{
	return e->cosign.policy.quorum != 0;
}

const char *witnessed_word(enum db_seen seen)
{
	static const char *const words[] = {[DB_SEEN_UNASKED] = NULL,
	    [DB_SEEN_IN_TIME] = "in-time",
	    [DB_SEEN_WAITING] = "waiting",
	    [DB_SEEN_TOO_LATE] = "too-late"};

	return words[seen];
}

/* Had this note its quorum by then, as the policy of today has it? */
static bool met_by(const struct engine *e, const struct db_checkpoint *c, uint64_t until_s)
{
	uint64_t at_s;

	return tlog_policy_met_at(&e->cosign.policy, c->note, c->len, &at_s) == KE_OK &&
	       at_s <= until_s;
}

static struct db_checkpoint *new_checkpoint(void)
{
	struct db_checkpoint *c = malloc(sizeof *c);

	if (c == NULL)
		fatal("out of memory");
	return c;
}

int witnessed_record(struct engine *e, uint64_t index, uint64_t until_s, uint64_t *size)
{
	struct db_checkpoint *c = new_checkpoint();
	int r = KE_OK;

	c->size = index;
	for (unsigned i = 0; i < LOOKED_AT; i++) {
		r = db_log_met(e->db, DB_LOG_OPERATOR, c->size, c);
		if (r != KE_OK || met_by(e, c, until_s))
			break;
		r = KE_NOTFOUND;
	}
	*size = c->size;
	free(c);
	return r;
}

int witnessed_tickets(struct engine *e, const struct db_log *log)
{
	struct db_checkpoint *c = new_checkpoint();
	int r = db_log_checkpoint(e->db, log->no, UINT64_MAX, c);

	if (r == KE_OK && (c->size != log->range.size || !met_by(e, c, UINT64_MAX)))
		r = KE_NOTFOUND;
	free(c);
	return r;
}

static int until_of(struct engine *e, const struct record2_terms *t, uint64_t *until_s)
{
	const struct life_site *site = &e->lives.site;
	uint64_t first_s, last_s;
	int r = life_moments(site, t, &first_s, &last_s);

	*until_s = r == KE_OK ? life_seen_until(first_s, site->delay_s) : 0;
	return r;
}

int witnessed_until(struct engine *e, const struct life_file *f, uint64_t *until_s)
{
	return until_of(e, &f->l.terms, until_s);
}

/* Amends, each of which was to be seen before the values of the terms that it changed. */
struct amends {
	struct engine *e;
	struct record2_terms was;
};

static int amend_seen(void *arg, const struct db_record *row)
{
	struct amends *a = arg;
	struct record2 rec = {.picks = NULL};
	uint64_t until_s, size;
	int r = until_of(a->e, &a->was, &until_s);

	if (r == KE_OK && record2_parse(&rec, row->text, row->len) != KE_OK)
		r = KE_DAMAGED;
	a->was = rec.terms;
	return r == KE_OK ? witnessed_record(a->e, row->index, until_s, &size) : r;
}

/* The records: KE_NOTFOUND while one is not seen, or was not in time. */
static int records_seen(struct engine *e, const struct life_file *f, uint64_t until_s)
{
	struct oplog_record *o = malloc(sizeof *o);
	struct record2 open = {.picks = NULL};
	struct amends a = {.e = e};
	uint64_t size;
	int r;

	if (o == NULL)
		fatal("out of memory");
	r = oplog_get(e, f->r.id, RECORD2_OPEN, o);
	if (r == KE_OK && record2_parse(&open, o->text, o->len) != KE_OK)
		r = KE_DAMAGED;
	a.was = open.terms;
	if (r == KE_OK)
		r = oplog_get(e, f->r.id, RECORD2_CLOSE, o);
	r = r == KE_NOTFOUND ? KE_DAMAGED : r;
	if (r == KE_OK)
		r = witnessed_record(e, o->index, until_s, &size);
	if (r == KE_OK)
		r = db_log_records_of(e->db, f->r.id, RECORD2_AMEND, amend_seen, &a);
	free(o);
	return r;
}

int witnessed_close(struct engine *e, const struct life_file *f, enum db_seen *seen)
{
	uint64_t until_s, now_s = (uint64_t)turn_now_ms(e) / 1000;
	struct db_log tickets;
	int r;

	*seen = DB_SEEN_UNASKED;
	if (!witnessed_wanted(e))
		return KE_OK;
	*seen = DB_SEEN_WAITING;
	r = db_log_of_raffle(e->db, f->r.id, &tickets);
	if (r != KE_OK)
		return r;
	cosign_want(e, tickets.no);
	if (witnessed_until(e, f, &until_s) != KE_OK)
		return KE_OK; /* nor can it be drawn before its beacon is pinned again */
	r = records_seen(e, f, until_s);
	if (r == KE_NOTFOUND &&
	    now_s > until_s + (cosign_asking(e, DB_LOG_OPERATOR) ? ANSWER_S : 0))
		*seen = DB_SEEN_TOO_LATE;
	if (r == KE_OK)
		r = witnessed_tickets(e, &tickets);
	if (r == KE_OK)
		*seen = DB_SEEN_IN_TIME;
	return r == KE_NOTFOUND ? KE_OK : r;
}
