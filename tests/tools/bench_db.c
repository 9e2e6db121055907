/*
 * How much of the bare loop's speed the store keeps: ticket sales through the real db_* functions,
 * in turns of 1, 16 and 64, against a bare loop of a sale's least SQL over the same SQLCipher, in
 * turn, within one run. Figures are medians; the ratio is what counts.
 *
 *	bench_db [FOLDER [SECONDS-PER-CELL [ROUNDS [ONE-SIZE-OF-TURNS]]]]
 */
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/db_audit.h"
#include "db/db_idem.h"
#include "db/db_raffle.h"
#include "db/db_ticket.h"
#include "db/db_user.h"
#include "policy/text.h"

#define USERS  1000
#define ROUNDS 9

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_db: %s: %s\n", what, why);
	exit(1);
}

static void idem_name(char out[48], long n)
{
	snprintf(out, 48, "%08lx-%ld-aaaaaaaaaaaaaaaa", (n * 2654435761L) & 0xffffffffL, n);
}

/* --- the bare loop: six tables, nine statements, SQLCipher as it comes --- */

enum { B_IDEM, B_WALLET, B_RAFFLE, B_TICKET, B_ENTRY, B_KEEP, B_AUDIT, B_SAVE, B_RELEASE, B_COUNT };
static const char *const bare_sql[B_COUNT] = {
    [B_IDEM] = "SELECT body FROM idem WHERE u = ? AND k = ?",
    [B_WALLET] = "UPDATE wallet SET bal = bal - 100 WHERE u = ? AND bal >= 100",
    [B_RAFFLE] = "UPDATE raffle SET sold = sold + 1 WHERE id = 1",
    [B_TICKET] = "INSERT INTO ticket VALUES (1, ?, ?, ?)",
    [B_ENTRY] = "INSERT INTO entry (u, amt, ref) VALUES (?, -100, 'buy:1')",
    [B_KEEP] = "INSERT INTO idem VALUES (?, ?, '{\"raffle\":1,\"tickets\":[12345],\"cost\":100}')",
    [B_AUDIT] =
	"INSERT INTO audit VALUES (NULL, '{\"user\":12,\"raffle\":1,\"n\":1,\"first\":1}', ?)",
    [B_SAVE] = "SAVEPOINT a",
    [B_RELEASE] = "RELEASE a",
};

struct bare {
	sqlite3 *sq;
	sqlite3_stmt *st[B_COUNT];
	long n;
};

static void bare_exec(struct bare *b, const char *sql)
{
	if (sqlite3_exec(b->sq, sql, NULL, NULL, NULL))
		die(sql, sqlite3_errmsg(b->sq));
}

static void bare_open(struct bare *b, const char *folder)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/bare.db", folder);
	if (sqlite3_open(path, &b->sq))
		die(path, "cannot open");
	bare_exec(b,
	    "PRAGMA key = \"x'0000000000000000000000000000000000000000000000000000000000000007'\"");
	bare_exec(b, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
		     "wal_autocheckpoint = 4000");
	bare_exec(b,
	    "CREATE TABLE wallet (u INTEGER PRIMARY KEY, bal INTEGER NOT NULL);"
	    "CREATE TABLE raffle (id INTEGER PRIMARY KEY, sold INTEGER, price INTEGER);"
	    "CREATE TABLE ticket (r INTEGER, no INTEGER, u INTEGER, leaf BLOB,"
	    " PRIMARY KEY (r, no)) WITHOUT ROWID;"
	    "CREATE TABLE entry (id INTEGER PRIMARY KEY, u INTEGER, amt INTEGER, ref TEXT);"
	    "CREATE TABLE idem (u INTEGER, k TEXT, body TEXT, PRIMARY KEY (u, k)) WITHOUT ROWID;"
	    "CREATE TABLE audit (id INTEGER PRIMARY KEY, line TEXT, h BLOB);"
	    "INSERT INTO raffle VALUES (1, 0, 100);"
	    "WITH RECURSIVE u (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM u WHERE i < 999)"
	    " INSERT INTO wallet SELECT i, 1000000000 FROM u");
	for (int i = 0; i < B_COUNT; i++)
		if (sqlite3_prepare_v2(b->sq, bare_sql[i], -1, &b->st[i], NULL))
			die(bare_sql[i], sqlite3_errmsg(b->sq));
}

static void bare_step(struct bare *b, int i)
{
	int rc = sqlite3_step(b->st[i]);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		die(bare_sql[i], sqlite3_errmsg(b->sq));
	sqlite3_reset(b->st[i]);
}

