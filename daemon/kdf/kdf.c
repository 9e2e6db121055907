/*
 * klerod-kdf: one password at a time through Argon2id (RFC 9106), by libsodium. Several run side
 * by side; each holds 64 MiB while it works and nothing when it does not. It has no file, no
 * socket but its two channels and no secret of its own.
 * Runs as the kdf role; trusts parent and engine.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/serve.h"
#include "daemon/msg/start.h"
#include "daemon/kdf/phc.h"

#define PASSWORD_MAX 1024

struct kdf {
	struct rconf_kdf conf;
	struct phc_cost cost;
};

static int answer_hash(struct kdf *k, const struct msg *m, struct wire_out *w)
{
	char phc[crypto_pwhash_STRBYTES];
	struct wire_in r;
	const uint8_t *password;
	size_t n;

	wire_in_init(&r, m->body, m->len);
	password = wire_get_str(&r, PASSWORD_MAX, &n);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	if (crypto_pwhash_argon2id_str(phc, (const char *)password, n, k->cost.passes,
		(size_t)k->cost.memory_kib * 1024) != 0) {
		wire_put_i32(w, KE_NOMEM);
		return KE_OK;
	}
	wire_put_i32(w, KE_OK);
	wire_put_cstr(w, phc);
	sodium_memzero(phc, sizeof phc);
	return KE_OK;
}

static int verify(struct kdf *k, const char *phc, const uint8_t *password, size_t n, bool *raise)
{
	struct phc_cost cost;

	/* a string from the store must not make us work for hours or take all memory */
	if (phc_parse(phc, &cost) != KE_OK || !phc_bounded(&cost))
		return KE_RANGE;
	*raise = cost.memory_kib < k->cost.memory_kib || cost.passes < k->cost.passes;
	if (crypto_pwhash_argon2id_str_verify(phc, (const char *)password, n) != 0)
		return KE_AUTH;
	return KE_OK;
}

static int answer_verify(struct kdf *k, const struct msg *m, struct wire_out *w)
{
	char phc[crypto_pwhash_STRBYTES];
	struct wire_in r;
	const uint8_t *password;
	bool raise = false;
	size_t n;
	int result;

	wire_in_init(&r, m->body, m->len);
	password = wire_get_str(&r, PASSWORD_MAX, &n);
	wire_get_cstr(&r, phc, sizeof phc);
	if (wire_end(&r) != KE_OK)
		return KE_PEER;
	result = verify(k, phc, password, n, &raise);
	sodium_memzero(phc, sizeof phc);
	wire_put_i32(w, result);
	wire_put_u8(w, result == KE_OK && raise);
	return KE_OK;
}

static int answer(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	(void)peer;
	if (m->type == MSG_KDF_HASH)
		return answer_hash(ctx, m, w);
	return answer_verify(ctx, m, w);
}

/* One whole round, so that every page and table that it needs is there before the sandbox. */
static void warm_up(struct kdf *k)
{
	char phc[crypto_pwhash_STRBYTES];
	bool raise;

	if (crypto_pwhash_argon2id_str(phc, "warm", 4, 1, 8192 * 1024) != 0 ||
	    verify(k, phc, (const uint8_t *)"warm", 4, &raise) != KE_OK)
		fatal("Argon2id does not work here");
}

int main(void)
{
	static struct kdf k;
	static uint8_t buf[MSG_MAX];
	struct wire_in r;
	struct msg m;

	start_early(ROLE_KDF);
	start_receive(ROLE_KDF, MSG_KDF_CONF, buf, &m);
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_kdf(&r, &k.conf) != KE_OK || sodium_init() < 0)
		fatal("configuration");
	k.cost = (struct phc_cost){k.conf.memory_kib, k.conf.passes};
	if (!phc_bounded(&k.cost))
		fatal("Argon2id cost out of range: %u KiB, %u passes", k.cost.memory_kib,
		    k.cost.passes);
	warm_up(&k);
	start_sandbox(ROLE_KDF, &k.conf.id, NULL, 0, 0);
	start_ready(ROLE_KDF);
	serve(ROLE_KDF, answer, &k);
	return 0;
}
