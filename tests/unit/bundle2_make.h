/*
 * Makes valid v2 bundles with throw-away keys for the logs and a witness, and real rounds of
 * quicknet and a real pulse as beacons, for tests and fuzz seeds: everything that a test wants to
 * tamper with lies open between made2_init() and made2_write().
 */
#ifndef TESTS_BUNDLE2_MAKE_H
#define TESTS_BUNDLE2_MAKE_H

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/be.h"
#include "policy/bundle2.h"
#include "policy/bundle2_write.h"
#include "policy/hash.h"
#include "policy/leaf.h"
#include "policy/merkle.h"
#include "policy/record2.h"
#include "policy/text.h"

#define MADE2_HOST    "draws.example.org/klero"
#define MADE2_TICKETS MADE2_HOST "/r/abababababababababababababababab"
#ifndef MADE2_N_MAX /* tickets; who needs more says so before */
#define MADE2_N_MAX 64
#endif
#define MADE2_TEXT 16384

/* One of Merkle's trees, whole: small enough to prove anything by recursion over the list. */
struct made2_tree {
	uint8_t leaf[MADE2_N_MAX][32];
	size_t n;
};

enum {
	MADE2_OPEN,
	MADE2_CLOSE,
	MADE2_DRAW,
	MADE2_ABORT,
	MADE2_AMEND,
	MADE2_FORFEIT,
	MADE2_RECORDS
};
/* Where they stand in the operator log; a second forfeit stands behind the first. */
static const uint64_t made2_at[MADE2_RECORDS] = {1, 3, 4, 4, 2, 5};
#define MADE2_FORFEITS 40

struct made2 {
	uint8_t pub[32], secret[64], witness_pub[32], witness_secret[64];
	char operator_vkey[NOTE_VKEY_MAX], tickets_vkey[NOTE_VKEY_MAX], witness_vkey[NOTE_VKEY_MAX];
	char policy[2048];
	struct record2 rec[MADE2_RECORDS];
	bool aborted,
	    amended; /* the abort record is used for the draw's, the amend's terms count */
	uint64_t forfeits[MADE2_FORFEITS]; /* positions */
	size_t nforfeits;
	const void *stamp; /* a time stamp's token */
	size_t stamp_len;
	struct record_pick picks[MADE2_N_MAX];
	uint64_t pos_passed[MADE2_N_MAX];
	uint64_t passed[MADE2_N_MAX];
	size_t npassed;
	bool unlisted;    /* they stand as null */
	uint64_t holders; /* that many distinct ones */
	uint64_t n, seen_s;
	uint8_t leaf[MADE2_N_MAX][LEAF_LEN];
	struct made2_tree tickets, log;
	char text[MADE2_RECORDS][MADE2_TEXT];
	size_t text_len[MADE2_RECORDS];
	char forfeit_text[MADE2_FORFEITS][512];
	char pulse[PULSE_JSON_MAX], cert[PULSE_CERT_MAX];
	char chain_info[1024];
	uint8_t tickets_root[32];
	uint64_t tickets_size; /* of the signed checkpoint: altered by tests */
};

/* --- trees --- */

static inline void made2_root(const struct made2_tree *t, size_t from, size_t n, uint8_t out[32])
{
	struct merkle_range r;

	merkle_range_init(&r);
	for (size_t i = 0; i < n; i++)
		merkle_range_add(&r, t->leaf[from + i]);
	merkle_range_root(&r, out);
}

/* RFC 9162 section 2.1.3.1, top down; the path is returned bottom up. */
static inline void made2_path(const struct made2_tree *t, uint64_t index, struct tlog_proof *p)
{
	uint8_t down[TLOG_PATH_MAX][32];
	size_t from = 0, n = t->n, len = 0;

	while (n > 1) {
		size_t k = 1;

		while (2 * k < n)
			k *= 2;
		if (index - from < k) {
			made2_root(t, from + k, n - k, down[len++]);
			n = k;
		} else {
			made2_root(t, from, k, down[len++]);
			from += k;
			n -= k;
		}
	}
	p->index = index;
	p->path_len = len;
	for (size_t i = 0; i < len; i++)
		memcpy(p->path[i], down[len - 1 - i], 32);
}

/* --- notes --- */

