/*
 * URLs of the configuration: see target.h. Runs in out.
 */
#include "daemon/out/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HTTPS_PORT 443

int target_set(struct target *t, const char *url)
{
	static const char scheme[] = "https://";
	size_t n = sizeof scheme - 1, host;
	const char *colon;
	long port = HTTPS_PORT;

	memset(t, 0, sizeof *t);
	if (strncmp(url, scheme, n) != 0 || strlen(url) >= sizeof t->url)
		return KE_FORMAT;
	memcpy(t->url, url, strlen(url) + 1);
	host = strcspn(url + n, ":/");
	if (host == 0)
		return KE_FORMAT;
	memcpy(t->host, url + n, host);
	colon = url + n + host;
	if (*colon == ':')
		port = strtol(colon + 1, NULL, 10);
	if (port < 1 || port > UINT16_MAX)
		return KE_FORMAT;
	t->port = (uint16_t)port;
	return KE_OK;
}
