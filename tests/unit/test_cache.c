/*
 * The cache of public answers and the answers on their way to it: bounds, tags, staleness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/cache.h"
#include "daemon/net/fetch.h"

static struct cache *c;

static int setup(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	c = cache_new();
	return c != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	cache_free(c);
	return 0;
}

static void put(const char *target, const char *body, uint32_t tag)
{
	struct api_ans a = {
	    .status = 200,
	    .type = API_JSON,
	    .version = 3,
	    .limit = 10,
	    .body = (const uint8_t *)body,
	    .body_len = strlen(body),
	};

	cache_put(c, (const uint8_t *)target, strlen(target), RT_raffles, tag, &a);
}

static const struct cache_entry *get(const char *target)
{
	return cache_get(c, (const uint8_t *)target, strlen(target));
}

static void is(const char *target, const char *body)
{
	const struct cache_entry *e = get(target);

	assert_non_null(e);
	assert_int_equal(e->ans.body_len, strlen(body));
	assert_memory_equal(e->ans.body, body, e->ans.body_len);
}

static void test_keeps(void **state)
{
	(void)state;
	assert_null(get("/a"));
	put("/a", "one", CACHE_RAFFLES);
	put("/a?x", "two", CACHE_RAFFLES);
	is("/a", "one");
	is("/a?x", "two");
	assert_null(get("/"));
	assert_null(get("/a?"));
	assert_null(get("/A"));
	assert_int_equal(get("/a")->ans.status, 200);
	assert_int_equal(get("/a")->ans.version, 3);
	assert_int_equal(get("/a")->ans.limit, 0); /* a user's, so not for everybody */
	put("/a", "three", CACHE_RAFFLES);
	is("/a", "three");
}

static void test_drops_by_tag(void **state)
{
	(void)state;
	put("/a", "1", CACHE_RAFFLES);
	put("/b", "2", CACHE_KEYS);
	cache_drop(c, CACHE_RAFFLES);
	assert_null(get("/a"));
	is("/b", "2");
	cache_drop(c, UINT32_MAX);
	assert_null(get("/b"));
	assert_int_equal(cache_bytes(c), 0);
	put("/c", "3", CACHE_NO);
	assert_null(get("/c"));
}

static void test_bounded_number(void **state)
{
	char target[32];

	(void)state;
	put("/hot", "h", CACHE_RAFFLES);
	for (int i = 0; i < 2 * CACHE_ENTRIES; i++) {
		snprintf(target, sizeof target, "/%d", i);
		put(target, target, CACHE_RAFFLES);
		is("/hot", "h"); /* what is asked for stays */
	}
	assert_null(get("/0"));
	is(target, target);
}

static void test_bounded_bytes(void **state)
{
	char *body = malloc(CACHE_BODY_MAX + 2), target[32];

	(void)state;
	assert_non_null(body);
	memset(body, 'x', CACHE_BODY_MAX + 1);
	body[CACHE_BODY_MAX + 1] = '\0';
	put("/large", body, CACHE_RAFFLES);
	assert_null(get("/large"));
	body[CACHE_BODY_MAX] = '\0';
	for (int i = 0; i < 200; i++) {
		snprintf(target, sizeof target, "/%d", i);
		put(target, body, CACHE_RAFFLES);
		assert_true(cache_bytes(c) <= CACHE_BYTES);
		is(target, body);
	}
	assert_true(cache_bytes(c) > CACHE_BYTES / 2);
	free(body);
}

static void test_long_keys(void **state)
{
	char target[CACHE_KEY_MAX + 2];

	(void)state;
	memset(target, 'k', sizeof target);
	target[CACHE_KEY_MAX] = '\0';
	put(target, "fits", CACHE_RAFFLES);
	is(target, "fits");
	target[CACHE_KEY_MAX] = 'k';
	target[CACHE_KEY_MAX + 1] = '\0';
	put(target, "does not", CACHE_RAFFLES);
	assert_null(get(target));
}

static struct fetches fs;

static struct fetch *begin(const char *target, uint32_t tag, int64_t now)
{
	uint64_t h = cache_hash(c, (const uint8_t *)target, strlen(target));

	return fetch_begin(&fs, h, (const uint8_t *)target, strlen(target), RT_raffles, tag, now);
}

static struct fetch *find(const char *target, int64_t now)
{
	uint64_t h = cache_hash(c, (const uint8_t *)target, strlen(target));

	return fetch_find(&fs, h, (const uint8_t *)target, strlen(target), now, 1000);
}

static void test_fetches(void **state)
{
	struct fetch *a, *b;

	(void)state;
	fetches_init(&fs);
	assert_null(find("/a", 0));
	a = begin("/a", CACHE_RAFFLES, 0);
	b = begin("/b", CACHE_KEYS, 0);
	assert_ptr_equal(find("/a", 999), a);
	assert_ptr_equal(find("/b", 0), b);
	assert_null(find("/a", 1000)); /* too old: something is wrong with it */
	assert_ptr_equal(fetch_by_id(&fs, a->id), a);
	assert_null(fetch_by_id(&fs, a->id + (1 << 8)));
	assert_true((a->id & FETCH_ID) != 0);
	fetch_drop(&fs, CACHE_RAFFLES);
	assert_true(a->stale && !b->stale);
	assert_null(find("/a", 0)); /* nobody joins what may be out of date */
	assert_ptr_equal(find("/b", 0), b);
	fetch_end(b);
	assert_null(find("/b", 0));
	assert_null(fetch_by_id(&fs, b->id));
}

static void test_fetches_bounded(void **state)
{
	char target[16];
	uint64_t id = 0;

	(void)state;
	fetches_init(&fs);
	for (int i = 0; i < FETCHES; i++) {
		struct fetch *f;

		snprintf(target, sizeof target, "/%d", i);
		f = begin(target, CACHE_RAFFLES, 0);
		assert_non_null(f);
		id = f->id;
	}
	assert_null(begin("/more", CACHE_RAFFLES, 0));
	fetch_end(fetch_by_id(&fs, id));
	assert_non_null(begin("/more", CACHE_RAFFLES, 0));
	assert_null(fetch_by_id(&fs, id)); /* a late answer to the former one finds nobody */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_keeps),
	    TEST(test_drops_by_tag),
	    TEST(test_bounded_number),
	    TEST(test_bounded_bytes),
	    TEST(test_long_keys),
	    TEST(test_fetches),
	    TEST(test_fetches_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
