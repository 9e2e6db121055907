/*
 * openapi.json (OpenAPI 3.1) from the route table and the list of problems. Runs in net, once at
 * its start; pure.
 */
#ifndef DAEMON_API_OPENAPI_H
#define DAEMON_API_OPENAPI_H

#include <stddef.h>

#include "policy/ke.h"

/* Writes the document; *n is its length. KE_FULL when cap is too small. */
int openapi_write(char *buf, size_t cap, const char *host, size_t *n) KE_CHECK;

#endif
