/*
 * The stubs of hsm: see hsm.h. Runs in engine.
 */
#include "daemon/engine/hsm.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/logkey.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "db/db_pool.h"
#include "db/db_raffle.h"
#include "hsm/role/exit.h"
#include "policy/payout.h"

#define HSM_TIMEOUT_MS 8000 /* one question */
#define QUESTION_MAX   2048
#define APPROVED_MAX   (PROPOSAL_TEXT_MAX + RCONF_KEYADM_APPROVALS + QUESTION_MAX)
#define KEYS_MS        10000 /* how late engine may learn that a published key signs */

static bool same_tokens(const struct token_keys *a, const struct token_keys *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->key[i].version != b->key[i].version ||
		    memcmp(a->key[i].point, b->key[i].point, TOKEN_POINT) != 0)
			return false;
	return true;
}

static void free_tokens(struct token_keys *t)
{
	for (size_t i = 0; i < t->n; i++)
		token_key_free(&t->key[i]);
	t->n = 0;
}

static int get_tokens(struct wire_in *in, struct token_keys *t)
{
	uint8_t n = wire_get_u8(in);

	if (n == 0 || n > TOKEN_KEYS_MAX)
		return KE_PEER;
	while (t->n < n) {
		uint32_t version = wire_get_u32(in);
		const uint8_t *point = wire_get_view(in, TOKEN_POINT);

		if (point == NULL || token_key_set(&t->key[t->n], version, point) != KE_OK)
			return KE_PEER;
		t->n++;
	}
	return wire_end(in);
}

/* What was verified under another set of keys is not known to be good under this one. */
static void take_tokens(struct engine *e, struct token_keys *fresh)
{
	struct token_keys *own = &e->hsm.tokens;

	if (same_tokens(own, fresh)) {
		free_tokens(fresh);
		return;
	}
	free_tokens(own);
	*own = *fresh;
	tokcache_drop_all(e->tokens);
	turn_dirty(e, CACHE_KEYS);
}

/* Public keys, as they come at start, with every fresh hsm, and now and then. */
int hsm_take_keys(struct engine *e, struct wire_in *in)
{
	struct hsm *h = &e->hsm;
	struct token_keys fresh = {.n = 0};
	uint8_t digest = wire_get_u8(in);
	uint32_t log_version = wire_get_u32(in);
	enum note_type type = (enum note_type)wire_get_u8(in);
	size_t n = note_pub_len(type);
	const uint8_t *log = wire_get_view(in, n);

	if (get_tokens(in, &fresh) != KE_OK || n == 0) {
		free_tokens(&fresh);
		return KE_PEER;
	}
	take_tokens(e, &fresh);
	h->log_version = log_version;
	h->log.type = type;
	memcpy(h->log.pub, log, n);
	memcpy(h->log.name, e->log_name, strlen(e->log_name) + 1);
	note_key_id(h->log.id, h->log.name, type, h->log.pub);
	h->has_digest_key = digest != 0;
	h->asked_ms = engine_clock_ms();
	return KE_OK;
}

void hsm_lost(int r)
{
	log_error("hsm does not answer: %s; see its own lines above", ke_words(r));
	_exit(HSM_EXIT_LOST);
}

void hsm_take_dbkey(int r, struct wire_in *in, uint8_t dbkey[32])
{
	if (in == NULL || r == KE_UNAVAIL)
		hsm_lost(r);
	if (r != KE_OK)
		fatal("the database key in klero.keys does not open (%s): it belongs to another "
		      "token, or the file is damaged; restore klero.keys and token together",
		    ke_words(r));
	wire_get_raw(in, dbkey, 32);
	if (wire_end(in) != KE_OK)
		fatal("hsm's database key does not fit");
}

static void ask(struct engine *e, uint64_t id, uint16_t type, const struct wire_out *w)
{
	struct turn_out *o;

	if (w->err != KE_OK)
		fatal("a question to hsm does not fit: %s", ke_words(w->err));
	o = turn_out_new(TURN_HSM, w->len);
	memcpy(o->body, w->buf, w->len);
	o->type = type;
	o->id = id;
	metrics_count(&e->metrics, METRIC_HSM_CALLS);
	turn_send(e, o);
}

/* A question of engine's own: the job waits, the question leaves with this turn. */
int hsm_ask_own(struct engine *e, struct job *j, const char *name, job_step *step, uint16_t type,
    const struct wire_out *w)
{
	int r;

	if (e->peers.hsm.chan == NULL)
		return KE_UNAVAIL;
	r = job_await(e, j, name, step, (uint16_t)(type + 1), HSM_TIMEOUT_MS);
	if (r == KE_OK)
		ask(e, j->id, type, w);
	return r;
}

