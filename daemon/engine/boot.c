/*
 * The start of engine: see boot.h. Runs in engine.
 */
#include "daemon/engine/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/keysfile.h"
#include "daemon/msg/log.h"
#include "db/db.h"
#include "db/db_idem.h"
#include "db/db_meta.h"
#include "policy/be.h"
#include "policy/text.h"
#include "sandbox/sandbox.h"

#define NEW_FILE "klero.new" /* setup's word that the store is still to be made */
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

static void keep(struct boot_peers *peers, const struct start_peer *who, int fd)
{
	if (peers->n == BOOT_PEERS)
		fatal("parent hands over more channels than there are peers");
	peers->peer[peers->n].who = *who;
	peers->peer[peers->n++].fd = fd;
}

int boot_wait_hsm(struct boot_peers *peers)
{
	const struct timeval patience = {.tv_sec = HSM_S};
	uint8_t *buf = malloc(MSG_MAX);
	struct start_peer who;
	struct msg m;
	int fd;

	if (buf == NULL)
		fatal("out of memory");
	for (;;) {
		int r = msg_recv(MSG_CTL_FD, ROLE_ENGINE, ROLE_PARENT, PRE, buf, &m);

		if (r == KE_CLOSED)
			_exit(1); /* parent gave up; it has said why */
		if (r != KE_OK)
			fatal("control channel: %s", ke_words(r));
		switch (start_control(ROLE_ENGINE, &m, &who)) {
		case START_PEER:
			keep(peers, &who, m.fd);
			break;
		case START_STOP:
			_exit(0);
		default:
			fatal("parent sent message %u before the start", m.type);
		}
		if (who.role == ROLE_HSM)
			break;
	}
	free(buf);
	fd = peers->peer[peers->n - 1].fd;
	/* while the channel still blocks: the sandbox allows neither this call nor poll */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
		fatal("hsm's channel: %s", strerror(errno));
	return fd;
}

void boot_warm_up(struct engine *e)
{
	/* NIST's base point: a public key like any other, to have every algorithm fetched */
	static const char base[] =
	    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
	uint8_t point[TOKEN_POINT];
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
	e->scratch = malloc(ENGINE_SCRATCH);
	e->stored = malloc(DB_ANSWER_MAX);
	if (e->scratch == NULL || e->stored == NULL)
		fatal("out of memory");
	e->tokens = tokcache_new(TOKENS);
	e->limits = userlimit_new(e->conf.user, USERS);
	e->delays = delay_new(ACCOUNTS);
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

/* A store that belongs to another appliance would not fit its keys' bindings. */
static void check_appliance(struct engine *e, const uint8_t appliance[16])
{
	uint8_t id[16];
	size_t n;
	int r = db_turn_begin(e->db);

	if (r == KE_OK)
		r = db_meta_get(e->db, DB_META_APPLIANCE, id, sizeof id, &n);
	if (r == KE_NOTFOUND)
		r = db_meta_set(e->db, DB_META_APPLIANCE, appliance, 16);
	else if (r == KE_OK && (n != 16 || memcmp(id, appliance, 16) != 0))
		fatal("%s belongs to another appliance than %s: restore both from one backup",
		    DB_FILE, KEYSFILE_NAME);
	if (r == KE_OK)
		r = db_turn_commit(e->db, NULL);
	if (r != KE_OK)
		fatal("store: %s: %s", ke_words(r), db_why(e->db));
}

/*
 * What setup has written into its word: "code ", SHA-256 of the first admin's code in hex, " ",
 * until when in Unix seconds, LF. An older setup has written nothing.
 */
static int keep_code(struct engine *e, const char *path)
{
	char text[128];
	uint8_t value[DB_META_ENROL_LEN];
	uint64_t until;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), r;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;

	if (fd >= 0)
		close(fd);
	if (n == 0)
		return KE_OK;
	if (n < 5 + 64 + 2 || text[n - 1] != '\n' || memcmp(text, "code ", 5) != 0 ||
	    text_unhex(value, 32, text + 5, 64) != KE_OK || text[5 + 64] != ' ' ||
	    text_unu64(&until, text + 5 + 64 + 1, (size_t)n - (5 + 64 + 2)) != KE_OK)
		return KE_FORMAT;
	be_put64(value + 32, until);
	r = db_turn_begin(e->db);
	if (r == KE_OK)
		r = db_meta_set(e->db, DB_META_ENROL, value, sizeof value);
	return r == KE_OK ? db_turn_commit(e->db, NULL) : r;
}

/*
 * The store is made: takes setup's word for that away, for good. Were it to come back with the next
 * power cut, a store that is lost later would be made anew instead of being missed.
 */
static void forget_new(const char *folder, const char *path)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || unlink(path) != 0 || fsync(dir) != 0)
		fatal("%s: %s", NEW_FILE, strerror(errno));
	close(dir);
}

void boot_open(struct engine *e, int hsm)
{
	char new_path[RCONF_PATH + 16], why[DB_WHY_MAX] = "";
	uint8_t *key = sodium_malloc(32);
	bool is_new;
	int r;

	if (key == NULL)
		fatal("out of memory");
	snprintf(new_path, sizeof new_path, "%s/%s", e->conf.store, NEW_FILE);
	keysfile_read(e);
	hsm_start(e, hsm, e->sealed, e->appliance, key);
	is_new = access(new_path, F_OK) == 0;
	r = db_open(&e->db, e->conf.store, key, is_new ? DB_CREATE : 0, why);
	sodium_free(key); /* wipes */
	if (r != KE_OK)
		fatal("store: %s", why[0] != '\0' ? why : ke_words(r));
	check_appliance(e, e->appliance);
	r = is_new ? keep_code(e, new_path) : KE_OK;
	if (r != KE_OK)
		fatal("%s: %s", new_path, ke_words(r));
	if (is_new)
		forget_new(e->conf.store, new_path);
}
