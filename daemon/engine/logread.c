/*
 * Logs from the store: see logread.h. Runs in engine.
 */
#include "daemon/engine/logread.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "policy/be.h"
#include "policy/text.h"

void logread_ticket(
    uint8_t out[LEAF_LEN], const uint8_t raffle[16], const struct db_ticket_row *row)
{
	struct leaf l = {.index = (uint64_t)row->t.index, .issued_ms = (uint64_t)row->t.issued_ms};
	char holder[37];

	memcpy(l.raffle, raffle, sizeof l.raffle);
	memcpy(l.ticket, row->t.id, sizeof l.ticket);
	text_uuid(holder, row->user);
	leaf_holder_commit(l.holder_commit, row->salt, holder, strlen(holder));
	leaf_client_seed_hash(l.client_seed_hash, row->t.client_seed, row->t.client_seed_len);
	leaf_encode(out, &l);
}

/* --- hashes --- */

struct hashes {
	const uint8_t *raffle;
	uint64_t next;
	unsigned n;
	uint8_t (*hash)[32];
};

static int hash_ticket(void *arg, const struct db_ticket_row *row)
{
	struct hashes *h = arg;
	uint8_t leaf[LEAF_LEN];

	if ((uint64_t)row->t.index != h->next++)
		return KE_DAMAGED;
	logread_ticket(leaf, h->raffle, row);
	merkle_leaf_hash(h->hash[h->n++], leaf, sizeof leaf);
	return KE_OK;
}

static int hash_tickets(
    struct engine *e, const struct db_log *log, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	struct hashes h = {.raffle = log->raffle, .next = first, .hash = hash};
	int r = db_ticket_range(e->db, log->no, (int64_t)first, n, hash_ticket, &h);

	return r == KE_OK && h.n != n ? KE_DAMAGED : r;
}

static int read_hashes(void *arg, unsigned level, uint64_t first, unsigned n, uint8_t (*hash)[32])
{
	const struct logread *l = arg;
	int r;

	if (level > 0)
		r = db_log_nodes(l->e->db, l->log->no, level, first, n, hash);
	else if (l->log->no == DB_LOG_OPERATOR)
		r = db_log_leaves(l->e->db, first, n, hash);
	else
		r = hash_tickets(l->e, l->log, first, n, hash);
	return r == KE_NOTFOUND ? KE_DAMAGED : r;
}

void logread_init(struct logread *l, struct engine *e, const struct db_log *log)
{
	*l = (struct logread){.e = e, .log = log, .reader = {read_hashes, l}};
}

/* --- entries --- */

struct entries {
	const uint8_t *raffle;
	uint64_t next;
	uint8_t *out;
	size_t len, cap;
};

static int put_entry(struct entries *b, uint64_t index, const void *p, size_t n)
{
	if (index != b->next++)
		return KE_DAMAGED;
	if (n + 2 > b->cap - b->len)
		return KE_FULL;
	be_put16(b->out + b->len, (uint16_t)n);
	memcpy(b->out + b->len + 2, p, n);
	b->len += 2 + n;
	return KE_OK;
}

static int put_ticket(void *arg, const struct db_ticket_row *row)
{
	struct entries *b = arg;
	uint8_t leaf[LEAF_LEN];

	logread_ticket(leaf, b->raffle, row);
	return put_entry(b, (uint64_t)row->t.index, leaf, sizeof leaf);
}

static int put_record(void *arg, const struct db_record *r)
{
	return put_entry(arg, r->index, r->text, r->len);
}

static int put_entries(
    struct logread *l, const struct tile *t, uint8_t *out, size_t cap, size_t *len)
{
	uint64_t first = t->n * TILE_WIDTH;
	struct entries b = {.raffle = l->log->raffle, .next = first, .out = out, .cap = cap};
	int r =
	    l->log->no == DB_LOG_OPERATOR
		? db_log_records(l->e->db, first, t->width, put_record, &b)
		: db_ticket_range(l->e->db, l->log->no, (int64_t)first, t->width, put_ticket, &b);

	*len = b.len;
	return r == KE_OK && b.next != first + t->width ? KE_DAMAGED : r;
}

int logread_tile(struct logread *l, const struct tile *t, uint8_t *out, size_t cap, size_t *len)
{
	uint8_t hash[TILE_WIDTH][32];
	int r;

	if (t->entries)
		return put_entries(l, t, out, cap, len);
	*len = (size_t)t->width * 32;
	if (*len > cap)
		return KE_FULL;
	r = read_hashes(l, t->level, t->n * TILE_WIDTH, t->width, hash);
	memcpy(out, hash, *len);
	return r;
}