/* A checkpoint signed by the log and cosigned by the witness. */
static inline int made2_checkpoint(
    const struct made2 *m, const struct checkpoint *c, char *note, size_t cap, size_t *n)
{
	struct note_key w = {.name = "witness.example.org/w1", .type = NOTE_COSIGN};
	char msg[COSIGN_TEXT_MAX], b64[TEXT_B64_LEN(4 + COSIGN_LEN) + 1];
	uint8_t sig[4 + COSIGN_LEN], id[4];
	size_t line, len;

	if (checkpoint_text(c, note, cap, n) != KE_OK ||
	    cosign_text(m->seen_s, note, *n, msg, sizeof(msg), &len) != KE_OK)
		return -1;
	note_key_id(sig, w.name, NOTE_COSIGN, m->witness_pub);
	be_put64(sig + 4, m->seen_s);
	crypto_sign_detached(sig + 12, NULL, (const uint8_t *)msg, len, m->witness_secret);
	text_b64(b64, sig, sizeof(sig));
	crypto_sign_detached(sig, NULL, (const uint8_t *)note, *n, m->secret);
	note_key_id(id, c->origin, NOTE_ED25519, m->pub);
	note[(*n)++] = '\n';
	if (note_sig_line(c->origin, NOTE_ED25519, id, sig, note + *n, cap - *n, &line) != KE_OK)
		return -1;
	*n += line;
	*n += (size_t)snprintf(note + *n, cap - *n, "\xe2\x80\x94 %s %s\n", w.name, b64);
	return 0;
}

static inline int made2_proof(const struct made2 *m, const struct made2_tree *t, const char *origin,
    uint64_t index, char *out, size_t cap)
{
	struct tlog_proof p = {0};
	struct checkpoint c = {.size = t->n};
	char note[4096];
	size_t n;

	snprintf(c.origin, sizeof(c.origin), "%s", origin);
	made2_root(t, 0, t->n, c.root);
	if (made2_checkpoint(m, &c, note, sizeof(note), &n) != 0)
		return -1;
	made2_path(t, index, &p);
	p.note = note;
	p.note_len = n;
	if (tlog_proof_text(&p, out, cap - 1, &n) != KE_OK)
		return -1;
	out[n] = '\0';
	return 0;
}

/* --- the raffle --- */

static inline void made2_leaf(struct made2 *m, uint64_t i)
{
	struct leaf l = {.index = i, .issued_ms = 1695000000000 + i};
	uint64_t holder = i % m->holders;

	memcpy(l.raffle, m->rec[0].raffle, 16);
	hash_sha256_2(l.client_seed_hash, "ticket", 6, &i, sizeof(i));
	memcpy(l.ticket, l.client_seed_hash, 16);
	hash_sha256_2(l.holder_commit, "holder", 6, &holder, sizeof(holder));
	leaf_encode(m->leaf[i], &l);
	merkle_leaf_hash(m->tickets.leaf[i], m->leaf[i], LEAF_LEN);
}

/* A vector's word: the signature of a round. */
static inline void made2_round(struct beacon *b, const char *round)
{
	FILE *f = fopen("tests/vectors/drand.txt", "r");
	char line[1024], kind[16], number[24], sig[128];

	b->kind = BEACON_DRAND;
	drand_chain_hash(b->chain_hash, &drand_quicknet);
	b->round = strtoull(round, NULL, 10);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%15s %23s %127s", kind, number, sig) == 3 &&
		    strcmp(kind, "round") == 0 && strcmp(number, round) == 0 &&
		    text_unhex(b->signature, BLS_SIG_LEN, sig, 96) != KE_OK)
			b->round = 0;
	if (f != NULL)
		fclose(f);
}

static inline size_t made2_file(const char *path, char *out, size_t cap)
{
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(out, 1, cap - 1, f) : 0;

	if (f != NULL)
		fclose(f);
	out[n] = '\0';
	return n;
}

static inline void made2_chain(struct made2 *m, const struct drand_chain *c)
{
	char pub[2 * BLS_PUB_LEN + 1], group[65], hex[65];
	uint8_t hash[32];

	drand_chain_hash(hash, c);
	text_hex(pub, c->pub, BLS_PUB_LEN);
	text_hex(group, c->group_hash, 32);
	text_hex(hex, hash, 32);
	snprintf(m->chain_info, sizeof(m->chain_info),
	    "{\"public_key\":\"%s\",\"period\":%u,\"genesis_time\":%llu,\"hash\":\"%s\","
	    "\"groupHash\":\"%s\",\"schemeID\":\"" DRAND_SCHEME
	    "\",\"metadata\":{\"beaconID\":\"%s\"}}",
	    pub, c->period_s, (unsigned long long)c->genesis_s, hex, group, c->id);
}

