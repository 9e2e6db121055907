/*
 * The answers of klerod-beacon: see answer.h. Runs in beacon.
 */
#include "daemon/beacon/answer.h"

#include <string.h>

#include "policy/pulse.h"

static int answer_round(const struct rconf_beacon *c, const struct msg *m, struct wire_out *w)
{
	uint8_t signature[BLS_SIG_LEN], chain;
	struct wire_in r;
	uint64_t round;

	wire_in_init(&r, m->body, m->len);
	chain = wire_get_u8(&r);
	round = wire_get_u64(&r);
	wire_get_raw(&r, signature, sizeof signature);
	if (wire_end(&r) != KE_OK || chain >= c->nchains)
		return KE_PEER;
	wire_put_i32(w, drand_verify(&c->chains[chain], round, signature, sizeof signature));
	return KE_OK;
}

/* KE_WRONG_KEY: the certificate that it names is none of ours. */
static int verify(const struct rconf_beacon *c, const struct pulse *p)
{
	int r = KE_WRONG_KEY;

	for (size_t i = 0; r == KE_WRONG_KEY && i < RCONF_CERTS; i++) {
		const char *pem = c->certificates[i];

		if (pem[0] == '\0')
			break;
		r = pulse_verify(p, pem, strlen(pem));
	}
	return r;
}

static int answer_pulse(const struct rconf_beacon *c, const struct msg *m, struct wire_out *w)
{
	const uint8_t *packed;
	struct wire_in r;
	struct pulse p;
	int verdict;
	size_t n;

	wire_in_init(&r, m->body, m->len);
	packed = wire_get_str(&r, PULSE_PACKED_MAX, &n);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	verdict = pulse_unpack(&p, packed, n);
	wire_put_i32(w, verdict == KE_OK ? verify(c, &p) : verdict);
	return KE_OK;
}

int beacon_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct beacon_role *b = ctx;
	int r = m->type == MSG_BEACON_ROUND ? answer_round(&b->conf, m, w)
					    : answer_pulse(&b->conf, m, w);

	(void)peer;
	if (r == KE_OK && ++b->answers == BEACON_ANSWERS)
		return KE_CLOSED;
	return r;
}
