/*
 * kleroctl backup: one file with everything but the token (policy/backup.h), taken while the
 * appliance works. engine keeps klero.db as it is while it is read here, tells where the log ends,
 * and has hsm sign the manifest; the copying, and so the waiting for disks, is here. What is read
 * of the store is encrypted on the disk already. Runs in kleroctl; trusts engine and the files.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/cli/kleroctl_out.h"
#include "daemon/cli/kleroctl_progress.h"
#include "daemon/cli/kleroctl_prune.h"
#include "daemon/cli/kleroctl_token.h"
#include "hsm/once/journal.h"
#include "policy/backup.h"
#include "policy/jsonw.h"
#include "policy/text.h"

#define PIECE 65536
/* behind the appliance's own processes */
#define POLITE 10

struct taking {
	const struct ctl *ctl;
	bool token;
	uint32_t pruned; /* older ones, removed after it */
	const char *path;
	int fd; /* the control socket */
	struct exchange *x;
	struct out out;
	struct progress progress;
	struct backup_manifest m;
	uint64_t log_bytes;
	char anchor[ANCHOR_TEXT_MAX];
	size_t anchor_len;
	char signature[512];
	uint8_t piece[PIECE];
	char why[512];
};

static int say(struct taking *t, int status, const char *what, const char *how)
{
	snprintf(t->why, sizeof t->why, "%s: %s", what, how);
	return status;
}

/* --- engine --- */

static int talk(struct taking *t, uint16_t type, struct msg *m)
{
	int r = t->x->w.err;

	if (r == KE_OK)
		r = live_talk(t->fd, type, t->x, m);
	wire_out_init(&t->x->w, t->x->body, sizeof t->x->body);
	if (r != KE_OK)
		return say(t, CTL_UNREACHABLE, "klerod does not answer", ke_words(r));
	return CTL_OK;
}

/* i32 result, str text, then what the answer has besides; refused with engine's words. */
static int open_answer(
    struct taking *t, const struct msg *m, struct wire_in *in, const uint8_t **text, size_t *n)
{
	int32_t result;

	wire_in_init(in, m->body, m->len);
	result = wire_get_i32(in);
	*text = wire_get_str(in, MSG_BODY_MAX, n);
	if (in->err != KE_OK)
		return say(t, CTL_REFUSED, "klerod", "its answer is malformed");
	if (result == KE_OK)
		return CTL_OK;
	snprintf(t->why, sizeof t->why, "%.*s", (int)*n, (const char *)*text);
	if (*n == 0)
		snprintf(t->why, sizeof t->why, "klerod: %s", ke_words(result));
	return CTL_REFUSED;
}

static int begin(struct taking *t)
{
	const uint8_t *text;
	struct wire_in in;
	struct msg m;
	size_t n;
	int status = talk(t, MSG_CTL_BACKUP, &m);

	return status == CTL_OK ? open_answer(t, &m, &in, &text, &n) : status;
}

static int cut(struct taking *t)
{
	const uint8_t *text, *anchor;
	struct wire_in in;
	struct msg m;
	size_t n;
	int status = talk(t, MSG_CTL_BACKUP_CUT, &m);

	if (status == CTL_OK)
		status = open_answer(t, &m, &in, &text, &n);
	if (status != CTL_OK)
		return status;
	t->log_bytes = wire_get_u64(&in);
	anchor = wire_get_str(&in, sizeof t->anchor, &t->anchor_len);
	if (wire_end(&in) != KE_OK || backup_parse(&t->m, (const char *)text, n) != KE_OK)
		return say(t, CTL_REFUSED, "klerod", "its answer is malformed");
	memcpy(t->anchor, anchor, t->anchor_len);
	t->m.sections = 1; /* the store: told of before it was read */
	return CTL_OK;
}

static int sign(struct taking *t)
{
	char text[BACKUP_TEXT_MAX];
	const uint8_t *line;
	struct wire_in in;
	struct msg m;
	size_t n = 0;
	int status, r = backup_text(&t->m, text, sizeof text, &n);

	if (r != KE_OK)
		return say(t, CTL_REFUSED, "manifest", ke_words(r));
	wire_put_str(&t->x->w, text, n);
	status = talk(t, MSG_CTL_BACKUP_SIGN, &m);
	if (status == CTL_OK)
		status = open_answer(t, &m, &in, &line, &n);
	if (status == CTL_OK && (wire_end(&in) != KE_OK || n >= sizeof t->signature))
		return say(t, CTL_REFUSED, "klerod", "its answer is malformed");
	if (status == CTL_OK)
		snprintf(t->signature, sizeof t->signature, "%.*s", (int)n, (const char *)line);
	return status;
}

