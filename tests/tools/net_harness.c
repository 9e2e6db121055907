/*
 * Runs klerod-net alone: plays parent, engine and tlskey for it over socketpairs, so that clients
 * can try it before, or without, the rest. A tool of the tests and of the benchmark.
 *
 *	net_harness [options] KLEROD-NET CERT-FILE
 *	  -b MS     the timeout of bodies alone
 *	  -p PORT   on 127.0.0.1 (8443)           -l N   requests per address and 900 s (0: no
 *limit) -m N      max-connections (4096)        -t MS  all client timeouts (10000) -o ORIGIN an
 *allowed CORS origin        -n     engine's answers are not to be cached
 *
 * The certificate is made for the occasion and written to CERT-FILE. Engine answers GET /raffles
 * with a constant and everything else with what it has decoded. Words on standard input steer it:
 * engine-off engine-on tlskey-off tlskey-on drop stop, and hold (engine answers nothing) and
 *release (it answers what it has held); cert, cert-foreign and cert-bad send another certificate.
 *Each is confirmed with the number of requests that engine has seen. It ends when net ends. A proof
 *is a file of PROOF_BYTES, as engine answers one.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/msg.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/start.h"
#include "daemon/net/limit.h"
#include "daemon/net/tlskey.h"
#include "policy/hash.h"
#include "policy/jsonw.h"
#include "tests/tools/net_cert.h"

#define HELD_MAX    64
#define KEYS_MAX    8
#define PROOF_BYTES ((size_t)13 << 18)

struct held {
	uint64_t id;
	size_t len;
	uint8_t *body;
};

/* Requests that wait for "release". */
struct store {
	bool hold;
	size_t n;
	struct held held[HELD_MAX];
};

/* A key that tlskey holds, by the name that net knows it by. */
struct held_key {
	EVP_PKEY *key;
	uint8_t name[TLSKEY_NAME];
};

struct harness {
	struct rconf_net conf;
	const char *cert_file;
	uint16_t port;
	bool cache, wrong_key;
	struct store engine_store, tlskey_store;
	struct held_key keys[KEYS_MAX];
	size_t n_keys;
	int parent, engine, tlskey; /* our ends, -1: closed */
	int log;                    /* net's log lines */
	pid_t net;
	uint8_t in[MSG_MAX], out[MSG_BODY_MAX];
	uint64_t requests;
};

static void die(const char *what)
{
	fprintf(stderr, "net_harness: %s\n", what);
	exit(1);
}

static void must(int r, const char *what)
{
	if (r != KE_OK)
		die(what);
}

/* --- tlskey --- */

static void hold_key(struct harness *h, EVP_PKEY *key)
{
	uint8_t point[65];
	size_t n = 0;

	if (h->n_keys == KEYS_MAX ||
	    EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", point, sizeof point, &n) != 1)
		die("cannot keep the key");
	hash_sha256(h->keys[h->n_keys].name, point, n);
	h->keys[h->n_keys++].key = key;
}

/* A certificate of a fresh key, in the configuration and in the file. */
static void make_key(struct harness *h)
{
	FILE *f = fopen(h->cert_file, "w");
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (key == NULL || f == NULL || !net_cert(key, h->conf.cert_pem, sizeof h->conf.cert_pem))
		die("cannot make the certificate");
	hold_key(h, key);
	if (fputs(h->conf.cert_pem, f) < 0 || fclose(f) != 0)
		die("cannot write the certificate");
	if (h->wrong_key) {
		EVP_PKEY_free(key);
		h->keys[h->n_keys - 1].key = EVP_EC_gen("P-256");
	}
}

static EVP_PKEY *named(const struct harness *h, const uint8_t name[TLSKEY_NAME])
{
	for (size_t i = 0; i < h->n_keys; i++)
		if (memcmp(h->keys[i].name, name, TLSKEY_NAME) == 0)
			return h->keys[i].key;
	return NULL;
}

static void refuse(struct harness *h, const struct msg *m)
{
	struct wire_out w;

	wire_out_init(&w, h->out, sizeof h->out);
	wire_put_i32(&w, KE_NOTFOUND);
	(void)!msg_send(h->tlskey, MSG_TLS_SIGNED, m->id, w.buf, w.len, -1);
}

static void answer_tlskey(struct harness *h, const struct msg *m)
{
	EVP_PKEY *key = named(h, m->body);
	EVP_MD_CTX *md;
	uint8_t der[80], sig[64];
	const uint8_t *p = der;
	size_t n = sizeof der;
	ECDSA_SIG *s;
	struct wire_out w;

	if (key == NULL) {
		refuse(h, m);
		return;
	}
	md = EVP_MD_CTX_new();
	if (EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(md, der, &n, m->body + TLSKEY_NAME, m->len - TLSKEY_NAME) != 1)
		die("cannot sign");
	s = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32);
	wire_out_init(&w, h->out, sizeof h->out);
	wire_put_i32(&w, KE_OK);
	wire_put_raw(&w, sig, sizeof sig);
	(void)!msg_send(h->tlskey, MSG_TLS_SIGNED, m->id, w.buf, w.len, -1);
	ECDSA_SIG_free(s);
	EVP_MD_CTX_free(md);
}

