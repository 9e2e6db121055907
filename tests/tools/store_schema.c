/*
 * Sets the schema number of a stopped appliance's store, so that a test can ask what klerod says
 * to a store from the future. For throw-away appliances: it unseals the database key with the
 * token's PIN. Usage: store_schema MODULE TOKEN PIN-FILE STORE NUMBER; SOFTHSM2_CONF is set.
 */
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hsm/p11/blob.h"
#include "policy/text.h"

static struct p11 p11;
static struct key_ring ring;

static int line_of(const char *path, const char *word, char *out, size_t cap)
{
	char line[1024];
	size_t n = strlen(word);
	FILE *f = fopen(path, "re");
	int r = KE_NOTFOUND;

	if (f == NULL)
		return KE_IO;
	while (r != KE_OK && fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, word, n) == 0 && strlen(line + n) < cap) {
			memcpy(out, line + n, strlen(line + n) + 1);
			r = KE_OK;
		}
	}
	fclose(f);
	return r;
}

static int unseal(char **argv, uint8_t key[32])
{
	char path[512], pin[256], sealed[BLOB_TEXT_MAX], id[64];
	uint8_t appliance[16];
	size_t n = 0;
	int r = line_of(argv[3], "", pin, sizeof pin);

	snprintf(path, sizeof path, "%s/klero.keys", argv[4]);
	if (r == KE_OK)
		r = line_of(path, "appliance ", id, sizeof id);
	if (r == KE_OK && (sodium_hex2bin(appliance, 16, id, 32, NULL, &n, NULL) != 0 || n != 16))
		r = KE_FORMAT;
	if (r == KE_OK)
		r = line_of(path, "dbkey ", sealed, sizeof sealed);
	if (r == KE_OK)
		r = p11_load(&p11, argv[1], NULL, 0);
	if (r == KE_OK)
		r = p11_open(&p11, argv[2], false);
	if (r == KE_OK)
		r = p11_login(&p11, pin);
	if (r == KE_OK)
		r = key_ring_find(&p11, &ring);
	if (r == KE_OK)
		r = blob_open_class_key(
		    &p11, &ring, BLOB_DB, appliance, sealed, strlen(sealed), key);
	return r;
}

static int set(const char *store, const uint8_t key[32], const char *number)
{
	char sql[300], hex[65];
	sqlite3 *db = NULL;
	int r = SQLITE_ERROR;

	snprintf(sql, sizeof sql, "%s/klero.db", store);
	if (sqlite3_open_v2(sql, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
		sodium_bin2hex(hex, sizeof hex, key, 32);
		snprintf(sql, sizeof sql,
		    "PRAGMA key = \"x'%s'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256; "
		    "PRAGMA user_version = %ld; "
		    "PRAGMA wal_checkpoint(TRUNCATE)",
		    hex, strtol(number, NULL, 10));
		r = sqlite3_exec(db, sql, NULL, NULL, NULL);
	}
	if (r != SQLITE_OK)
		fprintf(stderr, "store_schema: %s\n", sqlite3_errmsg(db));
	sqlite3_close(db);
	return r == SQLITE_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	uint8_t key[32];
	int r;

	if (argc != 6 || sodium_init() < 0)
		return 2;
	r = unseal(argv, key);
	if (r != KE_OK) {
		fprintf(stderr, "store_schema: %s %s\n", ke_words(r), p11.why);
		return 1;
	}
	r = set(argv[4], key, argv[5]);
	fflush(NULL);
	_exit(r); /* SoftHSM crashes in exit handlers under OpenSSL 3 */
}
