/*
 * The check of a restored store: see restore.h. Runs in engine.
 *
 * The order is that of trust: is it for this program, this appliance and this token, is it signed,
 * does it open, is every page whole, do log and money agree, is what was drawn provable. The first
 * thing that is wrong ends it.
 */
#include "daemon/engine/restore.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/keysfile.h"
#include "daemon/engine/proof.h"
#include "daemon/msg/log.h"
#include "db/db.h"
#include "db/db_audit.h"
#include "db/db_ledger.h"
#include "db/db_meta.h"
#include "db/db_raffle.h"
#include "db/db_session.h"
#include "policy/text.h"

#define WORDS 512

struct restore {
	struct engine *e;
	int hsm;
	struct backup_manifest m;
	char note[BACKUP_NOTE_MAX];
	size_t note_len;
	uint8_t buf[MSG_MAX];
};

/* Tells kleroctl; returns r. */
static int found(int r, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(bool last, int r, const char *what, const char *words)
{
	uint8_t body[WORDS + 128];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, last);
	wire_put_i32(&w, r);
	wire_put_cstr(&w, what);
	wire_put_cstr(&w, words);
	if (w.err != KE_OK || msg_send(MSG_CTL_FD, MSG_ENGINE_FOUND, 0, body, w.len, -1) != KE_OK)
		fatal("kleroctl does not listen");
}

static int found(int r, const char *what, const char *fmt, ...)
{
	char words[WORDS];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	tell(false, r, what, words);
	return r;
}

/* --- before the store is opened --- */

static int read_manifest(struct restore *s)
{
	char path[RCONF_PATH + 32];
	ssize_t n;
	const char *end;
	int fd;

	snprintf(path, sizeof path, "%s/%s", s->e->conf.store, RESTORE_MANIFEST);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, s->note, sizeof s->note) : -1;
	if (fd >= 0)
		close(fd);
	s->note_len = n > 0 ? (size_t)n : 0;
	end = memmem(s->note, s->note_len, "\n\n", 2);
	if (end == NULL || backup_parse(&s->m, s->note, (size_t)(end - s->note) + 1) != KE_OK)
		return found(KE_FORMAT, "manifest", "cannot be read");
	return KE_OK;
}

static int check_program(struct restore *s)
{
	const struct backup_manifest *m = &s->m;

	if (m->schema > (uint64_t)db_schema_newest())
		return found(KE_VERSION, "program",
		    "the backup was made by a newer program, %s, whose store is of version "
		    "%" PRIu64 "; this one, %s, knows up to %d: install the newer one",
		    m->program, m->schema, KLERO_VERSION, db_schema_newest());
	return found(KE_OK, "program", "made by %s, store version %" PRIu64 " (this one: %s, %d)",
	    m->program, m->schema, KLERO_VERSION, db_schema_newest());
}

static int check_keysfile(struct restore *s)
{
	keysfile_read(s->e);
	if (memcmp(s->e->appliance, s->m.appliance, 16) != 0)
		return found(KE_DENIED, "appliance", "%s is of another appliance", KEYSFILE_NAME);
	return KE_OK;
}

/* The machine's own store: what its files say stands for the manifest. */
static int check_own(struct restore *s)
{
	keysfile_read(s->e);
	memcpy(s->m.appliance, s->e->appliance, 16);
	return KE_OK;
}

static bool is_own(const struct restore *s)
{
	return (s->e->conf.restore & RCONF_DOCTOR) != 0;
}

/* The anchor as this token has it; r is hsm's own word. */
static int ask_anchor(struct restore *s)
{
	uint8_t nothing[1];
	struct wire_out w;
	struct wire_in in;
	const uint8_t *text;
	size_t n;
	int r;

	wire_out_init(&w, nothing, 0);
	hsm_ask_blocking(s->hsm, MSG_HSM_ANCHOR, &w, s->buf, &in);
	r = wire_get_i32(&in);
	if (r != KE_OK)
		return r;
	text = wire_get_str(&in, ANCHOR_TEXT_MAX, &n);
	if (wire_end(&in) != KE_OK ||
	    anchor_parse(&s->e->quorum.anchor, (const char *)text, n) != KE_OK)
		fatal("hsm's anchor does not fit");
	s->e->quorum.known = true;
	return KE_OK;
}

