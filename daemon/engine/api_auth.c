/*
 * Registration and login: password → hsm opens the credential → kdf → hsm → tokens. The same
 * answer, and the same work, for addresses that are known and that are not. Runs in engine.
 */
#include <sodium.h>
#include <string.h>

#include "daemon/engine/api.h"
#include "daemon/engine/audit.h"
#include "daemon/engine/engine.h"
#include "daemon/engine/session.h"
#include "daemon/msg/log.h"
#include "db/db_meta.h"
#include "db/db_user.h"
#include "policy/be.h"
#include "policy/hash.h"
#include "policy/text.h"

enum { F_EMAIL, F_PASSWORD, F_NAME, F_CODE };

/* --- register --- */

struct registration {
	uint8_t user[16];
	bool admin; /* the first one, by a code */
};

/* --- the code that setup has shown once --- */

/* KE_OK for the right one, KE_AUTH for another, a used one, or one that is too old. */
static int check_code(struct rq *q)
{
	const struct api_value *code = rq_field(q, F_CODE);
	uint8_t kept[DB_META_ENROL_LEN + 1], hash[HASH_LEN];
	size_t n = 0;
	int r = db_meta_get(q->e->db, DB_META_ENROL, kept, sizeof kept, &n);

	if (r == KE_NOTFOUND || (r == KE_OK && n != DB_META_ENROL_LEN))
		return KE_AUTH;
	if (r != KE_OK)
		return r;
	hash_sha256(hash, code->p, code->n);
	if (sodium_memcmp(hash, kept, HASH_LEN) != 0 ||
	    (uint64_t)(q->now_ms / 1000) >= be_get64(kept + HASH_LEN))
		r = KE_AUTH;
	return r;
}

/* Never again, for whatever happens: in the turn that makes the admin. */
static int use_code(struct rq *q)
{
	static const uint8_t used[1] = {0};
	int r = check_code(q);

	return r == KE_OK ? db_meta_set(q->e->db, DB_META_ENROL, used, sizeof used) : r;
}

static int create_user(struct rq *q, const char *credential)
{
	const struct api_value *email = rq_field(q, F_EMAIL), *name = rq_field(q, F_NAME);
	const struct registration *reg = q->state;
	struct db_user u = {.roles = ROLE_BIT_USER, .created_ms = q->now_ms};
	int r;

	memcpy(u.id, reg->user, sizeof u.id);
	memcpy(u.email, email->p, email->n);
	memcpy(u.credential, credential, strlen(credential) + 1);
	if (name->present)
		memcpy(u.display_name, name->p, name->n);
	if (reg->admin)
		u.roles |= ROLE_BIT_ADMIN;
	r = db_user_create(q->e->db, &u);
	sodium_memzero(&u.credential, sizeof u.credential);
	if (r == KE_OK && reg->admin)
		r = use_code(q);
	if (r != KE_OK)
		return r;
	if (reg->admin)
		return audit_add(q, u.id, "admin-create", u.id, "{\"by\":\"code\"}");
	return audit_add(q, u.id, "register", u.id, "{}");
}

/* What hsm has sealed for the user whose id stands in the question; KE_PEER. */
static int get_credential(struct wire_in *in, char credential[DB_CREDENTIAL_MAX + 1])
{
	wire_get_cstr(in, credential, DB_CREDENTIAL_MAX + 1);
	return wire_end(in) == KE_OK ? KE_OK : KE_PEER;
}

