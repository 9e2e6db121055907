/*
 * The operator log: the records of every raffle's life, in order, for good (DRAW.md sections 3 and
 * 6). A record is appended in the turn of what it records, so that neither is ever without the
 * other; its checkpoint follows (ckpt.h). Runs in engine.
 */
#ifndef DAEMON_ENGINE_OPLOG_H
#define DAEMON_ENGINE_OPLOG_H

#include <stddef.h>
#include <stdint.h>

#include "db/db_log.h"
#include "policy/record2.h"

struct engine;

struct oplog_record {
	enum record2_kind kind;
	uint64_t index;
	int64_t at_ms;
	uint8_t leaf[32]; /* leaf hash */
	size_t len;
	char text[DB_LOG_TEXT_MAX + 1]; /* with a NUL */
};

/*
 * Appends a record's text as the next leaf, whose index it sets; within the caller's turn and
 * savepoint. KE_LONG above DB_LOG_TEXT_MAX bytes, which no entry of a tile can hold.
 */
int oplog_append(struct engine *e, const uint8_t raffle[16], enum record2_kind kind,
    const char *text, size_t n, int64_t now_ms, uint64_t *index) KE_CHECK;

/* The newest record of that kind of a raffle; KE_NOTFOUND. */
int oplog_get(struct engine *e, const uint8_t raffle[16], enum record2_kind kind,
    struct oplog_record *rec) KE_CHECK;

#endif
