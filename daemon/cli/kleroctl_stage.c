/*
 * A backup on its way to be the store: see kleroctl_stage.h.
 */
#include "daemon/conf/durable.h"
#include "daemon/cli/kleroctl_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE    65536
#define SMALL    65536 /* any file but the store and its log */
#define MANIFEST "klero.manifest"

/* Where a section goes; NULL: nowhere. */
static const char *const files[BACKUP_NAMES] = {
    [BACKUP_STORE] = "klero.db",
    [BACKUP_LOG] = "klero.db-wal",
    [BACKUP_CHECK] = "klero.check",
    [BACKUP_KEYS] = "klero.keys",
    [BACKUP_VKEY] = "klero.vkey",
    [BACKUP_JOURNAL] = CONF_JOURNAL,
};

/* What makes a store, in the order in which it takes its place: without the last nothing starts. */
static const char *const parts[] = {
    "klero.db", "klero.db-wal", "klero.check", "klero.vkey", "proofs", "klero.new", "klero.keys"};
#define PARTS (sizeof parts / sizeof parts[0])

static int say(struct stage *s, int r, const char *what, const char *how)
{
	snprintf(s->why, sizeof s->why, "%s: %s", what, how);
	return r;
}

static int path_in(struct stage *s, const char *folder, const char *name, char path[MADE_PATH])
{
	return snprintf(path, MADE_PATH, "%s/%s", folder, name) < MADE_PATH
		   ? KE_OK
		   : say(s, KE_LONG, folder, "the path is too long");
}

/* What is removed as a whole: its list is the folder alone. */
static void remove_folder(const char *folder)
{
	struct made one = {.n = 1};

	snprintf(one.path[0], MADE_PATH, "%s", folder);
	made_undo(&one, folder);
}

/*
 * hsm's journal is never replaced: one that is here knows as much as the backup's, or more. Where
 * there is none, the backup's is staged beside its place, out of engine's reach.
 */
static int stage_journal(struct stage *s)
{
	char folder[RCONF_PATH + 16], path[MADE_PATH];
	int r;

	conf_journal_folder(s->conf, folder);
	r = path_in(s, folder, CONF_JOURNAL, path);
	if (r != KE_OK || access(path, F_OK) == 0)
		return r;
	r = path_in(s, folder, CONF_JOURNAL ".restoring", s->journal);
	if (r == KE_OK)
		r = made_folder(&s->made, folder, 0700, NULL, s->why, sizeof s->why);
	if (r == KE_OK && unlink(s->journal) != 0 && errno != ENOENT)
		r = say(s, KE_IO, s->journal, strerror(errno));
	return r;
}

int stage_open(struct stage *s, const struct conf *conf, bool check)
{
	struct stat st;
	int r;

	*s = (struct stage){.conf = conf};
	memcpy(s->store, conf->store, sizeof s->store);
	r = conf_identity(conf, ROLE_ENGINE, &s->engine, s->why, sizeof s->why);
	if (r == KE_OK)
		r = path_in(s, s->store, "restoring", s->folder);
	if (r == KE_OK && !check)
		r = stage_journal(s);

	if (r == KE_OK)
		r = made_folder(&s->made, s->store, 0700, &s->engine, s->why, sizeof s->why);
	if (r == KE_OK && lstat(s->folder, &st) == 0)
		remove_folder(s->folder);
	if (r == KE_OK)
		r = made_folder(&s->made, s->folder, 0700, &s->engine, s->why, sizeof s->why);
	return r;
}

void stage_undo(struct stage *s)
{
	free(s->cert);
	s->cert = NULL;
	if (s->journal[0] != '\0')
		unlink(s->journal);
	made_undo(&s->made, s->folder);
}

/* --- unpacking --- */

struct unpacking {
	struct stage *s;
	struct backup_reader reader;
	int fd;     /* of the present section, -1 */
	bool keeps; /* it stays ours, and is not engine's */
	uint8_t buf[PIECE];
};

