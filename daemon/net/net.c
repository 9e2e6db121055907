/*
 * klerod-net: TLS and HTTP for strangers, in front of engine. It sees every request and holds no
 * key: the TLS key is tlskey's, all authority is engine's.
 * Runs as the net role, several of them; trusts parent, engine and tlskey, and no client.
 */
#include "daemon/net/net.h"

#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/api/openapi.h"
#include "daemon/loop/control.h"
#include "daemon/msg/log.h"
#include "daemon/net/cache.h"
#include "daemon/net/page.h"
#include "daemon/net/tls.h"
#include "daemon/net/upstream.h"

#define TICK_MS     250
#define OPENAPI_MAX ((size_t)512 << 10)
#define CONNS_LIMIT 65536
#define WHY_MAX     256
#define UNSENT      65536 /* what the kernel may hold for a client beyond what is on its way */

/* What parent sends before there is a loop. */
struct inherited {
	int listen, limits, engine; /* -1: not come yet */
	struct start_peer engine_is;
	bool conf;
};

void net_clock(struct net *n)
{
	int64_t second = n->unix_ms / 1000;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	n->now_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &ts);
	n->unix_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (n->unix_ms / 1000 != second)
		answer_date(&n->env, ts.tv_sec);
}

/* --- the start --- */

static void take_conf(struct net *n, const struct msg *m)
{
	struct wire_in r;
	int err;

	wire_in_init(&r, m->body, m->len);
	err = rconf_get_net(&r, &n->conf);
	if (err != KE_OK)
		fatal("configuration: %s", ke_words(err));
	if (n->conf.max_connections < 1 || n->conf.max_connections > CONNS_LIMIT)
		fatal("max-connections must be 1 to %d", CONNS_LIMIT);
	n->env.conf = &n->conf;
}

static void take_peer(struct net *n, struct inherited *in, const struct msg *m)
{
	struct start_peer peer;

	switch (start_control(ROLE_NET, m, &peer)) {
	case START_STOP:
		_exit(0);
	case START_PEER:
		break;
	default:
		fatal("message %u of parent before the start", m->type);
	}
	if (peer.role == ROLE_TLSKEY) {
		tlskey_set(&n->key, m->fd);
	} else if (peer.role == ROLE_ENGINE) {
		if (in->engine >= 0)
			close(in->engine);
		in->engine = m->fd;
		in->engine_is = peer;
	} else {
		fatal("net has no business with %s", role_word(peer.role));
	}
}

/* Everything that the start needs, in whatever order it comes. */
static void receive(struct net *n, struct inherited *in)
{
	uint8_t *buf = n->key.buf; /* MSG_MAX bytes that nobody uses yet */
	struct msg m;

	while (!in->conf || in->listen < 0 || in->limits < 0) {
		int r = msg_recv(MSG_CTL_FD, ROLE_NET, ROLE_PARENT, PRE, buf, &m);

		if (r == KE_CLOSED)
			_exit(1); /* parent gave up; it has said why */
		if (r != KE_OK)
			fatal("control channel: %s", ke_words(r));
		if (m.type == MSG_NET_CONF) {
			take_conf(n, &m);
			in->conf = true;
		} else if (m.type == MSG_NET_LISTEN) {
			in->listen = m.fd;
		} else if (m.type == MSG_NET_LIMITS) {
			in->limits = m.fd;
		} else {
			take_peer(n, in, &m);
		}
	}
}

/* What never changes while we run is written once, into memory that can be sent. */
static int hold(const char *name, const void *p, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		fatal("%s: no memory", name);
	return fd;
}

static void write_openapi(struct net *n)
{
	char *text = malloc(OPENAPI_MAX);
	int r = KE_NOMEM;

	if (text != NULL)
		r = openapi_write(text, OPENAPI_MAX, n->conf.host, &n->openapi_len);
	if (r != KE_OK)
		fatal("openapi.json: %s", ke_words(r));
	n->openapi = hold("openapi.json", text, n->openapi_len);
	free(text);
}

