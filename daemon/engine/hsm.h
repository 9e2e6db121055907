/*
 * The stubs of hsm: one function per question, twin-named with its answer there. Each makes the
 * request wait (rq_await) and puts the question into the turn, so that it leaves only after the
 * commit of what the step has reserved. Runs in engine; hsm is more trusted than engine, so an
 * answer that does not decode is fatal (chan's blame).
 */
#ifndef DAEMON_ENGINE_HSM_H
#define DAEMON_ENGINE_HSM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/engine/job.h"
#include "daemon/engine/rq.h"
#include "daemon/engine/token.h"
#include "daemon/msg/msg.h"
#include "policy/note.h"
#include "policy/purpose.h"
#include "policy/record.h"

struct engine;

/* What hsm's public halves are. */
struct hsm {
	struct token_keys tokens;
	uint32_t log_version; /* 0: not known yet */
	struct note_key log;
	bool has_digest_key; /* the module can make v1 commitments */
	uint64_t known;      /* serial number of the channel that they came over */
	int64_t asked_ms;    /* when: a key that was only published begins to sign by itself */
	struct job job;      /* asks for them */
};

/*
 * For restore, which has no loop: asks over the blocking channel fd for the public keys and opens
 * the database key of the text `sealed`. Fatal with one line when it cannot.
 */
void hsm_start(
    struct engine *e, int fd, const char *sealed, const uint8_t appliance[16], uint8_t dbkey[32]);

/* Public keys, as every hsm tells them; KE_PEER. */
int hsm_take_keys(struct engine *e, struct wire_in *in) KE_CHECK;
/* Parent starts another engine when there is another hsm, and does not count this one's death. */
_Noreturn void hsm_lost(int r);
/* hsm's answer to a question for the database key; fatal with one line when it is none. */
void hsm_take_dbkey(int r, struct wire_in *in, uint8_t dbkey[32]);

/* One question over the blocking channel, answered (in buf, of MSG_MAX bytes) or fatal. */
void hsm_ask_blocking(
    int fd, uint16_t type, const struct wire_out *w, uint8_t *buf, struct wire_in *in);

/* Asks a fresh hsm for its public keys, until it has told them. */
void hsm_tick(struct engine *e);
/* The channel of this serial number is closed: what waits for its answers waits in vain. */
void hsm_gone(struct engine *e, uint64_t chan);
/* A message of hsm's; KE_PEER when it was never asked for. */
int hsm_answer(struct engine *e, const struct msg *m) KE_CHECK;

/* What the stubs are made of: a request waits, or a job of engine's own; w is wiped of a request's.
 */
int hsm_await(
    struct rq *q, const char *name, rq_step *step, uint16_t type, struct wire_out *w) KE_CHECK;
int hsm_ask_own(struct engine *e, struct job *j, const char *name, job_step *step, uint16_t type,
    const struct wire_out *w) KE_CHECK;

/* Each returns RQ_WAIT, or why it cannot wait. The step gets hsm's result and fields. */
int eng_hsm_session(struct rq *q, const char *name, rq_step *step, const uint8_t user[16],
    const uint8_t family[16], uint8_t roles, uint32_t generation) KE_CHECK;
int eng_hsm_refresh(
    struct rq *q, const char *name, rq_step *step, const uint8_t *token, size_t n) KE_CHECK;
int eng_hsm_holder(struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16],
    const uint8_t holder_hash[32]) KE_CHECK;
int eng_hsm_new_seed(
    struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16]) KE_CHECK;
/* raffle, seed_commit, tickets, root, aggregate and entropy of the record are asked about. */
int eng_hsm_reveal_seed(struct rq *q, const char *name, rq_step *step, const struct record1 *rec,
    const char *seed_blob) KE_CHECK;
/* With the officers' proposal of it and their approvals. */
int eng_hsm_reveal_approved(struct rq *q, const char *name, rq_step *step,
    const struct record1 *rec, const char *seed_blob, const char *proposal,
    const char *approvals) KE_CHECK;
int eng_hsm_sign_draw1(
    struct rq *q, const char *name, rq_step *step, const struct record1 *rec) KE_CHECK;

