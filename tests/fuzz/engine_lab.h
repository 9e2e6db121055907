/*
 * A whole engine inside the fuzzer's process: the real store, gate, handlers, jobs and channels,
 * with the test at the other end of each channel as net, hsm, kdf and a client of the control
 * socket. Clock and ids are the test's, so that an input always does the same. hsm and kdf answer
 * as the real ones would, or whatever the input says. Header only, for one target.
 */
#ifndef TESTS_FUZZ_ENGINE_LAB_H
#define TESTS_FUZZ_ENGINE_LAB_H

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/proof.h"
#include "daemon/loop/chan.h"
#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "daemon/net/answer.h"
#include "db/db.h"
#include "db/db_idem.h"
#include "db/db_ledger.h"
#include "policy/hash.h"
#include "policy/record.h"
#include "policy/text.h"

#define LAB_HOST   "klero.example"
#define LAB_SEALED "klero:1:db:v000001:AAAA"
#define LAB_IDS    64
#define LAB_START  INT64_C(1800000000000)
#define LAB_ASKED  16

struct lab_ask {
	uint16_t type;
	uint64_t id;
	uint8_t body[4096];
	size_t len;
};

static struct lab {
	struct engine e;
	char dir[128];
	EVP_PKEY *key;
	uint8_t log_secret[64];
	int net, kdf, hsm, ctl;
	uint64_t sent, answered; /* requests of net */
	unsigned blamed;
	bool lied;                       /* an answer that the real hsm or kdf would not give */
	struct lab_ask asked[LAB_ASKED]; /* questions to kdf and hsm, oldest first */
	size_t nasked;
	char token[3][1536]; /* of the sessions that the prelude made */
	size_t sessions;
	uint8_t ids[LAB_IDS][16];
	size_t nids;
	int64_t now_ms, uuid;
	uint8_t *store, *check; /* the files of a store, as they are before each input */
	size_t store_len, check_len;
	uint8_t buf[MSG_MAX];
} lab;

static void must_at(bool ok, const char *what, int line)
{
	if (ok)
		return;
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}
#define must(x) must_at((x), #x, __LINE__)

/* --- what the product takes from its surroundings --- */

/* A store is opened for every input: thousands of small allocations that need no history. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "malloc_context_size=2:quarantine_size_mb=16:max_malloc_fill_size=0";
}

int fsync(int fd)
{
	return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
}

void log_fatal(const char *func, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "%s: ", func);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

void start_blame(enum role self, const struct start_peer *who)
{
	must(self == ROLE_ENGINE && (who->role == ROLE_NET || who->role == ROLE_KDF));
	lab.blamed++;
}

int64_t engine_clock_us(void)
{
	return lab.now_ms * 1000;
}

int64_t engine_clock_ms(void)
{
	return lab.now_ms;
}

int64_t engine_clock_s(void)
{
	return lab.now_ms / 1000;
}

int64_t engine_clock_step(struct clock_watch *w, int64_t wall_ms, int64_t steady_ms)
{
	*w = (struct clock_watch){wall_ms, steady_ms};
	return 0;
}

int64_t engine_now_ms(void)
{
	return ++lab.now_ms;
}

void engine_uuid(struct ids *s, uint8_t id[16], int64_t now_ms)
{
	uint8_t rnd[10] = {0};

	(void)s;
	(void)now_ms;
	lab.uuid++;
	rnd[8] = (uint8_t)(lab.uuid >> 8);
	rnd[9] = (uint8_t)lab.uuid;
	text_uuid7(id, LAB_START, rnd);
	if (lab.nids < LAB_IDS)
		memcpy(lab.ids[lab.nids++], id, 16);
}

/* hsm and kdf as they should be */
#include "tests/fuzz/engine_lab_hsm.h"

/* --- the channels --- */

static void lab_join(enum role role, int *ours)
{
	struct start_peer who = {.role = role, .life = 1};
	int sv[2];

	must(msg_pair(sv) == KE_OK && fcntl(sv[0], F_SETFL, O_NONBLOCK) == 0);
	if (*ours >= 0)
		close(*ours);
	*ours = sv[0];
	if (role == ROLE_CTL)
		ctl_attach(&lab.e, sv[1]);
	else
		peers_attach(&lab.e, &who, sv[1]);
}

static void lab_ask(const struct msg *m)
{
	struct lab_ask *a;

	must(m->len <= sizeof a->body);
	if (lab.nasked == LAB_ASKED)
		memmove(lab.asked, lab.asked + 1, --lab.nasked * sizeof *a);
	a = &lab.asked[lab.nasked++];
	a->type = m->type;
	a->id = m->id;
	a->len = m->len;
	memcpy(a->body, m->body, m->len);
}

