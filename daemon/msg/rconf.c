/*
 * The configuration of each role on the wire: see rconf.h. The setters run in parent and in
 * kleroctl setup, the getters in the roles, which trust parent but bound everything.
 */
#include "daemon/msg/rconf.h"

#include <string.h>

static void put_texts(struct wire_out *w, const char *first, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i++)
		wire_put_cstr(w, first + i * stride);
}

static void get_texts(struct wire_in *r, char *first, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i++)
		wire_get_cstr(r, first + i * stride, stride);
}

static void put_identity(struct wire_out *w, const struct rconf_identity *c)
{
	wire_put_u8(w, c->drop);
	wire_put_u32(w, c->uid);
	wire_put_u32(w, c->gid);
	wire_put_cstr(w, c->root);
}

static void get_identity(struct wire_in *r, struct rconf_identity *c)
{
	uint8_t drop = wire_get_u8(r);

	c->drop = drop != 0;
	c->uid = wire_get_u32(r);
	c->gid = wire_get_u32(r);
	wire_get_cstr(r, c->root, sizeof c->root);
	/* to drop to root would be no drop */
	if (r->err == KE_OK && (drop > 1 || (c->drop && (c->uid == 0 || c->gid == 0))))
		r->err = KE_RANGE;
}

static void put_chain(struct wire_out *w, const struct drand_chain *c)
{
	wire_put_raw(w, c->pub, sizeof c->pub);
	wire_put_raw(w, c->group_hash, sizeof c->group_hash);
	wire_put_u32(w, c->period_s);
	wire_put_u64(w, c->genesis_s);
	wire_put_cstr(w, c->id);
}

static void get_chain(struct wire_in *r, struct drand_chain *c)
{
	wire_get_raw(r, c->pub, sizeof c->pub);
	wire_get_raw(r, c->group_hash, sizeof c->group_hash);
	c->period_s = wire_get_u32(r);
	c->genesis_s = wire_get_u64(r);
	wire_get_cstr(r, c->id, sizeof c->id);
	if (r->err == KE_OK && (c->period_s == 0 || c->genesis_s > INT64_MAX))
		r->err = KE_RANGE;
}

static void put_chains(struct wire_out *w, const struct drand_chain *chains, uint8_t n)
{
	wire_put_u8(w, n);
	for (uint8_t i = 0; i < n; i++)
		put_chain(w, &chains[i]);
}

static uint8_t get_chains(struct wire_in *r, struct drand_chain chains[RCONF_CHAINS])
{
	uint8_t n = wire_get_u8(r);

	if (r->err == KE_OK && n > RCONF_CHAINS)
		r->err = KE_RANGE;
	for (uint8_t i = 0; r->err == KE_OK && i < n; i++)
		get_chain(r, &chains[i]);
	return n;
}

static void put_keys(struct wire_out *w, const struct rconf_hsm *c)
{
	wire_put_u8(w, c->nkeys);
	for (uint8_t i = 0; i < c->nkeys; i++)
		wire_put_raw(w, c->keys[i], RCONF_KEY_NAME);
}

static void get_keys(struct wire_in *r, struct rconf_hsm *c)
{
	c->nkeys = wire_get_u8(r);
	if (r->err == KE_OK && c->nkeys > RCONF_KEYS)
		r->err = KE_RANGE;
	for (uint8_t i = 0; r->err == KE_OK && i < c->nkeys; i++)
		wire_get_raw(r, c->keys[i], RCONF_KEY_NAME);
}

/* --- how a field of each kind is put, and how it is got --- */

#define PUT_u8(f)       wire_put_u8(w, f)
#define GET_u8(f)       f = wire_get_u8(r)
#define PUT_u32(f)      wire_put_u32(w, f)
#define GET_u32(f)      f = wire_get_u32(r)
#define PUT_i32(f)      wire_put_i32(w, f)
#define GET_i32(f)      f = wire_get_i32(r)
#define PUT_u64(f)      wire_put_u64(w, f)
#define GET_u64(f)      f = wire_get_u64(r)
#define PUT_raw(f)      wire_put_raw(w, f, sizeof(f))
#define GET_raw(f)      wire_get_raw(r, f, sizeof(f))
#define PUT_text(f)     wire_put_cstr(w, f)
#define GET_text(f)     wire_get_cstr(r, f, sizeof(f))
#define PUT_texts(f)    put_texts(w, (f)[0], sizeof(f) / sizeof((f)[0]), sizeof((f)[0]))
#define GET_texts(f)    get_texts(r, (f)[0], sizeof(f) / sizeof((f)[0]), sizeof((f)[0]))
#define PUT_identity(f) put_identity(w, &(f))
#define GET_identity(f) get_identity(r, &(f))
#define PUT_limit(f)    put_limit(w, &(f))
#define GET_limit(f)    get_limit(r, &(f))
#define PUT_token(f)    put_token(w, &(f))
#define GET_token(f)    get_token(r, &(f))
#define PUT_beacons(f)  put_beacons(w, &(f))
#define GET_beacons(f)  get_beacons(r, &(f))
/* with how many there are before them */
#define PUT_chains(f) put_chains(w, f, c->nchains)
#define GET_chains(f) c->nchains = get_chains(r, f)
#define PUT_keys(f)   put_keys(w, c)
#define GET_keys(f)   get_keys(r, c)

/* --- both ways of each, from the one list of its fields --- */

#define PART(name)                                                                                 \
	static void put_##name(struct wire_out *w, const struct rconf_##name *c)                   \
	{
#define MESSAGE(name)                                                                              \
	void rconf_put_##name(struct wire_out *w, const struct rconf_##name *c)                    \
	{
#define FIELD(kind, field) PUT_##kind(c->field);
#define END_PART           }
#define END_MESSAGE        }
#include "daemon/msg/rconf.def"
#undef PART
#undef MESSAGE
#undef FIELD
#undef END_MESSAGE
#define PART(name)                                                                                 \
	static void get_##name(struct wire_in *r, struct rconf_##name *c)                          \
	{
#define MESSAGE(name)                                                                              \
	int rconf_get_##name(struct wire_in *r, struct rconf_##name *c)                            \
	{
#define FIELD(kind, field) GET_##kind(c->field);
#define END_MESSAGE                                                                                \
	return wire_end(r);                                                                        \
	}
#include "daemon/msg/rconf.def"
