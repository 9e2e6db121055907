/*
 * The queue in front of kdf: see kdf.h. Runs in engine.
 */
#include "daemon/engine/kdf.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"

void kdf_init(struct engine *e)
{
	STAILQ_INIT(&e->kdf.queue);
}

static void ask_free(struct kdf_ask *a)
{
	sodium_free(a->body); /* wipes */
	free(a);
}

static int enqueue(struct engine *e, struct job *j, const char *name, job_step *step, uint16_t type,
    const struct wire_out *w)
{
	struct kdf_ask *a;
	int r;

	if (e->kdf.queued >= e->conf.kdf_queue) {
		metrics_count(&e->metrics, METRIC_KDF_REFUSED);
		return KE_FULL;
	}
	if (w->err != KE_OK)
		return w->err;
	r = job_await(e, j, name, step, (uint16_t)(type + 1), KDF_TIMEOUT_MS);
	if (r != KE_OK)
		return r;
	a = calloc(1, sizeof *a);
	if (a == NULL || (a->body = sodium_malloc(w->len)) == NULL)
		fatal("out of memory");
	memcpy(a->body, w->buf, w->len);
	a->len = w->len;
	a->type = type;
	a->job = j->id;
	STAILQ_INSERT_TAIL(&e->kdf.queue, a, link);
	e->kdf.queued++;
	metrics_count(&e->metrics, METRIC_KDF_CALLS);
	return KE_OK;
}

int eng_kdf_hash(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t *password, size_t n)
{
	uint8_t buf[1280];
	struct wire_out w;
	int r;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_str(&w, password, n);
	r = enqueue(e, j, name, step, MSG_KDF_HASH, &w);
	sodium_memzero(buf, sizeof buf);
	return r;
}

int eng_kdf_verify(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t *password, size_t n, const char *phc)
{
	uint8_t buf[1280];
	struct wire_out w;
	int r;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_str(&w, password, n);
	wire_put_cstr(&w, phc);
	r = enqueue(e, j, name, step, MSG_KDF_VERIFY, &w);
	sodium_memzero(buf, sizeof buf);
	return r;
}

/* The next password that somebody still waits for. */
static struct kdf_ask *next(struct engine *e)
{
	struct kdf_ask *a;

	while ((a = STAILQ_FIRST(&e->kdf.queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&e->kdf.queue, link);
		e->kdf.queued--;
		if (job_waits(e, a->job))
			return a;
		ask_free(a);
	}
	return NULL;
}

void kdf_pump(struct engine *e)
{
	for (unsigned i = 0; i < PEERS_KDFS; i++) {
		struct chan *c = e->peers.kdf[i].chan;
		struct kdf_ask *a;

		if (c == NULL || e->kdf.busy[i] != 0)
			continue;
		a = next(e);
		if (a == NULL)
			return;
		e->kdf.busy[i] = a->job;
		if (chan_send(c, a->type, a->job, a->body, a->len, -1) != KE_OK) {
			e->kdf.busy[i] = 0;
			job_fail(e, a->job, KE_UNAVAIL);
		}
		ask_free(a);
	}
}

int kdf_phc(struct wire_in *in, char phc[KDF_PHC_MAX + 1])
{
	static const char prefix[] = "$argon2id$";

	wire_get_cstr(in, phc, KDF_PHC_MAX + 1);
	if (wire_end(in) == KE_OK && strncmp(phc, prefix, sizeof prefix - 1) == 0)
		return KE_OK;
	phc[0] = '\0';
	return KE_PEER;
}

/* A password that nobody has, so that an unknown account costs what a known one costs. */
static int dummy_sealed(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	(void)j;
	if (in == NULL || r != KE_OK)
		return KE_OK; /* hsm's trouble is told elsewhere: the next tick tries again */
	wire_get_cstr(in, e->kdf.dummy, sizeof e->kdf.dummy);
	e->kdf.renew = false;
	return wire_end(in);
}

static int dummy_made(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	char phc[KDF_PHC_MAX + 1];

	if (in == NULL || r != KE_OK) {
		log_warn("kdf makes no dummy: %s", ke_words(r));
		return KE_OK;
	}
	r = kdf_phc(in, phc);
	if (r != KE_OK)
		return r;
	randombytes_buf(e->kdf.dummy_user, sizeof e->kdf.dummy_user);
	(void)!eng_hsm_seal_credential(e, j, "dummy_sealed", dummy_sealed, e->kdf.dummy_user, phc);
	sodium_memzero(phc, sizeof phc);
	/* from here on the one of before belongs to another nobody */
	e->kdf.dummy[0] = '\0';
	return KE_OK;
}

void kdf_tick(struct engine *e)
{
	uint8_t password[32];
	int r;

	if ((e->kdf.dummy[0] != '\0' && !e->kdf.renew) || e->kdf.job.id != 0 ||
	    peers_kdfs(e) == 0 || e->peers.hsm.chan == NULL)
		return;
	randombytes_buf(password, sizeof password);
	r = eng_kdf_hash(e, &e->kdf.job, "kdf_dummy", dummy_made, password, sizeof password);
	/* in a full queue there is no place for it: the next tick tries again */
	if (r != KE_OK && r != KE_FULL)
		log_warn("kdf cannot be asked: %s", ke_words(r));
}

void kdf_gone(struct engine *e, uint8_t index)
{
	uint64_t job = e->kdf.busy[index];

	e->kdf.busy[index] = 0;
	if (job != 0)
		job_fail(e, job, KE_UNAVAIL);
}

int kdf_answer(struct engine *e, uint8_t index, const struct msg *m)
{
	struct wire_in in;
	int r;

	if (e->kdf.busy[index] == 0 || m->id != e->kdf.busy[index])
		return KE_PEER;
	wire_in_init(&in, m->body, m->len);
	r = wire_get_i32(&in);
	r = job_answer(e, m->id, m->type, r, &in);
	/* after nonsense its end follows, which fails what still waits for it */
	if (r == KE_OK)
		e->kdf.busy[index] = 0;
	return r;
}
