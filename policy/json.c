/*
 * Strict JSON: the check that jsmn does not make, and the getters over jsmn's tokens. Pure; runs
 * in net and klero-verify, and trusts nothing of what it reads.
 *
 * The check is a table: what stands next (a class of bytes) in which place (a state) says what to
 * do. Nesting is a small array, so there is no recursion.
 */
#include "policy/json.h"

#include <string.h>

#include "policy/jsonkeys.h"
#include "policy/jsonstr.h"
#include "policy/text.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

/* --- the table --- */

enum byte_class {
	C_BAD,
	C_SPACE,
	C_LBRACE,
	C_RBRACE,
	C_LBRACKET,
	C_RBRACKET,
	C_COLON,
	C_COMMA,
	C_QUOTE,
	C_DIGIT, /* and the minus sign */
	C_WORD,  /* first letters of true, false, null */
	CLASSES
};

static const uint8_t class_of[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['{'] = C_LBRACE,
    ['}'] = C_RBRACE,
    ['['] = C_LBRACKET,
    [']'] = C_RBRACKET,
    [':'] = C_COLON,
    [','] = C_COMMA,
    ['"'] = C_QUOTE,
    ['-'] = C_DIGIT,
    ['0'] = C_DIGIT,
    ['1'] = C_DIGIT,
    ['2'] = C_DIGIT,
    ['3'] = C_DIGIT,
    ['4'] = C_DIGIT,
    ['5'] = C_DIGIT,
    ['6'] = C_DIGIT,
    ['7'] = C_DIGIT,
    ['8'] = C_DIGIT,
    ['9'] = C_DIGIT,
    ['t'] = C_WORD,
    ['f'] = C_WORD,
    ['n'] = C_WORD,
};

enum state {
	S_VALUE,       /* a value must follow */
	S_FIRST_VALUE, /* after [: a value or ] */
	S_FIRST_KEY,   /* after {: a key or } */
	S_KEY,         /* after a comma in an object */
	S_COLON,
	S_AFTER, /* after a value in brackets: comma or the end */
	S_DONE,  /* after the outermost value */
	STATES
};

enum action {
	A_REFUSE,
	A_SKIP,
	A_OPEN_OBJECT,
	A_OPEN_ARRAY,
	A_CLOSE_OBJECT,
	A_CLOSE_ARRAY,
	A_COLON,
	A_COMMA,
	A_KEY,
	A_STRING,
	A_NUMBER,
	A_WORD
};

#define VALUE_ROW                                                                                  \
	[C_SPACE] = A_SKIP, [C_LBRACE] = A_OPEN_OBJECT, [C_LBRACKET] = A_OPEN_ARRAY,               \
	[C_QUOTE] = A_STRING, [C_DIGIT] = A_NUMBER, [C_WORD] = A_WORD

static const uint8_t action_of[STATES][CLASSES] = {
    [S_VALUE] = {VALUE_ROW},
    [S_FIRST_VALUE] = {VALUE_ROW, [C_RBRACKET] = A_CLOSE_ARRAY},
    [S_FIRST_KEY] = {[C_SPACE] = A_SKIP, [C_QUOTE] = A_KEY, [C_RBRACE] = A_CLOSE_OBJECT},
    [S_KEY] = {[C_SPACE] = A_SKIP, [C_QUOTE] = A_KEY},
    [S_COLON] = {[C_SPACE] = A_SKIP, [C_COLON] = A_COLON},
    [S_AFTER] = {[C_SPACE] = A_SKIP,
	[C_COMMA] = A_COMMA,
	[C_RBRACE] = A_CLOSE_OBJECT,
	[C_RBRACKET] = A_CLOSE_ARRAY},
    [S_DONE] = {[C_SPACE] = A_SKIP},
};

/* --- numbers and words --- */

static const char *digits_end(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* The end of the number at p, or NULL. */
static const char *number_end(const char *p, const char *end)
{
	const char *q;

	p += *p == '-';
	q = digits_end(p, end);
	if (q == p || (*p == '0' && q - p > 1))
		return NULL;
	if (q < end && *q == '.') {
		p = q + 1;
		q = digits_end(p, end);
		if (q == p)
			return NULL;
	}
	if (q == end || (*q | 0x20) != 'e')
		return q;
	p = q + 1;
	p += p < end && (*p == '+' || *p == '-');
	q = digits_end(p, end);
	return q == p ? NULL : q;
}

static const char *word_end(const char *p, const char *end)
{
	static const char words[3][6] = {"true", "false", "null"};

	for (int i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(end - p) >= n && memcmp(p, words[i], n) == 0)
			return p + n;
	}
	return NULL;
}

/* --- the check --- */

