/*
 * Inside db/ only: the numbers that the store gives out (struct db_head), read once at open. It is
 * also the first look at the newest rows of every growing table.
 */
#ifndef DB_DB_HEAD_H
#define DB_DB_HEAD_H

#include "db/db_sql.h"

int db_head_load(struct db *d) KE_CHECK;

#endif
