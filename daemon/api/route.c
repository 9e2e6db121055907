/*
 * The route table, its router and the seeds' old paths: see route.h. Runs in net and engine;
 * what net hands in came from strangers.
 */
#include "daemon/api/route.h"

#include <stdio.h>
#include <string.h>

#include "policy/chain.h"
#include "policy/proposal.h"
#include "policy/tile.h"
#include "policy/tlog.h"
#include "policy/u256.h"

#define REQUIRED true
#define OPTIONAL false

#define FIELDS(...)                                                                                \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define PROBLEMS(...)                                                                              \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define F_TEXT(in, name, req, min, max)                                                            \
	{                                                                                          \
		name, in, FIELD_TEXT, req, min, max,                                               \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
/* A time as this API writes it: 2026-01-01T00:00:00.000Z */
#define F_TIME(in, name, req) F_TEXT(in, name, req, 24, 24)
#define F_SECRET(in, name, req, min, max)                                                          \
	{                                                                                          \
		name, in, FIELD_SECRET, req, min, max,                                             \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_EMAIL(in, name, req)                                                                     \
	{                                                                                          \
		name, in, FIELD_EMAIL, req, 3, 254,                                                \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_INT(in, name, req, min, max)                                                             \
	{                                                                                          \
		name, in, FIELD_INT, req, min, max,                                                \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_UUID(in, name, req)                                                                      \
	{                                                                                          \
		name, in, FIELD_UUID, req, 16, 16,                                                 \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_ENUM(in, name, req, ...)                                                                 \
	{                                                                                          \
		name, in, FIELD_ENUM, req, 0, 0,                                                   \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define F_MONEY(in, name, req, min)                                                                \
	{                                                                                          \
		name, in, FIELD_MONEY, req, min, MONEY_MAX,                                        \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_HEX(in, name, req, min, max)                                                             \
	{                                                                                          \
		name, in, FIELD_HEX, req, min, max,                                                \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_DECIMAL(in, name, req, max)                                                              \
	{                                                                                          \
		name, in, FIELD_DECIMAL, req, 1, max,                                              \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_LOG(in, name)                                                                            \
	{                                                                                          \
		name, in, FIELD_LOG, REQUIRED, 16, 16,                                             \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_TILE(in, name)                                                                           \
	{                                                                                          \
		name, in, FIELD_TILE, REQUIRED, 5, TILE_PATH_MAX,                                  \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_LIMIT()                                                                                  \
	{                                                                                          \
		"limit", IN_QUERY, FIELD_INT, OPTIONAL, 1, 100,                                    \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}
#define F_CURSOR()                                                                                 \
	{                                                                                          \
		"cursor", IN_QUERY, FIELD_CURSOR, OPTIONAL, 1, CURSOR_MAX,                         \
		{                                                                                  \
			0                                                                          \
		}                                                                                  \
	}

const struct route route_table[ROUTE_COUNT] = {
#define ROUTE(name, method, path, who, rate, idem, cache, status, shape, fields, own, what)        \
	[RT_##name] = {#name, method, path, who, rate, idem, cache, status, SHAPE_##shape, fields, \
	    own, what},
#include "daemon/api/route.def"
#undef ROUTE
};

const char *route_method_name(enum route_method m)
{
	static const char *const names[METHOD_COUNT] = {"GET", "POST", "PATCH", "PUT", "DELETE"};

	return (unsigned)m < METHOD_COUNT ? names[m] : "";
}

bool route_ignores_token(const struct route *row)
{
	return row->who == WHO_ANYONE && row->rate != RATE_ANON;
}

bool route_is_log(const struct route *row)
{
	return (row->cache & (CACHE_CHECKPOINTS | CACHE_TILES)) != 0;
}

/*
 * Does the path fit the pattern? {x} stands for one segment without a slash, {+x} for all that is
 * left.
 */
static bool fits(const char *pattern, const char *path, size_t n, struct route_param *params)
{
	const char *end = path + n;
	size_t count = 0;

	while (*pattern != '\0') {
		if (*pattern != '{') {
			if (path == end || *path++ != *pattern++)
				return false;
			continue;
		}
		const char *start = path;
		bool rest = pattern[1] == '+';

		while (path < end && (rest || *path != '/'))
			path++;
		if (path == start || count == ROUTE_PARAMS)
			return false;
		params[count++] = (struct route_param){start, (size_t)(path - start)};
		pattern = strchr(pattern, '}') + 1;
	}
	return path == end;
}

int route_match(int method, const char *path, size_t n, struct route_param params[ROUTE_PARAMS],
    unsigned *allow)
{
	struct route_param found[ROUTE_PARAMS];

	*allow = 0;
	for (int i = 0; i < ROUTE_COUNT; i++) {
		const struct route *row = &route_table[i];

		memset(found, 0, sizeof found);
		if (!fits(row->path, path, n, found))
			continue;
		*allow |= 1u << row->method;
		if ((int)row->method == method) {
			memcpy(params, found, sizeof found);
			return i;
		}
	}
	return *allow != 0 ? -2 : -1;
}

const char *route_moved(const char *path, size_t n, char *out, size_t cap)
{
	/* the seeds' bases; the row behind them has the same tail */
	static const struct {
		const char *from, *to;
	} moved[] = {
	    {"/api/users/me", "/api/v1/me"},
	    {"/api/", "/api/v1/"},
	    {"/auth/", "/api/v1/auth/"},
	};
	static const char base[] = "/api/v1/";
	struct route_param params[ROUTE_PARAMS];
	unsigned allow;
	int len;

	if (n >= sizeof base - 1 && memcmp(path, base, sizeof base - 1) == 0)
		return NULL;
	for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
		size_t f = strlen(moved[i].from);

		if (n < f || memcmp(path, moved[i].from, f) != 0)
			continue;
		len = snprintf(out, cap, "%s%.*s", moved[i].to, (int)(n - f), path + f);
		if (len < 0 || (size_t)len >= cap)
			return NULL;
		/* only where there is something to move to */
		if (route_match(-1, out, (size_t)len, params, &allow) == -2)
			return out;
	}
	return NULL;
}
