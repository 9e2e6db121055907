/*
 * The stubs of hsm about v2 raffles, whose questions are written by life.c: see hsm.h. Runs in
 * engine.
 */
#include "daemon/engine/hsm.h"

int eng_hsm_agree(struct rq *q, const char *name, rq_step *step, struct wire_out *w)
{
	return hsm_await(q, name, step, MSG_HSM_AGREE, w);
}

int eng_hsm_reveal2(struct rq *q, const char *name, rq_step *step, struct wire_out *w)
{
	return hsm_await(q, name, step, MSG_HSM_REVEAL2, w);
}

int eng_hsm_agree_own(struct engine *e, struct job *j, job_step *step, struct wire_out *w)
{
	return hsm_ask_own(e, j, "agree", step, MSG_HSM_AGREE, w);
}

int eng_hsm_reveal2_own(struct engine *e, struct job *j, job_step *step, struct wire_out *w)
{
	return hsm_ask_own(e, j, "reveal2", step, MSG_HSM_REVEAL2, w);
}
