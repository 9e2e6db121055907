/*
 * JSON for people: see kleroctl_show.h. Runs in kleroctl.
 */
#include "daemon/cli/kleroctl_show.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/json.h"

#define TOKENS  16384 /* an answer has 64 KiB */
#define CELL    256   /* bytes of one, what is longer is cut */
#define COLUMNS 16
#define STEP    2 /* columns of an indent */

struct view {
	FILE *to;
	const char *text;
	struct json_tok *t;
	size_t n;
};

struct column {
	size_t name; /* the token of its first appearance */
	int width;
};

static bool is_plain(const struct view *v, size_t i)
{
	return v->t[i].type != JSON_OBJECT && v->t[i].type != JSON_ARRAY;
}

static bool same_text(const struct view *v, size_t a, size_t b)
{
	size_t n = (size_t)(v->t[a].end - v->t[a].start);

	return n == (size_t)(v->t[b].end - v->t[b].start) &&
	       memcmp(v->text + v->t[a].start, v->text + v->t[b].start, n) == 0;
}

/* Whether a text below token i has more than one line. */
static bool has_lines(const struct view *v, size_t i)
{
	size_t end = json_next(v->t, v->n, i);

	for (; i < end; i++)
		if (v->t[i].type == JSON_STRING &&
		    memmem(v->text + v->t[i].start, (size_t)(v->t[i].end - v->t[i].start), "\\n",
			2) != NULL)
			return true;
	return false;
}

/* --- a value on one line --- */

/* What a terminal may not be told becomes a space; C1 controls are two bytes of UTF-8. */
static void tame(char *s)
{
	for (; *s != '\0'; s++) {
		uint8_t c = (uint8_t)s[0], next = (uint8_t)s[1];

		if (c < 0x20 || c == 0x7f)
			*s = ' ';
		if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			s[0] = s[1] = ' ';
	}
}

/* Adds words, and an ellipsis in place of what does not fit, between characters. */
static void add(char cell[CELL], const char *words)
{
	size_t at = strlen(cell), room = CELL - at - sizeof "...", n = strlen(words);

	if (at + sizeof "..." >= CELL)
		return;
	if (n <= room) {
		memcpy(cell + at, words, n + 1);
		return;
	}
	for (n = room; n > 0 && ((uint8_t)words[n] & 0xc0) == 0x80; n--)
		;
	snprintf(cell + at, CELL - at, "%.*s...", (int)n, words);
}

/* A plain value's words, of the heap; NULL without memory. */
static char *words_of(const struct view *v, size_t i)
{
	const struct json_tok *t = &v->t[i];
	size_t n = (size_t)(t->end - t->start), len = 0;
	char *s = calloc(1, n + 1);

	if (s == NULL)
		return NULL;
	if (t->type == JSON_STRING && json_string(v->text, t, s, n, &len) != KE_OK)
		s[0] = '\0';
	if (t->type == JSON_NUMBER)
		memcpy(s, v->text + t->start, n);
	return s;
}

static void add_plain(const struct view *v, size_t i, char cell[CELL])
{
	static const char *const fixed[] = {
	    [JSON_TRUE] = "yes", [JSON_FALSE] = "no", [JSON_NULL] = "-"};
	uint8_t type = v->t[i].type;
	char *s;

	if (type >= JSON_TRUE) {
		add(cell, fixed[type]);
		return;
	}
	s = words_of(v, i);
	if (s == NULL)
		return;
	tame(s);
	add(cell, s);
	free(s);
}

/* The first plain value at or below token i: what names it. */
static size_t name_of(const struct view *v, size_t i)
{
	size_t end = json_next(v->t, v->n, i);

	while (i < end && !is_plain(v, i))
		i += v->t[i].type == JSON_OBJECT && v->t[i].size > 0 ? 2 : 1;
	return i;
}

/* Whatever stands at token i; of an array of objects each one's first member. */
static void put_cell(const struct view *v, size_t i, char cell[CELL])
{
	size_t end = json_next(v->t, v->n, i), at;

	cell[0] = '\0';
	if (is_plain(v, i)) {
		add_plain(v, i, cell);
		return;
	}
	for (at = v->t[i].type == JSON_OBJECT ? i : i + 1; at < end;
	     at = json_next(v->t, v->n, at)) {
		size_t first = name_of(v, at);

		if (cell[0] != '\0')
			add(cell, ", ");
		if (first < end)
			add_plain(v, first, cell);
	}
	if (cell[0] == '\0')
		add(cell, "-");
}

/* Columns of a terminal, each character being one. */
static int width(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s++)
		n += ((uint8_t)*s & 0xc0) != 0x80;
	return n;
}

static void pad(const struct view *v, int n)
{
	for (; n > 0; n--)
		fputc(' ', v->to);
}

/* A member's name, with spaces for underscores; its width. */
static int put_name(const struct view *v, size_t i)
{
	char cell[CELL] = "";

	add_plain(v, i, cell);
	for (char *s = cell; (s = strchr(s, '_')) != NULL;)
		*s = ' ';
	fputs(cell, v->to);
	return width(cell);
}

/* --- an array of objects as a table --- */

static size_t find_column(const struct view *v, const struct column *c, size_t n, size_t name)
{
	size_t k = 0;

	while (k < n && !same_text(v, c[k].name, name))
		k++;
	return k;
}

