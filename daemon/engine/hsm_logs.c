/*
 * The stubs of hsm for escrow and for the witness: see hsm.h. Runs in engine.
 */
#include "daemon/engine/hsm.h"
#include "policy/tlog.h"

int eng_hsm_escrow(
    struct rq *q, const char *name, rq_step *step, const uint8_t raffle[16], const char *seed_blob)
{
	uint8_t buf[1024];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_raw(&w, raffle, 16);
	wire_put_cstr(&w, seed_blob);
	return hsm_await(q, name, step, MSG_HSM_ESCROW, &w);
}

int eng_hsm_cosign(struct rq *q, const char *name, rq_step *step, const struct checkpoint *c,
    const uint8_t *sig, size_t sig_len, const struct tlog_submission *s)
{
	uint8_t buf[4096];
	struct wire_out w;

	wire_out_init(&w, buf, sizeof buf);
	wire_put_cstr(&w, c->origin);
	wire_put_u64(&w, c->size);
	wire_put_raw(&w, c->root, 32);
	wire_put_str(&w, sig, sig_len);
	wire_put_u64(&w, s->old);
	wire_put_u8(&w, (uint8_t)s->path_len);
	wire_put_raw(&w, s->path, s->path_len * 32);
	return hsm_await(q, name, step, MSG_HSM_COSIGN, &w);
}
