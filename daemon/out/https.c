/*
 * HTTPS exchanges: see https.h. Runs in out.
 */
#include "daemon/out/https.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/msg/log.h"

#define AUTHORITIES_MAX (4 << 20)
#define AGENT           "klerod/" KLERO_VERSION

static void read_authorities(struct curl_blob *b, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *pem;

	if (fd < 0 || fstat(fd, &st) != 0)
		fatal("%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > AUTHORITIES_MAX)
		fatal("%s: no file of certificates", path);
	pem = malloc((size_t)st.st_size);
	if (pem == NULL || read(fd, pem, (size_t)st.st_size) != st.st_size)
		fatal("%s cannot be read", path);
	close(fd);
	*b = (struct curl_blob){.data = pem, .len = (size_t)st.st_size, .flags = CURL_BLOB_NOCOPY};
}

/*
 * What libcrypto could not allocate while it begins it goes without for good: a lock, the name of a
 * digest, libssl as a whole. libcurl does not ask, and no exchange would ever succeed.
 */
static bool starved;

static void *watched(void *p, size_t n)
{
	starved = starved || (p == NULL && n != 0);
	return p;
}

static void *watched_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return watched(n != 0 ? malloc(n) : NULL, n); /* as libcrypto does it */
}

static void *watched_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return watched(realloc(p, n), n);
}

static void watched_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

void https_start(struct https_all *all, const char *authorities)
{
	if (CRYPTO_set_mem_functions(watched_malloc, watched_realloc, watched_free) != 1 ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatal("libcurl does not start");
	all->multi = curl_multi_init();
	if (all->multi == NULL || starved)
		fatal("out of memory");
	read_authorities(&all->authorities, authorities);
}

static size_t take_body(char *p, size_t one, size_t n, void *arg)
{
	struct https *f = arg;

	(void)one;
	if (n > f->most - f->len) {
		f->most = 0; /* https_result() knows by that */
		return 0;
	}
	memcpy(f->body + f->len, p, n);
	f->len += n;
	return n;
}

static size_t take_head(char *p, size_t one, size_t n, void *arg)
{
	struct https *f = arg;

	(void)p;
	(void)one;
	f->head += n;
	return f->head <= HTTPS_HEAD_MAX ? n : 0;
}

#define SET(option, value) ok = ok && curl_easy_setopt(c, option, value) == CURLE_OK

/* What holds for every exchange. */
static bool set_common(CURL *c, struct https_all *all)
{
	bool ok = true;

	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_USERAGENT, AGENT);
	SET(CURLOPT_TIMEOUT_MS, (long)HTTPS_TOTAL_MS);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_SSL_SESSIONID_CACHE, 0L);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CAINFO, NULL);
	SET(CURLOPT_CAINFO_BLOB, &all->authorities);
	return ok;
}

/* A POST has no "Expect: 100-continue", which some servers hang on. */
static bool set_post(struct https *f, const struct https_ask *ask)
{
	CURL *c = f->easy;
	bool ok = true;

	if (ask->post == NULL)
		return true;
	f->headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
	f->headers = f->headers != NULL ? curl_slist_append(f->headers, "Expect:") : NULL;
	SET(CURLOPT_HTTPHEADER, f->headers);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDS, ask->post);
	SET(CURLOPT_POSTFIELDSIZE, (long)ask->post_len);
	return ok && f->headers != NULL;
}

static bool set_own(struct https *f, const struct https_ask *ask)
{
	CURL *c = f->easy;
	bool ok = f->to != NULL;

	SET(CURLOPT_URL, ask->url);
	SET(CURLOPT_CONNECT_TO, f->to);
	SET(CURLOPT_ERRORBUFFER, f->error);
	SET(CURLOPT_PRIVATE, f);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, f);
	SET(CURLOPT_HEADERFUNCTION, take_head);
	SET(CURLOPT_HEADERDATA, f);
	SET(CURLOPT_MAXFILESIZE, (long)f->most);
	return ok && set_post(f, ask);
}

int https_begin(struct https_all *all, struct https *f, const struct https_ask *ask,
    const char *host, uint16_t port, const char *address)
{
	bool six = strchr(address, ':') != NULL;
	char to[2 * RCONF_PATH];

	memset(f, 0, sizeof *f);
	f->most = ask->most < sizeof f->body ? ask->most : sizeof f->body;
	f->easy = curl_easy_init();
	if (f->easy == NULL)
		return KE_NOMEM;
	/* the certificate is that of the name; the address is where it is looked for */
	snprintf(to, sizeof to, "%s:%u:%s%s%s:%u", host, port, six ? "[" : "", address,
	    six ? "]" : "", port);
	f->to = curl_slist_append(NULL, to);
	if (set_common(f->easy, all) && set_own(f, ask) &&
	    curl_multi_add_handle(all->multi, f->easy) == CURLM_OK) {
		all->used = true;
		return KE_OK;
	}
	https_end(all, f);
	return KE_INTERNAL;
}

int https_result(const struct https *f, CURLcode result, long *status)
{
	*status = 0;
	if (f->most == 0 || result == CURLE_FILESIZE_EXCEEDED)
		return KE_LONG;
	if (result == CURLE_PEER_FAILED_VERIFICATION)
		return KE_AUTH;
	if (result == CURLE_OPERATION_TIMEDOUT)
		return KE_TIMEOUT;
	if (result != CURLE_OK ||
	    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, status) != CURLE_OK)
		return KE_UNAVAIL;
	if (*status == 404 || *status == 425)
		return KE_NOTFOUND;
	if (*status == 409)
		return KE_STATE;
	if (*status == 403 || *status == 422)
		return KE_DENIED;
	return *status == 200 ? KE_OK : KE_UNAVAIL;
}

void https_end(struct https_all *all, struct https *f)
{
	if (f->easy != NULL) {
		(void)curl_multi_remove_handle(all->multi, f->easy);
		curl_easy_cleanup(f->easy);
	}
	curl_slist_free_all(f->to);
	curl_slist_free_all(f->headers);
	f->easy = NULL;
	f->to = f->headers = NULL;
}
