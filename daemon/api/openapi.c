/*
 * openapi.json: see openapi.h. Runs in net. Whatever a row says stands here too, so the document
 * cannot differ from what the daemon accepts.
 */
#include "daemon/api/openapi.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api/apimsg.h"
#include "daemon/api/problem.h"
#include "daemon/api/route.h"
#include "policy/jsonw.h"

static void object(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_object(w);
}

static void array(struct jsonw *w, const char *key)
{
	jsonw_key(w, key);
	jsonw_array(w);
}

/* {"$ref": "#/components/<kind>/<name>"} as the value that is due */
static void ref(struct jsonw *w, const char *kind, const char *name)
{
	char text[96];

	snprintf(text, sizeof text, "#/components/%s/%s", kind, name);
	jsonw_object(w);
	jsonw_kcstr(w, "$ref", text);
	jsonw_object_end(w);
}

/* --- schemas --- */

static void schema_money(struct jsonw *w, int64_t min)
{
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	array(w, "required");
	jsonw_cstr(w, "amount");
	jsonw_cstr(w, "currency");
	jsonw_array_end(w);
	object(w, "properties");
	object(w, "amount");
	jsonw_kcstr(w, "type", "integer");
	jsonw_kcstr(w, "format", "int64");
	jsonw_kcstr(w, "description", "Minor units");
	jsonw_kint(w, "minimum", min);
	jsonw_kint(w, "maximum", MONEY_MAX);
	jsonw_object_end(w);
	object(w, "currency");
	jsonw_kcstr(w, "type", "string");
	jsonw_kcstr(w, "pattern", "^[A-Z0-9]{2,8}$");
	jsonw_kint(w, "maxLength", 8);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void schema_string(struct jsonw *w, int64_t min, int64_t max)
{
	jsonw_kcstr(w, "type", "string");
	jsonw_kint(w, "minLength", min);
	jsonw_kint(w, "maxLength", max);
}

static void schema_hex(struct jsonw *w, const struct field *f)
{
	schema_string(w, f->min * 2, f->max * 2);
	jsonw_kcstr(w, "pattern", "^([0-9a-f]{2})*$");
}

static void schema_enum(struct jsonw *w, const struct field *f)
{
	jsonw_kcstr(w, "type", "string");
	array(w, "enum");
	for (size_t i = 0; i < FIELD_WORDS && f->words[i] != NULL; i++)
		jsonw_cstr(w, f->words[i]);
	jsonw_array_end(w);
}

static void schema_uuid(struct jsonw *w)
{
	jsonw_kcstr(w, "type", "string");
	jsonw_kcstr(w, "format", "uuid");
	jsonw_kint(w, "maxLength", 36);
}

static void schema(struct jsonw *w, const struct field *f)
{
	jsonw_object(w);
	switch (f->type) {
	case FIELD_SECRET:
	case FIELD_TEXT:
		if (f->type == FIELD_SECRET)
			jsonw_kcstr(w, "format", "password");
		/* the bounds are of UTF-8 bytes, which are never fewer than the characters */
		schema_string(w, f->min > 0, f->max);
		jsonw_kcstr(w, "description", "Lengths are counted in bytes of UTF-8");
		break;
	case FIELD_EMAIL:
		jsonw_kcstr(w, "format", "email");
		schema_string(w, f->min, f->max);
		break;
	case FIELD_INT:
		jsonw_kcstr(w, "type", "integer");
		jsonw_kcstr(w, "format", "int64");
		jsonw_kint(w, "minimum", f->min);
		jsonw_kint(w, "maximum", f->max);
		break;
	case FIELD_UUID:
		schema_uuid(w);
		break;
	case FIELD_ENUM:
		schema_enum(w, f);
		break;
	case FIELD_MONEY:
		schema_money(w, f->min);
		break;
	case FIELD_HEX:
		schema_hex(w, f);
		break;
	case FIELD_CURSOR:
		schema_string(w, f->min, f->max);
		jsonw_kcstr(w, "pattern", "^[A-Za-z0-9_-]+$");
		break;
	}
	jsonw_object_end(w);
}

/* --- operations --- */

static void parameter(
    struct jsonw *w, const char *name, const char *in, bool required, const char *what)
{
	jsonw_kcstr(w, "name", name);
	jsonw_kcstr(w, "in", in);
	jsonw_kbool(w, "required", required);
	if (what != NULL)
		jsonw_kcstr(w, "description", what);
}

static bool has_body(const struct route *row)
{
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_BODY)
			return true;
	return false;
}

