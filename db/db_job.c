/*
 * Background work (db_job.h). Runs in engine.
 */
#include <string.h>

#include "db/db_job.h"
#include "db/db_sql.h"

#define COLUMNS        "id, kind, subject, priority, run_at_ms, attempts, state, last_error, updated_ms"
#define BACKOFF_MAX_MS 3600000

/* No job is put off for longer than an hour: not by db_job_retry, not by its own period. */
#define AHEAD_MAX_MS (2 * BACKOFF_MAX_MS)

enum {
	PUT,
	RUNNING,
	DUE,
	START,
	GET,
	DONE,
	RETRY,
	RECOVER,
	HASTEN,
	NEXT,
	PURGE,
	NEXT_ONES,
	LAST_ONES
};
/* States: 0 waiting, 1 running, 2 done, 3 failed. */
static const char *const texts[] = {
    [PUT] = "INSERT INTO jobs (kind, subject, priority, run_at_ms, updated_ms)"
	    " VALUES ($1, $2, $3, $4, $5)"
	    " ON CONFLICT (kind, subject) DO UPDATE SET priority = excluded.priority,"
	    " run_at_ms = CASE WHEN jobs.state = 0 AND jobs.run_at_ms < excluded.run_at_ms"
	    " THEN jobs.run_at_ms ELSE excluded.run_at_ms END,"
	    " attempts = CASE WHEN jobs.state = 0 THEN jobs.attempts ELSE 0 END,"
	    " state = 0, updated_ms = excluded.updated_ms WHERE jobs.state <> 1",
    [RUNNING] = "SELECT count(*) FROM jobs WHERE state = 1",
    [DUE] = "SELECT " COLUMNS " FROM jobs WHERE state = 0 AND run_at_ms <= $1"
	    " ORDER BY priority DESC, run_at_ms, id LIMIT 1",
    [START] = "UPDATE jobs SET state = 1, updated_ms = $2 WHERE id = $1 AND state = 0",
    [GET] = "SELECT " COLUMNS " FROM jobs WHERE id = $1",
    [DONE] = "UPDATE jobs SET state = $2, run_at_ms = $3, attempts = 0, last_error = '',"
	     " updated_ms = $4 WHERE id = $1 AND state = 1",
    [RETRY] = "UPDATE jobs SET state = $2, run_at_ms = $3, attempts = $4, last_error = $5,"
	      " updated_ms = $6 WHERE id = $1 AND state = 1",
    [RECOVER] = "UPDATE jobs SET state = 0, updated_ms = $1 WHERE state = 1",
    [HASTEN] = "UPDATE jobs SET run_at_ms = $1 WHERE state = 0 AND run_at_ms > $2",
    [NEXT] = "SELECT run_at_ms FROM jobs WHERE state = 0 ORDER BY run_at_ms LIMIT 1",
    /* what is done ran when it was last changed */
    [PURGE] =
	"DELETE FROM jobs WHERE id IN"
	" (SELECT id FROM jobs WHERE state = 2 AND run_at_ms < $1 ORDER BY run_at_ms LIMIT $2)",
    [NEXT_ONES] = "SELECT " COLUMNS " FROM jobs WHERE state = $1 AND (run_at_ms, id) > ($2, $3)"
		  " ORDER BY run_at_ms, id LIMIT $4",
    [LAST_ONES] = "SELECT " COLUMNS " FROM jobs WHERE state = $1 AND (run_at_ms, id) < ($2, $3)"
		  " ORDER BY run_at_ms DESC, id DESC LIMIT $4",
};
DB_SQL_LIST(job, texts);

static struct db_st *sql(struct db *d, size_t i)
{
	return db_sql(d, DB_NOUN_job, i);
}

const char *db_job_word(enum db_job_state s)
{
	static const char *const word[DB_JOB_STATES] = {"waiting", "running", "done", "failed"};

	return s < DB_JOB_STATES ? word[s] : "unknown";
}

int db_job_put(struct db *d, const char *kind, const uint8_t subject[16], int64_t priority,
    int64_t run_at_ms, int64_t now_ms)
{
	struct db_st *st = sql(d, PUT);

	if (strlen(kind) > DB_JOB_KIND_MAX)
		return KE_LONG;
	db_in_cstr(st, kind);
	db_in_id(st, subject);
	db_in_int(st, priority);
	db_in_int(st, run_at_ms);
	db_in_int(st, now_ms);
	return db_exec(st);
}

static void read_row(struct db_st *st, struct db_job *j)
{
	j->id = db_out_int(st);
	db_out_text(st, j->kind, sizeof j->kind);
	db_out_blob(st, j->subject, 16);
	j->priority = db_out_int(st);
	j->run_at_ms = db_out_int(st);
	j->attempts = db_out_int(st);
	j->state = (enum db_job_state)db_out_int(st);
	db_out_text(st, j->last_error, sizeof j->last_error);
	j->updated_ms = db_out_int(st);
}

static int read_one(struct db_st *st, struct db_job *j)
{
	int r = db_step(st);

	if (r)
		return r;
	read_row(st, j);
	return db_end(st);
}

