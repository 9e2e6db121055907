/*
 * hsm's memory (hsm/once): what is told once stays so, in the process, across processes and beside
 * another one; what a power cut or a full disk leaves of a record is no record; what was changed
 * behind our back is said; counts are those of the values that stand, whatever is asked how often;
 * what a failed fdatasync has left in memory only is not believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hsm/once/once.h"
#include "policy/ke.h"
#include "tests/unit/under_memcheck.h"

static const uint8_t appliance[16] = "appliance-id-16b", other[16] = "another-one-here";
static uint8_t a[32] = {1}, b[32] = {2};

/* A journal that is there as long as the descriptor is. */
static int fresh(void)
{
	int fd = memfd_create("journal", MFD_CLOEXEC);

	assert_true(fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0);
	return fd;
}

static void start(struct once *o, int fd)
{
	assert_int_equal(once_init(o, fd, appliance), KE_OK);
}

static void end(struct once *o)
{
	free(o->slots);
	free(o->facts);
	free(o->logs);
}

static const uint8_t *id(uint32_t i)
{
	static uint8_t out[16];

	memcpy(out, &i, sizeof i);
	return out;
}

static int tell(struct once *o, uint32_t i, const uint8_t value[32])
{
	return once_tell(o, ONCE_DRAW, id(i), 16, value);
}

static int ask(struct once *o, uint32_t i, const uint8_t value[32])
{
	return once_ask(o, ONCE_DRAW, id(i), 16, value);
}

static void test_facts(void **state)
{
	struct once o;

	(void)state;
	start(&o, -1);
	assert_int_equal(ask(&o, 0, a), KE_NOTFOUND);
	assert_int_equal(tell(&o, 0, a), KE_OK);
	assert_int_equal(tell(&o, 0, a), KE_OK);
	assert_int_equal(tell(&o, 0, b), KE_DENIED);
	assert_int_equal(ask(&o, 0, a), KE_OK);
	assert_int_equal(ask(&o, 0, b), KE_DENIED);
	assert_int_equal(once_ask(&o, ONCE_NOTE, id(0), 16, b), KE_NOTFOUND);
	for (uint32_t i = 1; i < ONCE_MAX; i++)
		assert_int_equal(tell(&o, i, b), KE_OK);
	/* full: nothing new, nothing forgotten */
	assert_int_equal(tell(&o, ONCE_MAX, b), KE_FULL);
	assert_int_equal(once_stand(&o, KEY_SEED, id(1), 16, 1), KE_FULL);
	assert_int_equal(tell(&o, 0, b), KE_DENIED);
	assert_int_equal(tell(&o, ONCE_MAX - 1, b), KE_OK);
	end(&o);
}

static void test_successors(void **state)
{
	struct once blue, green;
	int fd = fresh();

	(void)state;
	start(&blue, fd);
	assert_int_equal(tell(&blue, 1, a), KE_OK);
	start(&green, fd);
	assert_int_equal(tell(&green, 1, b), KE_DENIED);
	/* both serve for a while: what the one tells binds the other */
	assert_int_equal(tell(&blue, 2, a), KE_OK);
	assert_int_equal(ask(&green, 2, b), KE_DENIED);
	assert_int_equal(tell(&green, 3, b), KE_OK);
	assert_int_equal(tell(&blue, 3, a), KE_DENIED);
	end(&blue);
	end(&green);
	/* and whoever comes later */
	start(&green, fd);
	assert_int_equal(tell(&green, 1, b), KE_DENIED);
	assert_int_equal(tell(&green, 2, a), KE_OK);
	assert_int_equal(green.n, 3);
	end(&green);
	close(fd);
}

/* Two who told different things between each other's looks: the journal's order decides. */
static void test_first_one_counts(void **state)
{
	struct journal_record r = {.kind = ONCE_DRAW};
	struct once o, probe;
	int fd = fresh();

	(void)state;
	start(&o, fd);
	assert_int_equal(tell(&o, 7, a), KE_OK);
	memcpy(r.name, o.facts[0].name, 32);
	memcpy(r.value, b, 32);
	assert_int_equal(journal_add(&o.journal, &r), KE_OK);
	start(&probe, fd);
	assert_int_equal(ask(&probe, 7, a), KE_OK);
	assert_int_equal(ask(&probe, 7, b), KE_DENIED);
	end(&o);
	end(&probe);
	close(fd);
}

static uint32_t live(struct once *o, enum key_purpose p, uint32_t version)
{
	uint32_t n;

	assert_int_equal(once_count(o, p, version, &n), KE_OK);
	return n;
}

