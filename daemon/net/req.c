/*
 * Requests against their route row: see req.h. Runs in net; trusts nothing that it is given.
 */
#include "daemon/net/req.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/net/hdr.h"
#include "policy/text.h"

#define MONEY_WHERE 40 /* "/<field>/" */

static bool same(const uint8_t *p, size_t n, const char *s)
{
	return strlen(s) == n && memcmp(p, s, n) == 0;
}

static int refuse(struct req *q, enum problem p, const char *detail)
{
	q->problem = p;
	q->detail = detail;
	return KE_DENIED;
}

/* Notes one field error; of more than REQ_ERRORS the first ones are told. */
static void field_error(struct req *q, const char *where, const char *name, const char *code)
{
	struct problem_field *e;

	q->problem = PB_VALIDATION;
	if (q->nerrors == REQ_ERRORS)
		return;
	e = &q->errors[q->nerrors++];
	snprintf(e->pointer, sizeof e->pointer, "%s%s", where, name);
	e->code = code;
}

static int verdict(const struct req *q)
{
	return q->nerrors == 0 ? KE_OK : KE_DENIED;
}

int req_route(struct req *q, const struct http *h, const uint8_t *buf)
{
	int method = h->method == HTTP_M_HEAD ? GET : h->method;

	q->row = NULL;
	q->bad_token = false;
	q->detail = NULL;
	q->nerrors = 0;
	q->used = 0;
	q->seen = 0;
	memset(&q->api, 0, sizeof q->api);
	q->route =
	    route_match(method, (const char *)buf + h->path.off, h->path.len, q->params, &q->allow);
	if (q->route == -1)
		return refuse(q, PB_NOT_FOUND, NULL);
	if (q->route < 0)
		return refuse(q, PB_METHOD, NULL);
	q->row = &route_table[q->route];
	q->api.route = (uint16_t)q->route;
	return KE_OK;
}

/* --- values --- */

/* Decimal digits as a client writes an integer: no plus, no leading zero, at most 18 digits. */
static int text_int(const uint8_t *p, size_t n, int64_t *v)
{
	bool minus = n > 0 && p[0] == '-';

	*v = 0;
	p += minus;
	n -= minus;
	if (n == 0 || n > 18 || (p[0] == '0' && (n > 1 || minus)))
		return KE_FORMAT;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return KE_FORMAT;
		*v = *v * 10 + (p[i] - '0');
	}
	if (minus)
		*v = -*v;
	return KE_OK;
}

static int enum_index(const struct field *f, const uint8_t *p, size_t n, int64_t *v)
{
	for (int i = 0; i < FIELD_WORDS && f->words[i] != NULL; i++)
		if (same(p, n, f->words[i])) {
			*v = i;
			return KE_OK;
		}
	return KE_FORMAT;
}

static uint8_t *arena_take(struct req *q, size_t n)
{
	uint8_t *p = q->arena + q->used;

	if (n > sizeof q->arena - q->used)
		return NULL;
	q->used += n;
	if (q->used > q->peak)
		q->peak = q->used;
	return p;
}

/* The code of a value that api_value_ok() refuses. */
static const char *refusal(const struct field *f, const struct api_value *v)
{
	bool sized = v->n >= (size_t)f->min && v->n <= (size_t)f->max;

	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		return sized ? "characters" : "length";
	case FIELD_HEX:
		return "length";
	case FIELD_INT:
		return "range";
	default:
		return "format";
	}
}

static bool read_id(const struct field *f, uint8_t id[16], const uint8_t *p, size_t n)
{
	return text_unuuid(id, (const char *)p, n) == KE_OK ||
	       (f->type == FIELD_LOG && text_unhex(id, 16, (const char *)p, n) == KE_OK);
}

/*
 * A value from its text (path, query, or a JSON string already decoded; writable for e-mail).
 * NULL when it is good, else the code of the error.
 */
