/*
 * Fuzz target: hsm's journal. The input is its bytes, as they stand or with every whole record's
 * checksum made good, and then what a process and its successor beside it do with it: whatever the
 * file holds, what is told once stays so for both, counts agree with what was said since, and a
 * successor knows the same.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hsm/once/once.h"
#include "policy/hash.h"

#define RECORDS 32

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t appliance[16] = "appliance-id-16b";
static struct once blue, green;

static void must(int ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(sodium_init() >= 0);
	/* their memory once: it is large */
	must(once_init(&blue, -1, appliance) == KE_OK);
	must(once_init(&green, -1, appliance) == KE_OK);
	return 0;
}

/* Begins anew over this file; only the slots that were used are swept. */
static void begin(struct once *o, int fd)
{
	must(once_load(o, fd) == KE_OK);
	must(o->n <= RECORDS + 8 && o->counts <= RECORDS + 8);
}

static void make_good(uint8_t *p, size_t n)
{
	static const uint8_t magic[8] = {'k', 'l', 'o', 'n', 'c', 'e', '0', '1'};

	for (; n >= JOURNAL_RECORD; n -= JOURNAL_RECORD, p += JOURNAL_RECORD) {
		memcpy(p, magic, sizeof magic);
		memset(p + 9, 0, 3);
		hash_sha256(p + 96, p, 96);
	}
}

static void told(const uint8_t value[32], int fd)
{
	static const uint8_t id[16] = "a raffle's id...";
	uint8_t another[32];
	int r = once_tell(&blue, ONCE_DRAW, id, 16, value);

	memcpy(another, value, 32);
	another[0] ^= 1;
	must(r == KE_OK || r == KE_DENIED);
	must(once_ask(&green, ONCE_DRAW, id, 16, value) == r);
	must(once_tell(&green, ONCE_DRAW, id, 16, another) == KE_DENIED || r == KE_DENIED);
	begin(&green, fd);
	must(once_ask(&green, ONCE_DRAW, id, 16, value) == r);
}

/* torn: bytes behind the whole records. What is filled up is damage when it begins like no record,
 * as far as its checksum tells. */
static void counted(int fd, size_t torn)
{
	uint32_t before, after;
	int r = once_count(&blue, KEY_SEED, 2, &before);

	must(r == KE_OK || r == KE_NOTFOUND || r == KE_DAMAGED);
	must(once_begin(&green, KEY_SEED, 2) == KE_OK);
	must(once_stand(&green, KEY_SEED, "x", 1, 0) == KE_OK);
	if (r == KE_DAMAGED)
		return;
	r = once_count(&blue, KEY_SEED, 2, &before);
	must(r == KE_OK || (r == KE_DAMAGED && torn > 96));
	if (r == KE_DAMAGED)
		return;
	for (int i = 0; i < 2; i++)
		must(once_stand(&blue, KEY_SEED, "x", 1, 2) == KE_OK);
	must(once_count(&green, KEY_SEED, 2, &after) == KE_OK && after == before + 1);
	begin(&blue, fd);
	must(once_count(&blue, KEY_SEED, 2, &after) == KE_OK && after == before + 1);
	must(once_stand(&blue, KEY_SEED, "x", 1, 0) == KE_OK);
	must(once_count(&green, KEY_SEED, 2, &after) == KE_OK && after == before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[RECORDS * JOURNAL_RECORD];
	uint8_t value[32] = {1};
	int fd;

	if (size < 1 || size - 1 > sizeof file)
		return 0;
	memcpy(file, data + 1, size - 1);
	if ((data[0] & 1) != 0)
		make_good(file, size - 1);
	fd = memfd_create("journal", MFD_CLOEXEC);
	must(fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0);
	must(write(fd, file, size - 1) == (ssize_t)size - 1);
	begin(&blue, fd);
	begin(&green, fd);
	told(value, fd);
	counted(fd, (size - 1) % JOURNAL_RECORD);
	close(fd);
	return 0;
}
