/*
 * Tile coordinates and paths. Pure; see tile.h.
 */
#include "policy/tile.h"

#include <stdio.h>
#include <string.h>

#include "policy/text.h"

#define GROUP      1000 /* numbers below this are one group of digits */
#define GROUPS_MAX 7    /* of a number below 2^64 */

/* How many leaves one hash of this level stands for. */
static uint64_t span(unsigned level)
{
	return (uint64_t)1 << (TILE_BITS * level);
}

/* The number of leaves up to the tile's end; false when no tree is that large. */
static bool leaves(const struct tile *t, uint64_t *n)
{
	uint64_t hashes;

	return !__builtin_mul_overflow(t->n, (uint64_t)TILE_WIDTH, &hashes) &&
	       !__builtin_add_overflow(hashes, (uint64_t)t->width, &hashes) &&
	       !__builtin_mul_overflow(hashes, span(t->level), n);
}

bool tile_within(const struct tile *t, uint64_t size)
{
	uint64_t n;

	return leaves(t, &n) && n <= size;
}

/* The characters up to the next slash, behind which *p is then; NULL with *p: the last word. */
static int word(const char **p, const char *end, const char **s, size_t *n)
{
	const char *slash;

	if (*p == NULL)
		return KE_FORMAT;
	slash = memchr(*p, '/', (size_t)(end - *p));
	*s = *p;
	*n = (size_t)((slash != NULL ? slash : end) - *p);
	*p = slash != NULL ? slash + 1 : NULL;
	return KE_OK;
}

static int parse_level(struct tile *t, const char *s, size_t n)
{
	uint64_t level;

	if (n == strlen("entries") && memcmp(s, "entries", n) == 0) {
		t->entries = true;
		return KE_OK;
	}
	if (text_unu64(&level, s, n) != KE_OK || level >= TILE_LEVELS)
		return KE_FORMAT;
	t->level = (unsigned)level;
	return KE_OK;
}

/* Three digits onto the number. */
static int add_group(struct tile *t, const char *s)
{
	for (int i = 0; i < 3; i++) {
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(t->n, (uint64_t)10, &t->n) ||
		    __builtin_add_overflow(t->n, (uint64_t)(s[i] - '0'), &t->n))
			return KE_FORMAT;
	}
	return KE_OK;
}

static int parse_width(struct tile *t, const char *s, size_t n)
{
	uint64_t width;

	if (text_unu64(&width, s, n) != KE_OK || width == 0 || width >= TILE_WIDTH)
		return KE_FORMAT;
	t->width = (unsigned)width;
	return KE_OK;
}

/* The groups of the number; what is behind them is the width of a partial tile. */
static int parse_number(struct tile *t, const char **p, const char *end)
{
	bool first = true, more = true, partial = false;
	const char *s;
	size_t n;

	while (more) {
		if (word(p, end, &s, &n) != KE_OK)
			return KE_FORMAT;
		more = n == 4 && s[0] == 'x';
		partial = n == 5 && memcmp(s + 3, ".p", 2) == 0;
		if (!more && !partial && n != 3)
			return KE_FORMAT;
		if (add_group(t, s + more) != KE_OK || (first && more && t->n == 0))
			return KE_FORMAT;
		first = false;
	}
	if (!partial)
		return KE_OK;
	return word(p, end, &s, &n) == KE_OK ? parse_width(t, s, n) : KE_FORMAT;
}

int tile_parse(struct tile *t, const char *path, size_t n)
{
	const char *p = path, *end = path + n, *s;
	size_t len;
	uint64_t size;

	*t = (struct tile){.width = TILE_WIDTH};
	if (n > TILE_PATH_MAX || word(&p, end, &s, &len) != KE_OK)
		return KE_FORMAT;
	if (parse_level(t, s, len) != KE_OK || parse_number(t, &p, end) != KE_OK)
		return KE_FORMAT;
	return p == NULL && leaves(t, &size) ? KE_OK : KE_FORMAT;
}

size_t tile_path(const struct tile *t, char out[TILE_PATH_MAX + 1])
{
	unsigned group[GROUPS_MAX], groups = 0;
	uint64_t left = t->n;
	size_t at;

	do
		group[groups++] = (unsigned)(left % GROUP);
	while ((left /= GROUP) != 0);
	at = (size_t)(t->entries ? snprintf(out, TILE_PATH_MAX + 1, "entries")
				 : snprintf(out, TILE_PATH_MAX + 1, "%u", t->level));
	while (groups-- > 0)
		at += (size_t)snprintf(out + at, TILE_PATH_MAX + 1 - at, "/%s%03u",
		    groups > 0 ? "x" : "", group[groups]);
	if (t->width < TILE_WIDTH)
		at += (size_t)snprintf(out + at, TILE_PATH_MAX + 1 - at, ".p/%u", t->width);
	return at;
}
