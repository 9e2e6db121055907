/*
 * Paged lists: {"items": […], "next_cursor": …}. Runs in engine.
 */
#ifndef DAEMON_ENGINE_LIST_H
#define DAEMON_ENGINE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/engine/cursor.h"
#include "daemon/engine/rq.h"

#define LIST_DEFAULT 20

struct list {
	struct rq *q;
	struct jsonw *w;
	int64_t limit, n;
	char scope[CURSOR_SCOPE];
	size_t pos_len;          /* of pos */
	bool from;               /* the client gave a cursor: */
	uint8_t pos[CURSOR_POS]; /* where to go on; then: behind the last item */
	bool more;
};

/*
 * Reads limit and cursor, which are fields `first` and `first` + 1 of the row, and begins the
 * answer. filter names what else the list depends on ("" for nothing). pos_len: how long its
 * positions are, LIST_ANY when that differs from page to page.
 */
#define LIST_ANY 0
int list_begin(
    struct list *l, struct rq *q, unsigned first, const char *filter, size_t pos_len) KE_CHECK;
/* How many rows to ask the store for: one more than fits tells whether there is more. */
int64_t list_wanted(const struct list *l);
/* In the row callback: false when the page is full; otherwise write one item. pos is its own. */
bool list_take(struct list *l, const void *pos);
/* For a list that is told beforehand how much fits: where it goes on, of n bytes; 0: it ends. */
void list_goes_on(struct list *l, const void *pos, size_t n);
int list_end(struct list *l) KE_CHECK;

/* Positions that are numbers. */
int64_t list_number(const struct list *l); /* 0 without a cursor */
bool list_take_number(struct list *l, int64_t pos);

#endif
