/*
 * klero-verify's state file: see klero_verify_state.h. For each log a line "note <length>", the
 * signed note, and nothing else.
 */
#include "daemon/cli/klero_verify_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/klero_verify.h"
#include "daemon/conf/durable.h"
#include "policy/text.h"

#define STATE_MAX ((size_t)1 << 30)

static int said(const char *file, const char *what)
{
	fprintf(stderr, "klero-verify: %s: %s\n", file, what);
	return KE_IO;
}

/* --- reading --- */

/* One note; *p moves behind it. */
static int read_note(struct state *s, const char **p, const char *end)
{
	static const char word[] = "note ";
	const char *lf = memchr(*p, '\n', (size_t)(end - *p)), *number = *p + sizeof(word) - 1;
	struct checkpoint head;
	struct note_lines lines;
	uint64_t n;
	size_t text_len;

	if (lf == NULL || lf < number || memcmp(*p, word, sizeof(word) - 1) != 0 ||
	    text_unu64(&n, number, (size_t)(lf - number)) != KE_OK || n > STATE_NOTE_MAX ||
	    n > (size_t)(end - lf - 1) ||
	    note_lines_begin(&lines, lf + 1, (size_t)n, &text_len) != KE_OK ||
	    checkpoint_parse(&head, lf + 1, text_len) != KE_OK)
		return KE_FORMAT;
	*p = lf + 1 + n;
	return state_put(s, &head, lf + 1, (size_t)n);
}

int state_read(struct state *s, const char *file)
{
	char *buf;
	const char *p;
	size_t n;
	int r;

	memset(s, 0, sizeof(*s));
	if (access(file, F_OK) != 0 && errno == ENOENT)
		return KE_OK;
	r = verify_read(file, STATE_MAX, &buf, &n);
	for (p = buf; r == KE_OK && p < buf + n;) {
		r = read_note(s, &p, buf + n);
		if (r != KE_OK)
			r = said(file, "that is not a state that klero-verify has written");
	}
	free(buf);
	return r;
}

/* --- the notes, sorted by origin --- */

static size_t place(const struct state *s, const char *origin)
{
	size_t from = 0, to = s->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (strcmp(s->notes[mid].head.origin, origin) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

const struct checkpoint *state_get(const struct state *s, const char *origin)
{
	size_t i = place(s, origin);

	return i < s->n && strcmp(s->notes[i].head.origin, origin) == 0 ? &s->notes[i].head : NULL;
}

static int insert(struct state *s, size_t i)
{
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
		struct state_note *more = realloc(s->notes, cap * sizeof(*more));

		if (more == NULL)
			return KE_NOMEM;
		s->notes = more;
		s->cap = cap;
	}
	memmove(&s->notes[i + 1], &s->notes[i], (s->n - i) * sizeof(*s->notes));
	memset(&s->notes[i], 0, sizeof(*s->notes));
	s->n++;
	return KE_OK;
}

int state_put(struct state *s, const struct checkpoint *head, const char *note, size_t n)
{
	size_t i = place(s, head->origin);
	char *copy = malloc(n);

	if (copy == NULL || ((i == s->n || strcmp(s->notes[i].head.origin, head->origin) != 0) &&
				insert(s, i) != KE_OK)) {
		free(copy);
		return KE_NOMEM;
	}
	memcpy(copy, note, n);
	free(s->notes[i].note);
	s->notes[i] = (struct state_note){.head = *head, .note = copy, .n = n};
	return KE_OK;
}

void state_free(struct state *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->notes[i].note);
	free(s->notes);
	memset(s, 0, sizeof(*s));
}

/* --- writing --- */

static bool put_all(const struct state *s, int fd)
{
	char line[32];

	for (size_t i = 0; i < s->n; i++) {
		int n = snprintf(line, sizeof(line), "note %zu\n", s->notes[i].n);

		if (!durable_write(fd, line, (size_t)n) ||
		    !durable_write(fd, s->notes[i].note, s->notes[i].n))
			return false;
	}
	return fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

int state_write(const struct state *s, const char *file)
{
	char path[4000], temp[4096];
	bool good;
	int fd = -1;

	/* a name without a folder is of this one */
	if ((size_t)snprintf(path, sizeof(path), "%s%s", strchr(file, '/') == NULL ? "./" : "",
		file) < sizeof(path) &&
	    (size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) < sizeof(temp))
		fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return said(file, strerror(errno));
	good = put_all(s, fd);
	if (close(fd) != 0)
		good = false;
	if (good && rename(temp, path) == 0 && durable_name(path))
		return KE_OK;
	(void)said(file, strerror(errno));
	unlink(temp);
	return KE_IO;
}
