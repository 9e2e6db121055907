/*
 * Kinds of work: see work.h. Runs in out.
 */
#include "daemon/out/work.h"

#include <stdio.h>
#include <string.h>

#include "policy/pulse.h"
#include "policy/text.h"

#define ROUND_MOST   4096
#define WITNESS_MOST 4096

int out_configure(struct out_conf *c)
{
	const struct rconf_beacons *b = &c->conf.beacons;
	int r = KE_OK;

	for (uint8_t i = 0; i < b->nchains; i++)
		drand_chain_hash(c->chain_hash[i], &b->chains[i]);
	for (size_t i = 0; r == KE_OK && i < RCONF_RELAYS && b->relays[i][0] != '\0'; i++)
		r = target_set(&c->relay[c->nrelays++], b->relays[i]);
	for (size_t i = 0; r == KE_OK && i < RCONF_NISTS && b->nists[i][0] != '\0'; i++)
		r = target_set(&c->nist[c->nnists++], b->nists[i]);
	for (size_t i = 0; r == KE_OK && i < RCONF_WITNESSES; i++)
		if (c->conf.witnesses[i][0] != '\0')
			r = target_set(&c->witness[i], c->conf.witnesses[i]);
	return r;
}

/* --- rounds of drand --- */

static int ask_round(struct out_conf *c, struct work *w, struct wire_in *r)
{
	uint8_t relay = wire_get_u8(r), chain = wire_get_u8(r);
	uint64_t round = wire_get_u64(r);
	char hash[65], number[TEXT_U64_MAX + 1] = "latest";

	if (wire_end(r) != KE_OK || relay >= c->nrelays || chain >= c->conf.beacons.nchains)
		return KE_PEER;
	w->target = &c->relay[relay];
	w->ask.most = ROUND_MOST;
	text_hex(hash, c->chain_hash[chain], 32);
	if (round != 0)
		text_u64(number, round);
	snprintf(w->ask.url, sizeof w->ask.url, "%s/%s/public/%s", w->target->url, hash, number);
	return KE_OK;
}

static int read_round(
    const struct out_conf *c, const struct work *w, const char *body, size_t n, struct wire_out *a)
{
	uint8_t signature[BLS_SIG_LEN];
	uint64_t round;
	int r = drand_round_parse(&round, signature, body, n);

	(void)c;
	(void)w;
	if (r != KE_OK)
		return r;
	wire_put_u64(a, round);
	wire_put_raw(a, signature, sizeof signature);
	return KE_OK;
}

/* --- pulses of NIST's beacon --- */

static int ask_pulse(struct out_conf *c, struct work *w, struct wire_in *r)
{
	uint8_t host = wire_get_u8(r), what = wire_get_u8(r);
	uint64_t chain = wire_get_u64(r), number = wire_get_u64(r);
	char text[TEXT_U64_MAX + 1], of[TEXT_U64_MAX + 1];

	if (wire_end(r) != KE_OK || host >= c->nnists || what > 1 || number == 0)
		return KE_PEER;
	w->target = &c->nist[host];
	w->ask.most = PULSE_JSON_MAX;
	text_u64(of, chain);
	/* the beacon's "next" is the first after a moment, ours the first from a moment on */
	text_u64(text, what == 0 ? number - 1 : number);
	if (what == 0)
		snprintf(
		    w->ask.url, sizeof w->ask.url, "%s/pulse/time/next/%s", w->target->url, text);
	else
		snprintf(w->ask.url, sizeof w->ask.url, "%s/chain/%s/pulse/%s", w->target->url, of,
		    text);
	return KE_OK;
}

static int read_pulse(
    const struct out_conf *c, const struct work *w, const char *body, size_t n, struct wire_out *a)
{
	uint8_t packed[PULSE_PACKED_MAX];
	struct pulse p, again;
	size_t len;
	int r = pulse_parse(&p, body, n);

	(void)c;
	(void)w;
	if (r != KE_OK)
		return r;
	len = pulse_pack(&p, packed);
	/* an output that does not follow from the rest is a lie, though nobody would see it again
	 */
	r = pulse_unpack(&again, packed, len);
	if (r == KE_OK && memcmp(again.output, p.output, PULSE_HASH) != 0)
		r = KE_FORMAT;
	if (r == KE_OK)
		wire_put_str(a, packed, len);
	return r;
}

/* --- witnesses --- */

static int ask_witness(struct out_conf *c, struct work *w, struct wire_in *r)
{
	uint8_t which = wire_get_u8(r);
	size_t n;
	const uint8_t *text = wire_get_str(r, sizeof w->post, &n);

	if (wire_end(r) != KE_OK || n == 0 || which >= RCONF_WITNESSES ||
	    c->witness[which].url[0] == '\0')
		return KE_PEER;
	w->target = &c->witness[which];
	w->ask.most = WITNESS_MOST;
	memcpy(w->post, text, n);
	w->ask.post = w->post;
	w->ask.post_len = n;
	snprintf(w->ask.url, sizeof w->ask.url, "%s/add-checkpoint", w->target->url);
	return KE_OK;
}

/* Lines of visible text; engine looks for a cosignature among them. */
static int read_witness(
    const struct out_conf *c, const struct work *w, const char *body, size_t n, struct wire_out *a)
{
	(void)c;
	(void)w;
	if (n == 0 || body[n - 1] != '\n' || memchr(body, '\0', n) != NULL ||
	    text_utf8(body, n) != KE_OK)
		return KE_FORMAT;
	wire_put_str(a, body, n);
	return KE_OK;
}

/* A size in decimal and a LF (text/x.tlog.size). */
static int read_size(const char *body, size_t n, struct wire_out *a)
{
	uint64_t size;

	if (n == 0 || body[n - 1] != '\n' || text_unu64(&size, body, n - 1) != KE_OK)
		return KE_FORMAT;
	wire_put_u64(a, size);
	return KE_OK;
}

/* --- all of them --- */

static const struct work_kind kinds[] = {
    {MSG_OUT_ROUND, ask_round, read_round, NULL},
    {MSG_OUT_PULSE, ask_pulse, read_pulse, NULL},
    {MSG_OUT_WITNESS, ask_witness, read_witness, read_size},
};

int work_ask(struct out_conf *c, struct work *w, const struct msg *m)
{
	struct wire_in r;

	memset(w, 0, sizeof *w);
	w->id = m->id;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (kinds[i].type == m->type)
			w->kind = &kinds[i];
	if (w->kind == NULL)
		return KE_PEER;
	wire_in_init(&r, m->body, m->len);
	return w->kind->ask(c, w, &r);
}

void work_answer(const struct out_conf *c, const struct work *w, int r, const char *body, size_t n,
    struct wire_out *a)
{
	struct wire_out fields = *a;

	/* the fields behind the place of the result, which is known when they are read */
	wire_put_i32(&fields, KE_OK);
	if (r == KE_OK)
		r = w->kind->read(c, w, body, n, &fields);
	if (r == KE_STATE) {
		r = w->kind->conflict != NULL ? w->kind->conflict(body, n, &fields) : KE_UNAVAIL;
		r = r == KE_OK ? KE_STATE : r;
	}
	wire_put_i32(a, r);
	if (r == KE_OK || r == KE_STATE)
		*a = fields;
}
