/*
 * The winners' files of v2 raffles with more winners and reserves than their draw records list
 * (policy/record2.h): written once, in the turn of the record that holds the hash.
 */
#ifndef DB_DB_WINNERS_H
#define DB_DB_WINNERS_H

#include "db/db.h"

#define DB_WINNERS_PART ((size_t)1 << 20) /* a file of more bytes is several rows */

/* KE_EXISTS: it is there already. */
int db_winners_put(struct db *d, const uint8_t raffle[16], const char *text, size_t n) KE_CHECK;
/* The whole file; KE_NOTFOUND: that raffle has none. KE_LONG: cap. */
int db_winners_get(
    struct db *d, const uint8_t raffle[16], char *text, size_t cap, size_t *n) KE_CHECK;

#endif
