/*
 * Backups of the running store: see backup.h. Runs in engine.
 */
#include "daemon/engine/backup.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"
#include "db/db.h"
#include "db/db_audit.h"

#define BACKUP_MS  (INT64_C(3600) * 1000) /* for one backup */
#define BACKUP_LOG (INT64_C(2) << 30)     /* how far the log may grow meanwhile */

static const char lost_words[] =
    "the store had to be written back meanwhile: the backup took too long; nothing was kept";

/* The client that holds the store, NULL when it is gone. */
static struct ctl_client *holder(struct engine *e)
{
	for (unsigned i = 0; i < CTL_CLIENTS; i++)
		if (e->ctl.client[i].chan != NULL && e->ctl.client[i].serial == e->backup.serial)
			return &e->ctl.client[i];
	return NULL;
}

static void let_go(struct engine *e)
{
	db_let_go(e->db);
	e->backup = (struct backup){.serial = 0};
}

void backup_gone(struct engine *e, uint64_t serial)
{
	if (e->backup.serial == 0 || e->backup.serial != serial)
		return;
	log_warn("the client that made a backup is gone: it is not finished");
	let_go(e);
}

bool backup_wishes(const struct engine *e, const struct ctl_client *c)
{
	return e->backup.serial == c->serial && e->backup.wish != BACKUP_NOTHING;
}

/* --- between two turns --- */

static void hold(struct engine *e, struct ctl_client *c)
{
	int r = db_hold(e->db, BACKUP_LOG);

	if (r != KE_OK) {
		ctl_answer(e, c, MSG_CTL_BACKUP_ANS, r, db_why(e->db));
		let_go(e);
		return;
	}
	c->until_ms = engine_clock_ms() + BACKUP_MS;
	ctl_answer(e, c, MSG_CTL_BACKUP_ANS, KE_OK, "");
}

/* What the store cannot be opened without, or not whole. */
static int find_needs(struct engine *e, struct backup_manifest *m)
{
	const struct anchor *a = &e->quorum.anchor;
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && e->quorum.known && i < a->keys; i++) {
		int64_t live = 0;

		r = rewrap_count(e, &a->key[i], &live);
		if (r != KE_OK || live <= 0)
			continue;
		if (m->needs == BACKUP_NEEDS_MAX)
			return KE_FULL;
		m->need[m->needs++] = (struct backup_need){a->key[i].purpose, a->key[i].version};
	}
	return r;
}

static int find_facts(struct engine *e, struct backup_manifest *m)
{
	int64_t lines = 0;
	int r = db_audit_head(e->db, &lines, m->audit_hash);

	m->made_s = (uint64_t)(turn_now_ms(e) / 1000);
	memcpy(m->appliance, e->appliance, sizeof m->appliance);
	snprintf(m->program, sizeof m->program, "%s", KLERO_VERSION);
	m->schema = (uint64_t)db_schema(e->db);
	m->audit = (uint64_t)lines;
	m->anchor = e->quorum.known ? e->quorum.anchor.serial : 0;
	m->log_key = e->hsm.log_version;
	return r == KE_OK ? find_needs(e, m) : r;
}

/* Everything that is committed by now is in the log up to here. */
static int describe(struct engine *e, struct wire_out *w)
{
	struct backup_manifest *m = &e->backup.facts;
	char text[BACKUP_TEXT_MAX], anchor[ANCHOR_TEXT_MAX];
	size_t n = 0, an = 0;
	int r = db_turn_begin(e->db);

	if (r == KE_OK) {
		r = find_facts(e, m);
		db_turn_rollback(e->db); /* nothing was changed */
	}
	if (r == KE_OK)
		r = backup_text(m, text, sizeof text, &n);
	if (r == KE_OK && e->quorum.known)
		r = anchor_text(&e->quorum.anchor, anchor, sizeof anchor, &an);
	if (r != KE_OK)
		return r;
	wire_put_i32(w, KE_OK);
	wire_put_str(w, text, n);
	wire_put_u64(w, (uint64_t)db_held_log(e->db));
	wire_put_str(w, anchor, an);
	return w->err;
}

