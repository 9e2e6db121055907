/*
 * The route table as data: daemon/api/route.def read into structures. Shared by net (router,
 * validation, openapi.json) and engine (authorisation, idempotency, handlers).
 * Pure data and look-ups; trusts nobody: net gives it what strangers sent.
 */
#ifndef DAEMON_API_ROUTE_H
#define DAEMON_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/api/problem.h"
#include "daemon/api/shape.h"
#include "policy/roles.h"

enum route_method { GET, POST, PATCH, PUT, DELETE, METHOD_COUNT };

/* WHO_* says which set of roles (policy/roles.h) may call a route. */
#define WHO_ANYONE    0
#define WHO_USER      ROLES_ALL
#define WHO_ORGANISER (ROLE_BIT_ORGANISER | ROLE_BIT_ADMIN)
#define WHO_AUDITOR   (ROLE_BIT_AUDITOR | ROLE_BIT_ADMIN)
#define WHO_ADMIN     ROLE_BIT_ADMIN

enum route_rate { RATE_FREE, RATE_ANON, RATE_AUTH, RATE_APPROVAL, RATE_LOGS };
enum route_idem { IDEM_NONE, IDEM_ACCEPTED, IDEM_REQUIRED };
enum route_cache {
	CACHE_NO = 0,
	CACHE_RAFFLES = 1,
	CACHE_KEYS = 2,
	CACHE_CHECKPOINTS = 4,
	CACHE_TILES = 8 /* never stale */
};

enum field_in { IN_PATH, IN_QUERY, IN_BODY, IN_TEXT }; /* the body as it is, no JSON */
enum field_type {
	FIELD_TEXT,    /* UTF-8 without control characters but LF and TAB; min..max in bytes */
	FIELD_SECRET,  /* as TEXT; never logged, wiped after use */
	FIELD_EMAIL,   /* 3..254 bytes, one @, normalised to lower case by net */
	FIELD_INT,     /* integer min..max */
	FIELD_UUID,    /* canonical text form, 16 bytes on the wire */
	FIELD_ENUM,    /* one of words */
	FIELD_MONEY,   /* {"amount", "currency"}; amount min..2^53-1; currency [A-Z0-9]{2,8} */
	FIELD_HEX,     /* lower-case hex; min..max bytes; raw bytes on the wire */
	FIELD_DECIMAL, /* a whole number as digits in a string, 1..max of them: beyond 2^53 */
	FIELD_LOG,   /* a raffle's id as UUID or, as origins have it, as 32 hex digits; 16 bytes */
	FIELD_TILE,  /* the path of a tile (policy/tile.h), slashes and all */
	FIELD_CURSOR /* opaque base64url, up to CURSOR_MAX bytes of text */
};

#define FIELD_WORDS    12
#define ROUTE_FIELDS   20
#define ROUTE_PROBLEMS 16
#define MONEY_MAX      INT64_C(9007199254740991) /* 2^53 - 1 */
#define CURSOR_MAX     384

struct field {
	const char *name; /* NULL ends the list */
	enum field_in in;
	enum field_type type;
	bool required;
	int64_t min, max;
	const char *words[FIELD_WORDS]; /* ENUM; NULL ends */
};

struct route {
	const char *name; /* metrics label and operationId */
	enum route_method method;
	const char *path;
	uint8_t who;
	enum route_rate rate;
	enum route_idem idem;
	enum route_cache cache;
	uint16_t status;
	enum shape_id shape; /* of the answer; of its items when row is a list */
	struct field fields[ROUTE_FIELDS + 1];
	enum problem own[ROUTE_PROBLEMS]; /* a shorter list ends with PROBLEM_NONE */
	const char *what;
};

enum route_id {
#define ROUTE(name, ...) RT_##name,
#include "daemon/api/route.def"
#undef ROUTE
	ROUTE_COUNT
};

extern const struct route route_table[ROUTE_COUNT];

const char *route_method_name(enum route_method m);

/* Is it a log's, which pages of any origin may read? Its errors may be kept by nobody. */
bool route_is_log(const struct route *row);

/*
 * Rows open to anyone do not look at a token, unless it spared the request from being counted per
 * address: then it must be a real one.
 */
bool route_ignores_token(const struct route *row);

/* The parameters of a matched path, views into the request target, in the order of the path. */
struct route_param {
	const char *p;
	size_t n;
};
#define ROUTE_PARAMS 4

/*
 * Finds the row for a method and a path (no query; not percent-decoded: our paths need none).
 * Returns the route id, -1 when no row has this path, -2 when the path exists with other
 * methods only; *allow then has a bit per method that exists (1 << enum route_method).
 */
int route_match(int method, const char *path, size_t n, struct route_param params[ROUTE_PARAMS],
    unsigned *allow);

/* Where a seed platform's old path lives now (308), or NULL: API.md "Base". Static storage per
 * call site is not used: the new path is written to out (cap bytes). */
const char *route_moved(const char *path, size_t n, char *out, size_t cap);

#endif
