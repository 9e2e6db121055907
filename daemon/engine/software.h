/*
 * What a proof bundle says of the program that wrote it: the commit that it was built from, and the
 * SHA-256 of its own executable. Both are its own word, which a changed program can give as well:
 * they help to find the source of an honest one, whose package anybody can build anew to the same
 * bytes, and prove nothing. Runs in engine.
 */
#ifndef DAEMON_ENGINE_SOFTWARE_H
#define DAEMON_ENGINE_SOFTWARE_H

#define SOFTWARE_HASH 65 /* hex, NUL */

/*
 * The commit in 40 hex digits, "-dirty" behind it when the tree was changed; "" for sources of
 * which nobody knows (packaging/commit.sh).
 */
const char *software_commit(void);
/* The executable of this process, as it is on the disk; "" when that cannot be read. Before the
 * sandbox. */
void software_hash(char hex[SOFTWARE_HASH]);

#endif
