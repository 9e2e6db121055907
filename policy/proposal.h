/*
 * What security officers decide, and whether they have (KEYS.md section 5). A proposal is a text
 * that says one action in fields and in words; an approval is an SSH signature over that text by
 * an officer (ssh-keygen -Y sign -n kleroterion). hsm and keyadm build the text again from its
 * fields and count for themselves; what engine says about approvals counts for nothing. Pure.
 *
 * Lines, LF, single spaces:
 *	kleroterion approval v1
 *	appliance <32 hex>
 *	epoch <n>                      of the anchor: another set of officers makes it void
 *	nonce <32 hex>
 *	expires <unix s>
 *	proposer <officer's name>      when an officer proposes: whose approval does not count then
 *	action <word>
 *	purpose <word>                 all about keys
 *	version <n>                    roll-back, destroy, compromise, abandon
 *	threshold <m>, officer …       officers: the lines of the anchor
 *	pool <32 hex>                  payout: whose address pays
 *	payout <hex>                   payout: its wire form (payout.h), whose id is the nonce
 *	raffle <32 hex>                draw
 *	means <the action in words>
 */
#ifndef POLICY_PROPOSAL_H
#define POLICY_PROPOSAL_H

#include "policy/anchor.h"
#include "policy/payout.h"

#define PROPOSAL_NAMESPACE "kleroterion"
#define PROPOSAL_TEXT_MAX  8192
#define PROPOSAL_LIFE_MAX  (30 * 86400) /* seconds that one may stand open */
/* what may be asked for: the difference is for clocks that disagree */
#define PROPOSAL_OPEN_MIN 60
#define PROPOSAL_OPEN_S   86400 /* when nobody says otherwise */
#define PROPOSAL_OPEN_MAX (PROPOSAL_LIFE_MAX - 3600)

/* action, its word, its fields: purpose?, version?, officers?, payout? Of payouts hsm is the judge,
 * of all the others keyadm. */
#define PROPOSAL_ACTIONS(X)                                                                        \
	X(PROPOSE_ROTATE, "rotate", 1, 0, 0, 0, 0)                                                 \
	X(PROPOSE_ROLL_BACK, "roll-back", 1, 1, 0, 0, 0)                                           \
	X(PROPOSE_DESTROY, "destroy", 1, 1, 0, 0, 0)                                               \
	X(PROPOSE_COMPROMISE, "compromise", 1, 1, 0, 0, 0)                                         \
	X(PROPOSE_OFFICERS, "officers", 0, 0, 1, 0, 0)                                             \
	X(PROPOSE_ABANDON, "abandon", 1, 1, 0, 0, 0)                                               \
	X(PROPOSE_PAYOUT, "payout", 0, 0, 0, 1, 0)                                                 \
	X(PROPOSE_DRAW, "draw", 0, 0, 0, 0, 1)

enum proposal_action {
#define X(name, word, purpose, version, officers, payout, draw) name,
	PROPOSAL_ACTIONS(X)
#undef X
	    PROPOSAL_ACTION_COUNT
};
extern const char *const proposal_words[PROPOSAL_ACTION_COUNT];

struct proposal {
	uint8_t appliance[16];
	uint64_t epoch;
	uint8_t nonce[16];
	uint64_t expires_s;
	char proposer[ANCHOR_NAME_MAX + 1]; /* "": no officer */
	unsigned action;                    /* enum proposal_action */
	unsigned purpose;                   /* enum key_purpose */
	uint64_t version;
	struct officers officers;
	uint8_t pool[16];
	struct payout payout;
	uint8_t raffle[16];
};

/* Writes the text; *len its length without a NUL. KE_FULL, KE_FORMAT. */
int proposal_text(const struct proposal *p, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict: what proposal_text would not write is KE_FORMAT. */
int proposal_parse(struct proposal *p, const char *text, size_t n) KE_CHECK;

/* Has this officer proposed it? */
bool proposal_is_own(const char *text, const struct officer *o);

/* Is this text about a payout or a draw, so that keyadm has nothing to do? */
bool proposal_is_hsms(const char *text);

/* One armored signature. */
struct approval {
	const char *armor;
	size_t n;
};

/* Takes a text of armored signatures, one behind the other, apart: KE_FORMAT. */
int approvals_split(
    const char *text, size_t n, struct approval out[ANCHOR_OFFICERS_MAX], size_t *count) KE_CHECK;

/* Why a count failed: which approval (from 0), and words for a log line. */
struct proposal_verdict {
	size_t approvals; /* how many count */
	size_t at;
	const char *why;
};

/*
 * May the proposal be carried out now? KE_OK when every approval is good and there are as many as
 * the anchor's threshold. Otherwise, with v->why:
 * KE_FORMAT (the text), KE_DENIED (another appliance, a signer who is no officer, or the officer
 * who has proposed it; a proposer who is none), KE_STATE (another epoch, no officers), KE_TIMEOUT
 * (expired, or open for too long), KE_EXISTS (used up, or an officer who approves twice), KE_CRYPTO
 * (a signature that is none), KE_AGAIN (not enough yet). An officer counts by the anchor alone:
 * those whom the proposal would bring in do not.
 */
int proposal_count(struct proposal *p, const struct anchor *a, const char *text, size_t n,
    const struct approval *approvals, size_t count, uint64_t clock_s,
    struct proposal_verdict *v) KE_CHECK;

/* The officer who signed; NULL with *r as sshsig_verify() says, KE_DENIED for one who is none. */
const struct officer *proposal_signer(
    const struct anchor *a, const char *text, size_t n, const struct approval *approval, int *r);

#endif
