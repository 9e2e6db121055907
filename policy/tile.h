/*
 * Where the hashes and entries of a log stand: tile coordinates and their paths, of
 * c2sp.org/tlog-tiles. A tile of level L and number N holds the roots of the complete subtrees of
 * 256^L leaves from number 256·N on, 256 of them when it is full. Pure; paths come from strangers.
 */
#ifndef POLICY_TILE_H
#define POLICY_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define TILE_BITS   8 /* levels of the tree in one tile */
#define TILE_WIDTH  256
#define TILE_LEVELS 8 /* a tree has less than 2^64 leaves */

/* "entries/x072/x057/x594/x037/x927/935.p/255", or a level in its place */
#define TILE_PATH_MAX 47
/* of an entry, whose length stands before it in two bytes */
#define TILE_ENTRY_MAX 65535

struct tile {
	bool entries;   /* the leaves themselves; level is 0 */
	unsigned level; /* below TILE_LEVELS */
	uint64_t n;
	unsigned width; /* 1..TILE_WIDTH; below, it is a partial one */
};

/*
 * "<L>/<N>", "<L>/<N>.p/<W>", or "entries" for the level: one path for each tile, and only tiles
 * that a tree of less than 2^64 leaves can have. KE_FORMAT.
 */
int tile_parse(struct tile *t, const char *path, size_t n) KE_CHECK;
/* out receives the path and a NUL; returns its length. */
size_t tile_path(const struct tile *t, char out[TILE_PATH_MAX + 1]);

/* Does a tree of this size have it, whole? */
bool tile_within(const struct tile *t, uint64_t size);

#endif
