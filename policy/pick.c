/*
 * Lines of winners and reserves: see pick.h.
 */
#include "policy/pick.h"

void pick_lines(
    struct canon *io, const char *name, struct record_pick *picks, size_t room, uint64_t *count)
{
	uint64_t n = 0;

	while (canon_reads(io) ? canon_at(io, name) : n < *count) {
		struct record_pick *pick;
		uint64_t pos = n + 1;

		if (n == room) {
			canon_fail(io, KE_LIMIT);
			return;
		}
		pick = &picks[n++];
		canon_lit(io, name);
		canon_u64(io, &pos);
		if (pos != n)
			canon_fail(io, KE_FORMAT);
		canon_lit(io, " ");
		canon_u64(io, &pick->index);
		canon_lit(io, " ");
		canon_hex(io, pick->ticket, 16);
		canon_lit(io, "\n");
	}
	*count = n;
}
