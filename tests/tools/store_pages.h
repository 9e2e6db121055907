/*
 * What a sale costs a store that store_fill.c has filled, in pages: its command `pages`. Part of
 * that program, which includes it once.
 */
#ifndef TESTS_TOOLS_STORE_PAGES_H
#define TESTS_TOOLS_STORE_PAGES_H

#include <sqlite3.h>

#include "db/db_sqlite.h"

#define PAIRS_MAX 100000

struct pairs {
	struct {
		int64_t user;
		struct raffle *r;
	} pair[PAIRS_MAX];
	size_t n;
};

static struct raffle *open_raffle(struct fill *f, const char *text)
{
	uint8_t id[16];
	struct raffle *r = f->raffle;

	must(f, text_unuuid(id, text, strlen(text)), text);
	while (r < f->raffle + f->n && memcmp(r->id, id, 16) != 0)
		r++;
	if (r < f->raffle + f->n)
		return r;
	add_raffle(f, text, "", 0, "open");
	begin(f, r);
	memcpy(r->currency, r->sale.currency, sizeof r->currency);
	return r;
}

static void read_pairs(struct fill *f, struct pairs *p)
{
	char text[256], id[64];
	long long user;

	while (p->n < PAIRS_MAX && fgets(text, sizeof text, stdin) != NULL) {
		if (sscanf(text, "%lld %63s", &user, id) != 2)
			must(f, KE_FORMAT, text);
		p->pair[p->n].user = user;
		p->pair[p->n++].r = open_raffle(f, id);
	}
	if (p->n == 0)
		must(f, KE_NOTFOUND, "pairs");
}

static int status(const struct fill *f, int what)
{
	int now = 0, most;

	if (sqlite3_db_status(f->d->sq, what, &now, &most, 0) != SQLITE_OK)
		must(f, KE_INTERNAL, "status");
	return now;
}

static void sell_pairs(struct fill *f, const struct pairs *p, int64_t sales)
{
	for (int64_t i = 0; i < sales; i++) {
		size_t k = any(f, p->n);

		p->pair[k].r->wanted = 1;
		sale(f, p->pair[k].r, p->pair[k].user, 1);
	}
	commit(f);
}

static void pages(struct fill *f, char **argv)
{
	static struct pairs p;
	int64_t sales = atoll(argv[6]);
	int missed, written;

	open_store(f, argv);
	f->turn = TURN_LIFE;
	f->answers = 1;
	read_pairs(f, &p);
	sell_pairs(f, &p, sales);
	missed = status(f, SQLITE_DBSTATUS_CACHE_MISS);
	written = status(f, SQLITE_DBSTATUS_CACHE_WRITE);
	sell_pairs(f, &p, sales);
	missed = status(f, SQLITE_DBSTATUS_CACHE_MISS) - missed;
	written = status(f, SQLITE_DBSTATUS_CACHE_WRITE) - written;
	printf("%.2f %.2f\n", (double)missed / (double)sales, (double)written / (double)sales);
	db_turn_rollback(f->d);
	db_close(f->d);
}

#endif
