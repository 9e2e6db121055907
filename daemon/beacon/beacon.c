/*
 * klerod-beacon: is this value of a public beacon signed by the beacon's own key? drand's rounds by
 * a pairing on libgmp (policy/bls), NIST's pulses by OpenSSL (policy/pulse); keys and certificates
 * are pinned by the configuration. It has no file, no socket but its two channels and no secret; it
 * keeps nothing from one value to the next, and a fresh process takes its place now and then: what
 * a value that was made to harm could do to libgmp or OpenSSL ends here.
 * Runs as the beacon role; trusts parent, and engine's choice of what is verified.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/beacon/answer.h"
#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "policy/pulse.h"
#include "policy/text.h"

/* quicknet's first round: one whole verification, so that every page that it needs is there. */
static void warm_up_drand(void)
{
	static const char hex[] = "b55e7cb2d5c613ee0b2e28d6750aabbb78c39dcc96bd9d38c2c2e12198df9557"
				  "1de8e8e402a0cc48871c7089a2b3af4b";
	uint8_t signature[BLS_SIG_LEN];

	if (text_unhex(signature, sizeof signature, hex, sizeof hex - 1) != KE_OK ||
	    drand_verify(&drand_quicknet, 1, signature, sizeof signature) != KE_OK ||
	    drand_verify(&drand_quicknet, 2, signature, sizeof signature) != KE_CRYPTO)
		fatal("BLS12-381 does not work here");
}

/* Every algorithm that a pulse's verification fetches, by each certificate, which must be one. */
static void warm_up_nist(const struct rconf_beacon *c)
{
	struct pulse p = {.signature_len = PULSE_SIG_MAX};
	uint8_t packed[PULSE_PACKED_MAX];
	struct pulse again;

	(void)!pulse_unpack(&again, packed, pulse_pack(&p, packed));
	for (size_t i = 0; i < RCONF_CERTS && c->certificates[i][0] != '\0'; i++) {
		const char *pem = c->certificates[i];

		if (pulse_certificate(p.certificate, pem, strlen(pem)) != KE_OK)
			fatal("nist-certificate %zu is no certificate with an RSA key", i + 1);
		if (pulse_verify(&p, pem, strlen(pem)) != KE_CRYPTO)
			fatal("libcrypto verifies what is no signature");
	}
}

int main(void)
{
	static struct beacon_role b;
	static uint8_t buf[MSG_MAX];
	struct wire_in r;
	struct msg m;

	start_early(ROLE_BEACON);
	start_receive(ROLE_BEACON, MSG_BEACON_CONF, buf, &m);
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_beacon(&r, &b.conf) != KE_OK || sodium_init() < 0)
		fatal("configuration");
	warm_up_drand();
	warm_up_nist(&b.conf);
	start_sandbox(ROLE_BEACON, &b.conf.id, NULL, 0, 0);
	start_ready(ROLE_BEACON);
	serve(ROLE_BEACON, beacon_handle, &b);
	return 0;
}