static void test_counts(void **state)
{
	struct once o, later;
	uint32_t n;
	int fd = fresh();

	(void)state;
	start(&o, fd);
	assert_int_equal(once_count(&o, KEY_SEED, 1, &n), KE_NOTFOUND);
	assert_int_equal(once_stand(&o, KEY_SEED, id(9), 16, 1), KE_OK);
	/* something stands there, but nobody knows what stood there before */
	assert_int_equal(once_count(&o, KEY_SEED, 1, &n), KE_NOTFOUND);
	assert_int_equal(once_begin(&o, KEY_SEED, 2), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(once_stand(&o, KEY_SEED, id(i), 16, 2), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 10);
	/* however often, it is one value */
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(once_stand(&o, KEY_SEED, id(0), 16, i % 2 == 0 ? 3 : 2), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 10);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(once_stand(&o, KEY_SEED, id(0), 16, 3), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 9);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(once_stand(&o, KEY_SEED, id(i), 16, 0), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 0);
	/* one purpose's values are not another's */
	assert_int_equal(once_begin(&o, KEY_MASTER, 2), KE_OK);
	assert_int_equal(once_stand(&o, KEY_MASTER, id(1), 16, 2), KE_OK);
	assert_int_equal(live(&o, KEY_SEED, 2), 0);
	assert_int_equal(live(&o, KEY_MASTER, 2), 1);
	start(&later, fd);
	assert_int_equal(live(&later, KEY_SEED, 2), 0);
	assert_int_equal(live(&later, KEY_MASTER, 2), 1);
	end(&later);
	/* another appliance's journal counts nothing of ours */
	assert_int_equal(once_init(&later, fd, other), KE_OK);
	assert_int_equal(once_count(&later, KEY_MASTER, 2, &n), KE_NOTFOUND);
	end(&later);
	end(&o);
	close(fd);
}

/* Whatever length a power cut leaves: the whole records count, the rest is as if it never was. */
static void test_torn(void **state)
{
	static struct once o;
	uint8_t whole[4 * JOURNAL_RECORD];
	int fd = fresh();

	(void)state;
	start(&o, fd);
	assert_int_equal(once_begin(&o, KEY_SEED, 1), KE_OK);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(tell(&o, i, a), KE_OK);
	end(&o);
	assert_int_equal(pread(fd, whole, sizeof whole, 0), sizeof whole);
	for (size_t n = 0; n <= sizeof whole; n++) {
		size_t kept = n / JOURNAL_RECORD;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(write(fd, whole, n), n);
		start(&o, fd);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(ask(&o, i, a), i + 1 < kept ? KE_OK : KE_NOTFOUND);
		/* what is told now is there for whoever comes next, and nothing is damaged */
		assert_int_equal(tell(&o, 100, b), KE_OK);
		end(&o);
		start(&o, fd);
		assert_int_equal(ask(&o, 100, b), KE_OK);
		assert_int_equal(o.damaged, 0);
		assert_int_equal(o.n, (kept > 1 ? kept - 1 : 0) + 1);
		end(&o);
	}
	close(fd);
}

static void test_zeros(void **state)
{
	uint8_t zeros[JOURNAL_RECORD] = {0};
	struct once o;
	uint32_t n;
	int fd = fresh();

	(void)state;
	/* a length that was on the disk before its bytes */
	assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
	start(&o, fd);
	assert_int_equal(once_begin(&o, KEY_SEED, 1), KE_OK);
	assert_int_equal(once_count(&o, KEY_SEED, 1, &n), KE_OK);
	end(&o);
	close(fd);
}

/* Any bit that was changed is seen: the record does not count, and no count is whole any more. */
static void test_damage(void **state)
{
	uint8_t whole[2 * JOURNAL_RECORD];
	static struct once o;
	uint32_t n;
	int fd = fresh();

	(void)state;
	start(&o, fd);
	assert_int_equal(once_begin(&o, KEY_SEED, 1), KE_OK);
	assert_int_equal(once_stand(&o, KEY_SEED, id(1), 16, 1), KE_OK);
	end(&o);
	assert_int_equal(pread(fd, whole, sizeof whole, 0), sizeof whole);
	for (size_t i = 0; i < sizeof whole; i += 5) {
		whole[i] ^= 4;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(write(fd, whole, sizeof whole), sizeof whole);
		whole[i] ^= 4;
		start(&o, fd);
		assert_int_equal(o.damaged, 1);
		assert_int_equal(once_count(&o, KEY_SEED, 1, &n), KE_DAMAGED);
		end(&o);
	}
	close(fd);
}

/*
 * One record of 256 ends as what was torn and filled up does: its damage is damage all the same.
 * What was torn anywhere and filled up is none.
 */
static void test_filler(void **state)
{
	struct journal_record r = {.kind = 1, .version = 1, .purpose = "seed"}, out;
	uint8_t raw[JOURNAL_RECORD], filled[JOURNAL_RECORD];

	(void)state;
	do {
		r.version++;
		journal_encode(raw, &r);
	} while (raw[JOURNAL_RECORD - 1] != 0xff);
	for (size_t bit = 0; bit < 8 * (JOURNAL_RECORD - 1); bit++) {
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(journal_decode(&out, raw), KE_DAMAGED);
		raw[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t torn = 1; torn < JOURNAL_RECORD - 1; torn++) {
		memset(filled, 0xff, sizeof filled);
		memcpy(filled, raw, torn);
		assert_int_equal(journal_decode(&out, filled), KE_NOTFOUND);
		memset(filled, 0, torn); /* its length was on the disk before its bytes */
		assert_int_equal(journal_decode(&out, filled), KE_NOTFOUND);
	}
	assert_int_equal(journal_decode(&out, raw), KE_OK);
}

/* Nothing is told that could not be written down. */
static void test_full_disk(void **state)
{
	struct rlimit had, small = {2 * JOURNAL_RECORD + 50, RLIM_INFINITY};
	struct once o;
	int fd = fresh();

	(void)state;
	if (under_memcheck()) {
		close(fd);
		skip();
	}
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &had), 0);
	small.rlim_max = had.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	start(&o, fd);
	assert_int_equal(tell(&o, 1, a), KE_OK);
	assert_int_equal(tell(&o, 2, a), KE_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(tell(&o, 3, a), KE_IO); /* half of it is there */
	assert_int_equal(tell(&o, 4, a), KE_IO);
	assert_int_equal(ask(&o, 3, a), KE_NOTFOUND);
	assert_int_equal(tell(&o, 1, b), KE_DENIED);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &had), 0);
	assert_int_equal(tell(&o, 3, b), KE_OK);
	end(&o);
	start(&o, fd);
	assert_int_equal(ask(&o, 3, b), KE_OK);
	assert_int_equal(o.damaged, 0);
	end(&o);
	close(fd);
}