static inline void made2_beacons(struct made2 *m)
{
	struct record2_terms *t = &m->rec[MADE2_OPEN].terms;
	struct pulse p;
	size_t n =
	    made2_file("tests/vectors/nist/pulse-2-1918805.json", m->pulse, sizeof(m->pulse));

	made2_file("tests/vectors/nist/cert-528943a5.pem", m->cert, sizeof(m->cert));
	if (pulse_parse(&p, m->pulse, n) != KE_OK)
		memset(&p, 0, sizeof(p));
	made2_round(&t->beacons[0], "1000000");
	t->beacons[1] = (struct beacon){
	    .kind = BEACON_NIST2, .chain = p.chain, .pulse = p.pulse, .at_ms = (uint64_t)p.at_ms};
	memcpy(t->beacons[1].output, p.output, 64);
	t->nbeacons = 2;
	made2_round(&t->not_before, "657413");
	made2_chain(m, &drand_quicknet);
}

/* More picks than a record lists stand in a file of their own. */
static inline int made2_file_of(struct record2 *draw)
{
	static char file[RECORD2_FILE_MAX];
	size_t n;

	if (record2_file_text(draw, file, sizeof(file), &n) != KE_OK)
		return -1;
	hash_sha256(draw->winners_file, file, n);
	return 0;
}

/* Context, key and picks from what the records say now; 0 when it worked. */
static inline int made2_draw(struct made2 *m)
{
	struct record2 *draw = &m->rec[MADE2_DRAW], *open = &m->rec[MADE2_OPEN];
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], open_leaf[32];
	uint64_t index[MADE2_N_MAX], want = open->winners + open->reserves;
	size_t n = record2_contributions(draw, given), won = 0;
	bool seen[MADE2_N_MAX] = {false};

	record2_leaf(open_leaf, m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	draw_context_v2(draw->context, draw->raffle, open_leaf, m->n, m->rec[MADE2_CLOSE].root,
	    (uint16_t)draw->terms.nbeacons, given, n);
	hash_kdf(draw->draw_key, draw->server_seed, DRAW_KEY_LABEL, draw->context, 32);
	if (draw_shuffle(index, m->n, m->n, draw->draw_key) != KE_OK)
		return -1;
	m->npassed = 0;
	for (size_t i = 0; i < m->n && won < want; i++) {
		struct leaf l;

		if (leaf_decode(&l, m->leaf[index[i]], LEAF_LEN) != KE_OK)
			return -1;
		if (open->dedupe == DEDUPE_HOLDER && seen[index[i] % m->holders]) {
			m->pos_passed[m->npassed] = won;
			m->passed[m->npassed++] = index[i];
			continue;
		}
		seen[index[i] % m->holders] = true;
		m->picks[won].index = index[i];
		memcpy(m->picks[won++].ticket, l.ticket, 16);
	}
	draw->winners = won < open->winners ? won : open->winners;
	draw->reserves = won - draw->winners;
	draw->listed = won <= RECORD2_LISTED_MAX;
	draw->picks = m->picks;
	draw->picks_cap = MADE2_N_MAX;
	return draw->listed ? 0 : made2_file_of(draw);
}

static inline int made2_text(struct made2 *m, int w)
{
	if (record2_text(&m->rec[w], m->text[w], MADE2_TEXT - 1, &m->text_len[w]) != KE_OK)
		return -1;
	m->text[w][m->text_len[w]] = '\0';
	return 0;
}

