/*
 * The control socket: see ctl.h. Runs in engine.
 */
#include "daemon/engine/ctl.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/api/apimsg.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/health.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "db/db_user.h"
#include "policy/roles.h"
#include "policy/text.h"

#define CLIENT_MS       120000 /* a password may be typed before the client connects, not after */
#define CTL_QUEUE       4
#define STATUS_MAX      60000
#define PROPOSALS_SHOWN 20

struct ctl_client *ctl_client_of(struct job *j)
{
	return (struct ctl_client *)(void *)j; /* its first member */
}

void ctl_send(struct engine *e, struct ctl_client *c, uint16_t type, const struct wire_out *w)
{
	struct turn_out *o = turn_out_new(TURN_CTL, w->len);

	if (w->err != KE_OK)
		fatal("words do not fit their message");
	memcpy(o->body, w->buf, w->len);
	o->index = (uint8_t)(c - e->ctl.client);
	o->chan = c->serial;
	o->type = type;
	o->id = c->request;
	turn_send(e, o);
}

void ctl_answer(
    struct engine *e, struct ctl_client *c, uint16_t type, int result, const char *words)
{
	uint8_t *body = malloc(strlen(words) + 8);
	struct wire_out w;

	if (body == NULL)
		fatal("out of memory");
	wire_out_init(&w, body, strlen(words) + 8);
	wire_put_i32(&w, result);
	wire_put_cstr(&w, words);
	ctl_send(e, c, type, &w);
	sodium_memzero(body, w.len);
	free(body);
}

void ctl_replace(struct engine *e, const struct turn_out *o)
{
	struct ctl_client *c = &e->ctl.client[o->index];

	if (c->serial == o->chan)
		ctl_answer(e, c, o->type, KE_IO, "the store does not answer; nothing was changed");
}

void ctl_deliver(struct engine *e, const struct turn_out *o)
{
	struct ctl_client *c = &e->ctl.client[o->index];

	if (c->chan == NULL || c->serial != o->chan)
		return;
	if (chan_send(c->chan, o->type, o->id, o->body, o->len, -1) != KE_OK)
		log_warn("a client of the control socket did not take its answer");
}

static int audit(struct engine *e, const char *action, const uint8_t user[16], uint8_t roles)
{
	char detail[64];
	int n = snprintf(detail, sizeof detail, "{\"by\":\"control\",\"roles\":%u}", roles);

	return db_audit_append(e->db, turn_now_ms(e), NULL, action, user, detail, (size_t)n);
}

/* --- admin create --- */

struct admin {
	const struct ctl_client *c;
	const char *credential;
};

static int create_admin(struct engine *e, void *arg)
{
	const struct admin *a = arg;
	struct db_user u = {.roles = ROLE_BIT_USER | ROLE_BIT_ADMIN, .created_ms = turn_now_ms(e)};
	int r;

	memcpy(u.id, a->c->user, sizeof u.id);
	memcpy(u.email, a->c->email, strlen(a->c->email) + 1);
	memcpy(u.credential, a->credential, strlen(a->credential) + 1);
	r = db_user_create(e->db, &u);
	sodium_memzero(u.credential, sizeof u.credential);
	return r == KE_OK ? audit(e, "admin-create", u.id, u.roles) : r;
}

int ctl_guarded(struct engine *e, int (*change)(struct engine *, void *), void *arg)
{
	int r = turn_begin(e), end;

	if (r == KE_OK)
		r = db_savepoint(e->db);
	if (r != KE_OK)
		return r;
	r = change(e, arg);
	end = r == KE_OK ? db_release(e->db) : db_rollback_to(e->db);
	return r == KE_OK ? end : r;
}

/* A change of two texts. */
struct two {
	int (*change)(struct engine *, const char *, const char *);
	const char *a, *b;
};

static int do_two(struct engine *e, void *arg)
{
	const struct two *t = arg;

	return t->change(e, t->a, t->b);
}

static int in_savepoint(struct engine *e,
    int (*change)(struct engine *, const char *, const char *), const char *a, const char *b)
{
	struct two t = {change, a, b};

	return ctl_guarded(e, do_two, &t);
}

