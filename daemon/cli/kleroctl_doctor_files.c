/*
 * doctor's look at owners and modes of everything that is the appliance's, and at hsm's journal.
 * Runs in kleroctl; follows no symbolic link below the folders that are configured.
 */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_doctor.h"
#include "hsm/once/journal.h"

#define TREE_FILES 10000 /* looked at below one folder; SoftHSM has a few for each key */

/* Who may own a thing, and which bits it must not have. */
struct rule {
	const char *check;
	uid_t owner;   /* besides root's own where operator is set */
	bool operator; /* root's, or the caller's */
	mode_t never;  /* broken */
	mode_t better; /* not broken, but wider than setup makes it */
	bool follow;   /* the thing itself may stand elsewhere, as libraries do */
	bool must;     /* be there */
};

struct tally {
	struct doctor *d;
	unsigned good;
};

static bool wrong_owner(const struct rule *r, const struct stat *st)
{
	if (r->operator)
		return st->st_uid != 0 && st->st_uid != geteuid();
	return st->st_uid != r->owner;
}

static void judge(struct tally *t, const struct rule *r, const char *path, const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;

	if (S_ISLNK(st->st_mode))
		doctor_found(t->d, DOCTOR_BROKEN, r->check, "%s is a symbolic link", path);
	else if (wrong_owner(r, st))
		doctor_found(t->d, DOCTOR_BROKEN, r->check, "%s belongs to user %u: chown it to %u",
		    path, st->st_uid, r->operator? geteuid() : r->owner);
	else if ((mode & r->never) != 0)
		doctor_found(t->d, DOCTOR_BROKEN, r->check, "%s has mode %04o: chmod %04o", path,
		    mode, mode & ~r->never & ~r->better);
	else if ((mode & r->better) != 0)
		doctor_found(t->d, DOCTOR_ATTENTION, r->check,
		    "%s has mode %04o, wider than it was made: chmod %04o", path, mode,
		    mode & ~r->better);
	else
		t->good++;
}

static void look(struct tally *t, const struct rule *r, const char *path)
{
	struct stat st;

	if (path[0] == '\0')
		return;
	if ((r->follow ? stat(path, &st) : lstat(path, &st)) == 0)
		judge(t, r, path, &st);
	else if (errno == EACCES)
		doctor_found(t->d, DOCTOR_ATTENTION, r->check,
		    "%s cannot be looked at: run this as root", path);
	else if (r->must || errno != ENOENT)
		doctor_found(t->d, DOCTOR_BROKEN, r->check, "%s: %s", path, strerror(errno));
}

/* Files that are for everybody by their nature: a public key, a socket that asks who comes. */
static bool is_public(const char *name)
{
	return strcmp(name, "klero.vkey") == 0;
}

static void look_below(struct tally *t, const struct rule *r, const char *folder)
{
	char *paths[] = {(char *)(uintptr_t)folder, NULL};
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	struct rule open = *r;
	FTSENT *e;

	open.better = 0;
	for (unsigned n = 0; fts != NULL && n < TREE_FILES && (e = fts_read(fts)) != NULL; n++) {
		if (e->fts_info == FTS_DP)
			continue;
		if (e->fts_info == FTS_DNR || e->fts_info == FTS_NS || e->fts_info == FTS_ERR)
			doctor_found(t->d,
			    e->fts_errno == EACCES ? DOCTOR_ATTENTION : DOCTOR_BROKEN, r->check,
			    "%s: %s", e->fts_path, strerror(e->fts_errno));
		else
			judge(t, is_public(e->fts_name) ? &open : r, e->fts_path, e->fts_statp);
	}
	if (fts != NULL)
		fts_close(fts);
}

static void look_at_programs(struct tally *t)
{
	static const struct rule program = {
	    .check = "programs", .operator= true, .never = 022, .follow = true, .must = true};
	char path[2 * RCONF_PATH];

	for (enum role i = 0; i < ROLE_COUNT; i++) {
		if (role_binary(i)[0] == '\0' || i == ROLE_PARENT)
			continue;
		snprintf(path, sizeof path, "%s/%s", t->d->ctl->libexec, role_binary(i));
		look(t, &program, path);
	}
	look(t, &program, t->d->ctl->conf.module);
}

