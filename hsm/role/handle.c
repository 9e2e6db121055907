/*
 * Dispatch, results and the end of a worn-out process. Runs in hsm and tlskey: see hsm.h.
 */
#include "daemon/msg/log.h"
#include "hsm/p11/ckr.h"
#include "hsm/role/hsm.h"

struct row {
	uint16_t type;
	int (*answer)(struct hsm *, struct serve_peer *, const struct msg *, struct wire_out *);
};

/* Two message tables in one program: msg_recv lets a role see its own rows only. */
static const struct row rows[] = {
    {MSG_HSM_KEYS, hsm_answer_keys},
    {MSG_HSM_OPEN_DBKEY, hsm_answer_open_dbkey},
    {MSG_HSM_SESSION, hsm_answer_session},
    {MSG_HSM_REFRESH, hsm_answer_refresh},
    {MSG_HSM_HOLDER, hsm_answer_holder},
    {MSG_HSM_NEW_SEED, hsm_answer_new_seed},
    {MSG_HSM_REVEAL_SEED, hsm_answer_reveal_seed},
    {MSG_HSM_REVEAL_APPROVED, hsm_answer_reveal_approved},
    {MSG_HSM_SIGN_DRAW1, hsm_answer_sign_draw1},
    {MSG_HSM_AGREE, hsm_answer_agree},
    {MSG_HSM_REVEAL2, hsm_answer_reveal2},
    {MSG_HSM_ANCHOR, hsm_answer_anchor},
    {MSG_HSM_RESEAL_DBKEY, hsm_answer_reseal_dbkey},
    {MSG_HSM_REWRAP_SEED, hsm_answer_rewrap_seed},
    {MSG_HSM_NEW_DEPOSIT, hsm_answer_new_deposit},
    {MSG_HSM_SIGN_PAYOUT, hsm_answer_sign_payout},
    {MSG_HSM_SIGN_APPROVED, hsm_answer_sign_approved},
    {MSG_HSM_IMPORT_KEY, hsm_answer_import_key},
    {MSG_HSM_IMPORT_DEPOSIT, hsm_answer_import_deposit},
    {MSG_HSM_REWRAP_DEPOSIT, hsm_answer_rewrap_deposit},
    {MSG_HSM_SIGN_BACKUP, hsm_answer_sign_backup},
    {MSG_HSM_CHECK_BACKUP, hsm_answer_check_backup},
    {MSG_HSM_SIGN_CHECKPOINT, hsm_answer_sign_checkpoint},
    {MSG_HSM_SEAL_CREDENTIAL, hsm_answer_seal_credential},
    {MSG_HSM_OPEN_CREDENTIAL, hsm_answer_open_credential},
    {MSG_HSM_RESEAL_CREDENTIALS, hsm_answer_reseal_credentials},
    {MSG_HSM_RAISE, hsm_answer_raise},
    {MSG_HSM_ESCROW, hsm_answer_escrow},
    {MSG_HSM_COSIGN, hsm_answer_cosign},
    {MSG_TLS_SIGN, hsm_answer_tls_sign},
};

bool hsm_once_more(struct hsm *h, int *r, unsigned *tries)
{
	*r = canary_judge(&h->p, &h->ring, &h->canary, *r, tries);
	return *r == KE_AGAIN;
}

int hsm_lied(struct hsm *h, int r, const char *what)
{
	if (r == KE_CRYPTO || r == KE_AGAIN) {
		log_error("token %s gave a wrong answer: %s", h->p.label, what);
		r = KE_UNAVAIL;
	}
	return r;
}

bool hsm_result(struct hsm *h, struct wire_out *w, int r)
{
	if (r == KE_AGAIN)
		r = KE_UNAVAIL;
	if (r == KE_UNAVAIL) {
		h->lost = true;
		log_error("token %s: %s: %s; this process ends, a fresh one logs in anew",
		    h->p.label, h->p.call != NULL ? h->p.call : "?", ckr_name(h->p.rv));
	}
	w->len = 0;
	wire_put_i32(w, r);
	return r == KE_OK;
}

/* Where no fresh one comes in time, this one goes as it must. */
static bool worn_out(struct hsm *h)
{
	h->worn = h->p.made >= h->objects;
	if (!h->worn || h->p.made - h->objects < HSM_WEAR_MORE)
		return false;
	log_warn("worn out after %u session objects, and not replaced", h->p.made);
	return true;
}

int hsm_handle(void *ctx, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct hsm *h = ctx;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int r;

		if (rows[i].type != m->type)
			continue;
		r = rows[i].answer(h, peer, m, w);
		if (r != KE_OK)
			return r;
		return worn_out(h) || h->lost ? KE_CLOSED : KE_OK;
	}
	return KE_INTERNAL;
}