static int begin_file(struct unpacking *u, const char *name)
{
	char path[MADE_PATH];
	int r = path_in(u->s, u->s->folder, name, path);

	if (r != KE_OK)
		return r;
	u->keeps = name == files[BACKUP_JOURNAL];
	if (u->keeps)
		memcpy(path, u->s->journal, sizeof path);
	u->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return u->fd >= 0 ? KE_OK : say(u->s, KE_IO, path, strerror(errno));
}

static int end_file(struct unpacking *u)
{
	const struct rconf_identity *id = &u->s->engine;
	bool ok = (u->keeps || geteuid() != 0 || fchown(u->fd, id->uid, id->gid) == 0) &&
		  fsync(u->fd) == 0;
	int r = ok ? KE_OK : say(u->s, KE_IO, u->s->folder, strerror(errno));

	close(u->fd);
	u->fd = -1;
	return r;
}

static int write_file(struct unpacking *u, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(u->fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return say(u->s, KE_IO, u->s->folder, strerror(errno));
		p += k;
		n -= (size_t)k;
	}
	return KE_OK;
}

/* Kept in memory: it goes elsewhere, if it is needed at all. */
static int take_cert(struct stage *s, const struct backup_piece *piece)
{
	char *more = realloc(s->cert, s->cert_len + piece->n + 1);

	if (more == NULL)
		return say(s, KE_NOMEM, "certificate", "out of memory");
	s->cert = more;
	memcpy(s->cert + s->cert_len, piece->p, piece->n);
	s->cert_len += piece->n;
	return KE_OK;
}

static bool too_long(const struct unpacking *u, const struct backup_piece *piece)
{
	const struct backup_manifest *found = &u->reader.found;

	return piece->name != BACKUP_STORE && piece->name != BACKUP_LOG &&
	       piece->name != BACKUP_TOKEN && piece->name != BACKUP_JOURNAL &&
	       found->section[found->sections - 1].len > SMALL;
}

static int take_piece(struct unpacking *u, const struct backup_piece *piece)
{
	const char *file = piece->name < BACKUP_NAMES ? files[piece->name] : NULL;
	int r = KE_OK;

	if (piece->name == BACKUP_NAMES)
		return KE_OK;
	if (too_long(u, piece))
		return say(u->s, KE_FORMAT, backup_words[piece->name], "is too long");
	if (piece->name == BACKUP_CERT)
		return take_cert(u->s, piece);
	if (piece->name == BACKUP_JOURNAL && u->s->journal[0] == '\0')
		return KE_OK;
	/* an empty log is none */
	if (file == NULL || (piece->first && piece->last && piece->n == 0))
		return KE_OK;
	if (piece->first)
		r = begin_file(u, file);
	if (r == KE_OK)
		r = write_file(u, piece->p, piece->n);
	return r == KE_OK && piece->last ? end_file(u) : r;
}

static int take(struct unpacking *u, const uint8_t *p, size_t n)
{
	struct backup_piece piece;
	size_t used;

	while (n > 0) {
		int r = backup_read(&u->reader, p, n, &used, &piece);

		if (r == KE_VERSION)
			return say(u->s, r, "the backup",
			    "it was made by a newer program, in another format: install that one");
		if (r != KE_OK)
			return say(
			    u->s, r, "the backup", "it is none, or it is damaged beyond reading");
		r = take_piece(u, &piece);
		if (r != KE_OK)
			return r;
		p += used;
		n -= used;
	}
	return KE_OK;
}

static int take_all(struct unpacking *u, int fd, struct progress *p)
{
	for (;;) {
		ssize_t n = read(fd, u->buf, sizeof u->buf);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return say(u->s, KE_IO, "the backup", strerror(errno));
		if (n == 0)
			return backup_read_end(&u->reader) == KE_OK
				   ? KE_OK
				   : say(u->s, KE_SHORT, "the backup",
					 "it was cut: its end is missing");
		progress_add(p, (uint64_t)n);
		r = take(u, u->buf, (size_t)n);
		if (r != KE_OK)
			return r;
	}
}

