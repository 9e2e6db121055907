/*
 * Opens the store of a stopped, throw-away appliance for the tests; unseals the database key with
 * the token's PIN. SOFTHSM2_CONF is set by the caller.
 *	store_tool MODULE TOKEN PIN-FILE STORE check          all pages, the ledger, the audit chain
 *	store_tool MODULE TOKEN PIN-FILE STORE schema NUMBER  as if a newer program had written it
 *	store_tool MODULE TOKEN PIN-FILE STORE sql STATEMENTS rows as lines, columns parted by |
 */
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"
#include "db/db_audit.h"
#include "db/db_ledger.h"
#include "tests/tools/store_key.h"

static struct p11 p11;
static struct key_ring ring;

static int print_row(void *arg, int n, char **column, char **name)
{
	(void)arg;
	(void)name;
	for (int i = 0; i < n; i++)
		printf("%s%s", i > 0 ? "|" : "", column[i] != NULL ? column[i] : "");
	putchar('\n');
	return 0;
}

static int run_sql(const char *store, const uint8_t key[32], const char *statements)
{
	char sql[600], hex[65];
	sqlite3 *db = NULL;
	int r = SQLITE_ERROR;

	snprintf(sql, sizeof sql, "%s/" DB_FILE, store);
	if (sqlite3_open_v2(sql, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
		sodium_bin2hex(hex, sizeof hex, key, 32);
		snprintf(sql, sizeof sql,
		    "PRAGMA key = \"x'%s'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256", hex);
		r = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, statements, print_row, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	if (r != SQLITE_OK)
		fprintf(stderr, "store_tool: %s\n", sqlite3_errmsg(db));
	sqlite3_close(db);
	return r == SQLITE_OK ? 0 : 1;
}

static int set_schema(const char *store, const uint8_t key[32], const char *number)
{
	char sql[64];

	snprintf(sql, sizeof sql, "PRAGMA user_version = %ld", strtol(number, NULL, 10));
	return run_sql(store, key, sql);
}

static int check(const char *store, const uint8_t key[32])
{
	struct db_ledger_report ledger = {0};
	char why[DB_WHY_MAX] = "";
	int64_t lines = 0, bad = 0;
	struct db *db = NULL;
	int r = db_open(&db, store, key, 0, why);

	if (r == KE_OK && (r = db_scan(db)) != KE_OK)
		snprintf(why, sizeof why, "%s", db_why(db));
	if (r == KE_OK)
		r = db_turn_begin(db);
	if (r == KE_OK && (r = db_ledger_check(db, &ledger)) != KE_OK)
		snprintf(why, sizeof why, "%s", ledger.why);
	if (r == KE_OK && (r = db_audit_check(db, &lines, &bad)) != KE_OK)
		snprintf(why, sizeof why, "audit line %lld", (long long)bad);
	if (r == KE_OK)
		printf("%lld transfers, %lld entries, %lld audit lines\n",
		    (long long)ledger.transfers, (long long)ledger.entries, (long long)lines);
	else
		fprintf(stderr, "store_tool: %s: %s\n", ke_words(r), why);
	db_close(db);
	return r == KE_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint8_t key[32];
	int r = KE_OK;

	if (argc < 6 || sodium_init() < 0)
		return 2;
	r = store_unseal(argv, &p11, &ring, key);
	if (r != KE_OK) {
		fprintf(stderr, "store_tool: %s %s\n", ke_words(r), p11.why);
		return 1;
	}
	if (strcmp(argv[5], "check") == 0)
		r = check(argv[4], key);
	else if (argc != 7)
		r = 2;
	else if (strcmp(argv[5], "sql") == 0)
		r = run_sql(argv[4], key, argv[6]);
	else
		r = set_schema(argv[4], key, argv[6]);
	fflush(NULL);
	_exit(r); /* SoftHSM crashes in exit handlers under OpenSSL 3 */
}
