/*
 * A software token's folder, packed and encrypted: see kleroctl_token.h. tar and age run as
 * children without a shell; what passes between them are descriptors, and their arguments are
 * public keys and a folder's name.
 */
#include "daemon/cli/kleroctl_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/text.h"

#define TAR  "/usr/bin/tar"
#define AGE  "/usr/bin/age"
#define LINE (32 + TEXT_B64_LEN(SSH_BLOB_MAX) + 1)

struct packing {
	char recipient[ANCHOR_OFFICERS_MAX][LINE];
	size_t n;
	char *why;
	size_t whylen;
};

static int say(const struct packing *p, int status, const char *what, const char *how)
{
	snprintf(p->why, p->whylen, "%s: %s", what, how);
	return status;
}

/* Who can open it, said with their keys: the operator sees to whom the token goes. */
static int choose(struct packing *p, const char *text, size_t n)
{
	static struct anchor a;
	char print[SSH_PRINT_LEN + 1], b64[TEXT_B64_LEN(SSH_BLOB_MAX) + 1];

	if (n == 0 || anchor_parse(&a, text, n) != KE_OK || a.officers.n == 0)
		return say(p, CTL_REFUSED, "--with-token", "no officers are enrolled to open it");
	for (size_t i = 0; i < a.officers.n; i++) {
		const struct officer *o = &a.officers.officer[i];
		bool can = o->key.kind == SSH_ED25519;

		ssh_key_print(print, &o->key);
		fprintf(stderr, "the token %s %s (%s)%s\n", can ? "opens for" : "does not open for",
		    o->name, print, can ? "" : ": age encrypts to ssh-ed25519 keys only");
		if (!can)
			continue;
		text_b64(b64, o->key.blob, o->key.blob_len);
		snprintf(p->recipient[p->n++], LINE, "ssh-ed25519 %s", b64);
	}
	return p->n > 0 ? CTL_OK
			: say(p, CTL_REFUSED, "--with-token", "no officer has an ssh-ed25519 key");
}

/* In a child. */
static void become(const char *program, char *const *argv, int in, int out)
{
	char *env[] = {NULL};

	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execve(program, argv, env);
	fprintf(stderr, "%s: %s\n", program, strerror(errno));
	_exit(127);
}

static pid_t start_tar(const struct ctl *ctl, int out)
{
	char name[] = "tar", create[] = "--create", file[] = "--file=-", dot[] = ".";
	char folder[RCONF_PATH + 16];
	char *argv[] = {name, create, file, folder, dot, NULL};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(folder, sizeof folder, "--directory=%s", ctl->conf.module_folder);
	become(TAR, argv, ctl->null, out);
	_exit(127);
}

static pid_t start_age(struct packing *p, int in, int out)
{
	char name[] = "age", to[] = "--recipient";
	char *argv[2 + 2 * ANCHOR_OFFICERS_MAX] = {name};
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < p->n; i++) {
		argv[1 + 2 * i] = to;
		argv[2 + 2 * i] = p->recipient[i];
	}
	become(AGE, argv, in, out);
	_exit(127);
}

static bool ended_well(pid_t pid)
{
	int status = -1;

	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int pack(const struct ctl *ctl, struct packing *p, int fd)
{
	int sv[2];
	pid_t tar, age;
	bool tar_ok, age_ok;

	if (pipe2(sv, O_CLOEXEC) != 0)
		return say(p, CTL_REFUSED, "pipe", strerror(errno));
	tar = start_tar(ctl, sv[1]);
	age = start_age(p, sv[0], fd);
	close(sv[0]);
	close(sv[1]);
	tar_ok = ended_well(tar);
	age_ok = ended_well(age);
	if (tar_ok && age_ok)
		return CTL_OK;
	return say(p, CTL_REFUSED, "--with-token",
	    age_ok ? "the token folder could not be packed"
		   : "it could not be encrypted: is age(1) installed?");
}

int token_pack(const struct ctl *ctl, const char *anchor, size_t anchor_len, int *fd, uint64_t *n,
    char *why, size_t whylen)
{
	struct packing p = {.why = why, .whylen = whylen};
	struct stat st;
	int status;

	if (ctl->conf.module_folder[0] == '\0')
		return say(&p, CTL_REFUSED, "--with-token", "pkcs11-folder names no token folder");
	status = choose(&p, anchor, anchor_len);
	if (status != CTL_OK)
		return status;
	*fd = memfd_create("klero-token", MFD_CLOEXEC);
	if (*fd < 0)
		return say(&p, CTL_REFUSED, "memory", strerror(errno));
	status = pack(ctl, &p, *fd);
	if (status == CTL_OK && (fstat(*fd, &st) != 0 || lseek(*fd, 0, SEEK_SET) != 0))
		status = say(&p, CTL_REFUSED, "memory", strerror(errno));
	if (status == CTL_OK)
		*n = (uint64_t)st.st_size;
	else
		close(*fd);
	return status;
}
