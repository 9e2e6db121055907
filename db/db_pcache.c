/*
 * A thin layer over SQLite's page cache (db_pcache.h): it knows the highest number that a page
 * really has, and passes a cut on only when there is something beyond it. Runs in engine.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "db/db_pcache.h"

/* Nothing is ever stored in the page that holds this byte: SQLite's locks are there. */
#define LOCK_BYTE 0x40000000

/* SQLite's own, as it asks for a cache without saying of what kind: the same for all. */
static sqlite3_pcache_methods2 own;

struct cache {
	sqlite3_pcache *own;
	unsigned lock_page;
	unsigned
	    highest; /* no page in the cache has a higher number, but for a moment's lock_page */
};

static struct cache *of(sqlite3_pcache *p)
{
	return (struct cache *)(void *)p;
}

static void seen(struct cache *c, unsigned page)
{
	if (page > c->highest && page != c->lock_page)
		c->highest = page;
}

static int init(void *arg)
{
	(void)arg;
	return own.xInit ? own.xInit(own.pArg) : SQLITE_OK;
}

static void stop(void *arg)
{
	(void)arg;
	if (own.xShutdown)
		own.xShutdown(own.pArg);
}

static sqlite3_pcache *create(int size, int extra, int purgeable)
{
	struct cache *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->lock_page = LOCK_BYTE / (unsigned)size + 1;
	c->own = own.xCreate(size, extra, purgeable);
	if (c->own == NULL) {
		free(c);
		return NULL;
	}
	return (sqlite3_pcache *)(void *)c;
}

static void resize(sqlite3_pcache *p, int pages)
{
	own.xCachesize(of(p)->own, pages);
}

static int count(sqlite3_pcache *p)
{
	return own.xPagecount(of(p)->own);
}

static sqlite3_pcache_page *fetch(sqlite3_pcache *p, unsigned page, int make)
{
	seen(of(p), page);
	return own.xFetch(of(p)->own, page, make);
}

static void unpin(sqlite3_pcache *p, sqlite3_pcache_page *page, int discard)
{
	own.xUnpin(of(p)->own, page, discard);
}

static void rekey(sqlite3_pcache *p, sqlite3_pcache_page *page, unsigned from, unsigned to)
{
	seen(of(p), to);
	own.xRekey(of(p)->own, page, from, to);
}

/* The pages from number `first` on are gone. */
static void cut(sqlite3_pcache *p, unsigned first)
{
	struct cache *c = of(p);

	if (first > c->highest)
		return;
	own.xTruncate(c->own, first);
	c->highest = first > 0 ? first - 1 : 0;
}

static void destroy(sqlite3_pcache *p)
{
	own.xDestroy(of(p)->own);
	free(of(p));
}

static void shrink(sqlite3_pcache *p)
{
	own.xShrink(of(p)->own);
}

void db_pcache_install(void)
{
	static const sqlite3_pcache_methods2 methods = {
	    1, NULL, init, stop, create, resize, count, fetch, unpin, rekey, cut, destroy, shrink};

	if (own.xFetch == NULL && sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &own) == SQLITE_OK)
		(void)sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods);
}
