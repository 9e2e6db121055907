/*
 * Lines that leave the house: what is taken out of them, and what stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/redact.h"

static const struct {
	const char *line, *left;
} rows[] = {
    {"", ""},
    {"2026-11-21T09:00:00.123Z parent[4711] info ready https://127.0.0.1:8443",
	"2026-11-21T09:00:00.123Z parent[4711] info ready https://<address>"},
    {"listen [::1]:443", "listen [<address>]:443"},
    {"listen 2001:db8::2", "listen <address>"},
    {"mail to alice@example.org, bob@x.", "mail to <email>, <email>"},
    {"<o'hara+tag@example.org>", "<<email>>"},
    {"raffle 01890000-0000-7000-8000-000000000000.json", "raffle <id>"},
    {"user_01890000-0000-7000-8000-000000000000", "<id>"},
    {"call +491701234567", "call <number>"},
    {"amount 12345678", "amount 12345678"},
    {"token eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.AAAA1", "token <secret>"},
    {"key 0f1e2d3c4b5a69788796a5b4c3d2e1f0", "key <secret>"},
    {"/usr/libexec/kleroterion/klerod-engine", "/usr/libexec/kleroterion/klerod-engine"},
    {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/softhsm/libsofthsm2.so"},
    {"a@", "a@"},
    {"caf\xc3\xa9\x1b[31m", "caf???[31m"},
};

static void what_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n = strlen(rows[i].line);
		char out[REDACT_GROWS * 256 + 1];

		assert_int_equal(redact_line(out, rows[i].line, n), strlen(rows[i].left));
		assert_string_equal(out, rows[i].left);
	}
}

/* A second time changes nothing: no mark looks like what it stands for. */
static void once_is_enough(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n = strlen(rows[i].left);
		char out[REDACT_GROWS * 256 + 1];

		redact_line(out, rows[i].left, n);
		if (strchr(rows[i].left, '?') == NULL)
			assert_string_equal(out, rows[i].left);
	}
}

/* The bound that the caller's buffer is made by. */
static void it_fits(void **state)
{
	char line[300], out[REDACT_GROWS * sizeof line + 1];

	(void)state;
	for (size_t n = 0; n < sizeof line; n++) {
		for (size_t i = 0; i < n; i++)
			line[i] = "a@b ::1 "[i % 8];
		assert_true(redact_line(out, line, n) <= REDACT_GROWS * n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_left),
	    cmocka_unit_test(once_is_enough),
	    cmocka_unit_test(it_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
