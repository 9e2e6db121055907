/*
 * Re-wrapping and re-sealing: see rewrap.h. Runs in engine.
 */
#include "daemon/engine/rewrap.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/keysfile.h"
#include "daemon/msg/log.h"
#include "policy/text.h"

#define HEAD     REWRAP_HEAD
#define BLOB_MAX 512 /* any of them, with its NUL */
#define SHORT_MS INT64_C(1000)
#define PAUSE_MS (INT64_C(60) * 1000)
#define LONG_MS  (INT64_C(3600) * 1000)

/* What each kind does in its own way. */
static const struct kind {
	enum key_purpose purpose;
	const char *words;
} kinds[REWRAP_KIND_COUNT] = {
#define X(name, purpose, words) [name] = {purpose, words},
    REWRAP_KINDS(X)
#undef X
};

enum key_purpose rewrap_purpose(enum rewrap_kind kind)
{
	return kinds[kind].purpose;
}

/* "klero:1:<class>:v000001:"; but for the database key a class is named as its key is. */
static void head_of(char head[HEAD], const char *class, uint64_t version)
{
	snprintf(head, HEAD, "klero:1:%s:v%06u:", class, (unsigned)(version % 1000000));
}

static bool active_head(struct engine *e, enum key_purpose p, const char *class, char head[HEAD])
{
	const struct anchor_key *k =
	    anchor_active(&e->quorum.anchor, p, (uint64_t)(turn_now_ms(e) / 1000));

	if (!e->quorum.known || k == NULL)
		return false;
	head_of(head, class, k->version);
	return true;
}

bool rewrap_active_head(struct engine *e, enum key_purpose p, char head[HEAD])
{
	return active_head(e, p, purpose_words[p], head);
}

void rewrap_start(struct engine *e)
{
	reseal_start(e);
	for (unsigned k = 0; k < REWRAP_KIND_COUNT; k++) {
		struct rewrap_work *w = &e->rewrap.work[k];

		w->pass++;
		w->due = true;
		w->progress = w->refused = false;
		w->skip = w->pause_ms = w->wait_until_ms = 0;
	}
	e->rewrap.dbkey = true;
}

/* --- what stands in rows --- */

static int store(struct engine *e, const struct rewrap_one *one, const char *blob)
{
	int r = turn_begin(e);

	if (r != KE_OK)
		return r;
	return one->kind == REWRAP_SEED ? db_raffle_set_seed(e->db, &one->v.seed, blob)
					: db_pool_set_key(e->db, &one->v.pool, blob);
}

static void failed(struct engine *e, const struct rewrap_one *one, int r)
{
	struct rewrap_work *w = &e->rewrap.work[one->kind];
	char id[37];

	w->skip += one->pass == w->pass;
	/* hsm is gone, or is going: the next one takes the value up again */
	if (r == KE_UNAVAIL)
		return;
	text_uuid(id, one->kind == REWRAP_SEED ? one->v.seed.id : one->v.pool.id);
	w->failed++;
	w->refused |= one->pass == w->pass;
	log_warn("%s cannot be wrapped anew: %s: %s", kinds[one->kind].words, id, ke_words(r));
}

static int wrapped(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct rewrap_one *one = (struct rewrap_one *)(void *)j;
	struct rewrap_work *w = &e->rewrap.work[one->kind];
	char blob[BLOB_MAX];

	if (in == NULL || r != KE_OK) {
		failed(e, one, in == NULL ? KE_UNAVAIL : r);
		return KE_OK;
	}
	wire_get_cstr(in, blob, sizeof blob);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = store(e, one, blob);
	if (r == KE_OK)
		w->done++;
	/* a seed may have been revealed meanwhile, or either was taken over before a restart */
	if (r == KE_OK || r == KE_STATE)
		w->progress = true;
	else
		failed(e, one, r);
	return KE_OK;
}

/* A free place; the caller asks for no more values than there are. */
static struct rewrap_one *place(struct engine *e, enum rewrap_kind kind)
{
	struct rewrap_one *one = e->rewrap.one;

	while (one->job.id != 0)
		one++;
	one->kind = kind;
	one->pass = e->rewrap.work[kind].pass;
	return one;
}

static int take_seed(void *arg, const struct db_seed *s)
{
	struct engine *e = arg;
	struct rewrap_one *one = place(e, REWRAP_SEED);

	one->v.seed = *s;
	return eng_hsm_rewrap_seed(e, &one->job, wrapped, s);
}

static int take_pool(void *arg, const struct db_pool *p)
{
	struct engine *e = arg;
	struct rewrap_one *one =
	    place(e, p->chain == PAYOUT_EVM ? REWRAP_DEPOSIT : REWRAP_DEPOSIT25519);

	one->v.pool = *p;
	return eng_hsm_rewrap_deposit(e, &one->job, wrapped, p);
}

