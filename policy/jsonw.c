/*
 * The bounded JSON writer. Pure; used by net and engine for answers. What it is given may come
 * from strangers: it writes valid JSON or reports an error.
 */
#include "policy/jsonw.h"

#include <string.h>

#include "policy/text.h"

void jsonw_init(struct jsonw *w, char *buf, size_t cap)
{
	memset(w, 0, sizeof(*w));
	w->buf = buf;
	w->cap = cap;
}

static void fail(struct jsonw *w, int err)
{
	if (w->err == KE_OK)
		w->err = err;
}

static void put(struct jsonw *w, const char *p, size_t n)
{
	if (w->err != KE_OK)
		return;
	if (n > w->cap - w->len) {
		fail(w, KE_FULL);
		return;
	}
	if (n > 0)
		memcpy(w->buf + w->len, p, n);
	w->len += n;
}

/* A comma where one is due; outside all brackets there is one value only. */
static void comma(struct jsonw *w)
{
	if (w->comma[w->depth] && w->depth == 0)
		fail(w, KE_FORMAT);
	if (w->comma[w->depth])
		put(w, ",", 1);
	w->comma[w->depth] = true;
}

/* What must stand before a value: in an object its key, elsewhere perhaps a comma. */
static void before(struct jsonw *w)
{
	if (!w->object[w->depth])
		comma(w);
	else if (!w->key)
		fail(w, KE_FORMAT);
	w->key = false;
}

static void open_bracket(struct jsonw *w, bool object)
{
	before(w);
	if (w->depth == JSONW_DEPTH) {
		fail(w, KE_LIMIT);
		return;
	}
	put(w, object ? "{" : "[", 1);
	w->depth++;
	w->comma[w->depth] = false;
	w->object[w->depth] = object;
}

static void close_bracket(struct jsonw *w, bool object)
{
	if (w->depth == 0 || w->key || w->object[w->depth] != object) {
		fail(w, KE_FORMAT);
		return;
	}
	put(w, object ? "}" : "]", 1);
	w->depth--;
}

void jsonw_object(struct jsonw *w)
{
	open_bracket(w, true);
}

void jsonw_object_end(struct jsonw *w)
{
	close_bracket(w, true);
}

void jsonw_array(struct jsonw *w)
{
	open_bracket(w, false);
}

void jsonw_array_end(struct jsonw *w)
{
	close_bracket(w, false);
}

/* The short escape of a character that needs one, "" for \u00XX, NULL when it needs none. */
static const char *escape_of(uint8_t c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\b':
		return "\\b";
	case '\f':
		return "\\f";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	default:
		return c < 0x20 ? "" : NULL;
	}
}

static void put_escaped(struct jsonw *w, uint8_t c, const char *esc)
{
	char hex[3];

	if (*esc != '\0') {
		put(w, esc, 2);
		return;
	}
	put(w, "\\u00", 4);
	text_hex(hex, &c, 1);
	put(w, hex, 2);
}

/* A quoted string; runs of plain characters are copied at once. */
static void put_string(struct jsonw *w, const char *s, size_t n)
{
	size_t from = 0;

	put(w, "\"", 1);
	for (size_t i = 0; i < n;) {
		const char *esc = escape_of((uint8_t)s[i]);
		size_t len = text_utf8_len(s + i, n - i);

		if (len == 0) {
			fail(w, KE_FORMAT);
			return;
		}
		if (esc != NULL) {
			put(w, s + from, i - from);
			put_escaped(w, (uint8_t)s[i], esc);
			from = i + 1;
		}
		i += len;
	}
	put(w, s + from, n - from);
	put(w, "\"", 1);
}

void jsonw_key(struct jsonw *w, const char *key)
{
	if (w->key || !w->object[w->depth]) {
		fail(w, KE_FORMAT);
		return;
	}
	comma(w);
	put_string(w, key, strlen(key));
	put(w, ":", 1);
	w->key = true;
}

