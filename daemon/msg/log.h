/*
 * Log lines. A role writes one line per event to descriptor 2, a pipe whose other end parent
 * holds; parent adds the time and the role. Every byte outside printable ASCII is escaped, so a
 * line is a line whatever a client put into it. No secret and no whole e-mail address, phone
 * number, token or code is ever given to these functions.
 * Part of the message layer; compiled into every process.
 */
#ifndef DAEMON_MSG_LOG_H
#define DAEMON_MSG_LOG_H

enum log_level { LOGL_DEBUG, LOGL_INFO, LOGL_WARN, LOGL_ERROR, LOGL_SECURITY };

/* One line of at most 1,000 bytes: "<level> <text>\n" in one write. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_info(...)     log_line(LOGL_INFO, __VA_ARGS__)
#define log_warn(...)     log_line(LOGL_WARN, __VA_ARGS__)
#define log_error(...)    log_line(LOGL_ERROR, __VA_ARGS__)
#define log_security(...) log_line(LOGL_SECURITY, __VA_ARGS__)

/* A broken invariant or a failed start: one line with the function's name, then _exit(1). */
void log_fatal(const char *func, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), noreturn));
#define fatal(...) log_fatal(__func__, __VA_ARGS__)

#endif
