/*
 * Making a role's process: see spawn.h.
 */
#include "daemon/conf/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "sandbox/sandbox.h"

void spawn_default_libexec(char *dir, size_t len)
{
	char self[RCONF_PATH], probe[2 * RCONF_PATH];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	snprintf(dir, len, "%s", KLERO_LIBEXEC);
	if (n <= 0)
		return;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return;
	*slash = '\0';
	snprintf(probe, sizeof probe, "%s/%s", self, role_binary(ROLE_ENGINE));
	if (access(probe, X_OK) == 0)
		snprintf(dir, len, "%s", self);
}

int spawn_reserve(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= MSG_CTL_FD);
	if (fd < 0)
		return KE_IO;
	/* those of 0 to 2 that stood open before stay as they are */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(MSG_CTL_FD, F_SETFD, FD_CLOEXEC) != 0)
		return KE_IO;
	return fd;
}

/* In the new process. */
static void run(const char *libexec, enum role role, unsigned index, int null, int log, int ctl)
{
	char path[2 * RCONF_PATH], number[8], word[16];
	/* the leak check at a role's end wants a thread, which no role may make */
	char sanitizer[] = "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1";
	char *argv[] = {path, word, number, NULL};
	char *envp[] = {sandbox_has_seccomp() ? NULL : sanitizer, NULL};
	sigset_t none;

	snprintf(path, sizeof path, "%s/%s", libexec, role_binary(role));
	snprintf(word, sizeof word, "%s", role_word(role));
	snprintf(number, sizeof number, "%u", index);
	sigemptyset(&none);
	/* its own process group: Ctrl-C at a terminal is for us, who end all in order */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || setpgid(0, 0) != 0 ||
	    dup2(log, STDERR_FILENO) < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(ctl, MSG_CTL_FD) < 0 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		_exit(1);
	execve(path, argv, envp);
	log_error("%s: %s", path, strerror(errno));
	_exit(1);
}

int spawn_role(
    const char *libexec, enum role role, unsigned index, int null, int log, pid_t *pid, int *ctl)
{
	int sv[2], r = msg_pair(sv);

	if (r != KE_OK)
		return r;
	*pid = fcntl(sv[0], F_SETFL, O_NONBLOCK) == 0 ? fork() : -1;
	if (*pid == 0)
		run(libexec, role, index, null, log, sv[1]);
	close(sv[1]);
	if (*pid < 0) {
		close(sv[0]);
		return KE_IO;
	}
	*ctl = sv[0];
	return KE_OK;
}
