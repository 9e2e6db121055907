/*
 * The loop of out: see loop.h. Runs in out.
 */
#include "daemon/out/loop.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/msg/log.h"

#define IDLE_MS 60000 /* libcurl wakes us earlier when it has something to do */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- places --- */

static struct place *free_place(struct out *o)
{
	for (size_t i = 0; i < OUT_AT_ONCE; i++)
		if (o->place[i].state == PLACE_FREE)
			return &o->place[i];
	return NULL;
}

static void set_free(struct out *o, struct place *p)
{
	if (p->state == PLACE_RUNS)
		https_end(&o->https, &p->https);
	p->state = PLACE_FREE;
}

static void set_answered(struct out *o, struct place *p, int r)
{
	struct wire_out a;

	wire_out_init(&a, p->answer, sizeof p->answer);
	work_answer(&o->conf, &p->work, r, p->https.body, p->https.len, &a);
	if (a.err != KE_OK)
		fatal("answer to %u: %s", p->work.kind->type, ke_words(a.err));
	p->len = a.len;
	if (p->state == PLACE_RUNS)
		https_end(&o->https, &p->https);
	p->state = PLACE_ANSWERED;
}

/* Engine is gone: nobody waits for any of it. */
static void forget_all(struct out *o)
{
	for (size_t i = 0; i < OUT_AT_ONCE; i++)
		set_free(o, &o->place[i]);
	if (o->channel >= 0)
		close(o->channel);
	o->channel = -1;
}

static bool any(const struct out *o, enum place_state s)
{
	for (size_t i = 0; i < OUT_AT_ONCE; i++)
		if (o->place[i].state == s)
			return true;
	return false;
}

/* --- parent --- */

static void take_peer(struct out *o, const struct start_peer *who, int fd)
{
	/* the kernel looks at O_NONBLOCK alone; the sandbox allows what libcurl sets too */
	if (who->role != ROLE_ENGINE || fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		fatal("parent offers %s", role_word(who->role));
	forget_all(o);
	o->engine = *who;
	o->channel = fd;
}

/* False when it is time to leave. */
static bool control(struct out *o)
{
	struct start_peer who;
	struct msg m;
	int r = msg_recv(MSG_CTL_FD, ROLE_OUT, ROLE_PARENT, RUN, o->in, &m);

	if (r == KE_CLOSED)
		return false;
	if (r == KE_AGAIN)
		return true;
	if (r != KE_OK)
		fatal("control channel: %s", ke_words(r));
	switch (start_control(ROLE_OUT, &m, &who)) {
	case START_PING:
		return true;
	case START_PEER:
		take_peer(o, &who, m.fd);
		return true;
	case START_STOP:
		o->leaving = true;
		return true;
	case START_OTHER:
		break;
	}
	fatal("unexpected message %u of parent", m.type);
}

/* --- engine --- */

static void begin(struct out *o, struct place *p)
{
	struct target *t = p->work.target;
	int r = resolve(&o->resolver, t, now_ms());

	p->https.len = 0;
	if (r == KE_OK)
		r = https_begin(
		    &o->https, &p->https, &p->work.ask, t->host, t->port, resolve_next(t));
	if (r == KE_OK)
		p->state = PLACE_RUNS;
	else
		set_answered(o, p, KE_UNAVAIL);
}

static void question(struct out *o, struct place *p)
{
	struct msg m;
	int r = msg_recv(o->channel, ROLE_OUT, ROLE_ENGINE, RUN, o->in, &m);

	if (r == KE_AGAIN)
		return;
	if (r == KE_CLOSED) {
		forget_all(o);
		return;
	}
	if (r == KE_OK)
		r = work_ask(&o->conf, &p->work, &m);
	if (r != KE_OK)
		fatal("engine sent garbage: %s", ke_words(r));
	begin(o, p);
}

static void send_answers(struct out *o)
{
	for (size_t i = 0; i < OUT_AT_ONCE; i++) {
		struct place *p = &o->place[i];
		int r;

		if (p->state != PLACE_ANSWERED)
			continue;
		r = msg_send(o->channel, (uint16_t)(p->work.kind->type + 1), p->work.id, p->answer,
		    p->len, -1);
		if (r == KE_FULL)
			return;
		if (r == KE_CLOSED) {
			forget_all(o);
			return;
		}
		if (r != KE_OK)
			fatal("answer to %u: %s", p->work.kind->type, ke_words(r));
		set_free(o, p);
	}
}

/* --- libcurl --- */

static void finish(struct out *o, CURL *easy, CURLcode result)
{
	for (size_t i = 0; i < OUT_AT_ONCE; i++) {
		struct place *p = &o->place[i];
		long status;
		int r;

		if (p->state != PLACE_RUNS || p->https.easy != easy)
			continue;
		r = https_result(&p->https, result, &status);
		/* libcurl's words may hold what the other side chose: they are not logged */
		if (r != KE_OK && r != KE_NOTFOUND)
			log_info("%s: %s (%s, status %ld)", p->work.target->url, ke_words(r),
			    curl_easy_strerror(result), status);
		set_answered(o, p, r);
		return;
	}
	fatal("libcurl ends what was not begun");
}

static void transfers(struct out *o)
{
	CURLMsg *m;
	int n;

	/* libcurl 8.14 learns from its first exchange to leave signals alone (CURLOPT_NOSIGNAL):
	 * before, it would set SIGPIPE, which is forbidden */
	if (!o->https.used)
		return;
	if (curl_multi_perform(o->https.multi, &n) != CURLM_OK)
		fatal("libcurl does not go on");
	while ((m = curl_multi_info_read(o->https.multi, &n)) != NULL)
		if (m->msg == CURLMSG_DONE)
			finish(o, m->easy_handle, m->data.result);
}

static short wanted(struct out *o)
{
	int events = free_place(o) != NULL && !o->leaving ? CURL_WAIT_POLLIN : 0;

	if (any(o, PLACE_ANSWERED))
		events |= CURL_WAIT_POLLOUT;
	return (short)events;
}

/* One round; false when it is time to leave. */
static bool turn(struct out *o)
{
	struct curl_waitfd fds[] = {{.fd = MSG_CTL_FD, .events = CURL_WAIT_POLLIN},
	    {.fd = o->channel, .events = wanted(o)}};
	/* one that nothing is wanted of could only wake us, again and again, when it has closed */
	unsigned n = o->channel >= 0 && fds[1].events != 0 ? 2 : 1;

	if (o->leaving && !any(o, PLACE_RUNS) && !any(o, PLACE_ANSWERED))
		return false;
	if (curl_multi_poll(o->https.multi, fds, n, IDLE_MS, NULL) != CURLM_OK)
		fatal("libcurl does not wait");
	if (fds[0].revents != 0)
		return control(o); /* it may have replaced what was polled */
	if (n == 2 && (fds[1].revents & CURL_WAIT_POLLIN) != 0)
		question(o, free_place(o));
	transfers(o);
	if (o->channel >= 0)
		send_answers(o);
	return true;
}

void out_loop(struct out *o)
{
	o->channel = -1;
	while (turn(o))
		;
}
