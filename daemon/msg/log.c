/*
 * Log lines to descriptor 2: see log.h. Compiled into every process.
 */
#include "daemon/msg/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1000

static const char *const words[] = {"debug", "info", "warn", "error", "security"};

/* Escapes src into dst as one printable line; cuts what does not fit. Returns the length. */
static size_t escape(char *dst, size_t cap, const char *src)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; *src != '\0' && n + 4 <= cap; src++) {
		unsigned char c = (unsigned char)*src;

		if (c >= 0x20 && c < 0x7f && c != '\\') {
			dst[n++] = (char)c;
			continue;
		}
		dst[n++] = '\\';
		dst[n++] = 'x';
		dst[n++] = digits[c >> 4];
		dst[n++] = digits[c & 15];
	}
	return n;
}

static void line(enum log_level level, const char *prefix, const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES], out[LINE_MAX_BYTES + 32];
	size_t n;
	ssize_t done;

	vsnprintf(text, sizeof text, fmt, ap);
	n = (size_t)snprintf(out, 32, "%s ", words[level]);
	n += escape(out + n, 128, prefix);
	n += escape(out + n, sizeof out - 1 - n, text);
	out[n++] = '\n';
	/* a lost log line must not stop the role: there is nobody to tell */
	done = write(STDERR_FILENO, out, n);
	(void)done;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(level, "", fmt, ap);
	va_end(ap);
}

void log_fatal(const char *func, const char *fmt, ...)
{
	char prefix[96];
	va_list ap;

	snprintf(prefix, sizeof prefix, "%s: ", func);
	va_start(ap, fmt);
	line(LOGL_ERROR, prefix, fmt, ap);
	va_end(ap);
	_exit(1);
}
