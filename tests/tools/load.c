/*
 * A load of HTTPS requests for the benchmark, of several kinds, over many connections.
 *
 *	load [options] PORT        of 127.0.0.1
 *	  -c N  connections (32)   -d S  seconds (10)   -w S  seconds before, not counted (0)
 *	  -r N  requests a second arrive, answered or not; without it, each connection asks again as
 *	        soon as it has its answer
 *	  -t FILE  a bearer token a line
 *	  -u N     users: %u in a body becomes 0 to N-1 in turn
 *	  -k NAME:WEIGHT:METHOD:PATH[:BODY]   a kind of request; METHOD+ sends a token; repeatable
 *	  -i    only opens the connections, says "ready", and closes them at the end of its input
 *
 * With -r a request is due at a fixed time, waits for a free connection if there is none, and its
 * latency counts from when it was due: a server that stalls is charged for everything that it kept
 * waiting (what omits this flatters whoever stalls). What was not answered GRACE_S after the end is
 * lost. One JSON object is printed.
 */
#include <event2/event.h>
#include <sys/queue.h>

#include "tests/tools/load_tally.h"
#include "tests/tools/load_tls.h"

#define KINDS_MAX   8
#define HEAD_MAX    4096
#define REQUEST_MAX 2048
#define OPENING_MAX 64 /* handshakes at once while the connections are opened */
#define GRACE_S     15
#define OPEN_S      60 /* for all of them */

struct kind {
	char *name, *method, *path, *body; /* body may be NULL */
	unsigned weight;
	bool token;
	struct tally tally;
};

struct due {
	struct kind *kind;
	double at;
};

struct client {
	TAILQ_ENTRY(client) link; /* among the free */
	struct load *l;
	SSL *tls;
	struct event *readable, *writable;
	bool ready, closing;
	struct due due; /* kind NULL: nothing under way */
	char out[REQUEST_MAX], head[HEAD_MAX];
	size_t out_len, head_len, body_left;
	bool in_body;
};

struct second {
	uint64_t done;
	size_t waiting;
};

struct load {
	struct event_base *base;
	SSL_CTX *ctx;
	uint16_t port;
	unsigned connections, seconds, warm, users, weights;
	double rate;
	bool idle, over;
	struct kind kinds[KINDS_MAX];
	size_t nkinds;
	char **tokens;
	size_t ntokens;
	struct client *clients;
	TAILQ_HEAD(, client) free;
	unsigned opened, ready;
	struct due *backlog; /* a ring */
	size_t backlog_first, backlog_n, backlog_cap, in_flight;
	double start, end; /* of the arrivals; start includes the warm-up */
	uint64_t arrived, serial, reconnects, done;
	uint64_t rnd;
	struct second *by_second;
	size_t nseconds;
	char name[16]; /* of this run, in idempotency keys */
	char scratch[65536];
};

static void step(struct client *c);

static uint64_t dice(struct load *l)
{
	l->rnd ^= l->rnd << 13;
	l->rnd ^= l->rnd >> 7;
	l->rnd ^= l->rnd << 17;
	return l->rnd;
}

static struct kind *choose(struct load *l)
{
	unsigned at = (unsigned)(dice(l) % l->weights);
	struct kind *k = l->kinds;

	while (at >= k->weight) {
		at -= k->weight;
		k++;
	}
	return k;
}

/* --- what is counted --- */

static bool counts(const struct load *l, double due)
{
	return due >= l->start + l->warm;
}

static void count_answer(struct client *c, int status)
{
	tally_answer(&c->due.kind->tally, status, (now_s() - c->due.at) * 1e3,
	    strcasestr(c->head, "\r\nretry-after:") != NULL);
}

static void lose(struct load *l, const struct due *d)
{
	if (counts(l, d->at))
		d->kind->tally.lost++;
}

/* --- requests --- */

/* Copies text, with %u replaced. */
static size_t fill_body(struct load *l, const char *text, char *out, size_t cap)
{
	const char *u = strstr(text, "%u");
	int n;

	if (u == NULL)
		n = snprintf(out, cap, "%s", text);
	else
		n = snprintf(out, cap, "%.*s%llu%s", (int)(u - text), text,
		    (unsigned long long)(l->serial % l->users), u + 2);
	return (size_t)n;
}

