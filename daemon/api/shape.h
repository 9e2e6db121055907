/*
 * The objects of the API's answers as data: daemon/api/shape.def read into structures, for
 * openapi.json. Runs in net. Pure data.
 */
#ifndef DAEMON_API_SHAPE_H
#define DAEMON_API_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

enum shape_id {
	SHAPE_NONE,    /* no body */
	SHAPE_METRICS, /* Prometheus's text format */
	SHAPE_PAGE,    /* HTML */
	SHAPE_TEXT,    /* plain text: a checkpoint, a proof */
	SHAPE_OCTETS,  /* bytes: a tile */
#define SHAPE(symbol, ...) SHAPE_##symbol,
#include "daemon/api/shape.def"
#undef SHAPE
	SHAPE_COUNT
};

enum member_type {
	MEMBER_TEXT, /* at most max bytes of UTF-8 */
	MEMBER_WORD, /* one of words */
	MEMBER_INT,  /* min..max */
	MEMBER_INT_OR_NULL,
	MEMBER_BOOL,
	MEMBER_UUID,
	MEMBER_TIME,  /* RFC 3339, UTC, milliseconds */
	MEMBER_HEX,   /* min..max bytes in lower case */
	MEMBER_MONEY, /* amount at least min */
	MEMBER_TEXTS, /* at most max strings */
	MEMBER_ONE,   /* an object of the shape `of` */
	MEMBER_LIST,  /* at most max of them */
	MEMBER_ANY    /* any JSON */
};

#define MEMBER_WORDS  10
#define SHAPE_MEMBERS 48

struct member {
	const char *name; /* NULL ends the list */
	enum member_type type;
	bool always;
	int64_t min, max;
	enum shape_id of;
	const char *words[MEMBER_WORDS + 1];
};

struct shape {
	const char *name; /* NULL for what is no JSON */
	struct member members[SHAPE_MEMBERS + 1];
};

extern const struct shape shape_table[SHAPE_COUNT];

/* The media type of an answer of that shape, lower case. */
const char *shape_media(enum shape_id shape);
/* The member of that name, or NULL. */
const struct member *shape_member(enum shape_id shape, const char *name);

#endif
