/*
 * The stubs of kdf: a bounded queue of passwords in front of the kdf processes, each of which
 * takes one at a time. A full queue is an answer (503), never a stalled loop. Runs in engine,
 * which trusts kdf less than itself: garbage closes its channel.
 */
#ifndef DAEMON_ENGINE_KDF_H
#define DAEMON_ENGINE_KDF_H

#include <stdint.h>
#include <sys/queue.h>

#include "daemon/engine/job.h"
#include "daemon/engine/peers.h"
#include "daemon/msg/msg.h"
#include "db/db_user.h"
#include "policy/phc.h"

#define KDF_PHC_MAX    PHC_MAX
#define KDF_TIMEOUT_MS 20000 /* in the queue and at work together */

struct engine;

struct kdf_ask {
	STAILQ_ENTRY(kdf_ask) link;
	uint64_t job;
	uint16_t type;
	size_t len;
	uint8_t *body; /* sodium_malloc'ed: a password */
};

struct kdf {
	STAILQ_HEAD(kdf_queue, kdf_ask) queue;
	uint32_t queued;
	uint64_t busy[PEERS_KDFS]; /* the job that each works for, 0: idle */
	/*
	 * The credential of a user who is nobody, at the present cost and sealed like all of them,
	 * so that an unknown account's login takes the way of a known one's; "" until it is made.
	 */
	char dummy[DB_CREDENTIAL_MAX + 1];
	uint8_t dummy_user[16];
	bool renew;     /* under another key, or it did not open: it is made again */
	struct job job; /* makes it */
};

void kdf_init(struct engine *e);
/* Has the dummy made, once there is a kdf to make it. */
void kdf_tick(struct engine *e);
void kdf_gone(struct engine *e, uint8_t index);
int kdf_answer(struct engine *e, uint8_t index, const struct msg *m) KE_CHECK;
/* The PHC string of KDF_HASH_ANS; KE_PEER when it is none. The caller wipes it. */
int kdf_phc(struct wire_in *in, char phc[KDF_PHC_MAX + 1]) KE_CHECK;
/* Gives waiting passwords to idle processes; after the commit. */
void kdf_pump(struct engine *e);

/* The job waits for the answer; KE_FULL: the queue is full. */
int eng_kdf_hash(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t *password, size_t n) KE_CHECK;
int eng_kdf_verify(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t *password, size_t n, const char *phc) KE_CHECK;

#endif
