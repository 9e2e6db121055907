/*
 * Proof bundles: see proof.h. Runs in engine. What is written is public.
 */
#include "daemon/engine/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf/durable.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/logkey.h"
#include "daemon/engine/proof2.h"
#include "daemon/engine/logread.h"
#include "daemon/msg/log.h"
#include "db/db_job.h"
#include "db/db_raffle.h"
#include "db/db_ticket.h"
#include "policy/bundle.h"
#include "policy/note.h"
#include "policy/text.h"

#define STEP_TICKETS 1000
#define AWAIT_MS     10000
#define NAME_MAX_LEN 64
#define PRIORITY     10

enum phase { PHASE_LEAVES, PHASE_SEEDS, PHASE_END };

struct proof_build {
	enum phase phase;
	struct db_raffle raffle;
	int fd;
	int64_t next; /* ticket */
	char *buf;    /* of one step */
	size_t len, cap;
	struct proof2 *v2; /* of a v2 raffle, and then all of its state */
};

void proof_start(struct engine *e, const char *store)
{
	char path[RCONF_PATH + 16];

	snprintf(path, sizeof path, "%s/proofs", store);
	if (mkdir(path, 0750) != 0 && errno != EEXIST)
		fatal("%s: %s", path, strerror(errno));
	e->proofs = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->proofs < 0)
		fatal("%s: %s", path, strerror(errno));
}

static const char *const suffixes[] = {[PROOF_BUNDLE] = ".json", [PROOF_WINNERS] = ".winners"};

/* suffix: "", or ".tmp" while it is written. */
static void file_name(
    char name[NAME_MAX_LEN], const uint8_t raffle[16], enum proof_file which, const char *suffix)
{
	char id[37];

	text_uuid(id, raffle);
	snprintf(name, NAME_MAX_LEN, "%s%s%s", id, suffixes[which], suffix);
}

int proof_order(struct engine *e, const uint8_t raffle[16], int64_t now_ms)
{
	int r = db_job_put(e->db, PROOF_JOB, raffle, PRIORITY, now_ms, now_ms);

	if (r == KE_OK)
		maint_kick(e);
	return r;
}

int proof_open(
    struct engine *e, const uint8_t raffle[16], enum proof_file which, int *fd, uint64_t *len)
{
	char name[NAME_MAX_LEN];
	struct stat st;

	file_name(name, raffle, which, "");
	*fd = openat(e->proofs, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd < 0)
		return errno == ENOENT ? KE_NOTFOUND : KE_IO;
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(*fd);
		return KE_IO;
	}
	*len = (uint64_t)st.st_size;
	return KE_OK;
}

int proof_await(struct rq *q, rq_step *step)
{
	return rq_await(q, "proof_ready", step, 0, AWAIT_MS);
}

/* Whoever waits for a proof looks whether it was theirs. */
static void wake(struct engine *e)
{
	uint64_t ids[JOBS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct job *j = e->jobs.place[i];

		if (j != NULL && j->answer == 0)
			ids[n++] = j->id;
	}
	for (unsigned i = 0; i < n; i++) {
		struct wire_in nothing;

		wire_in_init(&nothing, NULL, 0);
		if (job_answer(e, ids[i], 0, KE_OK, &nothing) != KE_OK)
			log_error("a request that waits for a proof broke");
	}
}

bool proof_lacks(const struct proof_build *b)
{
	return b->v2 != NULL && proof2_lacks(b->v2);
}

void proof_free(struct engine *e, struct proof_build *b)
{
	char name[NAME_MAX_LEN];

	if (b == NULL)
		return;
	if (b->fd >= 0) {
		close(b->fd);
		file_name(name, b->raffle.id, PROOF_BUNDLE, ".tmp");
		unlinkat(e->proofs, name, 0);
	}
	proof2_free(b->v2);
	free(b->buf);
	free(b);
}

/* --- writing --- */

static int flush(struct proof_build *b)
{
	size_t len = b->len;

	b->len = 0;
	return durable_write(b->fd, b->buf, len) ? KE_OK : KE_IO;
}