static bool has_version(const struct route *row)
{
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_BODY && strcmp(f->name, "version") == 0)
			return true;
	return false;
}

static void parameters(struct jsonw *w, const struct route *row)
{
	array(w, "parameters");
	for (const struct field *f = row->fields; f->name != NULL; f++) {
		if (f->in == IN_BODY)
			continue;
		jsonw_object(w);
		parameter(w, f->name, f->in == IN_PATH ? "path" : "query", f->required, NULL);
		jsonw_key(w, "schema");
		schema(w, f);
		jsonw_object_end(w);
	}
	if (row->idem != IDEM_NONE) {
		jsonw_object(w);
		parameter(w, "Idempotency-Key", "header", row->idem == IDEM_REQUIRED,
		    "A repeated key gets the first answer again");
		object(w, "schema");
		schema_string(w, 1, API_IDEM_MAX);
		jsonw_object_end(w);
		jsonw_object_end(w);
	}
	if (has_version(row)) {
		jsonw_object(w);
		parameter(
		    w, "If-Match", "header", false, "The ETag, instead of the version in the body");
		object(w, "schema");
		schema_string(w, 4, API_ETAG_MAX);
		jsonw_kcstr(w, "pattern", "^\"v[1-9][0-9]*\"$");
		jsonw_object_end(w);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

static void request_body(struct jsonw *w, const struct route *row)
{
	bool required = false;

	if (!has_body(row))
		return;
	for (const struct field *f = row->fields; f->name != NULL; f++)
		required = required || (f->in == IN_BODY && f->required);
	object(w, "requestBody");
	jsonw_kbool(w, "required", required);
	object(w, "content");
	object(w, "application/json");
	object(w, "schema");
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	array(w, "required");
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_BODY && f->required)
			jsonw_cstr(w, f->name);
	jsonw_array_end(w);
	object(w, "properties");
	for (const struct field *f = row->fields; f->name != NULL; f++) {
		if (f->in != IN_BODY)
			continue;
		jsonw_key(w, f->name);
		schema(w, f);
	}
	for (int i = 0; i < 5; i++)
		jsonw_object_end(w);
}

static bool is_list(const struct route *row)
{
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_QUERY && f->type == FIELD_CURSOR)
			return true;
	return false;
}

/* A problem may also say when to come again. */
static void response_headers(struct jsonw *w, bool is_problem)
{
	static const char *const names[] = {
	    "X-Request-Id", "RateLimit", "RateLimit-Policy", "Retry-After"};
	size_t n = sizeof names / sizeof names[0];

	object(w, "headers");
	for (size_t i = 0; i < n - !is_problem; i++) {
		jsonw_key(w, names[i]);
		ref(w, "headers", names[i]);
	}
	jsonw_object_end(w);
}

static void success(struct jsonw *w, const struct route *row)
{
	char status[8];
	bool text = strcmp(row->name, "metrics") == 0;

	snprintf(status, sizeof status, "%u", row->status);
	object(w, status);
	jsonw_kcstr(w, "description", row->status == 204 ? "Done" : row->what);
	response_headers(w, false);
	if (row->status != 204) {
		object(w, "content");
		object(w, text ? "text/plain" : "application/json");
		if (text) {
			object(w, "schema");
			jsonw_kcstr(w, "type", "string");
			jsonw_object_end(w);
		} else {
			jsonw_key(w, "schema");
			ref(w, "schemas", is_list(row) ? "List" : "Resource");
		}
		jsonw_object_end(w);
		jsonw_object_end(w);
	}
	jsonw_object_end(w);
}

