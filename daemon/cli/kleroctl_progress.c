/*
 * How far long work has come: see kleroctl_progress.h.
 */
#include "daemon/cli/kleroctl_progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, uint64_t of)
{
	*p = (struct progress){
	    .what = what, .of = of, .terminal = isatty(STDERR_FILENO) == 1, .quiet = ctl->json};
	p->next_ms = now() + (p->terminal ? PROGRESS_TERMINAL_MS : PROGRESS_PLAIN_MS);
}

bool progress_line(struct progress *p, int64_t now_ms, char *line, size_t len)
{
	unsigned long long mib = (unsigned long long)(p->done / MIB);

	if (p->quiet || now_ms < p->next_ms)
		return false;
	p->next_ms = now_ms + (p->terminal ? PROGRESS_TERMINAL_MS : PROGRESS_PLAIN_MS);
	if (p->of == 0)
		snprintf(line, len, "%s: %llu MiB", p->what, mib);
	else
		snprintf(line, len, "%s: %u %% of %llu MiB", p->what,
		    (unsigned)(p->done >= p->of ? 100 : (double)p->done * 100 / (double)p->of),
		    (unsigned long long)(p->of / MIB));
	return true;
}

void progress_add(struct progress *p, uint64_t n)
{
	char line[128];

	p->done += n;
	if (!progress_line(p, now(), line, sizeof line))
		return;
	/* to the line's begin, and what stood behind it away */
	fprintf(stderr, p->terminal ? "\r%s\033[K" : "kleroctl: %s\n", line);
	p->shown = true;
}

void progress_end(struct progress *p)
{
	if (p->terminal && p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
