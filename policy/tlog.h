/*
 * A transparency log's checkpoints, witnesses' cosignatures, proofs of inclusion and trust
 * policies: c2sp.org/tlog-checkpoint, tlog-cosignature (Ed25519), tlog-proof@v1, tlog-policy. Pure;
 * all of these texts come from strangers. What is signed by whom is checked here, what it says of a
 * leaf by merkle.h.
 */
#ifndef POLICY_TLOG_H
#define POLICY_TLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/canon.h"
#include "policy/ke.h"
#include "policy/note.h"
#include "policy/text.h"

/* --- checkpoints --- */

struct checkpoint {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size;
	uint8_t root[32];
};

#define CHECKPOINT_TEXT_MAX (NOTE_NAME_MAX + 1 + 21 + 45)
/* The text that is signed, with its final LF; *len without a NUL. KE_FULL; KE_RANGE: no origin. */
int checkpoint_text(const struct checkpoint *c, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict, without extension lines, which our logs do not write: KE_FORMAT. */
int checkpoint_parse(struct checkpoint *c, const char *text, size_t n) KE_CHECK;
/* A signed checkpoint of that log: note_open()'s answers, KE_FORMAT also for another origin. */
int checkpoint_open(
    struct checkpoint *c, const char *note, size_t n, const struct note_key *log) KE_CHECK;

/* --- cosignatures --- */

#define COSIGN_LEN      72 /* u64 time ‖ Ed25519 signature */
#define COSIGN_TEXT_MAX (64 + CHECKPOINT_TEXT_MAX)

/* What a witness signs: two lines and the checkpoint's text. KE_FULL; KE_RANGE: time above 2⁶³ − 1
 */
int cosign_text(
    uint64_t time_s, const char *text, size_t n, char *out, size_t cap, size_t *len) KE_CHECK;
/*
 * The earliest good cosignature by w (note_witness_parse()) on a note: *time_s is when. KE_NOTFOUND
 * when there is none, KE_CRYPTO when one by w is wrong, KE_FORMAT when it is no note.
 */
int cosign_verify(const char *note, size_t n, const struct note_key *w, uint64_t *time_s) KE_CHECK;

/*
 * Of a witness's answer to a submission, n characters: the first line that is a good cosignature by
 * w on the note; *line is in the answer, *len with its LF. KE_NOTFOUND: none is by w; KE_CRYPTO:
 * one is, and is wrong; KE_FORMAT: the answer is not made of signature lines.
 */
int cosign_take(const char *note, size_t note_len, const char *answer, size_t n,
    const struct note_key *w, const char **line, size_t *len, uint64_t *time_s) KE_CHECK;
/* A cosignature as a line, with its LF and a NUL. KE_FULL. */
#define COSIGN_LINE_MAX (8 + NOTE_NAME_MAX + TEXT_B64_LEN(4 + COSIGN_LEN) + 2)
int cosign_line(const struct note_key *w, uint64_t time_s, const uint8_t sig[64],
    char out[COSIGN_LINE_MAX], size_t *len) KE_CHECK;

/* --- proofs --- */

#define TLOG_PATH_MAX   64
#define TLOG_EXTRA_MAX  CANON_B64_MAX
#define TLOG_PROOF_HEAD "c2sp.org/tlog-proof@v1\n"

struct tlog_proof {
	uint8_t extra[TLOG_EXTRA_MAX];
	size_t extra_len; /* 0: none */
	uint64_t index;
	uint8_t path[TLOG_PATH_MAX][32];
	size_t path_len;
	const char *note; /* the checkpoint, signatures and all: in the text that was parsed */
	size_t note_len;
};

#define TLOG_PROOF_MAX(note_len)                                                                   \
	(64 + TEXT_B64_LEN(TLOG_EXTRA_MAX) + 32 + TLOG_PATH_MAX * 45 + (note_len))
int tlog_proof_text(const struct tlog_proof *p, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict but for what the specification leaves open; KE_FORMAT, KE_LIMIT. */
int tlog_proof_parse(struct tlog_proof *p, const char *text, size_t n) KE_CHECK;
/*
 * Does it prove that the leaf with this hash is at p->index of that log? Checks the checkpoint's
 * signature, then the path. c receives the checkpoint. KE_CRYPTO when the path does not lead to it.
 */
int tlog_proof_verify(const struct tlog_proof *p, const uint8_t leaf_hash[32],
    const struct note_key *log, struct checkpoint *c) KE_CHECK;

/* --- submissions to witnesses: c2sp.org/tlog-witness, add-checkpoint --- */

#define TLOG_CONSISTENCY_MAX    63
#define TLOG_SUBMISSION_MAX     (32 + TLOG_CONSISTENCY_MAX * 45 + TLOG_SUBMISSION_NOTE)
#define TLOG_SUBMISSION_NOTE    8192
#define TLOG_SUBMISSION_HEADING "old "

struct tlog_submission {
	uint64_t old;                        /* size that the proof begins at */
	uint8_t path[TLOG_PATH_MAX + 1][32]; /* as much as makers of proofs want */
	size_t path_len;
	const char *note; /* the checkpoint, signatures and all: in the text that was parsed */
	size_t note_len;
};

int tlog_submission_text(
    const struct tlog_submission *s, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict; KE_FORMAT, KE_LIMIT. What is behind the empty line is not looked at. */
int tlog_submission_parse(struct tlog_submission *s, const char *text, size_t n) KE_CHECK;

/* --- policies --- */

#define TLOG_POLICY_MAX      32 /* logs, witnesses, groups: each */
#define TLOG_POLICY_TEXT_MAX 65536

struct tlog_name {
	char name[NOTE_NAME_MAX + 1];
	bool member; /* of a group already: at most of one */
};
struct tlog_group {
	struct tlog_name name;
	uint64_t members; /* bit i: witness i; bit 32 + i: group i, an earlier one */
	unsigned threshold;
};
/* A view into the policy's text; n 0: none. */
struct tlog_url {
	const char *p;
	size_t n;
};
struct tlog_policy {
	struct note_key logs[TLOG_POLICY_MAX];
	struct tlog_name witness_names[TLOG_POLICY_MAX];
	struct note_key witnesses[TLOG_POLICY_MAX];
	struct tlog_url witness_urls[TLOG_POLICY_MAX];
	struct tlog_group groups[TLOG_POLICY_MAX];
	size_t nlogs, nwitnesses, ngroups;
	uint64_t quorum; /* a bit as in members; 0: none is asked for */
};

/* *line (from 1, may be NULL) is the one with the trouble. KE_FORMAT, KE_EXISTS, KE_LIMIT. */
int tlog_policy_parse(struct tlog_policy *p, const char *text, size_t n, size_t *line) KE_CHECK;

/*
 * The same policy as a text, with these logs' verifier keys for its own logs, and without URLs:
 * for those who judge and do not ask. *n without a NUL. KE_FULL.
 */
int tlog_policy_text(const struct tlog_policy *p, const char *const logs[], size_t nlogs, char *out,
    size_t cap, size_t *n) KE_CHECK;

/* The log of that name in the policy, NULL when it has none. */
const struct note_key *tlog_policy_log(const struct tlog_policy *p, const char *origin);

/*
 * Which witnesses have cosigned a note, bit by bit, not later than until_s (UINT64_MAX: whenever);
 * a wrong cosignature by one of them is KE_CRYPTO.
 */
int tlog_policy_seen(const struct tlog_policy *p, const char *note, size_t n, uint64_t until_s,
    uint64_t *seen) KE_CHECK;
/* Are they a quorum? */
bool tlog_policy_met(const struct tlog_policy *p, uint64_t seen);
/*
 * When the earliest quorum had cosigned a note, 0 where none is asked for. KE_NOTFOUND: not yet;
 * KE_CRYPTO: a cosignature by a witness is wrong; KE_FORMAT: it is no note.
 */
int tlog_policy_met_at(
    const struct tlog_policy *p, const char *note, size_t n, uint64_t *at_s) KE_CHECK;

#endif