static int ask_batch(struct engine *e, enum rewrap_kind kind, const char *head, int64_t skip)
{
	switch (kind) {
	case REWRAP_SEED:
		return db_raffle_old_seeds(e->db, head, REWRAP_BATCH, skip, take_seed, e);
	case REWRAP_DEPOSIT:
		return db_pool_old_keys(e->db, PAYOUT_EVM, head, REWRAP_BATCH, skip, take_pool, e);
	case REWRAP_DEPOSIT25519:
		return db_pool_old_keys(
		    e->db, PAYOUT_SOLANA, head, REWRAP_BATCH, skip, take_pool, e);
	case REWRAP_KIND_COUNT:
		break;
	}
	return KE_INTERNAL;
}

static bool waiting(const struct rewrap *w)
{
	for (size_t i = 0; i < REWRAP_BATCH; i++)
		if (w->one[i].job.id != 0)
			return true;
	return false;
}

static int64_t longer(int64_t pause_ms)
{
	int64_t twice = 2 * pause_ms;

	return twice < PAUSE_MS ? PAUSE_MS : twice < LONG_MS ? twice : LONG_MS;
}

/* All were tried: is that the end, is there another pass, and when? */
static void end_pass(struct rewrap_work *w)
{
	bool all = w->skip == 0;

	if (w->progress)
		w->pause_ms = 0;
	else if (!w->refused)
		w->pause_ms = SHORT_MS;
	else
		w->pause_ms = longer(w->pause_ms);
	w->due = !all;
	w->wait_until_ms = engine_clock_ms() + w->pause_ms;
	w->pass++;
	w->progress = w->refused = false;
	w->skip = 0;
}

/* A batch is asked for when the one before has come back. */
static int next(struct engine *e, enum rewrap_kind kind)
{
	struct rewrap_work *w = &e->rewrap.work[kind];
	enum key_purpose p = kinds[kind].purpose;
	char head[HEAD];
	int r;

	if (!w->due || engine_clock_ms() < w->wait_until_ms || !rewrap_active_head(e, p, head))
		return KE_OK;
	r = ask_batch(e, kind, head, w->skip);
	if (r == KE_OK && !waiting(&e->rewrap))
		end_pass(w);
	return r;
}

/* --- the database key --- */

static int dbkey_sealed(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	char sealed[512];

	(void)j;
	if (in == NULL || r != KE_OK) {
		log_warn("the database key cannot be sealed anew: %s", ke_words(r));
		return KE_OK;
	}
	wire_get_cstr(in, sealed, sizeof sealed);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (keysfile_write(e, sealed) == KE_OK)
		log_info("the database key is sealed anew");
	return KE_OK;
}

static int next_dbkey(struct engine *e)
{
	char head[HEAD];

	if (e->rewrap.dbkey_job.id != 0 || !active_head(e, KEY_MASTER, "db", head))
		return KE_OK;
	e->rewrap.dbkey = false;
	if (strncmp(e->sealed, head, strlen(head)) == 0)
		return KE_OK;
	return eng_hsm_reseal_dbkey(e, &e->rewrap.dbkey_job, dbkey_sealed);
}

/* --- both --- */

static bool anything(const struct rewrap *w)
{
	for (unsigned k = 0; k < REWRAP_KIND_COUNT; k++)
		if (w->work[k].due)
			return true;
	return w->dbkey;
}

void rewrap_tick(struct engine *e)
{
	int r;

	if (e->peers.hsm.chan == NULL || !anything(&e->rewrap))
		return;
	r = turn_begin(e);
	if (r == KE_OK && e->rewrap.dbkey)
		r = next_dbkey(e);
	for (unsigned k = 0; r == KE_OK && k < REWRAP_KIND_COUNT; k++)
		if (!waiting(&e->rewrap))
			r = next(e, k);
	if (r != KE_OK && r != KE_UNAVAIL && r != KE_FULL)
		log_warn("rotation cannot go on now: %s", ke_words(r));
}

/* A number that is kept may be wrong; that there is none must not be. */
static int count_credentials(struct engine *e, const char *head, int64_t *n)
{
	int r = db_user_count_head(e->db, head, n);

	if (r != KE_OK || *n != 0)
		return r;
	*n = db_user_has_head(e->db, head) == KE_OK;
	return KE_OK;
}

int rewrap_count(struct engine *e, const struct anchor_key *k, int64_t *n)
{
	char head[HEAD];

	*n = -1;
	head_of(head, k->purpose == KEY_MASTER ? "db" : purpose_words[k->purpose], k->version);
	switch (k->purpose) {
	case KEY_SEED:
		return db_raffle_count_seeds(e->db, head, n);
	case KEY_DATA:
		return count_credentials(e, head, n);
	case KEY_DEPOSIT:
		return db_pool_count_keys(e->db, PAYOUT_EVM, head, n);
	case KEY_DEPOSIT25519:
		return db_pool_count_keys(e->db, PAYOUT_SOLANA, head, n);
	case KEY_MASTER:
		*n = strncmp(e->sealed, head, strlen(head)) == 0;
		return KE_OK;
	default:
		return KE_OK;
	}
}