/* --- the file --- */

static int put(struct taking *t, const void *p, size_t n)
{
	if (out_write(&t->out, p, n) == KE_OK)
		return CTL_OK;
	return say(t, CTL_REFUSED, t->path, strerror(errno));
}

static int put_line(struct taking *t, unsigned name, uint64_t len)
{
	char line[BACKUP_LINE_MAX];

	return put(t, line, backup_line(line, name, len));
}

static int put_section(struct taking *t, unsigned name, const void *p, size_t n)
{
	struct backup_section *s = &t->m.section[t->m.sections++];
	int status = put_line(t, name, n);

	*s = (struct backup_section){.name = name, .len = n};
	hash_sha256(s->hash, p, n);
	return status == CTL_OK ? put(t, p, n) : status;
}

/* Exactly len bytes from fd. */
static int pour(struct taking *t, int fd, uint64_t len, const char *what, uint8_t hash[HASH_LEN])
{
	uint8_t run[HASH_STATE_LEN];
	int status = CTL_OK;

	hash_run_start(run);
	while (status == CTL_OK && len > 0) {
		ssize_t n = read(fd, t->piece, len < PIECE ? (size_t)len : PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return say(t, CTL_REFUSED, what,
			    n < 0 ? strerror(errno) : "it is shorter than it was");
		hash_run_add(run, t->piece, (size_t)n);
		status = put(t, t->piece, (size_t)n);
		len -= (uint64_t)n;
		progress_add(&t->progress, (uint64_t)n);
	}
	hash_run_end(hash, run);
	return status;
}

/* A store that is not encrypted would be no store of ours; its content never gets into a backup. */
static int check_encrypted(struct taking *t, int fd, const char *path)
{
	static const char plain[16] = "SQLite format 3";
	char head[sizeof plain];

	if (pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
	    memcmp(head, plain, sizeof head) == 0)
		return say(t, CTL_REFUSED, path, "is not encrypted");
	return CTL_OK;
}

static const char *in_store(const struct taking *t, const char *file, char path[RCONF_PATH + 16])
{
	snprintf(path, RCONF_PATH + 16, "%s/%s", t->ctl->conf.store, file);
	return path;
}

/* A large file; len UINT64_MAX: all of it. Returns with the section's hash filled in. */
static int put_big(
    struct taking *t, unsigned name, const char *path, uint64_t len, struct backup_section *s)
{
	struct stat st;
	int fd, status = CTL_OK;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		status = say(t, CTL_REFUSED, path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		status = say(t, CTL_REFUSED, path, "is no file");
	if (status == CTL_OK && name == BACKUP_STORE) {
		progress_begin(&t->progress, t->ctl, "backup", (uint64_t)st.st_size);
		status = check_encrypted(t, fd, path);
	}
	if (status == CTL_OK) {
		*s = (struct backup_section){
		    .name = name, .len = len == UINT64_MAX ? (uint64_t)st.st_size : len};
		status = put_line(t, name, s->len);
	}
	if (status == CTL_OK)
		status = pour(t, fd, s->len, path, s->hash);
	if (fd >= 0)
		close(fd);
	return status;
}

static int put_log(struct taking *t)
{
	struct backup_section *s = &t->m.section[t->m.sections++];
	char path[RCONF_PATH + 16];

	if (t->log_bytes > 0)
		return put_big(t, BACKUP_LOG, in_store(t, "klero.db-wal", path), t->log_bytes, s);

	t->m.sections--;
	return put_section(t, BACKUP_LOG, "", 0);
}

/* A small file as it is; one that is not there is left out, unless it has to be. */
static int put_small(struct taking *t, unsigned name, const char *path, bool required)
{
	FILE *f = fopen(path, "re");
	size_t n;
	bool bad;

	if (f == NULL && errno == ENOENT && !required)
		return CTL_OK;
	if (f == NULL)
		return say(t, CTL_REFUSED, path, strerror(errno));
	n = fread(t->piece, 1, PIECE, f);
	bad = ferror(f) != 0 || fgetc(f) != EOF;
	fclose(f);
	return bad ? say(t, CTL_REFUSED, path, "cannot be read, or is too long")
		   : put_section(t, name, t->piece, n);
}

static int put_of_store(struct taking *t, unsigned name, const char *file, bool required)
{
	char path[RCONF_PATH + 16];

	return put_small(t, name, in_store(t, file, path), required);
}

/* Whole records: hsm may be adding one. */
static int put_journal(struct taking *t)
{
	char folder[RCONF_PATH + 16], path[RCONF_PATH + 32];
	struct stat st;

	conf_journal_folder(&t->ctl->conf, folder);
	snprintf(path, sizeof path, "%s/" CONF_JOURNAL, folder);
	if (stat(path, &st) != 0)
		return errno == ENOENT ? CTL_OK : say(t, CTL_REFUSED, path, strerror(errno));
	return put_big(t, BACKUP_JOURNAL, path,
	    (uint64_t)st.st_size / JOURNAL_RECORD * JOURNAL_RECORD, &t->m.section[t->m.sections++]);
}

/* klero.keys after the log: what the store is sealed under by then stands in it. */
static int put_rest(struct taking *t)
{
	int status = put_of_store(t, BACKUP_CHECK, "klero.check", false);

	if (status == CTL_OK)
		status = put_of_store(t, BACKUP_KEYS, "klero.keys", true);
	if (status == CTL_OK)
		status = put_of_store(t, BACKUP_VKEY, "klero.vkey", false);
	if (status == CTL_OK)
		status = put_journal(t);
	if (status == CTL_OK && t->anchor_len > 0)
		status = put_section(t, BACKUP_ANCHOR, t->anchor, t->anchor_len);
	if (status == CTL_OK)
		status = put_small(t, BACKUP_CONF, t->ctl->conf_path, true);
	if (status == CTL_OK)
		status = put_small(t, BACKUP_CERT, t->ctl->conf.tls_certificate, false);
	return status;
}

static int put_token(struct taking *t)
{
	struct backup_section *s = &t->m.section[t->m.sections];
	uint64_t n = 0;
	int fd = -1, status;

	if (!t->token)
		return CTL_OK;
	status = token_pack(t->ctl, t->anchor, t->anchor_len, &fd, &n, t->why, sizeof t->why);
	if (status != CTL_OK)
		return status;
	*s = (struct backup_section){.name = BACKUP_TOKEN, .len = n};
	t->m.sections++;
	status = put_line(t, BACKUP_TOKEN, n);
	if (status == CTL_OK)
		status = pour(t, fd, n, "the token folder", s->hash);
	close(fd);
	return status;
}

static int put_manifest(struct taking *t)
{
	char note[BACKUP_NOTE_MAX];
	size_t n = 0, line = strlen(t->signature);
	int status;

	if (backup_text(&t->m, note, BACKUP_TEXT_MAX, &n) != KE_OK || n + 1 + line > sizeof note)
		return say(t, CTL_REFUSED, "manifest", "it is too long");
	note[n++] = '\n';
	memcpy(note + n, t->signature, line);
	n += line;
	status = put_line(t, BACKUP_NAMES, n);
	if (status == CTL_OK)
		status = put(t, note, n);
	return status == CTL_OK ? put(t, BACKUP_END, strlen(BACKUP_END)) : status;
}

static int take(struct taking *t)
{
	struct backup_section store = {0};
	char path[RCONF_PATH + 16];
	int status = begin(t);

	if (status == CTL_OK)
		status = put(t, BACKUP_MAGIC, strlen(BACKUP_MAGIC));
	if (status == CTL_OK)
		status =
		    put_big(t, BACKUP_STORE, in_store(t, "klero.db", path), UINT64_MAX, &store);
	if (status == CTL_OK)
		status = cut(t);
	t->m.section[0] = store;
	if (status == CTL_OK)
		status = put_log(t);
	if (status == CTL_OK)
		status = put_rest(t);
	if (status == CTL_OK)
		status = put_token(t);
	if (status == CTL_OK)
		status = sign(t);
	return status == CTL_OK ? put_manifest(t) : status;
}

/* --- words --- */

static int tell(const struct taking *t, struct ctl *ctl)
{
	FILE *to = ctl->bytes ? stderr : stdout;
	char made[25], buf[1024];
	struct jsonw w;

	text_time(made, (int64_t)t->m.made_s * 1000);
	if (!ctl->json) {
		fprintf(to, "%s: the store as of %s, %llu bytes, %llu audit lines, schema %llu\n",
		    t->path, made, (unsigned long long)t->out.written,
		    (unsigned long long)t->m.audit, (unsigned long long)t->m.schema);
		fprintf(to, "it opens with this token only%s\n",
		    t->token ? ", which it holds for the officers"
			     : ": keep the token's own backup, too");
		if (t->pruned > 0)
			fprintf(to, "older ones removed: %u\n", t->pruned);
		return CTL_OK;
	}
	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kbool(&w, "ok", true);
	jsonw_kcstr(&w, "file", t->path);
	jsonw_kcstr(&w, "made", made);
	jsonw_kint(&w, "bytes", (int64_t)t->out.written);
	jsonw_kint(&w, "schema", (int64_t)t->m.schema);
	jsonw_kint(&w, "audit_lines", (int64_t)t->m.audit);
	jsonw_kbool(&w, "with_token", t->token);
	jsonw_kint(&w, "pruned", (int64_t)t->pruned);
	jsonw_object_end(&w);
	return ctl_json(ctl, &w);
}

static int open_out(struct taking *t)
{
	int r;

	if (strcmp(t->path, "-") == 0 && isatty(STDOUT_FILENO))
		return say(t, CTL_USAGE, "standard output", "a backup is nothing for a terminal");
	r = out_open(&t->out, t->path);
	if (r == KE_OK)
		return CTL_OK;
	return say(t, CTL_REFUSED, t->path,
	    r == KE_EXISTS ? "is there already"
	    : r == KE_LONG ? "too long"
			   : strerror(errno));
}

static int commit(struct taking *t)
{
	int r = out_commit(&t->out);

	if (r == KE_OK)
		return CTL_OK;
	return say(t, CTL_REFUSED, t->path, r == KE_EXISTS ? "is there already" : strerror(errno));
}

static int run(struct taking *t)
{
	int status = open_out(t);

	if (status != CTL_OK)
		return status;
	t->fd = live_reach(t->ctl);
	if (t->fd < 0) {
		snprintf(t->why, sizeof t->why, "no klerod at %s/ctl.sock: %s",
		    t->ctl->conf.run_dir, strerror(errno));
		status = CTL_UNREACHABLE;
	} else {
		status = take(t);
		progress_end(&t->progress);
		close(t->fd);
	}
	if (status == CTL_OK)
		status = commit(t);
	out_abandon(&t->out);
	return status;
}

/* After a backup that is on the disk: the present one counts among those that remain. */
static int prune_others(struct taking *t)
{
	if (prune(&t->ctl->conf, &t->pruned, t->why, sizeof t->why) == KE_OK)
		return CTL_OK;
	return CTL_REFUSED;
}

int ctl_backup(struct ctl *ctl, int argc, char **argv)
{
	static struct taking t;
	bool prunes = ctl_given(ctl, "prune") != NULL;
	char name[PRUNE_PATH];
	int status;

	if (argc == 0 && ctl->conf.backup_folder[0] == '\0')
		return ctl_fail(CTL_USAGE, "name a file, or set backup-folder in klerod.conf");
	if (argc > 0 && prunes)
		return ctl_fail(CTL_USAGE, "--prune is for backup-folder: name no file");
	prune_name(&ctl->conf, time(NULL), name);
	t = (struct taking){.ctl = ctl,
	    .path = argc > 0 ? argv[0] : name,
	    .token = ctl_given(ctl, "with-token") != NULL,
	    .x = exchange_new()};
	ctl->bytes = strcmp(t.path, "-") == 0;
	if (t.x == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	/* were it not polite, it would only be a little faster */
	(void)setpriority(PRIO_PROCESS, 0, POLITE);
	umask(077);
	status = run(&t);
	sodium_free(t.x);
	if (status == CTL_OK && prunes)
		status = prune_others(&t);
	if (status != CTL_OK)
		return ctl_fail(status, "%s", t.why);
	return tell(&t, ctl);
}
