/*
 * The escrow bundles of raffles (policy/escrow.h), as hsm has made them.
 */
#ifndef DB_DB_ESCROW_H
#define DB_DB_ESCROW_H

#include "db/db.h"

#define DB_ESCROW_MAX 65000 /* of a bundle's text */

/* While the raffle is a draft; afterwards KE_STATE. KE_LONG. */
int db_escrow_put(
    struct db *d, const uint8_t raffle[16], const char *text, size_t n, int64_t now_ms) KE_CHECK;
/* KE_NOTFOUND: that raffle has none. KE_LONG: cap. */
int db_escrow_get(
    struct db *d, const uint8_t raffle[16], char *text, size_t cap, size_t *n) KE_CHECK;

#endif
