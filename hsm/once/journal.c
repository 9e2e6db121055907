/*
 * The journal: see journal.h. Runs in hsm and keyadm.
 */
#include "hsm/once/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/be.h"
#include "policy/hash.h"

#define SUMMED 96  /* bytes before the checksum */
#define BLOCK  256 /* records read at once */
#define FILLER 0xff
/*
 * What is written again. The few who write at once have added one record each whose fdatasync
 * failed, and none after that; what is durable should not be put at risk for nothing.
 */
#define AGAIN (32 * JOURNAL_RECORD)

static const uint8_t magic[8] = {'k', 'l', 'o', 'n', 'c', 'e', '0', '1'};

void journal_encode(uint8_t out[JOURNAL_RECORD], const struct journal_record *r)
{
	memset(out, 0, JOURNAL_RECORD);
	memcpy(out, magic, sizeof magic);
	out[8] = r->kind;
	be_put32(out + 12, r->version);
	memcpy(out + 16, r->name, 32);
	memcpy(out + 48, r->value, 32);
	memcpy(out + 80, r->purpose, sizeof r->purpose);
	hash_sha256(out + SUMMED, out, SUMMED);
}

static bool is_zero(const uint8_t *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

/*
 * What was torn and then filled up by journal_add(): nothing is known where the checksum is all
 * filler, and else what stands before the filler is a record's, or its length was there before its
 * bytes. A whole one may end in such bytes by chance.
 */
static bool is_filled(const uint8_t in[JOURNAL_RECORD], const uint8_t again[JOURNAL_RECORD])
{
	size_t n = JOURNAL_RECORD;

	while (n > SUMMED && in[n - 1] == FILLER)
		n--;
	if (n == SUMMED)
		return true;
	return n < JOURNAL_RECORD && (is_zero(in, n) || memcmp(in, again, n) == 0);
}

int journal_decode(struct journal_record *r, const uint8_t in[JOURNAL_RECORD])
{
	uint8_t again[JOURNAL_RECORD];

	r->kind = in[8];
	r->version = be_get32(in + 12);
	memcpy(r->name, in + 16, 32);
	memcpy(r->value, in + 48, 32);
	memcpy(r->purpose, in + 80, sizeof r->purpose);
	journal_encode(again, r);
	if (memcmp(again, in, JOURNAL_RECORD) == 0)
		return KE_OK;
	/* all zero: a length that reached the disk before its bytes did */
	if (is_zero(in, JOURNAL_RECORD) || is_filled(in, again))
		return KE_NOTFOUND;
	return KE_DAMAGED;
}

/* As much as there is, up to n bytes. */
static ssize_t read_at(int fd, uint8_t *p, size_t n, uint64_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = pread(fd, p + got, n - got, (off_t)(at + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

/* The same bytes in the same places: nobody who adds or reads meanwhile sees a difference. */
static int write_again(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END), at = size > AGAIN ? size - AGAIN : 0;
	uint8_t block[AGAIN];
	ssize_t n = size - at;

	if (size < 0 || read_at(fd, block, (size_t)n, (uint64_t)at) != n ||
	    pwrite(fd, block, (size_t)n, at) != n)
		return KE_IO;
	return fdatasync(fd) == 0 ? KE_OK : KE_IO;
}

int journal_open(int fd)
{
	int again = -1, own = -1, saved, r = KE_IO;
	char path[32];

	if (fd < 0)
		return KE_OK;
	errno = EIO; /* for what says no more than that it is too short */
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	own = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	again = open(path, O_RDWR | O_CLOEXEC); /* one that adds writes nowhere but at the end */
	if (own < 0 || again < 0 || write_again(again) != KE_OK)
		goto out;
	if (dup3(own, fd, O_CLOEXEC) == fd)
		r = KE_OK;
out:
	saved = errno;
	if (again >= 0)
		close(again);
	if (own >= 0)
		close(own);
	errno = saved;
	return r;
}

/* The kernel says so once, and may have thrown the pages away. */
static int make_durable(struct journal *j)
{
	if (fdatasync(j->fd) == 0)
		return KE_OK;
	j->broken = true;
	return KE_IO;
}

static void give(const uint8_t *p, journal_take *take, void *arg)
{
	struct journal_record r;
	int e = journal_decode(&r, p);

	if (e != KE_NOTFOUND)
		take(arg, e == KE_OK ? &r : NULL);
}

int journal_read(struct journal *j, journal_take *take, void *arg)
{
	uint64_t known = j->at + j->torn + j->own;
	uint8_t block[BLOCK * JOURNAL_RECORD];
	ssize_t n;

	if (j->fd < 0)
		return KE_OK;
	if (j->broken)
		return KE_IO;
	do {
		size_t i = 0;

		n = read_at(j->fd, block, sizeof block, j->at);
		if (n < 0)
			return KE_IO;
		for (; i + JOURNAL_RECORD <= (size_t)n; i += JOURNAL_RECORD)
			give(block + i, take, arg);
		j->at += i;
		j->torn = (size_t)n - i;
	} while (n == (ssize_t)sizeof block);
	j->own = 0;
	return j->at + j->torn == known ? KE_OK : make_durable(j);
}

static int append(struct journal *j, const uint8_t *p, size_t n)
{
	ssize_t r;

	do
		r = write(j->fd, p, n);
	while (r < 0 && errno == EINTR);
	return r == (ssize_t)n ? KE_OK : KE_IO;
}

int journal_add(struct journal *j, const struct journal_record *r)
{
	uint8_t out[JOURNAL_RECORD];
	int e = KE_OK;

	if (j->fd < 0)
		return KE_OK;
	if (j->broken)
		return KE_IO;
	if (j->torn > 0) { /* a full disk or a power cut has left half of one */
		memset(out, FILLER, sizeof out);
		e = append(j, out, JOURNAL_RECORD - j->torn);
		if (e == KE_OK) {
			j->own += JOURNAL_RECORD;
			j->torn = 0;
		}
	}
	journal_encode(out, r);
	if (e == KE_OK)
		e = append(j, out, sizeof out);
	if (e == KE_OK)
		e = make_durable(j);
	if (e == KE_OK)
		j->own += sizeof out;
	return e;
}
