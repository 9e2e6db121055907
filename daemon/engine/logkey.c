/*
 * Log keys in the store: see logkey.h. Runs in engine. A meta row for each, by its key id.
 */
#include "daemon/engine/logkey.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "db/db_meta.h"
#include "policy/text.h"

static void row_name(char name[32], const uint8_t id[4])
{
	char hex[9];

	text_hex(hex, id, 4);
	snprintf(name, 32, "log-key/%s", hex);
}

int logkey_keep(struct engine *e)
{
	const struct note_key *k = &e->hsm.log;
	char name[32], vkey[NOTE_VKEY_MAX], had[NOTE_VKEY_MAX];
	size_t n;
	int r = turn_begin(e);

	if (r != KE_OK)
		return r;
	row_name(name, k->id);
	r = note_vkey(k->name, k->type, k->pub, vkey, sizeof vkey);
	if (r != KE_OK || db_meta_get(e->db, name, had, sizeof had, &n) == KE_OK)
		return r;
	return db_meta_set(e->db, name, vkey, strlen(vkey));
}

int logkey_of(struct engine *e, const char *note, size_t n, struct note_key *k)
{
	char name[32], vkey[NOTE_VKEY_MAX];
	uint8_t id[4];
	size_t len;
	int r = note_signer(note, n, e->log_name, id);

	if (r == KE_OK)
		r = turn_begin(e);
	if (r != KE_OK)
		return r;
	row_name(name, id);
	r = db_meta_get(e->db, name, vkey, sizeof vkey, &len);
	return r == KE_OK ? note_vkey_parse(k, vkey, len) : r;
}
