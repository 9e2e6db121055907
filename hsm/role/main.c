/*
 * klerod-hsm: the keys behind a table of meanings. Two roles in one program: "hsm" (all keys but
 * the TLS one, engine's peer) and "tlskey" (the TLS key, net's peer), each with its own token, PIN,
 * uid and message table. Blocking, single-threaded, without libevent: the more trusted, the duller.
 * Trusts parent and its token.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "hsm/p11/op.h"
#include "hsm/role/exit.h"
#include "hsm/role/hsm.h"
#include "sandbox/sandbox.h"

static enum role role_of(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], role_word(ROLE_HSM)) == 0)
		return ROLE_HSM;
	if (argc >= 2 && strcmp(argv[1], role_word(ROLE_TLSKEY)) == 0)
		return ROLE_TLSKEY;
	fatal("started by hand? the first argument is hsm or tlskey");
}

/* The configuration holds the PIN: locked memory, and the message's buffer wiped. The journal's
 * descriptor comes with it. */
static struct rconf_hsm *configure(struct hsm *h, enum role self, uint8_t *buf)
{
	struct rconf_hsm *c = sodium_malloc(sizeof *c);
	struct wire_in r;
	struct msg m;

	if (c == NULL)
		fatal("out of memory");
	start_receive(self, self == ROLE_HSM ? MSG_HSM_CONF : MSG_TLSKEY_CONF, buf, &m);
	h->journal = m.fd;
	if (journal_open(h->journal) != KE_OK)
		fatal("the journal cannot be made durable: %s", strerror(errno));
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_hsm(&r, c) != KE_OK)
		fatal("configuration");
	sodium_memzero(buf, MSG_MAX);
	return c;
}

/* With its keys in the token's files a wide hsm needs their folder, so it is not chrooted either.
 */
static void enter_sandbox(enum role self, struct rconf_hsm *c, bool wide)
{
	const struct sandbox_path folder = {c->folder, false};

	if (wide)
		c->id.root[0] = '\0';
	start_sandbox(self, &c->id, &folder, wide && c->folder[0] != '\0' ? 1 : 0, wide);
}

/*
 * Keys that stay in the token's files must be readable from inside: as root without Landlock they
 * are not, for the capability to read another's files is kept only where Landlock bounds it.
 */
static void try_keys(struct hsm *h, enum role self)
{
	const uint8_t digest[32] = {0};
	uint8_t sig[64];
	const struct key *k = key_ring_get(&h->ring, self == ROLE_HSM ? KEY_TOKEN : KEY_TLS, 0);

	if (op_sign_ecdsa(&h->p, k->handle, digest, sig) == KE_OK)
		return;
	log_error(
	    "token %s: the module cannot copy keys, and inside the sandbox their files cannot "
	    "be read: klerod as root needs a kernel with Landlock for such a module",
	    h->p.label);
	_exit(HSM_EXIT_FAILED);
}

static bool wants_successor(const struct hsm *h)
{
	return h->self == ROLE_HSM && (h->worn || h->once.journal.broken);
}

/* serve_handler: and parent hears, once, that a fresh one should take over. */
static int handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct hsm *h = ctx;
	bool before = wants_successor(h);
	int r = hsm_handle(h, peer, m, w);

	if (before || !wants_successor(h))
		return r;
	if (h->once.journal.broken)
		log_error("the journal could not be made durable: nothing is answered that it must "
			  "remember; to be replaced");
	else
		log_info("worn after %u session objects: to be replaced", h->p.made);
	start_worn();
	return r;
}

/* Parent keeps the names, and has the next process demand one of them. */
static void ready(const struct hsm *h, enum role self)
{
	uint8_t body[1 + RCONF_KEYS * RCONF_KEY_NAME];
	struct wire_out w;
	uint8_t n = 0;

	/* class keys are no objects with a name of their own */
	for (size_t i = 0; i < h->ring.n; i++)
		n = (uint8_t)(n + (h->ring.keys[i].secret == NULL));
	wire_out_init(&w, body, sizeof body);
	wire_put_u8(&w, n);
	for (size_t i = 0; i < h->ring.n; i++)
		if (h->ring.keys[i].secret == NULL)
			wire_put_raw(&w, h->ring.keys[i].name, KEY_NAME_LEN);
	if (w.err != KE_OK)
		fatal("more keys than a message holds");
	start_ready_with(self, body, w.len);
}

int main(int argc, char **argv)
{
	static struct hsm h;
	static uint8_t buf[MSG_MAX];
	enum role self = role_of(argc, argv);
	struct rconf_hsm *c;
	bool wide = false;

	start_early(self);
	if (sodium_init() < 0)
		fatal("libsodium does not start");
	if (sodium_mlock(buf, sizeof buf) != 0)
		log_warn("the configuration's buffer cannot be locked into memory");
	c = configure(&h, self, buf);
	h.objects = c->objects;
	/*
	 * SoftHSM writes its token's file anew at every login, and a kill in that moment leaves a
	 * token without its keys. Where the token is a folder, hsm reads it and cannot change it.
	 */
	if (c->folder[0] != '\0')
		start_no_writes(self);
	hsm_warm_up(&h, self, c, &wide);
	enter_sandbox(self, c, wide);
	if (wide)
		try_keys(&h, self);
	ready(&h, self);
	serve(self, handle, &h);
	/*
	 * A lost device may hang in C_Finalize, and SQLite asks for its files again when it closes
	 * them; what they held is gone with the process anyway.
	 */
	if (h.lost)
		_exit(HSM_EXIT_LOST);
	if (c->token.store == RCONF_STORE_FILES)
		p11_close(&h.p);
	_exit(HSM_EXIT_PLANNED);
}
