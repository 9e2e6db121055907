/*
 * Fuzzes beacon's messages: what a captured engine may send goes through msg_check and the real
 * handler. No input may crash it or make an answer that msg.def does not allow, and no value is
 * good but the one that is known here.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/beacon/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* quicknet's first round: chain, round, signature */
static const uint8_t good[] = {0, 1, 0, 0, 0, 0, 0, 0, 0, 0xb5, 0x5e, 0x7c, 0xb2, 0xd5, 0xc6, 0x13,
    0xee, 0x0b, 0x2e, 0x28, 0xd6, 0x75, 0x0a, 0xab, 0xbb, 0x78, 0xc3, 0x9d, 0xcc, 0x96, 0xbd, 0x9d,
    0x38, 0xc2, 0xc2, 0xe1, 0x21, 0x98, 0xdf, 0x95, 0x57, 0x1d, 0xe8, 0xe8, 0xe4, 0x02, 0xa0, 0xcc,
    0x48, 0x87, 0x1c, 0x70, 0x89, 0xa2, 0xb3, 0xaf, 0x4b};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct beacon_role b = {.conf = {.nchains = 1}};
	static uint8_t packet[MSG_MAX], out[MSG_BODY_MAX];
	struct serve_peer peer = {.who = {.role = ROLE_ENGINE}};
	struct wire_out w;
	struct wire_in in;
	struct msg m;
	int r;

	if (size < 1 || size > 6000)
		return 0;
	b.conf.chains[0] = drand_quicknet;
	b.answers = 0;
	wire_out_init(&w, packet, sizeof packet);
	wire_put_u16(&w, MSG_VERSION);
	wire_put_u16(&w, (data[0] & 1) != 0 ? MSG_BEACON_ROUND : MSG_BEACON_PULSE);
	wire_put_u32(&w, (uint32_t)size - 1);
	wire_put_u64(&w, 1);
	wire_put_raw(&w, data + 1, size - 1);
	if (msg_check(packet, w.len, -1, ROLE_BEACON, ROLE_ENGINE, RUN, &m) != KE_OK)
		return 0;
	wire_out_init(&w, out, sizeof out);
	r = beacon_handle(&b, &peer, &m, &w);
	must(r == KE_OK || r == KE_PEER);
	if (r == KE_PEER)
		return 0;
	must(w.err == KE_OK && w.len == 4);
	wire_in_init(&in, out, w.len);
	if (wire_get_i32(&in) == KE_OK)
		must(m.type == MSG_BEACON_ROUND && m.len == sizeof good &&
		     memcmp(m.body, good, sizeof good) == 0);
	return 0;
}
