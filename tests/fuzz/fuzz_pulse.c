/*
 * Fuzz target: a beacon's pulse, in JSON or in one piece. What is read has a serialisation of
 * bounded length, which no certificate of ours has signed, and which is read as the same again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/jsonw.h"
#include "policy/pulse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void packed(const uint8_t *data, size_t size)
{
	uint8_t again[PULSE_PACKED_MAX];
	struct pulse p;

	if (pulse_unpack(&p, data, size) != KE_OK)
		return;
	must(pulse_pack(&p, again) == size && memcmp(again, data, size) == 0);
}

/* What was read, written and read once more, is what it was. */
static void written(const struct pulse *p)
{
	uint8_t a[PULSE_PACKED_MAX], b[PULSE_PACKED_MAX];
	char json[PULSE_WRITTEN_MAX];
	size_t n = pulse_pack(p, a);
	struct jsonw w;
	struct pulse q;

	must(pulse_unpack(&q, a, n) == KE_OK);
	jsonw_init(&w, json, sizeof json);
	pulse_write(p, &w);
	must(jsonw_end(&w) == KE_OK && pulse_parse(&q, json, w.len) == KE_OK);
	must(pulse_pack(&q, b) == n && memcmp(a, b, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t msg[PULSE_SIGNED_MAX];
	struct pulse p;

	packed(data, size);
	if (pulse_parse(&p, (const char *)data, size) != KE_OK)
		return 0;
	written(&p);
	if (pulse_signed(&p, msg) > sizeof(msg) || p.signature_len > PULSE_SIG_MAX || p.at_ms < 0)
		abort();
	if (pulse_verify(&p, (const char *)data, size) == KE_OK)
		abort();
	return 0;
}
