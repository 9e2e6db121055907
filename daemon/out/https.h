/*
 * One HTTPS exchange by libcurl, with everything bounded: a URL that out has built, the answer's
 * body in memory, a total deadline, TLS 1.2 or newer under the configured authorities, HTTP/1.1, no
 * redirect, no proxy, no cookie, no connection that is kept. Runs in out; trusts nothing that
 * arrives.
 */
#ifndef DAEMON_OUT_HTTPS_H
#define DAEMON_OUT_HTTPS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/msg/rconf.h"

#define HTTPS_URL_MAX    (RCONF_PATH + 128)
#define HTTPS_BODY_MAX   16384
#define HTTPS_HEAD_MAX   16384
#define HTTPS_TOTAL_MS   10000
#define HTTPS_CONNECT_MS 5000

/* What all exchanges have in common. */
struct https_all {
	CURLM *multi;
	struct curl_blob authorities; /* PEM */
	bool used;                    /* an exchange has begun at least once */
};

struct https_ask {
	char url[HTTPS_URL_MAX];
	size_t most;      /* bytes of body that are taken, HTTPS_BODY_MAX at most */
	const void *post; /* NULL: a GET. Otherwise a POST of these bytes, which stay there */
	size_t post_len;
};

struct https {
	CURL *easy;
	struct curl_slist *to, *headers;
	char error[CURL_ERROR_SIZE];
	size_t most, len, head;
	char body[HTTPS_BODY_MAX];
};

/* Before the sandbox: libcurl's own start, and the file of authorities. Fatal. */
void https_start(struct https_all *all, const char *authorities);

/* Begins; host, port and numeric address are where it goes. KE_NOMEM, KE_INTERNAL. */
int https_begin(struct https_all *all, struct https *f, const struct https_ask *ask,
    const char *host, uint16_t port, const char *address) KE_CHECK;

/*
 * What it came to, by libcurl's result: KE_OK with f->body and f->len; KE_NOTFOUND (404, and 425:
 * not yet); KE_STATE (409) with f->body; KE_DENIED (403, 422); KE_AUTH: the certificate; KE_LONG;
 * KE_TIMEOUT; KE_UNAVAIL: everything else. *status is HTTP's, 0 for none.
 */
int https_result(const struct https *f, CURLcode result, long *status) KE_CHECK;
void https_end(struct https_all *all, struct https *f);

#endif
