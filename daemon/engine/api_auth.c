/*
 * Registration and login: password → kdf → hsm → tokens. The same answer, and the same work, for
 * addresses that are known and that are not. Runs in engine.
 */
#include <sodium.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "db/db_user.h"

enum { F_EMAIL, F_PASSWORD, F_NAME };

/* --- register --- */

static int create_user(struct rq *q, const char *phc)
{
	const struct api_value *email = rq_field(q, F_EMAIL), *name = rq_field(q, F_NAME);
	struct db_user u = {.roles = ROLE_BIT_USER, .created_ms = q->now_ms};
	int r;

	engine_uuid(&q->e->ids, u.id, q->now_ms);
	memcpy(u.email, email->p, email->n);
	memcpy(u.phc, phc, strlen(phc) + 1);
	if (name->present)
		memcpy(u.display_name, name->p, name->n);
	r = db_user_create(q->e->db, &u);
	sodium_memzero(&u.phc, sizeof u.phc);
	if (r != KE_OK)
		return r;
	return audit_add(q, u.id, "register", u.id, "{}");
}

static int register_hashed(struct rq *q, int r, struct wire_in *in)
{
	char phc[KDF_PHC_MAX + 1];
	struct jsonw *w;

	if (r != KE_OK)
		return rq_refuse_retry(q, PB_BUSY, 1);
	if (kdf_phc(in, phc) != KE_OK)
		return KE_PEER;
	r = create_user(q, phc);
	sodium_memzero(phc, sizeof phc);
	if (r == KE_FORMAT)
		return rq_refuse_field(q, "/email", "malformed");
	/* a line for this too: an answer without a commit would come sooner, and tell */
	if (r == KE_EXISTS)
		r = audit_add(q, NULL, "register-again", NULL, "{}");
	if (r != KE_OK)
		return r;
	w = rq_json(q);
	jsonw_object(w);
	jsonw_kcstr(w, "status", "registered");
	jsonw_object_end(w);
	return rq_json_end(q);
}

int api_register(struct rq *q)
{
	return rq_kdf_hash(q, "register_hashed", register_hashed, rq_field(q, F_PASSWORD));
}

/* --- login --- */

struct login {
	bool known;
	uint8_t user[16], family[16];
	uint8_t roles;
};

static int login_failed(struct rq *q)
{
	struct login *l = q->state;
	char prefix[AUDIT_PREFIX];
	int r;

	metrics_count(&q->e->metrics, METRIC_LOGINS_FAILED);
	audit_prefix(prefix, rq_field(q, F_EMAIL));
	r = audit_add(
	    q, NULL, "login-failed", l->known ? l->user : NULL, "{\"address\":\"%s\"}", prefix);
	return r == KE_OK ? rq_problem(q, PB_CREDENTIALS) : r;
}

static int login_finish(struct rq *q, int r, struct wire_in *in)
{
	struct login *l = q->state;
	const struct api_value *email = rq_field(q, F_EMAIL);

	if (r != KE_OK)
		return KE_UNAVAIL;
	r = session_create(q, l->user, l->family);
	if (r == KE_OK)
		r = audit_add(q, l->user, "login", l->user, "{}");
	if (r != KE_OK)
		return r;
	delay_clear(q->e->delays, email->p, email->n, q->req.address);
	return session_answer(q, in, q->now_ms + SESSION_LIFE_MS);
}

static int login_session(struct rq *q)
{
	struct login *l = q->state;

	engine_uuid(&q->e->ids, l->family, q->now_ms);
	return eng_hsm_session(q, "login_finish", login_finish, l->user, l->family, l->roles, 1);
}

static int login_rehashed(struct rq *q, int r, struct wire_in *in)
{
	struct login *l = q->state;
	char phc[KDF_PHC_MAX + 1];

	/* a kdf that cannot make the dearer hash now will be asked again at the next login */
	if (r != KE_OK)
		return login_session(q);
	if (kdf_phc(in, phc) != KE_OK)
		return KE_PEER;
	r = db_user_set_phc(q->e->db, l->user, phc);
	sodium_memzero(phc, sizeof phc);
	return r == KE_OK ? login_session(q) : r;
}

static int login_verified(struct rq *q, int r, struct wire_in *in)
{
	struct login *l = q->state;
	uint8_t raise = wire_get_u8(in);

	if (wire_end(in) != KE_OK || raise > 1)
		return KE_PEER;
	if (r == KE_NOMEM)
		return rq_refuse_retry(q, PB_BUSY, 1);
	if (r != KE_OK && r != KE_AUTH)
		return KE_INTERNAL;
	if (r == KE_AUTH || !l->known)
		return login_failed(q);
	if (raise == 1)
		return rq_kdf_hash(q, "login_rehashed", login_rehashed, rq_field(q, F_PASSWORD));
	return login_session(q);
}

/* Before the dummy is there an unknown account's password is hashed: the same work. */
static int login_hashed(struct rq *q, int r, struct wire_in *in)
{
	(void)r;
	(void)in;
	return login_failed(q);
}

static int login_unknown(struct rq *q)
{
	const struct api_value *password = rq_field(q, F_PASSWORD);

	if (q->e->kdf.dummy[0] == '\0')
		return rq_kdf_hash(q, "login_hashed", login_hashed, password);
	return rq_kdf_verify(q, "login_verified", login_verified, password, q->e->kdf.dummy);
}

int api_login(struct rq *q)
{
	const struct api_value *email = rq_field(q, F_EMAIL);
	struct login *l;
	struct db_user u;
	uint32_t wait =
	    delay_attempt(q->e->delays, email->p, email->n, q->req.address, engine_clock_s());
	int r;

	if (wait > 0) {
		metrics_count(&q->e->metrics, METRIC_LOGINS_DELAYED);
		return rq_refuse_retry(q, PB_TOO_MANY_ATTEMPTS, wait);
	}
	l = rq_state(q, sizeof *l);
	r = db_user_by_email(q->e->db, (const char *)email->p, email->n, &u);
	if (r == KE_NOTFOUND || r == KE_FORMAT)
		return login_unknown(q);
	if (r != KE_OK)
		return r;
	l->known = true;
	l->roles = u.roles;
	memcpy(l->user, u.id, sizeof l->user);
	r = rq_kdf_verify(q, "login_verified", login_verified, rq_field(q, F_PASSWORD), u.phc);
	sodium_memzero(&u, sizeof u);
	return r;
}