static void write_request(struct client *c)
{
	struct load *l = c->l;
	const struct kind *k = c->due.kind;
	char body[512] = "", fields[1024] = "";
	size_t n = k->body != NULL ? fill_body(l, k->body, body, sizeof body) : 0;
	int len = 0;

	if (k->token)
		len = snprintf(fields, sizeof fields, "Authorization: Bearer %s\r\n",
		    l->tokens[l->serial % l->ntokens]);
	if (k->body != NULL)
		len += snprintf(fields + len, sizeof fields - (size_t)len,
		    "Content-Type: application/json\r\nIdempotency-Key: %s-%llu\r\n"
		    "Content-Length: %zu\r\n",
		    l->name, (unsigned long long)l->serial, n);
	len = snprintf(c->out, sizeof c->out, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s",
	    k->method, k->path, fields, body);
	if (len < 0 || (size_t)len >= sizeof c->out)
		die("load", "a request is too long");
	c->out_len = (size_t)len;
	l->serial++;
}

static void ask(struct client *c, struct due due)
{
	c->due = due;
	c->head_len = c->body_left = 0;
	c->in_body = false;
	c->l->in_flight++;
	due.kind->tally.asked += counts(c->l, due.at);
	write_request(c);
	step(c);
}

/* A ready connection without a request: takes the next one, or waits for it. */
static void next(struct client *c)
{
	struct load *l = c->l;

	if (l->backlog_n > 0) {
		struct due d = l->backlog[l->backlog_first];

		l->backlog_first = (l->backlog_first + 1) % l->backlog_cap;
		l->backlog_n--;
		ask(c, d);
	} else if (l->rate == 0 && l->start != 0 && now_s() < l->end) {
		ask(c, (struct due){choose(l), now_s()});
	} else {
		TAILQ_INSERT_TAIL(&l->free, c, link);
	}
}

/* --- one connection --- */

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg);
}

static void open_client(struct client *c)
{
	struct load *l = c->l;
	int fd;

	c->tls = load_tls_connect(l->ctx, l->port);
	c->ready = c->closing = false;
	fd = SSL_get_fd(c->tls);
	c->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, on_event, c);
	c->writable = event_new(l->base, fd, EV_WRITE, on_event, c);
	if (c->readable == NULL || c->writable == NULL)
		die("load", "out of memory");
	event_add(c->readable, NULL);
	event_add(c->writable, NULL);
}

/* The server has closed it, or it broke: what was under way is lost; a new one takes its place. */
static void reopen(struct client *c)
{
	struct load *l = c->l;

	event_free(c->readable);
	event_free(c->writable);
	load_tls_close(c->tls);
	if (c->due.kind != NULL) {
		lose(l, &c->due);
		l->in_flight--;
	} else if (c->ready) {
		TAILQ_REMOVE(&l->free, c, link);
	}
	c->due.kind = NULL;
	if (!c->ready && l->start == 0)
		die("load", "the server refuses connections");
	l->reconnects++;
	if (!l->over)
		open_client(c);
}

/* True when the operation has to wait for the socket; the connection may be gone. */
static bool waits(struct client *c, int r)
{
	switch (SSL_get_error(c->tls, r)) {
	case SSL_ERROR_WANT_READ:
		return true;
	case SSL_ERROR_WANT_WRITE:
		event_add(c->writable, NULL);
		return true;
	default:
		return false;
	}
}

static void answered(struct client *c)
{
	struct load *l = c->l;
	int status = atoi(c->head + strlen("HTTP/1.1 "));

	l->in_flight--;
	l->done++;
	if (counts(l, c->due.at))
		count_answer(c, status);
	c->due.kind = NULL;
	if (c->closing) {
		TAILQ_INSERT_TAIL(&l->free, c, link); /* reopen takes it from there */
		reopen(c);
		return;
	}
	next(c);
}

/* The head is whole: how long is the body? */
static void read_head(struct client *c, size_t head)
{
	const char *field = strcasestr(c->head, "\r\ncontent-length:");
	int status = atoi(c->head + strlen("HTTP/1.1 "));
	size_t extra = c->head_len - head;

	if (field == NULL && status != 204 && status != 304)
		die("load", "an answer without Content-Length");
	c->body_left = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
	c->closing = strcasestr(c->head, "\r\nconnection: close") != NULL;
	if (extra > c->body_left)
		die("load", "an answer is longer than it says");
	c->body_left -= extra;
	c->in_body = true;
}