static void lab_heard(enum role role, const struct msg *m)
{
	struct wire_in in;
	struct api_ans a;

	if (role == ROLE_HSM || role == ROLE_KDF)
		lab_ask(m);
	if (m->fd >= 0)
		close(m->fd);
	if (m->type != MSG_API_ANS)
		return;
	wire_in_init(&in, m->body, m->len);
	must(apimsg_get_ans(&in, &a) == KE_OK && answer_ok(&a));
	must(((a.flags & API_ANS_FILE) != 0) == (m->fd >= 0));
	/* only what hsm or kdf has answered wrongly may end so */
	must(a.status != 500 || lab.lied);
	must(m->id >= 1 && m->id <= lab.sent && ++lab.answered <= lab.sent);
}

/* Everything that engine has said to one peer; a channel that it closed is opened anew. */
static void lab_hear(enum role role, int *fd)
{
	struct msg m;
	int r;

	while ((r = msg_recv(*fd, role, ROLE_ENGINE, RUN, lab.buf, &m)) == KE_OK)
		lab_heard(role, &m);
	must(r == KE_AGAIN || r == KE_CLOSED);
	if (r == KE_AGAIN)
		return;
	if (role == ROLE_NET)
		lab.answered = lab.sent; /* the rest died with the channel */
	lab_join(role, fd);
}

static void lab_pump(void)
{
	must(event_base_loop(lab.e.base, EVLOOP_NONBLOCK) >= 0);
	turn_end(&lab.e);
	lab_hear(ROLE_NET, &lab.net);
	lab_hear(ROLE_KDF, &lab.kdf);
	lab_hear(ROLE_HSM, &lab.hsm);
	lab_hear(ROLE_CTL, &lab.ctl);
}

/* Answers the oldest question; body NULL: as it should be. False when there is none. */
static bool lab_reply(int result, const uint8_t *body, size_t n)
{
	static uint8_t out[MSG_BODY_MAX];
	const struct msg_rule *rule;
	struct lab_ask a = lab.asked[0];
	struct wire_out w;
	struct msg m;

	if (lab.nasked == 0)
		return false;
	memmove(lab.asked, lab.asked + 1, --lab.nasked * sizeof a);
	lab.lied |= body != NULL || result != KE_OK;
	wire_out_init(&w, out, sizeof out);
	wire_put_i32(&w, result);
	if (body != NULL)
		wire_put_raw(&w, body, n);
	else if (result == KE_OK)
		result = lab_answer(&a, &w);
	else if (a.type == MSG_KDF_VERIFY)
		wire_put_u8(&w, 0);
	out[0] = (uint8_t)result;
	out[1] = out[2] = out[3] = result < 0 ? 0xff : 0;
	rule = msg_rule((uint16_t)(a.type + 1));
	if (w.len < rule->min || w.len > rule->max)
		return true;
	if (rule->from == ROLE_KDF) {
		(void)!msg_send(lab.kdf, rule->type, a.id, out, w.len, -1);
		return true;
	}
	/* hsm's garbage would be the end of engine, and rightly: nothing to be seen there */
	m = (struct msg){.type = rule->type, .id = a.id, .body = out, .len = w.len, .fd = -1};
	if (hsm_answer(&lab.e, &m) != KE_OK)
		lab.blamed++;
	return true;
}

/* --- a store, always the same --- */

static uint8_t *lab_read(const char *name, size_t *n)
{
	char path[256];
	struct stat st;
	uint8_t *p;
	int fd;

	snprintf(path, sizeof path, "%s/%s", lab.dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && fstat(fd, &st) == 0);
	*n = (size_t)st.st_size;
	p = malloc(*n);
	must(p != NULL && read(fd, p, *n) == (ssize_t)*n);
	close(fd);
	return p;
}

static void lab_write(const char *name, const uint8_t *p, size_t n)
{
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", lab.dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && (n == 0 || write(fd, p, n) == (ssize_t)n));
	close(fd);
}

