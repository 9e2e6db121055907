/*
 * What the tests of klerod.conf share: the shortest one that there is, and what the parser says of
 * it with a line more.
 */
#ifndef TESTS_UNIT_CONF_LINES_H
#define TESTS_UNIT_CONF_LINES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "daemon/conf/conf.h"

/* Eight lines: what is required and no more. */
#define MINIMAL                                                                                    \
	"host raffle.example.org\n"                                                                \
	"listen 127.0.0.1:8443\n"                                                                  \
	"store /var/lib/kleroterion\n"                                                             \
	"run-dir /run/kleroterion\n"                                                               \
	"tls-certificate /etc/kleroterion/tls.pem\n"                                               \
	"pkcs11-module /usr/lib/softhsm/libsofthsm2.so\n"                                          \
	"keys-pin-file /etc/kleroterion/keys.pin\n"                                                \
	"tls-pin-file /etc/kleroterion/tls.pin\n"

static struct conf conf;
static char why[512];

static inline int parse(const char *text)
{
	why[0] = '\0';
	return conf_parse(&conf, "k.conf", text, strlen(text), why, sizeof why);
}

/* MINIMAL and one more line, the ninth. */
static inline int parse_line(const char *line)
{
	char text[16384];

	snprintf(text, sizeof text, "%s%s\n", MINIMAL, line);
	return parse(text);
}

static inline void refuses(const char *line, const char *words)
{
	int r = parse_line(line);

	if (r == KE_OK || strstr(why, words) == NULL)
		fail_msg("\"%s\": %d, \"%s\" instead of \"%s\"", line, r, why, words);
}

#endif