static inline int made2_keys(struct made2 *m)
{
	uint8_t seed[32];

	memset(seed, 7, sizeof(seed));
	crypto_sign_seed_keypair(m->pub, m->secret, seed);
	memset(seed, 8, sizeof(seed));
	crypto_sign_seed_keypair(m->witness_pub, m->witness_secret, seed);
	if (note_vkey(MADE2_HOST, NOTE_ED25519, m->pub, m->operator_vkey, NOTE_VKEY_MAX) != KE_OK ||
	    note_vkey(MADE2_TICKETS, NOTE_ED25519, m->pub, m->tickets_vkey, NOTE_VKEY_MAX) !=
		KE_OK ||
	    note_vkey("witness.example.org/w1", NOTE_COSIGN, m->witness_pub, m->witness_vkey,
		NOTE_VKEY_MAX) != KE_OK)
		return -1;
	snprintf(m->policy, sizeof(m->policy), "log %s\nlog %s\nwitness w1 %s\nquorum w1\n",
	    m->operator_vkey, m->tickets_vkey, m->witness_vkey);
	return 0;
}

static inline int made2_forfeit(struct made2 *m, size_t i)
{
	struct record2 *r = &m->rec[MADE2_FORFEIT];
	size_t n;

	r->draw_index = made2_at[MADE2_DRAW];
	r->pos = m->forfeits[i];
	snprintf(r->word, sizeof(r->word), "not-claimed");
	if (record2_text(r, m->forfeit_text[i], sizeof(m->forfeit_text[i]) - 1, &n) != KE_OK)
		return -1;
	m->forfeit_text[i][n] = '\0';
	record2_leaf(m->log.leaf[made2_at[MADE2_FORFEIT] + i], m->forfeit_text[i], n);
	return 0;
}

/* The records that not every raffle has. */
static inline int made2_others(struct made2 *m)
{
	struct record2 *abort = &m->rec[MADE2_ABORT], *amend = &m->rec[MADE2_AMEND];
	int r = 0;

	memcpy(abort->open_leaf, m->rec[MADE2_CLOSE].open_leaf, 32);
	memcpy(amend->open_leaf, m->rec[MADE2_CLOSE].open_leaf, 32);
	abort->open_index = amend->open_index = made2_at[MADE2_OPEN];
	snprintf(abort->word, sizeof(abort->word), "organiser-withdrew");
	if (m->aborted) {
		r |= made2_text(m, MADE2_ABORT);
		record2_leaf(m->log.leaf[4], m->text[MADE2_ABORT], m->text_len[MADE2_ABORT]);
	}
	if (m->amended) {
		r |= made2_text(m, MADE2_AMEND);
		record2_leaf(m->log.leaf[2], m->text[MADE2_AMEND], m->text_len[MADE2_AMEND]);
	}
	for (size_t i = 0; r == 0 && i < m->nforfeits; i++)
		r = made2_forfeit(m, i);
	if (m->nforfeits > 1)
		m->log.n = made2_at[MADE2_FORFEIT] + m->nforfeits;
	return r;
}

