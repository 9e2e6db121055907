/*
 * Proposals and their approvals: see proposal.h. Pure; runs in hsm and keyadm, where it decides,
 * and in engine and kleroctl, where it shows.
 */
#include "policy/proposal.h"

#include <stdio.h>
#include <string.h>

#include "policy/base58.h"
#include "policy/canon.h"
#include "policy/evm.h"
#include "policy/text.h"

#define WORDS_MAX 512

const char *const proposal_words[PROPOSAL_ACTION_COUNT] = {
#define X(name, word, purpose, version, officers, payout, draw) word,
    PROPOSAL_ACTIONS(X)
#undef X
};

static const struct {
	bool purpose, version, officers, payout, draw;
} fields[PROPOSAL_ACTION_COUNT] = {
#define X(name, word, purpose, version, officers, payout, draw)                                    \
	{purpose, version, officers, payout, draw},
    PROPOSAL_ACTIONS(X)
#undef X
};

/* What a wallet would ask before it signs. */
static void payout_sentence(const struct proposal *p, char out[WORDS_MAX])
{
	const struct payout *pay = &p->payout;
	char value[U256_TEXT_MAX + 1], cost[U256_TEXT_MAX + 1], to[BASE58_LEN(32) + 1], pool[37];
	char chain[TEXT_U64_MAX + sizeof "evm:"] = "solana";
	bool evm = pay->kind == PAYOUT_EVM;
	struct u256 most = pay->value;

	if (payout_cost(pay, &most) != KE_OK)
		memset(most.be, 0xff, sizeof most.be);
	u256_text(value, &pay->value);
	u256_text(cost, &most);
	text_uuid(pool, p->pool);
	if (evm) {
		snprintf(chain, sizeof chain, "evm:%lu", (unsigned long)pay->chain_id);
		evm_address_text(to, pay->to);
	} else {
		base58_put(to, pay->to, 32);
	}
	snprintf(out, WORDS_MAX,
	    "pay %s %s on the chain %s to %s from the address of pool %s, at a cost of %s at most, "
	    "fees included",
	    value, evm ? "wei" : "lamports", chain, to, pool, cost);
}

/* The action in a sentence, for whoever signs it. */
static void sentence(const struct proposal *p, char out[WORDS_MAX])
{
	enum key_purpose purpose = p->purpose < KEY_PURPOSES ? p->purpose : KEY_MASTER;
	const char *word = purpose_words[purpose], *does = purpose_does(purpose);
	unsigned long v = (unsigned long)p->version;
	char raffle[37];

	switch (p->action) {
	case PROPOSE_ROTATE:
		snprintf(out, WORDS_MAX,
		    "make a new version of the key '%s', which %s, and use it from now on", word,
		    does);
		break;
	case PROPOSE_ROLL_BACK:
		snprintf(out, WORDS_MAX,
		    "go back to version %lu of the key '%s', which %s; the versions after it only "
		    "verify and open",
		    v, word, does);
		break;
	case PROPOSE_DESTROY:
		snprintf(out, WORDS_MAX,
		    "destroy version %lu of the key '%s', which %s; nothing brings it back", v,
		    word, does);
		break;
	case PROPOSE_ABANDON:
		snprintf(out, WORDS_MAX,
		    "destroy version %lu of the key '%s', which %s, and give up whatever still "
		    "stands under it; nothing brings either back",
		    v, word, does);
		break;
	case PROPOSE_COMPROMISE:
		snprintf(out, WORDS_MAX,
		    "mark version %lu of the key '%s', which %s, as compromised for ever, and "
		    "replace it at once",
		    v, word, does);
		break;
	case PROPOSE_PAYOUT:
		payout_sentence(p, out);
		break;
	case PROPOSE_DRAW:
		text_uuid(raffle, p->raffle);
		snprintf(out, WORDS_MAX, "reveal the seed of raffle %s and draw its winners, once",
		    raffle);
		break;
	default:
		snprintf(out, WORDS_MAX,
		    "let these %zu officers decide from now on, any %lu of them together; "
		    "everything that is proposed and not yet approved is void",
		    p->officers.n, (unsigned long)p->officers.threshold);
	}
}