static int admin_sealed(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ctl_client *c = ctl_client_of(j);
	char credential[DB_CREDENTIAL_MAX + 1];
	struct admin a = {c, credential};

	if (in == NULL || r != KE_OK) {
		ctl_answer(
		    e, c, MSG_CTL_ADMIN_ANS, r, "hsm could not seal the credential; try again");
		return KE_OK;
	}
	wire_get_cstr(in, credential, sizeof credential);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = ctl_guarded(e, create_admin, &a);
	ctl_answer(e, c, MSG_CTL_ADMIN_ANS, r,
	    r == KE_OK       ? "the admin is created"
	    : r == KE_EXISTS ? "this address has an account already; give it the role with "
			       "'kleroctl user roles'"
			     : ke_words(r));
	return KE_OK;
}

static int admin_hashed(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ctl_client *c = ctl_client_of(j);
	char phc[KDF_PHC_MAX + 1];

	if (in == NULL || r != KE_OK) {
		ctl_answer(
		    e, c, MSG_CTL_ADMIN_ANS, r, "the password could not be hashed; try again");
		return KE_OK;
	}
	if (kdf_phc(in, phc) != KE_OK) {
		ctl_answer(e, c, MSG_CTL_ADMIN_ANS, KE_INTERNAL, "kdf answered nonsense");
		return KE_PEER;
	}
	engine_uuid(&e->ids, c->user, turn_now_ms(e));
	r = eng_hsm_seal_credential(e, j, "admin_sealed", admin_sealed, c->user, phc);
	sodium_memzero(phc, sizeof phc);
	if (r != KE_OK)
		ctl_answer(e, c, MSG_CTL_ADMIN_ANS, r, "hsm is away; try again");
	return KE_OK;
}

static int on_admin(struct engine *e, struct ctl_client *c, struct wire_in *in)
{
	const struct field *fields = route_table[RT_register].fields;
	struct api_value email = {.present = true}, password = {.present = true};
	int r;

	email.p = wire_get_str(in, sizeof c->email - 1, &email.n);
	password.p = wire_get_str(in, 1024, &password.n);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (!api_value_ok(&fields[0], &email) || !api_value_ok(&fields[1], &password)) {
		ctl_answer(e, c, MSG_CTL_ADMIN_ANS, KE_RANGE,
		    "an address in lower case and a password of 12 to 512 bytes are needed");
		return KE_OK;
	}
	memcpy(c->email, email.p, email.n);
	c->email[email.n] = '\0';
	r = eng_kdf_hash(e, &c->job, "admin_hashed", admin_hashed, password.p, password.n);
	if (r != KE_OK)
		ctl_answer(e, c, MSG_CTL_ADMIN_ANS, r, "too many passwords are waiting; try again");
	return KE_OK;
}

/* --- roles --- */

static int change_roles(struct engine *e, const char *email, const char *roles)
{
	struct db_user u;
	uint8_t bits = (uint8_t)(roles[0] | ROLE_BIT_USER);
	int r = db_user_by_email(e->db, email, strlen(email), &u);

	if (r == KE_OK)
		r = db_user_set_roles(e->db, u.id, bits);
	if (r == KE_OK)
		r = audit(e, "roles", u.id, bits);
	if (r == KE_OK)
		tokcache_drop_user(e->tokens, u.id); /* they count from the next request on */
	sodium_memzero(&u, sizeof u);
	return r;
}

static int on_roles(struct engine *e, struct ctl_client *c, struct wire_in *in)
{
	char roles[2] = "";
	int r;

	wire_get_cstr(in, c->email, sizeof c->email);
	roles[0] = (char)wire_get_u8(in);
	if (wire_end(in) != KE_OK || (roles[0] & ~ROLES_ALL) != 0)
		return KE_PEER;
	r = in_savepoint(e, change_roles, c->email, roles);
	ctl_answer(e, c, MSG_CTL_ROLES_ANS, r,
	    r == KE_OK                           ? "the roles are set"
	    : r == KE_NOTFOUND || r == KE_FORMAT ? "no account has this address"
						 : ke_words(r));
	return KE_OK;
}

/* --- officers --- */