static int create(struct engine *e, const uint8_t raffle[16], enum proof_file which)
{
	char name[NAME_MAX_LEN];

	file_name(name, raffle, which, ".tmp");
	return openat(e->proofs, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
}

/* The file is whole: it gets its name, for good. */
static int publish(struct engine *e, const uint8_t raffle[16], enum proof_file which, int fd)
{
	char tmp[NAME_MAX_LEN], name[NAME_MAX_LEN];

	file_name(tmp, raffle, which, ".tmp");
	file_name(name, raffle, which, "");
	return fsync(fd) == 0 && renameat(e->proofs, tmp, e->proofs, name) == 0 &&
		       fsync(e->proofs) == 0
		   ? KE_OK
		   : KE_IO;
}

/* The file of many winners, which never changes. */
static int put_winners(struct engine *e, const struct proof_build *b)
{
	const uint8_t *raffle = b->raffle.id;
	const char *text;
	size_t n;
	int fd, r;

	text = proof2_winners(b->v2, &n);
	if (n == 0)
		return KE_OK;
	fd = create(e, raffle, PROOF_WINNERS);
	if (fd < 0)
		return KE_IO;
	r = durable_write(fd, text, n) ? publish(e, raffle, PROOF_WINNERS, fd) : KE_IO;
	close(fd);
	return r;
}

static int put_head(struct engine *e, struct proof_build *b)
{
	const struct db_raffle *r = &b->raffle;
	struct bundle_head h = {
	    .title = r->title, .winners = (uint32_t)r->winners, .reserves = (uint32_t)r->reserves};
	struct note_key k;
	char vkey[NOTE_VKEY_MAX], *note = malloc(DB_NOTE_MAX);
	int err;

	if (note == NULL)
		fatal("out of memory");
	err = db_raffle_note(e->db, r->id, note, DB_NOTE_MAX, &h.note_len);
	if (err == KE_OK)
		err = logkey_of(e, note, h.note_len, &k);
	if (err == KE_OK)
		err = note_vkey(k.name, k.type, k.pub, vkey, sizeof vkey);
	h.note = note;
	h.vkey = vkey;
	memcpy(h.raffle, r->id, sizeof h.raffle);
	if (err == KE_OK)
		err = bundle_put_head(&h, b->buf, b->cap, &b->len);
	free(note);
	return err;
}

static int put_leaf(void *arg, const struct db_ticket_row *row)
{
	struct proof_build *b = arg;
	uint8_t bytes[LEAF_LEN];

	logread_ticket(bytes, b->raffle.id, row);
	return bundle_put_leaf(bytes, b->next++ == 0, b->buf, b->cap, &b->len);
}

static int put_seed(void *arg, const struct db_ticket_row *row)
{
	struct proof_build *b = arg;

	return bundle_put_seed(
	    row->t.client_seed, row->t.client_seed_len, b->next++ == 0, b->buf, b->cap, &b->len);
}

static int begin(struct engine *e, const uint8_t raffle[16], struct proof_build **out)
{
	struct proof_build *b = calloc(1, sizeof *b);
	int r;

	if (b == NULL)
		fatal("out of memory");
	*out = b;
	b->fd = -1;
	b->cap = BUNDLE_HEAD_CAP(DB_NOTE_MAX) +
		 (size_t)STEP_TICKETS * BUNDLE_SEED_CAP(DB_CLIENT_SEED_MAX);
	r = db_raffle_get(e->db, raffle, &b->raffle);
	if (r == KE_OK && b->raffle.format == RAFFLE_V2)
		r = proof2_begin(e, &b->raffle, &b->v2);
	else if (r == KE_OK && b->raffle.state != RAFFLE_DRAWN)
		r = KE_STATE;
	if (r != KE_OK)
		return r;
	b->cap = b->v2 != NULL ? PROOF2_CAP : b->cap;
	b->buf = malloc(b->cap);
	if (b->buf == NULL)
		fatal("out of memory");
	b->fd = create(e, raffle, PROOF_BUNDLE);
	if (b->fd < 0)
		return KE_IO;
	return b->v2 != NULL ? put_winners(e, b) : put_head(e, b);
}

/* The same of a v2 raffle. */
static int piece2(struct engine *e, struct proof_build *b)
{
	int r = proof2_step(e, b->v2, b->buf, b->cap, &b->len);

	if (r == KE_OK)
		b->phase = PHASE_END;
	return r == KE_AGAIN ? KE_OK : r;
}

/* One step of the leaves or of the seeds; when all are there, what stands behind them. */
static int tickets(struct engine *e, struct proof_build *b)
{
	bool leaves = b->phase == PHASE_LEAVES;
	int64_t before = b->next;
	int r = db_ticket_range(
	    e->db, b->raffle.no, b->next, STEP_TICKETS, leaves ? put_leaf : put_seed, b);

	if (r != KE_OK)
		return r;
	if (b->next < b->raffle.sold)
		return b->next == before ? KE_DAMAGED : KE_OK;
	b->phase = leaves ? PHASE_SEEDS : PHASE_END;
	b->next = 0;
	return leaves ? bundle_put_middle(b->buf, b->cap, &b->len)
		      : bundle_put_tail(b->buf, b->cap, &b->len);
}

static int finish(struct engine *e, struct proof_build *b)
{
	if (publish(e, b->raffle.id, PROOF_BUNDLE, b->fd) != KE_OK)
		return KE_IO;
	close(b->fd);
	b->fd = -1; /* proof_free() has no half-written file to remove */
	wake(e);
	return KE_OK;
}

int proof_step(struct engine *e, const uint8_t raffle[16], struct proof_build **b)
{
	int r = *b == NULL ? begin(e, raffle, b) : KE_OK;

	if (r == KE_OK)
		r = (*b)->v2 != NULL ? piece2(e, *b) : tickets(e, *b);
	if (r == KE_OK)
		r = flush(*b);
	if (r != KE_OK)
		return r;
	return (*b)->phase == PHASE_END ? finish(e, *b) : KE_AGAIN;
}
