/*
 * Schemas of openapi.json: see oas.h. Runs in net. Pure.
 */
#include "daemon/api/oas.h"

#include <stdio.h>

#include "daemon/api/problem.h"
#include "policy/jsonw.h"

void oas_object(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_object(w);
}

void oas_array(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_array(w);
}

void oas_ref(struct jsonw *w, const char *kind, const char *name)
{
	char text[96];

	snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
	jsonw_object(w);
	jsonw_kcstr(w, "$ref", text);
	jsonw_object_end(w);
}

/* --- fields of requests --- */

static void schema_int(struct jsonw *w, int64_t min, int64_t max)
{
	jsonw_kcstr(w, "type", "integer");
	jsonw_kcstr(w, "format", "int64");
	jsonw_kint(w, "minimum", min);
	jsonw_kint(w, "maximum", max);
}

static void schema_money(struct jsonw *w, int64_t min)
{
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	oas_array(w, "required");
	jsonw_cstr(w, "amount");
	jsonw_cstr(w, "currency");
	jsonw_array_end(w);
	oas_object(w, "properties");
	oas_object(w, "amount");
	jsonw_kcstr(w, "description", "Minor units");
	schema_int(w, min, MONEY_MAX);
	jsonw_object_end(w);
	oas_object(w, "currency");
	jsonw_kcstr(w, "type", "string");
	jsonw_kcstr(w, "pattern", "^[A-Z0-9]{2,8}$");
	jsonw_kint(w, "maxLength", 8);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

void oas_string(struct jsonw *w, int64_t min, int64_t max)
{
	jsonw_kcstr(w, "type", "string");
	jsonw_kint(w, "minLength", min);
	jsonw_kint(w, "maxLength", max);
}

static void schema_hex(struct jsonw *w, int64_t min, int64_t max)
{
	oas_string(w, min * 2, max * 2);
	jsonw_kcstr(w, "pattern", "^([0-9a-f]{2})*$");
}

static void schema_enum(struct jsonw *w, const char *const *words, size_t max)
{
	jsonw_kcstr(w, "type", "string");
	oas_array(w, "enum");
	for (size_t i = 0; i < max && words[i] != NULL; i++)
		jsonw_cstr(w, words[i]);
	jsonw_array_end(w);
}

static void schema_uuid(struct jsonw *w)
{
	jsonw_kcstr(w, "type", "string");
	jsonw_kcstr(w, "format", "uuid");
	jsonw_kcstr(w, "pattern", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$");
	jsonw_kint(w, "maxLength", 36);
}

void oas_field(struct jsonw *w, const struct field *f)
{
	jsonw_object(w);
	switch (f->type) {
	case FIELD_SECRET:
	case FIELD_TEXT:
		if (f->type == FIELD_SECRET)
			jsonw_kcstr(w, "format", "password");
		/* the bounds are of UTF-8 bytes, which are never fewer than the characters */
		oas_string(w, f->min > 0, f->max);
		jsonw_kcstr(w, "description", "Lengths are counted in bytes of UTF-8");
		break;
	case FIELD_EMAIL:
		jsonw_kcstr(w, "format", "email");
		oas_string(w, f->min, f->max);
		break;
	case FIELD_INT:
		schema_int(w, f->min, f->max);
		break;
	case FIELD_UUID:
		schema_uuid(w);
		break;
	case FIELD_ENUM:
		schema_enum(w, f->words, FIELD_WORDS);
		break;
	case FIELD_MONEY:
		schema_money(w, f->min);
		break;
	case FIELD_HEX:
		schema_hex(w, f->min, f->max);
		break;
	case FIELD_DECIMAL:
		oas_string(w, f->min, f->max);
		jsonw_kcstr(w, "pattern", "^(0|[1-9][0-9]*)$");
		break;
	case FIELD_LOG:
		oas_string(w, 32, 36);
		jsonw_kcstr(w, "pattern", "^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$");
		jsonw_kcstr(w, "description", "A raffle's id, with all of its dashes or without");
		break;
	case FIELD_TILE:
		oas_string(w, f->min, f->max);
		jsonw_kcstr(
		    w, "pattern", "^([0-7]|entries)(/x[0-9]{3})*/[0-9]{3}([.]p/[0-9]{1,3})?$");
		jsonw_kcstr(w, "description",
		    "Where a tile stands: level or \"entries\", number, width of a partial one "
		    "(c2sp.org/tlog-tiles); its slashes stand as they are");
		break;
	case FIELD_CURSOR:
		oas_string(w, f->min, f->max);
		jsonw_kcstr(w, "pattern", "^[A-Za-z0-9_-]+$");
		break;
	}
	jsonw_object_end(w);
}

/* --- problems --- */

static void string_property(struct jsonw *w, const char *name, const char *format)
{
	oas_object(w, name);
	jsonw_kcstr(w, "type", "string");
	if (format != NULL)
		jsonw_kcstr(w, "format", format);
	jsonw_object_end(w);
}

static void problem_errors(struct jsonw *w)
{
	oas_object(w, "errors");
	jsonw_kcstr(w, "type", "array");
	jsonw_kint(w, "maxItems", PROBLEM_FIELDS_MAX);
	oas_object(w, "items");
	jsonw_kcstr(w, "type", "object");
	oas_object(w, "properties");
	string_property(w, "pointer", NULL);
	string_property(w, "code", NULL);
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void schema_problem(struct jsonw *w)
{
	static const char *const required[] = {
	    "type", "title", "status", "detail", "code", "request_id"};

	oas_object(w, "Problem");
	jsonw_kcstr(w, "type", "object");
	oas_array(w, "required");
	for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
		jsonw_cstr(w, required[i]);
	jsonw_array_end(w);
	oas_object(w, "properties");
	string_property(w, "type", "uri");
	string_property(w, "title", NULL);
	oas_object(w, "status");
	jsonw_kcstr(w, "type", "integer");
	jsonw_kcstr(w, "format", "int32");
	jsonw_kint(w, "minimum", 400);
	jsonw_kint(w, "maximum", 599);
	jsonw_object_end(w);
	string_property(w, "detail", NULL);
	oas_object(w, "code");
	jsonw_kcstr(w, "type", "string");
	oas_array(w, "enum");
	for (size_t i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++)
		jsonw_cstr(w, problem_table[i].code);
	jsonw_array_end(w);
	jsonw_object_end(w);
	string_property(w, "request_id", "uuid");
	problem_errors(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

/* --- answers --- */

static void array_of(struct jsonw *w, const char *shape, int64_t max)
{
	jsonw_kcstr(w, "type", "array");
	jsonw_kint(w, "maxItems", max);
	jsonw_key(w, "items");
	if (shape != NULL) {
		oas_ref(w, "schemas", shape);
	} else {
		jsonw_object(w);
		jsonw_kcstr(w, "type", "string");
		jsonw_object_end(w);
	}
}

static void nullable(struct jsonw *w, const char *type)
{
	oas_array(w, "type");
	jsonw_cstr(w, type);
	jsonw_cstr(w, "null");
	jsonw_array_end(w);
}

static void member_number(struct jsonw *w, const struct member *m)
{
	switch (m->type) {
	case MEMBER_INT:
		schema_int(w, m->min, m->max);
		break;
	case MEMBER_INT_OR_NULL:
		nullable(w, "integer");
		jsonw_kcstr(w, "format", "int64");
		jsonw_kint(w, "minimum", m->min);
		jsonw_kint(w, "maximum", m->max);
		break;
	case MEMBER_MONEY:
		schema_money(w, m->min);
		break;
	default:
		jsonw_kcstr(w, "type", "boolean");
		break;
	}
}

static void member(struct jsonw *w, const struct member *m)
{
	jsonw_object(w);
	switch (m->type) {
	case MEMBER_TEXT:
		oas_string(w, 0, m->max);
		break;
	case MEMBER_WORD:
		schema_enum(w, m->words, MEMBER_WORDS);
		break;
	case MEMBER_UUID:
		schema_uuid(w);
		break;
	case MEMBER_TIME:
		jsonw_kcstr(w, "type", "string");
		jsonw_kcstr(w, "format", "date-time");
		jsonw_kcstr(w, "pattern", "^[0-9-]{10}T[0-9:]{8}[.][0-9]{3}Z$");
		break;
	case MEMBER_HEX:
		schema_hex(w, m->min, m->max);
		break;
	case MEMBER_TEXTS:
		array_of(w, NULL, m->max);
		break;
	case MEMBER_LIST:
		array_of(w, shape_table[m->of].name, m->max);
		break;
	case MEMBER_ANY:
		jsonw_kcstr(w, "description", "Any JSON");
		break;
	default:
		member_number(w, m);
		break;
	}
	jsonw_object_end(w);
}

static void schema_shape(struct jsonw *w, const struct shape *s)
{
	oas_object(w, s->name);
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	oas_array(w, "required");
	for (const struct member *m = s->members; m->name != NULL; m++)
		if (m->always)
			jsonw_cstr(w, m->name);
	jsonw_array_end(w);
	oas_object(w, "properties");
	for (const struct member *m = s->members; m->name != NULL; m++) {
		jsonw_key(w, m->name);
		if (m->type == MEMBER_ONE)
			oas_ref(w, "schemas", shape_table[m->of].name);
		else
			member(w, m);
	}
	jsonw_object_end(w);
	jsonw_object_end(w);
}

void oas_list(struct jsonw *w, enum shape_id shape)
{
	jsonw_object(w);
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	oas_array(w, "required");
	jsonw_cstr(w, "items");
	jsonw_cstr(w, "next_cursor");
	jsonw_array_end(w);
	oas_object(w, "properties");
	oas_object(w, "items");
	array_of(w, shape_table[shape].name, 100);
	jsonw_object_end(w);
	oas_object(w, "next_cursor");
	nullable(w, "string");
	jsonw_kint(w, "maxLength", CURSOR_MAX);
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

void oas_schemas(struct jsonw *w)
{
	oas_object(w, "schemas");
	schema_problem(w);
	for (size_t i = 0; i < SHAPE_COUNT; i++)
		if (shape_table[i].name != NULL)
			schema_shape(w, &shape_table[i]);
	jsonw_object_end(w);
}
