/*
 * Users. E-mail addresses are stored in lower case (the caller normalises; others are KE_FORMAT).
 */
#ifndef DB_DB_USER_H
#define DB_DB_USER_H

#include "db/db.h"

#define DB_EMAIL_MAX      254
#define DB_CREDENTIAL_MAX 300 /* a sealed PHC string: hsm/role/sealed.h */
#define DB_NAME_MAX       64

struct db_user {
	uint8_t id[16]; /* UUIDv7 */
	char email[DB_EMAIL_MAX + 1];
	/* what the password is verified by, sealed by hsm (plain in stores of before); wipe it */
	char credential[DB_CREDENTIAL_MAX + 1];
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
int db_user_set_credential(struct db *d, const uint8_t id[16], const char *credential) KE_CHECK;
int db_user_count(struct db *d, int64_t *n) KE_CHECK;

/* --- credentials by the version of the key that they are sealed under --- */

/* How a credential begins: "klero:1:data:v000001:", or the plain text of before. */
#define DB_HEAD_LEN 21

struct db_credential {
	uint8_t id[16];
	char text[DB_CREDENTIAL_MAX + 1];
};

/* The first head behind `after` ("" for the very first) but for `but`; KE_NOTFOUND. */
int db_user_next_head(
    struct db *d, const char *after, const char *but, char head[DB_HEAD_LEN + 1]) KE_CHECK;
/* Is there any with that head? KE_OK, KE_NOTFOUND. */
int db_user_has_head(struct db *d, const char *head) KE_CHECK;
/* At most `limit` credentials with that head, by id, behind that of `after`. */
int db_user_with_head(struct db *d, const char *head, const uint8_t after[16], int64_t limit,
    int (*each)(void *arg, const struct db_credential *c), void *arg) KE_CHECK;
/* How many have it: a number that is kept, not counted. */
int db_user_count_head(struct db *d, const char *head, int64_t *n) KE_CHECK;
/*
 * The same credential sealed anew: the user's version does not change. KE_STATE when the row does
 * not hold `was` any more. The numbers of both heads follow with db_user_moved().
 */
int db_user_reseal(
    struct db *d, const uint8_t id[16], const char *was, const char *credential) KE_CHECK;
int db_user_moved(struct db *d, const char *from, const char *to, int64_t n) KE_CHECK;

#endif
