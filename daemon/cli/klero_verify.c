/*
 * klero-verify: checks the proof of a draw, offline. Runs as the auditor's own program, on files
 * from people whom the auditor does not trust; links neither the store nor the HSM and opens no
 * socket but for --log. All judgement is in policy/bundle.c; here are the command line, the reading
 * and the words.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/klero_verify.h"
#include "policy/bundle.h"
#include "policy/jsonw.h"
#include "policy/ke.h"
#include "policy/note.h"
#include "policy/origin.h"
#include "policy/text.h"

static const char usage_text[] =
    "Usage: klero-verify [--vkey VKEY | --vkey-file FILE] [--commit HEX] [--json] [-q] PROOF\n"
    "       klero-verify --log URL|DIR --vkey VKEY [--state FILE] [PROOF]\n"
    "       klero-verify --complete [--amend FILE] [--previous-pulse FILE] OPEN CLOSE SEED ENTRIES "
    "VALUE...\n"
    "       klero-verify --receipt FILE --leaf HEX|FILE --vkey VKEY [--holder ID] [--client-seed "
    "TEXT]\n"
    "       klero-verify --dump words|draws --draw-key HEX --count N [--tickets N --winners K]\n"
    "Checks the proof of a draw, " BUNDLE2_FORMAT " or " BUNDLE_FORMAT ", without any\n"
    "network, and audits the logs that it stands in.\n"
    "\n"
    "  PROOF                 the proof's file, - for standard input\n"
    "  -k, --vkey VKEY       the operator's verifier key that you trust, or a file that holds it\n"
    "      --vkey-file FILE  a file that holds it\n"
    "  -c, --commit HEX      the seed commitment published before the sale, 64 hex digits\n"
    "      --policy FILE     the logs and witnesses that you trust (v2; c2sp.org/tlog-policy)\n"
    "      --drand-chain FILE  a drand chain besides quicknet, as its relay's /info says it (v2)\n"
    "      --nist-certificate FILE  a certificate of NIST's beacon that you trust (v2)\n"
    "      --tsa-ca FILE     certificates of the time-stamping authorities that you trust (v2)\n"
    "      --min-delay SECONDS  from the end of sales to the beacon, 600 if not given (v2); below\n"
    "                        that, witnesses need a tenth of it before the beacon, and not 60\n"
    "      --log URL|DIR     audit the operator log there, and every ticket log, or that of PROOF\n"
    "      --ca FILE         certificates to trust for the URL, instead of the system's\n"
    "      --state FILE      checkpoints of earlier audits, which the logs must agree with;\n"
    "                        written anew when they do\n"
    "      --complete        finish a draw that the operator did not make: its records, the seed "
    "in\n"
    "                        hex, the ticket log's entries one behind the other, and the beacons'\n"
    "                        values as their sources serve them, in the record's order\n"
    "      --amend FILE      the last amend record, when there is one\n"
    "      --previous-pulse FILE  the pulse before, when NIST's beacon had none at that moment\n"
    "      --receipt FILE    a buyer's receipt, with the leaf of his ticket; with --holder and\n"
    "      --leaf HEX|FILE   --client-seed that it is his, and with that wish\n"
    "      --dump WHAT       for test laboratories: raw words of the draw's stream, or outcomes "
    "of\n"
    "                        many draws, and a chi-square summary\n"
    "  --json                print one JSON document instead of lines\n"
    "  -q, --quiet           print the last line only\n"
    "  --version, -h, --help\n"
    "\n"
    "Without a key the signer is taken from the proof itself: then the proof agrees with itself,\n"
    "but you have to compare the signer with the key that the operator publishes.\n"
    "Exit: 0 verified, 1 not verified, 2 wrong usage, 3 a file cannot be read.\n";

/* --- reading --- */

/* Reads all of fd, at most max bytes; *buf is the caller's to free. size is a guess of the size. */
static int read_all(int fd, size_t size, size_t max, char **buf, size_t *n)
{
	size_t cap = size < 65536 ? 65536 : size + 1, len = 0;
	char *p = malloc(cap);
	ssize_t got;

	while (p != NULL) {
		got = read(fd, p + len, cap - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || len + (size_t)got > max)
			break;
		len += (size_t)got;
		if (len == cap) {
			char *more = realloc(p, cap *= 2);

			if (more == NULL)
				free(p);
			p = more;
		}
	}
	*buf = p;
	*n = len;
	if (p == NULL)
		return KE_NOMEM;
	return got == 0 ? KE_OK : got < 0 ? KE_IO : KE_LONG;
}