static int start_next(struct db *d, int64_t now_ms, struct db_job *j)
{
	struct db_st *st = sql(d, DUE);

	db_in_int(st, now_ms);
	int r = read_one(st, j);
	if (r)
		return r;
	st = sql(d, START);
	db_in_int(st, j->id);
	db_in_int(st, now_ms);
	j->state = DB_JOB_RUNNING;
	j->updated_ms = now_ms;
	return db_exec_one(st);
}

int db_job_claim(struct db *d, int64_t now_ms, struct db_job *jobs, size_t max, size_t *n)
{
	int64_t running;

	*n = 0;
	int r = db_exec_int(sql(d, RUNNING), &running);
	if (r)
		return r;
	while (*n < max && running < DB_JOBS_AT_ONCE) {
		r = start_next(d, now_ms, &jobs[*n]);
		if (r)
			return r == KE_NOTFOUND ? KE_OK : r;
		++*n;
		running++;
	}
	return KE_OK;
}

int db_job_done(struct db *d, int64_t id, int64_t next_run_ms, int64_t now_ms)
{
	struct db_st *st = sql(d, DONE);

	db_in_int(st, id);
	db_in_int(st, next_run_ms ? DB_JOB_WAITING : DB_JOB_DONE);
	db_in_int(st, next_run_ms ? next_run_ms : now_ms);
	db_in_int(st, now_ms);
	int r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_STATE : r;
}

static int64_t backoff_ms(int64_t attempts)
{
	int64_t ms = attempts < 12 ? INT64_C(1000) << attempts : BACKOFF_MAX_MS;

	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}

int db_job_retry(struct db *d, int64_t id, const char *error, int64_t max_attempts, int64_t now_ms)
{
	struct db_st *st = sql(d, GET);
	struct db_job j;

	db_in_int(st, id);
	int r = read_one(st, &j);
	if (r)
		return r;
	j.attempts++;
	bool over = max_attempts && j.attempts >= max_attempts;
	st = sql(d, RETRY);
	db_in_int(st, id);
	db_in_int(st, over ? DB_JOB_FAILED : DB_JOB_WAITING);
	db_in_int(st, now_ms + (over ? 0 : backoff_ms(j.attempts)));
	db_in_int(st, j.attempts);
	db_in_text(st, error, strnlen(error, DB_JOB_ERROR_MAX));
	db_in_int(st, now_ms);
	r = db_exec_one(st);
	return r == KE_NOTFOUND ? KE_STATE : r;
}

int db_job_recover(struct db *d, int64_t now_ms, int64_t *n)
{
	struct db_st *st = sql(d, RECOVER);

	db_in_int(st, now_ms);
	return db_exec_many(st, n);
}

int db_job_hasten(struct db *d, int64_t now_ms, int64_t *n)
{
	struct db_st *st = sql(d, HASTEN);

	db_in_int(st, now_ms);
	db_in_int(st, now_ms + AHEAD_MAX_MS);
	return db_exec_many(st, n);
}

int db_job_next(struct db *d, int64_t *run_at_ms)
{
	return db_exec_int(sql(d, NEXT), run_at_ms);
}

int db_job_purge(struct db *d, int64_t before_ms, int64_t most, int64_t *n)
{
	struct db_st *st = sql(d, PURGE);

	db_in_int(st, before_ms);
	db_in_int(st, most);
	return db_exec_many(st, n);
}

struct rows {
	int (*each)(void *arg, const struct db_job *j);
	void *arg;
	int64_t left;
};

static int one_row(struct db_st *st, void *arg)
{
	struct rows *rs = arg;
	struct db_job j;

	rs->left--;
	read_row(st, &j);
	return rs->each(rs->arg, &j);
}

/* The list's parts, one after the other. */
static const struct part {
	enum db_job_state state;
	size_t which;
} parts[] = {{DB_JOB_RUNNING, NEXT_ONES}, {DB_JOB_WAITING, NEXT_ONES}, {DB_JOB_FAILED, LAST_ONES},
    {DB_JOB_DONE, LAST_ONES}};
#define PARTS (sizeof parts / sizeof parts[0])

/* after: NULL for the part's beginning */
static int list_part(
    struct db *d, const struct part *p, const struct db_job_at *after, struct rows *rs)
{
	struct db_st *st = sql(d, p->which);
	int64_t begin = p->which == NEXT_ONES ? INT64_MIN : INT64_MAX;

	db_in_int(st, p->state);
	db_in_int(st, after ? after->run_at_ms : begin);
	db_in_int(st, after ? after->id : begin);
	db_in_int(st, rs->left);
	return db_each(st, one_row, rs);
}

int db_job_list(struct db *d, const struct db_job_at *after, int64_t limit,
    int (*each)(void *arg, const struct db_job *j), void *arg)
{
	struct rows rs = {each, arg, limit};
	size_t i = 0;
	int r = KE_OK;

	while (after && i < PARTS && parts[i].state != after->state)
		i++;
	if (i == PARTS)
		return KE_RANGE;
	for (; !r && rs.left > 0 && i < PARTS; i++, after = NULL)
		r = list_part(d, &parts[i], after, &rs);
	return r;
}