static int keys_known(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	(void)j;
	if (in == NULL || r != KE_OK) {
		log_warn("hsm does not tell its public keys: %s", ke_words(r));
		return KE_OK;
	}
	e->hsm.known = e->peers.hsm.serial;
	r = hsm_take_keys(e, in);
	if (e->db == NULL) {
		opening_step(e);
		return r;
	}
	if (r == KE_OK && logkey_keep(e) != KE_OK)
		log_warn("the log key cannot be written down now");
	return r;
}

void hsm_tick(struct engine *e)
{
	bool known =
	    e->hsm.known == e->peers.hsm.serial && engine_clock_ms() < e->hsm.asked_ms + KEYS_MS;
	struct wire_out w;
	uint8_t nothing[1];

	if (known || e->hsm.job.id != 0)
		return;
	wire_out_init(&w, nothing, 0);
	/* where it cannot be asked now, the next tick tries again */
	(void)!hsm_ask_own(e, &e->hsm.job, "hsm_keys", keys_known, MSG_HSM_KEYS, &w);
}

static bool waits_on(const struct job *j, uint64_t chan)
{
	return j->chan == chan;
}

void hsm_gone(struct engine *e, uint64_t chan)
{
	job_fail_all(e, waits_on, chan, KE_UNAVAIL);
}

/* Answers that are no trouble: somebody's refresh token is none of ours; hsm has signed more of a
 * log than was written down before the engine of that time died, and says from where to go on; it
 * has cosigned more, or less, of a stranger's than he thinks, and says how much. */
static bool is_usual(uint16_t type, int r)
{
	bool tells_size = type == MSG_HSM_SIGN_CHECKPOINT_ANS || type == MSG_HSM_COSIGN_ANS;

	return r == KE_OK || type == MSG_HSM_REFRESH_ANS || (tells_size && r == KE_STATE);
}

int hsm_answer(struct engine *e, const struct msg *m)
{
	struct wire_in in;
	int r;

	wire_in_init(&in, m->body, m->len);
	r = wire_get_i32(&in);
	if (!is_usual(m->type, r)) {
		metrics_count(&e->metrics, METRIC_HSM_ERRORS);
		log_warn("hsm: %s: %s", msg_rule(m->type)->name, ke_words(r));
	}
	return job_answer(e, m->id, m->type, r, &in);
}

/* The request waits, the question leaves with this turn. */
int hsm_await(struct rq *q, const char *name, rq_step *step, uint16_t type, struct wire_out *w)
{
	int r;

	if (q->e->peers.hsm.chan == NULL)
		return KE_UNAVAIL;
	r = rq_await(q, name, step, (uint16_t)(type + 1), HSM_TIMEOUT_MS);
	if (r == RQ_WAIT)
		ask(q->e, q->job.id, type, w);
	sodium_memzero(w->buf, w->len);
	return r;
}

int eng_hsm_session(struct rq *q, const char *name, rq_step *step, const uint8_t user[16],
    const uint8_t family[16], uint8_t roles, uint32_t generation)
{
	uint8_t buf[64];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, user, 16);
	wire_put_raw(&w, family, 16);
	wire_put_u8(&w, roles);
	wire_put_u32(&w, generation);
	wire_put_u64(&w, (uint64_t)(q->now_ms / 1000));
	return hsm_await(q, name, step, MSG_HSM_SESSION, &w);
}

int eng_hsm_refresh(struct rq *q, const char *name, rq_step *step, const uint8_t *token, size_t n)
{
	uint8_t buf[512];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_str(&w, token, n);
	return hsm_await(q, name, step, MSG_HSM_REFRESH, &w);
}

int eng_hsm_holder(struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16],
    const uint8_t holder_hash[32])
{
	uint8_t buf[64];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, raffle, 16);
	wire_put_raw(&w, holder_hash, 32);
	return hsm_await(q, name, step, MSG_HSM_HOLDER, &w);
}

int eng_hsm_new_seed(struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16])
{
	uint8_t buf[16];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, raffle, 16);
	return hsm_await(q, name, step, MSG_HSM_NEW_SEED, &w);
}

/* Before what officers must approve stands what they said of it. */
static void put_approvals(struct wire_out *w, const char *proposal, const char *approvals)
{
	wire_put_cstr(w, proposal);
	wire_put_cstr(w, approvals);
}

static void put_draw(struct wire_out *w, const struct record1 *rec, const char *seed_blob)
{
	wire_put_raw(w, rec->raffle, 16);
	wire_put_raw(w, rec->seed_commit, 32);
	wire_put_u64(w, rec->tickets);
	wire_put_raw(w, rec->root, 32);
	wire_put_raw(w, rec->aggregate, 32);
	wire_put_str(w, rec->entropy, rec->entropy_len);
	wire_put_cstr(w, seed_blob);
}

