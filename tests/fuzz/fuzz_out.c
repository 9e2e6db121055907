/*
 * Fuzz target: out's work. The first byte chooses: what engine may ask becomes a URL of a
 * configured target and nothing else; what a relay, host or witness replies becomes an answer that
 * msg.def allows, with fields that are what was read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/out/work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static struct out_conf *conf(void)
{
	static struct out_conf c;

	if (c.nrelays != 0)
		return &c;
	c.conf.beacons.nchains = 1;
	c.conf.beacons.chains[0] = drand_quicknet;
	memcpy(c.conf.beacons.relays[0], "https://relay.test:4443/a", 26);
	memcpy(c.conf.beacons.relays[1], "https://127.0.0.1", 18);
	memcpy(c.conf.beacons.nists[0], "https://nist.test/beacon/2.0", 29);
	memcpy(c.conf.witnesses[1], "https://witness.test/w", 23);
	must(out_configure(&c) == KE_OK && c.nrelays == 2 && c.nnists == 1);
	return &c;
}

/* What may be asked, each with a question that out takes. */
static const struct question {
	uint16_t type;
	size_t len;
	uint8_t body[18];
} questions[] = {
    {MSG_OUT_PULSE, 18, {[2] = 7, [10] = 1}},
    {MSG_OUT_ROUND, 10, {[9] = 9}},
    {MSG_OUT_WITNESS, 4, {1, 1, 0, 'x'}},
};

static const struct question *question(uint8_t choice)
{
	return &questions[(choice >> 1 & 3) % 3];
}

static void ask(const uint8_t *data, size_t size)
{
	struct msg m = {.type = question(data[0])->type, .body = data + 1, .len = size - 1};
	bool witness = m.type == MSG_OUT_WITNESS;
	struct out_conf *c = conf();
	struct work w;
	size_t n;

	if (work_ask(c, &w, &m) != KE_OK)
		return;
	n = strlen(w.target->url);
	must(w.target == &c->relay[0] || w.target == &c->relay[1] || w.target == &c->nist[0] ||
	     w.target == &c->witness[1]);
	must(witness == (w.target == &c->witness[1]));
	must(strncmp(w.ask.url, w.target->url, n) == 0 && w.ask.url[n] == '/');
	must(strspn(w.ask.url + n, "/0123456789abcdefghijklmnopqrstuvwxyz-") ==
	     strlen(w.ask.url + n));
	must(w.ask.most > 0 && w.ask.most <= HTTPS_BODY_MAX);
	must(witness ? w.ask.post == w.post && w.ask.post_len > 0 && w.ask.post_len <= sizeof w.post
		     : w.ask.post == NULL);
}

static void reply(const uint8_t *data, size_t size)
{
	const struct question *q = question(data[0]);
	struct msg m = {.type = q->type, .body = q->body, .len = q->len};
	const struct msg_rule *rule = msg_rule((uint16_t)(m.type + 1));
	int said = (data[0] & 8) != 0 ? KE_STATE : KE_OK, r; /* status 409, or 200 */
	uint8_t answer[8192];
	struct wire_out a;
	struct wire_in in;
	struct work w;

	must(work_ask(conf(), &w, &m) == KE_OK);
	/* more never comes out of an exchange */
	if (--size > w.ask.most)
		size = w.ask.most;
	wire_out_init(&a, answer, sizeof answer);
	work_answer(conf(), &w, said, (const char *)data + 1, size, &a);
	must(a.err == KE_OK && a.len >= rule->min && a.len <= rule->max);
	wire_in_init(&in, answer, a.len);
	r = wire_get_i32(&in);
	must(said == KE_STATE ? r != KE_OK : r != KE_STATE);
	must(r != KE_STATE || m.type == MSG_OUT_WITNESS);
	must(r == KE_OK || r == KE_STATE || wire_end(&in) == KE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > HTTPS_BODY_MAX + 1)
		return 0;
	if ((data[0] & 1) != 0)
		ask(data, size);
	else
		reply(data, size);
	return 0;
}