struct scan {
	const char *p, *end;
	const char *at; /* where the trouble is */
	enum state state;
	size_t tokens, max;
	unsigned depth;
	bool object[JSON_DEPTH + 1];   /* is the bracket at this depth an object? */
	size_t serial[JSON_DEPTH + 1]; /* its token number */
	struct jsonkeys keys;
};

static int count_token(struct scan *s)
{
	if (s->tokens == s->max)
		return KE_LIMIT;
	s->tokens++;
	return KE_OK;
}

static void value_done(struct scan *s)
{
	s->state = s->depth == 0 ? S_DONE : S_AFTER;
}

static int scan_open(struct scan *s, bool object)
{
	if (s->depth == JSON_DEPTH || count_token(s) != KE_OK)
		return KE_LIMIT;
	s->depth++;
	s->object[s->depth] = object;
	s->serial[s->depth] = s->tokens;
	s->state = object ? S_FIRST_KEY : S_FIRST_VALUE;
	s->p++;
	return KE_OK;
}

static int scan_close(struct scan *s, bool object)
{
	if (s->object[s->depth] != object)
		return KE_FORMAT;
	s->depth--;
	s->p++;
	value_done(s);
	return KE_OK;
}

/* The key between the quotes must be new in its object. */
static int scan_key(struct scan *s, const char *from, const char *end)
{
	struct json_tok tok = {.type = JSON_STRING, .end = (int)(end - from)};
	char key[JSON_KEY_MAX];
	size_t n;

	s->at = from;
	s->state = S_COLON;
	if (end - from > JSON_KEY_MAX)
		return KE_LIMIT;
	if (json_string(from, &tok, key, sizeof(key), &n) != KE_OK)
		return KE_FORMAT;
	return jsonkeys_add(&s->keys, s->serial[s->depth], key, n);
}

static int scan_string(struct scan *s, bool key)
{
	const char *from = s->p + 1, *end;

	if (count_token(s) != KE_OK)
		return KE_LIMIT;
	end = jsonstr_end(from, s->end, &s->at);
	if (end == NULL)
		return KE_FORMAT;
	s->p = end + 1;
	if (key)
		return scan_key(s, from, end);
	value_done(s);
	return KE_OK;
}

static int scan_primitive(struct scan *s, const char *end)
{
	if (count_token(s) != KE_OK)
		return KE_LIMIT;
	if (end == NULL)
		return KE_FORMAT;
	s->p = end;
	value_done(s);
	return KE_OK;
}

static int scan_step(struct scan *s)
{
	s->at = s->p;
	switch ((enum action)action_of[s->state][class_of[(uint8_t)*s->p]]) {
	case A_SKIP:
		s->p++;
		return KE_OK;
	case A_OPEN_OBJECT:
		return scan_open(s, true);
	case A_OPEN_ARRAY:
		return scan_open(s, false);
	case A_CLOSE_OBJECT:
		return scan_close(s, true);
	case A_CLOSE_ARRAY:
		return scan_close(s, false);
	case A_COLON:
		s->state = S_VALUE;
		s->p++;
		return KE_OK;
	case A_COMMA:
		s->state = s->object[s->depth] ? S_KEY : S_VALUE;
		s->p++;
		return KE_OK;
	case A_KEY:
		return scan_string(s, true);
	case A_STRING:
		return scan_string(s, false);
	case A_NUMBER:
		return scan_primitive(s, number_end(s->p, s->end));
	case A_WORD:
		return scan_primitive(s, word_end(s->p, s->end));
	case A_REFUSE:
		break;
	}
	return KE_FORMAT;
}

int json_check(const char *text, size_t n, size_t max_tokens, size_t *tokens, size_t *at)
{
	struct scan s = {.p = text, .end = text + n, .at = text, .max = max_tokens};
	int r = KE_OK;

	if (n > INT32_MAX)
		return KE_LIMIT;
	jsonkeys_init(&s.keys);
	while (s.p < s.end && r == KE_OK)
		r = scan_step(&s);
	if (r == KE_OK && s.state != S_DONE) {
		s.at = s.end;
		r = KE_FORMAT;
	}
	jsonkeys_free(&s.keys);
	if (tokens != NULL)
		*tokens = s.tokens;
	if (at != NULL)
		*at = (size_t)(s.at - text);
	return r;
}

/* --- tokens --- */