void jsonw_raw(struct jsonw *w, const char *json, size_t n)
{
	before(w);
	put(w, json, n);
}

void jsonw_str(struct jsonw *w, const char *s, size_t n)
{
	before(w);
	put_string(w, s, n);
}

void jsonw_cstr(struct jsonw *w, const char *s)
{
	jsonw_str(w, s, strlen(s));
}

void jsonw_int(struct jsonw *w, int64_t v)
{
	char d[1 + TEXT_U64_MAX + 1] = "-";
	size_t n = text_u64(d + 1, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);

	jsonw_raw(w, v < 0 ? d : d + 1, v < 0 ? n + 1 : n);
}

void jsonw_bool(struct jsonw *w, bool v)
{
	jsonw_raw(w, v ? "true" : "false", v ? 4 : 5);
}

void jsonw_null(struct jsonw *w)
{
	jsonw_raw(w, "null", 4);
}

/*
 * Long binary values are written in pieces of a multiple of three bytes, for which base64 needs no
 * padding in between.
 */
#define PIECE 48

static void put_pieces(
    struct jsonw *w, const uint8_t *p, size_t n, void (*text)(char *, const void *, size_t))
{
	char piece[2 * PIECE + 1];

	before(w);
	put(w, "\"", 1);
	while (n > 0) {
		size_t now = n < PIECE ? n : PIECE;

		text(piece, p, now);
		put(w, piece, strlen(piece));
		p += now;
		n -= now;
	}
	put(w, "\"", 1);
}

void jsonw_hex(struct jsonw *w, const void *p, size_t n)
{
	put_pieces(w, p, n, text_hex);
}

void jsonw_b64(struct jsonw *w, const void *p, size_t n)
{
	put_pieces(w, p, n, text_b64);
}

void jsonw_uuid(struct jsonw *w, const uint8_t id[16])
{
	char s[37];

	text_uuid(s, id);
	jsonw_str(w, s, 36);
}

void jsonw_time(struct jsonw *w, int64_t unix_ms)
{
	char s[25];

	text_time(s, unix_ms);
	jsonw_str(w, s, 24);
}

void jsonw_money(struct jsonw *w, int64_t amount, const char *currency)
{
	jsonw_object(w);
	jsonw_kint(w, "amount", amount);
	jsonw_kcstr(w, "currency", currency);
	jsonw_object_end(w);
}

void jsonw_kcstr(struct jsonw *w, const char *key, const char *s)
{
	jsonw_key(w, key);
	jsonw_cstr(w, s);
}

void jsonw_kstr(struct jsonw *w, const char *key, const char *s, size_t n)
{
	jsonw_key(w, key);
	jsonw_str(w, s, n);
}

void jsonw_kint(struct jsonw *w, const char *key, int64_t v)
{
	jsonw_key(w, key);
	jsonw_int(w, v);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool v)
{
	jsonw_key(w, key);
	jsonw_bool(w, v);
}

void jsonw_khex(struct jsonw *w, const char *key, const void *p, size_t n)
{
	jsonw_key(w, key);
	jsonw_hex(w, p, n);
}

void jsonw_kuuid(struct jsonw *w, const char *key, const uint8_t id[16])
{
	jsonw_key(w, key);
	jsonw_uuid(w, id);
}

void jsonw_ktime(struct jsonw *w, const char *key, int64_t unix_ms)
{
	jsonw_key(w, key);
	jsonw_time(w, unix_ms);
}

void jsonw_kmoney(struct jsonw *w, const char *key, int64_t amount, const char *currency)
{
	jsonw_key(w, key);
	jsonw_money(w, amount, currency);
}

int jsonw_end(const struct jsonw *w)
{
	if (w->err != KE_OK)
		return w->err;
	return w->depth == 0 && !w->key && w->len > 0 ? KE_OK : KE_FORMAT;
}
