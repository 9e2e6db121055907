/*
 * klerod: the parent of all roles (DESIGN.md section 2). Everything it does, top to bottom:
 * configuration, checks, descriptors, fewer rights, and a poll loop over its children, the control
 * socket and the signals.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "daemon/conf/spawn.h"
#include "daemon/parent/act.h"
#include "daemon/parent/cert.h"
#include "daemon/parent/child.h"
#include "daemon/parent/ctl.h"
#include "daemon/parent/logs.h"
#include "daemon/parent/service.h"
#include "daemon/parent/setup.h"
#include "daemon/parent/stages.h"
#include "daemon/parent/tokens.h"
#include "sandbox/sandbox.h"

#define SHORT_DELAY                                                                                \
	"beacon-delay is %u s: who verifies a draw demands 600 s, unless told that less will do"

static struct parent parent;

/* On standard output for who asked for it, on standard error for who was wrong. */
static int usage(FILE *to)
{
	fprintf(to, "usage: klerod [-t] [-c FILE] [-L FOLDER] [--help] [--version]\n");
	return to == stdout ? 0 : 2;
}

static int version(void)
{
	printf("klerod %s%s\n", KLERO_VERSION,
	    sandbox_has_seccomp() ? "" : " (sanitizer build: no seccomp)");
	return 0;
}

/*
 * An authority's certificate for the same key, put in the file's place by its own programs; a right
 * PIN in the place of a wrong one, or a token that was unlocked.
 */
static void hangup(struct parent *p)
{
	logs_say(p, LOGL_INFO, "hangup: the certificate is read again, and a PIN that was refused");
	service_reloading(p);
	cert_tell(p);
	tokens_again(p);
	service_reloaded(p);
}

static void on_signals(struct parent *p)
{
	struct signalfd_siginfo s;

	while (read(p->signals, &s, sizeof s) == (ssize_t)sizeof s) {
		if (s.ssi_signo == SIGCHLD)
			child_reap(p);
		else if (s.ssi_signo == SIGHUP)
			hangup(p);
		else
			parent_stop(p, 0);
	}
}

/* The time until the next deadline, in milliseconds for poll. */
static int tick(struct parent *p)
{
	int64_t now = parent_now(), next = now + 60000;

	for (size_t i = 0; i < p->n; i++) {
		int64_t t = child_tick(p, &p->children[i], now);

		if (t < next)
			next = t;
	}
	int64_t act = act_tick(p, now), service = service_tick(p, now);

	if (act < next)
		next = act;
	if (service < next)
		next = service;
	return next > now ? (int)(next - now) : 0;
}

/* One turn: first what the children say, then who has died, then new clients. */
static void turn(struct parent *p, int timeout)
{
	struct pollfd *f = p->poll;

	f[0] = (struct pollfd){.fd = p->signals, .events = POLLIN};
	f[1] = (struct pollfd){.fd = p->ctl, .events = POLLIN};
	for (size_t i = 0; i < p->n; i++) {
		f[2 + 2 * i] = (struct pollfd){.fd = p->children[i].log, .events = POLLIN};
		f[3 + 2 * i] = (struct pollfd){.fd = p->children[i].ctl, .events = POLLIN};
	}
	if (poll(f, 2 + 2 * p->n, timeout) < 0) {
		/* without room for the poll itself there is nothing better than to try again */
		if (errno == EINTR || errno == ENOMEM)
			return;
		fatal("poll: %s", strerror(errno));
	}
	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (f[2 + 2 * i].revents != 0)
			logs_read(p, c, false);
		if (f[3 + 2 * i].revents != 0 && c->ctl >= 0)
			child_message(p, c);
	}
	if (f[0].revents != 0)
		on_signals(p);
	if (f[1].revents != 0)
		ctl_accept(p);
}

static void serve(struct parent *p)
{
	logs_say(p, LOGL_INFO, "klerod %s starts with %s", KLERO_VERSION, p->conf_path);
	if (geteuid() != 0)
		logs_say(p, LOGL_WARN,
		    "started without root: no chroot and no users of their own for the roles");
	if (!sandbox_has_seccomp())
		logs_say(p, LOGL_WARN, "sanitizer build: seccomp is left out");
	if (conf_asks(&p->conf) && p->conf.beacon_delay < CONF_DELAY)
		logs_say(p, LOGL_WARN, SHORT_DELAY, p->conf.beacon_delay);
	p->phase = PHASE_BOOT;
	while (stages_step(p), p->phase != PHASE_DONE) {
		int timeout = tick(p);

		turn(p, timeout);
	}
	ctl_close(p);
	logs_say(p, LOGL_INFO, "klerod has stopped");
}

/* KE_OK, KE_FORMAT, or the letter of an option that only asks. */
static int options(struct parent *p, int argc, char **argv, bool *test)
{
	static const struct option longs[] = {
	    {"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {0}};
	int opt;

	p->conf_path = KLERO_SYSCONF "/klerod.conf";
	spawn_default_libexec(p->libexec, sizeof p->libexec);
	while ((opt = getopt_long(argc, argv, "c:L:th", longs, NULL)) != -1) {
		if (opt == 'c')
			p->conf_path = optarg;
		else if (opt == 'L' && strlen(optarg) < sizeof p->libexec)
			snprintf(p->libexec, sizeof p->libexec, "%s", optarg);
		else if (opt == 't')
			*test = true;
		else
			return opt == 'V' || opt == 'h' ? opt : KE_FORMAT;
	}
	return optind == argc ? KE_OK : KE_FORMAT;
}

int main(int argc, char **argv)
{
	struct parent *p = &parent;
	char why[512] = "";
	bool test = false;
	int r = options(p, argc, argv, &test);

	if (r == 'V')
		return version();
	if (r != KE_OK)
		return usage(r == 'h' ? stdout : stderr);
	p->null = spawn_reserve();
	if (p->null < 0 || sodium_init() < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal("start failed");
	r = conf_read(&p->conf, p->conf_path, why, sizeof why);
	if (r == KE_OK) {
		child_list(p);
		r = setup_check(p, why, sizeof why);
	}
	if (r == KE_OK && test)
		r = setup_try(p, why, sizeof why);
	if (r == KE_OK && test) {
		printf("klerod: %s is good\n", p->conf_path);
		if (conf_asks(&p->conf) && p->conf.beacon_delay < CONF_DELAY)
			printf("klerod: " SHORT_DELAY "\n", p->conf.beacon_delay);
		return 0;
	}
	if (r == KE_OK)
		r = setup_open(p, why, sizeof why);
	if (r == KE_OK)
		r = setup_capabilities(why, sizeof why);
	if (r != KE_OK) {
		fprintf(stderr, "klerod: %s\n", why);
		return 1;
	}
	serve(p);
	return p->exit_code;
}
