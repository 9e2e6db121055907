/*
 * Before the children: see setup.h.
 */
#include "daemon/parent/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sodium.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/net/limit.h"
#include "daemon/parent/ctl.h"
#include "daemon/parent/roles.h"
#include "daemon/parent/service.h"
#include "sandbox/sandbox.h"

#define BACKLOG 4096
/* how a trial ends that found a read-only file system */
#define PASSAGE_SHUT 2
/* descriptors of a net: its clients and some */
#define FILES 65536

struct words {
	char *why;
	size_t len;
};

static int wrong(const struct words *w, int r, const char *what, const char *how)
{
	snprintf(w->why, w->len, "%s: %s", what, how);
	return r;
}

/* The same, with the line of klerod.conf that it is about before it. */
static int blamed(const struct parent *p, const struct words *w, const void *field, int r)
{
	if (r != KE_OK)
		conf_blame(&p->conf, field, w->why, w->len);
	return r;
}

static int check_folder(const struct words *w, const char *path, uid_t owner)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return wrong(w, KE_NOTFOUND, path, "is not there: run kleroctl setup");
	if (!S_ISDIR(st.st_mode))
		return wrong(w, KE_DENIED, path, "is not a folder");
	if (st.st_uid != owner) {
		snprintf(w->why, w->len, "%s belongs to user %u: chown it to %u", path, st.st_uid,
		    owner);
		return KE_DENIED;
	}
	if ((st.st_mode & 022) != 0)
		return wrong(w, KE_DENIED, path, "can be written by others: chmod go-w");
	return KE_OK;
}

static int check_pin(const struct words *w, const char *path)
{
	char *pin = sodium_malloc(CONF_PIN_MAX + 1);
	int r;

	if (pin == NULL)
		return wrong(w, KE_NOMEM, path, "out of locked memory");
	r = conf_pin(path, pin, w->why, w->len);
	sodium_free(pin);
	return r;
}

/* The chains and certificates of beacons, which their roles get at each start. */
static int check_beacons(const struct parent *p, const struct words *w)
{
	char pem[RCONF_CERTS][RCONF_CERTIFICATE];
	struct rconf_witnesses witnesses;
	struct rconf_beacons all;
	int r = conf_beacons(&p->conf, &all, w->why, w->len);

	if (r == KE_OK)
		r = conf_certificates(&p->conf, pem, w->why, w->len);
	if (r == KE_OK)
		r = conf_witnesses(&p->conf, &witnesses, w->why, w->len);
	if (r == KE_OK && (conf_asks(&p->conf) || p->conf.witness_policy[0] != '\0') &&
	    access(p->conf.out_authorities, R_OK) != 0)
		return wrong(w, KE_NOTFOUND, p->conf.out_authorities, strerror(errno));
	return r;
}

static int check_files(const struct parent *p, const struct words *w)
{
	char path[RCONF_PATH + 16], pem[16384];
	size_t n;
	int r;

	snprintf(path, sizeof path, "%s/klero.keys", p->conf.store);
	if (access(path, F_OK) != 0)
		return blamed(p, w, p->conf.store,
		    wrong(w, KE_NOTFOUND, path,
			"is not there: run kleroctl setup, or restore a backup"));
	if (access(p->conf.module, R_OK) != 0)
		return blamed(
		    p, w, p->conf.module, wrong(w, KE_NOTFOUND, p->conf.module, strerror(errno)));
	r = blamed(p, w, p->conf.keys.pin_file, check_pin(w, p->conf.keys.pin_file));
	if (r == KE_OK)
		r = blamed(p, w, p->conf.tls.pin_file, check_pin(w, p->conf.tls.pin_file));
	if (r == KE_OK)
		r = blamed(p, w, p->conf.tls_certificate,
		    conf_file(
			p->conf.tls_certificate, false, pem, sizeof pem - 1, &n, w->why, w->len));
	return r;
}

/* A folder above the store may be closed to engine's user; only trying tells for sure. */
static int check_passage(
    const struct parent *p, const struct words *w, const struct rconf_identity *id)
{
	int status = 0;
	pid_t pid;

	if (!id->drop)
		return KE_OK;
	pid = fork();
	if (pid < 0)
		return wrong(w, KE_IO, "fork", strerror(errno));
	if (pid == 0) {
		if (setgroups(0, NULL) != 0 || setresgid(id->gid, id->gid, id->gid) != 0 ||
		    setresuid(id->uid, id->uid, id->uid) != 0)
			_exit(1);
		if (access(p->conf.store, R_OK | W_OK | X_OK) == 0)
			_exit(0);
		_exit(errno == EROFS ? PASSAGE_SHUT : 1);
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == PASSAGE_SHUT)
		return wrong(w, KE_IO, p->conf.store, strerror(EROFS));
	if (status != 0) {
		snprintf(w->why, w->len,
		    "%s: user %u cannot reach it: open the folders above it (chmod o+x), or move "
		    "it",
		    p->conf.store, id->uid);
		return KE_DENIED;
	}
	return KE_OK;
}

