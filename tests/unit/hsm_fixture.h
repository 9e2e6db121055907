/*
 * A throw-away SoftHSM token in a temporary folder, and children that the test speaks to as their
 * parent: shared by the tests and the fuzz target of hsm/. Header only, since each test is one
 * file.
 */
#ifndef TESTS_UNIT_HSM_FIXTURE_H
#define TESTS_UNIT_HSM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/start.h"
#include "hsm/setup/setup.h"

#define FX_SO_PIN    "so-pin-4711"
#define FX_PIN       "user-pin-0815"
#define FX_KEYS      "klero-keys"
#define FX_TLS       "klero-tls"
#define FX_HOST      "klero.example"
#define FX_WAIT_S    120
#define FX_APPLIANCE "appliance-id-16b"

struct fx {
	char dir[64], conf[96], tokens[96], env[128];
	int log[2];  /* what the children say: a pipe, as parent's, for they may write no file */
	int journal; /* hsm's and keyadm's */
	char said[65536];
	size_t nsaid;
};

__attribute__((unused)) static const char *fx_module(void)
{
	static const char *const paths[] = {"/usr/lib/softhsm/libsofthsm2.so",
	    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
	    "/usr/lib64/pkcs11/libsofthsm2.so"};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		if (access(paths[i], R_OK) == 0)
			return paths[i];
	fprintf(stderr, "SoftHSM is not installed: apt-get install softhsm2\n");
	_exit(1);
}

/* A folder and SoftHSM's configuration; every failure ends the test. */
__attribute__((unused)) static void fx_start(struct fx *f)
{
	char why[256], journal[96];

	/* a fuzz target cannot clean up: its caller gives it a folder to remove */
	snprintf(f->dir, sizeof f->dir, "%s/klero-hsm-test-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	if (mkdtemp(f->dir) == NULL)
		abort();
	snprintf(f->conf, sizeof f->conf, "%s/softhsm2.conf", f->dir);
	snprintf(f->tokens, sizeof f->tokens, "%s/tokens", f->dir);
	snprintf(f->env, sizeof f->env, "SOFTHSM2_CONF=%s", f->conf);
	snprintf(journal, sizeof journal, "%s/journal", f->dir);
	f->journal = open(journal, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (f->journal < 0 || mkdir(f->tokens, 0700) != 0 ||
	    setup_softhsm_conf(f->conf, f->tokens, why, sizeof why) != KE_OK ||
	    pipe2(f->log, O_CLOEXEC | O_NONBLOCK) != 0)
		abort();
}

__attribute__((unused)) static void fx_end(struct fx *f)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	if (system(command) != 0)
		abort();
}

__attribute__((unused)) static struct rconf_token fx_token(const struct fx *f, const char *label)
{
	struct rconf_token t = {.pin = FX_PIN};

	snprintf(t.module, sizeof t.module, "%s", fx_module());
	snprintf(t.label, sizeof t.label, "%s", label);
	snprintf(t.env[0], sizeof t.env[0], "%s", f->env);
	return t;
}

__attribute__((unused)) static void fx_make_token(const struct fx *f, const char *label)
{
	struct rconf_token t = fx_token(f, label);
	enum setup_what what;
	char why[256];

	if (setup_token(&t, FX_SO_PIN, FX_PIN, &what, why, sizeof why) != KE_OK) {
		fprintf(stderr, "token: %s\n", why);
		abort();
	}
}

/* A child of the real build, its control channel, and its log in f->log. */
struct fx_child {
	pid_t pid;
	int ctl;
};

__attribute__((unused)) static void fx_spawn(
    const struct fx *f, struct fx_child *c, const char *binary, const char *role)
{
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	struct timeval deadline = {.tv_sec = FX_WAIT_S};
	int sv[2];

	if (n <= 0 || msg_pair(sv) != KE_OK)
		abort();
	self[n] = '\0';
	/* <build>/tests/test_x beside <build>/bin */
	snprintf(path, sizeof path, "%s/../bin/%s", dirname(self), binary);
	if (access(path, X_OK) != 0) {
		fprintf(stderr, "%s is not built\n", path);
		abort();
	}
	c->pid = fork();
	if (c->pid < 0)
		abort();
	if (c->pid == 0) {
		if (dup2(f->log[1], 2) < 0 || dup2(sv[1], MSG_CTL_FD) < 0)
			_exit(127);
		/* dup2 onto itself keeps close-on-exec */
		(void)fcntl(MSG_CTL_FD, F_SETFD, 0);
		execl(path, binary, role, "0", (char *)NULL);
		_exit(127);
	}
	close(sv[1]);
	c->ctl = sv[0];
	if (setsockopt(c->ctl, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline) != 0)
		abort();
}

/* Hands a channel of that peer over, as parent does. */
__attribute__((unused)) static void fx_introduce(
    const struct fx_child *c, uint16_t type, const struct start_peer *peer, int fd)
{
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, peer);
	if (w.err != KE_OK || msg_send(c->ctl, type, 0, body, w.len, fd) != KE_OK)
		abort();
}

/* Waits for the end; the exit code, or 1000 + signal. */
__attribute__((unused)) static int fx_wait(struct fx_child *c)
{
	int status;

	for (int i = 0; i < FX_WAIT_S * 100; i++) {
		pid_t p = waitpid(c->pid, &status, WNOHANG);

		if (p == c->pid) {
			close(c->ctl);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		}
		usleep(10000);
	}
	kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	close(c->ctl);
	return -1;
}

/* Have the children said this? */
__attribute__((unused)) static int fx_logged(struct fx *f, const char *text)
{
	ssize_t n;

	while (f->nsaid < sizeof f->said - 1 &&
	       (n = read(f->log[0], f->said + f->nsaid, sizeof f->said - 1 - f->nsaid)) > 0)
		f->nsaid += (size_t)n;
	f->said[f->nsaid] = '\0';
	return strstr(f->said, text) != NULL;
}

/* Runs keyadm for one action; KE_PEER when it does not answer. */
__attribute__((unused)) static int fx_keyadm(
    const struct fx *f, const struct rconf_keyadm *conf, struct rconf_keyadm_done *done, int *code)
{
	static uint8_t buf[MSG_MAX];
	struct fx_child c;
	struct wire_out w;
	struct wire_in in;
	struct msg m;
	int r;

	fx_spawn(f, &c, "klerod-keyadm", "keyadm");
	wire_out_init(&w, buf, MSG_BODY_MAX);
	rconf_put_keyadm(&w, conf);
	if (w.err != KE_OK || msg_send(c.ctl, MSG_KEYADM_CONF, 0, buf, w.len, f->journal) != KE_OK)
		abort();
	r = msg_recv(c.ctl, ROLE_PARENT, ROLE_KEYADM, RUN, buf, &m);
	if (r == KE_OK) {
		wire_in_init(&in, m.body, m.len);
		r = rconf_get_keyadm_done(&in, done);
	}
	*code = fx_wait(&c);
	return r == KE_OK ? done->result : KE_PEER;
}

__attribute__((unused)) static struct rconf_keyadm fx_action(
    const struct fx *f, enum keyadm_action action)
{
	struct rconf_keyadm conf = {.action = (uint8_t)action};

	conf.token = fx_token(f, action == KEYADM_PROVISION_TLS ? FX_TLS : FX_KEYS);
	snprintf(conf.host, sizeof conf.host, FX_HOST);
	snprintf(conf.folder, sizeof conf.folder, "%s", f->tokens);
	memcpy(conf.appliance_id, FX_APPLIANCE, 16);
	return conf;
}

#endif