static int check_needs(const struct restore *s)
{
	for (size_t i = 0; i < s->m.needs; i++) {
		const struct backup_need *n = &s->m.need[i];
		const struct anchor_key *k =
		    anchor_key(&s->e->quorum.anchor, n->purpose, n->version);

		if (k == NULL || k->status == ANCHOR_DESTROYED)
			return found(KE_NOTFOUND, "token",
			    "key %s version %" PRIu64 ", under which values of this backup stand, "
			    "%s",
			    purpose_words[n->purpose], n->version,
			    k == NULL ? "is not in this token"
				      : "was destroyed since: the backup cannot be opened again");
	}
	return KE_OK;
}

static int check_token(struct restore *s)
{
	const struct anchor *a = &s->e->quorum.anchor;
	int r = ask_anchor(s);

	if (r == KE_NOTFOUND && s->m.anchor == 0)
		return found(KE_OK, "token", "it has no anchor, now as then");
	if (r == KE_NOTFOUND)
		return found(KE_DENIED, "token",
		    "this token has no anchor, the backup's had one: it is another token");
	if (r != KE_OK)
		return found(r, "token", "hsm: %s", ke_words(r));
	if (memcmp(a->appliance, s->m.appliance, 16) != 0)
		return found(KE_DENIED, "token",
		    "the wrong HSM: this token belongs to another appliance than the backup");
	if (a->serial < s->m.anchor)
		return found(KE_VERSION, "token",
		    "the token is older than the backup (%" PRIu64 " actions, the backup knows "
		    "%" PRIu64 "): restore the token's own backup of that time or later first",
		    a->serial, s->m.anchor);
	r = check_needs(s);
	if (r == KE_OK)
		r = found(r, "token", "the appliance's own%s",
		    !is_own(s) && a->serial > s->m.anchor
			? "; officers have acted since the backup: the keys are as they are now"
			: "");
	return r;
}

static int check_signature(struct restore *s)
{
	uint8_t body[BACKUP_NOTE_MAX + 2];
	struct wire_out w;
	struct wire_in in;
	int r;

	wire_out_init(&w, body, sizeof body);
	wire_put_str(&w, s->note, s->note_len);
	hsm_ask_blocking(s->hsm, MSG_HSM_CHECK_BACKUP, &w, s->buf, &in);
	r = wire_get_i32(&in);
	switch (r) {
	case KE_OK:
		return found(
		    r, "signature", "by this appliance's log key, version %" PRIu64, s->m.log_key);
	case KE_VERSION:
		if ((s->e->conf.restore & RCONF_UNSIGNED) != 0)
			return found(KE_OK, "signature", "not checked, as you asked");
		return found(r, "signature",
		    "log key version %" PRIu64 " is not in the token any more, so nobody can tell "
		    "that the backup is genuine; --unsigned takes it all the same",
		    s->m.log_key);
	case KE_NOTFOUND:
		return found(r, "signature",
		    "it is signed under another name: set host in klerod.conf as it was (%s)",
		    s->e->conf.host);
	default:
		return found(r, "signature", "forged, or damaged");
	}
}

/* --- the store --- */

static int open_store(struct restore *s)
{
	char why[DB_WHY_MAX] = "";
	uint8_t *key = sodium_malloc(32);
	int r;

	if (key == NULL)
		fatal("out of memory");
	hsm_start(s->e, s->hsm, s->e->sealed, s->e->appliance, key);
	r = db_open(&s->e->db, s->e->conf.store, key, is_own(s) ? DB_AS_IS : 0, why);
	sodium_free(key); /* wipes */
	if (r != KE_OK)
		return found(r, "store", "%s", why[0] != '\0' ? why : ke_words(r));
	r = db_scan(s->e->db);
	if (r != KE_OK)
		return found(r, "store", "damaged: %s", db_why(s->e->db));
	return found(r, "store", "opens, and every page is whole");
}