static void responses(struct jsonw *w, const struct route *row)
{
	static const char *const always[] = {"400", "429", "500", "503"};

	object(w, "responses");
	success(w, row);
	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
		jsonw_key(w, always[i]);
		ref(w, "responses", "Problem");
	}
	if (row->who != WHO_ANYONE) {
		jsonw_key(w, "401");
		ref(w, "responses", "Problem");
		jsonw_key(w, "403");
		ref(w, "responses", "Problem");
	}
	jsonw_key(w, "default");
	ref(w, "responses", "Problem");
	jsonw_object_end(w);
}

static void roles(struct jsonw *w, const struct route *row)
{
	static const char *const names[] = {"user", "organiser", "auditor", "admin"};

	array(w, "security");
	if (row->who != WHO_ANYONE) {
		jsonw_object(w);
		array(w, "bearer");
		for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
			if ((row->who >> i & 1) != 0)
				jsonw_cstr(w, names[i]);
		jsonw_array_end(w);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

/* The first path segment that is not base or version: what the operation is about. */
static void tag(struct jsonw *w, const struct route *row)
{
	const char *p = row->path + 1;
	char name[32];

	if (strncmp(p, "api/v1/", 7) == 0)
		p += 7;
	snprintf(name, sizeof name, "%.*s", (int)strcspn(p, "/"), p);
	array(w, "tags");
	jsonw_cstr(w, name);
	jsonw_array_end(w);
}

static void operation(struct jsonw *w, const struct route *row)
{
	static const char *const methods[METHOD_COUNT] = {"get", "post", "patch", "put", "delete"};

	object(w, methods[row->method]);
	jsonw_kcstr(w, "operationId", row->name);
	tag(w, row);
	jsonw_kcstr(w, "summary", row->what);
	jsonw_kcstr(w, "description", row->what);
	roles(w, row);
	parameters(w, row);
	request_body(w, row);
	responses(w, row);
	jsonw_object_end(w);
}

static bool path_seen(size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(route_table[i].path, route_table[before].path) == 0)
			return true;
	return false;
}

static void paths(struct jsonw *w)
{
	object(w, "paths");
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (path_seen(i))
			continue;
		object(w, route_table[i].path);
		for (size_t k = i; k < ROUTE_COUNT; k++)
			if (strcmp(route_table[k].path, route_table[i].path) == 0)
				operation(w, &route_table[k]);
		jsonw_object_end(w);
	}
	jsonw_object_end(w);
}

/* --- components --- */

static void string_property(struct jsonw *w, const char *name, const char *format)
{
	object(w, name);
	jsonw_kcstr(w, "type", "string");
	if (format != NULL)
		jsonw_kcstr(w, "format", format);
	jsonw_object_end(w);
}

