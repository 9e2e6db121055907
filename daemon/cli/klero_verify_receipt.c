/*
 * klero-verify --receipt: a buyer's receipt, offline. All judgement is in policy/receipt.c. Runs as
 * the buyer's own program.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/klero_verify.h"
#include "policy/origin.h"
#include "policy/receipt.h"
#include "policy/text.h"

/* 232 hex digits, or a file that holds them or the 116 bytes themselves. */
static int read_leaf(const char *word, uint8_t leaf[LEAF_LEN])
{
	char *buf = NULL;
	size_t n = 0;
	int r = KE_FORMAT;

	if (text_unhex(leaf, LEAF_LEN, word, strlen(word)) == KE_OK)
		return EXIT_VERIFIED;
	if (verify_read(word, 4096, &buf, &n) != KE_OK) {
		free(buf);
		return EXIT_READ;
	}
	if (n == LEAF_LEN) {
		memcpy(leaf, buf, LEAF_LEN);
		r = KE_OK;
	} else {
		r = text_unhex(leaf, LEAF_LEN, buf, n > 0 && buf[n - 1] == '\n' ? n - 1 : n);
	}
	free(buf);
	return r == KE_OK ? EXIT_VERIFIED
			  : verify_usage("a leaf has 116 bytes, or 232 lower-case hex digits");
}

static void print_shown(const struct options *o, const struct receipt *r)
{
	char id[37], raffle[37], when[25];

	text_uuid(id, r->leaf.ticket);
	text_uuid(raffle, r->leaf.raffle);
	text_time(when, (int64_t)r->leaf.issued_ms);
	printf("ok   ticket        %s, number %" PRIu64 " of raffle %s, sold %s\n", id,
	    r->leaf.index, raffle, when);
	printf("ok   log           it is in %s, as of %" PRIu64 " tickets\n", r->log.origin,
	    r->log.size);
	if (r->policy != NULL)
		printf("ok   witnesses     %u saw that\n", r->seen);
	if (o->holder != NULL)
		printf("ok   holder        it is that holder's\n");
	if (o->client_seed != NULL)
		printf("ok   client seed   it was bought with that one\n");
}

int verify_receipt(const struct options *o)
{
	static struct receipt r; /* too large for the stack */
	struct note_key key;
	uint8_t leaf[LEAF_LEN];
	char *text = NULL;
	size_t n;
	int code, e;

	if (o->leaf == NULL || !o->have_key)
		return verify_usage("--receipt needs --leaf and --vkey");
	code = read_leaf(o->leaf, leaf);
	if (code == EXIT_VERIFIED && verify_read(o->receipt, RECEIPT_MAX, &text, &n) != KE_OK)
		code = EXIT_READ;
	if (code != EXIT_VERIFIED)
		goto out;
	key = o->key;
	origin_oplog_key(&key);
	r.key = &key;
	r.policy = o->have_policy ? &o->policy : NULL;
	r.holder = o->holder;
	r.client_seed = o->client_seed;
	e = receipt_check(&r, text, n, leaf);
	if (e == KE_OK && !o->quiet)
		print_shown(o, &r);
	if (e == KE_OK)
		puts("VERIFIED");
	else
		printf("NOT VERIFIED: %s\n", r.why);
	code = e == KE_OK ? EXIT_VERIFIED : EXIT_NOT;
out:
	free(text);
	return code;
}