static const char *value_from_text(
    struct req *q, const struct field *f, uint8_t *p, size_t n, struct api_value *v)
{
	*v = (struct api_value){0};
	if (f->type != FIELD_INT && f->type != FIELD_ENUM) {
		v->p = p;
		v->n = n;
	}
	switch (f->type) {
	case FIELD_INT:
		if (text_int(p, n, &v->i) != KE_OK)
			return "integer";
		break;
	case FIELD_ENUM:
		if (enum_index(f, p, n, &v->i) != KE_OK)
			return "unknown-value";
		break;
	case FIELD_UUID:
	case FIELD_LOG:
		v->p = arena_take(q, 16);
		v->n = 16;
		if (v->p == NULL || !read_id(f, q->arena + q->used - 16, p, n))
			return "format";
		break;
	case FIELD_HEX:
		/* in place: the bytes need half the room of their text */
		if (n % 2 != 0 || text_unhex(p, n / 2, (const char *)p, n) != KE_OK)
			return "format";
		v->n = n / 2;
		break;
	case FIELD_EMAIL:
		for (size_t i = 0; i < n; i++)
			if (p[i] >= 'A' && p[i] <= 'Z')
				p[i] |= 0x20;
		break;
	case FIELD_MONEY:
		return "format";
	default:
		break;
	}
	if (!api_value_ok(f, v))
		return refusal(f, v);
	v->present = true;
	return NULL;
}

/* --- path and query --- */

static void read_path(struct req *q)
{
	size_t param = 0;

	for (size_t i = 0; q->row->fields[i].name != NULL; i++) {
		const struct field *f = &q->row->fields[i];
		const struct route_param *p = &q->params[param];
		const char *code = "format";
		uint8_t *copy;

		if (f->in != IN_PATH)
			continue;
		param++;
		copy = arena_take(q, p->n);
		if (copy != NULL) {
			memcpy(copy, p->p, p->n);
			code = value_from_text(q, f, copy, p->n, &q->api.v[i]);
		}
		if (code != NULL)
			field_error(q, "path/", f->name, code);
	}
}

static int unhex(uint8_t c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* Percent decoding into the arena; the parser has checked the form of the encodings. */
static uint8_t *decode(struct req *q, const uint8_t *p, size_t n, size_t *out_len)
{
	uint8_t *out = arena_take(q, n);
	size_t len = 0;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '%') {
			out[len++] = p[i];
			continue;
		}
		out[len++] = (uint8_t)(unhex(p[i + 1]) << 4 | unhex(p[i + 2]));
		i += 2;
	}
	*out_len = len;
	return out;
}

static int field_index(const struct route *row, enum field_in in, const uint8_t *name, size_t n)
{
	for (int i = 0; row->fields[i].name != NULL; i++)
		if (row->fields[i].in == in && same(name, n, row->fields[i].name))
			return i;
	return -1;
}

/* One "name=value" of the query; names are matched as they stand, encoded ones are unknown. */
static void read_parameter(struct req *q, const uint8_t *p, size_t n)
{
	const uint8_t *equals = memchr(p, '=', n);
	size_t name_len = equals != NULL ? (size_t)(equals - p) : n, len = 0;
	int i = field_index(q->row, IN_QUERY, p, name_len);
	const char *code;
	uint8_t *value;
	char name[64];

	snprintf(name, sizeof name, "%.*s", (int)name_len, (const char *)p);
	if (i < 0)
		code = "unknown";
	else if ((q->seen >> i & 1) != 0)
		code = "duplicate";
	else if (equals == NULL)
		code = "format";
	else if ((value = decode(q, equals + 1, n - name_len - 1, &len)) == NULL)
		code = "length";
	else
		code = value_from_text(q, &q->row->fields[i], value, len, &q->api.v[i]);
	if (i >= 0)
		q->seen |= 1u << i;
	if (code != NULL)
		field_error(q, "query/", name, code);
}