/* --- engine --- */

static void echo_value(struct jsonw *w, const struct field *f, const struct api_value *v)
{
	jsonw_key(w, f->name);
	switch (f->type) {
	case FIELD_INT:
		jsonw_int(w, v->i);
		break;
	case FIELD_ENUM:
		jsonw_cstr(w, f->words[v->i]);
		break;
	case FIELD_UUID:
		jsonw_uuid(w, v->p);
		break;
	case FIELD_HEX:
		jsonw_hex(w, v->p, v->n);
		break;
	case FIELD_MONEY: {
		char currency[16];

		snprintf(currency, sizeof currency, "%.*s", (int)v->n, (const char *)v->p);
		jsonw_money(w, v->i, currency);
		break;
	}
	default:
		jsonw_str(w, (const char *)v->p, v->n);
	}
}

static size_t echo(const struct api_req *q, char *buf, size_t cap)
{
	const struct route *row = &route_table[q->route];
	struct jsonw w;

	jsonw_init(&w, buf, cap);
	jsonw_object(&w);
	jsonw_kcstr(&w, "route", row->name);
	jsonw_kuuid(&w, "request_id", q->request_id);
	jsonw_kint(&w, "if_match", q->if_match);
	jsonw_kstr(&w, "idem", (const char *)q->idem, q->idem_len);
	jsonw_kint(&w, "token_len", (int64_t)q->token_len);
	jsonw_key(&w, "fields");
	jsonw_object(&w);
	for (size_t i = 0; row->fields[i].name != NULL; i++)
		if (q->v[i].present)
			echo_value(&w, &row->fields[i], &q->v[i]);
	jsonw_object_end(&w);
	jsonw_object_end(&w);
	must(jsonw_end(&w), "echo");
	return w.len;
}

/* A large body, made once; it is sent by its descriptor. */
static int proof_file(void)
{
	static int fd = -1;

	if (fd < 0) {
		char *text = malloc(PROOF_BYTES);

		if (text == NULL)
			die("memory");
		memset(text, 'p', PROOF_BYTES);
		fd = memfd_create("proof", MFD_CLOEXEC);
		if (fd < 0 || write(fd, text, PROOF_BYTES) != (ssize_t)PROOF_BYTES)
			die("memfd");
		free(text);
	}
	return fd;
}

static void answer_engine(struct harness *h, const struct msg *m)
{
	static const char raffles[] =
	    "{\"items\":[{\"id\":1,\"title\":\"Car\",\"price\":100,\"sold\":0,"
	    "\"capacity\":100000000,\"state\":\"open\"}]}";
	static char text[32768];
	struct wire_in r;
	struct wire_out w;
	struct api_req q;
	struct api_ans a = {.type = API_JSON};
	int fd = -1;

	wire_in_init(&r, m->body, m->len);
	must(apimsg_get_req(&r, &q), "net sent a request that its row does not allow");
	a.status = route_table[q.route].status;
	if (q.route == RT_raffles) {
		a.body = (const uint8_t *)raffles;
		a.body_len = sizeof raffles - 1;
		a.flags = h->cache ? API_ANS_CACHE : 0;
	} else if (q.route == RT_raffle_proof) {
		a.flags = API_ANS_FILE;
		a.file_len = PROOF_BYTES;
		fd = proof_file();
	} else {
		a.body = (const uint8_t *)text;
		a.body_len = echo(&q, text, sizeof text);
	}
	if (q.token_len == 3 && memcmp(q.token, "bad", 3) == 0) {
		a.status = 401;
		a.flags = API_ANS_AUTHBAD;
	}
	wire_out_init(&w, h->out, sizeof h->out);
	apimsg_put_ans(&w, &a);
	must(w.err, "answer");
	(void)!msg_send(h->engine, MSG_API_ANS, m->id, w.buf, w.len, fd);
}

/* --- holding answers back --- */

typedef void answerer(struct harness *h, const struct msg *m);

static void answer_or_hold(
    struct harness *h, struct store *s, answerer *answer, const struct msg *m)
{
	struct held *kept = &s->held[s->n];

	if (!s->hold) {
		answer(h, m);
		return;
	}
	if (s->n == HELD_MAX || (kept->body = malloc(m->len)) == NULL)
		die("too much to hold");
	s->n++;
	kept->id = m->id;
	kept->len = m->len;
	memcpy(kept->body, m->body, m->len);
}

