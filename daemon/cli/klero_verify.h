/*
 * What klero-verify's files share: its options. Runs as the auditor's own program.
 */
#ifndef CLI_KLERO_VERIFY_H
#define CLI_KLERO_VERIFY_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/bundle2.h"
#include "policy/note.h"

enum exit_code { EXIT_VERIFIED = 0, EXIT_NOT = 1, EXIT_USAGE = 2, EXIT_READ = 3 };

struct options {
	bool json, quiet, have_key, have_commit;
	struct note_key key;
	uint8_t commit[32];
	const char *file; /* NULL: none, with --log */
	const char *log, *ca, *state;
	const char *receipt, *leaf, *holder, *client_seed;
	const char *dump, *draw_key, *count, *tickets, *winners;

	/* v2 only */
	bool have_policy, have_chain;
	struct tlog_policy policy;
	struct drand_chain chain;
	char *tsa;       /* trust.tsa_pem */
	char *pulse_pem; /* the first certificate of NIST's beacon */
	size_t pulse_pem_len;
	bool complete;
	const char *amend;    /* with complete: the last amend record; NULL: none */
	const char *previous; /* with complete: the pulse before; NULL: none */
	struct bundle2_trust trust;
};

/* A usage error: says what and how to get help. */
int verify_usage(const char *what);
/* Reads a whole file of at most max bytes, "-" for standard input; *buf is the caller's to free. */
int verify_read(const char *file, size_t max, char **buf, size_t *n) KE_CHECK;

/* The options of v2 bundles: EXIT_VERIFIED to go on. */
int verify2_policy(struct options *o, const char *file) KE_CHECK;
int verify2_chain(struct options *o, const char *file) KE_CHECK;
int verify2_certificate(struct options *o, const char *file) KE_CHECK;
int verify2_tsa(struct options *o, const char *file) KE_CHECK;
int verify2_delay(struct options *o, const char *seconds) KE_CHECK;

/* Does the text call itself a v2 bundle? */
bool verify2_is(const char *text, size_t n);
/* Checks and prints; the exit code. */
int verify2(struct options *o, const char *text, size_t n, struct bundle2_result *res);

/* Finishes a draw from OPEN CLOSE SEED ENTRIES VALUE...; prints; the exit code. */
int verify_complete(const struct options *o, int argc, char **argv);

/*
 * Audits the operator log at o->log and every ticket log, or that of a bundle which was verified
 * (NULL: none); prints; the exit code.
 */
int verify_log(const struct options *o, const struct bundle2_result *bundle);
/* A buyer's receipt; the exit code. */
int verify_receipt(const struct options *o);
/* Words and outcomes of the draw's own code; the exit code. */
int verify_dump(const struct options *o);

#endif
