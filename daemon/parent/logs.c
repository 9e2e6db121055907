/*
 * The log: see logs.h.
 */
#include "daemon/parent/logs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/parent/roles.h"
#include "daemon/parent/sink.h"

/* What one role may write: so much at once, and in the long run so many bytes a second. */
#define LOGS_BURST ((size_t)256 << 10)
#define LOGS_RATE  8192

/* How a line ends that standard error gets too: the reason why the start failed. */
static void echo(struct parent *p, const char *text)
{
	char line[1400];
	int n = snprintf(line, sizeof line, "klerod: %s\n", text);

	if (p->told)
		return;
	p->told = true;
	if (!sink_is_stderr(&p->log) && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody reads it */
}

void logs_say(struct parent *p, enum log_level level, const char *fmt, ...)
{
	char text[1100];
	size_t n = (size_t)snprintf(text, sizeof text, "%s ", sink_word(level));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - n, fmt, ap);
	va_end(ap);
	sink_put(&p->log, "parent", getpid(), text);
	if (p->phase == PHASE_BOOT && level >= LOGL_ERROR)
		echo(p, text + n);
}

void logs_begin(struct child *c)
{
	c->line_len = 0;
	c->log_ms = parent_now();
	c->log_left = LOGS_BURST;
	c->log_dropped = 0;
}

/* Whoever captures a role must not fill the disk with its log. */
static bool may_say(struct child *c, size_t n)
{
	int64_t now = parent_now(), more = (now - c->log_ms) * LOGS_RATE / 1000;

	if (more > 0) {
		c->log_left += (size_t)more;
		c->log_ms = now;
	}
	if (c->log_left > LOGS_BURST)
		c->log_left = LOGS_BURST;
	if (c->log_left < n) {
		c->log_dropped++;
		return false;
	}
	c->log_left -= n;
	return true;
}

static void say_dropped(struct parent *p, struct child *c)
{
	if (c->log_dropped > 0)
		logs_say(p, LOGL_WARN, "%s.%u said too much: %u lines are lost", role_word(c->role),
		    c->index, c->log_dropped);
	c->log_dropped = 0;
}

/* Why a role does not start, and which line of klerod.conf that is about. */
static void tell_place(struct parent *p, enum role role, const char *text)
{
	const struct conf_token *token = role == ROLE_TLSKEY ? &p->conf.tls : &p->conf.keys;
	char words[1300];

	snprintf(words, sizeof words, "%s: %s", role_word(role), text);
	if (roles_hold_keys(role))
		conf_blame(&p->conf, conf_about(&p->conf, token, text), words, sizeof words);
	else if (role == ROLE_ENGINE && strstr(text, p->conf.store) != NULL)
		conf_blame(&p->conf, p->conf.store, words, sizeof words);
	echo(p, words);
}

static void finish_line(struct parent *p, struct child *c)
{
	char origin[32];
	const char *text;
	size_t n = c->line_len;

	if (n == 0)
		return;
	c->line[n] = '\0';
	c->line_len = 0;
	if (!may_say(c, n))
		return;
	say_dropped(p, c);
	snprintf(origin, sizeof origin, "%s.%u", role_word(c->role), c->index);
	sink_put(&p->log, origin, c->pid, c->line);
	if (sink_level(c->line, &text) < LOGL_ERROR || p->phase != PHASE_BOOT)
		return;
	tell_place(p, c->role, text);
	c->spoke = true;
}

static void take(struct parent *p, struct child *c, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char ch = s[i];

		if (ch == '\n' || c->line_len == sizeof c->line - 1)
			finish_line(p, c);
		if (ch != '\n')
			c->line[c->line_len++] = (char)(ch >= ' ' && ch < 0x7f ? ch : '?');
	}
}

void logs_read(struct parent *p, struct child *c, bool end)
{
	char some[4096];
	ssize_t n;

	/* a role that writes without end must not keep parent here; what is left comes next turn */
	for (int turns = 0; turns < 16; turns++) {
		n = c->log < 0 ? -1 : read(c->log, some, sizeof some);
		if (n == 0) { /* it has closed its end: no reason to be woken again */
			close(c->log);
			c->log = -1;
		}
		if (n <= 0)
			break;
		take(p, c, some, (size_t)n);
	}
	if (!end)
		return;
	finish_line(p, c);
	say_dropped(p, c);
}
