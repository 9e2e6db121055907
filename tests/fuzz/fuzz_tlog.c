/*
 * Fuzz target: checkpoints, proofs of inclusion and trust policies. The first byte chooses. What is
 * read as a checkpoint or a proof must be written again to the very same bytes; a policy's verdict
 * must not turn to no when one more witness has seen something.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_checkpoint(const char *text, size_t n)
{
	char again[CHECKPOINT_TEXT_MAX];
	struct checkpoint c;
	size_t len;

	if (checkpoint_parse(&c, text, n) != KE_OK)
		return;
	must(checkpoint_text(&c, again, sizeof(again), &len) == KE_OK);
	must(len == n && memcmp(again, text, n) == 0);
}

static void check_proof(const char *text, size_t n)
{
	static const struct note_key key = {.name = "fuzz.example", .type = NOTE_ED25519};
	static const struct note_key witness = {.name = "w.example", .type = NOTE_COSIGN};
	uint8_t leaf[32] = {0};
	struct tlog_proof p;
	struct checkpoint c;
	char *again = malloc(n + 1);
	uint64_t when;
	size_t len;

	must(again != NULL);
	if (tlog_proof_parse(&p, text, n) == KE_OK) {
		must(tlog_proof_text(&p, again, n, &len) == KE_OK);
		must(len == n && memcmp(again, text, n) == 0);
		/* nobody has signed by these keys */
		must(tlog_proof_verify(&p, leaf, &key, &c) != KE_OK);
		must(cosign_verify(p.note, p.note_len, &witness, &when) != KE_OK);
	}
	free(again);
}

/* Written again it is no longer than it was, and means the same. */
static void write_policy(const struct tlog_policy *p, struct tlog_policy *back, size_t most)
{
	char *text = malloc(most + 1);
	size_t n;

	must(text != NULL);
	must(tlog_policy_text(p, NULL, 0, text, most + 1, &n) == KE_OK && n <= most);
	must(tlog_policy_parse(back, text, n, NULL) == KE_OK);
	must(back->nwitnesses == p->nwitnesses && back->quorum == p->quorum);
	free(text);
}

static void check_policy(const char *text, size_t n)
{
	static struct tlog_policy p, back;
	uint64_t seen = 0;
	bool met;

	if (tlog_policy_parse(&p, text, n, NULL) != KE_OK)
		return;
	write_policy(&p, &back, n);
	met = tlog_policy_met(&p, 0);
	for (size_t i = 0; i < p.nwitnesses; i++) {
		bool before = met;

		seen |= (uint64_t)1 << i;
		met = tlog_policy_met(&p, seen);
		must(met || !before);
		must(tlog_policy_met(&back, seen) == met);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		check_checkpoint(text, size - 1);
		break;
	case 1:
		check_proof(text, size - 1);
		break;
	default:
		check_policy(text, size - 1);
	}
	return 0;
}
