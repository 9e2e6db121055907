/*
 * What the hsm role costs over its module: the real program in its sandbox over a SoftHSM token,
 * this process as parent and engine.
 *
 *	bench_hsm [ROUNDS [SECONDS]]
 *
 * In turn in each round, SECONDS each: a bare loop of C_SignInit and C_Sign over a session copy of
 * the token key, in a process of its own; sessions issued by hsm, each of which is one such
 * signature and more, 32 under way; and round trips of a message that needs no token: one at a
 * time, one at a time after a pause in which hsm has gone to sleep, and 32 under way. One JSON
 * object is printed: an array of the rounds' figures for each.
 */
#include <sodium.h>
#include <time.h>

#include "hsm/p11/key.h"
#include "tests/unit/hsm_peer.h"

#define UNDER_WAY  32
#define ROUNDS_MAX 64
#define PAUSE_US   2000
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "bench_hsm: failed: %s\n", #what);                         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static double seconds = 3;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* --- the module alone --- */

static void open_token(struct p11 *p, struct key_ring *ring)
{
	char *const env[] = {ctx.f.env};
	bool copied = false;

	MUST(p11_load(p, fx_module(), env, 1) == KE_OK);
	MUST(p11_open(p, FX_KEYS, false) == KE_OK);
	MUST(p11_login(p, FX_PIN) == KE_OK);
	MUST(key_ring_find(p, ring) == KE_OK);
	MUST(key_ring_copy(p, ring, &copied) == KE_OK && copied);
}

static double sign_loop(void)
{
	static struct p11 p;
	static struct key_ring ring;
	CK_MECHANISM ecdsa = {.mechanism = CKM_ECDSA};
	CK_BYTE digest[32] = {1}, sig[64];
	const struct key *k = NULL;
	double began, end;
	unsigned long n = 0;

	open_token(&p, &ring);
	for (size_t i = 0; i < ring.n; i++)
		if (ring.keys[i].purpose == KEY_TOKEN)
			k = &ring.keys[i];
	MUST(k != NULL);
	began = now_s();
	end = began + seconds;
	for (; now_s() < end; n++) {
		CK_ULONG len = sizeof sig;

		memcpy(digest, &n, sizeof n);
		MUST(p.f->C_SignInit(p.session, &ecdsa, k->handle) == CKR_OK);
		MUST(p.f->C_Sign(p.session, digest, sizeof digest, sig, &len) == CKR_OK);
	}
	return (double)n / (now_s() - began);
}

/* In a process of its own: a module is initialised once in each. */
static double bare(void)
{
	double rate = 0;
	int p[2], status;
	pid_t pid;

	MUST(pipe(p) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		rate = sign_loop();
		_exit(write(p[1], &rate, sizeof rate) == (ssize_t)sizeof rate ? 0 : 1);
	}
	close(p[1]);
	MUST(read(p[0], &rate, sizeof rate) == (ssize_t)sizeof rate);
	close(p[0]);
	MUST(waitpid(pid, &status, 0) == pid && status == 0);
	return rate;
}

/* --- hsm --- */

struct question {
	uint16_t type;
	uint8_t body[64];
	size_t n;
	int wanted; /* the result of its answer */
};

static void put(struct peer *p, const struct question *q)
{
	MUST(msg_send(p->fd, q->type, ++p->id, q->body, q->n, -1) == KE_OK);
}

static void take(struct peer *p, const struct question *q)
{
	struct msg m;

	MUST(msg_recv(p->fd, p->role, p->self, RUN, p->buf, &m) == KE_OK);
	wire_in_init(&p->in, m.body, m.len);
	MUST(m.type == q->type + 1 && wire_get_i32(&p->in) == q->wanted);
}

/* Answers a second with so many questions under way. */
static double asked(struct peer *p, const struct question *q, int under_way)
{
	double began = now_s(), end = began + seconds, rate;
	unsigned long n = 0;

	for (int i = 0; i < under_way; i++)
		put(p, q);
	for (; now_s() < end; n++) {
		take(p, q);
		put(p, q);
	}
	rate = (double)n / (now_s() - began);
	for (int i = 0; i < under_way; i++)
		take(p, q);
	return rate;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median round trip in µs when hsm has been left alone before each. */
static double after_a_pause(struct peer *p, const struct question *q)
{
	static double took[65536];
	double end = now_s() + seconds;
	size_t n = 0;

	while (n < sizeof took / sizeof took[0] && now_s() < end) {
		double began;

		usleep(PAUSE_US);
		began = now_s();
		put(p, q);
		take(p, q);
		took[n++] = (now_s() - began) * 1e6;
	}
	qsort(took, n, sizeof took[0], by_size);
	return took[n / 2];
}

static struct question session(void)
{
	struct question q = {.type = MSG_HSM_SESSION, .wanted = KE_OK};
	const uint8_t id[16] = {1};
	struct wire_out w;

	wire_out_init(&w, q.body, sizeof q.body);
	wire_put_raw(&w, id, 16);
	wire_put_raw(&w, id, 16);
	wire_put_u8(&w, 1);
	wire_put_u32(&w, 7);
	wire_put_u64(&w, (uint64_t)time(NULL));
	q.n = w.len;
	return q;
}

/* A refresh token that is none is recognised without a key. */
static struct question nothing(void)
{
	struct question q = {.type = MSG_HSM_REFRESH, .wanted = KE_FORMAT};
	struct wire_out w;

	wire_out_init(&w, q.body, sizeof q.body);
	wire_put_cstr(&w, "none");
	q.n = w.len;
	return q;
}

static void print(const char *name, const double *v, int n, const char *end)
{
	printf("\"%s\": [", name);
	for (int i = 0; i < n; i++)
		printf("%s%.2f", i != 0 ? ", " : "", v[i]);
	printf("]%s", end);
}

int main(int argc, char **argv)
{
	static struct peer p;
	static double sign[ROUNDS_MAX], made[ROUNDS_MAX], alone[ROUNDS_MAX], woken[ROUNDS_MAX],
	    many[ROUNDS_MAX];
	const struct question none = nothing();
	int rounds = argc > 1 ? atoi(argv[1]) : 3;

	seconds = argc > 2 ? atof(argv[2]) : seconds;
	MUST(sodium_init() >= 0 && rounds > 0 && rounds <= ROUNDS_MAX);
	provision();
	for (int i = 0; i < rounds; i++) {
		struct question q = session();

		sign[i] = bare();
		start_role(&p, ROLE_HSM);
		made[i] = asked(&p, &q, UNDER_WAY);
		alone[i] = 1e6 / asked(&p, &none, 1);
		woken[i] = after_a_pause(&p, &none);
		many[i] = 1e6 / asked(&p, &none, UNDER_WAY);
		stop_role(&p);
	}
	fx_end(&ctx.f);
	printf("{");
	print("bare signatures a second", sign, rounds, ", ");
	print("sessions a second", made, rounds, ", ");
	print("round trip us", alone, rounds, ", ");
	print("round trip after a pause us", woken, rounds, ", ");
	print("message us, 32 under way", many, rounds, "}\n");
	return 0;
}
