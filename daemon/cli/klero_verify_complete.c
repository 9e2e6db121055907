/*
 * klero-verify --complete: a draw that the operator did not make, finished by anybody from public
 * texts and the seed that an escrow gave. All judgement is in policy/complete.c. Runs as the
 * auditor's own program, on files from people whom he does not trust.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/klero_verify.h"
#include "policy/complete.h"
#include "policy/drand.h"
#include "policy/pulse.h"
#include "policy/text.h"

#define ENTRIES_MAX ((size_t)16 << 30)

static int no(const char *what)
{
	printf("NOT COMPLETED: %s\n", what);
	return EXIT_NOT;
}

static int read_record(
    const char *file, enum record2_kind kind, struct record2 *rec, uint8_t leaf[32])
{
	char *text = NULL;
	size_t n;
	int code = EXIT_READ;

	if (verify_read(file, RECORD2_TEXT_MAX, &text, &n) == KE_OK) {
		*rec = (struct record2){.picks = NULL};
		code = record2_parse(rec, text, n) == KE_OK && rec->kind == kind
			   ? EXIT_VERIFIED
			   : no("a record is not what it should be");
		record2_leaf(leaf, text, n);
	}
	free(text);
	return code;
}

/* --- the beacons' values --- */

static int take_round(const struct options *o, struct beacon *b, const char *json, size_t n)
{
	uint8_t quicknet[32], other[32];
	const struct drand_chain *chain = NULL;
	uint64_t round;

	drand_chain_hash(quicknet, &drand_quicknet);
	if (memcmp(b->chain_hash, quicknet, 32) == 0)
		chain = &drand_quicknet;
	if (o->have_chain)
		drand_chain_hash(other, &o->chain);
	if (o->have_chain && memcmp(b->chain_hash, other, 32) == 0)
		chain = &o->chain;
	if (chain == NULL)
		return no("a beacon is of a chain that is not known: --drand-chain FILE");
	if (drand_round_parse(&round, b->signature, json, n) != KE_OK || round != b->round)
		return no("a value is not that of the round that was promised");
	if (drand_verify(chain, round, b->signature, BLS_SIG_LEN) != KE_OK)
		return no("a round is not signed by its chain");
	return EXIT_VERIFIED;
}

static bool trusted(const struct options *o, const struct pulse *p)
{
	return o->pulse_pem != NULL && pulse_verify(p, o->pulse_pem, o->pulse_pem_len) == KE_OK;
}

static int read_previous(const struct options *o, struct pulse *before)
{
	char *json = NULL;
	size_t n;
	int code = EXIT_READ;

	if (verify_read(o->previous, PULSE_JSON_MAX, &json, &n) == KE_OK)
		code = pulse_parse(before, json, n) == KE_OK
			   ? EXIT_VERIFIED
			   : no("the previous pulse cannot be read");
	free(json);
	return code;
}

/* NIST's: the first one from that moment on, by a certificate that the auditor trusts. */
static int take_pulse(const struct options *o, struct beacon *b, const char *json, size_t n)
{
	bool shown = o->previous != NULL;
	struct pulse p, before;

	if (shown) {
		int code = read_previous(o, &before);

		if (code != EXIT_VERIFIED)
			return code;
	}
	if (pulse_parse(&p, json, n) != KE_OK || p.chain != b->chain ||
	    pulse_first(&p, shown ? &before : NULL, (int64_t)b->at_ms) != KE_OK)
		return no("a pulse is not the first one from the promised moment on");
	if (!trusted(o, &p) || (shown && !trusted(o, &before)))
		return no("a pulse is not signed by the certificate of --nist-certificate");
	b->pulse = p.pulse;
	memcpy(b->output, p.output, sizeof(b->output));
	return EXIT_VERIFIED;
}

static int take_values(const struct options *o, struct record2_terms *t, char **files, int n)
{
	int code = EXIT_VERIFIED;

	if ((size_t)n != t->nbeacons)
		return no("not as many values as the record promises");
	for (int i = 0; code == EXIT_VERIFIED && i < n; i++) {
		struct beacon *b = &t->beacons[i];
		char *json = NULL;
		size_t len;

		code = EXIT_READ;
		if (verify_read(files[i], PULSE_JSON_MAX, &json, &len) == KE_OK)
			code = b->kind == BEACON_DRAND ? take_round(o, b, json, len)
						       : take_pulse(o, b, json, len);
		free(json);
	}
	return code;
}

/* --- the draw --- */

static void print_hex(const char *name, const void *p, size_t n)
{
	char hex[65];

	text_hex(hex, p, n);
	printf("%s %s\n", name, hex);
}

/* The lines that stand in a draw record. */
static void print_picks(const struct complete *c)
{
	print_hex("context", c->context, 32);
	print_hex("draw-key", c->draw_key, 32);
	for (size_t i = 0; i < c->winners + c->reserves; i++) {
		bool won = i < c->winners;
		char id[33];

		text_hex(id, c->picks[i].ticket, 16);
		printf("%s %zu %llu %s\n", won ? "winner" : "reserve",
		    won ? i + 1 : i - c->winners + 1, (unsigned long long)c->picks[i].index, id);
	}
}

static int draw(struct complete *c, const uint8_t seed[32])
{
	static const char *const words[COMPLETE_STEPS] = {
	    [COMPLETE_RECORDS] = "the close record does not follow the open record",
	    [COMPLETE_SEED] = "the seed is not the one committed to when sales opened",
	    [COMPLETE_TICKETS] = "the entries are not the tickets of the close record's root",
	};
	enum complete_step step;
	int r = complete_draw(c, seed, &step);

	if (r == KE_NOMEM)
		return no("out of memory");
	if (r != KE_OK)
		return no(words[step]);
	print_picks(c);
	printf("COMPLETED: the draw that these records promised; that they are the operator log's "
	       "is what --log shows\n");
	return EXIT_VERIFIED;
}

/* OPEN CLOSE SEED ENTRIES VALUE… */
int verify_complete(const struct options *o, int argc, char **argv)
{
	static struct complete c;
	struct record2 amend;
	uint8_t seed[32], leaf[32];
	char *entries = NULL;
	int code;

	if (argc < 5 || text_unhex(seed, 32, argv[2], strlen(argv[2])) != KE_OK)
		return verify_usage(
		    "--complete wants OPEN CLOSE SEED ENTRIES VALUE..., the seed in "
		    "64 hex digits");
	code = read_record(argv[0], RECORD2_OPEN, &c.open, c.open_leaf);
	if (code == EXIT_VERIFIED)
		code = read_record(argv[1], RECORD2_CLOSE, &c.close, leaf);
	c.terms = c.open.terms;
	if (code == EXIT_VERIFIED && o->amend != NULL) {
		code = read_record(o->amend, RECORD2_AMEND, &amend, leaf);
		if (code == EXIT_VERIFIED && (memcmp(amend.raffle, c.open.raffle, 16) != 0 ||
						 memcmp(amend.open_leaf, c.open_leaf, 32) != 0))
			code = no("the amend record is of another open record");
		c.terms = amend.terms;
	}
	if (code == EXIT_VERIFIED)
		code = take_values(o, &c.terms, argv + 4, argc - 4);
	if (code == EXIT_VERIFIED &&
	    verify_read(argv[3], ENTRIES_MAX, &entries, &c.entries_len) != KE_OK)
		code = EXIT_READ;
	c.entries = (const uint8_t *)entries;
	if (code == EXIT_VERIFIED)
		code = draw(&c, seed);
	free(c.picks);
	free(entries);
	return code;
}
