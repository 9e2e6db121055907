/*
 * Inside db/ only: balances, holdings and the index of answers are written behind. A sale's
 * entries, tickets and answer are appended; the balance and the holding that follow from them, and
 * the scope by which the answer is found, lie anywhere, each on a page of its own when there are
 * many. So what changes of them is kept in memory, in temporary tables, which follow turns and
 * savepoints as the others do, and is swept to its pages in their order, a little with each commit:
 * a page takes all that came for it in a round, at once.
 *
 * What a process that died had in memory, the next one computes from what was appended since. How
 * much that is at most is what a round's length says: a start reads it.
 */
#ifndef DB_DB_BEHIND_H
#define DB_DB_BEHIND_H

#include "db/db_sql.h"

/* A round's length: so many entries, tickets and answers. Some 30,000 sales of a ticket. */
#define DB_ROUND 131072

/* All balances and all holdings as they are now; who reads the tables alone reads what was. */
#define DB_BALANCES                                                                                \
	"(SELECT b.account AS account, b.may_owe AS may_owe,"                                      \
	" coalesce(m.balance, b.balance) AS balance, b.held AS held,"                              \
	" coalesce(m.last_entry, b.last_entry) AS last_entry"                                      \
	" FROM balances b LEFT JOIN recent_balances m ON m.account = b.account)"
#define DB_HOLDINGS                                                                                \
	"(SELECT g.holder AS holder, coalesce(n.tickets, g.tickets) AS tickets,"                   \
	" coalesce(n.last, g.last) AS last"                                                        \
	" FROM holdings g LEFT JOIN recent_holdings n ON n.holder = g.holder)"

/* The number of the answer of scope $1, if there is one; the row itself must be of that scope. */
#define DB_ANSWER_OF                                                                               \
	"coalesce((SELECT no FROM recent_scopes WHERE scope = $1),"                                \
	" (SELECT no FROM scopes WHERE scope = $1))"

/*
 * Makes the tables in memory, and what belongs into them; before any statement is prepared.
 * KE_DAMAGED: a balance or a holding does not lead to its newest entry or ticket.
 */
int db_behind_open(struct db *d) KE_CHECK;
/* Where the sweep stands; after db_head_load(). */
int db_behind_start(struct db *d) KE_CHECK;

/* So many entries, tickets or answers have been appended. */
void db_behind_grew(struct db *d, size_t n);
/* One account's balance onto its page, now. */
int db_behind_settle(struct db *d, int64_t account) KE_CHECK;
/* As much of the round as what was appended is of it. Ends a turn that has written. */
int db_behind_sweep(struct db *d) KE_CHECK;
/* Everything, in a turn of its own, if that can be: then the next start has nothing to compute. */
void db_behind_finish(struct db *d);

#endif
