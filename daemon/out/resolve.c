/*
 * DNS: see resolve.h. Runs in out.
 */
#include "daemon/out/resolve.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"

#define ANSWER_MAX 4096
#define TRY_S      1
#define TRIES      2
#define KEEP_MS    60000 /* an answer, however long it says that it holds */

/* "a.b.c.d" or "a.b.c.d:port", as the configuration's parser lets it through. */
static void add_server(struct resolver *r, const char *text)
{
	struct sockaddr_in *to = &r->state.nsaddr_list[r->state.nscount];
	char address[RCONF_PATH], *colon;
	long port = NS_DEFAULTPORT;

	snprintf(address, sizeof address, "%s", text);
	colon = strchr(address, ':');
	if (colon != NULL) {
		*colon = '\0';
		port = strtol(colon + 1, NULL, 10);
	}
	*to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, address, &to->sin_addr) != 1)
		fatal("out-resolver: %s is no address", text);
	r->state.nscount++;
}

void resolve_start(struct resolver *r, char servers[RCONF_RESOLVERS][RCONF_PATH])
{
	if (res_ninit(&r->state) != 0)
		fatal("the resolver does not start");
	r->state.retrans = TRY_S;
	r->state.retry = TRIES;
	if (servers[0][0] != '\0')
		r->state.nscount = 0;
	for (size_t i = 0; i < RCONF_RESOLVERS && servers[i][0] != '\0'; i++)
		add_server(r, servers[i]);
	r->works = r->state.nscount > 0;
	/* nothing but the file is asked by resolve_fixed(), and nothing is loaded for it */
	if (__nss_configure_lookup("hosts", "files") != 0)
		fatal("libc does not look names up in files alone");
}

static void add_address(struct target *t, int family, const void *bytes)
{
	if (t->naddresses < TARGET_ADDRESSES &&
	    inet_ntop(family, bytes, t->address[t->naddresses], sizeof t->address[0]) != NULL)
		t->naddresses++;
}

void resolve_fixed(struct target *t)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;

	if (getaddrinfo(t->host, NULL, &hints, &list) != 0)
		return;
	for (a = list; a != NULL; a = a->ai_next) {
		const struct sockaddr_in *in = (const void *)a->ai_addr;
		const struct sockaddr_in6 *in6 = (const void *)a->ai_addr;

		if (a->ai_family == AF_INET)
			add_address(t, AF_INET, &in->sin_addr);
		else if (a->ai_family == AF_INET6)
			add_address(t, AF_INET6, &in6->sin6_addr);
	}
	freeaddrinfo(list);
	t->fixed = t->naddresses > 0;
}

size_t resolve_ports(const struct resolver *r, uint16_t ports[RESOLVE_PORTS])
{
	size_t n = 0;

	/* of IPv6, which res_ninit() keeps elsewhere, there is no other port than the usual one */
	for (int i = 0; i < r->state.nscount && n < RESOLVE_PORTS; i++) {
		const struct sockaddr_in *to = &r->state.nsaddr_list[i];

		ports[n++] = to->sin_family == AF_INET ? ntohs(to->sin_port) : NS_DEFAULTPORT;
	}
	return n;
}

/* The addresses of an answer, whatever names lead there. */
static void read_answer(struct target *t, int family, const uint8_t *answer, int len)
{
	ns_type type = family == AF_INET ? ns_t_a : ns_t_aaaa;
	size_t size = family == AF_INET ? 4 : 16;
	ns_msg m;
	ns_rr rr;

	if (ns_initparse(answer, len, &m) != 0)
		return;
	for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
		if (ns_parserr(&m, ns_s_an, i, &rr) != 0)
			return;
		if (ns_rr_type(rr) == type && ns_rr_class(rr) == ns_c_in && ns_rr_rdlen(rr) == size)
			add_address(t, family, ns_rr_rdata(rr));
	}
}

static void query(struct resolver *r, struct target *t, int family)
{
	uint8_t answer[ANSWER_MAX];
	int n = res_nquery(&r->state, t->host, ns_c_in, family == AF_INET ? ns_t_a : ns_t_aaaa,
	    answer, sizeof answer);

	/* what would not fit is told by its length, and is not there */
	if (n > 0 && n <= (int)sizeof answer)
		read_answer(t, family, answer, n);
}

int resolve(struct resolver *r, struct target *t, int64_t now_ms)
{
	if (t->fixed || (t->naddresses > 0 && now_ms < t->until_ms))
		return KE_OK;
	if (!r->works)
		return KE_UNAVAIL;
	t->naddresses = 0;
	query(r, t, AF_INET);
	if (t->naddresses == 0)
		query(r, t, AF_INET6);
	t->until_ms = now_ms + KEEP_MS;
	return t->naddresses > 0 ? KE_OK : KE_NOTFOUND;
}

const char *resolve_next(struct target *t)
{
	return t->address[t->turn++ % t->naddresses];
}
