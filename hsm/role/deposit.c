/*
 * Deposit keys and payouts from their addresses. Runs in hsm: see hsm.h.
 */
#include "daemon/msg/log.h"
#include "hsm/p11/blob.h"
#include "hsm/role/hsm.h"
#include "policy/payout.h"

int hsm_answer_new_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	(void)peer;
	(void)m;
	(void)hsm_result(h, w, KE_STATE);
	return KE_OK;
}

int hsm_answer_sign_payout(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	return hsm_answer_new_deposit(h, peer, m, w);
}

int hsm_answer_import_key(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	return hsm_answer_new_deposit(h, peer, m, w);
}

int hsm_answer_import_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	return hsm_answer_new_deposit(h, peer, m, w);
}

int hsm_answer_rewrap_deposit(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	return hsm_answer_new_deposit(h, peer, m, w);
}