/* No journal to write to: a descriptor that cannot be made durable, or not even read. */
static void test_not_durable(void **state)
{
	struct once o;
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(once_init(&o, fd[1], appliance), KE_IO);
	end(&o);
	start(&o, -1);
	o.journal.fd = open("/dev/full", O_RDWR | O_CLOEXEC); /* reads as zeros without end */
	assert_true(o.journal.fd >= 0);
	assert_int_equal(journal_add(&o.journal, &(struct journal_record){.kind = 1}), KE_IO);
	close(o.journal.fd);
	o.journal.fd = fd[1];
	assert_int_equal(journal_add(&o.journal, &(struct journal_record){.kind = 1}), KE_IO);
	assert_true(o.journal.broken); /* written, and not to be made durable */
	assert_int_equal(journal_add(&o.journal, &(struct journal_record){.kind = 1}), KE_IO);
	end(&o);
	close(fd[0]);
	close(fd[1]);
}

/* --- a disk that fails as Linux does --- */

/*
 * The journal's file is the page cache, disk is what a power cut leaves of it. A page that could
 * not be written is clean from then on; who has the file open hears of it once, who opens it later
 * never.
 */
#define PAGE       4096
#define PAGES      160
#define DISK_FDS   64
#define DISK_FACTS 4000

static struct {
	bool on, bad;
	uint8_t bytes[PAGES * PAGE];
	off_t size;
	bool dirty[PAGES];
	unsigned failures, heard[DISK_FDS];
	unsigned lost; /* pages, ever */
} disk;

static void written(int fd, off_t at, ssize_t n)
{
	struct stat st;

	if (!disk.on || n <= 0 || fstat(fd, &st) != 0)
		return;
	assert_true(st.st_size <= PAGES * PAGE);
	if (at < 0)
		at = st.st_size - n;
	for (off_t page = at / PAGE; page <= (at + n - 1) / PAGE; page++)
		disk.dirty[page] = true;
}

ssize_t write(int fd, const void *p, size_t n)
{
	ssize_t r = syscall(SYS_write, fd, p, n);

	written(fd, -1, r);
	return r;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t r = syscall(SYS_pwrite64, fd, p, n, at);

	written(fd, at, r);
	return r;
}

int fdatasync(int fd)
{
	struct stat st;

	if (!disk.on)
		return (int)syscall(SYS_fdatasync, fd);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t page = 0; page < PAGES; page++) {
		if (!disk.dirty[page])
			continue;
		disk.dirty[page] = false;
		disk.failures += disk.bad;
		disk.lost += disk.bad;
		if (disk.bad)
			continue;
		assert_true(pread(fd, disk.bytes + page * PAGE, PAGE, page * PAGE) > 0);
		disk.size = st.st_size;
	}
	assert_in_range(fd, 0, DISK_FDS - 1);
	if (disk.heard[fd] == disk.failures)
		return 0;
	disk.heard[fd] = disk.failures;
	errno = EIO;
	return -1;
}

