/*
 * Where log lines go: a file or standard error, systemd's journal with fields, or a syslog daemon.
 * Runs in parent only; trusts no role with the form of a line.
 * Sources: systemd's "Native Journal Protocol", RFC 5424.
 */
#ifndef DAEMON_PARENT_SINK_H
#define DAEMON_PARENT_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/parent/dgram.h"
#include "daemon/msg/log.h"

#define SINK_JOURNAL_PATH "/run/systemd/journal/socket"

enum sink_kind {
	SINK_LINES,   /* "2026-11-21T09:00:00.123Z net.0[4711] info text" */
	SINK_JOURNAL, /* a datagram of fields */
	SINK_SYSLOG   /* a datagram of RFC 5424 */
};

struct sink {
	enum sink_kind kind;
	int fd;          /* of SINK_LINES; the others have a socket */
	struct dgram to; /* the socket of the others */
	char host[65];   /* RFC 5424's HOSTNAME */
	uint32_t lost;   /* lines that nobody took */
};

/* Lines to a descriptor, which stays the caller's. */
void sink_lines(struct sink *s, int fd);

/*
 * Datagrams to the socket at path, which need not be there yet: whoever listens may come and go.
 * KE_LONG, KE_IO.
 */
int sink_socket(struct sink *s, enum sink_kind kind, const char *path) KE_CHECK;

/* Is standard error systemd's journal? So says JOURNAL_STREAM, and the descriptor itself. */
bool sink_is_journal(void);

/* Does what is written reach who reads standard error, too? */
bool sink_is_stderr(const struct sink *s);

/*
 * One line: origin is "parent" or a role and its number; line is "<level> <text>". What has no
 * level is taken for a warning: a library's own words. Never waits; what nobody takes is counted
 * and told when somebody does.
 */
void sink_put(struct sink *s, const char *origin, pid_t pid, const char *line);

/* The level that a line begins with, and in *text what follows it; LOGL_WARN and all for none. */
enum log_level sink_level(const char *line, const char **text);
const char *sink_word(enum log_level level);

#endif
