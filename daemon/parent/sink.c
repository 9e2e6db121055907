/*
 * Where log lines go: see sink.h.
 */
#include "daemon/parent/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/text.h"

/* <syslog.h>'s facility "daemon", and its severities by level */
#define FACILITY 3
#define LEVELS   (LOGL_SECURITY + 1)

static const struct {
	const char *word;
	int severity;
} levels[LEVELS] = {
    [LOGL_DEBUG] = {"debug", 7},
    [LOGL_INFO] = {"info", 6},
    [LOGL_WARN] = {"warn", 4},
    [LOGL_ERROR] = {"error", 3},
    [LOGL_SECURITY] = {"security", 2},
};

const char *sink_word(enum log_level level)
{
	return levels[level].word;
}

enum log_level sink_level(const char *line, const char **text)
{
	for (int i = 0; i < LEVELS; i++) {
		size_t n = strlen(levels[i].word);

		if (strncmp(line, levels[i].word, n) == 0 && line[n] == ' ') {
			*text = line + n + 1;
			return (enum log_level)i;
		}
	}
	*text = line;
	return LOGL_WARN;
}

void sink_lines(struct sink *s, int fd)
{
	*s = (struct sink){.kind = SINK_LINES, .fd = fd};
}

/* RFC 5424 wants printable ASCII without blanks, or "-". */
static void own_name(char host[65])
{
	if (gethostname(host, 65) != 0)
		host[0] = '\0';
	host[64] = '\0';
	for (size_t i = 0; host[i] != '\0'; i++)
		if (host[i] <= ' ' || host[i] > '~')
			host[0] = '\0';
	if (host[0] == '\0')
		snprintf(host, 65, "-");
}

int sink_socket(struct sink *s, enum sink_kind kind, const char *path)
{
	*s = (struct sink){.kind = kind, .fd = -1};
	own_name(s->host);
	return dgram_open(&s->to, path);
}

bool sink_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(here, sizeof here, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, here) == 0;
}

bool sink_is_stderr(const struct sink *s)
{
	return s->kind == SINK_JOURNAL || (s->kind == SINK_LINES && s->fd == STDERR_FILENO);
}

static size_t form(
    const struct sink *s, char *to, size_t cap, const char *origin, pid_t pid, const char *line)
{
	const char *text;
	enum log_level level = sink_level(line, &text);
	struct timespec now;
	char when[25];

	clock_gettime(CLOCK_REALTIME, &now);
	text_time(when, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	switch (s->kind) {
	case SINK_JOURNAL:
		return (size_t)snprintf(to, cap,
		    "SYSLOG_IDENTIFIER=klerod\nSYSLOG_FACILITY=%d\nPRIORITY=%d\nKLERO_LEVEL=%s\n"
		    "KLERO_ROLE=%s\nKLERO_PID=%d\nMESSAGE=%s: %s\n",
		    FACILITY, levels[level].severity, levels[level].word, origin, (int)pid, origin,
		    text);
	case SINK_SYSLOG:
		return (size_t)snprintf(to, cap, "<%d>1 %s %s klerod %d %s - %s: %s",
		    FACILITY * 8 + levels[level].severity, when, s->host, (int)pid,
		    levels[level].word, origin, text);
	default:
		return (size_t)snprintf(to, cap, "%s %s[%d] %s\n", when, origin, (int)pid, line);
	}
}

/* Only a field's or line's own end may be one: parent's words may hold what an operator wrote. */
static void one_line(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	for (; n < cap - 1 && src[n] != '\0'; n++)
		dst[n] = (char)(src[n] >= ' ' && src[n] < 0x7f ? src[n] : '?');
	dst[n] = '\0';
}

static int out(struct sink *s, const char *origin, pid_t pid, const char *line)
{
	char text[1200], whole[1600];
	size_t n;

	one_line(text, sizeof text, line);
	n = form(s, whole, sizeof whole, origin, pid, text);
	if (n >= sizeof whole) {
		n = sizeof whole - 1;
		whole[n - 1] = '\n';
	}
	if (s->kind != SINK_LINES)
		return dgram_send(&s->to, whole, n);
	return write(s->fd, whole, n) == (ssize_t)n ? KE_OK : KE_IO;
}

void sink_put(struct sink *s, const char *origin, pid_t pid, const char *line)
{
	char words[64];

	/* a full disk or a dead daemon must not stop the appliance */
	if (s->lost > 0) {
		snprintf(words, sizeof words, "warn %u lines of the log were lost", s->lost);
		if (out(s, "parent", getpid(), words) == KE_OK)
			s->lost = 0;
	}
	if (out(s, origin, pid, line) != KE_OK && s->lost < UINT32_MAX)
		s->lost++;
}
