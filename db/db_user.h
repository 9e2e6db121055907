/*
 * Users. E-mail addresses are stored in lower case (the caller normalises; others are KE_FORMAT).
 */
#ifndef DB_DB_USER_H
#define DB_DB_USER_H

#include "db/db.h"

#define DB_EMAIL_MAX 254
#define DB_PHC_MAX   160
#define DB_NAME_MAX  64

struct db_user {
	uint8_t id[16]; /* UUIDv7 */
	char email[DB_EMAIL_MAX + 1];
	char phc[DB_PHC_MAX + 1];           /* Argon2id PHC string; wipe after use */
	char display_name[DB_NAME_MAX + 1]; /* "" for none */
	uint8_t roles;                      /* ROLE_BIT_* */
	int64_t version;                    /* from 1 */
	int64_t created_ms;
};

/* Takes every field but version, which becomes 1. KE_EXISTS: the address is known. */
int db_user_create(struct db *d, const struct db_user *u) KE_CHECK;
/* KE_NOTFOUND. */
int db_user_by_id(struct db *d, const uint8_t id[16], struct db_user *u) KE_CHECK;
int db_user_by_email(struct db *d, const char *email, size_t n, struct db_user *u) KE_CHECK;
/* KE_CONFLICT when `version` is not the stored one; bumps it. KE_NOTFOUND. */
int db_user_update_profile(struct db *d, const uint8_t id[16], int64_t version,
    const char *display_name, size_t n) KE_CHECK;
/* Both bump the version. KE_NOTFOUND. */
int db_user_set_roles(struct db *d, const uint8_t id[16], uint8_t roles) KE_CHECK;
int db_user_set_phc(struct db *d, const uint8_t id[16], const char *phc) KE_CHECK;
int db_user_count(struct db *d, int64_t *n) KE_CHECK;

#endif