/* Against what the manifest says; whether the manifest is genuine is for hsm to say. */
static int compare(struct unpacking *u)
{
	struct stage *s = u->s;
	const char *note = u->reader.note, *end = memmem(note, u->reader.note_len, "\n\n", 2);
	char words[96];
	unsigned which;

	if (end == NULL || backup_parse(&s->m, note, (size_t)(end - note) + 1) != KE_OK)
		return say(s, KE_FORMAT, "the backup", "its manifest is damaged");
	if (backup_compare(&s->m, &u->reader.found, &which) == KE_OK)
		return KE_OK;
	snprintf(words, sizeof words,
	    "its section %s is not what its manifest says: damaged, or altered",
	    which < BACKUP_NAMES ? backup_words[which] : "list");
	return say(s, KE_CRYPTO, "the backup", words);
}

static int keep_manifest(struct unpacking *u)
{
	int r = begin_file(u, MANIFEST);

	if (r == KE_OK)
		r = write_file(u, (const uint8_t *)u->reader.note, u->reader.note_len);
	return r == KE_OK ? end_file(u) : r;
}

int stage_read(struct stage *s, int fd, struct progress *p)
{
	struct unpacking *u = calloc(1, sizeof *u);
	int r;

	if (u == NULL)
		return say(s, KE_NOMEM, "the backup", "out of memory");
	u->s = s;
	u->fd = -1;
	backup_reader_init(&u->reader);
	r = take_all(u, fd, p);
	progress_end(p);
	if (r == KE_OK)
		r = compare(u);
	if (r == KE_OK)
		r = keep_manifest(u);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
	return r;
}

/* --- taking its place --- */

bool stage_occupied(const struct stage *s)
{
	char path[MADE_PATH];

	for (size_t i = 0; i < PARTS; i++) {
		snprintf(path, sizeof path, "%.*s/%s", RCONF_PATH, s->store, parts[i]);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static int sync_folder(struct stage *s, const char *folder)
{
	return durable_folder(folder) ? KE_OK : say(s, KE_IO, folder, strerror(errno));
}

static int move_part(struct stage *s, const char *from, const char *to, const char *name)
{
	char old[MADE_PATH], fresh[MADE_PATH];
	int r = path_in(s, from, name, old);

	if (r == KE_OK)
		r = path_in(s, to, name, fresh);
	if (r == KE_OK && rename(old, fresh) != 0 && errno != ENOENT)
		r = say(s, KE_IO, fresh, strerror(errno));
	return r;
}

/* klero.keys first: from then on nothing starts until all is done. */
static int put_aside(struct stage *s, char aside[MADE_PATH])
{
	char name[48];
	int r;

	snprintf(name, sizeof name, "replaced-%lld", (long long)time(NULL));
	r = path_in(s, s->store, name, aside);
	if (r == KE_OK && mkdir(aside, 0700) != 0)
		r = say(s, KE_IO, aside, strerror(errno));
	for (size_t i = 1; r == KE_OK && i <= PARTS; i++)
		r = move_part(s, s->store, aside, parts[PARTS - i]);
	if (r == KE_OK)
		r = sync_folder(s, aside);
	return r == KE_OK ? sync_folder(s, s->store) : r;
}

static int settle_journal(struct stage *s)
{
	char folder[RCONF_PATH + 16], path[MADE_PATH];
	int r;

	if (s->journal[0] == '\0' || access(s->journal, F_OK) != 0)
		return KE_OK;
	conf_journal_folder(s->conf, folder);
	r = path_in(s, folder, CONF_JOURNAL, path);
	if (r == KE_OK && rename(s->journal, path) != 0)
		r = say(s, KE_IO, path, strerror(errno));
	return r == KE_OK ? sync_folder(s, folder) : r;
}

int stage_settle(struct stage *s, char aside[MADE_PATH])
{
	int r = settle_journal(s);

	aside[0] = '\0';
	if (r == KE_OK && stage_occupied(s))
		r = put_aside(s, aside);
	for (size_t i = 0; r == KE_OK && i < PARTS; i++) {
		if (i == PARTS - 1)
			r = sync_folder(s, s->store);
		if (r == KE_OK)
			r = move_part(s, s->folder, s->store, parts[i]);
	}
	if (r == KE_OK)
		r = sync_folder(s, s->store);
	if (r == KE_OK)
		remove_folder(s->folder);
	return r;
}
