/*
 * A secret from the terminal or from standard input: see kleroctl_ask.h. No stdio: its buffers
 * would keep a copy.
 */
#include "daemon/cli/kleroctl_ask.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

int ask_line(int fd, char *buf, size_t cap)
{
	size_t n = 0;

	for (;;) {
		char c;
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || n + 1 == cap)
			return KE_FORMAT;
		if (got == 0 || c == '\n')
			break;
		buf[n++] = c;
	}
	buf[n] = '\0';
	return n > 0 ? KE_OK : KE_FORMAT;
}

static int prompt(const char *words, char *buf, size_t cap)
{
	int r;

	if (write(STDERR_FILENO, words, strlen(words)) < 0)
		return KE_IO;
	r = ask_line(STDIN_FILENO, buf, cap);
	return write(STDERR_FILENO, "\n", 1) < 0 ? KE_IO : r;
}

/* Signals wait until the terminal echoes again. more: asks a second time, NULL for once. */
static int from_terminal(const char *words, const char *more, char *buf, size_t cap)
{
	struct termios old, quiet;
	char *again = sodium_malloc(cap);
	sigset_t all, before;
	int r = KE_IO;

	if (again == NULL || tcgetattr(STDIN_FILENO, &old) != 0)
		goto out;
	sigemptyset(&all);
	sigaddset(&all, SIGINT);
	sigaddset(&all, SIGTERM);
	sigaddset(&all, SIGQUIT);
	sigaddset(&all, SIGTSTP);
	sigprocmask(SIG_BLOCK, &all, &before);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0) {
		r = prompt(words, buf, cap);
		if (r == KE_OK && more != NULL)
			r = prompt(more, again, cap);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (r == KE_OK && more != NULL && strcmp(buf, again) != 0)
		r = KE_CONFLICT;
out:
	sodium_free(again);
	return r;
}

int ask_password(char *buf, size_t cap)
{
	return isatty(STDIN_FILENO) ? from_terminal("password: ", "once more: ", buf, cap)
				    : ask_line(STDIN_FILENO, buf, cap);
}

int ask_secret(const char *words, char *buf, size_t cap)
{
	return isatty(STDIN_FILENO) ? from_terminal(words, NULL, buf, cap)
				    : ask_line(STDIN_FILENO, buf, cap);
}
