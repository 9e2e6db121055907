/*
 * The winners and reserves of a draw, as lines of its record: `<name> <pos> <index> <ticket id>`,
 * pos from 1. Pure; both formats' records write and read them by this.
 */
#ifndef POLICY_PICK_H
#define POLICY_PICK_H

#include <stddef.h>
#include <stdint.h>

#include "policy/canon.h"

struct record_pick {
	uint64_t index;
	uint8_t ticket[16];
};

/*
 * Writes *count lines that begin with name (with its space), or reads as many as there are into
 * picks and *count. More than room of them: KE_LIMIT; a pos out of turn: KE_FORMAT.
 */
void pick_lines(
    struct canon *io, const char *name, struct record_pick *picks, size_t room, uint64_t *count);

#endif
