/*
 * A file of records of one size that is only ever added to: what hsm must not forget when its
 * process ends (once.h). Parent opens it and hands the descriptor over; nobody but root can reach
 * it by a name, so that engine can neither read it nor put an older one in its place. Several
 * processes may append at once: each record is one write, and lies within one page of the file.
 * Runs in hsm and keyadm. Trusts the file as far as each record's own checksum goes.
 *
 * What a failed fdatasync leaves behind can be read as if it were there: the kernel keeps the
 * pages, calls them clean, and the next call succeeds without writing them. So whoever met one uses
 * the journal no more (broken), and whoever starts writes its end again (journal_open). Another's
 * record counts when it is on the disk, not when it can be read. Source:
 * https://wiki.postgresql.org/wiki/Fsync_Errors
 *
 * A record of JOURNAL_RECORD bytes: "klonce01", u8 kind, 3 zero, u32 version (big-endian),
 * 32 bytes of name, 32 of value, the purpose's word in 16 with zeros behind it, SHA-256 of the 96
 * bytes before.
 */
#ifndef HSM_ONCE_JOURNAL_H
#define HSM_ONCE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

#define JOURNAL_RECORD 128

struct journal_record {
	uint8_t kind;
	uint32_t version;
	uint8_t name[32], value[32];
	char purpose[16]; /* a word of policy/purpose.h, its NUL and zeros; all zero for none */
};

struct journal {
	int fd;      /* -1: there is none, and nothing outlives the process */
	uint64_t at; /* bytes read so far: whole records */
	size_t torn; /* bytes behind them that are no whole record */
	size_t own;  /* so many of the bytes that come next are ours: on the disk, or no record */
	bool broken; /* the file could not be made durable: what it holds is not known */
};

/* Writes a record's bytes, and reads them: KE_NOTFOUND for one that a power cut left unfinished,
 * KE_DAMAGED for one that was finished and is not what it was. */
void journal_encode(uint8_t out[JOURNAL_RECORD], const struct journal_record *r);
int journal_decode(struct journal_record *r, const uint8_t in[JOURNAL_RECORD]) KE_CHECK;

/*
 * Makes of the journal that parent has handed over an open file of this process's own, under the
 * same number, so that it hears of each write that the kernel could not do, whoever else has heard.
 * What the last ones have written is written again, as it stands, and is on the disk when this
 * returns. Before the sandbox: a name in /proc is needed. fd -1: there is none. KE_IO, errno says
 * why.
 */
int journal_open(int fd) KE_CHECK;

/* Calls take for each record that has been added since the last call, whoever added it; a damaged
 * one as NULL. They are on the disk when this returns KE_OK. KE_IO. */
typedef void journal_take(void *arg, const struct journal_record *r);
int journal_read(struct journal *j, journal_take *take, void *arg) KE_CHECK;

/* Adds a record behind all that there are: on the disk when this returns. KE_IO. */
int journal_add(struct journal *j, const struct journal_record *r) KE_CHECK;

#endif