/* Takes n bytes of an answer; true when it is complete. */
static bool take(struct client *c, const char *p, size_t n)
{
	size_t room = HEAD_MAX - 1 - c->head_len, part = n < room ? n : room;
	char *end;

	if (c->in_body) {
		if (n > c->body_left)
			die("load", "an answer is longer than it says");
		c->body_left -= n;
		return c->body_left == 0;
	}
	memcpy(c->head + c->head_len, p, part);
	c->head_len += part;
	c->head[c->head_len] = '\0';
	end = strstr(c->head, "\r\n\r\n");
	if (end == NULL) {
		if (room == part)
			die("load", "the head of an answer is too long");
		return false;
	}
	end[2] = '\0'; /* what follows is body: not to be searched */
	read_head(c, (size_t)(end - c->head) + 4);
	if (n > part)
		return take(c, p + part, n - part);
	return c->body_left == 0;
}

static void handshaken(struct client *c)
{
	struct load *l = c->l;

	c->ready = true;
	if (l->start == 0) {
		l->ready++;
		if (l->opened < l->connections) {
			struct client *o = &l->clients[l->opened++];

			o->l = l;
			open_client(o);
		}
	}
	next(c);
}

/* As far as it goes: handshake, write, read. */
static void step(struct client *c)
{
	int r;

	if (!c->ready) {
		r = SSL_do_handshake(c->tls);
		if (r == 1)
			handshaken(c);
		else if (!waits(c, r))
			reopen(c);
		return;
	}
	if (c->out_len > 0) {
		r = SSL_write(c->tls, c->out, (int)c->out_len);
		if (r <= 0) {
			if (!waits(c, r))
				reopen(c);
			return;
		}
		c->out_len = 0;
	}
	for (;;) {
		r = SSL_read(c->tls, c->l->scratch, sizeof c->l->scratch);
		if (r <= 0)
			break;
		if (c->due.kind == NULL)
			die("load", "an answer to nothing");
		if (take(c, c->l->scratch, (size_t)r)) {
			answered(c);
			return;
		}
	}
	if (!waits(c, r))
		reopen(c);
}

/* --- time --- */

static void push_backlog(struct load *l, struct due d)
{
	if (l->backlog_n == l->backlog_cap)
		die("load", "the server is hopelessly behind");
	l->backlog[(l->backlog_first + l->backlog_n++) % l->backlog_cap] = d;
}

static void arrive(struct load *l, struct due d)
{
	struct client *c = TAILQ_FIRST(&l->free);

	if (c == NULL) {
		push_backlog(l, d);
		return;
	}
	TAILQ_REMOVE(&l->free, c, link);
	ask(c, d);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;
	double now = now_s();
	size_t second = (size_t)(now - l->start);

	(void)fd;
	(void)what;
	while (l->nseconds < second && l->nseconds < l->warm + l->seconds)
		l->by_second[l->nseconds++] = (struct second){l->done, l->in_flight + l->backlog_n};
	if (l->rate > 0)
		for (;;) {
			double at = l->start + (double)l->arrived / l->rate;

			if (at > now || at >= l->end)
				break;
			l->arrived++;
			arrive(l, (struct due){choose(l), at});
		}
	if (now >= l->end && ((l->in_flight == 0 && l->backlog_n == 0) || now >= l->end + GRACE_S))
		event_base_loopbreak(l->base);
}

static void on_opened(evutil_socket_t fd, short what, void *arg)
{
	struct load *l = arg;

	(void)fd;
	(void)what;
	if (l->ready == l->connections)
		event_base_loopbreak(l->base);
	else if (now_s() > l->end)
		die("load", "the connections do not open");
}

/* Runs the loop with a function called every millisecond until that breaks it. */
static void run(struct load *l, event_callback_fn tick)
{
	const struct timeval ms = {.tv_usec = 1000};
	struct event *e = event_new(l->base, -1, EV_PERSIST, tick, l);

	if (e == NULL || event_add(e, &ms) != 0 || event_base_dispatch(l->base) < 0)
		die("load", "the loop broke");
	event_free(e);
}

static void open_all(struct load *l)
{
	l->end = now_s() + OPEN_S;
	while (l->opened < l->connections && l->opened < OPENING_MAX) {
		struct client *c = &l->clients[l->opened++];

		c->l = l;
		open_client(c);
	}
	run(l, on_opened);
}

static void run_load(struct load *l)
{
	struct client *c;

	l->by_second = calloc(l->warm + l->seconds + 1, sizeof *l->by_second);
	l->backlog_cap = 1 << 20;
	l->backlog = calloc(l->backlog_cap, sizeof *l->backlog);
	if (l->by_second == NULL || l->backlog == NULL)
		die("load", "out of memory");
	l->start = now_s();
	l->end = l->start + l->warm + l->seconds;
	for (unsigned i = 0; l->rate == 0 && i < l->connections; i++)
		if ((c = TAILQ_FIRST(&l->free)) != NULL) {
			TAILQ_REMOVE(&l->free, c, link);
			next(c);
		}
	run(l, on_tick);
	l->over = true;
	for (unsigned i = 0; i < l->connections; i++)
		if (l->clients[i].due.kind != NULL)
			lose(l, &l->clients[i].due);
	for (size_t i = 0; i < l->backlog_n; i++)
		lose(l, &l->backlog[(l->backlog_first + i) % l->backlog_cap]);
}

