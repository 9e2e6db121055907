/*
 * JSON for people: lines, tables, blocks, and what a stranger's name may not do to a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/kleroctl_show.h"

/* What is shown of it; the caller's to free. */
static char *shown(const char *json, int want)
{
	char *text = NULL;
	size_t n = 0;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(to);
	assert_int_equal(show_json(to, json, strlen(json)), want);
	fclose(to);
	return text;
}

static void shows(const char *json, const char *want)
{
	char *text = shown(json, KE_OK);

	assert_string_equal(text, want);
	free(text);
}

static void test_lines(void **state)
{
	(void)state;
	shows("{\"a\":1,\"long_name\":\"x\",\"t\":true,\"f\":false,\"n\":null}",
	    "a          1\nlong name  x\nt          yes\nf          no\nn          -\n");
	/* plain members first, whatever comes between */
	shows("{\"o\":{\"k\":[1,2]},\"z\":-5}", "z  -5\n\no\n\n  k\n    1\n    2\n");
	shows("{\"none\":[],\"nothing\":{}}", "\nnone  -\n\nnothing  -\n");
	shows("[]", "");
	shows("\"word\"", "word\n");
	shows("[[1,2],[]]", "1, 2\n-\n");
}

static void test_tables(void **state)
{
	(void)state;
	shows("{\"keys\":[{\"p\":\"seed\",\"v\":1},{\"p\":\"m\",\"since\":\"now\",\"v\":22}]}",
	    "\nkeys\n  p     v   since\n  seed  1   -\n  m     22  now\n");
	/* of what is below, its names; each character is one column */
	shows("[{\"n\":\"\xc3\xa4\xc3\xa4\",\"who\":[{\"name\":\"ada\",\"at\":1},{\"name\":\"bob\"}"
	      "],\"e\":[]},"
	      "{\"n\":\"abc\",\"who\":{\"x\":[7]},\"e\":\"-\"}]",
	    "n    who       e\n\xc3\xa4\xc3\xa4   ada, bob  -\nabc  7         -\n");
}

static void test_blocks(void **state)
{
	(void)state;
	shows("[{\"id\":1,\"text\":\"one\\ntwo\\n\"},{\"id\":2}]",
	    "id  1\n\ntext\n  one\n  two\n\nid  2\n");
}

static void test_nothing_but_text(void **state)
{
	static const char *const bad[] = {"\\u001b[2J", "\\u0007", "\\r", "\\u009b31m", "\\u007f"};
	char json[4096], *text;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(json, sizeof json,
		    "{\"%s\":\"%s\",\"l\":\"%s\\n%s\",\"t\":[{\"a\":\"%s\"}]}", bad[i], bad[i],
		    bad[i], bad[i], bad[i]);
		text = shown(json, KE_OK);
		for (const char *c = text; *c != '\0'; c++) {
			assert_true((uint8_t)*c >= 0x20 || *c == '\n');
			assert_true(*c != 0x7f && (uint8_t)*c != 0x9b && (uint8_t)*c != 0xc2);
		}
		free(text);
	}
}

/* What is too long for a line is cut, between characters. */
static void test_cut(void **state)
{
	char json[4096] = "{\"a\":\"", *text;

	(void)state;
	for (int i = 0; i < 400; i++)
		strcat(json, i % 2 == 0 ? "x" : "\xe2\x82\xac");
	strcat(json, "\"}");
	text = shown(json, KE_OK);
	assert_true(strlen(text) < 300);
	assert_non_null(strstr(text, "...\n"));
	assert_true(strstr(text, "x...") != NULL || strstr(text, "\xe2\x82\xac...") != NULL);
	free(text);
}

static void test_refused(void **state)
{
	(void)state;
	free(shown("", KE_FORMAT));
	free(shown("{\"a\":1,\"a\":2}", KE_EXISTS));
	free(shown("{\"a\":", KE_FORMAT));
	free(shown("[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", KE_LIMIT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_tables),
	    cmocka_unit_test(test_blocks),
	    cmocka_unit_test(test_nothing_but_text),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
