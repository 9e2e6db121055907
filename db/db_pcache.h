/*
 * Inside db/ only: spares SQLite's page cache a walk over all of its pages at nearly every commit.
 * When a tree's siblings are rearranged, SQLite gives a page the number of the lock page, at 1 GiB,
 * for a moment. Its cache takes that for the highest number that it has ever seen, so a commit to a
 * smaller store looks at every page for those beyond the file's end: with a full cache of 64 MiB
 * this was a tenth of what the store does for a sale.
 */
#ifndef DB_DB_PCACHE_H
#define DB_DB_PCACHE_H

/* Before SQLite has been initialised; afterwards it changes nothing. */
void db_pcache_install(void);

#endif