static void release(struct harness *h, struct store *s, answerer *answer)
{
	s->hold = false;
	for (size_t i = 0; i < s->n; i++) {
		struct msg m = {
		    .id = s->held[i].id, .body = s->held[i].body, .len = s->held[i].len};

		answer(h, &m);
		free(s->held[i].body);
	}
	s->n = 0;
}

/* --- parent --- */

static void give_peer(struct harness *h, enum role role, int *ours)
{
	const struct start_peer who = {.role = role, .life = 1};
	uint8_t body[START_PEER_BYTES];
	struct wire_out w;
	int sv[2];

	if (*ours >= 0)
		return;
	must(msg_pair(sv), "socketpair");
	wire_out_init(&w, body, sizeof body);
	start_put_peer(&w, &who);
	must(msg_send(h->parent, MSG_NET_PEER, 0, body, w.len, sv[1]), "peer");
	close(sv[1]);
	*ours = sv[0];
}

static void take_peer(int *ours)
{
	if (*ours >= 0)
		close(*ours);
	*ours = -1;
}

static int listen_socket(const struct harness *h)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(h->port)};
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (s < 0 || bind(s, (struct sockaddr *)&in, sizeof in) != 0 || listen(s, 4096) != 0)
		die("cannot listen");
	return s;
}

static void spawn(struct harness *h, char *binary)
{
	char role[] = "net", index[] = "0";
	char *argv[] = {binary, role, index, NULL};
	int sv[2], log[2];

	must(msg_pair(sv), "socketpair");
	/* a pipe, as parent gives it: in its sandbox net may not write to a file */
	if (pipe2(log, O_CLOEXEC) != 0)
		die("pipe");
	h->log = log[0];
	h->net = fork();
	if (h->net == 0) {
		dup2(log[1], STDERR_FILENO);
		dup2(sv[1], MSG_CTL_FD);
		if (sv[1] != MSG_CTL_FD)
			close(sv[1]);
		else
			fcntl(sv[1], F_SETFD, 0);
		execv(binary, argv);
		_exit(127);
	}
	close(sv[1]);
	close(log[1]);
	h->parent = sv[0];
}

static void configure(struct harness *h)
{
	int listener = listen_socket(h), limits = memfd_create("limits", MFD_CLOEXEC);
	struct wire_out w;

	if (limits < 0 || ftruncate(limits, LIMIT_BYTES) != 0)
		die("memfd");
	wire_out_init(&w, h->out, sizeof h->out);
	rconf_put_net(&w, &h->conf);
	must(w.err, "configuration");
	must(msg_send(h->parent, MSG_NET_LISTEN, 0, NULL, 0, listener), "listener");
	give_peer(h, ROLE_TLSKEY, &h->tlskey);
	must(msg_send(h->parent, MSG_NET_LIMITS, 0, NULL, 0, limits), "limits");
	must(msg_send(h->parent, MSG_NET_CONF, 0, w.buf, w.len, -1), "configuration");
	close(limits);
	close(listener);
}

static void send_cert(struct harness *h, const char *pem)
{
	struct wire_out w;

	wire_out_init(&w, h->out, sizeof h->out);
	wire_put_cstr(&w, pem);
	must(msg_send(h->parent, MSG_NET_CERT, 0, w.buf, w.len, -1), "certificate");
}

/* Of a fresh key, which tlskey holds or not. */
static void renew(struct harness *h, bool held)
{
	make_key(h);
	if (!held)
		EVP_PKEY_free(h->keys[--h->n_keys].key);
	send_cert(h, h->conf.cert_pem);
}

/* --- the loop --- */

static void command(struct harness *h)
{
	static const uint8_t all[4] = {0xff, 0xff, 0xff, 0xff};
	char line[64];

	if (fgets(line, sizeof line, stdin) == NULL) {
		fclose(stdin);
		return;
	}
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "engine-off") == 0)
		take_peer(&h->engine);
	else if (strcmp(line, "engine-on") == 0)
		give_peer(h, ROLE_ENGINE, &h->engine);
	else if (strcmp(line, "tlskey-off") == 0)
		take_peer(&h->tlskey);
	else if (strcmp(line, "tlskey-on") == 0)
		give_peer(h, ROLE_TLSKEY, &h->tlskey);
	else if (strcmp(line, "hold") == 0)
		h->engine_store.hold = true;
	else if (strcmp(line, "release") == 0)
		release(h, &h->engine_store, answer_engine);
	else if (strcmp(line, "tlskey-hold") == 0)
		h->tlskey_store.hold = true;
	else if (strcmp(line, "tlskey-release") == 0)
		release(h, &h->tlskey_store, answer_tlskey);
	else if (strcmp(line, "drop") == 0)
		must(msg_send(h->engine, MSG_CACHE_DROP, 0, all, sizeof all, -1), "drop");
	else if (strcmp(line, "cert") == 0)
		renew(h, true);
	else if (strcmp(line, "cert-foreign") == 0)
		renew(h, false);
	else if (strcmp(line, "cert-bad") == 0)
		send_cert(h, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	else if (strcmp(line, "stop") == 0)
		must(msg_send(h->parent, MSG_NET_STOP, 0, NULL, 0, -1), "stop");
	else
		die("unknown word");
	printf("done %s %llu\n", line, (unsigned long long)h->requests);
	fflush(stdout);
}