int ctl_tell(struct engine *e, struct ctl_client *c, uint16_t type, int r, const char *why)
{
	ctl_answer(e, c, type, r, why != NULL ? why : ke_words(r));
	return KE_OK;
}

struct wish {
	struct proposal p;
	int64_t life_s;
	const uint8_t *id, *armor;
	size_t n;
	const char *why;
};

static int do_propose(struct engine *e, void *arg)
{
	struct wish *w = arg;

	return quorum_propose(e, &w->p, NULL, w->life_s, &w->why);
}

static int do_approve(struct engine *e, void *arg)
{
	struct wish *w = arg;

	return quorum_approve(e, w->id, (const char *)w->armor, w->n, &w->why);
}

static int do_reject(struct engine *e, void *arg)
{
	struct wish *w = arg;

	return quorum_reject(e, w->id, NULL, &w->why);
}

static int on_propose(struct engine *e, struct ctl_client *c, struct wire_in *in)
{
	struct wish w = {.why = NULL};
	char id[37];
	const uint8_t *officers;
	size_t n;
	int r;

	w.p.action = wire_get_u8(in);
	w.p.purpose = wire_get_u8(in);
	w.p.version = wire_get_u32(in);
	w.life_s = (int64_t)wire_get_u64(in);
	officers = wire_get_str(in, RCONF_KEYADM_TEXT, &n);
	wire_get_cstr(in, w.p.proposer, sizeof w.p.proposer);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	if (n > 0 && officers_parse(&w.p.officers, (const char *)officers, n) != KE_OK)
		return ctl_tell(e, c, MSG_CTL_PROPOSE_ANS, KE_FORMAT, "the officers are malformed");
	r = ctl_guarded(e, do_propose, &w);
	if (r != KE_OK)
		return ctl_tell(e, c, MSG_CTL_PROPOSE_ANS, r, w.why);
	text_uuid(id, w.p.nonce);
	return ctl_tell(e, c, MSG_CTL_PROPOSE_ANS, KE_OK, id);
}

static int on_approve(struct engine *e, struct ctl_client *c, struct wire_in *in)
{
	struct wish w = {.why = NULL};
	int r;

	w.id = wire_get_view(in, 16);
	w.armor = wire_get_str(in, SSH_ARMOR_MAX, &w.n);
	if (wire_end(in) != KE_OK)
		return KE_PEER;
	r = ctl_guarded(e, do_approve, &w);
	return ctl_tell(e, c, MSG_CTL_APPROVE_ANS, r, r == KE_OK ? "the approval is taken" : w.why);
}

static int on_reject(struct engine *e, struct ctl_client *c, const struct msg *m)
{
	struct wish w = {.id = m->body};
	int r = ctl_guarded(e, do_reject, &w);

	return ctl_tell(
	    e, c, MSG_CTL_REJECT_ANS, r, r == KE_OK ? "the proposal is rejected" : w.why);
}

static int on_proposal(struct engine *e, struct ctl_client *c, const struct msg *m)
{
	struct db_proposal p;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_proposal_get(e->db, m->body, &p);
	return ctl_tell(e, c, MSG_CTL_PROPOSAL_ANS, r,
	    r == KE_OK         ? p.text
	    : r == KE_NOTFOUND ? "there is no such proposal"
			       : NULL);
}

/* Texts differ much in length: what is too much for one answer comes with the next. */
static int put_proposal(void *arg, const struct db_proposal *p)
{
	struct engine *e = arg;
	struct jsonw *w = &e->ctl.w, before = *w;
	int r = quorum_put(e, w, p, true);

	if (r != KE_OK || (w->err == KE_OK && w->len < w->cap - 1))
		return r;
	*w = before;
	return before.comma[before.depth] ? KE_CLOSED : KE_FULL;
}

/* An answer in JSON, written into engine's scratch. */
static struct jsonw *show_begin(struct engine *e)
{
	jsonw_init(&e->ctl.w, e->scratch, STATUS_MAX - 1);
	return &e->ctl.w;
}

static int show_end(struct engine *e, struct ctl_client *c, uint16_t type, int r)
{
	struct jsonw *w = &e->ctl.w;

	if (r == KE_OK)
		r = jsonw_end(w);
	if (r != KE_OK)
		return ctl_tell(e, c, type, r, NULL);
	e->scratch[w->len] = '\0';
	return ctl_tell(e, c, type, KE_OK, e->scratch);
}

