/*
 * Fuzz target: a beacon's pulse in JSON. What is read has a serialisation of bounded length, which
 * no certificate of ours has signed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "policy/pulse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t msg[PULSE_SIGNED_MAX];
	struct pulse p;

	if (pulse_parse(&p, (const char *)data, size) != KE_OK)
		return 0;
	if (pulse_signed(&p, msg) > sizeof(msg) || p.signature_len > PULSE_SIG_MAX || p.at_ms < 0)
		abort();
	if (pulse_verify(&p, (const char *)data, size) == KE_OK)
		abort();
	return 0;
}
