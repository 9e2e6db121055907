/*
 * What a ticket log costs as it grows: a store of its own is filled to each size in turn, and at
 * each are measured the sale's part (in turns of 64), the consistency proof of a checkpoint, a
 * receipt's proof and a full tile. One line of JSON.
 *
 *	bench_logs FOLDER SIZE...      sizes in growing order
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"
#include "db/db_raffle.h"
#include "db/db_ticket.h"
#include "db/db_user.h"
#include "policy/text.h"

#define USERS   100
#define AT_ONCE 100   /* tickets of one holder while it is filled */
#define TURN    20000 /* tickets */
#define BATCH   64    /* sales of a turn that is measured */
#define SPAN_S  0.5   /* of each figure */
#define STEP    1000  /* tickets between two checkpoints */

struct bench {
	struct engine e;
	uint8_t raffle[16], user[USERS][16];
	struct db_sale sale;
	struct db_log log;
	struct logread read;
	int64_t n;
	uint8_t out[LOGREAD_TILE_MAX];
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(const struct bench *b, int r, const char *what)
{
	if (r == KE_OK)
		return;
	fprintf(stderr, "bench_logs: %s: %s %s\n", what, ke_words(r), db_why(b->e.db));
	exit(1);
}

static void create(struct bench *b, const char *folder)
{
	static const uint8_t key[32] = {7}, commit[32], salt[32];
	struct db_raffle r = {.id = {2},
	    .format = RAFFLE_V2,
	    .title = "bench",
	    .price = 1,
	    .currency = "EUR",
	    .capacity = 100000000,
	    .winners = 1};
	struct db_holder h;
	char why[DB_WHY_MAX];

	if (db_open(&b->e.db, folder, key, DB_CREATE, why) != KE_OK) {
		fprintf(stderr, "bench_logs: %s\n", why);
		exit(1);
	}
	must(b, db_turn_begin(b->e.db), "turn");
	for (int i = 0; i < USERS; i++) {
		struct db_user u = {.id = {3, (uint8_t)i}, .roles = 1};

		snprintf(u.email, sizeof u.email, "u%d@example.org", i);
		snprintf(u.credential, sizeof u.credential, "$argon2id$%d", i);
		must(b, db_user_create(b->e.db, &u), "user");
		memcpy(b->user[i], u.id, 16);
	}
	memcpy(b->raffle, r.id, 16);
	memcpy(r.created_by, b->user[0], 16);
	must(b, db_raffle_create(b->e.db, &r), "raffle");
	must(b, db_raffle_set_open(b->e.db, r.id, commit, commit, "klero:1:seed:v000001:x", 1),
	    "open");
	must(b, db_raffle_sale(b->e.db, r.id, &b->sale), "sale");
	for (int i = 0; i < USERS; i++)
		must(b, db_holder_create(b->e.db, b->sale.no, b->user[i], salt, &h), "holder");
	must(b, db_turn_commit(b->e.db, NULL), "commit");
}

/* n tickets of one holder: rows, leaves, subtrees, the raffle's row. */
static void sell(struct bench *b, int64_t n)
{
	struct merkle_subtree done[MERKLE_SUBTREES];
	struct db_ticket_row row = {.t = {.client_seed = "my lucky seed", .client_seed_len = 13}};
	struct db_ticket t[AT_ONCE];
	uint8_t leaf[LEAF_LEN], hash[32];
	struct db_holder h;
	int64_t first;
	size_t ndone = 0;

	must(b, db_raffle_sale(b->e.db, b->raffle, &b->sale), "sale");
	must(b, db_holder_get(b->e.db, b->sale.no, b->user[b->n % USERS], &h), "holder");
	first = b->sale.sold;
	memcpy(row.user, h.user, 16);
	memcpy(row.salt, h.salt, 32);
	for (int64_t i = 0; i < n; i++) {
		row.t.index = first + i;
		row.t.issued_ms = 1760000000000 + b->n++;
		text_uuid7(row.t.id, row.t.issued_ms, h.user);
		t[i] = row.t;
		logread_ticket(leaf, b->raffle, &row);
		merkle_leaf_hash(hash, leaf, sizeof leaf);
		ndone += merkle_range_grow(&b->sale.range, hash, done + ndone);
	}
	must(b, db_ticket_issue(b->e.db, &h, t, (size_t)n), "tickets");
	b->sale.sold += n;
	must(b, db_raffle_sold(b->e.db, &b->sale, first), "sold");
	must(b, db_log_complete(b->e.db, b->sale.no, done, ndone), "subtrees");
}

static void fill(struct bench *b, int64_t size)
{
	while (b->sale.sold < size) {
		must(b, db_turn_begin(b->e.db), "turn");
		for (int64_t n = 0; n < TURN && b->sale.sold < size; n += AT_ONCE)
			sell(b, size - b->sale.sold < AT_ONCE ? size - b->sale.sold : AT_ONCE);
		must(b, db_turn_commit(b->e.db, NULL), "commit");
	}
}

/* --- what is measured: microseconds each --- */

static void sales(struct bench *b)
{
	must(b, db_turn_begin(b->e.db), "turn");
	for (int i = 0; i < BATCH; i++)
		sell(b, 1);
	must(b, db_turn_commit(b->e.db, NULL), "commit");
}

static uint64_t any(const struct bench *b)
{
	return ((uint64_t)randombytes_random() << 32 | randombytes_random()) % b->log.range.size;
}

static void consistency(struct bench *b)
{
	uint8_t path[MERKLE_LEVELS + 1][32];
	uint64_t size = b->log.range.size, step = size > STEP ? STEP : size / 2;
	size_t n;

	must(b, tile_consistency(&b->read.reader, size - step, size, path, &n), "consistency");
}

static void inclusion(struct bench *b)
{
	uint8_t path[MERKLE_LEVELS][32];
	size_t n;

	must(b, tile_inclusion(&b->read.reader, any(b), b->log.range.size, path, &n), "inclusion");
}

static void one_tile(struct bench *b, bool entries)
{
	struct tile t = {.entries = entries, .n = any(b) / TILE_WIDTH, .width = TILE_WIDTH};
	size_t len;

	if (!tile_within(&t, b->log.range.size))
		t.n--;
	must(b, logread_tile(&b->read, &t, b->out, sizeof b->out, &len), "tile");
}

static void hashes(struct bench *b)
{
	one_tile(b, false);
}

static void entries(struct bench *b)
{
	one_tile(b, true);
}

static double each_us(struct bench *b, void (*work)(struct bench *b), int at_once)
{
	double began = now_s(), t;
	long n = 0;

	do {
		work(b);
		n += at_once;
		t = now_s() - began;
	} while (t < SPAN_S);
	return t * 1e6 / (double)n;
}

static void measure(struct bench *b, int64_t size, bool first)
{
	double sale_us;

	fill(b, size);
	must(b, db_turn_begin(b->e.db), "turn");
	must(b, db_log_of_raffle(b->e.db, b->raffle, &b->log), "log");
	logread_init(&b->read, &b->e, &b->log);
	printf("%s{\"tickets\": %lld, \"checkpoint_us\": %.1f, \"receipt_us\": %.1f, ",
	    first ? "" : ", ", (long long)size, each_us(b, consistency, 1),
	    each_us(b, inclusion, 1));
	printf("\"tile_us\": %.1f, \"entries_us\": %.1f, ", each_us(b, hashes, 1),
	    each_us(b, entries, 1));
	must(b, db_turn_commit(b->e.db, NULL), "commit");
	sale_us = each_us(b, sales, BATCH);
	printf("\"sale_us\": %.1f}", sale_us);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct bench b;

	if (argc < 3 || sodium_init() < 0)
		return 2;
	create(&b, argv[1]);
	putchar('[');
	for (int i = 2; i < argc; i++)
		measure(&b, strtoll(argv[i], NULL, 10), i == 2);
	puts("]");
	db_close(b.e.db);
	return 0;
}