static int check_programs(const struct parent *p, const struct words *w)
{
	for (size_t i = 0; i < p->n; i++) {
		char path[2 * RCONF_PATH];

		snprintf(path, sizeof path, "%s/%s", p->libexec, role_binary(p->children[i].role));
		if (access(path, X_OK) != 0)
			return wrong(w, KE_NOTFOUND, path, strerror(errno));
	}
	return KE_OK;
}

int setup_check(struct parent *p, char *why, size_t whylen)
{
	struct words w = {why, whylen};
	struct rconf_identity id, engine = {0};
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < p->n; i++) {
		r = blamed(p, &w, p->conf.users[p->children[i].role],
		    conf_identity(&p->conf, p->children[i].role, &id, why, whylen));
		if (p->children[i].role == ROLE_ENGINE)
			engine = id;
	}
	if (r == KE_OK)
		r = blamed(p, &w, p->conf.store, check_folder(&w, p->conf.store, engine.uid));
	if (r == KE_OK)
		r = blamed(p, &w, p->conf.store, check_passage(p, &w, &engine));
	if (r == KE_OK)
		r = check_files(p, &w);
	if (r == KE_OK)
		r = check_beacons(p, &w);
	return r == KE_OK ? check_programs(p, &w) : r;
}

/* The run folder and in it the empty one that the roles chroot into. */
static int make_run(struct parent *p, const struct words *w)
{
	int r;

	if (snprintf(p->empty, sizeof p->empty, "%s/empty", p->conf.run_dir) >=
	    (int)sizeof p->empty)
		return wrong(w, KE_LONG, p->conf.run_dir, "the path is too long");
	if (mkdir(p->conf.run_dir, 0755) != 0 && errno != EEXIST)
		return wrong(w, KE_IO, p->conf.run_dir, strerror(errno));
	r = check_folder(w, p->conf.run_dir, geteuid());
	if (r != KE_OK)
		return r;
	if (mkdir(p->empty, 0555) != 0 && errno != EEXIST)
		return wrong(w, KE_IO, p->empty, strerror(errno));
	r = check_folder(w, p->empty, geteuid());
	/* it holds nothing, so it can be made anew; rmdir fails when that is not so */
	if (r == KE_OK && (rmdir(p->empty) != 0 || mkdir(p->empty, 0555) != 0))
		return wrong(w, KE_DENIED, p->empty,
		    errno == ENOTEMPTY || errno == EEXIST ? "is not empty: remove what is in it"
							  : strerror(errno));
	return r;
}

static int open_log_file(struct parent *p, const struct words *w)
{
	/* O_NONBLOCK: whoever reads a pipe in its place must not hold parent up */
	int fd = open(p->conf.log_file,
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0)
		return blamed(
		    p, w, p->conf.log_file, wrong(w, KE_IO, p->conf.log_file, strerror(errno)));
	sink_lines(&p->log, fd);
	return KE_OK;
}

static int make_run_folder(struct parent *p, const struct words *w)
{
	return blamed(p, w, p->conf.run_dir, make_run(p, w));
}

static int open_log(struct parent *p, const struct words *w)
{
	const char *syslog = p->conf.log_syslog;

	sink_lines(&p->log, STDERR_FILENO);
	if (p->conf.log_file[0] != '\0' && syslog[0] != '\0')
		return wrong(w, KE_DENIED, "log-file and log-syslog", "choose one of them");
	if (p->conf.log_file[0] != '\0')
		return open_log_file(p, w);
	if (syslog[0] != '\0' && sink_socket(&p->log, SINK_SYSLOG, syslog) != KE_OK)
		return wrong(w, KE_IO, syslog, "is no name for a socket");
	if (syslog[0] == '\0' && sink_is_journal() &&
	    sink_socket(&p->log, SINK_JOURNAL, SINK_JOURNAL_PATH) != KE_OK)
		return wrong(w, KE_IO, "journal", strerror(errno));
	return KE_OK;
}

