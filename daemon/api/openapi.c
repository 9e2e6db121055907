/*
 * openapi.json: see openapi.h. Runs in net. Whatever a row says stands here too, so the document
 * cannot differ from what the daemon accepts.
 */
#include "daemon/api/openapi.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/api/apimsg.h"
#include "daemon/api/oas.h"
#include "daemon/api/problem.h"
#include "daemon/api/route.h"
#include "policy/jsonw.h"

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
		if (f->in == IN_BODY || f->in == IN_TEXT)
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
	oas_array(w, "parameters");
	for (const struct field *f = row->fields; f->name != NULL; f++) {
		if (f->in == IN_BODY || f->in == IN_TEXT)
			continue;
		jsonw_object(w);
		parameter(w, f->name, f->in == IN_PATH ? "path" : "query", f->required, NULL);
		jsonw_key(w, "schema");
		oas_field(w, f);
		jsonw_object_end(w);
	}
	if (row->idem != IDEM_NONE) {
		jsonw_object(w);
		parameter(w, "Idempotency-Key", "header", row->idem == IDEM_REQUIRED,
		    "A repeated key gets the first answer again");
		oas_object(w, "schema");
		oas_string(w, 1, API_IDEM_MAX);
		jsonw_object_end(w);
		jsonw_object_end(w);
	}
	if (has_version(row)) {
		jsonw_object(w);
		parameter(
		    w, "If-Match", "header", false, "The ETag, instead of the version in the body");
		oas_object(w, "schema");
		oas_string(w, 4, API_ETAG_MAX);
		jsonw_kcstr(w, "pattern", "^\"v[1-9][0-9]*\"$");
		jsonw_object_end(w);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

static bool has_text(const struct route *row)
{
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_TEXT)
			return true;
	return false;
}

/* A body that is a text of that kind. */
static void text_content(struct jsonw *w, const char *kind)
{
	oas_object(w, "content");
	oas_object(w, kind);
	oas_object(w, "schema");
	jsonw_kcstr(w, "type", "string");
	for (int i = 0; i < 3; i++)
		jsonw_object_end(w);
}

/* No type is asked of it: c2sp.org/tlog-witness names none. */
static void request_text(struct jsonw *w)
{
	oas_object(w, "requestBody");
	jsonw_kbool(w, "required", true);
	text_content(w, "*/*");
	jsonw_object_end(w);
}

