/*
 * Background work: one row per kind and subject. At most DB_JOBS_AT_ONCE run at a time.
 */
#ifndef DB_DB_JOB_H
#define DB_DB_JOB_H

#include "db/db.h"

#define DB_JOB_KIND_MAX  31
#define DB_JOB_ERROR_MAX 200
#define DB_JOBS_AT_ONCE  5

/* numbers are part of the store's format; words in db_job_word() */
enum db_job_state { DB_JOB_WAITING, DB_JOB_RUNNING, DB_JOB_DONE, DB_JOB_FAILED, DB_JOB_STATES };

struct db_job {
	int64_t id;
	char kind[DB_JOB_KIND_MAX + 1];
	uint8_t subject[16]; /* zeroes: the appliance itself */
	int64_t priority;    /* larger first */
	int64_t run_at_ms;
	int64_t attempts; /* failed ones since the last success */
	enum db_job_state state;
	char last_error[DB_JOB_ERROR_MAX + 1];
	int64_t updated_ms;
};

const char *db_job_word(enum db_job_state s);
/*
 * Makes sure that the job is waiting and due at run_at_ms or before: makes the row, revives a done
 * or failed one, or moves a waiting one earlier. A running one stays as it is.
 */
int db_job_put(struct db *d, const char *kind, const uint8_t subject[16], int64_t priority,
    int64_t run_at_ms, int64_t now_ms) KE_CHECK;
/*
 * Takes due jobs: by priority, then run_at; they become running. *n ≤ max, and never more than
 * DB_JOBS_AT_ONCE run in all.
 */
int db_job_claim(struct db *d, int64_t now_ms, struct db_job *jobs, size_t max, size_t *n) KE_CHECK;
/* next_run_ms 0: done for good; otherwise waiting again. KE_STATE when it is not running. */
int db_job_done(struct db *d, int64_t id, int64_t next_run_ms, int64_t now_ms) KE_CHECK;
/*
 * It failed: waits 2^attempts seconds (at most an hour) and comes again; after max_attempts
 * (0: never) it is failed for good.
 */
int db_job_retry(
    struct db *d, int64_t id, const char *error, int64_t max_attempts, int64_t now_ms) KE_CHECK;
/* At start: what was running when the engine died is waiting again. */
int db_job_recover(struct db *d, int64_t now_ms, int64_t *n) KE_CHECK;
/*
 * What waits for longer than any job is put off for was put off by a clock that was wrong: it is
 * due now. At start and when the clock was set.
 */
int db_job_hasten(struct db *d, int64_t now_ms, int64_t *n) KE_CHECK;
/* When the next waiting job is due; KE_NOTFOUND. */
int db_job_next(struct db *d, int64_t *run_at_ms) KE_CHECK;
/* Deletes at most `most` that were done before before_ms. */
int db_job_purge(struct db *d, int64_t before_ms, int64_t most, int64_t *n) KE_CHECK;
/* A place in the list of all. */
struct db_job_at {
	enum db_job_state state;
	int64_t run_at_ms, id;
};
/*
 * Running ones, then waiting ones (the next first), failed and done ones (the last first): those
 * behind *after, NULL for the first page. What changes its state between two pages may come twice
 * or not at all. KE_RANGE: *after names no state.
 */
int db_job_list(struct db *d, const struct db_job_at *after, int64_t limit,
    int (*each)(void *arg, const struct db_job *j), void *arg) KE_CHECK;

#endif
