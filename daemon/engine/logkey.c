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

/* The logs have names of their own, and with them other key ids: they are looked for by version. */
static void version_name(char name[32], uint32_t version)
{
	snprintf(name, 32, "log-key/v%06u", version);
}

static int keep(struct engine *e, const char *name, const char *vkey)
{
	char had[NOTE_VKEY_MAX];
	size_t n;

	if (db_meta_get(e->db, name, had, sizeof had, &n) == KE_OK)
		return KE_OK;
	return db_meta_set(e->db, name, vkey, strlen(vkey));
}

int logkey_keep(struct engine *e)
{
	const struct note_key *k = &e->hsm.log;
	char name[32], vkey[NOTE_VKEY_MAX];
	int r = turn_begin(e);

	if (r == KE_OK)
		r = note_vkey(k->name, k->type, k->pub, vkey, sizeof vkey);
	if (r != KE_OK)
		return r;
	row_name(name, k->id);
	r = keep(e, name, vkey);
	if (r != KE_OK || e->hsm.log_version == 0)
		return r;
	version_name(name, e->hsm.log_version);
	return keep(e, name, vkey);
}

static int kept(struct engine *e, const char *name, struct note_key *k)
{
	char vkey[NOTE_VKEY_MAX];
	size_t len;
	int r = db_meta_get(e->db, name, vkey, sizeof vkey, &len);

	return r == KE_OK ? note_vkey_parse(k, vkey, len) : r;
}

int logkey_of_log(
    struct engine *e, const struct log_name *log, const char *note, size_t n, struct note_key *k)
{
	char origin[NOTE_NAME_MAX + 1], name[32];
	struct note_key stored;
	uint8_t id[4];
	int r = origin_of(log, e->conf.host, origin);

	if (r == KE_OK)
		r = note_signer(note, n, origin, id);
	if (r == KE_OK)
		r = turn_begin(e);
	if (r != KE_OK)
		return r;
	for (uint32_t v = e->hsm.log_version; v > 0; v--) {
		version_name(name, v);
		if (kept(e, name, &stored) == KE_OK &&
		    origin_key(log, e->conf.host, stored.type, stored.pub, k) == KE_OK &&
		    memcmp(k->id, id, sizeof id) == 0)
			return KE_OK;
	}
	return KE_NOTFOUND;
}

int logkey_of(struct engine *e, const char *note, size_t n, struct note_key *k)
{
	char name[32];
	uint8_t id[4];
	int r = note_signer(note, n, e->log_name, id);

	if (r == KE_OK)
		r = turn_begin(e);
	if (r != KE_OK)
		return r;
	row_name(name, id);
	return kept(e, name, k);
}
