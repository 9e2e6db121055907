/*
 * A buyer's receipt: see receipt.h. Pure.
 */
#include "policy/receipt.h"

#include <stdio.h>
#include <string.h>

#include "policy/merkle.h"
#include "policy/text.h"

static int no(struct receipt *r, int err, const char *what)
{
	snprintf(r->why, sizeof(r->why), "%s", what);
	return err;
}

/* A ticket log's key is the operator's under the log's own name. */
static int log_key(struct receipt *r, const char *note, size_t n, struct note_key *k)
{
	const char *lf = memchr(note, '\n', n);
	size_t len = lf != NULL ? (size_t)(lf - note) : 0, own = strlen(r->key->name);

	*k = *r->key;
	if (len <= own + 3 || len > NOTE_NAME_MAX || memcmp(note, k->name, own) != 0 ||
	    memcmp(note + own, "/r/", 3) != 0)
		return KE_OK; /* it must be the log's key as it is */
	memcpy(k->name, note, len);
	k->name[len] = '\0';
	if (memchr(k->name, '\0', len) != NULL)
		return no(r, KE_FORMAT, "the receipt's checkpoint is of no log");
	note_key_id(k->id, k->name, k->type, k->pub);
	return KE_OK;
}

static int check_witnesses(struct receipt *r, const struct tlog_proof *p)
{
	uint64_t seen;

	if (r->policy == NULL)
		return KE_OK;
	if (tlog_policy_seen(r->policy, p->note, p->note_len, UINT64_MAX, &seen) != KE_OK)
		return no(r, KE_CRYPTO, "a witness's cosignature is wrong");
	r->seen = (unsigned)__builtin_popcountll(seen);
	return tlog_policy_met(r->policy, seen)
		   ? KE_OK
		   : no(r, KE_CRYPTO, "not enough witnesses saw the receipt's checkpoint");
}

/* Whose ticket it is, and what he wished: the salt comes with the receipt. */
static int check_buyer(struct receipt *r, const struct tlog_proof *p)
{
	uint8_t have[32];

	if (r->holder != NULL) {
		if (p->extra_len != 32 || strlen(r->holder) > UINT16_MAX)
			return no(r, KE_CRYPTO, "the receipt has no salt to know a holder by");
		leaf_holder_commit(have, p->extra, r->holder, strlen(r->holder));
		if (memcmp(have, r->leaf.holder_commit, 32) != 0)
			return no(r, KE_CRYPTO, "the ticket is another holder's");
	}
	if (r->client_seed != NULL) {
		if (strlen(r->client_seed) > UINT16_MAX)
			return no(r, KE_CRYPTO, "no client seed is so long");
		leaf_client_seed_hash(have, r->client_seed, strlen(r->client_seed));
		if (memcmp(have, r->leaf.client_seed_hash, 32) != 0)
			return no(r, KE_CRYPTO, "the ticket was bought with another client seed");
	}
	return KE_OK;
}

static int check_log(struct receipt *r, const struct tlog_proof *p, const uint8_t leaf[LEAF_LEN])
{
	struct note_key key;
	uint8_t hash[32];
	int e = log_key(r, p->note, p->note_len, &key);

	if (e != KE_OK)
		return e;
	merkle_leaf_hash(hash, leaf, LEAF_LEN);
	e = tlog_proof_verify(p, hash, &key, &r->log);
	if (e == KE_NOTFOUND)
		return no(r, e, "the receipt's checkpoint is not signed by that key");
	if (e == KE_FORMAT)
		return no(r, e, "the receipt's checkpoint is of another log");
	if (e != KE_OK)
		return no(r, KE_CRYPTO,
		    "the ticket is not in the log: it, its receipt or the "
		    "signature was altered");
	return p->index == r->leaf.index
		   ? KE_OK
		   : no(r, KE_CRYPTO, "the ticket stands in the log where another one belongs");
}

int receipt_check(struct receipt *r, const char *text, size_t n, const uint8_t leaf[LEAF_LEN])
{
	struct tlog_proof p;
	int e;

	r->why[0] = '\0';
	if (leaf_decode(&r->leaf, leaf, LEAF_LEN) != KE_OK)
		return no(r, KE_FORMAT, "that is not the leaf of a ticket");
	if (tlog_proof_parse(&p, text, n) != KE_OK)
		return no(r, KE_FORMAT, "that is not a receipt (a tlog-proof)");
	e = check_log(r, &p, leaf);
	if (e == KE_OK)
		e = check_witnesses(r, &p);
	return e == KE_OK ? check_buyer(r, &p) : e;
}