int eng_hsm_reveal_seed(
    struct rq *q, const char *name, rq_step *step, const struct record1 *rec, const char *seed_blob)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_draw(&w, rec, seed_blob);
	return hsm_await(q, name, step, MSG_HSM_REVEAL_SEED, &w);
}

int eng_hsm_reveal_approved(struct rq *q, const char *name, rq_step *step,
    const struct record1 *rec, const char *seed_blob, const char *proposal, const char *approvals)
{
	uint8_t buf[APPROVED_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_approvals(&w, proposal, approvals);
	put_draw(&w, rec, seed_blob);
	return hsm_await(q, name, step, MSG_HSM_REVEAL_APPROVED, &w);
}

int eng_hsm_sign_draw1(struct rq *q, const char *name, rq_step *step, const struct record1 *rec)
{
	uint8_t *buf = sodium_malloc(MSG_BODY_MAX);
	struct wire_out w;
	size_t n = 0;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	wire_put_cstr(&w, q->e->log_name);
	r = w.err != KE_OK ? w.err : record1_wire(rec, buf + w.len, MSG_BODY_MAX - w.len, &n);
	w.len += n;
	if (r == KE_OK)
		r = hsm_await(q, name, step, MSG_HSM_SIGN_DRAW1, &w);
	sodium_free(buf);
	return r;
}

static void put_credential(
    struct wire_out *w, uint8_t *buf, size_t cap, const uint8_t user[16], const char *text)
{
	wire_out_init(w, buf, cap);
	wire_put_raw(w, user, 16);
	wire_put_cstr(w, text);
}

int eng_hsm_open_credential(
    struct rq *q, const char *name, rq_step *step, const uint8_t user[16], const char *credential)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	put_credential(&w, buf, sizeof buf, user, credential);
	return hsm_await(q, name, step, MSG_HSM_OPEN_CREDENTIAL, &w);
}

int rq_hsm_seal_credential(
    struct rq *q, const char *name, rq_step *step, const uint8_t user[16], const char *phc)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	put_credential(&w, buf, sizeof buf, user, phc);
	return hsm_await(q, name, step, MSG_HSM_SEAL_CREDENTIAL, &w);
}

int eng_hsm_seal_credential(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t user[16], const char *phc)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;
	int r;

	put_credential(&w, buf, sizeof buf, user, phc);
	r = hsm_ask_own(e, j, name, step, MSG_HSM_SEAL_CREDENTIAL, &w);
	sodium_memzero(buf, sizeof buf);
	return r;
}

int eng_hsm_raise(
    struct engine *e, struct job *j, job_step *step, enum key_purpose p, uint32_t version)
{
	uint8_t buf[8];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_u8(&w, (uint8_t)p);
	wire_put_u32(&w, version);
	return hsm_ask_own(e, j, "raise", step, MSG_HSM_RAISE, &w);
}

int eng_hsm_reseal_credentials(
    struct engine *e, struct job *j, job_step *step, uint16_t n, const uint8_t *items, size_t len)
{
	uint8_t *buf = malloc(MSG_BODY_MAX);
	struct wire_out w;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	wire_put_u16(&w, n);
	wire_put_raw(&w, items, len);
	r = hsm_ask_own(e, j, "reseal", step, MSG_HSM_RESEAL_CREDENTIALS, &w);
	free(buf);
	return r;
}

int eng_hsm_anchor(struct engine *e, struct job *j, job_step *step)
{
	uint8_t nothing[1];
	struct wire_out w;

	wire_out_init(&w, nothing, 0);
	return hsm_ask_own(e, j, "anchor", step, MSG_HSM_ANCHOR, &w);
}

int eng_hsm_rewrap_seed(struct engine *e, struct job *j, job_step *step, const struct db_seed *s)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, s->id, 16);
	wire_put_raw(&w, s->commit1, 32);
	wire_put_cstr(&w, s->blob);
	return hsm_ask_own(e, j, "rewrap_seed", step, MSG_HSM_REWRAP_SEED, &w);
}

static int ask_dbkey(
    struct engine *e, struct job *j, const char *name, job_step *step, uint16_t type)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_cstr(&w, e->sealed);
	wire_put_raw(&w, e->appliance, 16);
	return hsm_ask_own(e, j, name, step, type, &w);
}

int eng_hsm_open_dbkey(struct engine *e, struct job *j, job_step *step)
{
	return ask_dbkey(e, j, "open_dbkey", step, MSG_HSM_OPEN_DBKEY);
}

