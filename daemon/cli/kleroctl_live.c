/*
 * The commands that talk to a running appliance: one request over the control socket, one answer
 * of engine's. Runs in kleroctl; trusts engine, which checks everything again.
 */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "daemon/cli/kleroctl_ask.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/cli/kleroctl_show.h"
#include "policy/jsondoc.h"
#include "policy/roles.h"

#define ANSWER_MS    60000
#define PASSWORD_MAX 1024
#define EMAIL_MAX    320

int live_reach(const struct ctl *ctl)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (snprintf(sun.sun_path, sizeof sun.sun_path, "%s/ctl.sock", ctl->conf.run_dir) >=
		(int)sizeof sun.sun_path ||
	    connect(fd, (struct sockaddr *)&sun, sizeof sun) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Waits for the answer to `type`. KE_TIMEOUT, KE_CLOSED, KE_PEER. */
static int receive(int fd, uint16_t type, struct exchange *x, struct msg *m)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ANSWER_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return KE_TIMEOUT;
	r = msg_recv(fd, ROLE_CTL, ROLE_ENGINE, RUN, x->answer, m);
	if (r != KE_OK)
		return r;
	if (m->fd >= 0)
		close(m->fd);
	return m->type == type + 1 ? KE_OK : KE_PEER;
}

/* Tells engine's words under that name; with NULL they are JSON already. Its result decides. */
static int show(struct ctl *ctl, const char *key, const struct msg *m)
{
	struct wire_in r;
	int32_t result;
	const uint8_t *words;
	size_t n = 0;

	wire_in_init(&r, m->body, m->len);
	result = wire_get_i32(&r);
	words = wire_get_str(&r, MSG_BODY_MAX, &n);
	if (wire_end(&r) != KE_OK)
		return ctl_fail(CTL_REFUSED, "klerod's answer is malformed");
	if (result != KE_OK && n == 0)
		return ctl_fail(CTL_REFUSED, "%s", ke_words(result));
	if (result != KE_OK)
		return ctl_fail(CTL_REFUSED, "%.*s", (int)n, (const char *)words);
	if (key != NULL)
		return ctl_tell(ctl, key, (const char *)words, n);
	/* programs read a pipe or a file, people a terminal */
	if (ctl->json || isatty(STDOUT_FILENO) != 1 ||
	    show_json(stdout, (const char *)words, n) != KE_OK)
		printf("%.*s\n", (int)n, (const char *)words);
	ctl->told = true;
	return fflush(stdout) == 0 ? CTL_OK
				   : ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
}

int live_nobody(const struct ctl *ctl)
{
	return ctl_fail(
	    CTL_UNREACHABLE, "no klerod at %s/ctl.sock: %s", ctl->conf.run_dir, strerror(errno));
}

int live_talk(int fd, uint16_t type, struct exchange *x, struct msg *m)
{
	int r = msg_send(fd, type, 1, x->body, x->w.len, -1);

	return r == KE_OK ? receive(fd, type, x, m) : r;
}

int live_ask(struct ctl *ctl, uint16_t type, const char *key, struct exchange *x)
{
	struct msg m;
	int fd, r;

	if (x->w.err != KE_OK)
		return ctl_fail(CTL_USAGE, "the words are too long");
	fd = live_reach(ctl);
	if (fd < 0)
		return live_nobody(ctl);
	r = live_talk(fd, type, x, &m);
	close(fd);
	if (r == KE_OK)
		return show(ctl, key, &m);
	return ctl_fail(CTL_UNREACHABLE, "klerod does not answer: %s", ke_words(r));
}

void live_member(const char *json, const char *name, char *out, size_t cap)
{
	struct json_tok toks[96];
	struct jsondoc d;

	if (jsondoc_read(&d, json, strlen(json), toks, 96) != KE_OK ||
	    jsondoc_text(&d, 0, name, out, cap) != KE_OK)
		out[0] = '\0';
}