static int cannot_listen(const struct parent *p, const struct words *w, int error)
{
	const struct sockaddr *addr = (const struct sockaddr *)&p->conf.listen;
	char host[INET6_ADDRSTRLEN] = "?", port[8] = "?", what[INET6_ADDRSTRLEN + 24];

	if (getnameinfo(addr, p->conf.listen_len, host, sizeof host, port, sizeof port,
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		host[0] = '\0';
	snprintf(what, sizeof what, "listen %s port %s", host, port);
	return blamed(p, w, &p->conf.listen, wrong(w, KE_IO, what, strerror(error)));
}

static int open_service(struct parent *p, const struct words *w)
{
	return service_open(p, w->why, w->len);
}

/* The service manager's, or our own. */
static int open_listen(struct parent *p, const struct words *w)
{
	struct sockaddr *addr = (struct sockaddr *)&p->conf.listen;
	int on = 1, r = service_listener(p, &p->listen, w->why, w->len);

	if (r != KE_OK || p->listen >= 0)
		return r;
	p->listen = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->listen < 0 || setsockopt(p->listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
	    bind(p->listen, addr, p->conf.listen_len) != 0 || listen(p->listen, BACKLOG) != 0)
		return cannot_listen(p, w, errno);
	return KE_OK;
}

int setup_try(struct parent *p, char *why, size_t whylen)
{
	struct words w = {why, whylen};
	int r;

	/* ours may have the port: who changes the configuration asks while klerod runs */
	if (ctl_is_served(p))
		return KE_OK;
	r = open_listen(p, &w);
	if (p->listen >= 0)
		close(p->listen);
	p->listen = -1;
	return r;
}

/* Shared by all nets, so that a client has one limit and not one per process. */
static int open_limits(struct parent *p, const struct words *w)
{
	p->limits = memfd_create("klero-limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->limits < 0 || ftruncate(p->limits, LIMIT_BYTES) != 0 ||
	    fcntl(p->limits, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return wrong(w, KE_IO, "shared memory", strerror(errno));
	return KE_OK;
}

/* Once, before the capabilities go: every hsm and every keyadm gets this one. */
static int open_journal(struct parent *p, const struct words *w)
{
	p->journal = conf_journal(&p->conf, w->why, w->len);
	return blamed(p, w, p->conf.store, p->journal < 0 ? p->journal : KE_OK);
}

static int open_signals(struct parent *p, const struct words *w)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* ignored in all roles too, who inherit it: a client that leaves must not end one */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		return wrong(w, KE_IO, "signals", strerror(errno));
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signals < 0 ? wrong(w, KE_IO, "signals", strerror(errno)) : KE_OK;
}

static int open_deaths(struct parent *p, const struct words *w)
{
	for (int role = 0; role < ROLE_COUNT; role++) {
		p->deaths[role].at_ms =
		    calloc(p->conf.death_budget.count, sizeof *p->deaths[role].at_ms);
		if (p->deaths[role].at_ms == NULL)
			return wrong(w, KE_NOMEM, "death-budget", "out of memory");
	}
	return KE_OK;
}

int setup_open(struct parent *p, char *why, size_t whylen)
{
	static int (*const steps[])(struct parent *, const struct words *) = {open_log,
	    open_service, make_run_folder, open_listen, open_limits, open_journal, open_signals,
	    open_deaths};
	struct rlimit files = {FILES, FILES};
	struct words w = {why, whylen};
	int r = KE_OK;

	/* where the system allows less, net takes what there is */
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 && getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) != 0)
			return wrong(&w, KE_IO, "rlimit", strerror(errno));
	}
	for (size_t i = 0; r == KE_OK && i < sizeof steps / sizeof steps[0]; i++)
		r = steps[i](p, &w);
	return r == KE_OK ? ctl_open(p, why, whylen) : r;
}

#define KEPT 4

/* The least that parent and its children's start need; false when root lacks one. */
static bool needed(int kept[KEPT])
{
	int n = 0;

	kept[n++] = CAP_SETUID;     /* a child becomes its role's user */
	kept[n++] = CAP_SETGID;     /* and group */
	kept[n++] = CAP_SYS_CHROOT; /* and goes into the empty folder */
	/* hsm's warm-up reads the token folder, and paths may lead through others' folders */
	kept[n] = sandbox_search_capability();
	return kept[n] >= 0;
}

static bool is_kept(const int kept[KEPT], int cap)
{
	for (int i = 0; i < KEPT; i++)
		if (kept[i] == cap)
			return true;
	return false;
}

int setup_capabilities(char *why, size_t whylen)
{
	static const char missing[] = "klerod as root needs the capabilities setuid, setgid, "
				      "sys_chroot and dac_read_search";
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct words w = {why, whylen};
	int kept[KEPT];

	if (geteuid() != 0)
		return KE_OK;
	if (!needed(kept))
		return wrong(&w, KE_DENIED, "start", missing);
	/* the bounding set first: a child's exec as root would take all of it back */
	for (int cap = 0, in; (in = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (in == 1 && !is_kept(kept, cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
			return wrong(&w, KE_DENIED, "capability bounding set", strerror(errno));
	memset(data, 0, sizeof data);
	for (int i = 0; i < KEPT; i++)
		data[kept[i] / 32].permitted |= 1u << (kept[i] % 32);
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &head, data) != 0)
		return wrong(&w, KE_DENIED, "start", missing);
	return KE_OK;
}
