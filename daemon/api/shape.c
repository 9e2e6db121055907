/*
 * The objects of the API's answers: see shape.h. Runs in net. Pure data.
 */
#include "daemon/api/shape.h"

#include <stddef.h>
#include <string.h>

#include "daemon/api/route.h"
#include "policy/chain.h"

#define ALWAYS    true
#define SOMETIMES false

#define MEMBERS(...)                                                                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define M(n, t, w, ...)                                                                            \
	{                                                                                          \
		.name = (n), .type = MEMBER_##t, .always = (w), __VA_ARGS__                        \
	}
#define M_TEXT(name, when, most)        M(name, TEXT, when, .max = (most))
#define M_WORD(name, when, ...)         M(name, WORD, when, .words = {__VA_ARGS__})
#define M_INT(name, when, least, most)  M(name, INT, when, .min = (least), .max = (most))
#define M_COUNT(name, when)             M_INT(name, when, 1, MONEY_MAX)
#define M_COUNT_OR_NULL(name, when)     M(name, INT_OR_NULL, when, .min = 1, .max = MONEY_MAX)
#define M_BOOL(name, when)              M(name, BOOL, when, .max = 1)
#define M_UUID(name, when)              M(name, UUID, when, .max = 16)
#define M_TIME(name, when)              M(name, TIME, when, .max = 24)
#define M_HEX(name, when, least, most)  M(name, HEX, when, .min = (least), .max = (most))
#define M_MONEY(name, when, least)      M(name, MONEY, when, .min = (least), .max = MONEY_MAX)
#define M_TEXTS(name, when, most)       M(name, TEXTS, when, .max = (most))
#define M_ONE(name, when, shape)        M(name, ONE, when, .of = SHAPE_##shape)
#define M_LIST(name, when, shape, most) M(name, LIST, when, .of = SHAPE_##shape, .max = (most))
#define M_ANY(name, when)               M(name, ANY, when, .max = 0)

const struct shape shape_table[SHAPE_COUNT] = {
#define SHAPE(symbol, name, members) [SHAPE_##symbol] = {name, members},
#include "daemon/api/shape.def"
#undef SHAPE
};

const char *shape_media(enum shape_id shape)
{
	switch (shape) {
	case SHAPE_METRICS:
	case SHAPE_TEXT:
		return "text/plain";
	case SHAPE_PAGE:
		return "text/html";
	case SHAPE_OCTETS:
		return "application/octet-stream";
	default:
		return "application/json";
	}
}

const struct member *shape_member(enum shape_id shape, const char *name)
{
	const struct member *m = shape_table[shape].members;

	for (; m->name != NULL; m++)
		if (strcmp(m->name, name) == 0)
			return m;
	return NULL;
}
