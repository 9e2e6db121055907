/*
 * For tests of what ends a process: runs a function in a child, gives its exit status and what it
 * said on descriptor 2; and a libc that can be told to fail, which only the children of one test
 * use. Header only, since each test is one file.
 */
#ifndef TESTS_UNIT_FORKED_H
#define TESTS_UNIT_FORKED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that has come to the end of its function without being ended by it. */
#define FORKED_RETURNED 77
#define FORKED_WAIT_S   120

struct forked {
	pid_t pid;
	int log;
	size_t n;
	char said[8192];
};

__attribute__((unused)) static void forked_start(struct forked *f, void (*act)(void *), void *arg)
{
	int p[2];

	*f = (struct forked){0};
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		dup2(p[1], STDERR_FILENO);
		alarm(FORKED_WAIT_S);
		signal(SIGSEGV, SIG_DFL); /* cmocka's words about a crash are for the test's own */
		act(arg);
		_exit(FORKED_RETURNED);
	}
	close(p[1]);
	f->log = p[0];
}

/* Waits for its end; the exit status, or 1000 + signal. */
__attribute__((unused)) static int forked_wait(struct forked *f)
{
	ssize_t got;
	int status;

	/* gcc 14 has to be told that n stays within */
	while (f->n < sizeof f->said - 1 &&
	       (got = read(f->log, f->said + f->n, sizeof f->said - 1 - f->n)) > 0)
		f->n += (size_t)got;
	close(f->log);
	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* From its start to its end; the same status. */
__attribute__((unused)) static int forked_run(void (*act)(void *), void *arg)
{
	struct forked f;

	forked_start(&f, act, arg);
	return forked_wait(&f);
}

/* It ends with that status and has said these words (NULL: whatever). */
__attribute__((unused)) static void forked_ends(struct forked *f, int status, const char *words)
{
	int got = forked_wait(f);

	if (got != status || (words != NULL && strstr(f->said, words) == NULL))
		fail_msg("status %d, not %d; wanted \"%s\" in: %s", got, status,
		    words != NULL ? words : "", f->said);
}

__attribute__((unused)) static void forked_expect(
    void (*act)(void *), void *arg, int status, const char *words)
{
	struct forked f;

	forked_start(&f, act, arg);
	forked_ends(&f, status, words);
}

#endif
