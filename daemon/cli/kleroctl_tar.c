/*
 * A tar archive: see kleroctl_tar.h. Source: IEEE Std 1003.1, pax, "ustar Interchange Format".
 */
#include "daemon/cli/kleroctl_tar.h"

#include <stdio.h>
#include <string.h>

#define BLOCK 512

/* Octal digits and a NUL, as many as the field is long. */
static void octal(char *field, size_t len, uint64_t v)
{
	field[--len] = '\0';
	while (len > 0) {
		field[--len] = (char)('0' + (v & 7));
		v >>= 3;
	}
}

static void header(char h[BLOCK], const char *name, size_t n, int64_t mtime_s)
{
	unsigned sum = 0;

	memset(h, 0, BLOCK);
	snprintf(h, 100, "%s", name);
	octal(h + 100, 8, 0600);
	octal(h + 108, 8, 0);
	octal(h + 116, 8, 0);
	octal(h + 124, 12, n);
	octal(h + 136, 12, (uint64_t)mtime_s);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	octal(h + 148, 7, sum);
}

int tar_file(struct out *o, const char *name, const void *p, size_t n, int64_t mtime_s)
{
	static const char zero[BLOCK];
	char h[BLOCK];
	int r;

	if (strlen(name) >= 100)
		return KE_LONG;
	header(h, name, n, mtime_s);
	r = out_write(o, h, sizeof h);
	if (r == KE_OK)
		r = out_write(o, p, n);
	return r == KE_OK ? out_write(o, zero, (BLOCK - n % BLOCK) % BLOCK) : r;
}

int tar_end(struct out *o)
{
	static const char zero[2 * BLOCK];

	return out_write(o, zero, sizeof zero);
}
