/*
 * Which user a role becomes: see conf_identity in conf.h. Runs in parent and kleroctl.
 */
#include "daemon/conf/conf.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The order of uid-base (klerod.conf): part of the interface, not to be changed. */
static const enum role order[] = {
    ROLE_NET, ROLE_ENGINE, ROLE_HSM, ROLE_TLSKEY, ROLE_KEYADM, ROLE_KDF, ROLE_OUT, ROLE_BEACON};

#define ROLES (sizeof order / sizeof order[0])

/* The user's name: configured, or the default. */
static void user_name(const struct conf *c, size_t i, char *name, size_t len)
{
	if (c->users[order[i]][0] != '\0')
		snprintf(name, len, "%s", c->users[order[i]]);
	else
		snprintf(name, len, "klero-%s", role_word(order[i]));
}

static int resolve(const struct conf *c, size_t i, uint32_t *uid, uint32_t *gid)
{
	char name[80];
	struct passwd *pw;

	user_name(c, i, name, sizeof name);
	pw = getpwnam(name);
	if (pw == NULL && isdigit((unsigned char)name[0])) {
		*uid = *gid = (uint32_t)strtoul(name, NULL, 10);
		return KE_OK;
	}
	if (pw != NULL) {
		*uid = pw->pw_uid;
		*gid = pw->pw_gid;
		return KE_OK;
	}
	if (c->users[order[i]][0] == '\0' && c->uid_base != 0) {
		*uid = *gid = c->uid_base + (uint32_t)i;
		return KE_OK;
	}
	return KE_NOTFOUND;
}

static int check(
    const struct conf *c, size_t self, const struct rconf_identity *id, char *why, size_t whylen)
{
	const char *word = role_word(order[self]);

	if (id->uid == 0 || id->gid == 0) {
		snprintf(why, whylen, "user-%s must not be root or in root's group", word);
		return KE_DENIED;
	}
	for (size_t i = 0; i < ROLES; i++) {
		uint32_t uid, gid;

		if (i == self || resolve(c, i, &uid, &gid) != KE_OK || uid != id->uid)
			continue;
		snprintf(why, whylen, "user-%s and user-%s are the same user, %u", word,
		    role_word(order[i]), uid);
		return KE_EXISTS;
	}
	return KE_OK;
}

int conf_identity(
    const struct conf *c, enum role role, struct rconf_identity *id, char *why, size_t whylen)
{
	char name[80];

	*id = (struct rconf_identity){.drop = geteuid() == 0};
	if (!id->drop) {
		id->uid = geteuid();
		id->gid = getegid();
		return KE_OK;
	}
	for (size_t i = 0; i < ROLES; i++) {
		if (order[i] != role)
			continue;
		if (resolve(c, i, &id->uid, &id->gid) == KE_OK)
			return check(c, i, id, why, whylen);
		user_name(c, i, name, sizeof name);
		snprintf(why, whylen, "there is no user %s: add it, or set uid-base", name);
		return KE_NOTFOUND;
	}
	return KE_INTERNAL;
}