/* Everything that follows from the open record's fields and the tickets; 0 when it worked. */
static inline int made2_finish(struct made2 *m)
{
	struct record2 *open = &m->rec[MADE2_OPEN], *close = &m->rec[MADE2_CLOSE],
		       *draw = &m->rec[MADE2_DRAW];

	hash_kdf(open->seed_commit, draw->server_seed, DRAW_COMMIT_LABEL, open->raffle, 16);
	if (made2_text(m, MADE2_OPEN) != 0)
		return -1;
	for (uint64_t i = 0; i < m->n; i++)
		made2_leaf(m, i);
	m->tickets.n = m->n;
	made2_root(&m->tickets, 0, m->n, close->root);
	memcpy(m->tickets_root, close->root, 32);
	m->tickets_size = m->n;
	close->tickets = m->n;
	record2_leaf(close->open_leaf, m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	draw->terms = m->amended ? m->rec[MADE2_AMEND].terms : open->terms;
	if (made2_draw(m) != 0 || made2_text(m, MADE2_CLOSE) != 0 || made2_text(m, MADE2_DRAW) != 0)
		return -1;
	/* another raffle's record stands first in the log, and one between */
	m->log.n = 6;
	for (size_t i = 0; i < m->log.n; i++)
		memset(m->log.leaf[i], (int)(0xe0 + i), 32);
	record2_leaf(m->log.leaf[1], m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	record2_leaf(m->log.leaf[3], m->text[MADE2_CLOSE], m->text_len[MADE2_CLOSE]);
	record2_leaf(m->log.leaf[4], m->text[MADE2_DRAW], m->text_len[MADE2_DRAW]);
	return made2_others(m);
}

/* A raffle of n tickets of that many holders, up to made2_finish(). */
static inline int made2_init(
    struct made2 *m, uint64_t n, uint64_t holders, uint64_t winners, uint64_t reserves)
{
	struct record2 *open = &m->rec[MADE2_OPEN], *close = &m->rec[MADE2_CLOSE],
		       *draw = &m->rec[MADE2_DRAW];
	const enum record2_kind kinds[] = {RECORD2_OPEN, RECORD2_CLOSE, RECORD2_DRAW, RECORD2_ABORT,
	    RECORD2_AMEND, RECORD2_FORFEIT};
	uint64_t first_s;

	memset(m, 0, sizeof(*m));
	if (made2_keys(m) != 0)
		return -1;
	m->n = n;
	m->holders = holders;
	for (int w = 0; w < MADE2_RECORDS; w++) {
		memset(m->rec[w].raffle, 0xab, 16);
		m->rec[w].kind = kinds[w];
	}
	snprintf(open->origin, sizeof(open->origin), MADE2_TICKETS);
	memset(draw->server_seed, 9, 32);
	open->winners = winners;
	open->reserves = reserves;
	open->on_default = DEFAULT_VOID;
	made2_beacons(m);
	if (drand_round_time(&drand_quicknet, 1000000, &first_s) != KE_OK)
		return -1;
	open->terms.sales_close_s = first_s - 3600;
	open->terms.deadline_s = 1800000000;
	m->rec[MADE2_AMEND].terms = open->terms;
	m->seen_s = first_s - 1800;
	close->open_index = draw->open_index = 1;
	draw->close_index = 3;
	close->at_s = first_s - 3500;
	return 0;
}

/* --- writing --- */

struct made2_out {
	FILE *f;
	struct bundle2_writer w;
	char piece[65536];
};

static inline struct bundle2_text made2_words(const char *s)
{
	return (struct bundle2_text){s, s != NULL ? strlen(s) : 0};
}

/* A piece is written as soon as it stands: the writer needs no more room than for one. */
static inline int made2_sent(struct made2_out *o, int r)
{
	if (r == KE_OK && fwrite(o->piece, 1, o->w.len, o->f) != o->w.len)
		r = KE_IO;
	o->w.len = 0;
	return r;
}

static inline int made2_ticket(
    const struct made2 *m, struct made2_out *o, uint64_t pos, uint64_t index)
{
	char proof[8192];
	struct bundle2_text t;

	if (made2_proof(m, &m->tickets, MADE2_TICKETS, index, proof, sizeof(proof)) != 0)
		return KE_FULL;
	t = made2_words(proof);
	return made2_sent(o, bundle2_put_ticket(&o->w, pos, m->leaf[index], &t));
}

static inline int made2_tickets(const struct made2 *m, struct made2_out *o)
{
	const struct record2 *draw = &m->rec[MADE2_DRAW];
	int r = made2_sent(o, bundle2_put_list(&o->w, BUNDLE2_PICKS));

	for (uint64_t i = 0; r == KE_OK && !m->aborted && i < draw->winners + draw->reserves; i++)
		r = made2_ticket(
		    m, o, i < draw->winners ? i + 1 : i - draw->winners + 1, m->picks[i].index);
	if (r == KE_OK)
		r = made2_sent(o, m->unlisted ? bundle2_put_unlisted(&o->w)
					      : bundle2_put_list(&o->w, BUNDLE2_PASSED));
	for (size_t i = 0; r == KE_OK && !m->aborted && !m->unlisted && i < m->npassed; i++)
		r = made2_ticket(m, o, m->pos_passed[i], m->passed[i]);
	return r;
}

static inline int made2_record(
    const struct made2 *m, const char *text, uint64_t at, char *proof, struct bundle2_record *r)
{
	if (made2_proof(m, &m->log, MADE2_HOST, at, proof, 8192) != 0)
		return KE_FULL;
	*r = (struct bundle2_record){made2_words(text), made2_words(proof)};
	return KE_OK;
}

static inline int made2_head(const struct made2 *m, struct made2_out *o)
{
	struct checkpoint c = {.size = m->tickets_size, .origin = MADE2_TICKETS};
	char proof[4][8192], note[8192];
	struct bundle2_head h = {.operator_vkey = m->operator_vkey,
	    .tickets_vkey = m->tickets_vkey,
	    .policy = made2_words(m->policy)};
	struct bundle2_record *rec[] = {&h.open, &h.close, &h.draw, &h.abort};
	size_t len = 0;
	int r = KE_OK;

	memcpy(c.root, m->tickets_root, 32);
	if (made2_checkpoint(m, &c, note, sizeof(note), &len) != 0)
		return KE_FULL;
	if (m->tickets_size > 0)
		h.tickets_checkpoint = (struct bundle2_text){note, len};
	for (int w = MADE2_OPEN; r == KE_OK && w <= MADE2_ABORT; w++)
		if (w == (m->aborted ? MADE2_ABORT : MADE2_DRAW) || w == MADE2_OPEN ||
		    (w == MADE2_CLOSE && m->tickets_size > 0))
			r = made2_record(m, m->text[w], made2_at[w], proof[w], rec[w]);
	return r == KE_OK ? made2_sent(o, bundle2_put_head(&o->w, &h)) : r;
}

/* Amends and forfeits. */
static inline int made2_lists(const struct made2 *m, struct made2_out *o)
{
	char proof[8192];
	struct bundle2_record rec;
	int r = made2_sent(o, bundle2_put_list(&o->w, BUNDLE2_AMENDS));

	if (r == KE_OK && m->amended) {
		r = made2_record(m, m->text[MADE2_AMEND], made2_at[MADE2_AMEND], proof, &rec);
		if (r == KE_OK)
			r = made2_sent(o, bundle2_put_record(&o->w, &rec));
	}
	if (r == KE_OK)
		r = made2_sent(o, bundle2_put_list(&o->w, BUNDLE2_FORFEITS));
	for (size_t i = 0; r == KE_OK && i < m->nforfeits; i++) {
		r = made2_record(m, m->forfeit_text[i], made2_at[MADE2_FORFEIT] + i, proof, &rec);
		if (r == KE_OK)
			r = made2_sent(o, bundle2_put_record(&o->w, &rec));
	}
	return r;
}

static inline int made2_values(const struct made2 *m, struct made2_out *o)
{
	struct bundle2_text info = made2_words(m->chain_info);
	struct bundle2_pulse p = {.pulse = made2_words(m->pulse),
	    .certificate = made2_words(m->cert),
	    .intermediate = made2_words("")};
	int r = made2_sent(o, bundle2_put_list(&o->w, BUNDLE2_VALUES));

	if (m->aborted)
		return r;
	if (r == KE_OK)
		r = made2_sent(
		    o, bundle2_put_drand(&o->w, &info, &m->rec[MADE2_DRAW].terms.beacons[0]));
	if (r == KE_OK)
		r = made2_sent(o, bundle2_put_nist(&o->w, &p));
	return r;
}

static inline int made2_pieces(const struct made2 *m, struct made2_out *o)
{
	const uint8_t *escrow = m->rec[MADE2_OPEN].escrow_n > 0 ? m->rec[MADE2_OPEN].escrow : NULL;
	struct bundle2_tail tail = {.escrow = escrow, .version = "0", .git = "", .sha256 = ""};
	const struct bundle2_text none = {"", 0};
	int r = made2_head(m, o);

	if (r == KE_OK)
		r = made2_lists(m, o);
	if (r == KE_OK)
		r = made2_tickets(m, o);
	if (r == KE_OK)
		r = made2_values(m, o);
	if (r == KE_OK)
		r = made2_sent(o, bundle2_put_list(&o->w, BUNDLE2_TIMESTAMPS));
	if (r == KE_OK && m->stamp != NULL)
		r = made2_sent(o, bundle2_put_stamp(&o->w, m->stamp, m->stamp_len, &none));
	if (r == KE_OK)
		r = made2_sent(o, bundle2_put_tail(&o->w, &tail));
	return r;
}

/* The whole bundle, on the heap; NULL when it did not work. */
static inline char *made2_write(const struct made2 *m, size_t *n)
{
	struct made2_out *o = malloc(sizeof(*o));
	char *out = NULL;
	int r;

	if (o == NULL || (o->f = open_memstream(&out, n)) == NULL) {
		free(o);
		return NULL;
	}
	bundle2_write_init(&o->w, o->piece, sizeof(o->piece));
	r = made2_pieces(m, o);
	if (fclose(o->f) != 0 || r != KE_OK) {
		free(out);
		out = NULL;
	}
	free(o);
	return out;
}

#endif
