/*
 * Reading a log's files for klero-verify: see klero_verify_fetch.h. Runs as the auditor's own
 * program; the other end is a stranger, so that sizes and times are bounded and redirections are
 * not followed.
 */
#include "daemon/cli/klero_verify_fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN   4096
#define CONNECT_S  15L
#define IDLE_S     30L /* without so many bytes a second */
#define IDLE_BYTES 1L

struct fetch {
	char where[PATH_LEN];
	CURL *curl; /* NULL: a folder */
	uint8_t *buf;
	size_t cap, len, max;
	bool long_; /* more than max came */
	char why[CURL_ERROR_SIZE];
};

/* Room for n bytes more. */
static int make_room(struct fetch *f, size_t n)
{
	size_t cap = f->cap;
	uint8_t *more;

	while (cap - f->len < n)
		cap *= 2;
	if (cap == f->cap)
		return KE_OK;
	more = realloc(f->buf, cap);
	if (more == NULL)
		return KE_NOMEM;
	f->buf = more;
	f->cap = cap;
	return KE_OK;
}

static size_t take(char *p, size_t one, size_t n, void *arg)
{
	struct fetch *f = arg;

	n *= one;
	f->long_ = n > f->max - f->len;
	if (f->long_ || make_room(f, n) != KE_OK)
		return 0;
	memcpy(f->buf + f->len, p, n);
	f->len += n;
	return n;
}

/* --- making --- */

static bool is_url(const char *where)
{
	return strncmp(where, "https://", 8) == 0 || strncmp(where, "http://", 7) == 0;
}

static bool set_up(struct fetch *f, const char *ca)
{
	CURL *c = curl_easy_init();

	f->curl = c;
	return c != NULL && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, IDLE_S) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, IDLE_BYTES) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->why) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEDATA, f) == CURLE_OK &&
	       (ca == NULL || curl_easy_setopt(c, CURLOPT_CAINFO, ca) == CURLE_OK);
}

struct fetch *fetch_new(const char *where, const char *ca)
{
	struct fetch *f = calloc(1, sizeof(*f));
	size_t n = strlen(where);

	if (f == NULL)
		return NULL;
	f->cap = 65536;
	f->buf = malloc(f->cap);
	while (n > 1 && where[n - 1] == '/')
		n--;
	if (f->buf == NULL || n >= sizeof(f->where) || (is_url(where) && !set_up(f, ca))) {
		fetch_free(f);
		return NULL;
	}
	memcpy(f->where, where, n);
	return f;
}

void fetch_free(struct fetch *f)
{
	if (f == NULL)
		return;
	curl_easy_cleanup(f->curl);
	free(f->buf);
	free(f);
}

const char *fetch_why(const struct fetch *f)
{
	return f->why;
}

/* --- reading --- */

static int get_url(struct fetch *f, const char *url)
{
	long status = 0;
	CURLcode code;

	if (curl_easy_setopt(f->curl, CURLOPT_URL, url) != CURLE_OK)
		return KE_NOMEM;
	code = curl_easy_perform(f->curl);
	if (code != CURLE_OK) {
		if (f->why[0] == '\0')
			snprintf(f->why, sizeof(f->why), "%s", curl_easy_strerror(code));
		return f->long_ ? KE_LONG : KE_IO;
	}
	(void)curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return KE_OK;
	snprintf(f->why, sizeof(f->why), "the server answered %ld", status);
	return status == 404 || status == 410 ? KE_NOTFOUND : KE_IO;
}

static int get_file(struct fetch *f, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = KE_OK;
	ssize_t got = 0;

	if (fd < 0) {
		snprintf(f->why, sizeof(f->why), "%s", strerror(errno));
		return errno == ENOENT || errno == ENOTDIR ? KE_NOTFOUND : KE_IO;
	}
	while (r == KE_OK && f->len <= f->max) {
		r = make_room(f, 4096);
		if (r != KE_OK)
			break;
		got = read(fd, f->buf + f->len, f->cap - f->len);
		if (got <= 0 && errno != EINTR)
			break;
		f->len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0) {
		snprintf(f->why, sizeof(f->why), "%s", strerror(errno));
		r = KE_IO;
	}
	close(fd);
	return r == KE_OK && f->len > f->max ? KE_LONG : r;
}

int fetch_get(struct fetch *f, const char *path, size_t max, const uint8_t **p, size_t *n)
{
	char whole[2 * PATH_LEN];
	int r;

	f->len = 0;
	f->max = max;
	f->long_ = false;
	f->why[0] = '\0';
	errno = 0;
	snprintf(whole, sizeof(whole), "%s/%s", f->where, path);
	r = f->curl != NULL ? get_url(f, whole) : get_file(f, whole);
	*p = f->buf;
	*n = f->len;
	return r;
}
