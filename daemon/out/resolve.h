/*
 * Names to addresses by DNS, with libc's resolver functions and without its threads, plug-ins and
 * files: servers come from the configuration or, once before the sandbox, from /etc/resolv.conf,
 * and names of /etc/hosts are looked up then too. Runs in out. An answer is believed as far as any:
 * the certificate decides whether it was the right host.
 */
#ifndef DAEMON_OUT_RESOLVE_H
#define DAEMON_OUT_RESOLVE_H

#include <resolv.h>

#include "daemon/out/target.h"

struct resolver {
	struct __res_state state;
	bool works; /* there is a server to ask */
};

/* Before the sandbox. Without a server only addresses and names of /etc/hosts can be reached. */
void resolve_start(struct resolver *r, char servers[RCONF_RESOLVERS][RCONF_PATH]);
/* Before the sandbox: an address, or a name of /etc/hosts, is fixed for good. */
void resolve_fixed(struct target *t);
/* Ports of TCP at which servers answer what is too long for a datagram; *n of them. */
#define RESOLVE_PORTS MAXNS
size_t resolve_ports(const struct resolver *r, uint16_t ports[RESOLVE_PORTS]);

/*
 * Has the target's addresses looked up when they are old; blocks for a few seconds at most.
 * KE_NOTFOUND, KE_UNAVAIL.
 */
int resolve(struct resolver *r, struct target *t, int64_t now_ms) KE_CHECK;
/* The target's next address, each in its turn. */
const char *resolve_next(struct target *t);

#endif