int eng_hsm_reseal_dbkey(struct engine *e, struct job *j, job_step *step)
{
	return ask_dbkey(e, j, "reseal_dbkey", step, MSG_HSM_RESEAL_DBKEY);
}

int eng_hsm_sign_backup(struct engine *e, struct job *j, job_step *step, const void *text, size_t n)
{
	uint8_t buf[BACKUP_TEXT_MAX + 2];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_str(&w, text, n);
	return hsm_ask_own(e, j, "sign_backup", step, MSG_HSM_SIGN_BACKUP, &w);
}

int eng_hsm_sign_checkpoint(
    struct engine *e, struct job *j, job_step *step, const struct ckpt_question *q)
{
	uint8_t *buf = malloc(MSG_BODY_MAX);
	struct wire_out w;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	wire_put_u8(&w, q->name.oplog);
	wire_put_raw(&w, q->name.raffle, 16);
	wire_put_u64(&w, q->head->size);
	wire_put_raw(&w, q->head->root, 32);
	wire_put_u64(&w, q->from);
	wire_put_u8(&w, (uint8_t)q->n);
	wire_put_raw(&w, q->proof, q->n * 32);
	wire_put_str(&w, q->note, q->note_len);
	r = hsm_ask_own(e, j, "sign_checkpoint", step, MSG_HSM_SIGN_CHECKPOINT, &w);
	free(buf);
	return r;
}

/* --- deposit keys --- */

int eng_hsm_new_deposit(
    struct rq *q, const char *name, rq_step *step, const uint8_t pool[16], uint8_t kind)
{
	uint8_t buf[17];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, pool, 16);
	wire_put_u8(&w, kind);
	return hsm_await(q, name, step, MSG_HSM_NEW_DEPOSIT, &w);
}

/* Which key, as each question about one begins. */
static void put_key(struct wire_out *w, const struct db_pool *pool)
{
	wire_put_raw(w, pool->id, 16);
	wire_put_u8(w, (uint8_t)pool->public_len);
	wire_put_raw(w, pool->public_key, pool->public_len);
	wire_put_cstr(w, pool->key);
}

static void put_payout(struct wire_out *w, const struct db_pool *pool, const struct payout *p)
{
	uint8_t fields[PAYOUT_WIRE_MAX];
	size_t n = 0;

	put_key(w, pool);
	if (payout_put(p, fields, sizeof fields, &n) != KE_OK)
		fatal("a payout that was checked is none");
	wire_put_raw(w, fields, n);
}

int eng_hsm_sign_payout(struct rq *q, const char *name, rq_step *step, const struct db_pool *pool,
    const struct payout *p)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_payout(&w, pool, p);
	return hsm_await(q, name, step, MSG_HSM_SIGN_PAYOUT, &w);
}

int eng_hsm_sign_payout_again(struct engine *e, struct job *j, job_step *step,
    const struct db_pool *pool, const struct payout *p)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_payout(&w, pool, p);
	return hsm_ask_own(e, j, "sign_payout_again", step, MSG_HSM_SIGN_PAYOUT, &w);
}

int eng_hsm_sign_approved(struct engine *e, struct job *j, job_step *step,
    const struct db_pool *pool, const struct payout *p, const char *proposal, const char *approvals)
{
	uint8_t buf[APPROVED_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_approvals(&w, proposal, approvals);
	put_payout(&w, pool, p);
	return hsm_ask_own(e, j, "sign_approved", step, MSG_HSM_SIGN_APPROVED, &w);
}

int eng_hsm_rewrap_deposit(
    struct engine *e, struct job *j, job_step *step, const struct db_pool *pool)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	put_key(&w, pool);
	return hsm_ask_own(e, j, "rewrap_deposit", step, MSG_HSM_REWRAP_DEPOSIT, &w);
}

int eng_hsm_import_key(struct engine *e, struct job *j, job_step *step)
{
	uint8_t nothing[1];
	struct wire_out w;

	wire_out_init(&w, nothing, 0);
	return hsm_ask_own(e, j, "import_key", step, MSG_HSM_IMPORT_KEY, &w);
}

int eng_hsm_import_deposit(struct engine *e, struct job *j, job_step *step, const uint8_t pool[16],
    uint8_t kind, uint8_t layout, const uint8_t box[80], const uint8_t *value, size_t n)
{
	uint8_t buf[QUESTION_MAX];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, pool, 16);
	wire_put_u8(&w, kind);
	wire_put_u8(&w, layout);
	wire_put_raw(&w, box, 80);
	wire_put_str(&w, value, n);
	return hsm_ask_own(e, j, "import_deposit", step, MSG_HSM_IMPORT_DEPOSIT, &w);
}
