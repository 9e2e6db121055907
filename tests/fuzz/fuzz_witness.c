/*
 * Fuzz target: what a log submits to a witness, and what a witness answers. What is read must be
 * written again to the very same bytes; of an answer nothing may be taken that lies outside it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/tlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char note[] =
	    "w.example/log\n1\n"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" NOTE_DASH "w.example/log AAAAAAAA\n";
	static char text[1 << 16];
	const char *in = (const char *)data, *line = NULL;
	struct note_key w = {.type = NOTE_COSIGN, .name = "w.example"};
	struct tlog_submission s;
	uint64_t when;
	size_t n;

	if (size > sizeof(text) / 2)
		return 0;
	note_key_id(w.id, w.name, w.type, w.pub);
	if (tlog_submission_parse(&s, in, size) == KE_OK) {
		must(s.path_len <= TLOG_CONSISTENCY_MAX && s.note >= in);
		must(s.note + s.note_len == in + size);
		must(tlog_submission_text(&s, text, sizeof(text), &n) == KE_OK);
		must(n == size && memcmp(text, data, n) == 0);
	}
	if (cosign_take(note, sizeof(note) - 1, in, size, &w, &line, &n, &when) == KE_OK)
		must(line >= in && line + n <= in + size && n > 0 && line[n - 1] == '\n');
	return 0;
}
