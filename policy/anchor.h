/*
 * The anchor: what the token itself knows about the appliance, so that no other process can change
 * it (KEYS.md sections 2, 4 and 5). Which appliance the token belongs to, who its security officers
 * are and how many must agree, which version of which key is in use since when, which approvals
 * have been used up. A text in a data object of the token, written by keyadm only. Pure; hsm and
 * keyadm obey it, engine and kleroctl show it.
 *
 * Lines, LF, single spaces, this order:
 *	kleroterion anchor v1
 *	serial <n>                                      rises with each writing
 *	written <unix s>                                never goes back: what has expired stays so
 *	appliance <32 hex>
 *	epoch <n>                                       rises with each change of officers
 *	audit <lines> <64 hex SHA-256>                  the head of the store's audit chain then,
 *	                                                from the first approved action on
 *	threshold <m>                                   0: there are no officers
 *	officer <name> <base64 of the SSH key blob>     ANCHOR_OFFICERS_MAX at most
 *	key <purpose> <version> <since s> live|retired|destroyed good|compromised
 *	nonce <32 hex> <expires s>                      of an approval that was used
 *	end
 */
#ifndef POLICY_ANCHOR_H
#define POLICY_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"
#include "policy/purpose.h"
#include "policy/sshsig.h"

#define ANCHOR_OFFICERS_MAX 16
#define ANCHOR_NAME_MAX     63
#define ANCHOR_KEYS_MAX     128
#define ANCHOR_NONCES_MAX   64
#define ANCHOR_TEXT_MAX     24576

/* Who must agree: a list of officers and how many of them. */
struct officers {
	uint64_t threshold;
	size_t n;
	struct officer {
		char name[ANCHOR_NAME_MAX + 1];
		struct ssh_key key;
	} officer[ANCHOR_OFFICERS_MAX];
};

/* Live versions can become the active one; retired ones verify and open only. */
#define ANCHOR_STATUSES(X)                                                                         \
	X(ANCHOR_LIVE, "live")                                                                     \
	X(ANCHOR_RETIRED, "retired")                                                               \
	X(ANCHOR_DESTROYED, "destroyed")

enum anchor_status {
#define X(name, word) name,
	ANCHOR_STATUSES(X)
#undef X
	    ANCHOR_STATUS_COUNT
};

struct anchor_key {
	unsigned purpose; /* enum key_purpose */
	uint64_t version; /* from 1 */
	uint64_t since_s; /* when a live version becomes the active one */
	unsigned status;  /* enum anchor_status */
	unsigned compromised;
};

struct anchor {
	uint64_t serial, written_s;
	uint8_t appliance[16];
	uint64_t epoch;
	uint64_t audit; /* lines of the audit chain that the token knows of; 0: of none */
	uint8_t audit_hash[32];
	struct officers officers;
	size_t keys, nonces;
	struct anchor_key key[ANCHOR_KEYS_MAX];
	struct {
		uint8_t nonce[16];
		uint64_t expires_s;
	} nonce[ANCHOR_NONCES_MAX];
};

/* KE_OK when names and keys are different and the threshold can be reached; KE_EXISTS, KE_RANGE. */
int officers_check(const struct officers *o) KE_CHECK;

/* The officer of that name; NULL for none. */
const struct officer *officers_find(const struct officers *o, const char *name);

/* The lines "threshold …" and "officer …" alone, both ways: KE_FULL, KE_FORMAT. */
int officers_text(const struct officers *o, char *out, size_t cap, size_t *len) KE_CHECK;
int officers_parse(struct officers *o, const char *text, size_t n) KE_CHECK;

/* Writes the text; *len its length without a NUL. KE_FULL, KE_FORMAT. */
int anchor_text(const struct anchor *a, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict: what anchor_text would not write, and what makes no sense, is KE_FORMAT. */
int anchor_parse(struct anchor *a, const char *text, size_t n) KE_CHECK;

/* NULL when the anchor does not know that version. */
const struct anchor_key *anchor_key(const struct anchor *a, enum key_purpose p, uint64_t version);
/* Does it know that version, and not as destroyed? */
bool anchor_wants(const struct anchor *a, enum key_purpose p, uint64_t version);
/* The version in use at now_s: of the live ones, the last whose time has come. NULL: none. */
const struct anchor_key *anchor_active(const struct anchor *a, enum key_purpose p, uint64_t now_s);

/* SP 800-57 part 1, section 7, as KEYS.md section 4 names them. */
enum key_state { KEY_PRE_ACTIVE, KEY_ACTIVE, KEY_DEACTIVATED, KEY_DESTROYED, KEY_STATES };
enum key_state anchor_state(const struct anchor *a, const struct anchor_key *k, uint64_t now_s);
extern const char *const anchor_state_words[KEY_STATES];

/* The present for every rule here: a clock that was set back does not revive what has expired. */
uint64_t anchor_now(const struct anchor *a, uint64_t clock_s);

/* Changes; each leaves the anchor as it was when it fails. The last of them before a writing: */
void anchor_written(struct anchor *a, uint64_t clock_s);
/* A new live version, in use from since_s on, but not before the present one was. KE_FULL. */
int anchor_add(struct anchor *a, enum key_purpose p, uint64_t since_s, uint64_t *version) KE_CHECK;
/*
 * Makes a live version the active one again: those that came after it are retired. KE_NOTFOUND;
 * KE_STATE when it is not live, is compromised, or nothing came after it.
 */
int anchor_roll_back(struct anchor *a, enum key_purpose p, uint64_t version) KE_CHECK;
/* KE_NOTFOUND; KE_STATE when it is the active one, waits to be, or is destroyed already. */
int anchor_destroy(struct anchor *a, enum key_purpose p, uint64_t version, uint64_t now_s) KE_CHECK;
/* Marks it for ever; it is never the active one again. KE_NOTFOUND, KE_EXISTS. */
int anchor_compromise(struct anchor *a, enum key_purpose p, uint64_t version) KE_CHECK;
/* Takes other officers and begins a new epoch: approvals under the old one are void. Errors of
 * officers_check(). */
int anchor_set_officers(struct anchor *a, const struct officers *o) KE_CHECK;
/* Uses up the nonce of an approval, for ever; forgets those that have expired. KE_EXISTS, KE_FULL,
 * KE_TIMEOUT when it has expired itself. */
int anchor_use_nonce(
    struct anchor *a, const uint8_t nonce[16], uint64_t expires_s, uint64_t now_s) KE_CHECK;

/* The lines "officer …" of a text, both ways: for the anchor and for proposals. */
struct canon;
void officers_lines(struct canon *io, struct officers *o);

#endif
