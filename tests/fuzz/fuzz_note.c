/*
 * Fuzz target: verifier keys and signed notes. The input is a verifier key, LF, a note. A key that
 * parses must come out as the same text; a note that opens under a key nobody has the secret of
 * would be a forgery (but for the seeds, whose signatures are real); after a line of ours is added
 * the note must open under our key.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "policy/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_vkey(const char *s, size_t n, const struct note_key *k)
{
	char again[NOTE_VKEY_MAX];

	must(note_vkey(k->name, k->type, k->pub, again, sizeof(again)) == KE_OK);
	must(strlen(again) == n && memcmp(again, s, n) == 0);
}

/* Signs the note's text with a key of our own and appends the line. */
static void check_signed(const char *msg, size_t n, size_t text_len)
{
	static const uint8_t seed[32] = {1};
	uint8_t secret[64], sig[64];
	struct note_key own = {.name = "fuzz.example", .type = NOTE_ED25519};
	char *longer = malloc(n + 512);
	size_t line, len;
	int r;

	must(longer != NULL);
	crypto_sign_seed_keypair(own.pub, secret, seed);
	note_key_id(own.id, own.name, own.type, own.pub);
	memcpy(longer, msg, n);
	crypto_sign_detached(sig, NULL, (const uint8_t *)msg, text_len, secret);
	must(note_sig_line(own.name, own.type, own.id, sig, longer + n, 512, &line) == KE_OK);
	r = note_open(longer, n + line, &own, &len);
	/* it may have had sixteen signatures already, or a bad one of ours */
	must(r == KE_FORMAT || r == KE_CRYPTO || (r == KE_OK && len == text_len));
	if (r == KE_OK) {
		longer[0] ^= 1;
		must(note_open(longer, n + line, &own, &len) != KE_OK);
	}
	free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data, *lf = memchr(s, '\n', size), *msg;
	struct note_key k = {.name = "none.example"};
	size_t n, text_len;
	int r;

	if (lf == NULL)
		return 0;
	msg = lf + 1;
	n = size - (size_t)(msg - s);
	if (note_vkey_parse(&k, s, (size_t)(lf - s)) == KE_OK)
		check_vkey(s, (size_t)(lf - s), &k);
	else
		k = (struct note_key){.name = "none.example"};
	r = note_open(msg, n, &k, &text_len);
	if (r == KE_FORMAT)
		return 0;
	must(text_len > 0 && text_len < n && msg[text_len - 1] == '\n' && msg[text_len] == '\n');
	check_signed(msg, n, text_len);
	return 0;
}
