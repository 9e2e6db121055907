/*
 * Inside db/ only: the key check, <store>/klero.check. A wrong key and a damaged store look the
 * same to SQLCipher; this small file tells them apart. One line:
 *	klero-check 1 <nonce, 32 hex> <tag, 64 hex> <sum, 64 hex>
 * tag = KDF(key, "kleroterion/v1/db-check", nonce) (policy/hash.h), so it says nothing about the
 * key; sum = SHA-256 of the line up to it, so damage to this file is not taken for a wrong key.
 */
#ifndef DB_DB_KEY_H
#define DB_DB_KEY_H

#include "db/db.h"

/* KE_OK: the right key. KE_WRONG_KEY. KE_NOTFOUND: no such file. KE_DAMAGED: it is unreadable. */
int db_key_check(const char *folder, const uint8_t key[32]) KE_CHECK;
/* Writes a fresh one, durably. */
int db_key_write(const char *folder, const uint8_t key[32]) KE_CHECK;

#endif
