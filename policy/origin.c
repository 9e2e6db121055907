/*
 * Origins. Pure; see origin.h.
 */
#include "policy/origin.h"

#include <stdio.h>
#include <string.h>

#include "policy/text.h"

int origin_of(const struct log_name *l, const char *host, char out[NOTE_NAME_MAX + 1])
{
	char id[33];
	int n;

	text_hex(id, l->raffle, sizeof l->raffle);
	n = snprintf(out, NOTE_NAME_MAX + 1, "%s/klero%s%s", host, l->oplog ? "" : "/r/",
	    l->oplog ? "" : id);
	return n > 0 && n <= NOTE_NAME_MAX ? KE_OK : KE_LONG;
}

#define OPLOG "/klero"
#define NOTES "/klero/log"

static bool ends(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

void origin_oplog_key(struct note_key *k)
{
	if (!ends(k->name, NOTES))
		return;
	k->name[strlen(k->name) - (sizeof(NOTES) - sizeof(OPLOG))] = '\0';
	note_key_id(k->id, k->name, k->type, k->pub);
}

void origin_note_key(struct note_key *k)
{
	static const char more[] = "/log";
	size_t n = strlen(k->name);

	if (!ends(k->name, OPLOG) || n + sizeof(more) > sizeof(k->name))
		return;
	memcpy(k->name + n, more, sizeof(more));
	note_key_id(k->id, k->name, k->type, k->pub);
}

int origin_key(const struct log_name *l, const char *host, enum note_type type, const uint8_t *pub,
    struct note_key *k)
{
	int r = origin_of(l, host, k->name);

	if (r != KE_OK)
		return r;
	k->type = type;
	memcpy(k->pub, pub, note_pub_len(type));
	note_key_id(k->id, k->name, type, k->pub);
	return KE_OK;
}

bool origin_belongs(const char *origin, const char *oplog)
{
	size_t n = strlen(oplog);
	uint8_t raffle[16];

	if (strncmp(origin, oplog, n) != 0)
		return false;
	if (origin[n] == '\0')
		return true;
	return strncmp(origin + n, "/r/", 3) == 0 &&
	       text_unhex(raffle, sizeof raffle, origin + n + 3, strlen(origin + n + 3)) == KE_OK;
}

int origin_witness(const char *host, char out[NOTE_NAME_MAX + 1])
{
	int n = snprintf(out, NOTE_NAME_MAX + 1, "%s/klero/witness", host);

	return n > 0 && n <= NOTE_NAME_MAX ? KE_OK : KE_LONG;
}
