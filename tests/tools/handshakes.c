/*
 * How many TLS handshakes a second a server makes, full or resumed.
 *
 *	handshakes [-c N] [-d S] [-r] PORT      of 127.0.0.1
 *	  -c N  at once (16)   -d S  seconds (10)
 *	  -r    resumed: each with the newest ticket of its own line of connections
 *
 * A connection is opened, shaken hands on, closed by close_notify, and counted when the server has
 * closed it too, so that all of the server's work for it is over. One JSON object is printed.
 */
#include <event2/event.h>
#include <stdbool.h>

#include "tests/tools/load_tls.h"

struct line {
	struct shake *s;
	SSL *tls;
	SSL_SESSION *ticket; /* the newest */
	struct event *event;
	bool said; /* close_notify has left */
};

struct shake {
	struct event_base *base;
	SSL_CTX *ctx;
	struct line *lines;
	unsigned long connections, seconds, done, resumed, failed;
	bool resume;
	uint16_t port;
	double start;
};

static int keep_ticket(SSL *tls, SSL_SESSION *ticket)
{
	struct line *n = SSL_get_app_data(tls);

	SSL_SESSION_free(n->ticket);
	n->ticket = ticket;
	return 1; /* it is ours now */
}

static void on_event(evutil_socket_t fd, short what, void *arg);

static void begin(struct line *n)
{
	struct shake *s = n->s;

	n->tls = load_tls_connect(s->ctx, s->port);
	n->said = false;
	SSL_set_app_data(n->tls, n);
	if (s->resume && n->ticket != NULL)
		SSL_set_session(n->tls, n->ticket);
	if (event_assign(n->event, s->base, SSL_get_fd(n->tls), EV_READ | EV_WRITE, on_event, n))
		die("handshakes", "event");
	event_add(n->event, NULL);
}

static void end(struct line *n, bool good)
{
	struct shake *s = n->s;

	s->done += good;
	s->failed += !good;
	s->resumed += good && SSL_session_reused(n->tls);
	event_del(n->event);
	/* without this a connection that ends by a reset is not to be resumed */
	SSL_set_shutdown(n->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	load_tls_close(n->tls);
	begin(n);
}

static void again(struct line *n, int r)
{
	short what = SSL_get_error(n->tls, r) == SSL_ERROR_WANT_WRITE ? EV_WRITE : EV_READ;

	event_assign(n->event, n->s->base, SSL_get_fd(n->tls), what, on_event, n);
	event_add(n->event, NULL);
}

static bool waits(const struct line *n, int r)
{
	int e = SSL_get_error(n->tls, r);

	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct line *n = arg;
	char byte;
	int r;

	(void)fd;
	(void)what;
	if (!n->said) {
		r = SSL_do_handshake(n->tls);
		if (r != 1) {
			if (waits(n, r))
				again(n, r);
			else
				end(n, false);
			return;
		}
		n->said = true;
		(void)SSL_shutdown(n->tls);
	}
	r = SSL_read(n->tls, &byte, 1); /* tickets, and then the end */
	if (r <= 0 && waits(n, r))
		again(n, r);
	else
		end(n, r <= 0);
}

static void stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void options(struct shake *s, int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "c:d:r")) != -1) {
		if (o == 'c')
			s->connections = strtoul(optarg, NULL, 10);
		else if (o == 'd')
			s->seconds = strtoul(optarg, NULL, 10);
		else if (o == 'r')
			s->resume = true;
		else
			die("handshakes", "unknown option");
	}
	if (argc - optind != 1 || s->connections == 0)
		die("handshakes", "usage: handshakes [-c N] [-d S] [-r] PORT");
	s->port = (uint16_t)strtoul(argv[optind], NULL, 10);
}

int main(int argc, char **argv)
{
	static struct shake s = {.connections = 16, .seconds = 10};
	struct timeval t = {0};

	options(&s, argc, argv);
	t.tv_sec = (time_t)s.seconds;
	s.base = event_base_new();
	s.ctx = load_tls_context();
	s.lines = calloc(s.connections, sizeof *s.lines);
	if (s.base == NULL || s.lines == NULL)
		die("handshakes", "out of memory");
	SSL_CTX_set_session_cache_mode(
	    s.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(s.ctx, keep_ticket);
	for (unsigned long i = 0; i < s.connections; i++) {
		s.lines[i].s = &s;
		s.lines[i].event = event_new(s.base, -1, 0, on_event, NULL);
		begin(&s.lines[i]);
	}
	s.start = now_s();
	if (event_base_once(s.base, -1, EV_TIMEOUT, stop, s.base, &t) != 0 ||
	    event_base_dispatch(s.base) < 0)
		die("handshakes", "the loop broke");
	printf("{\"per_second\": %.1f, \"done\": %lu, \"resumed\": %lu, \"failed\": %lu}\n",
	    (double)s.done / (now_s() - s.start), s.done, s.resumed, s.failed);
	return 0;
}