static int register_sealed(struct rq *q, int r, struct wire_in *in)
{
	const struct registration *reg = q->state;
	char credential[DB_CREDENTIAL_MAX + 1];
	struct jsonw *w;

	if (r != KE_OK)
		return KE_UNAVAIL;
	if (get_credential(in, credential) != KE_OK)
		return KE_PEER;
	r = create_user(q, credential);
	if (r == KE_FORMAT)
		return rq_refuse_field(q, "/email", "malformed");
	/* who holds the code may know it: nothing is made, and the code stays good */
	if (r == KE_EXISTS && reg->admin)
		return rq_refuse_field(q, "/email", "taken");
	if (r == KE_AUTH)
		return rq_refuse(q, PB_CREDENTIALS);
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

static int register_hashed(struct rq *q, int r, struct wire_in *in)
{
	struct registration *reg = q->state;
	char phc[KDF_PHC_MAX + 1];

	if (r != KE_OK)
		return rq_refuse_retry(q, PB_BUSY, 1);
	if (kdf_phc(in, phc) != KE_OK)
		return KE_PEER;
	engine_uuid(&q->e->ids, reg->user, q->now_ms);
	r = rq_hsm_seal_credential(q, "register_sealed", register_sealed, reg->user, phc);
	sodium_memzero(phc, sizeof phc);
	return r;
}

int api_register(struct rq *q)
{
	rq_state(q, sizeof(struct registration));
	return rq_kdf_hash(q, "register_hashed", register_hashed, rq_field(q, F_PASSWORD));
}

int api_enrol(struct rq *q)
{
	struct registration *reg = rq_state(q, sizeof *reg);
	int r = check_code(q);

	if (r == KE_AUTH) {
		r = audit_add(q, NULL, "enrol-refused", NULL, "{}");
		return r == KE_OK ? rq_problem(q, PB_CREDENTIALS) : r;
	}
	if (r != KE_OK)
		return r;
	reg->admin = true;
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

/* What cannot be raised now will be asked for again at the next login. */
static int login_resealed(struct rq *q, int r, struct wire_in *in)
{
	char credential[DB_CREDENTIAL_MAX + 1];
	struct login *l = q->state;

	if (r != KE_OK)
		return login_session(q);
	if (get_credential(in, credential) != KE_OK)
		return KE_PEER;
	r = db_user_set_credential(q->e->db, l->user, credential);
	return r == KE_OK ? login_session(q) : r;
}

static int login_rehashed(struct rq *q, int r, struct wire_in *in)
{
	struct login *l = q->state;
	char phc[KDF_PHC_MAX + 1];

	if (r != KE_OK)
		return login_session(q);
	if (kdf_phc(in, phc) != KE_OK)
		return KE_PEER;
	r = rq_hsm_seal_credential(q, "login_resealed", login_resealed, l->user, phc);
	sodium_memzero(phc, sizeof phc);
	return r;
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

/*
 * A credential that does not open is the store's trouble or an attack on it, and no fault of who
 * logs in; hsm's own line says why. The one of nobody is made again, and must not tell.
 */
static int login_bad(struct rq *q, int r)
{
	struct login *l = q->state;
	char id[37];

	metrics_count(&q->e->metrics, METRIC_SEALED_BAD);
	if (!l->known) {
		q->e->kdf.dummy[0] = '\0';
		return rq_kdf_hash(q, "login_hashed", login_hashed, rq_field(q, F_PASSWORD));
	}
	text_uuid(id, l->user);
	log_error("the credential of user %s does not open: %s", id, ke_words(r));
	return KE_INTERNAL;
}

static int login_opened(struct rq *q, int r, struct wire_in *in)
{
	char phc[KDF_PHC_MAX + 1];

	if (r == KE_UNAVAIL || r == KE_TIMEOUT || r == KE_IO)
		return r;
	if (r != KE_OK)
		return login_bad(q, r);
	if (kdf_phc(in, phc) != KE_OK)
		return KE_PEER;
	r = rq_kdf_verify(q, "login_verified", login_verified, rq_field(q, F_PASSWORD), phc);
	sodium_memzero(phc, sizeof phc);
	return r;
}

/* Whoever it is, known or nobody: first hsm, then kdf. */
static int login_open(struct rq *q, const uint8_t user[16], const char *credential)
{
	return eng_hsm_open_credential(q, "login_opened", login_opened, user, credential);
}

static int login_unknown(struct rq *q)
{
	const struct kdf *k = &q->e->kdf;

	/* what a known one is told, too */
	if (q->e->peers.hsm.chan == NULL)
		return KE_UNAVAIL;
	if (k->dummy[0] == '\0')
		return rq_kdf_hash(q, "login_hashed", login_hashed, rq_field(q, F_PASSWORD));
	return login_open(q, k->dummy_user, k->dummy);
}

static int login_known(struct rq *q, const struct db_user *u)
{
	struct login *l = q->state;

	l->known = true;
	l->roles = u->roles;
	memcpy(l->user, u->id, sizeof l->user);
	/* of before, and not for long: reseal.c is at it */
	if (u->credential[0] == '$' && q->e->peers.hsm.chan != NULL)
		return rq_kdf_verify(
		    q, "login_verified", login_verified, rq_field(q, F_PASSWORD), u->credential);
	return login_open(q, l->user, u->credential);
}

/* Who was told to come again has guessed nothing. */
static void login_undo(struct rq *q)
{
	const struct api_value *email = rq_field(q, F_EMAIL);

	delay_forgive(q->e->delays, email->p, email->n, q->req.address);
}

int api_login(struct rq *q)
{
	const struct api_value *email = rq_field(q, F_EMAIL);
	struct db_user u;
	uint32_t wait =
	    delay_attempt(q->e->delays, email->p, email->n, q->req.address, engine_clock_s());
	int r;

	if (wait > 0) {
		metrics_count(&q->e->metrics, METRIC_LOGINS_DELAYED);
		return rq_refuse_retry(q, PB_TOO_MANY_ATTEMPTS, wait);
	}
	q->undo = login_undo;
	rq_state(q, sizeof(struct login));
	r = db_user_by_email(q->e->db, (const char *)email->p, email->n, &u);
	if (r == KE_NOTFOUND || r == KE_FORMAT)
		return login_unknown(q);
	if (r != KE_OK)
		return r;
	r = login_known(q, &u);
	sodium_memzero(&u, sizeof u);
	return r;
}
