/*
 * Limits per user, the delay of password guessing, and the cursors of lists: the small bounded
 * tables of engine, with the time as an argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/delay.h"
#include "daemon/engine/cursor.h"
#include "daemon/engine/userlimit.h"
#include "policy/be.h"

#define NOW 1800000000

static const uint8_t alice[16] = "alice.........a", bob[16] = "bob...........b";
static const uint8_t here[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
static const uint8_t beside[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 200};
static const uint8_t far[16] = {[10] = 0xff, [11] = 0xff, 198, 51, 100, 1};

static void a_window(void **state)
{
	struct userlimit *u = userlimit_new((struct rconf_limit){3, 60}, 64);
	struct userlimit_state s;

	(void)state;
	assert_int_equal(userlimit_hit(u, alice, NOW, &s), KE_OK);
	assert_int_equal(s.limit, 3);
	assert_int_equal(s.window_s, 60);
	assert_int_equal(s.remaining, 2);
	assert_int_equal(s.reset_s, 60);
	assert_int_equal(userlimit_hit(u, alice, NOW + 10, &s), KE_OK);
	assert_int_equal(userlimit_hit(u, alice, NOW + 10, &s), KE_OK);
	assert_int_equal(s.remaining, 0);
	assert_int_equal(userlimit_hit(u, alice, NOW + 59, &s), KE_LIMIT);
	assert_int_equal(s.reset_s, 1);
	assert_int_equal(userlimit_hit(u, bob, NOW + 59, &s), KE_OK);
	assert_int_equal(userlimit_hit(u, alice, NOW + 60, &s), KE_OK);
	assert_int_equal(s.remaining, 2);
	/* a clock set back begins anew and locks nobody out */
	assert_int_equal(userlimit_hit(u, alice, NOW - 1000, &s), KE_OK);
	assert_int_equal(s.remaining, 2);
	userlimit_free(u);
}

static void no_limit(void **state)
{
	struct userlimit *u = userlimit_new((struct rconf_limit){0, 60}, 64);
	struct userlimit_state s;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(userlimit_hit(u, alice, NOW, &s), KE_OK);
	assert_int_equal(s.limit, 0);
	userlimit_free(u);
}

/* More users than places: each is still served, nobody is refused for another. */
static void many_users(void **state)
{
	struct userlimit *u = userlimit_new((struct rconf_limit){1, 60}, 1);
	struct userlimit_state s;
	uint8_t id[16] = {0};

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		be_put32(id + 12, i);
		assert_int_equal(userlimit_hit(u, id, NOW, &s), KE_OK);
	}
	assert_int_equal(userlimit_hit(u, id, NOW, &s), KE_LIMIT);
	userlimit_free(u);
}

static uint32_t attempt(struct delay *d, const char *who, const uint8_t *where, int64_t at)
{
	return delay_attempt(d, who, strlen(who), where, at);
}

static void delays_grow(void **state)
{
	struct delay *d = delay_new(64);
	int64_t now = NOW;
	uint32_t wait = 0;

	(void)state;
	for (int i = 0; i < DELAY_FREE; i++)
		assert_int_equal(attempt(d, "a@b.c", here, now), 0);
	assert_int_equal(attempt(d, "a@b.c", here, now), 1);
	/* the same network counts as one, another does not, nor does another account */
	assert_int_equal(attempt(d, "a@b.c", beside, now), 1);
	assert_int_equal(attempt(d, "a@b.c", far, now), 0);
	assert_int_equal(attempt(d, "x@b.c", here, now), 0);
	for (int i = 0; i < 20; i++) {
		now += wait;
		assert_int_equal(attempt(d, "a@b.c", here, ++now), 0);
		wait = attempt(d, "a@b.c", here, now);
		assert_true(wait >= 1 && wait <= DELAY_MAX_S);
	}
	/* the longest wait, and after it one may try again: never locked for good */
	assert_int_equal(wait, DELAY_MAX_S);
	assert_int_equal(attempt(d, "a@b.c", here, now + DELAY_MAX_S), 0);
	delay_free(d);
}

static void success_forgets(void **state)
{
	struct delay *d = delay_new(64);

	(void)state;
	for (int i = 0; i < DELAY_FREE; i++)
		assert_int_equal(attempt(d, "a@b.c", here, NOW), 0);
	assert_int_not_equal(attempt(d, "a@b.c", here, NOW), 0);
	delay_clear(d, "a@b.c", 5, here);
	assert_int_equal(attempt(d, "a@b.c", here, NOW), 0);
	delay_free(d);
}

static void delays_fade(void **state)
{
	struct delay *d = delay_new(64);

	(void)state;
	for (int i = 0; i < DELAY_FREE; i++)
		assert_int_equal(attempt(d, "a@b.c", here, NOW), 0);
	for (int i = 0; i < DELAY_FREE; i++)
		assert_int_equal(attempt(d, "a@b.c", here, NOW + DELAY_FADE_S + 1), 0);
	/* a clock set back by a day */
	assert_true(attempt(d, "a@b.c", here, NOW - 86400) <= DELAY_MAX_S);
	delay_free(d);
}

static int read_back(const char *scope, const char *text, size_t n)
{
	uint8_t got[CURSOR_POS];
	size_t len = 0;
	int r = cursor_get(scope, (const uint8_t *)text, n, got, &len);

	if (r == KE_OK) {
		assert_int_equal(len, 16);
		assert_memory_equal(got, "position.16.byte", 16);
	}
	return r;
}

static void cursors(void **state)
{
	char text[CURSOR_TEXT];
	size_t n;

	(void)state;
	cursor_put(text, "raffles/open", "position.16.byte", 16);
	n = strlen(text);
	assert_int_equal(read_back("raffles/open", text, n), KE_OK);
	assert_int_equal(read_back("raffles/closed", text, n), KE_FORMAT);
	assert_int_equal(read_back("raffles/ope", text, n), KE_FORMAT);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(read_back("raffles/open", text, i), KE_FORMAT);
	for (size_t i = 0; i < n; i++) {
		char kept = text[i];

		text[i] = kept == 'A' ? 'B' : 'A';
		assert_int_equal(read_back("raffles/open", text, n), KE_FORMAT);
		text[i] = kept;
	}
}

/* Every length up to the longest, which fits exactly what the API takes; one more does not. */
static void long_cursors(void **state)
{
	uint8_t pos[CURSOR_POS] = {1, 2, 3}, got[CURSOR_POS];
	char text[CURSOR_TEXT], longer[CURSOR_TEXT + 8];
	size_t len;

	(void)state;
	for (size_t n = 0; n <= CURSOR_POS; n++) {
		cursor_put(text, "x", pos, n);
		assert_true(text[0] != '\0' && strlen(text) <= CURSOR_MAX);
		assert_int_equal(
		    cursor_get("x", (const uint8_t *)text, strlen(text), got, &len), KE_OK);
		assert_int_equal(len, n);
		assert_memory_equal(got, pos, n);
	}
	snprintf(longer, sizeof longer, "%sAAAA", text);
	assert_int_equal(
	    cursor_get("x", (const uint8_t *)longer, strlen(longer), got, &len), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_window),
	    cmocka_unit_test(no_limit),
	    cmocka_unit_test(many_users),
	    cmocka_unit_test(delays_grow),
	    cmocka_unit_test(success_forgets),
	    cmocka_unit_test(delays_fade),
	    cmocka_unit_test(cursors),
	    cmocka_unit_test(long_cursors),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
