/*
 * Makes valid v1 bundles with a throw-away key, for tests, fuzz seeds and the benchmark: everything
 * that a test wants to tamper with lies open between made_init() and made_write().
 */
#ifndef TESTS_BUNDLE_MAKE_H
#define TESTS_BUNDLE_MAKE_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle.h"
#include "policy/hash.h"
#include "policy/leaf.h"
#include "policy/merkle.h"
#include "policy/record.h"

#define MADE_NAME "draws.example.org/klero/log"

struct made {
	uint8_t pub[32], secret[64];
	char vkey[400];
	struct record1 rec;
	struct record_pick picks[RECORD1_PICKS_MAX];
	uint8_t raffle[16]; /* what the JSON says */
	uint32_t winners, reserves;
	uint64_t n;
	uint8_t (*leaf)[LEAF_LEN];
	char (*seed)[40];
};

static inline void made_leaf(struct made *m, uint64_t i)
{
	struct leaf l = {.index = i, .issued_ms = 1785000000000 + i};

	memcpy(l.raffle, m->raffle, 16);
	hash_sha256_2(l.holder_commit, "holder", 6, &i, sizeof(i));
	memcpy(l.ticket, l.holder_commit, 16);
	/* every seventh buyer gave no seed */
	if (i % 7 != 0)
		snprintf(m->seed[i], sizeof(m->seed[i]), "client seed %llu", (unsigned long long)i);
	leaf_client_seed_hash(l.client_seed_hash, m->seed[i], strlen(m->seed[i]));
	leaf_encode(m->leaf[i], &l);
}

/* Root and aggregate of the leaves and seeds as they are now. */
static inline void made_sums(struct made *m)
{
	uint8_t state[HASH_STATE_LEN], digest[32];
	struct merkle_range range;

	merkle_range_init(&range);
	hash_run_start(state);
	for (uint64_t i = 0; i < m->n; i++) {
		merkle_leaf_hash(digest, m->leaf[i], LEAF_LEN);
		merkle_range_add(&range, digest);
		hash_sha256(digest, m->seed[i], strlen(m->seed[i]));
		hash_run_add(state, digest, sizeof(digest));
	}
	merkle_range_root(&range, m->rec.root);
	hash_run_end(m->rec.aggregate, state);
	m->rec.tickets = m->n;
}

/* The draw and the winners' ticket ids from what the record says now; 0 when it worked. */
static inline int made_draw(struct made *m)
{
	struct leaf l;

	if (record1_draw(&m->rec) != KE_OK)
		return -1;
	for (uint32_t i = 0; i < m->rec.winners + m->rec.reserves; i++) {
		if (leaf_decode(&l, m->leaf[m->picks[i].index], LEAF_LEN) != KE_OK)
			return -1;
		memcpy(m->picks[i].ticket, l.ticket, 16);
	}
	return 0;
}

static inline uint32_t made_least(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

/* A whole raffle of n tickets, drawn; 0 when it worked. The same key and texts each time. */
static inline int made_init(struct made *m, uint64_t n, uint32_t winners, uint32_t reserves)
{
	struct record1 *r = &m->rec;
	uint8_t seed[32];

	memset(m, 0, sizeof(*m));
	memset(seed, 7, sizeof(seed));
	crypto_sign_seed_keypair(m->pub, m->secret, seed);
	if (note_vkey(MADE_NAME, NOTE_ED25519, m->pub, m->vkey, sizeof(m->vkey)) != KE_OK)
		return -1;
	memset(m->raffle, 0xab, 16);
	m->n = n;
	m->winners = winners;
	m->reserves = reserves;
	m->leaf = calloc(n, sizeof(*m->leaf));
	m->seed = calloc(n, sizeof(*m->seed));
	if (m->leaf == NULL || m->seed == NULL)
		return -1;
	for (uint64_t i = 0; i < n; i++)
		made_leaf(m, i);
	memcpy(r->raffle, m->raffle, 16);
	memset(r->server_seed, 9, 32);
	hash_sha256(r->seed_commit, r->server_seed, 32);
	memcpy(r->entropy, "some entropy", 12);
	r->entropy_len = 12;
	memset(r->entropy_by, 3, 16);
	r->entropy_ms = 1785000900000;
	r->drawn_ms = 1785000901000;
	r->winners = made_least(winners, n);
	r->reserves = made_least(reserves, n - r->winners);
	r->picks = m->picks;
	made_sums(m);
	return made_draw(m);
}

static inline void made_free(struct made *m)
{
	free(m->leaf);
	free(m->seed);
}

/* The signed note; *len its length. 0 when it worked. */
static inline int made_note(const struct made *m, char *note, size_t cap, size_t *len)
{
	uint8_t sig[64], id[4];
	size_t line;

	if (record1_text(&m->rec, note, cap, len) != KE_OK || cap - *len < 2)
		return -1;
	crypto_sign_detached(sig, NULL, (const uint8_t *)note, *len, m->secret);
	note_key_id(id, MADE_NAME, NOTE_ED25519, m->pub);
	note[(*len)++] = '\n';
	if (note_sig_line(MADE_NAME, NOTE_ED25519, id, sig, note + *len, cap - *len, &line) !=
	    KE_OK)
		return -1;
	*len += line;
	return 0;
}

static inline int made_flush(FILE *f, const char *buf, size_t *len)
{
	size_t n = *len;

	*len = 0;
	return fwrite(buf, 1, n, f) == n ? 0 : -1;
}

/* Signs and writes the bundle; 0 when it worked. */
static inline int made_write(const struct made *m, FILE *f)
{
	static char note[RECORD1_TEXT_MAX + 1024], buf[BUNDLE_HEAD_CAP(sizeof(note))];
	struct bundle_head h = {
	    .vkey = m->vkey, .title = "A raffle", .winners = m->winners, .reserves = m->reserves};
	size_t len = 0;

	if (made_note(m, note, sizeof(note), &h.note_len) != 0)
		return -1;
	h.note = note;
	memcpy(h.raffle, m->raffle, 16);
	if (bundle_put_head(&h, buf, sizeof(buf), &len) != KE_OK || made_flush(f, buf, &len) != 0)
		return -1;
	for (uint64_t i = 0; i < m->n; i++)
		if (bundle_put_leaf(m->leaf[i], i == 0, buf, sizeof(buf), &len) != KE_OK ||
		    made_flush(f, buf, &len) != 0)
			return -1;
	if (bundle_put_middle(buf, sizeof(buf), &len) != KE_OK || made_flush(f, buf, &len) != 0)
		return -1;
	for (uint64_t i = 0; i < m->n; i++)
		if (bundle_put_seed(
			m->seed[i], strlen(m->seed[i]), i == 0, buf, sizeof(buf), &len) != KE_OK ||
		    made_flush(f, buf, &len) != 0)
			return -1;
	if (bundle_put_tail(buf, sizeof(buf), &len) != KE_OK)
		return -1;
	return made_flush(f, buf, &len);
}

#endif
