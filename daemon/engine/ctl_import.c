/*
 * Deposit keys from another platform (kleroctl import deposit-keys): hsm opens the value with the
 * key that kleroctl has sealed to it, seals or wraps what is inside under a key of its own, and
 * tells the public key; neither engine nor kleroctl ever holds the deposit key. An address that is
 * there already is left as it is, so an import that was cut off is begun again. Runs in engine;
 * trusts hsm, and not the client.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/engine/ctl.h"
#include "daemon/engine/engine.h"
#include "db/db_audit.h"
#include "policy/chain.h"
#include "policy/legacy.h"
#include "policy/text.h"

static const char *const no_hsm = "the key store does not answer, try again";

/* --- the key that the box is sealed to --- */

static int key_told(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ctl_client *c = ctl_client_of(j);
	uint8_t key[32];
	char hex[65];

	if (in == NULL || r != KE_OK)
		return ctl_tell(e, c, MSG_CTL_IMPORT_KEY_ANS, KE_UNAVAIL, no_hsm);
	wire_get_raw(in, key, sizeof key);
	if (wire_end(in) != KE_OK) {
		ctl_answer(e, c, MSG_CTL_IMPORT_KEY_ANS, KE_INTERNAL, "");
		return KE_PEER;
	}
	text_hex(hex, key, sizeof key);
	return ctl_tell(e, c, MSG_CTL_IMPORT_KEY_ANS, KE_OK, hex);
}

int ctl_import_key(struct engine *e, struct ctl_client *c)
{
	int r = eng_hsm_import_key(e, &c->job, key_told);

	return r == KE_OK ? KE_OK : ctl_tell(e, c, MSG_CTL_IMPORT_KEY_ANS, r, no_hsm);
}

/* --- one value --- */

/* Why hsm does not take a value. */
static const char *why(int r)
{
	switch (r) {
	case KE_STATE:
		return "the token has no deposit key yet: kleroctl key rotate deposit";
	case KE_VERSION:
		return "it does not begin with v1:";
	case KE_FORMAT:
		return "it is not of this layout, or what is inside is no private key";
	case KE_CRYPTO:
		return "it does not open: it was altered, or the key or the layout is another one";
	case KE_RANGE:
		return "what is inside is a key of another chain, or none";
	case KE_WRONG_KEY:
		return "the key store was replaced meanwhile, try again";
	default:
		return no_hsm;
	}
}

static int add_pool(struct engine *e, void *arg)
{
	const struct db_pool *p = arg;
	char detail[96];
	int n = snprintf(
		detail, sizeof detail, "{\"by\":\"control\",\"address\":\"%s\"}", p->address),
	    r = db_pool_create(e->db, p);

	if (r == KE_OK)
		r = db_audit_append(
		    e->db, p->created_ms, NULL, "pool-import", p->id, detail, (size_t)n);
	return r;
}

static int answer_pool(
    struct engine *e, struct ctl_client *c, const struct db_pool *p, const char *state)
{
	struct jsonw *w = &e->ctl.w;

	jsonw_init(w, e->scratch, ENGINE_SCRATCH - 1);
	jsonw_object(w);
	jsonw_kcstr(w, "state", state);
	jsonw_kcstr(w, "address", p->address);
	if (strcmp(state, "would-import") != 0)
		jsonw_kuuid(w, "pool_id", p->id);
	jsonw_object_end(w);
	if (jsonw_end(w) != KE_OK)
		return ctl_tell(e, c, MSG_CTL_IMPORT_ANS, KE_INTERNAL, NULL);
	e->scratch[w->len] = '\0';
	return ctl_tell(e, c, MSG_CTL_IMPORT_ANS, KE_OK, e->scratch);
}

/* A fresh address becomes a pool, unless somebody only looks. */
static int take(struct engine *e, struct ctl_client *c)
{
	struct db_pool *p = &c->pool, there;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_pool_by_address(e->db, p->address, &there);
	if (r == KE_OK && (there.chain != p->chain || there.network != p->network))
		return ctl_tell(e, c, MSG_CTL_IMPORT_ANS, KE_EXISTS,
		    "this address is a pool already, on another network");
	if (r == KE_OK)
		return answer_pool(e, c, &there, "exists");
	if (r == KE_NOTFOUND && c->look_only)
		return answer_pool(e, c, p, "would-import");
	p->created_ms = turn_now_ms(e);
	if (r == KE_NOTFOUND)
		r = ctl_guarded(e, add_pool, p);
	if (r != KE_OK)
		return ctl_tell(e, c, MSG_CTL_IMPORT_ANS, r, NULL);
	return answer_pool(e, c, p, "imported");
}

static int key_taken(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct ctl_client *c = ctl_client_of(j);

	if (in == NULL || r != KE_OK)
		return ctl_tell(e, c, MSG_CTL_IMPORT_ANS, r, in == NULL ? no_hsm : why(r));
	if (pool_take(in, &c->pool) != KE_OK) {
		ctl_answer(e, c, MSG_CTL_IMPORT_ANS, KE_INTERNAL, "");
		return KE_PEER;
	}
	return take(e, c);
}

/* The fields of a pool from a client; what it says of the network must be one. */
static int get_pool(struct wire_in *in, struct db_pool *p)
{
	const uint8_t *name;
	uint64_t network;
	size_t n;

	*p = (struct db_pool){.imported = true};
	p->chain = (enum payout_kind)wire_get_u8(in);
	network = wire_get_u64(in);
	name = wire_get_str(in, DB_POOL_NAME_MAX, &n);
	if (in->err != KE_OK || n == 0 || text_utf8(name, n) != KE_OK || network > INT64_MAX ||
	    chain_check(&(struct chain){p->chain, (int64_t)network}) != KE_OK)
		return KE_PEER;
	memcpy(p->name, name, n);
	p->network = (int64_t)network;
	return KE_OK;
}

int ctl_import(struct engine *e, struct ctl_client *c, struct wire_in *in)
{
	uint8_t look_only = wire_get_u8(in), layout;
	const uint8_t *box, *value;
	size_t n;
	int r = get_pool(in, &c->pool);

	layout = wire_get_u8(in);
	box = wire_get_view(in, 80);
	value = wire_get_str(in, LEGACY_MAX, &n);
	if (wire_end(in) != KE_OK || r != KE_OK || look_only > 1 || layout >= LEGACY_LAYOUT_COUNT)
		return KE_PEER;
	c->look_only = look_only == 1;
	engine_uuid(&e->ids, c->pool.id, turn_now_ms(e));
	r = eng_hsm_import_deposit(
	    e, &c->job, key_taken, c->pool.id, (uint8_t)c->pool.chain, layout, box, value, n);
	return r == KE_OK ? KE_OK : ctl_tell(e, c, MSG_CTL_IMPORT_ANS, r, no_hsm);
}
