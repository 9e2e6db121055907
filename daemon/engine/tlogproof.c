/*
 * Proofs of inclusion: see tlogproof.h. Runs in engine.
 */
#include "daemon/engine/tlogproof.h"

#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/logread.h"

int tlogproof_write(struct engine *e, const struct db_log *log, uint64_t index, uint64_t size,
    const void *extra, size_t n, char *out, size_t cap, size_t *len)
{
	struct tlog_proof p = {.index = index, .extra_len = n};
	struct db_checkpoint c;
	struct logread read;
	int r = db_log_checkpoint(e->db, log->no, size, &c);

	if (r == KE_OK && index >= c.size)
		r = KE_NOTFOUND;
	if (r == KE_OK && n > sizeof p.extra)
		r = KE_LONG;
	if (r != KE_OK)
		return r;
	if (n > 0)
		memcpy(p.extra, extra, n);
	p.note = c.note;
	p.note_len = c.len;
	logread_init(&read, e, log);
	r = tile_inclusion(&read.reader, index, c.size, p.path, &p.path_len);
	return r == KE_OK ? tlog_proof_text(&p, out, cap, len) : r;
}