static int check_audit(struct restore *s)
{
	int64_t lines = 0, bad = 0;
	uint8_t hash[32];
	int r = db_audit_check(s->e->db, &lines, &bad);

	if (r != KE_OK)
		return found(r, "log", "the audit chain breaks at line %" PRId64, bad);
	if (is_own(s))
		return found(
		    KE_OK, "log", "the audit chain's %" PRId64 " lines follow each other", lines);
	r = s->m.audit == 0 ? KE_OK : db_audit_hash(s->e->db, (int64_t)s->m.audit, hash);
	if (r != KE_OK || lines != (int64_t)s->m.audit ||
	    (lines > 0 && memcmp(hash, s->m.audit_hash, 32) != 0))
		return found(KE_DAMAGED, "log",
		    "the audit chain has %" PRId64 " lines and does not end as the manifest says",
		    lines);
	return found(KE_OK, "log",
	    "the audit chain's %" PRId64 " lines follow each other, and end as signed", lines);
}

/* What the token knows of the store is from the officers' last action. */
static int tell_history(struct restore *s)
{
	const struct anchor *a = &s->e->quorum.anchor;
	uint8_t hash[32];
	int r = a->audit == 0 ? KE_OK : db_audit_hash(s->e->db, (int64_t)a->audit, hash);

	if (r == KE_OK && (a->audit == 0 || memcmp(hash, a->audit_hash, 32) == 0))
		return KE_OK;
	if (r != KE_OK && r != KE_NOTFOUND)
		return found(r, "history", "%s", db_why(s->e->db));
	return found(KE_OK, "history",
	    "older than the officers' last action, at line %" PRIu64
	    " of the audit log: /health says so until they act again",
	    a->audit);
}

static int check_ledger(struct restore *s)
{
	struct db_ledger_report rep;
	int r = db_ledger_check(s->e->db, &rep);

	if (r != KE_OK)
		return found(r, "balances", "%s", rep.why[0] != '\0' ? rep.why : ke_words(r));
	return found(r, "balances",
	    "%" PRId64 " accounts, %" PRId64 " transfers, %" PRId64
	    " entries: every balance is what they say, and each currency sums to zero",
	    rep.accounts, rep.transfers, rep.entries);
}

struct raffles {
	int64_t n;
	struct db_raffle newest;
};

static int count_raffle(void *arg, const struct db_raffle *r)
{
	struct raffles *all = arg;

	if (all->n++ == 0)
		all->newest = *r;
	return KE_OK;
}

static int look_at(struct restore *s, enum raffle_state state, struct raffles *all)
{
	all->n = 0;
	return db_raffle_page(s->e->db, (int)state, NULL, INT32_MAX, count_raffle, all);
}

/* What was published of these since is not in this store. */
static int tell_raffles(struct restore *s, struct raffles *all)
{
	int64_t open, closed;
	int r = look_at(s, RAFFLE_OPEN, all);

	open = all->n;
	if (r == KE_OK)
		r = look_at(s, RAFFLE_CLOSED, all);
	closed = all->n;
	if (r != KE_OK)
		return found(r, "raffles", "%s", ke_words(r));
	return found(r, "raffles",
	    "%" PRId64 " stood open and %" PRId64 " closed: what was sold or drawn in them after "
	    "the backup is not in it; a draw that was published since stays the true one",
	    open, closed);
}