int open(const char *path, int flags, ...)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);

	if (fd >= 0 && fd < DISK_FDS)
		disk.heard[fd] = disk.failures;
	return fd;
}

int dup3(int from, int to, int flags)
{
	disk.heard[to] = disk.heard[from];
	return (int)syscall(SYS_dup3, from, to, flags);
}

/* A process starts, as often as it must. */
static void begin(struct once *o, int fd)
{
	if (o->journal.fd >= 0)
		close(o->journal.fd);
	for (;; disk.bad = false) {
		o->journal.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (journal_open(o->journal.fd) == KE_OK && once_load(o, o->journal.fd) == KE_OK)
			return;
		assert_true(disk.bad);
		close(o->journal.fd);
	}
}

static void cut_power(int fd)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(syscall(SYS_pwrite64, fd, disk.bytes, disk.size, 0), disk.size);
	memset(disk.dirty, 0, sizeof disk.dirty);
}

static uint8_t known[DISK_FACTS]; /* 0: nobody was told, 1: it is a, 2: it is b */

static int heard(uint32_t i, const uint8_t *value, int r)
{
	uint8_t is = (r == KE_OK) == (value == a) ? 1 : 2;

	if (r == KE_NOTFOUND)
		assert_int_equal(known[i], 0);
	if (r != KE_OK && r != KE_DENIED)
		return r;
	assert_true(known[i] == 0 || known[i] == is);
	known[i] = is;
	return r;
}

static void turn(struct once *o, struct once *beside, int fd)
{
	uint32_t i = (uint32_t)(random() % DISK_FACTS);
	const uint8_t *value = random() % 2 == 0 ? a : b;

	disk.bad = random() % 10 == 0;
	if (heard(i, value, tell(o, i, value)) != KE_IO)
		return;
	assert_true(o->journal.broken);
	assert_int_equal(ask(o, i, value), KE_IO);
	/* the other one can read what was written */
	disk.bad = random() % 2 == 0;
	if (heard(i, value, ask(beside, i, value)) == KE_IO)
		begin(beside, fd);
	if (random() % 2 == 0)
		return; /* parent takes its time */
	begin(o, fd);
	disk.bad = random() % 2 == 0;
	if (heard(i, value, tell(o, i, value)) == KE_IO)
		begin(o, fd);
}

/* What was answered, by whichever of two, holds after every power cut. */
static void test_failed_sync(void **state)
{
	struct once two[2];
	int fd = fresh();

	(void)state;
	start(&two[0], -1);
	start(&two[1], -1);
	disk.on = true;
	for (size_t i = 0; i < 2; i++)
		begin(&two[i], fd);
	srandom(1);
	for (unsigned n = 0; n < 3000; n++) {
		size_t k = (size_t)random() % 2;

		turn(&two[k], &two[1 - k], fd);
		if (random() % 20 != 0)
			continue;
		cut_power(fd);
		for (k = 0; k < 2; k++)
			begin(&two[k], fd);
		for (uint32_t i = 0; i < DISK_FACTS; i++)
			if (known[i] != 0)
				assert_int_equal(ask(&two[0], i, known[i] == 1 ? a : b), KE_OK);
		assert_int_equal(two[0].damaged, 0);
	}
	assert_true(disk.lost > 100);
	disk.on = false;
	for (size_t i = 0; i < 2; i++) {
		close(two[i].journal.fd);
		end(&two[i]);
	}
	close(fd);
}

/* Its own, under the same number: it adds only, and its bytes are what they were. */
static void test_opened_anew(void **state)
{
	uint8_t before[1000 * JOURNAL_RECORD + 7], after[sizeof before + 1];
	int fd = fresh(), pipes[2];

	(void)state;
	assert_int_equal(journal_open(-1), KE_OK);
	for (size_t n = 0; n <= sizeof before; n += n < 300 ? 7 : 12345) {
		randombytes_buf(before, sizeof before);
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(write(fd, before, n), n);
		assert_int_equal(journal_open(fd), KE_OK);
		assert_int_equal(pread(fd, after, sizeof after, 0), n);
		assert_memory_equal(after, before, n);
		assert_true((fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_RDWR));
		assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	}
	close(fd);
	/* what cannot be made durable is no journal */
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(journal_open(pipes[0]), KE_IO);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_facts),
	    cmocka_unit_test(test_successors),
	    cmocka_unit_test(test_first_one_counts),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_zeros),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_filler),
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_not_durable),
	    cmocka_unit_test(test_failed_sync),
	    cmocka_unit_test(test_opened_anew),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
