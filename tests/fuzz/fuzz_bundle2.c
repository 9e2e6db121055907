/*
 * Fuzz target: v2 proof bundles. The seeds are whole ones by throw-away keys, drawn,
 * aborted, amended; with its operator's
 * key trusted, nothing but its own records can be drawn from: other winners never reach every
 * level.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* tests/unit/bundle2_make.h's */
static const char vkey[] = "draws.example.org/klero+f6292b08+"
			   "AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct note_key key;
	struct bundle2_trust trust = {.operator_key = &key};
	struct bundle2_result res;

	if (key.name[0] == '\0' && note_vkey_parse(&key, vkey, sizeof(vkey) - 1) != KE_OK)
		abort();
	if (bundle2_check((const char *)data, size, &trust, &res) != KE_OK) {
		if (res.why[0] == '\0' || strlen(res.why) >= sizeof(res.why))
			abort();
		return 0;
	}
	if (res.tickets != 20 || res.seen > res.witnesses ||
	    (!res.aborted && (res.winners != 3 || res.reserves != 2)))
		abort();
	return 0;
}
