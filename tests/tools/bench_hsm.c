/*
 * What the hsm role costs over its module: the real program in its sandbox over a SoftHSM token,
 * this process as parent and engine.
 *
 *	bench_hsm [ROUNDS [SECONDS]]
 *
 * In turn in each round, SECONDS each: two bare loops over session copies of the keys, in a process
 * of their own, the first of C_SignInit and C_Sign with the token key, the second of all that a
 * session asks of the module (C_GenerateRandom for the access token's id, that signature, the MAC
 * of the refresh token); sessions issued by hsm, 32 under way; and round trips of a message that
 * needs no token: one at a time, one at a time after a pause in which hsm has gone to sleep, and 32
 * under way. One JSON object is printed: an array of the rounds' figures for each.
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

static void sign(
    struct p11 *p, CK_MECHANISM_TYPE type, const struct key *k, CK_BYTE *in, CK_ULONG n)
{
	CK_MECHANISM m = {.mechanism = type};
	CK_BYTE out[64];
	CK_ULONG len = sizeof out;

	MUST(p->f->C_SignInit(p->session, &m, k->handle) == CKR_OK);
	MUST(p->f->C_Sign(p->session, in, n, out, &len) == CKR_OK);
}

/* Signatures a second, or whole sessions. */
static double loop(bool whole)
{
	static struct p11 p;
	static struct key_ring ring;
	CK_BYTE in[64] = {1};
	const struct key *token, *mac;
	double began;
	unsigned long n = 0;

	open_token(&p, &ring);
	token = key_ring_get(&ring, KEY_TOKEN, 0);
	mac = key_ring_get(&ring, KEY_MAC, 0);
	MUST(token != NULL && mac != NULL);
	began = now_s();
	for (; now_s() < began + seconds; n++) {
		if (whole)
			MUST(p.f->C_GenerateRandom(p.session, in, 16) == CKR_OK);
		else
			memcpy(in, &n, sizeof n);
		sign(&p, CKM_ECDSA, token, in, 32);
		if (whole)
			sign(&p, CKM_SHA256_HMAC, mac, in, sizeof in);
	}
	return (double)n / (now_s() - began);
}

/* In a process of its own: a module is initialised once in each. */
static double bare(bool whole)
{
	double rate = 0;
	int p[2], status;
	pid_t pid;

	MUST(pipe(p) == 0);
	pid = fork();
	MUST(pid >= 0);
	if (pid == 0) {
		rate = loop(whole);
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
	static double signs[ROUNDS_MAX], whole[ROUNDS_MAX], made[ROUNDS_MAX], alone[ROUNDS_MAX],
	    woken[ROUNDS_MAX], many[ROUNDS_MAX];
	const struct question none = nothing();
	int rounds = argc > 1 ? atoi(argv[1]) : 3;

	seconds = argc > 2 ? atof(argv[2]) : seconds;
	MUST(sodium_init() >= 0 && rounds > 0 && rounds <= ROUNDS_MAX);
	provision();
	for (int i = 0; i < rounds; i++) {
		struct question q = session();

		signs[i] = bare(false);
		whole[i] = bare(true);
		start_role(&p, ROLE_HSM);
		made[i] = asked(&p, &q, UNDER_WAY);
		alone[i] = 1e6 / asked(&p, &none, 1);
		woken[i] = after_a_pause(&p, &none);
		many[i] = 1e6 / asked(&p, &none, UNDER_WAY);
		stop_role(&p);
	}
	fx_end(&ctx.f);
	printf("{");
	print("bare signatures a second", signs, rounds, ", ");
	print("bare sessions a second", whole, rounds, ", ");
	print("sessions a second", made, rounds, ", ");
	print("round trip us", alone, rounds, ", ");
	print("round trip after a pause us", woken, rounds, ", ");
	print("message us, 32 under way", many, rounds, "}\n");
	return 0;
}
