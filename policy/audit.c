/*
 * Auditing a log leaf by leaf: see audit.h. Pure.
 */
#include "policy/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/leaf.h"

int audit_no(char *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, AUDIT_WHY_MAX, fmt, ap);
	va_end(ap);
	/* Words may come from the log: nothing in them may reach a terminal as a command. */
	for (; *why != '\0'; why++)
		if (*why < ' ' || *why > '~')
			*why = '?';
	return err;
}

/* --- tiles --- */

/* Of a partial tile or bundle that is gone the full one will do: c2sp.org/tlog-tiles. */
static int read_tile(struct audit *a, const struct tile *t, const uint8_t **p, size_t *n)
{
	struct tile full = *t;
	char path[TILE_PATH_MAX + 1];
	int r = a->read(a->read_arg, t, p, n);

	full.width = TILE_WIDTH;
	if (r == KE_NOTFOUND && t->width < TILE_WIDTH)
		r = a->read(a->read_arg, &full, p, n);
	if (r == KE_OK)
		return r;
	(void)tile_path(t, path);
	return audit_no(a->why, r, "tile/%s cannot be read: %s", path, ke_words(r));
}

/* The tile of a level that has just come to this width is the one that the log serves. */
static int check_tile(struct audit *a, unsigned level, uint64_t number, unsigned width)
{
	const struct tile t = {.level = level, .n = number, .width = width};
	char path[TILE_PATH_MAX + 1];
	const uint8_t *p;
	size_t n;
	int r = read_tile(a, &t, &p, &n);

	if (r != KE_OK)
		return r;
	if ((n == width * 32 || n == TILE_WIDTH * 32) && memcmp(p, a->tile[level], width * 32) == 0)
		return KE_OK;
	(void)tile_path(&t, path);
	return audit_no(a->why, KE_CRYPTO, "tile/%s is not the one of its entries", path);
}

/* One more hash of a level; a tile that is full is checked, and the next one begins. */
static int add_hash(struct audit *a, unsigned level, uint64_t index, const uint8_t hash[32])
{
	memcpy(a->tile[level][a->width[level]++], hash, 32);
	if (a->width[level] < TILE_WIDTH)
		return KE_OK;
	a->width[level] = 0;
	return check_tile(a, level, index / TILE_WIDTH, TILE_WIDTH);
}

/* The partial tiles at the right end. */
static int check_rest(struct audit *a, uint64_t size)
{
	int r = KE_OK;

	for (unsigned level = 0; r == KE_OK && level < TILE_LEVELS; level++)
		if (a->width[level] > 0)
			r = check_tile(
			    a, level, size >> (TILE_BITS * (level + 1)), a->width[level]);
	return r;
}

/* --- leaves --- */

/* Is the older checkpoint's root that of the leaves so far? */
static int check_old(struct audit *a)
{
	uint8_t root[32];

	if (a->old == NULL || a->old->size != a->range.size)
		return KE_OK;
	merkle_range_root(&a->range, root);
	if (memcmp(root, a->old->root, 32) == 0)
		return KE_OK;
	return audit_no(a->why, KE_CRYPTO,
	    "the log was rewritten: its first %llu entries are not those of the older checkpoint",
	    (unsigned long long)a->old->size);
}

static int add_leaf(struct audit *a, const uint8_t *p, size_t n)
{
	struct merkle_subtree done[MERKLE_SUBTREES];
	uint64_t index = a->range.size;
	uint8_t hash[32];
	size_t found;
	int r;

	merkle_leaf_hash(hash, p, n);
	r = a->leaf(a->leaf_arg, index, p, n, hash, a->why);
	if (r != KE_OK)
		return r;
	found = merkle_range_grow(&a->range, hash, done);
	r = add_hash(a, 0, index, hash);
	for (size_t i = 0; r == KE_OK && i < found; i++)
		r = add_hash(a, done[i].level, done[i].index, done[i].root);
	return r == KE_OK ? check_old(a) : r;
}

/* An entry bundle: u16 length ‖ leaf, so many of them. A full one may stand for a partial one. */
static int add_bundle(struct audit *a, const struct tile *t)
{
	const uint8_t *p;
	size_t n, len;
	int r = read_tile(a, t, &p, &n);

	for (unsigned i = 0; r == KE_OK && i < t->width; i++) {
		len = n >= 2 ? (size_t)p[0] << 8 | p[1] : 0;
		if (n < 2 || n - 2 < len)
			return audit_no(a->why, KE_FORMAT,
			    "the log is truncated: entry %llu is not in its bundle",
			    (unsigned long long)a->range.size);
		r = add_leaf(a, p + 2, len);
		p += 2 + len;
		n -= 2 + len;
	}
	return r;
}

/* --- public --- */

static int check_root(struct audit *a, const struct checkpoint *head)
{
	uint8_t root[32];

	merkle_range_root(&a->range, root);
	if (memcmp(root, head->root, 32) == 0)
		return KE_OK;
	return audit_no(a->why, KE_CRYPTO, "the root of the %llu entries is not the checkpoint's",
	    (unsigned long long)head->size);
}

int audit_log(struct audit *a, const struct checkpoint *head)
{
	struct tile t = {.entries = true};
	int r = KE_OK;

	merkle_range_init(&a->range);
	memset(a->width, 0, sizeof(a->width));
	a->why[0] = '\0';
	if (a->old != NULL && a->old->size > head->size)
		return audit_no(a->why, KE_CRYPTO,
		    "the checkpoint of %llu entries is smaller than the older one of %llu",
		    (unsigned long long)head->size, (unsigned long long)a->old->size);
	r = check_old(a);
	while (r == KE_OK && a->range.size < head->size) {
		uint64_t left = head->size - a->range.size;

		t.n = a->range.size / TILE_WIDTH;
		t.width = left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
		r = add_bundle(a, &t);
	}
	if (r == KE_OK)
		r = check_root(a, head);
	return r == KE_OK ? check_rest(a, head->size) : r;
}

int audit_ticket(
    void *arg, uint64_t index, const uint8_t *p, size_t n, const uint8_t hash[32], char *why)
{
	struct leaf l;

	(void)hash;
	if (leaf_decode(&l, p, n) != KE_OK)
		return audit_no(why, KE_FORMAT, "entry %llu is not the leaf of a ticket",
		    (unsigned long long)index);
	if (memcmp(l.raffle, arg, 16) != 0)
		return audit_no(why, KE_CRYPTO, "entry %llu is a ticket of another raffle",
		    (unsigned long long)index);
	if (l.index != index)
		return audit_no(why, KE_CRYPTO, "entry %llu is the leaf of ticket %llu",
		    (unsigned long long)index, (unsigned long long)l.index);
	return KE_OK;
}