/* --- the report --- */

static void report(struct load *l)
{
	uint64_t before = 0;

	printf("{\"seconds\": %u, \"rate\": %.0f, \"connections\": %u, \"reconnects\": %llu, "
	       "\"kinds\": {",
	    l->seconds, l->rate, l->connections, (unsigned long long)l->reconnects);
	for (size_t i = 0; i < l->nkinds; i++) {
		printf("%s\"%s\": ", i != 0 ? ", " : "", l->kinds[i].name);
		tally_print(&l->kinds[i].tally);
	}
	printf("}, \"by_second\": [");
	for (size_t i = 0; i < l->nseconds; i++) {
		printf("%s[%llu, %zu]", i != 0 ? ", " : "",
		    (unsigned long long)(l->by_second[i].done - before), l->by_second[i].waiting);
		before = l->by_second[i].done;
	}
	printf("]}\n");
}

/* --- the start --- */

static void read_tokens(struct load *l, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	if (f == NULL)
		die(path, "cannot be read");
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		l->tokens = realloc(l->tokens, (l->ntokens + 1) * sizeof *l->tokens);
		if (l->tokens == NULL || (l->tokens[l->ntokens++] = strdup(line)) == NULL)
			die("load", "out of memory");
	}
	fclose(f);
}

static void read_kind(struct load *l, char *text)
{
	struct kind *k = &l->kinds[l->nkinds];
	char *weight, *plus;

	if (l->nkinds++ == KINDS_MAX)
		die("load", "too many kinds");
	k->name = strsep(&text, ":");
	weight = strsep(&text, ":");
	k->method = strsep(&text, ":");
	k->path = strsep(&text, ":");
	k->body = text;
	if (k->path == NULL)
		die("load", "a kind is NAME:WEIGHT:METHOD:PATH[:BODY]");
	k->weight = (unsigned)strtoul(weight, NULL, 10);
	l->weights += k->weight;
	plus = strchr(k->method, '+');
	k->token = plus != NULL;
	if (plus != NULL)
		*plus = '\0';
}

static void options(struct load *l, int argc, char **argv)
{
	unsigned *const number[256] = {
	    ['c'] = &l->connections, ['d'] = &l->seconds, ['w'] = &l->warm, ['u'] = &l->users};
	int o;

	while ((o = getopt(argc, argv, "c:d:w:r:t:u:k:i")) != -1) {
		if (o == 'i')
			l->idle = true;
		else if (o == 't')
			read_tokens(l, optarg);
		else if (o == 'k')
			read_kind(l, optarg);
		else if (o == 'r')
			l->rate = strtod(optarg, NULL);
		else if (number[o & 255] != NULL)
			*number[o & 255] = (unsigned)strtoul(optarg, NULL, 10);
		else
			die("load", "unknown option");
	}
	if (argc - optind != 1 || l->connections == 0 || l->users == 0 ||
	    (!l->idle && l->weights == 0))
		die("load", "usage: load [options] PORT");
	for (size_t i = 0; i < l->nkinds; i++)
		if (l->kinds[i].token && l->ntokens == 0)
			die("load", "a token is wanted, and -t is missing");
	l->port = (uint16_t)strtoul(argv[optind], NULL, 10);
}

int main(int argc, char **argv)
{
	static struct load l = {.connections = 32, .seconds = 10, .users = 1};
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	l.rnd = (uint64_t)t.tv_nsec * 2654435761u + (uint64_t)t.tv_sec + 1;
	snprintf(l.name, sizeof l.name, "%08llx", (unsigned long long)dice(&l) & 0xffffffff);
	options(&l, argc, argv);
	TAILQ_INIT(&l.free);
	l.base = event_base_new();
	l.ctx = load_tls_context();
	l.clients = calloc(l.connections, sizeof *l.clients);
	if (l.base == NULL || l.clients == NULL)
		die("load", "out of memory");
	open_all(&l);
	if (l.idle) {
		puts("ready");
		fflush(stdout);
		while (getchar() != EOF)
			;
		return 0;
	}
	run_load(&l);
	report(&l);
	return 0;
}