static void problem_errors(struct jsonw *w)
{
	object(w, "errors");
	jsonw_kcstr(w, "type", "array");
	jsonw_kint(w, "maxItems", PROBLEM_FIELDS_MAX);
	object(w, "items");
	jsonw_kcstr(w, "type", "object");
	object(w, "properties");
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

	object(w, "Problem");
	jsonw_kcstr(w, "type", "object");
	array(w, "required");
	for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
		jsonw_cstr(w, required[i]);
	jsonw_array_end(w);
	object(w, "properties");
	string_property(w, "type", "uri");
	string_property(w, "title", NULL);
	object(w, "status");
	jsonw_kcstr(w, "type", "integer");
	jsonw_kcstr(w, "format", "int32");
	jsonw_kint(w, "minimum", 400);
	jsonw_kint(w, "maximum", 599);
	jsonw_object_end(w);
	string_property(w, "detail", NULL);
	object(w, "code");
	jsonw_kcstr(w, "type", "string");
	array(w, "enum");
	for (size_t i = 0; i < PROBLEM_COUNT; i++)
		jsonw_cstr(w, problem_table[i].code);
	jsonw_array_end(w);
	jsonw_object_end(w);
	string_property(w, "request_id", "uuid");
	problem_errors(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void schema_answers(struct jsonw *w)
{
	object(w, "Resource");
	jsonw_kcstr(w, "type", "object");
	jsonw_kcstr(w, "description",
	    "Ids are UUIDs, times RFC 3339 in UTC with milliseconds, money {amount, currency} with "
	    "an integer amount of minor units; a resource that changes has a version");
	jsonw_object_end(w);
	object(w, "List");
	jsonw_kcstr(w, "type", "object");
	array(w, "required");
	jsonw_cstr(w, "items");
	jsonw_array_end(w);
	object(w, "properties");
	object(w, "items");
	jsonw_kcstr(w, "type", "array");
	jsonw_kint(w, "maxItems", 100);
	jsonw_key(w, "items");
	ref(w, "schemas", "Resource");
	jsonw_object_end(w);
	object(w, "next_cursor");
	array(w, "type");
	jsonw_cstr(w, "string");
	jsonw_cstr(w, "null");
	jsonw_array_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void header(struct jsonw *w, const char *name, const char *what)
{
	object(w, name);
	jsonw_kcstr(w, "description", what);
	object(w, "schema");
	jsonw_kcstr(w, "type", "string");
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void components(struct jsonw *w)
{
	object(w, "components");
	object(w, "securitySchemes");
	object(w, "bearer");
	jsonw_kcstr(w, "type", "http");
	jsonw_kcstr(w, "scheme", "bearer");
	jsonw_kcstr(w, "bearerFormat", "JWT");
	jsonw_kcstr(w, "description",
	    "ES256 access token (RFC 9068, checked as RFC8725 asks) from login or refresh");
	jsonw_object_end(w);
	jsonw_object_end(w);
	object(w, "headers");
	header(w, "X-Request-Id", "UUID of this request, also in problem documents");
	header(w, "RateLimit", "What is left: draft-ietf-httpapi-ratelimit-headers");
	header(w, "RateLimit-Policy", "The quota: draft-ietf-httpapi-ratelimit-headers");
	header(w, "Retry-After", "Seconds to wait, with 429 and 503");
	jsonw_object_end(w);
	object(w, "responses");
	object(w, "Problem");
	jsonw_kcstr(w, "description", "A problem document (RFC 9457)");
	response_headers(w, true);
	object(w, "content");
	object(w, "application/problem+json");
	jsonw_key(w, "schema");
	ref(w, "schemas", "Problem");
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
	object(w, "schemas");
	schema_problem(w);
	schema_answers(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void info(struct jsonw *w, const char *host)
{
	char url[300];

	object(w, "info");
	jsonw_kcstr(w, "title", "Kleroterion");
	jsonw_kcstr(w, "version", KLERO_VERSION);
	jsonw_kcstr(w, "description",
	    "Raffles whose draws anyone can check: accounts, wallets, tickets, draws and proofs.");
	object(w, "license");
	jsonw_kcstr(w, "name", "ISC");
	jsonw_kcstr(w, "identifier", "ISC");
	jsonw_object_end(w);
	jsonw_object_end(w);
	snprintf(url, sizeof url, "https://%s", host);
	array(w, "servers");
	jsonw_object(w);
	jsonw_kcstr(w, "url", url);
	jsonw_object_end(w);
	jsonw_array_end(w);
}

int openapi_write(char *buf, size_t cap, const char *host, size_t *n)
{
	struct jsonw w;
	int r;

	jsonw_init(&w, buf, cap);
	jsonw_object(&w);
	jsonw_kcstr(&w, "openapi", "3.1.0");
	info(&w, host);
	paths(&w);
	components(&w);
	jsonw_object_end(&w);
	r = jsonw_end(&w);
	*n = w.len;
	return r;
}
