/*
 * What engine's beacons find around them: a time that is the test's, and the two processes that
 * they ask, which the test is.
 */
#ifndef TESTS_UNIT_BEACONS_PEERS_H
#define TESTS_UNIT_BEACONS_PEERS_H

#include <event2/event.h>

#include "daemon/engine/engine.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/start.h"

static struct engine e;
static int64_t steady_ms, wall_ms;
static unsigned blamed;
static int out = -1, beacon = -1;
static uint8_t buf[MSG_MAX];

/* --- what engine finds around it --- */

int64_t engine_clock_us(void)
{
	return steady_ms * 1000;
}

int64_t engine_clock_ms(void)
{
	return steady_ms;
}

int64_t engine_clock_s(void)
{
	return steady_ms / 1000;
}

int64_t engine_now_ms(void)
{
	return wall_ms;
}

int64_t engine_clock_step(struct clock_watch *w, int64_t wall, int64_t steady)
{
	*w = (struct clock_watch){wall, steady};
	return 0;
}

void engine_uuid(struct ids *s, uint8_t id[16], int64_t now_ms)
{
	(void)s;
	(void)now_ms;
	memset(id, 0, 16);
}

void start_blame(enum role self, const struct start_peer *who)
{
	assert_int_equal(self, ROLE_ENGINE);
	assert_true(who->role == ROLE_OUT || who->role == ROLE_BEACON);
	blamed++;
}

/* --- the two of them --- */

static void join(enum role role, int *ours)
{
	struct start_peer who = {.role = role, .life = 1};
	int sv[2];

	assert_int_equal(msg_pair(sv), KE_OK);
	assert_int_equal(fcntl(sv[0], F_SETFL, O_NONBLOCK), 0);
	if (*ours >= 0)
		close(*ours);
	*ours = sv[0];
	peers_attach(&e, &who, sv[1]);
}

static void turns(void)
{
	for (int i = 0; i < 3; i++) {
		assert_true(event_base_loop(e.base, EVLOOP_NONBLOCK) >= 0);
		turn_end(&e);
	}
}

static void pass(int64_t ms)
{
	steady_ms += ms;
	wall_ms += ms;
	job_expire(&e, steady_ms);
	beacons_tick(&e);
	turns();
}

/* The next question of this type; its body is in *in. */
static uint64_t hear(enum role role, uint16_t type, struct wire_in *in)
{
	struct msg m;

	assert_int_equal(
	    msg_recv(role == ROLE_OUT ? out : beacon, role, ROLE_ENGINE, RUN, buf, &m), KE_OK);
	assert_int_equal(m.type, type);
	wire_in_init(in, m.body, m.len);
	return m.id;
}

static void quiet(enum role role)
{
	struct msg m;

	assert_int_equal(
	    msg_recv(role == ROLE_OUT ? out : beacon, role, ROLE_ENGINE, RUN, buf, &m), KE_AGAIN);
}

static void say(enum role role, uint16_t type, uint64_t id, const struct wire_out *w)
{
	assert_int_equal(w->err, KE_OK);
	assert_int_equal(
	    msg_send(role == ROLE_OUT ? out : beacon, type, id, w->buf, w->len, -1), KE_OK);
	turns();
}

static void say_result(enum role role, uint16_t type, uint64_t id, int r)
{
	uint8_t body[4];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_i32(&w, r);
	say(role, type, id, &w);
}

/* out hears a question for this round, from the given relay unless that is -1; its id. */
static uint64_t asked(int relay, uint64_t round)
{
	struct wire_in in;
	uint64_t id = hear(ROLE_OUT, MSG_OUT_ROUND, &in);
	uint8_t which = wire_get_u8(&in);

	if (relay >= 0)
		assert_int_equal(which, relay);
	assert_int_equal(wire_get_u8(&in), 0);
	assert_int_equal(wire_get_u64(&in), round);
	assert_int_equal(wire_end(&in), KE_OK);
	return id;
}

static void came(uint64_t id, uint64_t round, uint8_t byte)
{
	uint8_t body[64], signature[BLS_SIG_LEN];
	struct wire_out w;

	memset(signature, byte, sizeof signature);
	wire_out_init(&w, body, sizeof body);
	wire_put_i32(&w, KE_OK);
	wire_put_u64(&w, round);
	wire_put_raw(&w, signature, sizeof signature);
	say(ROLE_OUT, MSG_OUT_ROUND_ANS, id, &w);
}

/* beacon hears of this round, and says so. */
static void verdict(uint64_t round, uint8_t byte, int r)
{
	struct wire_in in;
	uint64_t id = hear(ROLE_BEACON, MSG_BEACON_ROUND, &in);
	uint8_t signature[BLS_SIG_LEN];

	assert_int_equal(wire_get_u8(&in), 0);
	assert_int_equal(wire_get_u64(&in), round);
	wire_get_raw(&in, signature, sizeof signature);
	assert_int_equal(wire_end(&in), KE_OK);
	assert_int_equal(signature[BLS_SIG_LEN - 1], byte);
	say_result(ROLE_BEACON, MSG_BEACON_ROUND_ANS, id, r);
}

#endif