/* All that needs files, fetches or much time, while it is still allowed. */
static void warm_up(struct net *n, struct inherited *in)
{
	char why[WHY_MAX];
	int on = 1, unsent = UNSENT, r;

	r = limit_open(&n->limit, in->limits);
	if (r != KE_OK)
		fatal("the memory of the limits: %s", ke_words(r));
	close(in->limits);
	n->cache = cache_new();
	if (n->cache == NULL)
		fatal("out of memory");
	fetches_init(&n->fetches);
	write_openapi(n);
	n->page = hold("verify.html", page_html, page_html_len);
	net_clock(n);
	n->tls = tls_new(n->conf.cert_pem, &n->key, n->now_ms, why, sizeof why);
	if (n->tls == NULL)
		fatal("%s", why);
	/*
	 * Accepted sockets inherit both: an answer is one write and must not wait for another; and
	 * a client that reads is heard of before a third of a send buffer of megabytes is free
	 * again, or a slow but steady one would look as if it stood still (conn.c's WRITE_STEP).
	 */
	if (fcntl(in->listen, F_SETFL, O_NONBLOCK) != 0 ||
	    setsockopt(in->listen, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    setsockopt(in->listen, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent) != 0)
		fatal("the listening socket is not usable");
}

/* --- the loop --- */

static void on_key(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;

	(void)fd;
	(void)what;
	net_clock(n);
	if (tlskey_poke(&n->key) == KE_OK)
		return;
	event_free(n->key_event);
	n->key_event = NULL;
	tlskey_close(&n->key);
	log_warn("tlskey is away; new connections wait");
	conns_accept(n);
}

static void watch_key(struct net *n)
{
	n->key_event = event_new(n->base, n->key.fd, EV_READ | EV_PERSIST, on_key, n);
	if (n->key_event == NULL || event_add(n->key_event, NULL) != 0)
		fatal("out of memory");
}

static void on_peer(void *arg, const struct start_peer *peer, int fd)
{
	struct net *n = arg;

	net_clock(n);
	if (peer->role == ROLE_ENGINE) {
		upstream_set(n, peer, fd);
		return;
	}
	if (peer->role != ROLE_TLSKEY)
		fatal("net has no business with %s", role_word(peer->role));
	if (n->key_event != NULL)
		event_free(n->key_event);
	tlskey_set(&n->key, fd);
	watch_key(n);
	conns_accept(n);
}

/* A certificate that does not load is no reason to stop serving with the one that does. */
static void on_cert(void *arg, const struct msg *m)
{
	struct net *n = arg;
	char *pem = (char *)n->msg, why[WHY_MAX];
	struct wire_in r;

	if (m->type != MSG_NET_CERT)
		fatal("unexpected message %u of parent", m->type);
	wire_in_init(&r, m->body, m->len);
	wire_get_cstr(&r, pem, sizeof n->conf.cert_pem);
	if (wire_end(&r) != KE_OK)
		fatal("the certificate of parent");
	net_clock(n);
	if (tls_renew(n->tls, pem, n->now_ms, why, sizeof why) == KE_OK)
		log_info("new connections see the new certificate");
	else
		log_error("the former certificate stays in use: %s", why);
}

static void on_stop(void *arg)
{
	struct net *n = arg;

	net_clock(n);
	n->stop_ms = n->now_ms + NET_STOP_MS;
	conns_stop(n);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;

	(void)fd;
	(void)what;
	net_clock(n);
	tls_tick(n->tls, n->now_ms);
	conns_tick(n);
	conns_unstall(n);
	upstream_stats(n);
	if (n->stop_ms != 0 && (n->stats.open == 0 || n->now_ms >= n->stop_ms))
		event_base_loopbreak(n->base);
}

static void build_loop(struct net *n, const struct inherited *in)
{
	static const struct control_cbs cbs = {.peer = on_peer, .other = on_cert, .stop = on_stop};
	const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct event_config *config = event_config_new();

	if (config == NULL || event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) != 0 ||
	    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) != 0)
		fatal("libevent does not start");
	n->base = event_base_new_with_config(config);
	event_config_free(config);
	if (n->base == NULL || event_base_priority_init(n->base, NET_PRIORITIES) != 0)
		fatal("libevent does not start");
	conns_init(n, in->listen);
	n->tick = event_new(n->base, -1, EV_PERSIST, on_tick, n);
	if (n->tick == NULL || event_add(n->tick, &tick) != 0)
		fatal("out of memory");
	control_start(n->base, ROLE_NET, &cbs, n);
	if (n->key.fd >= 0)
		watch_key(n);
	if (in->engine >= 0)
		upstream_set(n, &in->engine_is, in->engine);
	conns_accept(n);
}

int main(void)
{
	static struct net n;
	struct inherited in = {.listen = -1, .limits = -1, .engine = -1};

	start_early(ROLE_NET);
	/* a client that has gone is an error of write, not the end of us */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sodium_init() < 0)
		fatal("signals or libsodium");
	tlskey_init(&n.key);
	receive(&n, &in);
	warm_up(&n, &in);
	build_loop(&n, &in);
	start_sandbox(ROLE_NET, &n.conf.id, NULL, 0, 0);
	start_ready(ROLE_NET);
	if (event_base_dispatch(n.base) < 0)
		fatal("the event loop broke");
	return 0;
}
