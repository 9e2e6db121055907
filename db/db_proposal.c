/*
 * Proposals and approvals (db_proposal.h). Runs in engine.
 */
#include "db/db_proposal.h"

#include <string.h>

#include "db/db_sql.h"

#define COLUMNS                                                                                    \
	"SELECT id, text, state, created_ms, created_by, expires_ms, decided_ms, reason,"          \
	" (SELECT count(*) FROM approvals a WHERE a.proposal = proposals.id) FROM proposals"

enum { CREATE, GET, SET, EXISTS, PAGE, OLDEST, COUNT, EXPIRE, APPROVE, APPROVALS };
static const char *const texts[] = {
    [CREATE] = "INSERT INTO proposals (id, text, created_ms, created_by, expires_ms)"
	       " VALUES ($1, $2, $3, $4, $5)",
    [GET] = COLUMNS " WHERE id = $1",
    [SET] = "UPDATE proposals SET state = $3, reason = $4, decided_ms = $5"
	    " WHERE id = $1 AND state = $2",
    [EXISTS] = "SELECT 1 FROM proposals WHERE id = $1",
    [PAGE] = COLUMNS " WHERE id < $1 ORDER BY id DESC LIMIT $2",
    [OLDEST] = COLUMNS " WHERE state = $1 AND state <= 1 ORDER BY id LIMIT 1",
    [COUNT] = "SELECT count(*) FROM proposals WHERE state = $1 AND state <= 1",
    [EXPIRE] = "UPDATE proposals SET state = 5, reason = 'expired', decided_ms = $1"
	       " WHERE state = 0 AND state <= 1 AND expires_ms <= $1",
    [APPROVE] =
	"INSERT INTO approvals (proposal, officer, signature, at_ms) VALUES ($1, $2, $3, $4)",
    [APPROVALS] = "SELECT officer, signature, at_ms FROM approvals WHERE proposal = $1"
		  " ORDER BY officer",
};
DB_SQL_LIST(proposal, texts);

const char *db_proposal_word(enum db_proposal_state s)
{
	static const char *const word[DB_PROPOSAL_STATES] = {
	    "open", "approved", "done", "failed", "rejected", "expired"};

	return s < DB_PROPOSAL_STATES ? word[s] : "unknown";
}

int db_proposal_create(struct db *d, const struct db_proposal *p)
{
	static const uint8_t nobody[16];
	struct db_st *st = db_sql(d, DB_NOUN_proposal, CREATE);

	db_in_id(st, p->id);
	db_in_cstr(st, p->text);
	db_in_int(st, p->created_ms);
	db_in_id(st, memcmp(p->created_by, nobody, 16) != 0 ? p->created_by : NULL);
	db_in_int(st, p->expires_ms);
	return db_exec(st);
}

static void read_row(struct db_st *st, struct db_proposal *p)
{
	db_out_blob(st, p->id, 16);
	db_out_text(st, p->text, sizeof p->text);
	p->state = (enum db_proposal_state)db_out_int(st);
	p->created_ms = db_out_int(st);
	db_out_blob(st, p->created_by, 16);
	p->expires_ms = db_out_int(st);
	p->decided_ms = db_out_int(st);
	db_out_text(st, p->reason, sizeof p->reason);
	p->approvals = db_out_int(st);
}

static int read_one(struct db_st *st, struct db_proposal *p)
{
	int r = db_step(st);

	if (r)
		return r;
	read_row(st, p);
	return db_end(st);
}

int db_proposal_get(struct db *d, const uint8_t id[16], struct db_proposal *p)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, GET);

	db_in_id(st, id);
	return read_one(st, p);
}

int db_proposal_set(struct db *d, const uint8_t id[16], enum db_proposal_state from,
    enum db_proposal_state to, const char *reason, int64_t now_ms)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, SET);
	struct db_st *row = db_sql(d, DB_NOUN_proposal, EXISTS);

	db_in_id(st, id);
	db_in_int(st, from);
	db_in_int(st, to);
	db_in_cstr(st, reason);
	db_in_int(st, now_ms);
	db_in_id(row, id);
	return db_exec_cas(st, row, KE_STATE);
}

struct page {
	int (*each)(void *arg, const struct db_proposal *p);
	void *arg;
};

static int page_row(struct db_st *st, void *arg)
{
	const struct page *pg = arg;
	struct db_proposal p;

	read_row(st, &p);
	return pg->each(pg->arg, &p);
}

int db_proposal_page(struct db *d, const uint8_t *before, int64_t limit,
    int (*each)(void *arg, const struct db_proposal *p), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, PAGE);
	struct page pg = {each, arg};

	db_in_id(st, before ? before : db_id_last);
	db_in_int(st, limit);
	return db_each(st, page_row, &pg);
}

int db_proposal_oldest(struct db *d, enum db_proposal_state s, struct db_proposal *p)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, OLDEST);

	db_in_int(st, s);
	return read_one(st, p);
}

int db_proposal_count(struct db *d, enum db_proposal_state s, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, COUNT);

	db_in_int(st, s);
	return db_exec_int(st, n);
}

int db_proposal_expire(struct db *d, int64_t now_ms, int64_t *n)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, EXPIRE);

	db_in_int(st, now_ms);
	return db_exec_many(st, n);
}

int db_approval_add(struct db *d, const uint8_t id[16], const struct db_approval *a)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, APPROVE);

	db_in_id(st, id);
	db_in_cstr(st, a->officer);
	db_in_cstr(st, a->signature);
	db_in_int(st, a->at_ms);
	return db_exec(st);
}

struct approvals {
	int (*each)(void *arg, const struct db_approval *a);
	void *arg;
};

static int approval_row(struct db_st *st, void *arg)
{
	const struct approvals *all = arg;
	struct db_approval a;

	db_out_text(st, a.officer, sizeof a.officer);
	db_out_text(st, a.signature, sizeof a.signature);
	a.at_ms = db_out_int(st);
	return all->each(all->arg, &a);
}

int db_approval_each(struct db *d, const uint8_t id[16],
    int (*each)(void *arg, const struct db_approval *a), void *arg)
{
	struct db_st *st = db_sql(d, DB_NOUN_proposal, APPROVALS);
	struct approvals all = {each, arg};

	db_in_id(st, id);
	return db_each(st, approval_row, &all);
}