/* Engine's own result, with its words. */
static int words_of(const struct msg *m, char *text, size_t cap)
{
	struct wire_in in;
	const uint8_t *words;
	size_t n = 0;
	int r;

	wire_in_init(&in, m->body, m->len);
	r = wire_get_i32(&in);
	words = wire_get_str(&in, cap - 1, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	snprintf(text, cap, "%.*s", (int)n, (const char *)words);
	return r;
}

int live_status(const struct ctl *ctl, char *text, size_t cap)
{
	struct exchange *x = exchange_new();
	struct msg m;
	int fd = live_reach(ctl), r = KE_UNAVAIL;

	if (x != NULL && fd >= 0) {
		r = live_talk(fd, MSG_CTL_STATUS, x, &m);
		if (r == KE_OK)
			r = words_of(&m, text, cap);
	}
	if (fd >= 0)
		close(fd);
	sodium_free(x);
	return r;
}

struct exchange *exchange_new(void)
{
	struct exchange *x = sodium_malloc(sizeof *x);

	if (x != NULL)
		wire_out_init(&x->w, x->body, sizeof x->body);
	return x;
}

/* The appliance knows addresses in lower case only, as net hands them in. */
static void put_email(struct wire_out *w, const char *email)
{
	char lower[EMAIL_MAX + 1];
	size_t n = 0;

	for (; n < EMAIL_MAX && email[n] != '\0'; n++)
		lower[n] = (char)(email[n] >= 'A' && email[n] <= 'Z' ? email[n] | 0x20 : email[n]);
	wire_put_str(w, lower, n);
}

int ctl_admin_create(struct ctl *ctl, int argc, char **argv)
{
	char *password = sodium_malloc(PASSWORD_MAX + 1);
	struct exchange *x = exchange_new();
	int status = CTL_REFUSED, r;

	(void)argc;
	if (password == NULL || x == NULL) {
		status = ctl_fail(CTL_REFUSED, "out of locked memory");
		goto out;
	}
	if (strlen(argv[0]) > EMAIL_MAX) {
		status = ctl_fail(CTL_USAGE, "the e-mail address is too long");
		goto out;
	}
	r = ask_password(password, PASSWORD_MAX + 1);
	if (r != KE_OK) {
		status = ctl_fail(r == KE_CONFLICT ? CTL_REFUSED : CTL_USAGE, "%s",
		    r == KE_CONFLICT ? "the passwords differ" : "no password of 1 to 1024 bytes");
		goto out;
	}
	put_email(&x->w, argv[0]);
	wire_put_cstr(&x->w, password);
	status = live_ask(ctl, MSG_CTL_ADMIN, "words", x);
out:
	sodium_free(password); /* these wipe */
	sodium_free(x);
	return status;
}

/* Adds the bits of "user,organiser"; false for an unknown word. */
static bool add_roles(const char *words, unsigned *bits)
{
	while (*words != '\0') {
		size_t n = strcspn(words, ",");
		unsigned bit = roles_bit(words, n);

		if (bit == 0)
			return false;
		*bits |= bit;
		words += n;
		words += *words == ',';
	}
	return true;
}

int ctl_user_roles(struct ctl *ctl, int argc, char **argv)
{
	struct exchange *x;
	unsigned bits = 0;
	int status;

	for (int i = 1; i < argc; i++)
		if (!add_roles(argv[i], &bits))
			return ctl_fail(CTL_USAGE,
			    "%s: the roles are user, organiser, auditor and admin", argv[i]);
	if (bits == 0 || strlen(argv[0]) > EMAIL_MAX)
		return ctl_fail(CTL_USAGE, "which roles, of whom?");
	x = exchange_new();
	if (x == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	put_email(&x->w, argv[0]);
	wire_put_u8(&x->w, (uint8_t)bits);
	status = live_ask(ctl, MSG_CTL_ROLES, "words", x);
	sodium_free(x);
	return status;
}

int ctl_status(struct ctl *ctl, int argc, char **argv)
{
	struct exchange *x = exchange_new();
	int status;

	(void)argc;
	(void)argv;
	if (x == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	status = live_ask(ctl, MSG_CTL_STATUS, NULL, x);
	sodium_free(x);
	return status;
}
