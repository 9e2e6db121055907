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
