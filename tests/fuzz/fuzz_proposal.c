/*
 * Fuzz target: the texts of anchors and proposals, a list of approvals, a list of officers. What is
 * read must be written as the very same bytes; what an anchor says of its keys must hold together;
 * approvals are the whole text, one after the other; what a list of officers gives fits the anchor.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/officers.h"
#include "policy/proposal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_anchor(const char *s, size_t n)
{
	static struct anchor a;
	static char again[ANCHOR_TEXT_MAX];
	uint64_t version;
	size_t len;

	if (n > ANCHOR_TEXT_MAX || anchor_parse(&a, s, n) != KE_OK)
		return;
	must(anchor_text(&a, again, sizeof again, &len) == KE_OK);
	must(len == n && memcmp(again, s, n) == 0);
	must(officers_check(&a.officers) == KE_OK);
	for (size_t i = 0; i < a.keys; i++) {
		const struct anchor_key *k = anchor_active(&a, a.key[i].purpose, 1800000000);

		must(k == NULL || k->status == ANCHOR_LIVE);
		if (k == &a.key[i])
			must(anchor_destroy(&a, k->purpose, k->version, 1800000000) == KE_STATE);
	}
	if (anchor_add(&a, KEY_TLS, 1, &version) == KE_OK)
		must(anchor_key(&a, KEY_TLS, version) == &a.key[a.keys - 1]);
}

static void check_proposal(const char *s, size_t n)
{
	static struct proposal p;
	static char again[PROPOSAL_TEXT_MAX + 1];
	size_t len;

	if (n > PROPOSAL_TEXT_MAX || proposal_parse(&p, s, n) != KE_OK)
		return;
	must(proposal_text(&p, again, sizeof again, &len) == KE_OK);
	must(len == n && memcmp(again, s, n) == 0);
}

static void check_approvals(const char *s, size_t n)
{
	struct approval a[ANCHOR_OFFICERS_MAX];
	size_t count, at = 0;

	if (approvals_split(s, n, a, &count) != KE_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		must(a[i].armor == s + at && a[i].n <= SSH_ARMOR_MAX);
		at += a[i].n;
	}
	must(at == n);
}

/* A list as people write it: what is taken fits the anchor, and a refused line is one of it. */
static void check_officers(const char *s, size_t n)
{
	static struct officers o, again;
	static char text[ANCHOR_TEXT_MAX];
	size_t line, len, lines = 1;
	int r = officers_read(&o, 1, s, n, &line);

	for (size_t i = 0; i < n; i++)
		lines += s[i] == '\n';
	must(line <= lines);
	if (r != KE_OK) {
		must((r == KE_FORMAT || r == KE_FULL) == (line > 0));
		return;
	}
	must(officers_text(&o, text, sizeof text, &len) == KE_OK);
	must(officers_parse(&again, text, len) == KE_OK && again.n == o.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_officers((const char *)data, size);
	check_approvals((const char *)data, size);
	check_anchor((const char *)data, size);
	check_proposal((const char *)data, size);
	return 0;
}
