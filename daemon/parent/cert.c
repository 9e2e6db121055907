/*
 * The certificate file: see cert.h. Root has no capability to write where it could not as an owner,
 * so that file and folder must be those of the user who starts klerod.
 */
#include "daemon/parent/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf/durable.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/wire.h"
#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"

#define CERT_MAX (sizeof((struct rconf_net *)0)->cert_pem) /* with its NUL */

struct names {
	char made[RCONF_PATH + 8], old[RCONF_PATH + 8];
};

static void name(struct names *n, const char *path)
{
	snprintf(n->made, sizeof n->made, "%s.new", path);
	snprintf(n->old, sizeof n->old, "%s.old", path);
}

static int failed(const char *path, char *why, size_t whylen)
{
	snprintf(why, whylen, "%s cannot be written: %s", path, strerror(errno));
	return KE_IO;
}

/* What a killed one has left behind is in the way. */
static int create(const struct names *n, char *why, size_t whylen)
{
	int fd;

	(void)unlink(n->made);
	fd = open(n->made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		(void)failed(n->made, why, whylen);
	return fd;
}

/* Under its name stands the whole of the text or what stood there before. */
static int put(const struct names *n, const char *path, const char *text, char *why, size_t whylen)
{
	int fd = create(n, why, whylen);
	bool ok;

	if (fd < 0)
		return KE_IO;
	ok = durable_write(fd, text, strlen(text)) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
	close(fd);
	if (ok && rename(n->made, path) == 0 && durable_name(path))
		return KE_OK;
	(void)failed(path, why, whylen);
	(void)unlink(n->made);
	return KE_IO;
}

int cert_check(const struct conf *c, char *why, size_t whylen)
{
	struct names n;
	int fd;

	name(&n, c->tls_certificate);
	fd = create(&n, why, whylen);
	if (fd < 0)
		return KE_IO;
	close(fd);
	return unlink(n.made) == 0 ? KE_OK : failed(n.made, why, whylen);
}

static int read_file(const struct conf *c, char pem[CERT_MAX], char *why, size_t whylen)
{
	size_t n = 0;
	int r = conf_file(c->tls_certificate, false, pem, CERT_MAX - 1, &n, why, whylen);

	pem[n] = '\0';
	return r;
}

int cert_replace(const struct conf *c, const char *pem, char *why, size_t whylen)
{
	char former[CERT_MAX];
	struct names n;
	int r;

	name(&n, c->tls_certificate);
	r = read_file(c, former, why, whylen);
	if (r == KE_OK)
		r = put(&n, n.old, former, why, whylen);
	return r == KE_OK ? put(&n, c->tls_certificate, pem, why, whylen) : r;
}

void cert_tell(struct parent *p)
{
	char pem[CERT_MAX], why[512];
	uint8_t body[CERT_MAX + 2];
	struct wire_out w;

	if (read_file(&p->conf, pem, why, sizeof why) != KE_OK) {
		logs_say(p, LOGL_ERROR, "the former certificate stays in use: %s", why);
		return;
	}
	wire_out_init(&w, body, sizeof body);
	wire_put_cstr(&w, pem);
	/* one that starts just now may have read the file before it was changed */
	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (c->role == ROLE_NET && (c->state == CHILD_STARTING || c->state == CHILD_READY))
			child_tell(p, c, MSG_NET_CERT, body, w.len, -1);
	}
}
