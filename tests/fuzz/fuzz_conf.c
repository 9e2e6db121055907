/*
 * Fuzzes the parser of klerod.conf: no text may do more than be refused with one line of words.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const char *why, int r)
{
	if (r == KE_OK)
		return;
	if (strncmp(why, "fuzz:", 5) != 0)
		abort();
	for (; *why != '\0'; why++)
		if ((unsigned char)*why < ' ' || (unsigned char)*why > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf conf;
	struct rconf_token token;
	char why[512] = "";
	int r = conf_parse(&conf, "fuzz", (const char *)data, size, why, sizeof why);

	check_words(why, r);
	if (r != KE_OK)
		return 0;
	/* what was accepted is usable as it is */
	if (conf.host[0] == '\0' || conf.store[0] != '/' || conf.nets == 0 || conf.listen_len == 0)
		abort();
	r = conf_token(&conf, &conf.keys, &token, why, sizeof why);
	if (r != KE_OK && r != KE_LONG)
		abort();
	return 0;
}