/* kleroctl verifies it, as any auditor would. */
static int make_proof(struct restore *s, struct raffles *all)
{
	struct proof_build *b = NULL;
	char id[37];
	int r = look_at(s, RAFFLE_DRAWN, all);

	if (r == KE_OK && all->n == 0)
		return found(r, "proof", "nothing was drawn yet");
	do
		r = proof_step(s->e, all->newest.id, &b);
	while (r == KE_AGAIN);
	proof_free(s->e, b);
	text_uuid(id, all->newest.id);
	if (r != KE_OK)
		return found(r, "proof", "of raffle %s cannot be made: %s", id, ke_words(r));
	return found(r, "proof of", "%s", id);
}

/* --- what a restored store must not go on with --- */

/*
 * Refresh tokens were exchanged for newer ones since: who holds an old one, which counted no more,
 * could use it again.
 */
static int mark(struct restore *s)
{
	int64_t now_ms = turn_now_ms(s->e), sessions = 0;
	char detail[128];
	int n, r = db_session_revoke_everybody(s->e->db, now_ms, &sessions);

	n = snprintf(detail, sizeof detail,
	    "{\"by\":\"control\",\"made_s\":%" PRIu64 ",\"line\":%" PRIu64 "}", s->m.made_s,
	    s->m.audit);
	if (r == KE_OK)
		r = db_audit_append(s->e->db, now_ms, NULL, "restored", NULL, detail, (size_t)n);
	if (r != KE_OK)
		return found(r, "restored", "%s", db_why(s->e->db));
	return found(r, "sessions",
	    "%" PRId64 " revoked: everybody logs in again; the audit log says that it was restored",
	    sessions);
}

static int check_owner(struct restore *s)
{
	uint8_t id[16];
	size_t n = 0;
	int r = db_meta_get(s->e->db, DB_META_APPLIANCE, id, sizeof id, &n);

	if (r != KE_OK || n != 16 || memcmp(id, s->m.appliance, 16) != 0)
		return found(KE_DENIED, "appliance", "the store is of another appliance");
	return KE_OK;
}

static int look_inside(struct restore *s)
{
	struct raffles *all = calloc(1, sizeof *all);
	int r;

	if (all == NULL)
		fatal("out of memory");
	r = check_owner(s);
	if (r == KE_OK)
		r = check_audit(s);
	if (r == KE_OK)
		r = tell_history(s);
	if (r == KE_OK)
		r = check_ledger(s);
	if (r == KE_OK && !is_own(s))
		r = tell_raffles(s, all);
	if (r == KE_OK && !is_own(s))
		r = make_proof(s, all);
	free(all);
	if (r == KE_OK && (s->e->conf.restore & RCONF_RESTORE) != 0)
		r = mark(s);
	return r;
}

/* All of it in one turn. */
static int check_store(struct restore *s)
{
	int r = open_store(s), end;

	if (r != KE_OK)
		return r;
	if (!is_own(s))
		proof_start(s->e, s->e->conf.store);
	r = turn_begin(s->e);
	if (r == KE_OK)
		r = look_inside(s);
	if (r == KE_OK) {
		end = db_turn_commit(s->e->db, NULL);
		if (end != KE_OK)
			r = found(end, "store", "%s", db_why(s->e->db));
	}
	return r;
}

int restore_run(struct engine *e, int hsm)
{
	static int (*const backup[])(struct restore *) = {read_manifest, check_program,
	    check_keysfile, check_token, check_signature, check_store, NULL};
	static int (*const own[])(struct restore *) = {check_own, check_token, check_store, NULL};
	int (*const *step)(struct restore *) = (e->conf.restore & RCONF_DOCTOR) != 0 ? own : backup;
	struct restore *s = calloc(1, sizeof *s);
	int r = KE_OK;

	if (s == NULL)
		fatal("out of memory");
	s->e = e;
	s->hsm = hsm;
	for (; r == KE_OK && *step != NULL; step++)
		r = (*step)(s);
	db_close(e->db); /* writes the log back: klero.db alone is the store then */
	tell(true, r, "", "");
	free(s);
	return r == KE_OK ? 0 : 1;
}
