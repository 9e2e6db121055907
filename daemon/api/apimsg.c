/*
 * The bodies of the messages between net and engine: see apimsg.h. The values of a request stand
 * on the wire in the order of the row's fields, each as u8 present, then by its type.
 * Runs in net and engine; the getters trust nothing that came.
 */
#include "daemon/api/apimsg.h"

#include <string.h>

#include "policy/text.h"
#include "policy/tile.h"

#define CURRENCY_MIN 2
#define CURRENCY_MAX 8

static size_t field_count(const struct route *row)
{
	size_t n = 0;

	while (row->fields[n].name != NULL)
		n++;
	return n;
}

static void put_value(struct wire_out *w, const struct field *f, const struct api_value *v)
{
	wire_put_u8(w, v->present);
	if (!v->present)
		return;
	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_SECRET:
	case FIELD_EMAIL:
	case FIELD_HEX:
	case FIELD_DECIMAL:
	case FIELD_TILE:
	case FIELD_CURSOR:
		wire_put_str(w, v->p, v->n);
		return;
	case FIELD_INT:
		wire_put_i64(w, v->i);
		return;
	case FIELD_UUID:
	case FIELD_LOG:
		wire_put_raw(w, v->p, 16);
		return;
	case FIELD_ENUM:
		wire_put_u8(w, (uint8_t)v->i);
		return;
	case FIELD_MONEY:
		wire_put_i64(w, v->i);
		wire_put_str(w, v->p, v->n);
		return;
	}
}

static bool is_currency(const uint8_t *p, size_t n)
{
	if (n < CURRENCY_MIN || n > CURRENCY_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9')))
			return false;
	return true;
}

static bool is_text(const uint8_t *p, size_t n)
{
	if (text_utf8(p, n) != KE_OK)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((p[i] < 0x20 && p[i] != '\n' && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

static bool is_email(const uint8_t *p, size_t n)
{
	const uint8_t *at = memchr(p, '@', n);

	if (at == NULL || at == p || at == p + n - 1 ||
	    memchr(at + 1, '@', n - (size_t)(at + 1 - p)) != NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] <= 0x20 || p[i] == 0x7f || (p[i] >= 'A' && p[i] <= 'Z'))
			return false;
	return text_utf8(p, n) == KE_OK;
}

static bool is_cursor(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'A' && p[i] <= 'Z') ||
			(p[i] >= 'a' && p[i] <= 'z') || p[i] == '-' || p[i] == '_'))
			return false;
	return true;
}

/* One text per number: no sign, no leading zero. */
static bool is_decimal(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return n == 1 || p[0] != '0';
}

static size_t word_count(const struct field *f)
{
	size_t n = 0;

	while (n < FIELD_WORDS && f->words[n] != NULL)
		n++;
	return n;
}

/* Is a decoded value what its field allows? The one place that says so, for net and engine. */
bool api_value_ok(const struct field *f, const struct api_value *v)
{
	bool sized = v->n >= (size_t)f->min && v->n <= (size_t)f->max;
	struct tile tile;

	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_SECRET:
		return sized && is_text(v->p, v->n);
	case FIELD_EMAIL:
		return sized && is_email(v->p, v->n);
	case FIELD_HEX:
		return sized;
	case FIELD_DECIMAL:
		return sized && is_decimal(v->p, v->n);
	case FIELD_CURSOR:
		return sized && is_cursor(v->p, v->n);
	case FIELD_INT:
		return v->i >= f->min && v->i <= f->max;
	case FIELD_UUID:
	case FIELD_LOG:
		return v->n == 16;
	case FIELD_TILE:
		return sized && tile_parse(&tile, (const char *)v->p, v->n) == KE_OK;
	case FIELD_ENUM:
		return v->i >= 0 && (size_t)v->i < word_count(f);
	case FIELD_MONEY:
		return v->i >= f->min && v->i <= f->max && is_currency(v->p, v->n);
	}
	return false;
}

static void get_value(struct wire_in *r, const struct field *f, struct api_value *v)
{
	uint8_t present = wire_get_u8(r);

	*v = (struct api_value){.present = present == 1};
	if (present > 1 || (present == 0 && f->required))
		r->err = KE_PEER;
	if (r->err != KE_OK || present == 0)
		return;
	switch (f->type) {
	case FIELD_TEXT:
	case FIELD_SECRET:
	case FIELD_EMAIL:
	case FIELD_HEX:
	case FIELD_DECIMAL:
	case FIELD_TILE:
	case FIELD_CURSOR:
		v->p = wire_get_str(r, (size_t)f->max, &v->n);
		break;
	case FIELD_INT:
		v->i = wire_get_i64(r);
		break;
	case FIELD_UUID:
	case FIELD_LOG:
		v->p = wire_get_view(r, 16);
		v->n = 16;
		break;
	case FIELD_ENUM:
		v->i = wire_get_u8(r);
		break;
	case FIELD_MONEY:
		v->i = wire_get_i64(r);
		v->p = wire_get_str(r, CURRENCY_MAX, &v->n);
		break;
	}
	if (r->err == KE_OK && !api_value_ok(f, v))
		r->err = KE_PEER;
}

