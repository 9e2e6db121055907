/*
 * The opening of an escrow, officer by officer, and the text that one hands to the next. Pure: runs
 * in kleroctl, offline, on files from people whom an officer need not trust. Any m officers open
 * their layers, the one with the highest number first; the last of them holds the seed.
 *
 * What goes from one to the next is public as long as a layer is left, JSON in one form:
 *	{"format": "kleroterion-escrow-step/1", "bundle": SHA-256 of the bundle's text in hex,
 *	 "shares": [{"officers": the share's, "left": those whose layers are left, "sealed":
 *base64}, …]}
 */
#ifndef POLICY_ESCROW_OPEN_H
#define POLICY_ESCROW_OPEN_H

#include "policy/escrow.h"
#include "policy/record2.h"

#define ESCROW_STEP_FORMAT "kleroterion-escrow-step/1"

struct escrow_opened {
	unsigned officers, left; /* bits: of the share; whose layers are left */
	size_t at, len;          /* in data */
};

/* What is open so far; 64 KiB: for the heap. */
struct escrow_step {
	uint8_t bundle[32];
	size_t nshares, used;
	struct escrow_opened share[ESCROW_SHARES_MAX];
	uint8_t data[ESCROW_TEXT_MAX / 4 * 3];
};

/* Before anybody has opened anything: all shares, whole. text: the bundle's n characters. */
void escrow_step_begin(struct escrow_step *s, const struct escrow *e, const char *text, size_t n);

/* KE_FULL. */
int escrow_step_text(struct escrow_step *s, char *out, size_t cap, size_t *len) KE_CHECK;
/* KE_FORMAT; KE_WRONG_KEY when it is of another bundle than the n characters of text. */
int escrow_step_parse(struct escrow_step *s, const struct escrow *e, const char *text, size_t n,
    const char *step, size_t step_len) KE_CHECK;

/* Is the bundle the one that the open record promises? KE_DENIED; why: one line of words. */
int escrow_promised(const struct escrow *e, const char *text, size_t n, const struct record2 *open,
    const char **why) KE_CHECK;

/*
 * Opens the layers of one officer, and leaves in s what could be opened; pem: n characters of his
 * private key, which may ask the terminal for its passphrase. *officer is his number. KE_FORMAT: no
 * RSA private key; KE_WRONG_KEY: he is no officer of this bundle; KE_STATE: another one's layer
 * lies above his everywhere, or his is open; KE_CRYPTO: his layer is damaged.
 */
int escrow_step_open(struct escrow_step *s, const struct escrow *e, const char *pem, size_t n,
    unsigned *officer) KE_CHECK;

/* The seed, when a share has no layer left: checked against its commitment. KE_STATE, KE_CRYPTO. */
int escrow_step_seed(
    const struct escrow_step *s, const struct escrow *e, uint8_t seed[ESCROW_SEED]) KE_CHECK;

#endif
