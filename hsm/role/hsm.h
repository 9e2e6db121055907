/*
 * The context of klerod-hsm and the answers to its messages. Runs in hsm and in tlskey, which is
 * the same program with another message table, another token and another PIN. Trusts parent and
 * its token; engine and net only as far as each answer says: meanings come in, never bytes to sign.
 */
#ifndef HSM_ROLE_HSM_H
#define HSM_ROLE_HSM_H

#include "daemon/msg/rconf.h"
#include "daemon/msg/role.h"
#include "daemon/msg/serve.h"
#include "hsm/once/once.h"
#include "hsm/p11/key.h"
#include "hsm/p11/prove.h"
#include "policy/legacy.h"
#include "policy/life.h"
#include "policy/note.h"
#include "policy/origin.h"
#include "policy/paylimit.h"
#include "policy/proposal.h"
#include "policy/record.h"
#include "policy/tlog.h"

#define HSM_HOST_MAX  200
#define HSM_WEAR_MORE 100000
/* How far engine's idea of now may lie from hsm's own clock. */
#define HSM_CLOCK_SLACK_S 300
#define HSM_TOKEN_LIFE_S  900

/* What of deposit keys is in clear for the time of one answer; locked memory (sodium_malloc). */
struct hsm_secrets {
	uint8_t box_pub[32],
	    box_secret[32]; /* X25519, of this process: what imports are sealed to */
	uint8_t legacy_key[32];
	uint8_t plain[LEGACY_TEXT_MAX];
	uint8_t seed[64];   /* the secret of either kind in its first half */
	uint8_t signer[64]; /* an Ed25519 seed as libsodium signs with it */
};

/* What hsm knows of a log: the newest head that it has signed, or was shown signed. */
struct hsm_log {
	struct log_name name;
	uint64_t size;
	uint8_t root[32];
	uint64_t used; /* of those that rested longest one is forgotten for a new one */
};
#define HSM_LOGS 1024
struct hsm_logs {
	struct hsm_log log[HSM_LOGS];
	size_t n;
	uint64_t serial;
};

struct hsm {
	enum role self;
	struct p11 p;
	struct key_ring ring;
	char host[HSM_HOST_MAX + 1];
	const struct rconf_hsm *former; /* whose keys served before; NULL: nobody's */
	bool lost;                      /* the device is gone: this process ends after its answer */
	uint32_t objects; /* session objects after which it is worn: SoftHSM leaks 245 bytes each */
	bool worn;        /* a fresh one is wanted; HSM_WEAR_MORE later this one ends */

	/* hsm only */
	struct anchor anchor;
	struct canary canary;
	int journal; /* of the once-only memory; -1 for none */
	struct once once;
	struct {
		uint64_t since_s;
		uint32_t n;
	} opens; /* credentials opened within the present window: credentials.c */
	uint32_t least[KEY_PURPOSES];     /* versions below open nothing: sealed_raise() */
	char log_name[NOTE_NAME_MAX + 1]; /* "<host>/klero/log" */
	uint8_t log_id[4];
	struct hsm_secrets *secrets;
	struct paylimit limits[PAYLIMITS_MAX];
	size_t nlimits;
	struct proposal proposal;              /* of the payout or draw that is asked for */
	bool draw_approval;                    /* officers must approve draws */
	struct note_key witnessed[RCONF_LOGS]; /* operator logs of others: cosign.c */
	size_t nwitnessed;
	struct tlog_policy *policy; /* whose quorum a draw must have; never NULL in hsm */
	struct hsm_escrow *escrow;  /* NULL: none (escrow.h) */
	struct hsm_logs *logs;      /* heads of the logs that it has signed: checkpoint.c */
	struct life_site site;      /* the pinned beacons, and their delay */
	const char (*certificates)[RCONF_CERTIFICATE]; /* of NIST's beacon, the first "" ends */
	struct record_pick *picks;                     /* RECORD1_PICKS_MAX */
	char *text;                                    /* RECORD1_TEXT_MAX */
};

/*
 * Everything before the sandbox: module, login (wipes the PIN), keys found, checked, copied and
 * proved. wide becomes true when the keys stay in the token's files. Never returns on failure:
 * one log line, then HSM_EXIT_PIN or HSM_EXIT_FAILED.
 */
void hsm_warm_up(struct hsm *h, enum role self, struct rconf_hsm *c, bool *wide);

/*
 * The same up to a login that has happened: prepares the context for a ring of keys. For tests too.
 * KE_VERSION when the token is an older program's and keyadm_complete() makes it good.
 */
int hsm_prepare(struct hsm *h, enum role self, const char *host, bool *wide) KE_CHECK;

/* serve_handler of both roles. KE_CLOSED when this process must be replaced after its answer. */
int hsm_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w);

/*
 * Begins an answer with its result. KE_AGAIN and KE_UNAVAIL mean that the device is lost: logged,
 * and the process ends. True when r is KE_OK and the answer's fields follow.
 */
bool hsm_result(struct hsm *h, struct wire_out *w, int r);

/*
 * The condition of a loop that opens what engine has brought, with *tries 0 at first: what does not
 * open, or opens to something that is none of ours, is opened once more before that counts, for a
 * device that stumbles must not refuse what is good. *r becomes the canary's verdict.
 */
bool hsm_once_more(struct hsm *h, int *r, unsigned *tries) KE_CHECK;
/*
 * After a check of the token's own answer came to r: one that speaks of the data becomes
 * KE_UNAVAIL, with a log line, for the data is the token's own work.
 */
int hsm_lied(struct hsm *h, int r, const char *what) KE_CHECK;

/* The log key of that key id, as it signs this log; KE_NOTFOUND when the token has it no more. */
int hsm_note_key(const struct hsm *h, const struct log_name *name, const uint8_t id[4],
    struct note_key *out) KE_CHECK;

/* A captured engine cannot have tokens of next year in store: hsm looks at its own clock. */
bool hsm_is_now(uint64_t now_s);

/* One per message of daemon/msg.def. KE_OK, or KE_PEER for a body that cannot be read. */
int hsm_answer_keys(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_open_dbkey(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_session(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_refresh(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_holder(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_new_seed(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_reveal_seed(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_reveal_approved(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_sign_draw1(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_agree(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_reveal2(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_anchor(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_reseal_dbkey(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_rewrap_seed(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_new_deposit(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_sign_payout(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_sign_approved(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_import_key(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_import_deposit(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_rewrap_deposit(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_sign_backup(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_check_backup(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_sign_checkpoint(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_seal_credential(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_open_credential(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_reseal_credentials(
    struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_escrow(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_cosign(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_raise(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
int hsm_answer_tls_sign(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);

/* What a v1 seed is revealed for, as one hash: the same from a request and from a record. */
struct hsm_draw {
	const uint8_t *raffle, *commit, *root, *aggregate, *entropy;
	uint64_t tickets;
	size_t entropy_len;
};
void hsm_draw_hash(uint8_t out[32], const struct hsm_draw *d);

#endif