static void look_at_secrets(struct tally *t)
{
	static const struct rule secret = {
	    .check = "secrets", .operator= true, .never = 077, .must = true};
	static const struct rule so = {.check = "secrets", .operator= true, .never = 077};
	const char *const pins[] = {t->d->ctl->conf.keys.pin_file, t->d->ctl->conf.tls.pin_file};
	char path[RCONF_PATH + 8], folder[RCONF_PATH + 16];

	for (size_t i = 0; i < 2; i++) {
		look(t, &secret, pins[i]);
		snprintf(path, sizeof path, "%s.so", pins[i]);
		look(t, &so, path);
	}
	conf_journal_folder(&t->d->ctl->conf, folder);
	look_below(t, &secret, folder);
}

static uid_t owner_of(struct doctor *d, enum role role)
{
	struct rconf_identity id = {.uid = geteuid()};
	char why[512];

	if (conf_identity(&d->ctl->conf, role, &id, why, sizeof why) != KE_OK)
		doctor_found(d, DOCTOR_BROKEN, "users", "%s", why);
	return id.uid;
}

void doctor_files(struct doctor *d)
{
	const struct conf *c = &d->ctl->conf;
	struct tally t = {.d = d};
	const struct rule ours = {.check = "files", .operator= true, .never = 022, .must = true};
	const struct rule maybe = {.check = "files", .operator= true, .never = 022};
	const struct rule store = {.check = "store-files",
	    .owner = owner_of(d, ROLE_ENGINE),
	    .never = 022,
	    .better = 055,
	    .must = true};
	const struct rule token = {
	    .check = "token-files", .owner = owner_of(d, ROLE_KEYADM), .never = 022, .better = 055};
	char path[RCONF_PATH + 16];

	look(&t, &ours, d->ctl->conf_path);
	look(&t, &ours, c->tls_certificate);
	look(&t, &maybe, c->softhsm_conf);
	look(&t, &maybe, c->log_file);
	look(&t, &maybe, c->run_dir);
	snprintf(path, sizeof path, "%s/ctl.sock", c->run_dir);
	look(&t, &(struct rule){.check = "files", .operator= true, .never = 077}, path);
	look_at_programs(&t);
	look_at_secrets(&t);
	look_below(&t, &store, c->store);
	if (c->module_folder[0] != '\0')
		look_below(&t, &token, c->module_folder);
	doctor_found(
	    d, DOCTOR_OK, "files", "%u files and folders have the right owner and mode", t.good);
}

/* --- hsm's journal --- */

struct records {
	unsigned whole, damaged;
	bool torn;
};

static int count_records(int fd, struct records *n)
{
	uint8_t raw[JOURNAL_RECORD];
	struct journal_record r;
	ssize_t got;

	while ((got = read(fd, raw, sizeof raw)) == (ssize_t)sizeof raw) {
		int e = journal_decode(&r, raw);

		n->whole += e == KE_OK;
		n->damaged += e == KE_DAMAGED;
		n->torn = n->torn || e == KE_NOTFOUND;
	}
	n->torn = n->torn || got > 0;
	return got < 0 ? KE_IO : KE_OK;
}

void doctor_journal(struct doctor *d)
{
	char folder[RCONF_PATH + 16], path[RCONF_PATH + 32];
	struct records n = {0};
	int fd;

	conf_journal_folder(&d->ctl->conf, folder);
	snprintf(path, sizeof path, "%s/" CONF_JOURNAL, folder);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		doctor_found(d, errno == EACCES ? DOCTOR_ATTENTION : DOCTOR_BROKEN, "hsm-journal",
		    "%s: %s", path, strerror(errno));
		return;
	}
	if (count_records(fd, &n) != KE_OK)
		doctor_found(d, DOCTOR_BROKEN, "hsm-journal", "%s: %s", path, strerror(errno));
	else if (n.damaged > 0)
		doctor_found(d, DOCTOR_BROKEN, "hsm-journal",
		    "%u of its records are damaged: hsm counts no values any more, so no key "
		    "version can be destroyed",
		    n.damaged);
	else
		doctor_found(d, DOCTOR_OK, "hsm-journal", "%u records%s", n.whole,
		    n.torn ? ", and one that a power cut left unfinished" : "");
	close(fd);
}
