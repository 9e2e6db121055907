/*
 * The start of engine: see boot.h. Runs in engine.
 */
#include "daemon/engine/boot.h"

#include <errno.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"
#include "db/db_idem.h"
#include "policy/text.h"
#include "sandbox/sandbox.h"

#define TOKENS   16384
#define USERS    65536
#define ACCOUNTS 16384
#define HSM_S    30 /* an HSM may need its time to log in */

void boot_configure(struct engine *e)
{
	uint8_t *buf = malloc(MSG_MAX);
	struct wire_in in;
	struct msg m;

	if (buf == NULL || sodium_init() < 0)
		fatal("out of memory");
	start_receive(ROLE_ENGINE, MSG_ENGINE_CONF, buf, &m);
	wire_in_init(&in, m.body, m.len);
	if (rconf_get_engine(&in, &e->conf) != KE_OK)
		fatal("configuration does not decode");
	if (e->conf.nets > PEERS_NETS || e->conf.kdfs > PEERS_KDFS)
		fatal("at most %d nets and %d kdfs", PEERS_NETS, PEERS_KDFS);
	snprintf(e->issuer, sizeof e->issuer, "https://%s", e->conf.host);
	snprintf(e->log_name, sizeof e->log_name, "%s/klero/log", e->conf.host);
	free(buf);
}

int boot_wait_hsm(void)
{
	const struct timeval patience = {.tv_sec = HSM_S};
	uint8_t *buf = malloc(MSG_MAX);
	struct start_peer who;
	struct msg m = {.fd = -1};

	if (buf == NULL)
		fatal("out of memory");
	do {
		int r;

		if (m.fd >= 0)
			close(m.fd); /* another peer's */
		r = msg_recv(MSG_CTL_FD, ROLE_ENGINE, ROLE_PARENT, PRE, buf, &m);
		if (r == KE_CLOSED)
			_exit(1); /* parent gave up; it has said why */
		if (r != KE_OK)
			fatal("control channel: %s", ke_words(r));
		switch (start_control(ROLE_ENGINE, &m, &who)) {
		case START_PEER:
			break;
		case START_STOP:
			_exit(0);
		default:
			fatal("parent sent message %u before the start", m.type);
		}
	} while (who.role != ROLE_HSM);
	free(buf);
	/* while the channel still blocks: the sandbox allows neither this call nor poll */
	if (setsockopt(m.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
		fatal("hsm's channel: %s", strerror(errno));
	return m.fd;
}

void boot_warm_up(struct engine *e)
{
	/* NIST's base point: a public key like any other, to have every algorithm fetched */
	static const char base[] =
	    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
	uint8_t point[TOKEN_POINT], raw[16];
	struct token_claims c;
	struct token_key k = {0};
	static const char token[] =
	    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InRva2VuLXYwMDAwMDEifQ.e30."
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAQ";

	if (text_unhex(point, sizeof point, base, sizeof base - 1) != KE_OK ||
	    token_key_set(&k, 1, point) != KE_OK)
		fatal("libcrypto has no P-256");
	if (token_verify(&k, "", 0, (const uint8_t *)token, sizeof token - 1, &c) != KE_AUTH)
		fatal("libcrypto verifies what is no signature");
	token_key_free(&k);
	/* SQLCipher's writes need it; one that cannot start now does not work later either */
	if (RAND_bytes(raw, sizeof raw) != 1)
		fatal("libcrypto has no random bytes");
	e->scratch = malloc(ENGINE_SCRATCH);
	e->stored = malloc(DB_ANSWER_MAX);
	if (e->scratch == NULL || e->stored == NULL)
		fatal("out of memory");
	e->tokens = tokcache_new(TOKENS);
	e->limits = userlimit_new(e->conf.user, USERS);
	e->delays = delay_new(ACCOUNTS);
	software_hash(e->software);
	tzset();
}

void boot_enter(struct engine *e)
{
	struct sandbox_path folder = {e->conf.store, true};
	char *real = realpath(e->conf.store, NULL);

	/* without links, so that nothing needs to follow one inside */
	if (real == NULL || strlen(real) >= sizeof e->conf.store)
		fatal("%s: %s", e->conf.store, strerror(errno));
	snprintf(e->conf.store, sizeof e->conf.store, "%s", real);
	free(real);
	if (e->conf.id.drop)
		memcpy(e->conf.id.root, e->conf.store, sizeof e->conf.id.root);
	start_sandbox(ROLE_ENGINE, &e->conf.id, &folder, 1, 0);
	if (e->conf.id.drop)
		snprintf(e->conf.store, sizeof e->conf.store, "/");
}