static void request_body(struct jsonw *w, const struct route *row)
{
	bool required = false;

	if (has_text(row))
		request_text(w);
	if (has_text(row) || !has_body(row))
		return;
	for (const struct field *f = row->fields; f->name != NULL; f++)
		required = required || (f->in == IN_BODY && f->required);
	oas_object(w, "requestBody");
	jsonw_kbool(w, "required", required);
	oas_object(w, "content");
	oas_object(w, "application/json");
	oas_object(w, "schema");
	jsonw_kcstr(w, "type", "object");
	jsonw_kbool(w, "additionalProperties", false);
	oas_array(w, "required");
	for (const struct field *f = row->fields; f->name != NULL; f++)
		if (f->in == IN_BODY && f->required)
			jsonw_cstr(w, f->name);
	jsonw_array_end(w);
	oas_object(w, "properties");
	for (const struct field *f = row->fields; f->name != NULL; f++) {
		if (f->in != IN_BODY)
			continue;
		jsonw_key(w, f->name);
		oas_field(w, f);
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

/* --- what is answered --- */

static void header_refs(struct jsonw *w, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		jsonw_key(w, names[i]);
		oas_ref(w, "headers", names[i]);
	}
}

static void one_header(struct jsonw *w, const char *name)
{
	header_refs(w, &name, 1);
}

/* Every answer's; the object is the caller's to end. */
static void headers_begin(struct jsonw *w)
{
	static const char *const all[] = {"X-Request-Id", "RateLimit", "RateLimit-Policy"};

	oas_object(w, "headers");
	header_refs(w, all, sizeof all / sizeof all[0]);
}

/* What its row's answers carry besides. */
static void success_headers(struct jsonw *w, const struct route *row)
{
	const struct member *version = shape_member(row->shape, "version");

	headers_begin(w);
	if (row->shape == SHAPE_PAGE ||
	    (!is_list(row) && version != NULL && version->type == MEMBER_INT))
		one_header(w, "ETag");
	if (row->status == 201 && shape_member(row->shape, "id") != NULL)
		one_header(w, "Location");
	if (row->idem != IDEM_NONE)
		one_header(w, "Idempotent-Replayed");
	jsonw_object_end(w);
}

static void success_content(struct jsonw *w, const struct route *row)
{
	const char *name = shape_table[row->shape].name;

	oas_object(w, "content");
	oas_object(w, shape_media(row->shape));
	jsonw_key(w, "schema");
	if (name == NULL) {
		jsonw_object(w);
		jsonw_kcstr(w, "type", "string");
		if (row->shape == SHAPE_OCTETS)
			jsonw_kcstr(w, "format", "binary");
		jsonw_object_end(w);
	} else if (is_list(row)) {
		oas_list(w, row->shape);
	} else {
		oas_ref(w, "schemas", name);
	}
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void success(struct jsonw *w, const struct route *row)
{
	char status[8];

	snprintf(status, sizeof status, "%u", row->status);
	oas_object(w, status);
	jsonw_kcstr(w, "description", row->shape == SHAPE_NONE ? "Done" : row->what);
	success_headers(w, row);
	if (row->shape != SHAPE_NONE)
		success_content(w, row);
	jsonw_object_end(w);
}

/* A document of net's own, which who has it already is not sent again. */
static void not_modified(struct jsonw *w)
{
	oas_object(w, "304");
	jsonw_kcstr(w, "description", "The same as If-None-Match names");
	headers_begin(w);
	one_header(w, "ETag");
	jsonw_object_end(w);
	jsonw_object_end(w);
}

static void may(bool set[PROBLEM_COUNT], const enum problem *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set[p[i]] = true;
}

#define MAY(set, ...)                                                                              \
	may(set, (const enum problem[]){__VA_ARGS__},                                              \
	    sizeof((const enum problem[]){__VA_ARGS__}) / sizeof(enum problem))

/* What a row may answer besides success: by its columns, and its own. */
static void problems_of(const struct route *row, bool set[PROBLEM_COUNT])
{
	memset(set, 0, PROBLEM_COUNT * sizeof set[0]);
	MAY(set, PB_HTTP_MALFORMED, PB_JSON_MALFORMED, PB_VALIDATION, PB_TOKEN_INVALID,
	    PB_RATE_LIMITED, PB_INTERNAL, PB_BUSY, PB_HSM_UNAVAILABLE, PB_STORE_UNAVAILABLE,
	    PB_RESTARTING);
	if (!route_ignores_token(row))
		MAY(set, PB_TOKEN_EXPIRED);
	if (row->who != WHO_ANYONE)
		MAY(set, PB_UNAUTHENTICATED, PB_FORBIDDEN);
	if (row->idem != IDEM_NONE)
		MAY(set, PB_IDEM_INVALID, PB_IDEM_IN_FLIGHT, PB_IDEM_MISMATCH);
	if (row->idem == IDEM_REQUIRED)
		MAY(set, PB_IDEM_REQUIRED);
	if (is_list(row))
		MAY(set, PB_CURSOR);
	for (size_t i = 0; i < ROUTE_PROBLEMS && row->own[i] != PROBLEM_NONE; i++)
		set[row->own[i]] = true;
}

/* The codes of one status, as a text: which problem it is decides what a client does. */
static void codes(struct jsonw *w, const bool set[PROBLEM_COUNT], unsigned status)
{
	char text[512];
	size_t len = 0;

	for (int p = PROBLEM_NONE + 1; p < PROBLEM_COUNT; p++)
		if (set[p] && (status == 0 || problem_table[p].status == status))
			len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
			    len > 0 ? ", " : "", problem_table[p].code);
	jsonw_kstr(w, "description", text, len);
}

/* c2sp.org/tlog-witness: what was cosigned last, and no problem document. */
static void size_response(struct jsonw *w)
{
	oas_object(w, "409");
	jsonw_kcstr(w, "description", "The size of the checkpoint that was cosigned last");
	headers_begin(w);
	jsonw_object_end(w);
	text_content(w, "text/x.tlog.size");
	jsonw_object_end(w);
}

/* A status of its own for each that the row may answer; HTTP's own refusals by default. */
static void responses(struct jsonw *w, const struct route *row)
{
	bool set[PROBLEM_COUNT];
	char text[8];

	problems_of(row, set);
	oas_object(w, "responses");
	success(w, row);
	if (row->shape == SHAPE_PAGE)
		not_modified(w);
	for (unsigned status = 400; status < 600; status++) {
		int p = PROBLEM_NONE + 1;

		if (status == 409 && has_text(row)) {
			size_response(w);
			continue;
		}
		while (p < PROBLEM_COUNT && !(set[p] && problem_table[p].status == status))
			p++;
		if (p == PROBLEM_COUNT)
			continue;
		snprintf(text, sizeof text, "%u", status);
		oas_object(w, text);
		jsonw_kcstr(w, "$ref", "#/components/responses/Problem");
		codes(w, set, status);
		jsonw_object_end(w);
	}
	jsonw_key(w, "default");
	oas_ref(w, "responses", "Refusal");
	jsonw_object_end(w);
}

static void roles(struct jsonw *w, const struct route *row)
{
	static const char *const names[] = {"user", "organiser", "auditor", "admin"};

	oas_array(w, "security");
	if (row->who != WHO_ANYONE) {
		jsonw_object(w);
		oas_array(w, "bearer");
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
	oas_array(w, "tags");
	jsonw_cstr(w, name);
	jsonw_array_end(w);
}

static void operation(struct jsonw *w, const struct route *row)
{
	static const char *const methods[METHOD_COUNT] = {"get", "post", "patch", "put", "delete"};

	oas_object(w, methods[row->method]);
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

/* {+x} of the table, which takes the rest of the path, is {x} there. */
static const char *oas_path(const char *pattern, char *out, size_t cap)
{
	const char *plus = strstr(pattern, "{+");

	if (plus == NULL)
		return pattern;
	snprintf(out, cap, "%.*s{%s", (int)(plus - pattern), pattern, plus + 2);
	return out;
}

static void paths(struct jsonw *w)
{
	char path[64];

	oas_object(w, "paths");
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (path_seen(i))
			continue;
		oas_object(w, oas_path(route_table[i].path, path, sizeof path));
		for (size_t k = i; k < ROUTE_COUNT; k++)
			if (strcmp(route_table[k].path, route_table[i].path) == 0)
				operation(w, &route_table[k]);
		jsonw_object_end(w);
	}
	jsonw_object_end(w);
}

/* --- components --- */

static void header(struct jsonw *w, const char *name, const char *what)
{
	oas_object(w, name);
	jsonw_kcstr(w, "description", what);
	oas_object(w, "schema");
	jsonw_kcstr(w, "type", "string");
	jsonw_object_end(w);
	jsonw_object_end(w);
}

/* refusals: the description is the list of their codes; NULL: the operation says them. */
static void problem_response(struct jsonw *w, const char *name, const bool *refusals)
{
	static const char *const headers[] = {"X-Request-Id", "RateLimit", "RateLimit-Policy",
	    "Retry-After", "Idempotent-Replayed", "WWW-Authenticate"};

	oas_object(w, name);
	if (refusals == NULL)
		jsonw_kcstr(w, "description", "A problem document (RFC 9457)");
	else
		codes(w, refusals, 0);
	oas_object(w, "headers");
	header_refs(w, headers, sizeof headers / sizeof headers[0]);
	if (refusals == NULL)
		one_header(w, "Location"); /* of the proposal that is to be approved first */
	jsonw_object_end(w);
	oas_object(w, "content");
	oas_object(w, "application/problem+json");
	jsonw_key(w, "schema");
	oas_ref(w, "schemas", "Problem");
	jsonw_object_end(w);
	jsonw_object_end(w);
	jsonw_object_end(w);
}

/* What HTTP itself refuses, whatever is asked for. */
static void http_refusals(bool set[PROBLEM_COUNT])
{
	memset(set, 0, PROBLEM_COUNT * sizeof set[0]);
	MAY(set, PB_NOT_ACCEPTABLE, PB_TIMEOUT, PB_TOO_LARGE, PB_URI_TOO_LONG, PB_MEDIA_TYPE,
	    PB_EXPECTATION, PB_HEADERS_TOO_LARGE, PB_METHOD_UNKNOWN, PB_HTTP_VERSION);
}

static void components(struct jsonw *w)
{
	bool set[PROBLEM_COUNT];

	oas_object(w, "components");
	oas_object(w, "securitySchemes");
	oas_object(w, "bearer");
	jsonw_kcstr(w, "type", "http");
	jsonw_kcstr(w, "scheme", "bearer");
	jsonw_kcstr(w, "bearerFormat", "JWT");
	jsonw_kcstr(w, "description",
	    "ES256 access token (RFC 9068, checked as RFC8725 asks) from login or refresh");
	jsonw_object_end(w);
	jsonw_object_end(w);
	oas_object(w, "headers");
	header(w, "X-Request-Id", "UUID of this request, also in problem documents");
	header(w, "RateLimit", "What is left: draft-ietf-httpapi-ratelimit-headers");
	header(w, "RateLimit-Policy", "The quota: draft-ietf-httpapi-ratelimit-headers");
	header(w, "Retry-After", "Seconds to wait, with 429 and 503");
	header(w, "ETag", "The resource's version, for If-Match");
	header(w, "Location", "Where the new resource is");
	header(w, "Idempotent-Replayed",
	    "true: the answer to the first request with this key, or what became of one that was "
	    "not answered");
	header(w, "WWW-Authenticate", "How to authenticate (RFC 6750), with 401");
	jsonw_object_end(w);
	oas_object(w, "responses");
	problem_response(w, "Problem", NULL);
	http_refusals(set);
	problem_response(w, "Refusal", set);
	jsonw_object_end(w);
	oas_schemas(w);
	jsonw_object_end(w);
}

static void info(struct jsonw *w, const char *host)
{
	char url[300];

	oas_object(w, "info");
	jsonw_kcstr(w, "title", "Kleroterion");
	jsonw_kcstr(w, "version", KLERO_VERSION);
	jsonw_kcstr(w, "description",
	    "Raffles whose draws anyone can check: accounts, wallets, tickets, draws and proofs.");
	oas_object(w, "license");
	jsonw_kcstr(w, "name", "ISC");
	jsonw_kcstr(w, "identifier", "ISC");
	jsonw_object_end(w);
	jsonw_object_end(w);
	snprintf(url, sizeof url, "https://%s", host);
	oas_array(w, "servers");
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