static uint8_t type_of(jsmntype_t type, char first)
{
	switch (type) {
	case JSMN_OBJECT:
		return JSON_OBJECT;
	case JSMN_ARRAY:
		return JSON_ARRAY;
	case JSMN_STRING:
		return JSON_STRING;
	default:
		break;
	}
	switch (first) {
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* jsmn refuses a number or word that is the whole text when JSMN_STRICT is set: split it here. */
static int split_primitive(const char *text, size_t n, size_t from, struct json_tok *tok)
{
	while (class_of[(uint8_t)text[n - 1]] == C_SPACE)
		n--;
	*tok = (struct json_tok){.type = type_of(JSMN_PRIMITIVE, text[from]),
	    .start = (int)from,
	    .end = (int)n,
	    .parent = -1};
	return KE_OK;
}

/*
 * The caller's memory serves jsmn first, then each token is turned into ours where it stands: a
 * bundle has millions, and a second array of them would be waste.
 */
_Static_assert(sizeof(jsmntok_t) == sizeof(struct json_tok), "tokens are converted in place");
_Static_assert(_Alignof(jsmntok_t) == _Alignof(struct json_tok), "tokens are converted in place");

static void convert(const char *text, struct json_tok *tok)
{
	jsmntok_t j;

	memcpy(&j, tok, sizeof(j));
	*tok = (struct json_tok){.type = type_of(j.type, text[j.start]),
	    .start = j.start,
	    .end = j.end,
	    .size = j.size,
	    .parent = j.parent};
}

int json_split(const char *text, size_t n, struct json_tok *toks, size_t tokens)
{
	size_t from = 0;
	jsmn_parser parser;
	int found;

	while (from < n && class_of[(uint8_t)text[from]] == C_SPACE)
		from++;
	if (from == n || tokens == 0)
		return KE_FORMAT;
	if (text[from] != '{' && text[from] != '[' && text[from] != '"')
		return split_primitive(text, n, from, toks);
	jsmn_init(&parser);
	found = jsmn_parse(&parser, text, n, (void *)toks, (unsigned)tokens);
	if (found < 0 || (size_t)found != tokens)
		return KE_FORMAT;
	for (size_t i = 0; i < tokens; i++)
		convert(text, &toks[i]);
	return KE_OK;
}

/* --- getters --- */

size_t json_next(const struct json_tok *toks, size_t ntoks, size_t i)
{
	int end = toks[i].end;

	for (i++; i < ntoks && toks[i].start < end; i++)
		;
	return i;
}

/* Does the string's value equal name? Escapes are undone one by one. */
static bool string_is(const char *text, const struct json_tok *t, const char *name)
{
	const char *p = text + t->start, *end = text + t->end;
	size_t left = strlen(name);

	while (p < end) {
		size_t used = 1, len = 1;
		char out[4] = {*p};

		if (*p == '\\')
			len = jsonstr_unescape(p, (size_t)(end - p), &used, out);
		if (len == 0 || len > left || memcmp(out, name, len) != 0)
			return false;
		p += used;
		name += len;
		left -= len;
	}
	return left == 0;
}

size_t json_member(
    const char *text, const struct json_tok *toks, size_t ntoks, size_t i, const char *name)
{
	int end = toks[i].end;

	if (toks[i].type != JSON_OBJECT)
		return 0;
	for (i++; i + 1 < ntoks && toks[i].start < end; i = json_next(toks, ntoks, i + 1))
		if (string_is(text, &toks[i], name))
			return i + 1;
	return 0;
}

int json_string(const char *text, const struct json_tok *t, char *dst, size_t cap, size_t *n)
{
	const char *p = text + t->start, *end = text + t->end;
	size_t out = 0;

	if (t->type != JSON_STRING)
		return KE_FORMAT;
	while (p < end) {
		const char *plain = memchr(p, '\\', (size_t)(end - p));
		size_t run = (size_t)((plain == NULL ? end : plain) - p), used, len;
		char c[4];

		if (run > cap - out)
			return KE_LONG;
		memcpy(dst + out, p, run);
		out += run;
		p += run;
		if (p == end)
			break;
		len = jsonstr_unescape(p, (size_t)(end - p), &used, c);
		if (len == 0)
			return KE_FORMAT;
		if (len > cap - out)
			return KE_LONG;
		memcpy(dst + out, c, len);
		out += len;
		p += used;
	}
	*n = out;
	return KE_OK;
}

int json_int(const char *text, const struct json_tok *t, int64_t *v)
{
	const char *p = text + t->start, *end = text + t->end;
	bool minus = *p == '-';
	uint64_t x;

	if (t->type != JSON_NUMBER)
		return KE_FORMAT;
	p += minus;
	if (digits_end(p, end) != end)
		return KE_FORMAT;
	if (text_unu64(&x, p, (size_t)(end - p)) != KE_OK)
		return KE_RANGE;
	if (x > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return KE_RANGE;
	*v = minus ? (int64_t)(0 - x) : (int64_t)x;
	return KE_OK;
}