static void cut(struct engine *e, struct ctl_client *c)
{
	uint8_t body[BACKUP_TEXT_MAX + ANCHOR_TEXT_MAX + 64];
	struct wire_out w;
	int r = db_held(e->db) ? KE_OK : KE_TIMEOUT;

	wire_out_init(&w, body, sizeof body);
	if (r == KE_OK)
		r = describe(e, &w);
	e->backup.cut = r == KE_OK;
	if (r != KE_OK) {
		const char *words = r == KE_TIMEOUT ? lost_words : ke_words(r);

		wire_out_init(&w, body, sizeof body);
		wire_put_i32(&w, r);
		wire_put_cstr(&w, words);
		wire_put_u64(&w, 0);
		wire_put_cstr(&w, "");
		let_go(e);
	}
	ctl_send(e, c, MSG_CTL_BACKUP_CUT_ANS, &w);
}

void backup_between(struct engine *e)
{
	struct backup *b = &e->backup;
	enum backup_wish wish = b->wish;
	struct ctl_client *c = holder(e);

	if (wish == BACKUP_NOTHING || c == NULL)
		return;
	b->wish = BACKUP_NOTHING;
	if (wish == BACKUP_HOLD)
		hold(e, c);
	else
		cut(e, c);
}

/* --- the client's questions --- */

static int on_begin(struct engine *e, struct ctl_client *c)
{
	if (e->backup.serial == c->serial)
		return KE_PEER;
	if (e->backup.serial != 0) {
		ctl_answer(e, c, MSG_CTL_BACKUP_ANS, KE_AGAIN, "another backup is being made");
		return KE_OK;
	}
	e->backup = (struct backup){.serial = c->serial};
	e->backup.wish = BACKUP_HOLD;
	return KE_OK;
}

static int on_cut(struct engine *e, const struct ctl_client *c)
{
	if (e->backup.serial != c->serial || e->backup.cut)
		return KE_PEER;
	e->backup.wish = BACKUP_CUT;
	return KE_OK;
}

/* The line that says so comes after the snapshot, so a restored store does not have it. */
static int write_down(struct engine *e, void *arg)
{
	(void)arg;
	return db_audit_append(
	    e->db, turn_now_ms(e), NULL, "backup", NULL, "{\"by\":\"control\"}", 16);
}

static int signed_by_hsm(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ctl_client *c = ctl_client_of(j);
	char line[NOTE_NAME_MAX + 128];
	uint8_t id[4], sig[64], type;
	size_t n = 0;

	if (in == NULL || r != KE_OK) {
		ctl_answer(e, c, MSG_CTL_BACKUP_SIGN_ANS, r,
		    r == KE_DENIED ? "hsm does not sign it: keys were changed meanwhile; try again"
				   : "hsm cannot sign it now; try again");
		return KE_OK;
	}
	wire_get_raw(in, id, sizeof id);
	type = wire_get_u8(in);
	wire_get_raw(in, sig, sizeof sig);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = note_sig_line(e->log_name, (enum note_type)type, id, sig, line, sizeof line - 1, &n);
	line[n] = '\0';
	if (r == KE_OK)
		r = ctl_guarded(e, write_down, NULL);
	ctl_answer(e, c, MSG_CTL_BACKUP_SIGN_ANS, r, r == KE_OK ? line : ke_words(r));
	return KE_OK;
}

static int on_sign(struct engine *e, struct ctl_client *c, const struct msg *m)
{
	struct backup_manifest asked;
	const uint8_t *text;
	struct wire_in in;
	bool held = db_held(e->db);
	size_t n;
	int r;

	wire_in_init(&in, m->body, m->len);
	text = wire_get_str(&in, BACKUP_TEXT_MAX, &n);
	if (wire_end(&in) != KE_OK || e->backup.serial != c->serial || !e->backup.cut)
		return KE_PEER;
	if (backup_parse(&asked, (const char *)text, n) != KE_OK || !backup_whole(&asked) ||
	    !backup_same_facts(&asked, &e->backup.facts))
		return KE_PEER;
	let_go(e);
	if (!held) {
		ctl_answer(e, c, MSG_CTL_BACKUP_SIGN_ANS, KE_TIMEOUT, lost_words);
		return KE_OK;
	}
	r = eng_hsm_sign_backup(e, &c->job, signed_by_hsm, text, n);
	if (r != KE_OK)
		ctl_answer(e, c, MSG_CTL_BACKUP_SIGN_ANS, r, "hsm is not there now; try again");
	return KE_OK;
}

int backup_message(struct engine *e, struct ctl_client *c, const struct msg *m)
{
	switch (m->type) {
	case MSG_CTL_BACKUP:
		return on_begin(e, c);
	case MSG_CTL_BACKUP_CUT:
		return on_cut(e, c);
	default:
		return on_sign(e, c, m);
	}
}