/* Which payout, to the last byte: in hex, for hsm; the sentence says the same to people. */
static void payout_lines(struct canon *io, struct proposal *p)
{
	uint8_t wire[PAYOUT_WIRE_MAX];
	size_t n = 0;

	canon_hex_line(io, "pool ", p->pool, sizeof p->pool);
	canon_lit(io, "payout ");
	if (canon_reads(io))
		n = canon_word(io) / 2;
	else if (payout_put(&p->payout, wire, sizeof wire, &n) != KE_OK)
		canon_fail(io, KE_FORMAT);
	if (n > sizeof wire)
		canon_fail(io, KE_FORMAT);
	if (io->err != KE_OK)
		return;
	canon_hex(io, wire, n);
	if (canon_reads(io) && io->err == KE_OK && payout_get(&p->payout, wire, n) != KE_OK)
		canon_fail(io, KE_FORMAT);
	canon_lit(io, "\n");
}

static void text(struct canon *io, struct proposal *p)
{
	char words[WORDS_MAX];

	canon_lit(io, "kleroterion approval v1\n");
	canon_hex_line(io, "appliance ", p->appliance, 16);
	canon_u64_line(io, "epoch ", &p->epoch);
	canon_hex_line(io, "nonce ", p->nonce, 16);
	canon_u64_line(io, "expires ", &p->expires_s);
	if (canon_reads(io) ? canon_at(io, "proposer ") : p->proposer[0] != '\0') {
		canon_lit(io, "proposer ");
		canon_name(io, p->proposer, sizeof p->proposer);
		canon_lit(io, "\n");
	}
	canon_lit(io, "action ");
	canon_choice(io, proposal_words, PROPOSAL_ACTION_COUNT, &p->action);
	canon_lit(io, "\n");
	if (io->err != KE_OK)
		return;
	if (fields[p->action].purpose) {
		canon_lit(io, "purpose ");
		canon_choice(io, purpose_words, KEY_PURPOSES, &p->purpose);
		canon_lit(io, "\n");
	}
	if (fields[p->action].version)
		canon_u64_line(io, "version ", &p->version);
	if (fields[p->action].officers)
		officers_lines(io, &p->officers);
	if (fields[p->action].payout)
		payout_lines(io, p);
	if (fields[p->action].draw)
		canon_hex_line(io, "raffle ", p->raffle, sizeof p->raffle);
	if (io->err != KE_OK)
		return;
	sentence(p, words);
	canon_lit(io, "means ");
	canon_lit(io, words);
	canon_lit(io, "\n");
}

static bool valid(const struct proposal *p)
{
	if (p->action >= PROPOSAL_ACTION_COUNT || p->purpose >= KEY_PURPOSES)
		return false;
	if (fields[p->action].version && p->version == 0)
		return false;
	/* one approval, one payout: hsm signs one transaction for an id, for ever */
	if (fields[p->action].payout && memcmp(p->payout.id, p->nonce, sizeof p->nonce) != 0)
		return false;
	return !fields[p->action].officers || p->officers.n > 0;
}

int proposal_text(const struct proposal *p, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct proposal copy = *p;

	if (!valid(p))
		return KE_FORMAT;
	text(&io, &copy);
	*len = io.len;
	return io.err;
}

int proposal_parse(struct proposal *p, const char *s, size_t n)
{
	struct canon io = {.in = (const uint8_t *)s, .cap = n};

	*p = (struct proposal){.action = 0};
	text(&io, p);
	return io.err == KE_OK && io.len == n && valid(p) ? KE_OK : KE_FORMAT;
}

/* One line of the text's frame, which a name cannot hold: it has neither space nor LF. */
bool proposal_is_own(const char *text, const struct officer *o)
{
	char line[sizeof "\nproposer \n" + ANCHOR_NAME_MAX];

	snprintf(line, sizeof line, "\nproposer %s\n", o->name);
	return strstr(text, line) != NULL;
}

bool proposal_is_hsms(const char *text)
{
	return strstr(text, "\naction payout\n") != NULL || strstr(text, "\naction draw\n") != NULL;
}

/* --- approvals --- */