static void bare_sale(struct bare *b)
{
	static const unsigned char hash[32] = {1};
	int u = (int)(b->n * 7919 % USERS);
	char key[48];

	idem_name(key, b->n);
	bare_step(b, B_SAVE);
	for (int i = B_IDEM; i <= B_KEEP; i += B_KEEP - B_IDEM) {
		sqlite3_bind_int(b->st[i], 1, u);
		sqlite3_bind_text(b->st[i], 2, key, -1, NULL);
	}
	sqlite3_bind_int(b->st[B_WALLET], 1, u);
	sqlite3_bind_int64(b->st[B_TICKET], 1, b->n);
	sqlite3_bind_int(b->st[B_TICKET], 2, u);
	sqlite3_bind_blob(b->st[B_TICKET], 3, hash, 32, NULL);
	sqlite3_bind_int(b->st[B_ENTRY], 1, u);
	sqlite3_bind_blob(b->st[B_AUDIT], 1, hash, 32, NULL);
	for (int i = B_IDEM; i <= B_AUDIT; i++)
		bare_step(b, i);
	bare_step(b, B_RELEASE);
	b->n++;
}

static void bare_turn(void *arg, int batch)
{
	struct bare *b = arg;

	bare_exec(b, "BEGIN IMMEDIATE");
	for (int i = 0; i < batch; i++)
		bare_sale(b);
	bare_exec(b, "COMMIT");
}

/* --- the store --- */

struct store {
	struct db *d;
	uint8_t user[USERS][16], raffle[16];
	long n;
};

static void must(struct store *s, int r, const char *what)
{
	if (r) {
		fprintf(stderr, "bench_db: %s: %s (%s)\n", what, ke_words(r), db_why(s->d));
		exit(1);
	}
}

static void add_user(struct store *s, int i)
{
	struct db_user u = {.roles = 1, .created_ms = i};
	struct db_account outside, wallet;
	static const uint8_t nobody[16];

	snprintf(u.email, sizeof u.email, "user%d@example.org", i);
	snprintf(
	    u.credential, sizeof u.credential, "$argon2id$v=19$m=65536,t=3,p=1$%043d$%043d", i, i);
	u.id[0] = 1;
	u.id[14] = (uint8_t)(i >> 8);
	u.id[15] = (uint8_t)i;
	memcpy(s->user[i], u.id, 16);
	must(s, db_user_create(s->d, &u), "user");
	must(s, db_account_open(s->d, DB_ACCOUNT_PROVIDER, nobody, "EUR", &outside), "account");
	must(s, db_account_open(s->d, DB_ACCOUNT_USER, u.id, "EUR", &wallet), "account");
	must(s, db_ledger_transfer(s->d, &outside, &wallet, 1000000000, "deposit", u.id, i, NULL),
	    "deposit");
}

static void store_open(struct store *s, const char *folder)
{
	uint8_t key[32] = {7}, commit[32] = {0}, salt[32] = {0};
	char why[DB_WHY_MAX];
	struct db_raffle r = {.id = {2},
	    .format = RAFFLE_V1,
	    .title = "bench",
	    .price = 100,
	    .currency = "EUR",
	    .capacity = 100000000,
	    .winners = 3};
	struct db_sale sale;
	struct db_holder h;
	struct db_account pot;

	if (db_open(&s->d, folder, key, DB_CREATE, why))
		die("store", why);
	must(s, db_turn_begin(s->d), "begin");
	for (int i = 0; i < USERS; i++)
		add_user(s, i);
	memcpy(s->raffle, r.id, 16);
	memcpy(r.created_by, s->user[0], 16);
	must(s, db_raffle_create(s->d, &r), "raffle");
	must(
	    s, db_raffle_set_open(s->d, r.id, commit, commit, "klero:1:seed:v000001:x", 1), "open");
	must(s, db_raffle_sale(s->d, r.id, &sale), "sale");
	must(s, db_account_open(s->d, DB_ACCOUNT_POT, r.id, "EUR", &pot), "pot");
	for (int i = 0; i < USERS; i++)
		must(s, db_holder_create(s->d, sale.no, s->user[i], salt, &h), "holder");
	must(s, db_turn_commit(s->d, NULL), "commit");
}

static void sell(struct store *s, const uint8_t user[16], struct db_holder *h, int64_t now_ms)
{
	static const uint8_t leaf[32] = {3};
	struct db_ticket t = {
	    .issued_ms = now_ms, .client_seed = "my lucky seed", .client_seed_len = 13};
	struct db_account wallet, pot;
	struct db_sale sale;

	must(s, db_raffle_sale(s->d, s->raffle, &sale), "sale");
	must(s, db_holder_get(s->d, sale.no, user, h), "holder");
	must(s, db_account_get(s->d, DB_ACCOUNT_USER, user, sale.currency, &wallet), "wallet");
	must(s, db_account_get(s->d, DB_ACCOUNT_POT, s->raffle, sale.currency, &pot), "pot");
	must(s, db_ledger_transfer(s->d, &wallet, &pot, sale.price, "buy", s->raffle, now_ms, NULL),
	    "pay");
	text_uuid7(t.id, now_ms, user);
	t.index = sale.sold;
	must(s, db_ticket_issue(s->d, h, &t, 1), "ticket");
	merkle_range_add(&sale.range, leaf);
	hash_run_add(sale.aggregate, leaf, 32);
	sale.sold++;
	must(s, db_raffle_sold(s->d, &sale, sale.sold - 1), "sold");
}

