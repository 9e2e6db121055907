/*
 * Jobs: see job.h. Runs in engine.
 */
#include "daemon/engine/job.h"

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"

/* An id is serial × JOBS_MAX + place: never 0, never the same twice. */
static struct job *find(const struct engine *e, uint64_t id)
{
	struct job *j = e->jobs.place[id % JOBS_MAX];

	return j != NULL && j->id == id ? j : NULL;
}

int job_await(struct engine *e, struct job *j, const char *name, job_step *step, uint16_t answer,
    int64_t timeout_ms)
{
	struct jobs *jobs = &e->jobs;
	unsigned place;

	if (j->id != 0)
		fatal("step %s awaits twice", name);
	if (jobs->waiting == JOBS_MAX) {
		jobs->refused++;
		return KE_FULL;
	}
	/* the serial number moves on, so the search begins where a place is likely free */
	place = (unsigned)(++jobs->serial % JOBS_MAX);
	while (jobs->place[place] != NULL)
		place = (place + 1) % JOBS_MAX;
	jobs->place[place] = j;
	jobs->waiting++;
	j->id = jobs->serial * JOBS_MAX + place;
	j->name = name;
	j->step = step;
	j->answer = answer;
	j->deadline_ms = engine_clock_ms() + timeout_ms;
	j->turn = e->turn.number;
	j->chan = 0;
	return KE_OK;
}

void job_sent(struct engine *e, uint64_t id, uint64_t chan)
{
	struct job *j = find(e, id);

	if (j != NULL)
		j->chan = chan;
}

bool job_waits_on(const struct engine *e, uint64_t chan)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (e->jobs.place[i] != NULL && e->jobs.place[i]->chan == chan)
			return true;
	return false;
}

bool job_waits(const struct engine *e, uint64_t id)
{
	return find(e, id) != NULL;
}

void job_cancel(struct engine *e, struct job *j)
{
	if (j->id == 0)
		return;
	e->jobs.place[j->id % JOBS_MAX] = NULL;
	e->jobs.waiting--;
	j->id = 0;
}

int job_answer(struct engine *e, uint64_t id, uint16_t type, int r, struct wire_in *in)
{
	struct job *j = find(e, id);

	/* its deadline passed, or its client is gone: that is no fault of the peer's */
	if (j == NULL)
		return id != 0 && id / JOBS_MAX <= e->jobs.serial ? KE_OK : KE_PEER;
	if (j->answer != type)
		return KE_PEER;
	job_cancel(e, j);
	return j->step(e, j, r, in);
}

static void fail(struct engine *e, struct job *j, int r)
{
	const char *name = j->name; /* the step frees the job */

	job_cancel(e, j);
	if (j->step(e, j, r, NULL) != KE_OK)
		fatal("step %s: a failure cannot fail", name);
}

void job_fail(struct engine *e, uint64_t id, int r)
{
	struct job *j = find(e, id);

	if (j != NULL)
		fail(e, j, r);
}

void job_fail_all(
    struct engine *e, bool (*which)(const struct job *j, uint64_t arg), uint64_t arg, int r)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct job *j = e->jobs.place[i];

		if (j != NULL && which(j, arg))
			fail(e, j, r);
	}
}

static bool is_late(const struct job *j, uint64_t now_ms)
{
	return j->deadline_ms <= (int64_t)now_ms;
}

void job_expire(struct engine *e, int64_t now_ms)
{
	unsigned before = e->jobs.waiting;

	if (before == 0)
		return;
	job_fail_all(e, is_late, (uint64_t)now_ms, KE_TIMEOUT);
	if (e->jobs.waiting < before)
		e->jobs.timeouts += before - e->jobs.waiting;
}
