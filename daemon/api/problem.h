/*
 * Problem documents (RFC 9457) from the one list in problem.def. Runs in net (parser and router
 * errors) and engine (everything else), so that both speak alike.
 */
#ifndef DAEMON_API_PROBLEM_H
#define DAEMON_API_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

enum problem {
	PROBLEM_NONE,
#define PROBLEM(symbol, status, code, title) symbol,
#include "daemon/api/problem.def"
#undef PROBLEM
	PROBLEM_COUNT
};

struct problem_row {
	uint16_t status;
	const char *code, *title;
};
extern const struct problem_row problem_table[PROBLEM_COUNT];

#define PROBLEM_FIELDS_MAX 16 /* field errors in one document */

/* A field error: a JSON Pointer (or "query/limit", "path/id") and a kebab-case code. */
struct problem_field {
	char pointer[96];
	const char *code;
};

struct jsonw;
/* Writes the whole document. detail may be NULL (the title says it all). */
void problem_write(struct jsonw *w, enum problem p, const char *host, const char *detail,
    const uint8_t request_id[16], const struct problem_field *fields, size_t nfields);

#endif
