/*
 * Token discovery and initialisation by libp11, in a child with a deadline: see setup.h.
 * Runs in kleroctl setup.
 */
#include "hsm/setup/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libp11.h>
#include <openssl/err.h>

#define LABEL_MAX   32
#define DEADLINE_MS 30000

/* What a child tells: written to the pipe as a whole, read by the same program. */
struct outcome {
	int r; /* KE_AGAIN: the token is initialised, its PIN is not yet set */
	enum setup_what what;
	char why[256];
};

struct job {
	const struct rconf_token *t;
	const char *so_pin, *user_pin;
	struct outcome *out;
};

static int say(struct outcome *o, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int say(struct outcome *o, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->why, sizeof o->why, fmt, ap);
	va_end(ap);
	return r;
}

static const char *reason(void)
{
	const char *s = ERR_reason_error_string(ERR_peek_last_error());

	return s != NULL ? s : "unknown error";
}

/* Re-opened in a fresh child: some modules move a token to another slot when it is initialised. */
static int set_pin(struct job *j, PKCS11_SLOT *slot)
{
	if (PKCS11_open_session(slot, 1) != 0)
		return say(j->out, KE_UNAVAIL, "token %s: no session: %s", j->t->label, reason());
	if (PKCS11_login(slot, 1, j->so_pin) != 0)
		return say(j->out, KE_AUTH,
		    "token %s has no user PIN and refuses our SO PIN: %s; set its PIN with the "
		    "vendor's tool",
		    j->t->label, reason());
	if (PKCS11_init_pin(slot->token, j->user_pin) != 0)
		return say(j->out, KE_UNAVAIL, "token %s: the PIN cannot be set: %s", j->t->label,
		    reason());
	j->out->what = SETUP_INITIALISED;
	return KE_OK;
}

static int initialise(struct job *j, PKCS11_SLOT *slot)
{
	char label[LABEL_MAX + 1];

	/* libp11 hands 32 bytes to C_InitToken as they are, however short the label is */
	memset(label, ' ', LABEL_MAX);
	label[LABEL_MAX] = '\0';
	memcpy(label, j->t->label, strlen(j->t->label));
	if (slot == NULL)
		return say(j->out, KE_NOTFOUND,
		    "no token is labelled %s and none is uninitialised; make one with the HSM's "
		    "own "
		    "tool, or name an existing one in klerod.conf",
		    j->t->label);
	if (PKCS11_init_token(slot->token, j->so_pin, label) != 0)
		return say(j->out, KE_UNAVAIL, "a token cannot be initialised as %s: %s",
		    j->t->label, reason());
	return KE_AGAIN;
}

static int look(struct job *j, PKCS11_SLOT *slots, unsigned n)
{
	PKCS11_SLOT *found = NULL, *empty = NULL;

	for (unsigned i = 0; i < n; i++) {
		PKCS11_TOKEN *token = slots[i].token;

		if (token == NULL)
			continue;
		if (!token->initialized && empty == NULL)
			empty = &slots[i];
		if (!token->initialized || token->label == NULL ||
		    strcmp(token->label, j->t->label) != 0)
			continue;
		if (found != NULL)
			return say(j->out, KE_EXISTS, "two tokens are labelled %s; relabel one",
			    j->t->label);
		found = &slots[i];
	}
	if (found == NULL)
		return initialise(j, empty);
	return found->token->userPinSet ? KE_OK : set_pin(j, found);
}

static int in_child(struct job *j, char env[RCONF_ENVS][RCONF_PATH])
{
	PKCS11_CTX *ctx = PKCS11_CTX_new();
	PKCS11_SLOT *slots = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < RCONF_ENVS; i++)
		if (env[i][0] != '\0' && putenv(env[i]) != 0)
			return say(j->out, KE_NOMEM, "out of memory");
	if (ctx == NULL)
		return say(j->out, KE_NOMEM, "out of memory");
	if (j->t->params[0] != '\0')
		PKCS11_CTX_init_args(ctx, j->t->params);
	if (PKCS11_CTX_load(ctx, j->t->module) != 0)
		return say(j->out, KE_NOTFOUND,
		    "PKCS#11 module %.160s cannot be loaded or does not start: %s; check "
		    "pkcs11-module in klerod.conf",
		    j->t->module, reason());
	if (PKCS11_enumerate_slots(ctx, &slots, &n) != 0)
		return say(j->out, KE_UNAVAIL, "PKCS#11 module %.160s lists no slots: %s",
		    j->t->module, reason());
	j->out->what = SETUP_FOUND;
	return look(j, slots, n);
}

/* The child's whole life: one look at the token, one outcome, no exit handlers (they crash). */
static void child(struct job *j, int fd)
{
	struct rconf_token *copy = malloc(sizeof *copy);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ssize_t n;

	/* libp11 prints what goes wrong; our one line says it better */
	if (copy == NULL || null < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(1);
	*copy = *j->t;
	j->out->r = in_child(j, copy->env);
	n = write(fd, j->out, sizeof *j->out);
	_exit(n == (ssize_t)sizeof *j->out ? 0 : 1);
}

static int await(int fd, struct outcome *o, const char *label)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, DEADLINE_MS);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return say(o, KE_TIMEOUT,
		    "the PKCS#11 module did not answer within %d s while looking for token %s",
		    DEADLINE_MS / 1000, label);
	if (n < 0 || read(fd, o, sizeof *o) != (ssize_t)sizeof *o)
		return say(
		    o, KE_UNAVAIL, "the PKCS#11 module crashed while looking for token %s", label);
	o->why[sizeof o->why - 1] = '\0';
	return o->r;
}

static int one_look(struct job *j)
{
	int fds[2], r;
	pid_t pid;

	if (pipe(fds) != 0)
		return say(j->out, KE_IO, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		child(j, fds[1]);
	}
	close(fds[1]);
	r = pid < 0 ? say(j->out, KE_IO, "fork: %s", strerror(errno))
		    : await(fds[0], j->out, j->t->label);
	close(fds[0]);
	if (pid < 0)
		return r;
	if (r == KE_TIMEOUT)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}

int setup_token(const struct rconf_token *t, const char *so_pin, const char *user_pin,
    enum setup_what *what, char *why, size_t whylen)
{
	struct outcome o = {.why = ""};
	struct job j = {t, so_pin, user_pin, &o};
	size_t n = strlen(t->label);
	int r;

	if (n == 0 || n > LABEL_MAX) {
		r = say(&o, KE_LONG, "token label %.40s: 1 to %d bytes", t->label, LABEL_MAX);
	} else {
		r = one_look(&j);
		if (r == KE_AGAIN)
			r = one_look(&j);
		if (r == KE_AGAIN)
			r = say(&o, KE_UNAVAIL, "token %s is not there after its initialisation",
			    t->label);
	}
	*what = o.what;
	snprintf(why, whylen, "%s", r == KE_OK ? "" : o.why);
	return r;
}