static int show(struct engine *e, struct ctl_client *c, uint16_t type,
    int (*put)(struct engine *, struct jsonw *))
{
	return show_end(e, c, type, put(e, show_begin(e)));
}

/* The newest, or those before the one that is named. */
static int on_proposals(struct engine *e, struct ctl_client *c, const struct msg *m)
{
	struct jsonw *w;
	int r = turn_begin(e);

	if (m->len != 0 && m->len != 16)
		return KE_PEER;
	w = show_begin(e);
	jsonw_array(w);
	if (r == KE_OK)
		r = db_proposal_page(
		    e->db, m->len > 0 ? m->body : NULL, PROPOSALS_SHOWN, put_proposal, e);
	jsonw_array_end(w);
	return show_end(e, c, MSG_CTL_PROPOSALS_ANS, r == KE_CLOSED ? KE_OK : r);
}

static int put_status(struct engine *e, struct jsonw *w)
{
	health_put(e, w, true);
	return KE_OK;
}

/* --- the client --- */

static int on_message(void *arg, struct chan *chan, const struct msg *m)
{
	struct engine *e = arg;
	struct ctl_client *c = &e->ctl.client[chan_peer(chan)->index];
	struct wire_in in;

	/* one question at a time: there is one place to remember whose answer is due */
	if (c->job.id != 0 || backup_wishes(e, c))
		return KE_PEER;
	c->request = m->id;
	wire_in_init(&in, m->body, m->len);
	switch (m->type) {
	case MSG_CTL_ADMIN:
		return on_admin(e, c, &in);
	case MSG_CTL_ROLES:
		return on_roles(e, c, &in);
	case MSG_CTL_KEYS:
		return show(e, c, MSG_CTL_KEYS_ANS, quorum_put_keys);
	case MSG_CTL_PROPOSALS:
		return on_proposals(e, c, m);
	case MSG_CTL_PROPOSAL:
		return on_proposal(e, c, m);
	case MSG_CTL_PROPOSE:
		return on_propose(e, c, &in);
	case MSG_CTL_APPROVE:
		return on_approve(e, c, &in);
	case MSG_CTL_REJECT:
		return on_reject(e, c, m);
	case MSG_CTL_BACKUP:
	case MSG_CTL_BACKUP_CUT:
	case MSG_CTL_BACKUP_SIGN:
		return backup_message(e, c, m);
	case MSG_CTL_IMPORT_KEY:
		return ctl_import_key(e, c);
	case MSG_CTL_IMPORT:
		return ctl_import(e, c, &in);
	default:
		return show(e, c, MSG_CTL_STATUS_ANS, put_status);
	}
}

static void on_closed(void *arg, struct chan *chan)
{
	struct engine *e = arg;
	struct ctl_client *c = &e->ctl.client[chan_peer(chan)->index];

	job_cancel(e, &c->job);
	backup_gone(e, c->serial);
	c->chan = NULL;
	c->serial = 0;
}

void ctl_attach(struct engine *e, int fd)
{
	struct ctl_client *c = e->ctl.client, *end = c + CTL_CLIENTS;
	struct start_peer who = {.role = ROLE_CTL};

	while (c < end && c->chan != NULL)
		c++;
	if (c == end) {
		log_warn("too many clients of the control socket at once; one is refused");
		close(fd);
		return;
	}
	c->serial = ++e->ctl.serial;
	c->until_ms = engine_clock_ms() + CLIENT_MS;
	who.index = (uint8_t)(c - e->ctl.client);
	c->chan = chan_new(e->base, fd, ROLE_ENGINE, &who, CTL_QUEUE, on_message, on_closed, e);
}

void ctl_expire(struct engine *e, int64_t now_ms)
{
	for (unsigned i = 0; i < CTL_CLIENTS; i++) {
		struct ctl_client *c = &e->ctl.client[i];
		struct chan *chan = c->chan;

		if (chan == NULL || now_ms < c->until_ms)
			continue;
		on_closed(e, chan);
		chan_free(chan);
	}
}