static void store_sale(struct store *s)
{
	static const char answer[] =
	    "{\"raffle\":\"0193\",\"tickets\":[{\"index\":12345,\"id\":\"0193"
	    "2f6e-0000-7000-8000-000000000000\"}],\"cost\":{\"amount\":100,"
	    "\"currency\":\"EUR\"}}";
	static const char detail[] = "{\"raffle\":\"0193\",\"quantity\":1,\"first\":10000}";
	const uint8_t *user = s->user[s->n * 7919 % USERS];
	int64_t now_ms = 1760000000000 + s->n;
	struct db_idem_key key = {.route = "raffle_buy"};
	struct db_idem kept = {
	    .status = 201, .created_ms = now_ms, .answer = answer, .answer_len = sizeof answer - 1};
	struct db_holder h;
	char name[48], buf[1024];

	idem_name(name, s->n);
	memcpy(key.user, user, 16);
	key.key = name;
	key.key_len = strlen(name);
	must(s, db_savepoint(s->d), "savepoint");
	if (db_idem_get(s->d, &key, &kept, buf, sizeof buf) != KE_NOTFOUND)
		die("idempotency", "key is known");
	sell(s, user, &h, now_ms);
	must(s,
	    db_audit_append(s->d, now_ms, user, "raffle.buy", s->raffle, detail, sizeof detail - 1),
	    "audit");
	must(s, db_idem_put(s->d, &key, &kept), "keep");
	must(s, db_release(s->d), "release");
	s->n++;
}

static void store_turn(void *arg, int batch)
{
	struct store *s = arg;

	must(s, db_turn_begin(s->d), "begin");
	for (int i = 0; i < batch; i++)
		store_sale(s);
	must(s, db_turn_commit(s->d, NULL), "commit");
}

/* --- measuring --- */

static double rate(void (*turn)(void *arg, int batch), void *arg, int batch, double seconds)
{
	double start = now_s(), t;
	long n = 0;

	do {
		turn(arg, batch);
		n += batch;
		t = now_s() - start;
	} while (t < seconds);
	return (double)n / t;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof *v, by_size);
	return v[n / 2];
}

static void race(struct bare *b, struct store *s, int batch, double seconds, int rounds)
{
	double bare[ROUNDS], store[ROUNDS], ratio[ROUNDS];

	for (int i = 0; i < rounds; i++) {
		bare[i] = rate(bare_turn, b, batch, seconds);
		store[i] = rate(store_turn, s, batch, seconds);
		ratio[i] = store[i] / bare[i];
	}
	printf("sale in turns of %2d: store %7.0f/s, bare loop %7.0f/s, ratio %.2f\n", batch,
	    median(store, rounds), median(bare, rounds), median(ratio, rounds));
}

static void check(struct store *s)
{
	struct db_ledger_report rep;
	int64_t lines;

	must(s, db_turn_begin(s->d), "begin");
	must(s, db_ledger_check(s->d, &rep), rep.why);
	must(s, db_audit_check(s->d, &lines, NULL), "audit chain");
	db_turn_rollback(s->d);
	printf("ledger whole: %lld transfers, %lld entries; audit chain whole: %lld lines\n",
	    (long long)rep.transfers, (long long)rep.entries, (long long)lines);
}

int main(int argc, char **argv)
{
	static const int batch[] = {1, 16, 64};
	char folder[] = "/var/tmp/bench_db.XXXXXX";
	const char *dir = argc > 1 ? argv[1] : mkdtemp(folder);
	double seconds = argc > 2 ? atof(argv[2]) : 1.0;
	int rounds = argc > 3 ? atoi(argv[3]) : 3, only = argc > 4 ? atoi(argv[4]) : 0;
	static struct store s;
	struct bare b = {0};
	char cmd[4200];

	if (!dir || sodium_init() < 0 || rounds < 1 || rounds > ROUNDS)
		die("start", "arguments");
	bare_open(&b, dir);
	store_open(&s, dir);
	for (size_t i = 0; i < sizeof batch / sizeof batch[0]; i++)
		if (only == 0 || only == batch[i])
			race(&b, &s, batch[i], seconds, rounds);
	check(&s);
	db_close(s.d);
	for (int i = 0; i < B_COUNT; i++)
		sqlite3_finalize(b.st[i]);
	sqlite3_close(b.sq);
	if (argc < 2) {
		snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
		return system(cmd) != 0;
	}
	return 0;
}