static void read_query(struct req *q, const uint8_t *p, size_t n)
{
	while (n > 0) {
		const uint8_t *amp = memchr(p, '&', n);
		size_t len = amp != NULL ? (size_t)(amp - p) : n;

		read_parameter(q, p, len);
		if (amp == NULL)
			return;
		p += len + 1;
		n -= len + 1;
		if (n == 0)
			field_error(q, "query/", "", "format"); /* an ampersand at the end */
	}
}

/* Every required field that did not come at all; one that came wrong has been told already. */
static void demand(struct req *q, enum field_in in, const char *where)
{
	for (size_t i = 0; q->row->fields[i].name != NULL; i++) {
		const struct field *f = &q->row->fields[i];

		if (f->in == in && f->required && (q->seen >> i & 1) == 0)
			field_error(q, where, f->name, "required");
	}
}

/* --- the head --- */

static int read_authorization(struct req *q, const struct http *h, const uint8_t *buf)
{
	const struct http_span a = h->field[HF_AUTHORIZATION];

	if (!http_has(h, HF_AUTHORIZATION))
		return q->row->who == WHO_ANYONE ? KE_OK : refuse(q, PB_UNAUTHENTICATED, NULL);
	if (hdr_bearer(buf + a.off, a.len, &q->api.token, &q->api.token_len) == KE_OK)
		return KE_OK;
	q->bad_token = true;
	return refuse(q, PB_TOKEN_INVALID, NULL);
}

static int read_accept(struct req *q, const struct http *h, const uint8_t *buf)
{
	const char *type = shape_media(q->row->shape);
	const uint8_t *p = buf + h->field[HF_ACCEPT].off;
	size_t n = h->field[HF_ACCEPT].len;
	enum hdr_accept said = hdr_accepts(p, n, type);

	/* who reads our problems reads the rest */
	if (said == HDR_UNNAMED)
		said = hdr_accepts(p, n, "application/problem+json");
	if (said == HDR_UNNAMED)
		said = hdr_accepts(p, n, "application/json");
	if (n == 0 || said == HDR_ACCEPTED)
		return KE_OK;
	return refuse(q, PB_NOT_ACCEPTABLE, NULL);
}

static int read_idem(struct req *q, const struct http *h, const uint8_t *buf)
{
	const struct http_span k = h->field[HF_IDEMPOTENCY_KEY];

	if (q->row->idem == IDEM_NONE)
		return KE_OK;
	if (!http_has(h, HF_IDEMPOTENCY_KEY))
		return q->row->idem == IDEM_REQUIRED ? refuse(q, PB_IDEM_REQUIRED, NULL) : KE_OK;
	if (hdr_idem(buf + k.off, k.len, &q->api.idem, &q->api.idem_len) != KE_OK)
		return refuse(q, PB_IDEM_INVALID, NULL);
	return KE_OK;
}

/* The field that the whole body is, -1 for none. */
static int text_field(const struct route *row)
{
	for (int i = 0; row->fields[i].name != NULL; i++)
		if (row->fields[i].in == IN_TEXT)
			return i;
	return -1;
}

static bool expects_body(const struct http *h)
{
	return h->chunked || h->left > 0 || h->body.len > 0;
}

static int read_content_type(struct req *q, const struct http *h, const uint8_t *buf)
{
	const struct http_span type = h->field[HF_CONTENT_TYPE],
			       coding = h->field[HF_CONTENT_ENCODING];

	if (http_has(h, HF_CONTENT_ENCODING) &&
	    !hdr_equal(buf + coding.off, coding.len, "identity"))
		return refuse(q, PB_MEDIA_TYPE, "The body must not be compressed");
	/* what a text is, its form says */
	if (text_field(q->row) < 0 && expects_body(h) && !hdr_is_json(buf + type.off, type.len))
		return refuse(q, PB_MEDIA_TYPE, NULL);
	return KE_OK;
}