/* w: life_agree_body(), life_reveal_body(); wiped. */
int eng_hsm_agree(struct rq *q, const char *name, rq_step *step, struct wire_out *w) KE_CHECK;
int eng_hsm_reveal2(struct rq *q, const char *name, rq_step *step, struct wire_out *w) KE_CHECK;
/* A checkpoint that its log has signed (sig_len bytes of sig), as a witness. */
struct checkpoint;
struct tlog_submission;
int eng_hsm_cosign(struct rq *q, const char *name, rq_step *step, const struct checkpoint *c,
    const uint8_t *sig, size_t sig_len, const struct tlog_submission *s) KE_CHECK;
/* A raffle's fresh seed; KE_NOTFOUND: no escrow is configured. The step gets a bundle's text. */
int eng_hsm_escrow(struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16],
    const char *seed_blob) KE_CHECK;

/* A login: the step gets a PHC string to wipe. KE_CRYPTO, KE_FORMAT, KE_VERSION: a bad row. */
int eng_hsm_open_credential(struct rq *q, const char *name, rq_step *step, const uint8_t user[16],
    const char *credential) KE_CHECK;
int rq_hsm_seal_credential(struct rq *q, const char *name, rq_step *step, const uint8_t user[16],
    const char *phc) KE_CHECK;

struct db_pool;
struct payout;
/* kind: enum payout_kind */
int eng_hsm_new_deposit(
    struct rq *q, const char *name, rq_step *step, const uint8_t pool[16], uint8_t kind) KE_CHECK;
int eng_hsm_sign_payout(struct rq *q, const char *name, rq_step *step, const struct db_pool *pool,
    const struct payout *p) KE_CHECK;

/* Questions of engine's own, not of a client's request: KE_OK, KE_FULL, KE_UNAVAIL. */
struct db_seed;
int eng_hsm_anchor(struct engine *e, struct job *j, job_step *step) KE_CHECK;
int eng_hsm_agree_own(struct engine *e, struct job *j, job_step *step, struct wire_out *w) KE_CHECK;
int eng_hsm_reveal2_own(
    struct engine *e, struct job *j, job_step *step, struct wire_out *w) KE_CHECK;
int eng_hsm_rewrap_seed(
    struct engine *e, struct job *j, job_step *step, const struct db_seed *s) KE_CHECK;
/* text: n characters of a backup's manifest. */
int eng_hsm_sign_backup(
    struct engine *e, struct job *j, job_step *step, const void *text, size_t n) KE_CHECK;
int eng_hsm_seal_credential(struct engine *e, struct job *j, const char *name, job_step *step,
    const uint8_t user[16], const char *phc) KE_CHECK;
/* No value of that class key stands under an older version. */
int eng_hsm_raise(
    struct engine *e, struct job *j, job_step *step, enum key_purpose p, uint32_t version) KE_CHECK;
/* n times 16 bytes of a user's id and a str, as they stand in the body behind its u16 n. */
int eng_hsm_reseal_credentials(struct engine *e, struct job *j, job_step *step, uint16_t n,
    const uint8_t *items, size_t len) KE_CHECK;
int eng_hsm_open_dbkey(struct engine *e, struct job *j, job_step *step) KE_CHECK;
int eng_hsm_reseal_dbkey(struct engine *e, struct job *j, job_step *step) KE_CHECK;
int eng_hsm_sign_payout_again(struct engine *e, struct job *j, job_step *step,
    const struct db_pool *pool, const struct payout *p) KE_CHECK;
/* With the officers' proposal of it and their approvals. */
int eng_hsm_sign_approved(struct engine *e, struct job *j, job_step *step,
    const struct db_pool *pool, const struct payout *p, const char *proposal,
    const char *approvals) KE_CHECK;
int eng_hsm_rewrap_deposit(
    struct engine *e, struct job *j, job_step *step, const struct db_pool *pool) KE_CHECK;
struct ckpt_question;
/* KE_STATE with u64: hsm knows the log at that size, which the proof must begin at. */
int eng_hsm_sign_checkpoint(
    struct engine *e, struct job *j, job_step *step, const struct ckpt_question *q) KE_CHECK;
int eng_hsm_import_key(struct engine *e, struct job *j, job_step *step) KE_CHECK;
/* box: crypto_box_seal() of the old platform's key; value: as that platform kept it */
int eng_hsm_import_deposit(struct engine *e, struct job *j, job_step *step, const uint8_t pool[16],
    uint8_t kind, uint8_t layout, const uint8_t box[80], const uint8_t *value, size_t n) KE_CHECK;

#endif
