/*
 * The opening of the store: see opening.h. Runs in engine, inside its sandbox.
 */
#include "daemon/engine/opening.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conf/durable.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/keysfile.h"
#include "daemon/msg/log.h"
#include "db/db.h"
#include "db/db_meta.h"
#include "policy/be.h"
#include "policy/text.h"

#define NEW_FILE "klero.new" /* setup's word that the store is still to be made */
/* After so long nets are told that hsm is away; before, they wait for a start as it should be. */
#define SILENT_MS 2000

void opening_failed(struct engine *e, const char *what, int r)
{
	fatal("store: %s: %s: %s%s", what, ke_words(r), db_why(e->db),
	    r == KE_DAMAGED ? ": restore a backup" : "");
}

/* A store that belongs to another appliance would not fit its keys' bindings. */
static void check_appliance(struct engine *e, const uint8_t appliance[16])
{
	uint8_t id[16];
	size_t n;
	int r = db_turn_begin(e->db);

	if (r == KE_OK)
		r = db_meta_get(e->db, DB_META_APPLIANCE, id, sizeof id, &n);
	if (r == KE_NOTFOUND)
		r = db_meta_set(e->db, DB_META_APPLIANCE, appliance, 16);
	else if (r == KE_OK && (n != 16 || memcmp(id, appliance, 16) != 0))
		fatal("%s belongs to another appliance than %s: restore both from one backup",
		    DB_FILE, KEYSFILE_NAME);
	if (r == KE_OK)
		r = db_turn_commit(e->db, NULL);
	if (r != KE_OK)
		opening_failed(e, "appliance", r);
}

/*
 * What setup has written into its word: "code ", SHA-256 of the first admin's code in hex, " ",
 * until when in Unix seconds, LF. An older setup has written nothing.
 */
static int keep_code(struct engine *e, const char *path)
{
	char text[128];
	uint8_t value[DB_META_ENROL_LEN];
	uint64_t until;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;

	if (fd >= 0)
		close(fd);
	if (n == 0)
		return KE_OK;
	if (n < 5 + 64 + 2 || text[n - 1] != '\n' || memcmp(text, "code ", 5) != 0 ||
	    text_unhex(value, 32, text + 5, 64) != KE_OK || text[5 + 64] != ' ' ||
	    text_unu64(&until, text + 5 + 64 + 1, (size_t)n - (5 + 64 + 2)) != KE_OK)
		return KE_FORMAT;
	be_put64(value + 32, until);
	r = db_turn_begin(e->db);
	if (r == KE_OK)
		r = db_meta_set(e->db, DB_META_ENROL, value, sizeof value);
	return r == KE_OK ? db_turn_commit(e->db, NULL) : r;
}

/*
 * The store is made: takes setup's word for that away, for good. Were it to come back with the next
 * power cut, a store that is lost later would be made anew instead of being missed.
 */
static void forget_new(const char *folder, const char *path)
{
	if (unlink(path) != 0 || !durable_folder(folder))
		fatal("%s: %s", NEW_FILE, strerror(errno));
}

/* key is wiped. */
static void open_store(struct engine *e, uint8_t *key)
{
	char new_path[RCONF_PATH + 16], why[DB_WHY_MAX] = "";
	bool is_new;
	int r;

	snprintf(new_path, sizeof new_path, "%s/%s", e->conf.store, NEW_FILE);
	is_new = access(new_path, F_OK) == 0;
	r = db_open(&e->db, e->conf.store, key, is_new ? DB_CREATE : 0, why);
	sodium_free(key); /* wipes */
	if (r != KE_OK)
		fatal("store: %s", why[0] != '\0' ? why : ke_words(r));
	check_appliance(e, e->appliance);
	r = is_new ? keep_code(e, new_path) : KE_OK;
	if (r != KE_OK)
		fatal("%s: %s", new_path, ke_words(r));
	if (is_new)
		forget_new(e->conf.store, new_path);
}

static int key_opened(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	uint8_t *key;

	(void)j;
	if (in == NULL && r == KE_UNAVAIL)
		return KE_OK; /* it went away: the next one is asked */
	key = sodium_malloc(32);
	if (key == NULL)
		fatal("out of memory");
	hsm_take_dbkey(r, in, key);
	open_store(e, key);
	e->hsm.known = 0; /* asked for anew, and written down now that there is where */
	e->opening.opened(e);
	return KE_OK;
}

void opening_begin(struct engine *e, void (*opened)(struct engine *e))
{
	keysfile_read(e);
	e->opening = (struct opening){.opened = opened, .began_ms = engine_clock_ms()};
}

void opening_step(struct engine *e)
{
	uint64_t hsm = e->peers.hsm.serial;

	if (e->db != NULL || e->opening.job.id != 0 || e->opening.asked == hsm ||
	    e->hsm.known != hsm)
		return;
	if (eng_hsm_open_dbkey(e, &e->opening.job, key_opened) == KE_OK)
		e->opening.asked = hsm;
}

bool opening_serves(const struct engine *e)
{
	return e->db != NULL || engine_clock_ms() >= e->opening.began_ms + SILENT_MS;
}
