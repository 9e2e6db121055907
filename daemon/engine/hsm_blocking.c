/*
 * Questions to hsm where there is no loop (restore.c): see hsm.h. Runs in engine.
 */
#include <sodium.h>
#include <stdlib.h>

#include "daemon/engine/engine.h"
#include "daemon/msg/log.h"

#define QUESTION_MAX 2048

void hsm_ask_blocking(
    int fd, uint16_t type, const struct wire_out *w, uint8_t *buf, struct wire_in *in)
{
	struct msg m;
	int r = msg_send(fd, type, 1, w->buf, w->len, -1);

	if (r == KE_OK)
		r = msg_recv(fd, ROLE_ENGINE, ROLE_HSM, RUN, buf, &m);
	if (r == KE_OK && (m.type != type + 1 || m.id != 1))
		r = KE_PEER;
	if (r == KE_PEER)
		fatal("hsm sent garbage");
	if (r != KE_OK)
		hsm_lost(r == KE_AGAIN ? KE_TIMEOUT : r);
	wire_in_init(in, m.body, m.len);
}

void hsm_start(
    struct engine *e, int fd, const char *sealed, const uint8_t appliance[16], uint8_t dbkey[32])
{
	uint8_t *buf = malloc(MSG_MAX), question[QUESTION_MAX];
	struct wire_out w;
	struct wire_in in;
	int r;

	if (buf == NULL)
		fatal("out of memory");
	wire_out_init(&w, question, sizeof question);
	hsm_ask_blocking(fd, MSG_HSM_KEYS, &w, buf, &in);
	r = wire_get_i32(&in);
	if (r != KE_OK)
		fatal("hsm has no public keys: %s", ke_words(r));
	if (hsm_take_keys(e, &in) != KE_OK)
		fatal("hsm's public keys do not fit");
	wire_put_cstr(&w, sealed);
	wire_put_raw(&w, appliance, 16);
	hsm_ask_blocking(fd, MSG_HSM_OPEN_DBKEY, &w, buf, &in);
	hsm_take_dbkey(wire_get_i32(&in), &in, dbkey);
	sodium_memzero(buf, MSG_MAX);
	free(buf);
}
