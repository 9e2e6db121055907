/*
 * hsm's memory (hsm/once): what is told once stays so, in the process, across processes and beside
 * another one; what a power cut or a full disk leaves of a record is no record; what was changed
 * behind our back is said; counts are those of the values that stand, whatever is asked how often.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hsm/once/once.h"
#include "policy/ke.h"

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

/* Nothing is told that could not be written down. */
static void test_full_disk(void **state)
{
	struct rlimit had, small = {2 * JOURNAL_RECORD + 50, RLIM_INFINITY};
	struct once o;
	int fd = fresh();

	(void)state;
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
	    cmocka_unit_test(test_full_disk),
	    cmocka_unit_test(test_not_durable),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
