/*
 * Re-wrapping and re-sealing: see rewrap.h. Runs in engine.
 */
#include "daemon/engine/rewrap.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/keysfile.h"
#include "daemon/msg/log.h"

/* "klero:1:<class>:v000001:" */
static void head_of(char head[32], const char *class, uint64_t version)
{
	snprintf(head, 32, "klero:1:%s:v%06u:", class, (unsigned)(version % 1000000));
}

static bool active_head(struct engine *e, enum key_purpose p, const char *class, char head[32])
{
	const struct anchor_key *k =
	    anchor_active(&e->quorum.anchor, p, (uint64_t)(turn_now_ms(e) / 1000));

	if (!e->quorum.known || k == NULL)
		return false;
	head_of(head, class, k->version);
	return true;
}

void rewrap_start(struct engine *e)
{
	e->rewrap.seeds = true;
	e->rewrap.dbkey = true;
}

/* --- seeds --- */

static int seed_wrapped(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct rewrap_one *one = (struct rewrap_one *)(void *)j;
	char blob[DB_SEED_BLOB_MAX + 1];

	/* hsm is gone, or is going: the next one takes the seed up again */
	if (in == NULL || r == KE_UNAVAIL)
		return KE_OK;
	if (r != KE_OK) {
		e->rewrap.failed++;
		log_warn("a seed cannot be wrapped anew: %s", ke_words(r));
		return KE_OK;
	}
	wire_get_cstr(in, blob, sizeof blob);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = turn_begin(e);
	if (r == KE_OK)
		r = db_raffle_set_seed(e->db, &one->seed, blob);
	/* it may have been revealed meanwhile, or taken over before a restart */
	if (r == KE_OK)
		e->rewrap.done++;
	else if (r != KE_STATE)
		log_warn("a seed that was wrapped anew cannot be stored: %s", ke_words(r));
	return KE_OK;
}

static int take_seed(void *arg, const struct db_seed *s)
{
	struct engine *e = arg;

	for (size_t i = 0; i < REWRAP_BATCH; i++) {
		struct rewrap_one *one = &e->rewrap.one[i];

		if (one->job.id != 0)
			continue;
		one->seed = *s;
		return eng_hsm_rewrap_seed(e, &one->job, seed_wrapped, s);
	}
	return KE_OK;
}

static bool seeds_waiting(const struct rewrap *w)
{
	for (size_t i = 0; i < REWRAP_BATCH; i++)
		if (w->one[i].job.id != 0)
			return true;
	return false;
}

/* A batch is asked for when the one before has come back. */
static int next_seeds(struct engine *e)
{
	uint64_t before = e->rewrap.failed;
	char head[32];
	int r;

	if (seeds_waiting(&e->rewrap))
		return KE_OK;
	if (!active_head(e, KEY_SEED, "seed", head))
		return KE_OK;
	r = db_raffle_old_seeds(e->db, head, REWRAP_BATCH, take_seed, e);
	/* nothing left, or nothing that can be done now: the next anchor starts it again */
	if (r == KE_OK && (!seeds_waiting(&e->rewrap) || before > 10 * REWRAP_BATCH))
		e->rewrap.seeds = false;
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
	char head[32];

	if (e->rewrap.dbkey_job.id != 0 || !active_head(e, KEY_MASTER, "db", head))
		return KE_OK;
	e->rewrap.dbkey = false;
	if (strncmp(e->sealed, head, strlen(head)) == 0)
		return KE_OK;
	return eng_hsm_reseal_dbkey(e, &e->rewrap.dbkey_job, dbkey_sealed);
}

void rewrap_tick(struct engine *e)
{
	int r = KE_OK;

	if (e->peers.hsm.chan == NULL || (!e->rewrap.seeds && !e->rewrap.dbkey))
		return;
	r = turn_begin(e);
	if (r == KE_OK && e->rewrap.dbkey)
		r = next_dbkey(e);
	if (r == KE_OK && e->rewrap.seeds)
		r = next_seeds(e);
	if (r != KE_OK && r != KE_UNAVAIL && r != KE_FULL)
		log_warn("rotation cannot go on now: %s", ke_words(r));
}

int rewrap_count(struct engine *e, const struct anchor_key *k, int64_t *n)
{
	char head[32];

	*n = -1;
	if (k->purpose == KEY_SEED) {
		head_of(head, "seed", k->version);
		return db_raffle_count_seeds(e->db, head, n);
	}
	if (k->purpose == KEY_MASTER) {
		head_of(head, "db", k->version);
		*n = strncmp(e->sealed, head, strlen(head)) == 0;
	}
	return KE_OK;
}