void apimsg_put_req(struct wire_out *w, const struct api_req *q)
{
	const struct route *row = &route_table[q->route];

	wire_put_u16(w, q->route);
	wire_put_raw(w, q->request_id, sizeof q->request_id);
	wire_put_raw(w, q->address, sizeof q->address);
	wire_put_str(w, q->token, q->token_len);
	wire_put_str(w, q->idem, q->idem_len);
	wire_put_i64(w, q->if_match);
	for (size_t i = 0; i < field_count(row); i++)
		put_value(w, &row->fields[i], &q->v[i]);
}

static bool printable(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return true;
}

int apimsg_get_req(struct wire_in *r, struct api_req *q)
{
	const struct route *row;
	int err;

	memset(q, 0, sizeof *q);
	q->route = wire_get_u16(r);
	if (r->err != KE_OK || q->route >= ROUTE_COUNT)
		return KE_PEER;
	row = &route_table[q->route];
	wire_get_raw(r, q->request_id, sizeof q->request_id);
	wire_get_raw(r, q->address, sizeof q->address);
	q->token = wire_get_str(r, API_TOKEN_MAX, &q->token_len);
	q->idem = wire_get_str(r, API_IDEM_MAX, &q->idem_len);
	q->if_match = wire_get_i64(r);
	q->fields = r->p;
	for (size_t i = 0; i < field_count(row); i++)
		get_value(r, &row->fields[i], &q->v[i]);
	err = wire_end(r);
	if (err != KE_OK || q->if_match < 0)
		return KE_PEER;
	q->fields_len = (size_t)(r->p - q->fields);
	if (!printable(q->token, q->token_len) || !printable(q->idem, q->idem_len))
		return KE_PEER;
	return KE_OK;
}

void apimsg_put_ans(struct wire_out *w, const struct api_ans *a)
{
	wire_put_u16(w, a->status);
	wire_put_u8(w, a->flags);
	wire_put_u8(w, a->type);
	wire_put_u32(w, a->retry_after_s);
	wire_put_u32(w, a->limit);
	wire_put_u32(w, a->window_s);
	wire_put_u32(w, a->remaining);
	wire_put_u32(w, a->reset_s);
	wire_put_i64(w, a->version);
	wire_put_str(w, a->location, a->location_len);
	wire_put_u64(w, a->file_len);
	wire_put_u32(w, (uint32_t)a->body_len);
	wire_put_raw(w, a->body, a->body_len);
}

int apimsg_get_ans(struct wire_in *r, struct api_ans *a)
{
	memset(a, 0, sizeof *a);
	a->status = wire_get_u16(r);
	a->flags = wire_get_u8(r);
	a->type = wire_get_u8(r);
	a->retry_after_s = wire_get_u32(r);
	a->limit = wire_get_u32(r);
	a->window_s = wire_get_u32(r);
	a->remaining = wire_get_u32(r);
	a->reset_s = wire_get_u32(r);
	a->version = wire_get_i64(r);
	a->location = wire_get_str(r, 512, &a->location_len);
	a->file_len = wire_get_u64(r);
	a->body_len = wire_get_u32(r);
	a->body = wire_get_view(r, a->body_len);
	if (wire_end(r) != KE_OK)
		return KE_PEER;
	if (a->status < 200 || a->status > 599 || a->type > API_EMPTY)
		return KE_PEER;
	return KE_OK;
}

#define STATS_FIELDS 9

/* The counters in one order for both directions. */
static void stats_fields(struct net_stats *s, uint64_t *f[STATS_FIELDS])
{
	uint64_t *all[STATS_FIELDS] = {&s->connections, &s->handshakes, &s->handshake_failures,
	    &s->requests, &s->cache_hits, &s->refused_limit, &s->malformed, &s->timeouts, &s->open};

	memcpy(f, all, sizeof all);
}

void apimsg_put_stats(struct wire_out *w, const struct net_stats *s)
{
	struct net_stats copy = *s;
	uint64_t *f[STATS_FIELDS];

	stats_fields(&copy, f);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		wire_put_u64(w, *f[i]);
}

int apimsg_get_stats(struct wire_in *r, struct net_stats *s)
{
	uint64_t *f[STATS_FIELDS];

	stats_fields(s, f);
	for (size_t i = 0; i < STATS_FIELDS; i++)
		*f[i] = wire_get_u64(r);
	return wire_end(r) == KE_OK ? KE_OK : KE_PEER;
}