static void lab_open(unsigned flags)
{
	static const uint8_t key[32] = {1};
	char why[DB_WHY_MAX];
	struct engine *e = &lab.e;

	lab.now_ms = LAB_START;
	lab.sent = lab.answered = 0;
	lab.lied = false;
	lab.nasked = 0;
	lab.net = lab.kdf = lab.hsm = lab.ctl = -1;
	memset(&e->peers, 0, sizeof e->peers);
	memset(&e->kdf, 0, sizeof e->kdf);
	memset(&e->quorum, 0, sizeof e->quorum);
	memset(&e->rewrap, 0, sizeof e->rewrap);
	memset(&e->reseal, 0, sizeof e->reseal);
	memset(&e->payouts, 0, sizeof e->payouts);
	e->hsm.known = 0;
	e->tokens = tokcache_new(16);
	e->limits = userlimit_new(e->conf.user, 16);
	e->delays = delay_new(16);
	e->base = event_base_new();
	must(e->base != NULL && db_open(&e->db, lab.dir, key, flags, why) == KE_OK);
	turn_init(e);
	kdf_init(e);
	proof_start(e, lab.dir);
	maint_start(e);
	turn_end(e);
	lab_join(ROLE_NET, &lab.net);
	lab_join(ROLE_HSM, &lab.hsm);
	lab_join(ROLE_KDF, &lab.kdf);
	lab_join(ROLE_CTL, &lab.ctl);
	lab_pump();
}

static bool any_job(const struct job *j, uint64_t arg)
{
	(void)arg;
	return j != NULL;
}

/* Passwords that no kdf has taken; with their jobs gone engine would pass over them. */
static void lab_empty_queue(void)
{
	struct kdf_ask *a;

	while ((a = STAILQ_FIRST(&lab.e.kdf.queue)) != NULL) {
		must(!job_waits(&lab.e, a->job));
		STAILQ_REMOVE_HEAD(&lab.e.kdf.queue, link);
		sodium_free(a->body);
		free(a);
	}
}

/* Nobody waits for ever, the ledger is whole, and nothing is left. */
static void lab_close(void)
{
	struct db_ledger_report rep;
	struct engine *e = &lab.e;
	int *ours[] = {&lab.net, &lab.kdf, &lab.hsm, &lab.ctl};

	lab_pump();
	job_fail_all(e, any_job, 0, KE_TIMEOUT);
	lab_pump();
	must(lab.answered == lab.sent);
	for (size_t i = 0; i < 4; i++)
		close(*ours[i]);
	must(event_base_loop(e->base, EVLOOP_NONBLOCK) >= 0);
	job_fail_all(e, any_job, 0, KE_UNAVAIL);
	turn_end(e);
	lab_empty_queue();
	maint_stop(e);
	must(db_turn_begin(e->db) == KE_OK && db_ledger_check(e->db, &rep) == KE_OK);
	db_turn_rollback(e->db);
	db_close(e->db);
	close(e->proofs);
	must(e->peers.net[0].chan == NULL && e->peers.kdf[0].chan == NULL && e->jobs.waiting == 0);
	event_base_free(e->base);
	tokcache_free(e->tokens);
	userlimit_free(e->limits);
	delay_free(e->delays);
}

static void lab_init(void)
{
	struct engine *e = &lab.e;
	uint8_t point[TOKEN_POINT];
	size_t n;

	snprintf(lab.dir, sizeof lab.dir, "%s/klero-fuzz-XXXXXX",
	    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	must(sodium_init() >= 0 && mkdtemp(lab.dir) != NULL);
	lab.key = EVP_EC_gen("P-256");
	must(EVP_PKEY_get_octet_string_param(lab.key, "pub", point, sizeof point, &n) == 1);
	must(token_key_set(&e->hsm.tokens.key[0], 1, point) == KE_OK);
	e->hsm.tokens.n = 1;
	e->conf =
	    (struct rconf_engine){.nets = 1, .kdfs = 1, .kdf_queue = 16, .user = {1000000, 900}};
	snprintf(e->conf.host, sizeof e->conf.host, LAB_HOST);
	snprintf(e->conf.store, sizeof e->conf.store, "%s", lab.dir);
	snprintf(e->sealed, sizeof e->sealed, LAB_SEALED);
	snprintf(e->conf.currencies, sizeof e->conf.currencies, "EUR XTS");
	snprintf(e->issuer, sizeof e->issuer, "https://" LAB_HOST);
	snprintf(e->log_name, sizeof e->log_name, LAB_HOST "/klero/log");
	crypto_sign_keypair(e->hsm.log.pub, lab.log_secret);
	snprintf(e->hsm.log.name, sizeof e->hsm.log.name, "%s", e->log_name);
	e->hsm.log.type = NOTE_ED25519;
	note_key_id(e->hsm.log.id, e->hsm.log.name, e->hsm.log.type, e->hsm.log.pub);
	e->hsm.log_version = 1;
	e->hsm.has_digest_key = true;
	e->scratch = malloc(ENGINE_SCRATCH);
	e->stored = malloc(DB_ANSWER_MAX);
	must(e->scratch != NULL && e->stored != NULL);
}

#endif