int req_head(struct req *q, const struct http *h, const uint8_t *buf)
{
	const struct http_span match = h->field[HF_IF_MATCH];
	int r = read_authorization(q, h, buf);

	if (r == KE_OK)
		r = read_accept(q, h, buf);
	if (r == KE_OK)
		r = read_content_type(q, h, buf);
	if (r == KE_OK)
		r = read_idem(q, h, buf);
	if (r != KE_OK)
		return r;
	if (http_has(h, HF_IF_MATCH) &&
	    hdr_version(buf + match.off, match.len, &q->api.if_match) != KE_OK)
		field_error(q, "header/", "If-Match", "format");
	read_path(q);
	read_query(q, buf + h->query.off, h->query.len);
	demand(q, IN_QUERY, "query/");
	return verdict(q);
}

/* --- the body --- */

struct body {
	const char *text;
	size_t ntoks;
};

static uint8_t *decode_string(struct req *q, const struct body *b, size_t tok, size_t *n)
{
	const struct json_tok *t = &q->toks[tok];
	size_t room = (size_t)(t->end - t->start);
	uint8_t *out = arena_take(q, room);

	*n = 0;
	if (out == NULL || json_string(b->text, t, (char *)out, room, n) != KE_OK)
		return NULL;
	return out;
}

static const char *json_integer(const struct body *b, const struct json_tok *t, int64_t *v)
{
	int r;

	if (t->type != JSON_NUMBER)
		return "type";
	r = json_int(b->text, t, v);
	if (r == KE_OK)
		return NULL;
	return r == KE_RANGE ? "range" : "integer";
}

/* Notes an unknown member's name as a JSON Pointer (RFC 6901), cut where it is long. */
static void unknown_member(struct req *q, const char *where, const uint8_t *name, size_t n)
{
	char pointer[sizeof q->errors[0].pointer - MONEY_WHERE];
	size_t len = 0;

	for (size_t i = 0; i < n && len + 5 < sizeof pointer; i++) {
		if (len + 12 > sizeof pointer && (name[i] & 0xc0) != 0x80)
			break; /* only between two characters */
		if (name[i] == '~' || name[i] == '/') {
			pointer[len++] = '~';
			pointer[len++] = name[i] == '~' ? '0' : '1';
		} else {
			pointer[len++] = (char)name[i];
		}
	}
	pointer[len] = '\0';
	field_error(q, where, pointer, "unknown");
}

static const char *money_currency(
    struct req *q, const struct body *b, size_t tok, const struct field *f, struct api_value *v)
{
	struct api_value probe = {.i = f->min}; /* its amount is judged apart */

	if (q->toks[tok].type != JSON_STRING)
		return "type";
	probe.p = decode_string(q, b, tok, &probe.n);
	if (probe.p == NULL || !api_value_ok(f, &probe))
		return "format";
	v->p = probe.p;
	v->n = probe.n;
	return NULL;
}

static const char *money_amount(
    const struct req *q, const struct body *b, size_t tok, const struct field *f, int64_t *v)
{
	const char *code = json_integer(b, &q->toks[tok], v);

	return code == NULL && (*v < f->min || *v > f->max) ? "range" : code;
}

/* {"amount", "currency"}, exactly these. Errors point at the member that is wrong. */
static void read_money(
    struct req *q, const struct body *b, size_t obj, const struct field *f, struct api_value *v)
{
	static const char *const names[] = {"amount", "currency"};
	const char *code[] = {"required", "required"};
	size_t before = q->nerrors, key = obj + 1;
	char where[MONEY_WHERE];

