/*
 * The key check (db_key.h). Runs in engine, before the store is opened.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "db/db_file.h"
#include "db/db_key.h"
#include "policy/hash.h"
#include "policy/text.h"

#define LABEL    "kleroterion/v1/db-check"
#define HEAD     "klero-check 1 "
#define HEAD_LEN (sizeof HEAD - 1)
#define SUM_AT   (HEAD_LEN + 32 + 1 + 64 + 1)
#define LINE_LEN (SUM_AT + 64 + 1)

static void write_line(char line[LINE_LEN + 1], const uint8_t nonce[16], const uint8_t key[32])
{
	uint8_t tag[32], sum[32];
	char n[33], t[65], s[65];

	hash_kdf(tag, key, LABEL, nonce, 16);
	text_hex(n, nonce, 16);
	text_hex(t, tag, 32);
	snprintf(line, LINE_LEN + 1, HEAD "%s %s ", n, t);
	hash_sha256(sum, line, SUM_AT);
	text_hex(s, sum, 32);
	snprintf(line + SUM_AT, LINE_LEN + 1 - SUM_AT, "%s\n", s);
}

int db_key_check(const char *folder, const uint8_t key[32])
{
	char line[LINE_LEN + 2], want[LINE_LEN + 1];
	uint8_t nonce[16], sum[32], said[32];
	size_t n;

	int r = db_file_read(folder, DB_CHECK_FILE, line, sizeof line, &n);
	if (r)
		return r == KE_LONG ? KE_DAMAGED : r;
	if (n != LINE_LEN || memcmp(line, HEAD, HEAD_LEN) != 0)
		return KE_DAMAGED;
	hash_sha256(sum, line, SUM_AT);
	if (text_unhex(said, 32, line + SUM_AT, 64) || memcmp(sum, said, 32) != 0)
		return KE_DAMAGED;
	if (text_unhex(nonce, 16, line + HEAD_LEN, 32))
		return KE_DAMAGED;
	write_line(want, nonce, key);
	return sodium_memcmp(line, want, LINE_LEN) == 0 ? KE_OK : KE_WRONG_KEY;
}

int db_key_write(const char *folder, const uint8_t key[32])
{
	char line[LINE_LEN + 1];
	uint8_t nonce[16];

	randombytes_buf(nonce, sizeof nonce);
	write_line(line, nonce, key);
	return db_file_write(folder, DB_CHECK_FILE, line, LINE_LEN);
}
