/*
 * klerod-out: the only process with a way out. It asks the relays and hosts of its configuration
 * over HTTPS, by libcurl, and reads what they answer; engine says which of them and for what, never
 * an address, and gets typed values that nobody has verified yet. It has no file (the authorities'
 * certificates are read before the sandbox), no key, no secret, and no channel but to engine.
 * Runs as the out role; trusts parent and engine, and nothing that comes from outside.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "daemon/out/loop.h"

#define PORTS (OUT_TARGETS + RESOLVE_PORTS)

static void add_port(uint16_t ports[PORTS], unsigned *n, uint16_t port)
{
	for (unsigned i = 0; i < *n; i++)
		if (ports[i] == port)
			return;
	ports[(*n)++] = port;
}

/* TCP ports that the targets and the DNS servers have. */
static unsigned all_ports(const struct out *o, uint16_t ports[PORTS])
{
	uint16_t dns[RESOLVE_PORTS];
	size_t ndns = resolve_ports(&o->resolver, dns);
	unsigned n = 0;

	for (uint8_t i = 0; i < o->conf.nrelays; i++)
		add_port(ports, &n, o->conf.relay[i].port);
	for (uint8_t i = 0; i < o->conf.nnists; i++)
		add_port(ports, &n, o->conf.nist[i].port);
	for (size_t i = 0; i < RCONF_WITNESSES; i++)
		if (o->conf.witness[i].url[0] != '\0')
			add_port(ports, &n, o->conf.witness[i].port);
	for (size_t i = 0; i < ndns; i++)
		add_port(ports, &n, dns[i]);
	return n;
}

static void configure(struct out *o)
{
	struct wire_in r;
	struct msg m;

	start_receive(ROLE_OUT, MSG_OUT_CONF, o->in, &m);
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_out(&r, &o->conf.conf) != KE_OK || out_configure(&o->conf) != KE_OK)
		fatal("configuration");
}

static void warm_up(struct out *o)
{
	tzset(); /* libc looks for the time zone's file when OpenSSL first asks for a date */
	https_start(&o->https, o->conf.conf.authorities);
	resolve_start(&o->resolver, o->conf.conf.resolvers);
	for (uint8_t i = 0; i < o->conf.nrelays; i++)
		resolve_fixed(&o->conf.relay[i]);
	for (uint8_t i = 0; i < o->conf.nnists; i++)
		resolve_fixed(&o->conf.nist[i]);
	for (size_t i = 0; i < RCONF_WITNESSES; i++)
		if (o->conf.witness[i].url[0] != '\0')
			resolve_fixed(&o->conf.witness[i]);
}

int main(void)
{
	static struct out o;
	uint16_t ports[PORTS];
	unsigned n;

	start_early(ROLE_OUT);
	configure(&o);
	if (sodium_init() < 0)
		fatal("libsodium does not start");
	warm_up(&o);
	n = all_ports(&o, ports);
	start_sandbox_ports(ROLE_OUT, &o.conf.conf.id, ports, n);
	start_ready(ROLE_OUT);
	out_loop(&o);
	return 0;
}