	snprintf(where, sizeof where, "/%s/", f->name);
	for (int i = 0; i < q->toks[obj].size; i++) {
		size_t used = q->used, n;
		const uint8_t *name = decode_string(q, b, key, &n);

		q->used = used;
		if (name != NULL && same(name, n, names[0]))
			code[0] = money_amount(q, b, key + 1, f, &v->i);
		else if (name != NULL && same(name, n, names[1]))
			code[1] = money_currency(q, b, key + 1, f, v);
		else
			unknown_member(q, where, name, name != NULL ? n : 0);
		key = json_next(q->toks, b->ntoks, key + 1);
	}
	for (int i = 0; i < 2; i++)
		if (code[i] != NULL)
			field_error(q, where, names[i], code[i]);
	v->present = q->nerrors == before;
}

static void read_value(struct req *q, const struct body *b, size_t tok, size_t i)
{
	const struct field *f = &q->row->fields[i];
	struct api_value *v = &q->api.v[i];
	const struct json_tok *t = &q->toks[tok];
	const char *code = NULL;
	uint8_t *text;
	size_t n;

	*v = (struct api_value){0};
	q->seen |= 1u << i;
	if (f->type == FIELD_MONEY && t->type == JSON_OBJECT) {
		read_money(q, b, tok, f, v);
		return;
	}
	if (f->type == FIELD_INT) {
		code = json_integer(b, t, &v->i);
		if (code == NULL && !api_value_ok(f, v))
			code = "range";
		v->present = code == NULL;
	} else if (f->type == FIELD_MONEY || t->type != JSON_STRING) {
		code = "type";
	} else if ((text = decode_string(q, b, tok, &n)) == NULL) {
		code = "characters";
	} else {
		code = value_from_text(q, f, text, n, v);
	}
	if (code != NULL)
		field_error(q, "/", f->name, code);
}

static void read_member(struct req *q, const struct body *b, size_t key)
{
	size_t used = q->used, n;
	const uint8_t *name = decode_string(q, b, key, &n);
	int i = name != NULL ? field_index(q->row, IN_BODY, name, n) : -1;

	if (i < 0)
		unknown_member(q, "/", name, name != NULL ? n : 0);
	q->used = used; /* the name is not needed any more */
	if (i >= 0)
		read_value(q, b, key + 1, (size_t)i);
}

static int read_json(struct req *q, const char *text, size_t n)
{
	struct body b = {text, 0};
	int r = json_check(text, n, JSON_TOKENS, &b.ntoks, NULL);

	if (r == KE_EXISTS)
		return refuse(q, PB_JSON_MALFORMED, "An object has the same key twice");
	if (r == KE_LIMIT)
		return refuse(q, PB_JSON_MALFORMED, "The JSON is too deep or has too many values");
	if (r != KE_OK || json_split(text, n, q->toks, b.ntoks) != KE_OK)
		return refuse(q, PB_JSON_MALFORMED, NULL);
	if (q->toks[0].type != JSON_OBJECT) {
		field_error(q, "", "", "type");
		return KE_DENIED;
	}
	for (size_t key = 1; key < b.ntoks; key = json_next(q->toks, b.ntoks, key + 1))
		read_member(q, &b, key);
	return KE_OK;
}

static void read_text(struct req *q, int i, const uint8_t *text, size_t n)
{
	uint8_t *copy = n > 0 ? arena_take(q, n) : NULL;
	const char *code = "length";

	if (copy != NULL) {
		memcpy(copy, text, n);
		code = value_from_text(q, &q->row->fields[i], copy, n, &q->api.v[i]);
	}
	if (code != NULL)
		field_error(q, "", "", code);
}

int req_body(struct req *q, const struct http *h, const uint8_t *buf)
{
	int r, text = text_field(q->row);

	if (text >= 0) {
		read_text(q, text, buf + h->body.off, h->body.len);
		return verdict(q);
	}

	if (h->body.len > 0) {
		r = read_json(q, (const char *)buf + h->body.off, h->body.len);
		if (r != KE_OK)
			return r;
	}
	demand(q, IN_BODY, "/");
	return verdict(q);
}

void req_wipe(struct req *q)
{
	sodium_memzero(q->arena, q->peak);
	q->used = q->peak = 0;
}