/* Every member of every row, in the order of their first appearance; how wide each is. */
static size_t find_columns(const struct view *v, size_t i, struct column c[COLUMNS])
{
	size_t end = json_next(v->t, v->n, i), n = 0;
	char cell[CELL];

	for (size_t row = i + 1; row < end; row = json_next(v->t, v->n, row))
		for (size_t m = row + 1; m < json_next(v->t, v->n, row);
		     m = json_next(v->t, v->n, m + 1)) {
			size_t k = find_column(v, c, n, m);

			if (k == COLUMNS)
				continue;
			if (k == n)
				c[n++] = (struct column){m, v->t[m].end - v->t[m].start};
			put_cell(v, m + 1, cell);
			if (width(cell) > c[k].width)
				c[k].width = width(cell);
		}
	return n;
}

static void put_row(const struct view *v, size_t row, const struct column *c, size_t n, int indent)
{
	size_t end = json_next(v->t, v->n, row);

	pad(v, indent);
	for (size_t k = 0; k < n; k++) {
		char cell[CELL] = "-";

		for (size_t m = row + 1; m < end; m = json_next(v->t, v->n, m + 1))
			if (same_text(v, m, c[k].name))
				put_cell(v, m + 1, cell);
		fputs(cell, v->to);
		if (k + 1 < n)
			pad(v, c[k].width - width(cell) + STEP);
	}
	fputc('\n', v->to);
}

static void put_table(const struct view *v, size_t i, int indent)
{
	size_t end = json_next(v->t, v->n, i), n;
	struct column c[COLUMNS];

	n = find_columns(v, i, c);
	pad(v, indent);
	for (size_t k = 0; k < n; k++) {
		int w = put_name(v, c[k].name);

		if (k + 1 < n)
			pad(v, c[k].width - w + STEP);
	}
	fputc('\n', v->to);
	for (size_t row = i + 1; row < end; row = json_next(v->t, v->n, row))
		put_row(v, row, c, n, indent);
}

/* --- objects and arrays --- */

static void put_object(const struct view *v, size_t i, int indent);

static bool is_table(const struct view *v, size_t i)
{
	size_t end = json_next(v->t, v->n, i);

	if (has_lines(v, i))
		return false;
	for (size_t at = i + 1; at < end; at = json_next(v->t, v->n, at))
		if (v->t[at].type != JSON_OBJECT || v->t[at].size == 0)
			return false;
	return v->t[i].size > 0;
}

static void put_array(const struct view *v, size_t i, int indent)
{
	size_t end = json_next(v->t, v->n, i);
	char cell[CELL];

	if (is_table(v, i)) {
		put_table(v, i, indent);
		return;
	}
	for (size_t at = i + 1; at < end; at = json_next(v->t, v->n, at)) {
		if (v->t[at].type == JSON_OBJECT) {
			if (at > i + 1)
				fputc('\n', v->to);
			put_object(v, at, indent);
			continue;
		}
		put_cell(v, at, cell);
		pad(v, indent);
		fprintf(v->to, "%s\n", cell);
	}
}

/* A text of several lines, whole. */
static void put_lines(const struct view *v, size_t i, int indent)
{
	char *s = words_of(v, i), *rest;

	for (char *line = s; line != NULL && *line != '\0'; line = rest) {
		rest = strchr(line, '\n');
		if (rest != NULL)
			*rest++ = '\0';
		tame(line);
		pad(v, indent);
		fprintf(v->to, "%s\n", line);
	}
	free(s);
}

static void put_compound(const struct view *v, size_t name, int indent)
{
	size_t i = name + 1;

	fputc('\n', v->to);
	pad(v, indent);
	put_name(v, name);
	if (!is_plain(v, i) && v->t[i].size == 0) {
		fputs("  -\n", v->to);
		return;
	}
	fputc('\n', v->to);
	if (v->t[i].type == JSON_ARRAY)
		put_array(v, i, indent + STEP);
	else if (v->t[i].type == JSON_OBJECT)
		put_object(v, i, indent + STEP);
	else
		put_lines(v, i, indent + STEP);
}

/* The plain members first, so that tables do not part them. No deeper than JSON_DEPTH. */
static void put_object(const struct view *v, size_t i, int indent)
{
	size_t end = json_next(v->t, v->n, i);
	char cell[CELL];
	int most = 0;

	for (size_t m = i + 1; m < end; m = json_next(v->t, v->n, m + 1))
		if (is_plain(v, m + 1) && !has_lines(v, m + 1) &&
		    v->t[m].end - v->t[m].start > most)
			most = v->t[m].end - v->t[m].start;
	for (size_t m = i + 1; m < end; m = json_next(v->t, v->n, m + 1)) {
		if (!is_plain(v, m + 1) || has_lines(v, m + 1))
			continue;
		pad(v, indent);
		pad(v, most - put_name(v, m) + STEP);
		put_cell(v, m + 1, cell);
		fprintf(v->to, "%s\n", cell);
	}
	for (size_t m = i + 1; m < end; m = json_next(v->t, v->n, m + 1))
		if (!is_plain(v, m + 1) || has_lines(v, m + 1))
			put_compound(v, m, indent);
}

int show_json(FILE *to, const char *text, size_t n)
{
	struct view v = {.to = to, .text = text};
	char cell[CELL];
	int r = json_check(text, n, TOKENS, &v.n, NULL);

	if (r != KE_OK)
		return r;
	v.t = calloc(v.n, sizeof *v.t);
	if (v.t == NULL)
		return KE_NOMEM;
	r = json_split(text, n, v.t, v.n);
	if (r == KE_OK && v.t[0].type == JSON_OBJECT)
		put_object(&v, 0, 0);
	else if (r == KE_OK && v.t[0].type == JSON_ARRAY)
		put_array(&v, 0, 0);
	else if (r == KE_OK) {
		put_cell(&v, 0, cell);
		fprintf(to, "%s\n", cell);
	}
	free(v.t);
	return r;
}
