/*
 * klerod-kdf: one password at a time through Argon2id (RFC 9106), by libsodium. Several run side
 * by side; each holds 64 MiB while it works and nothing when it does not. It has no file, no
 * socket but its two channels and no secret of its own.
 * Runs as the kdf role; trusts parent and engine.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/kdf/answer.h"
#include "daemon/msg/log.h"
#include "daemon/msg/rconf.h"
#include "daemon/msg/start.h"

/* A tenth of the weight of the processes that serve: a flood of logins waits for them, not they for
 * it. On a machine with time to spare it changes nothing. */
#define NICE 10

/* One whole round, so that every page and table that it needs is there before the sandbox. */
static void warm_up(const struct phc_cost *cost)
{
	char phc[crypto_pwhash_STRBYTES];
	bool raise;

	if (crypto_pwhash_argon2id_str(phc, "warm", 4, 1, 8192 * 1024) != 0 ||
	    kdf_verify(cost, phc, (const uint8_t *)"warm", 4, &raise) != KE_OK)
		fatal("Argon2id does not work here");
}

int main(void)
{
	struct rconf_kdf conf;
	struct phc_cost cost;
	static uint8_t buf[MSG_MAX];
	struct wire_in r;
	struct msg m;

	start_early(ROLE_KDF);
	start_receive(ROLE_KDF, MSG_KDF_CONF, buf, &m);
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_kdf(&r, &conf) != KE_OK || sodium_init() < 0)
		fatal("configuration");
	cost = (struct phc_cost){conf.memory_kib, conf.passes};
	if (!phc_bounded(&cost))
		fatal(
		    "Argon2id cost out of range: %u KiB, %u passes", cost.memory_kib, cost.passes);
	warm_up(&cost);
	errno = 0; /* -1 may also be the new value */
	if (nice(NICE) == -1 && errno != 0)
		log_warn("cannot give way to the other roles: errno %d", errno);
	start_sandbox(ROLE_KDF, &conf.id, NULL, 0, 0);
	start_ready(ROLE_KDF);
	serve(ROLE_KDF, kdf_handle, &cost);
	return 0;
}
