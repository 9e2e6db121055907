/*
 * Audit lines: see audit.h. Runs in engine.
 */
#include "daemon/engine/audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "db/db_audit.h"

int audit_add(struct rq *q, const uint8_t *actor, const char *action, const uint8_t *subject,
    const char *fmt, ...)
{
	char detail[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof detail)
		return KE_LONG;
	return db_audit_append(q->e->db, q->now_ms, actor, action, subject, detail, (size_t)n);
}

static bool harmless(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

void audit_prefix(char out[AUDIT_PREFIX], const struct api_value *email)
{
	size_t n = 0;

	for (; n < 2 && n < email->n && harmless(email->p[n]); n++)
		out[n] = (char)email->p[n];
	memcpy(out + n, "…", sizeof "…");
}
