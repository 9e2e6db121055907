/*
 * The backup file: what stands in it, in which order, and the manifest by which a change of it
 * shows. Pure; kleroctl writes and reads the file, engine says what the store is, and hsm signs the
 * manifest from its fields. Readers trust nobody.
 *
 *	kleroterion backup v1 LF
 *	section <name> <length> LF <that many bytes>     each at most once, in the order below
 *	manifest <length> LF <a signed note, see note.h>
 *	end LF
 *
 * The note's text, lines, LF, single spaces, this order:
 *	kleroterion backup v1
 *	made <unix s>                          when the snapshot was taken
 *	appliance <32 hex>
 *	program <version>
 *	schema <n>                             of the store
 *	audit <lines> <64 hex>                 the head of the store's audit chain
 *	anchor <serial>                        of the token's anchor then; 0: it had none
 *	log-key <version>                      that signs this
 *	need <purpose> <version>               a key without which the store does not open, or not
 *whole section <name> <length> <64 hex SHA-256> end
 *
 * store and log are klero.db and klero.db-wal as they are on the disk: encrypted page by page under
 * the database key, which stands in keys, sealed by the token. Nothing in the file opens without
 * the token.
 */
#ifndef POLICY_BACKUP_H
#define POLICY_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/hash.h"
#include "policy/ke.h"

#define BACKUP_MAGIC "kleroterion backup v1\n"

/* name: its word in the file, then whether a backup is worth something without it */
#define BACKUP_LIST(X)                                                                             \
	X(BACKUP_STORE, "store", true)        /* klero.db */                                       \
	X(BACKUP_LOG, "log", true)            /* klero.db-wal, may be empty */                     \
	X(BACKUP_CHECK, "check", false)       /* klero.check */                                    \
	X(BACKUP_KEYS, "keys", true)          /* klero.keys */                                     \
	X(BACKUP_VKEY, "vkey", false)         /* klero.vkey */                                     \
	X(BACKUP_JOURNAL, "journal", false)   /* what hsm must not forget (hsm/once) */            \
	X(BACKUP_ANCHOR, "anchor", false)     /* the anchor's text, for people */                  \
	X(BACKUP_CONF, "configuration", true) /* klerod.conf */                                    \
	X(BACKUP_CERT, "certificate", false)  /* the TLS certificate */                            \
	X(BACKUP_TOKEN, "token", false)       /* the token folder: tar, encrypted by age(1) */

enum backup_name {
#define X(name, word, required) name,
	BACKUP_LIST(X)
#undef X
	    BACKUP_NAMES
};

extern const char *const backup_words[BACKUP_NAMES];

#define BACKUP_NEEDS_MAX   64
#define BACKUP_TEXT_MAX    6144
#define BACKUP_NOTE_MAX    8192
#define BACKUP_PROGRAM_MAX 31
#define BACKUP_LINE_MAX    64 /* the longest line between the sections */

struct backup_section {
	unsigned name; /* enum backup_name */
	uint64_t len;
	uint8_t hash[HASH_LEN];
};

struct backup_manifest {
	uint64_t made_s;
	uint8_t appliance[16];
	char program[BACKUP_PROGRAM_MAX + 1];
	uint64_t schema;
	uint64_t audit;
	uint8_t audit_hash[HASH_LEN];
	uint64_t anchor;
	uint64_t log_key;
	size_t needs, sections;
	struct backup_need {
		unsigned purpose; /* enum key_purpose */
		uint64_t version;
	} need[BACKUP_NEEDS_MAX];
	struct backup_section section[BACKUP_NAMES];
};

/* Writes the text; *len its length without a NUL. KE_FULL, KE_FORMAT. */
int backup_text(const struct backup_manifest *m, char *out, size_t cap, size_t *len) KE_CHECK;
/* Strict: what backup_text would not write is KE_FORMAT. It may have no sections yet. */
int backup_parse(struct backup_manifest *m, const char *text, size_t n) KE_CHECK;
/* Are all sections there that a backup must have? */
bool backup_whole(const struct backup_manifest *m);
/* Do both say the same of appliance, store and keys? The sections are not compared. */
bool backup_same_facts(const struct backup_manifest *a, const struct backup_manifest *b);
/*
 * Is what was read what the manifest promises? KE_OK, or KE_CRYPTO: *which (BACKUP_NAMES: their
 * list) is the first section that differs.
 */
int backup_compare(
    const struct backup_manifest *m, const struct backup_manifest *found, unsigned *which) KE_CHECK;

/* "section <name> <length>\n", or the manifest's line for BACKUP_NAMES; returns its length. */
size_t backup_line(char out[BACKUP_LINE_MAX], unsigned name, uint64_t len);
#define BACKUP_END "end\n"

/* --- reading a file as it comes --- */

struct backup_reader {
	unsigned state; /* of backup.c */
	char line[BACKUP_LINE_MAX];
	size_t line_len;
	unsigned name; /* the present section; BACKUP_NAMES: the manifest */
	uint64_t left; /* of it */
	uint8_t run[HASH_STATE_LEN];
	struct backup_manifest found; /* its sections are what was read */
	char note[BACKUP_NOTE_MAX];
	size_t note_len;
};

/* Some bytes of a section, inside what was given; first and last may be true together. */
struct backup_piece {
	unsigned name; /* BACKUP_NAMES: no piece this time */
	const uint8_t *p;
	size_t n;
	bool first, last;
};

void backup_reader_init(struct backup_reader *r);
/*
 * Takes some of n bytes, *used of them; call again with the rest. A section of no bytes gives one
 * empty piece. KE_VERSION: a backup of another format; KE_FORMAT: no backup, or damaged: nothing
 * that follows means anything.
 */
int backup_read(struct backup_reader *r, const uint8_t *p, size_t n, size_t *used,
    struct backup_piece *piece) KE_CHECK;
/* At the file's end: KE_OK, or KE_SHORT when it was cut. */
int backup_read_end(const struct backup_reader *r) KE_CHECK;

#endif
