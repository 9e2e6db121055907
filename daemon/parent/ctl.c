/*
 * The control socket: see ctl.h.
 */
#include "daemon/parent/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/msg/wire.h"
#include "daemon/parent/logs.h"

static int address(const struct parent *p, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(sun->sun_path, sizeof sun->sun_path, "%s/ctl.sock", p->conf.run_dir) >=
	    (int)sizeof sun->sun_path)
		return KE_LONG;
	return KE_OK;
}

/*
 * A socket file that a dead klerod has left behind is taken away; a live one is respected, also
 * when it is too busy to answer (EAGAIN).
 */
static int clear(int fd, const struct sockaddr_un *sun)
{
	if (connect(fd, (const struct sockaddr *)sun, sizeof *sun) == 0 || errno == EAGAIN)
		return KE_EXISTS;
	if (errno == ENOENT)
		return KE_OK;
	return unlink(sun->sun_path) == 0 ? KE_OK : KE_IO;
}

bool ctl_is_served(const struct parent *p)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;
	bool served =
	    fd >= 0 && address(p, &sun) == KE_OK &&
	    (connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0 || errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return served;
}

int ctl_open(struct parent *p, char *why, size_t whylen)
{
	int r = KE_IO, probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;
	mode_t mask;

	p->ctl = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->ctl < 0 || probe < 0) {
		snprintf(why, whylen, "control socket: %s", strerror(errno));
		goto out;
	}
	r = address(p, &sun);
	if (r != KE_OK) {
		snprintf(why, whylen, "run-dir %s: the path is too long", p->conf.run_dir);
		goto out;
	}
	r = clear(probe, &sun);
	if (r == KE_EXISTS) {
		snprintf(why, whylen, "another klerod serves %s: stop it first", sun.sun_path);
		goto out;
	}
	mask = umask(0177);
	if (r == KE_OK &&
	    (bind(p->ctl, (struct sockaddr *)&sun, sizeof sun) != 0 || listen(p->ctl, 8) != 0))
		r = KE_IO;
	umask(mask);
	if (r != KE_OK)
		snprintf(why, whylen, "%s: %s", sun.sun_path, strerror(errno));
out:
	if (probe >= 0)
		close(probe);
	return r;
}

static struct child *engine(struct parent *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == ROLE_ENGINE && p->children[i].state == CHILD_READY)
			return &p->children[i];
	return NULL;
}

static void hand_over(struct parent *p, int fd)
{
	struct child *to = engine(p);
	struct ucred who;
	socklen_t len = sizeof who;
	uint8_t body[4];
	struct wire_out w;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) != 0)
		return;
	if (who.uid != 0 && who.uid != geteuid()) {
		logs_say(p, LOGL_SECURITY, "user %u was refused at the control socket", who.uid);
		return;
	}
	wire_out_init(&w, body, sizeof body);
	wire_put_u32(&w, who.uid);
	if (to == NULL || msg_send(to->ctl, MSG_ENGINE_CLIENT, 0, body, w.len, fd) != KE_OK)
		logs_say(p, LOGL_WARN, "a client of the control socket found no engine");
}

void ctl_accept(struct parent *p)
{
	int fd = accept4(p->ctl, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	hand_over(p, fd);
	close(fd);
}

void ctl_close(struct parent *p)
{
	struct sockaddr_un sun;

	if (address(p, &sun) == KE_OK && unlink(sun.sun_path) != 0)
		logs_say(p, LOGL_WARN, "%s: %s", sun.sun_path, strerror(errno));
}
