/*
 * What parent tells a role when it starts, both ways: lists of keys and of chains arrive as they
 * were, and more of them than there is room for, or a chain without a time, is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "daemon/loop/backoff.h"
#include "daemon/msg/rconf.h"

static uint8_t buf[262144], other[262144];

static struct rconf_hsm hsm, hsm_got;
static struct rconf_beacon beacon, beacon_got;

static size_t put_hsm(uint8_t *p)
{
	struct wire_out w;

	wire_out_init(&w, p, sizeof buf);
	rconf_put_hsm(&w, &hsm);
	assert_int_equal(w.err, KE_OK);
	return w.len;
}

static size_t put_beacon(uint8_t *p)
{
	struct wire_out w;

	wire_out_init(&w, p, sizeof buf);
	rconf_put_beacon(&w, &beacon);
	assert_int_equal(w.err, KE_OK);
	return w.len;
}

static int get_hsm(size_t n)
{
	struct wire_in r;

	wire_in_init(&r, buf, n);
	return rconf_get_hsm(&r, &hsm_got);
}

static int get_beacon(size_t n)
{
	struct wire_in r;

	wire_in_init(&r, buf, n);
	return rconf_get_beacon(&r, &beacon_got);
}

/* Where the number stands that a list begins with: the first byte in which two messages differ. */
static uint8_t *count_in(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != other[i])
			return &buf[i];
	fail_msg("they are the same");
	return NULL;
}

static void test_keys(void **state)
{
	size_t n;

	(void)state;
	hsm.nkeys = 1;
	put_hsm(other);
	hsm.nkeys = 2;
	memset(hsm.keys[1], 7, sizeof hsm.keys[1]);
	n = put_hsm(buf);
	assert_int_equal(get_hsm(n), KE_OK);
	assert_int_equal(hsm_got.nkeys, 2);
	assert_memory_equal(hsm_got.keys, hsm.keys, 2 * sizeof hsm.keys[0]);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(get_hsm(cut), KE_OK);
	*count_in(n) = RCONF_KEYS + 1;
	assert_int_equal(get_hsm(n), KE_RANGE);
}

static void test_chains(void **state)
{
	size_t n;

	(void)state;
	beacon.nchains = 1;
	beacon.chains[0] = beacon.chains[1] = drand_quicknet;
	put_beacon(other);
	beacon.nchains = 2;
	beacon.chains[1].period_s = 30;
	n = put_beacon(buf);
	assert_int_equal(get_beacon(n), KE_OK);
	assert_int_equal(beacon_got.nchains, 2);
	assert_memory_equal(beacon_got.chains[0].pub, drand_quicknet.pub, BLS_PUB_LEN);
	assert_string_equal(beacon_got.chains[1].id, "quicknet");
	assert_int_equal(beacon_got.chains[1].period_s, 30);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(get_beacon(cut), KE_OK);
	*count_in(n) = RCONF_CHAINS + 1;
	assert_int_equal(get_beacon(n), KE_RANGE);
	beacon.chains[1].period_s = 0;
	assert_int_equal(get_beacon(put_beacon(buf)), KE_RANGE);
	beacon.chains[1].period_s = 30;
	beacon.chains[1].genesis_s = (uint64_t)INT64_MAX + 1;
	assert_int_equal(get_beacon(put_beacon(buf)), KE_RANGE);
}

/* Twice as long after each failure, and not without end. */
static void test_backoff(void **state)
{
	(void)state;
	assert_true(backoff_ms(100, 0, 1000) == 100);
	assert_true(backoff_ms(100, 3, 1000) == 800);
	assert_true(backoff_ms(100, 4, 1000) == 1000);
	assert_true(backoff_ms(100, UINT32_MAX, 1000) == 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_chains),
	    cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests_name("rconf", tests, NULL, NULL);
}
