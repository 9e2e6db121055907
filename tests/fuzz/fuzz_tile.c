/*
 * Fuzz target: paths of tiles, which clients ask for. What is accepted must be exactly what
 * tile_path() writes, and a tile that some tree has.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[TILE_PATH_MAX + 1];
	struct tile t;

	if (tile_parse(&t, (const char *)data, size) != KE_OK)
		return 0;
	if (t.width == 0 || t.width > TILE_WIDTH || !tile_within(&t, UINT64_MAX) ||
	    tile_within(&t, t.width - 1))
		abort();
	if (tile_path(&t, again) != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