/* Says what is wrong with the file itself when it fails. */
int verify_read(const char *file, size_t max, char **buf, size_t *n)
{
	int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t size = 0;
	int r;

	*buf = NULL;
	if (fd < 0) {
		fprintf(stderr, "klero-verify: %s: %s\n", file, strerror(errno));
		return KE_IO;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		size = (uint64_t)st.st_size > max ? max : (size_t)st.st_size;
	r = read_all(fd, size, max, buf, n);
	if (r == KE_IO)
		fprintf(stderr, "klero-verify: %s: %s\n", file, strerror(errno));
	else if (r == KE_LONG)
		fprintf(stderr, "klero-verify: %s: larger than %zu bytes\n", file, max);
	else if (r != KE_OK)
		fprintf(stderr, "klero-verify: %s: %s\n", file, ke_words(r));
	if (fd != STDIN_FILENO)
		close(fd);
	return r;
}

/* --- the command line --- */

int verify_usage(const char *what)
{
	fprintf(stderr, "klero-verify: %s (see --help)\n", what);
	return EXIT_USAGE;
}

static int set_key(struct options *o, const char *s, size_t n)
{
	if (o->have_key)
		return verify_usage("more than one verifier key");
	if (note_vkey_parse(&o->key, s, n) != KE_OK)
		return verify_usage("that is no verifier key of Ed25519 or P-256 (name+id+key)");
	o->have_key = true;
	return EXIT_VERIFIED;
}

static int set_key_file(struct options *o, const char *file)
{
	char *buf, *lf;
	size_t n;
	int code = EXIT_READ;

	if (verify_read(file, 4096, &buf, &n) == KE_OK) {
		lf = memchr(buf, '\n', n);
		code = set_key(o, buf, lf == NULL ? n : (size_t)(lf - buf));
	}
	free(buf);
	return code;
}

/* A key, or else the name of a file. */
static int set_key_or_file(struct options *o, const char *s)
{
	struct note_key k;

	if (note_vkey_parse(&k, s, strlen(s)) == KE_OK || access(s, F_OK) != 0)
		return set_key(o, s, strlen(s));
	return set_key_file(o, s);
}

static int set_commit(struct options *o, const char *hex)
{
	if (text_unhex(o->commit, 32, hex, strlen(hex)) != KE_OK)
		return verify_usage("a commitment has 64 lower-case hex digits");
	o->have_commit = true;
	return EXIT_VERIFIED;
}

/* Options that are a word, kept as it is; NULL for others. */
static const char **word_of(struct options *o, int c)
{
	switch (c) {
	case 'l':
		return &o->log;
	case 'a':
		return &o->ca;
	case 's':
		return &o->state;
	case 'r':
		return &o->receipt;
	case 'L':
		return &o->leaf;
	case 'H':
		return &o->holder;
	case 'S':
		return &o->client_seed;
	case 'D':
		return &o->dump;
	case 'K':
		return &o->draw_key;
	case 'N':
		return &o->count;
	case 'T':
		return &o->tickets;
	case 'W':
		return &o->winners;
	default:
		return NULL;
	}
}

static int set_option(struct options *o, int c)
{
	const char **word = word_of(o, c);

	if (word != NULL) {
		*word = optarg;
		return EXIT_VERIFIED;
	}
	switch (c) {
	case 'k':
		return set_key_or_file(o, optarg);
	case 'f':
		return set_key_file(o, optarg);
	case 'c':
		return set_commit(o, optarg);
	case 'p':
		return verify2_policy(o, optarg);
	case 'd':
		return verify2_chain(o, optarg);
	case 'n':
		return verify2_certificate(o, optarg);
	case 't':
		return verify2_tsa(o, optarg);
	case 'C':
		o->complete = true;
		return EXIT_VERIFIED;
	case 'A':
		o->amend = optarg;
		return EXIT_VERIFIED;
	case 'P':
		o->previous = optarg;
		return EXIT_VERIFIED;
	case 'm':
		return verify2_delay(o, optarg);
	case 'j':
		o->json = true;
		return EXIT_VERIFIED;
	case 'q':
		o->quiet = true;
		return EXIT_VERIFIED;
	default:
		return EXIT_USAGE; /* getopt has said why */
	}
}

/* EXIT_VERIFIED to go on; *done when --help or --version has answered already. */
static int parse(struct options *o, int argc, char **argv, bool *done)
{
	static const struct option list[] = {
	    {"vkey", required_argument, NULL, 'k'},
	    {"vkey-file", required_argument, NULL, 'f'},
	    {"commit", required_argument, NULL, 'c'},
	    {"policy", required_argument, NULL, 'p'},
	    {"drand-chain", required_argument, NULL, 'd'},
	    {"nist-certificate", required_argument, NULL, 'n'},
	    {"log", required_argument, NULL, 'l'},
	    {"ca", required_argument, NULL, 'a'},
	    {"state", required_argument, NULL, 's'},
	    {"complete", no_argument, NULL, 'C'},
	    {"amend", required_argument, NULL, 'A'},
	    {"previous-pulse", required_argument, NULL, 'P'},
	    {"receipt", required_argument, NULL, 'r'},
	    {"leaf", required_argument, NULL, 'L'},
	    {"holder", required_argument, NULL, 'H'},
	    {"client-seed", required_argument, NULL, 'S'},
	    {"dump", required_argument, NULL, 'D'},
	    {"draw-key", required_argument, NULL, 'K'},
	    {"count", required_argument, NULL, 'N'},
	    {"tickets", required_argument, NULL, 'T'},
	    {"winners", required_argument, NULL, 'W'},
	    {"tsa-ca", required_argument, NULL, 't'},
	    {"min-delay", required_argument, NULL, 'm'},
	    {"json", no_argument, NULL, 'j'},
	    {"quiet", no_argument, NULL, 'q'},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c, code;

	while ((c = getopt_long(argc, argv, "k:c:qh", list, NULL)) != -1) {
		if (c == 'h' || c == 'V') {
			fputs(c == 'h' ? usage_text : "klero-verify " KLERO_VERSION "\n", stdout);
			*done = true;
			return EXIT_VERIFIED;
		}
		code = set_option(o, c);
		if (code != EXIT_VERIFIED)
			return code;
	}
	if (o->complete)
		return EXIT_VERIFIED;
	if (o->amend != NULL || o->previous != NULL)
		return verify_usage("--amend and --previous-pulse go with --complete");
	if (o->log == NULL && (o->ca != NULL || o->state != NULL))
		return verify_usage("--ca and --state go with --log");
	if (o->receipt != NULL || o->dump != NULL)
		return optind == argc ? EXIT_VERIFIED
				      : verify_usage("--receipt and --dump take no proof");
	if (optind != argc - 1 && (o->log == NULL || optind != argc))
		return verify_usage("give one proof");
	o->file = argv[optind];
	return EXIT_VERIFIED;
}

/* --- the words --- */

/* Names come from the proof: nothing in them may reach the terminal as a command. */
static void print_plain(const char *s)
{
	for (; *s != '\0'; s++)
		putchar(*s >= ' ' && *s <= '~' ? *s : '?');
}

/* What a step that held has shown. */
static void print_meaning(
    const struct options *o, const struct bundle_result *res, enum bundle_step s)
{
	unsigned long long tickets = res->tickets;

	switch (s) {
	case BUNDLE_READ:
		printf("v1 (" BUNDLE_FORMAT "), %llu tickets", tickets);
		break;
	case BUNDLE_SIGNATURE:
		printf("the record is signed by ");
		print_plain(res->vkey);
		break;
	case BUNDLE_RECORD:
		printf("%u winners, %u reserves", res->winners, res->reserves);
		break;
	case BUNDLE_COMMIT:
		printf("the server seed is the one committed to%s",
		    o->have_commit ? ", as published before the sale" : " in the record");
		break;
	case BUNDLE_LEAVES:
		printf("%llu leaves of this raffle, each at its index", tickets);
		break;
	case BUNDLE_ROOT:
		printf("the leaves have the signed Merkle root");
		break;
	case BUNDLE_SEEDS:
		printf("%llu client seeds, each the one in its leaf", tickets);
		break;
	case BUNDLE_AGGREGATE:
		printf("the client seeds have the signed aggregate");
		break;
	case BUNDLE_DRAW:
		printf("drawn again from the seed, the entropy and the aggregate: the same");
		break;
	case BUNDLE_WINNERS:
		printf("each winner's and reserve's ticket id is the one in its leaf");
		break;
	case BUNDLE_STEPS:
		break;
	}
	putchar('\n');
}

static void print_lines(const struct options *o, const struct bundle_result *res)
{
	for (unsigned i = 0; i <= (unsigned)res->step; i++) {
		enum bundle_step s = (enum bundle_step)i;
		bool ok = s != res->step || res->err == KE_OK;

		printf("%s %-13s ", ok ? "ok  " : "FAIL", bundle_step_words(s));
		if (ok)
			print_meaning(o, res, s);
		else
			puts(res->why);
	}
	if (res->err == KE_OK)
		printf("v1 draw: " BUNDLE_LABEL "\n");
	if (!o->have_key)
		printf("note: no --vkey was given, the signer was taken from the proof itself; "
		       "compare it with the key that the operator publishes\n");
	if (!o->have_commit)
		printf("note: no --commit was given; compare the seed commitment with the one "
		       "published before the sale\n");
}

static void print_json(const struct options *o, const struct bundle_result *res)
{
	char buf[8192];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof(buf));
	jsonw_object(&w);
	jsonw_kbool(&w, "verified", res->err == KE_OK);
	jsonw_kcstr(&w, "format", BUNDLE_FORMAT);
	jsonw_kcstr(&w, "label", BUNDLE_LABEL);
	jsonw_kcstr(&w, "signer", res->vkey);
	jsonw_kbool(&w, "signer_trusted", o->have_key);
	jsonw_kbool(&w, "commit_given", o->have_commit);
	jsonw_kint(&w, "tickets", (int64_t)res->tickets);
	jsonw_kint(&w, "winners", res->winners);
	jsonw_kint(&w, "reserves", res->reserves);
	jsonw_key(&w, "steps");
	jsonw_array(&w);
	for (unsigned i = 0; i <= (unsigned)res->step; i++) {
		jsonw_object(&w);
		jsonw_kcstr(&w, "step", bundle_step_words((enum bundle_step)i));
		jsonw_kbool(&w, "ok", i != (unsigned)res->step || res->err == KE_OK);
		jsonw_object_end(&w);
	}
	jsonw_array_end(&w);
	if (res->err != KE_OK)
		jsonw_kcstr(&w, "why", res->why);
	jsonw_object_end(&w);
	if (jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
}

static int verify(const struct options *o, const char *text, size_t n)
{
	struct note_key key = o->key;
	struct bundle_result res;
	int r;

	origin_note_key(&key);
	r = bundle_check(
	    text, n, o->have_key ? &key : NULL, o->have_commit ? o->commit : NULL, &res);
	if (o->json) {
		print_json(o, &res);
		return r == KE_OK ? EXIT_VERIFIED : EXIT_NOT;
	}
	if (!o->quiet)
		print_lines(o, &res);
	if (r == KE_OK)
		puts("VERIFIED");
	else
		printf("NOT VERIFIED: %s\n", res.why[0] != '\0' ? res.why : ke_words(r));
	return r == KE_OK ? EXIT_VERIFIED : EXIT_NOT;
}

/* The proof alone; of a v2 one that verified, *res gets what an audit of its logs needs. */
static int verify_file(struct options *o, struct bundle2_result *res, bool *v2)
{
	char *text;
	size_t n;
	int code = EXIT_READ;

	if (verify_read(o->file, BUNDLE_MAX, &text, &n) == KE_OK) {
		*v2 = verify2_is(text, n);
		code = *v2 ? verify2(o, text, n, res) : verify(o, text, n);
	}
	free(text);
	return code;
}

int main(int argc, char **argv)
{
	static struct options o; /* too large for the stack */
	static struct bundle2_result res;
	bool done = false, v2 = false;
	int code = parse(&o, argc, argv, &done);

	if (code != EXIT_VERIFIED || done)
		return code;
	if (o.complete)
		code = verify_complete(&o, argc - optind, argv + optind);
	else if (o.dump != NULL)
		code = verify_dump(&o);
	else if (o.receipt != NULL)
		code = verify_receipt(&o);
	else if (o.file != NULL)
		code = verify_file(&o, &res, &v2);
	if (code == EXIT_VERIFIED && o.log != NULL && !o.complete)
		code = o.file != NULL && !v2 ? verify_usage("a v1 proof stands in no log")
					     : verify_log(&o, o.file != NULL ? &res : NULL);
	free(o.tsa);
	free(o.pulse_pem);
	/* A verdict that could not be written is none. */
	if (fflush(stdout) != 0 || ferror(stdout))
		code = EXIT_READ;
	return code;
}