/* One message of net over one of its channels; false when that channel is closed. */
static bool serve(struct harness *h, int fd, enum role self)
{
	struct msg m;
	int r = msg_recv(fd, self, ROLE_NET, RUN, h->in, &m);

	if (r == KE_CLOSED || r == KE_IO)
		return false;
	must(r, "net broke the protocol");
	if (self == ROLE_ENGINE && m.type == MSG_API_REQ) {
		h->requests++;
		answer_or_hold(h, &h->engine_store, answer_engine, &m);
	} else if (self == ROLE_TLSKEY) {
		answer_or_hold(h, &h->tlskey_store, answer_tlskey, &m);
	} else if (m.type == MSG_NET_READY) {
		printf("ready https://127.0.0.1:%u\n", h->port);
		fflush(stdout);
	}
	return true;
}

static void relay_log(const struct harness *h)
{
	char line[1100];
	ssize_t n = read(h->log, line, sizeof line);

	if (n > 0)
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

static void loop(struct harness *h)
{
	bool steered = true;

	for (;;) {
		struct pollfd p[5] = {{.fd = h->parent, .events = POLLIN},
		    {.fd = h->engine, .events = POLLIN}, {.fd = h->tlskey, .events = POLLIN},
		    {.fd = steered ? STDIN_FILENO : -1, .events = POLLIN},
		    {.fd = h->log, .events = POLLIN}};

		if (poll(p, 5, -1) < 0)
			die("poll");
		if ((p[4].revents & POLLIN) != 0)
			relay_log(h);
		if (p[0].revents != 0 && !serve(h, h->parent, ROLE_PARENT))
			return;
		if (p[1].revents != 0 && !serve(h, h->engine, ROLE_ENGINE))
			take_peer(&h->engine);
		if (p[2].revents != 0 && !serve(h, h->tlskey, ROLE_TLSKEY))
			take_peer(&h->tlskey);
		if (p[3].revents != 0) {
			command(h);
			steered = !feof(stdin) && (p[3].revents & POLLIN) != 0;
		}
	}
}

static void options(struct harness *h, int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "p:l:m:t:b:o:nw")) != -1) {
		uint32_t v = optarg != NULL ? (uint32_t)strtoul(optarg, NULL, 10) : 0;

		switch (o) {
		case 'p':
			h->port = (uint16_t)v;
			break;
		case 'l':
			h->conf.anonymous.count = v;
			break;
		case 'm':
			h->conf.max_connections = v;
			break;
		case 't':
			h->conf.header_timeout_ms = h->conf.body_timeout_ms = v;
			h->conf.idle_timeout_ms = v;
			break;
		case 'b':
			h->conf.body_timeout_ms = v;
			break;
		case 'o':
			snprintf(h->conf.origins[0], RCONF_PATH, "%s", optarg);
			break;
		case 'n':
			h->cache = false;
			break;
		case 'w':
			h->wrong_key = true;
			break;
		default:
			die("unknown option");
		}
	}
}

int main(int argc, char **argv)
{
	static struct harness h = {
	    .conf = {.host = "localhost",
		.max_connections = 4096,
		.header_timeout_ms = 10000,
		.body_timeout_ms = 10000,
		.idle_timeout_ms = 10000,
		.auth = {5, 900},
		.approval = {30, 900}},
	    .port = 8443,
	    .cache = true,
	    .engine = -1,
	    .tlskey = -1,
	};
	int status;

	h.conf.anonymous.window_s = 900;
	setvbuf(stdin, NULL, _IONBF, 0);
	options(&h, argc, argv);
	if (argc - optind != 2)
		die("usage: net_harness [options] KLEROD-NET CERT-FILE");
	h.cert_file = argv[optind + 1];
	make_key(&h);
	spawn(&h, argv[optind]);
	configure(&h);
	give_peer(&h, ROLE_ENGINE, &h.engine);
	loop(&h);
	waitpid(h.net, &status, 0);
	for (size_t i = 0; i < h.n_keys; i++)
		EVP_PKEY_free(h.keys[i].key);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
