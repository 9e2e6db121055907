/*
 * Fuzz target: out's work. The first byte chooses: what engine may ask becomes a URL of a
 * configured target and nothing else; what a relay or host replies becomes an answer that msg.def
 * allows, with fields that are what was read.
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
	must(out_configure(&c) == KE_OK && c.nrelays == 2 && c.nnists == 1);
	return &c;
}

static void ask(const uint8_t *data, size_t size)
{
	struct msg m = {.type = (data[0] & 2) != 0 ? MSG_OUT_ROUND : MSG_OUT_PULSE,
	    .body = data + 1,
	    .len = size - 1};
	struct out_conf *c = conf();
	struct work w;
	size_t n;

	if (work_ask(c, &w, &m) != KE_OK)
		return;
	n = strlen(w.target->url);
	must(w.target == &c->relay[0] || w.target == &c->relay[1] || w.target == &c->nist[0]);
	must(strncmp(w.ask.url, w.target->url, n) == 0 && w.ask.url[n] == '/');
	must(strspn(w.ask.url + n, "/0123456789abcdefghijklmnopqrstuvwxyz") ==
	     strlen(w.ask.url + n));
	must(w.ask.most > 0 && w.ask.most <= HTTPS_BODY_MAX && w.ask.post == NULL);
}

static void reply(const uint8_t *data, size_t size)
{
	static const uint8_t question[2][18] = {
	    {0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, {0, 0, 7, [10] = 1}};
	bool pulse = (data[0] & 2) != 0;
	struct msg m = {.type = pulse ? MSG_OUT_PULSE : MSG_OUT_ROUND,
	    .body = question[pulse],
	    .len = pulse ? 18 : 10};
	const struct msg_rule *rule = msg_rule((uint16_t)(m.type + 1));
	uint8_t answer[8192];
	struct wire_out a;
	struct wire_in r;
	struct work w;

	must(work_ask(conf(), &w, &m) == KE_OK);
	wire_out_init(&a, answer, sizeof answer);
	work_answer(conf(), &w, KE_OK, (const char *)data + 1, size - 1, &a);
	must(a.err == KE_OK && a.len >= rule->min && a.len <= rule->max);
	wire_in_init(&r, answer, a.len);
	must(wire_get_i32(&r) == KE_OK || wire_end(&r) == KE_OK);
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
