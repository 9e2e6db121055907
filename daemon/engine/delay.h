/*
 * The progressive delay of password guessing, per account and network: a few free attempts, then
 * each must wait twice as long as the one before, up to a bound. Never a permanent lock: waiting
 * always helps, and the owner at another network is not held up by a guesser.
 * An account need not exist to be delayed, so the delay tells nothing.
 * Runs in engine; in memory, bounded.
 */
#ifndef DAEMON_ENGINE_DELAY_H
#define DAEMON_ENGINE_DELAY_H

#include <stddef.h>
#include <stdint.h>

#define DELAY_FREE   5    /* attempts without any wait */
#define DELAY_MAX_S  300  /* the longest wait */
#define DELAY_FADE_S 3600 /* after so long without an attempt all is forgotten */

struct delay;

struct delay *delay_new(size_t accounts); /* fatal without memory */
void delay_free(struct delay *d);

/*
 * An attempt on this account from this address (IPv4 mapped into IPv6; /24 and /64 count as one
 * network) at now_s: 0 when it may go on (it is counted at once, so that parallel attempts do not
 * slip through), else the seconds to wait.
 */
uint32_t delay_attempt(
    struct delay *d, const void *account, size_t n, const uint8_t address[16], int64_t now_s);
/* The attempt could not be made, for want of what checks it: it does not count. */
void delay_forgive(struct delay *d, const void *account, size_t n, const uint8_t address[16]);
/* The attempt succeeded: forget the failures. */
void delay_clear(struct delay *d, const void *account, size_t n, const uint8_t address[16]);

#endif
