/*
 * klerod-engine: the business of the appliance. Authentication, authorisation, money, raffles and
 * the store are here and nowhere else. It holds the database key (inside SQLCipher) and all
 * business state; it has no network and may touch the store's folder only.
 * Runs as the engine role. Trusts parent and hsm; trusts neither net, kdf nor a control client.
 */
#include "daemon/engine/engine.h"

#include <event2/event.h>
#include <unistd.h>

#include "daemon/engine/boot.h"
#include "daemon/engine/health.h"
#include "daemon/engine/proof.h"
#include "daemon/engine/restore.h"
#include "daemon/loop/control.h"
#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "db/db.h"

#define TICK_MS 250

static void on_peer(void *arg, const struct start_peer *peer, int fd)
{
	peers_attach(arg, peer, fd);
}

static void on_other(void *arg, const struct msg *m)
{
	(void)arg;
	if (m->type == MSG_ENGINE_CLIENT)
		ctl_attach(arg, m->fd);
	else if (m->type == MSG_ENGINE_ACTED)
		quorum_acted(arg, m);
	else if (m->type == MSG_ENGINE_TOKENS)
		health_tokens(arg, m);
	else
		fatal("parent sent message %u", m->type);
}

static void on_stop(void *arg)
{
	struct engine *e = arg;

	if (e->db == NULL)
		_exit(0); /* nothing has begun */
	e->stopping = true;
	beacons_stop(e);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct engine *e = arg;
	int64_t now_ms = engine_clock_ms();

	(void)fd;
	(void)what;
	job_expire(e, now_ms);
	ctl_expire(e, now_ms);
	hsm_tick(e);
	kdf_tick(e);
	peers_drain(e);
	if (e->db == NULL) {
		opening_step(e);
		return;
	}
	quorum_tick(e);
	rewrap_tick(e);
	reseal_tick(e);
	payout_tick(e);
	ckpt_tick(e);
	beacons_tick(e);
	cosign_tick(e);
}

/* The store is open: everything else begins. */
static void begin(struct engine *e)
{
	proof_start(e, e->conf.store);
	beacons_start(e);
	life_start(e);
	maint_start(e);
	ckpt_start(e);
	witness_start(e);
	cosign_start(e);
	hsm_tick(e);
	quorum_ask(e);
	start_ready(ROLE_ENGINE);
}

static void start_loop(struct engine *e)
{
	static const struct control_cbs cbs = {.peer = on_peer, .other = on_other, .stop = on_stop};
	static const struct timeval tick = {.tv_usec = TICK_MS * 1000};
	struct event *ev = event_new(e->base, -1, EV_PERSIST, on_tick, e);

	if (ev == NULL || event_add(ev, &tick) != 0)
		fatal("out of memory");
	opening_begin(e, begin);
	control_start(e->base, ROLE_ENGINE, &cbs, e);
}

/* One iteration of libevent's loop is one turn. What waits for others may finish after STOP. */
static void loop(struct engine *e)
{
	while (!e->stopping || e->jobs.waiting > 0) {
		if (event_base_loop(e->base, EVLOOP_ONCE) != 0)
			fatal("event loop");
		turn_end(e);
	}
}

int main(void)
{
	static struct engine e;
	int hsm = -1;

	start_early(ROLE_ENGINE);
	boot_configure(&e);
	if (e.conf.restore != 0)
		hsm = boot_wait_hsm();
	boot_warm_up(&e);
	e.base = event_base_new();
	if (e.base == NULL)
		fatal("libevent does not start");
	turn_init(&e);
	kdf_init(&e);
	boot_enter(&e);
	if (e.conf.restore != 0)
		return restore_run(&e, hsm);
	start_loop(&e);
	loop(&e);
	ckpt_stop(&e);
	maint_stop(&e);
	db_close(e.db);
	return 0;
}