int approvals_split(
    const char *text, size_t n, struct approval out[ANCHOR_OFFICERS_MAX], size_t *count)
{
	const char *p = text, *end = text + n;

	*count = 0;
	while (p < end) {
		const char *tail =
		    memmem(p, (size_t)(end - p), SSH_ARMOR_END "\n", strlen(SSH_ARMOR_END "\n"));
		size_t len;

		if (tail == NULL || *count == ANCHOR_OFFICERS_MAX)
			return KE_FORMAT;
		len = (size_t)(tail - p) + strlen(SSH_ARMOR_END "\n");
		if (len > SSH_ARMOR_MAX)
			return KE_FORMAT;
		out[(*count)++] = (struct approval){p, len};
		p += len;
	}
	return KE_OK;
}

const struct officer *proposal_signer(
    const struct anchor *a, const char *text, size_t n, const struct approval *approval, int *r)
{
	struct ssh_key k;

	*r = sshsig_verify(&k, PROPOSAL_NAMESPACE, approval->armor, approval->n, text, n);
	if (*r != KE_OK)
		return NULL;
	for (size_t i = 0; i < a->officers.n; i++) {
		const struct officer *o = &a->officers.officer[i];

		if (o->key.blob_len == k.blob_len && memcmp(o->key.blob, k.blob, k.blob_len) == 0)
			return o;
	}
	*r = KE_DENIED;
	return NULL;
}

static int refuse(struct proposal_verdict *v, int r, const char *why)
{
	v->why = why;
	return r;
}

/* Is it for this appliance, these officers, this time, and not used up? */
static int check_frame(
    const struct proposal *p, const struct anchor *a, uint64_t now_s, struct proposal_verdict *v)
{
	if (memcmp(p->appliance, a->appliance, 16) != 0)
		return refuse(v, KE_DENIED, "it is for another appliance");
	if (a->officers.n == 0)
		return refuse(v, KE_STATE, "no officers are enrolled");
	if (p->epoch != a->epoch)
		return refuse(v, KE_STATE, "the officers have changed since it was proposed");
	if (p->expires_s <= now_s)
		return refuse(v, KE_TIMEOUT, "it has expired");
	if (p->expires_s - now_s > PROPOSAL_LIFE_MAX)
		return refuse(v, KE_TIMEOUT, "it would stand open for more than 30 days");
	for (size_t i = 0; i < a->nonces; i++)
		if (memcmp(a->nonce[i].nonce, p->nonce, 16) == 0)
			return refuse(v, KE_EXISTS, "it has been carried out already");
	if (p->proposer[0] != '\0' && officers_find(&a->officers, p->proposer) == NULL)
		return refuse(v, KE_DENIED, "its proposer is none of the officers");
	return KE_OK;
}

static int check_approval(const struct proposal *p, const struct anchor *a, const char *text,
    size_t n, const struct approval *approval, bool *seen, struct proposal_verdict *v)
{
	int r;
	const struct officer *o = proposal_signer(a, text, n, approval, &r);

	if (o == NULL && r == KE_DENIED)
		return refuse(v, r, "it is signed by none of the officers, or not for approvals");
	if (o == NULL)
		return refuse(v, KE_CRYPTO, "a signature is not one over this proposal");
	if (strcmp(o->name, p->proposer) == 0)
		return refuse(v, KE_DENIED, "an officer approves what he has proposed himself");
	if (seen[o - a->officers.officer])
		return refuse(v, KE_EXISTS, "one officer approves twice");
	seen[o - a->officers.officer] = true;
	v->approvals++;
	return KE_OK;
}

int proposal_count(struct proposal *p, const struct anchor *a, const char *text, size_t n,
    const struct approval *approvals, size_t count, uint64_t clock_s, struct proposal_verdict *v)
{
	bool seen[ANCHOR_OFFICERS_MAX] = {false};
	int r;

	*v = (struct proposal_verdict){.why = "good"};
	if (proposal_parse(p, text, n) != KE_OK)
		return refuse(v, KE_FORMAT, "it is not a proposal in its only form");
	r = check_frame(p, a, anchor_now(a, clock_s), v);
	for (; r == KE_OK && v->at < count; v->at++) {
		r = check_approval(p, a, text, n, &approvals[v->at], seen, v);
		if (r != KE_OK)
			return r;
	}
	if (r == KE_OK && v->approvals < a->officers.threshold)
		return refuse(v, KE_AGAIN, "not enough officers have approved");
	return r;
}
