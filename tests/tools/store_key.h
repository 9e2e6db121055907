/*
 * How the tests' tools come by a stopped appliance's database key: through its token, with the
 * token's PIN, as hsm does. SOFTHSM2_CONF is set by the caller. Each program includes it once.
 */
#ifndef TESTS_TOOLS_STORE_KEY_H
#define TESTS_TOOLS_STORE_KEY_H

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "hsm/p11/blob.h"

/* The rest of the first line that begins with `word`. */
static int store_line(const char *path, const char *word, char *out, size_t cap)
{
	char line[1024];
	size_t n = strlen(word);
	FILE *f = fopen(path, "re");
	int r = KE_NOTFOUND;

	if (f == NULL)
		return KE_IO;
	while (r != KE_OK && fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, word, n) == 0 && strlen(line + n) < cap) {
			memcpy(out, line + n, strlen(line + n) + 1);
			r = KE_OK;
		}
	}
	fclose(f);
	return r;
}

/* Loads the module and logs in: argv[1..3] are MODULE, TOKEN, PIN-FILE. */
static int store_login(char **argv, struct p11 *p, struct key_ring *ring)
{
	char pin[256];
	int r = store_line(argv[3], "", pin, sizeof pin);

	if (r == KE_OK)
		r = p11_load(p, argv[1], NULL, 0);
	if (r == KE_OK)
		r = p11_open(p, argv[2], false);
	if (r == KE_OK)
		r = p11_login(p, pin);
	return r == KE_OK ? key_ring_find(p, ring) : r;
}

/* The same, and the key of the store in the folder argv[4]. */
static int store_unseal(char **argv, struct p11 *p, struct key_ring *ring, uint8_t key[32])
{
	char path[512], sealed[BLOB_TEXT_MAX], id[64];
	uint8_t appliance[16];
	size_t n = 0;
	int r;

	snprintf(path, sizeof path, "%s/klero.keys", argv[4]);
	r = store_line(path, "appliance ", id, sizeof id);
	if (r == KE_OK && (sodium_hex2bin(appliance, 16, id, 32, NULL, &n, NULL) != 0 || n != 16))
		r = KE_FORMAT;
	if (r == KE_OK)
		r = store_line(path, "dbkey ", sealed, sizeof sealed);
	if (r == KE_OK)
		r = store_login(argv, p, ring);
	return r == KE_OK
		   ? blob_open_class_key(p, ring, &(struct blob_class){BLOB_DB, 0, appliance},
			 sealed, strlen(sealed), key)
		   : r;
}

#endif
