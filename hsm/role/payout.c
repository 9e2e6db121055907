/*
 * Payouts. Engine sends fields; hsm builds the transaction, signs it and tells it whole. Runs in
 * hsm: see hsm.h.
 *
 * What hsm enforces by itself, whatever engine says:
 * - nothing goes out of a chain that klerod.conf sets no limit for, no payout above the limit of
 *   one, not more in a span of time than the limit of all; fees count, at their most;
 * - what costs more than that line lets admins pay alone goes out only with the approvals of as
 * many officers as the token's anchor demands, over a proposal of this very payout from this very
 * pool;
 * - one payout id makes one transaction: the same again, for it may have been lost, and no other;
 * - only a signature that verifies under the address's own public key leaves.
 * Ids and sums are in hsm's journal (once.h): they outlive the process.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/role/consent.h"
#include "hsm/role/deposit.h"
#include "policy/evm.h"
#include "policy/hash.h"
#include "policy/keccak.h"
#include "policy/solana.h"
#include "policy/text.h"

/* A payout on its way. */
struct paying {
	struct deposit from;
	struct payout payout;
	struct consent consent;
	struct u256 cost;
	struct paylimit_spent spent; /* as it will be, when this is the first time */
	bool known;
	uint8_t bound[32]; /* what the payout's id stands for */
	uint8_t message[PAYOUT_TX_MAX];
	size_t message_len;
	uint8_t tx[PAYOUT_TX_MAX], name[PAYOUT_HASH_MAX];
	size_t tx_len, name_len;
};

static int refuse(const struct paying *p, int r, const char *why)
{
	char hex[33];

	text_hex(hex, p->payout.id, 16);
	log_security("payout %s: %s", hex, why);
	return r;
}

/* Is the proposal about this payout, to the last byte? */
static bool is_about(const struct proposal *asked, const struct paying *p)
{
	uint8_t a[PAYOUT_WIRE_MAX], b[PAYOUT_WIRE_MAX];
	size_t n, m;

	return asked->action == PROPOSE_PAYOUT && memcmp(asked->pool, p->from.pool, 16) == 0 &&
	       payout_put(&asked->payout, a, sizeof a, &n) == KE_OK &&
	       payout_put(&p->payout, b, sizeof b, &m) == KE_OK && n == m && memcmp(a, b, n) == 0;
}

/*
 * By our own clock and the token's officers. Nothing is written down about the approval: its nonce
 * is the payout's id, and that stands for one transaction in the journal.
 */
static int check_consent(struct hsm *h, const struct paying *p)
{
	const char *why = "";
	int r = consent_check(h, &p->consent, &why);

	if (r != KE_OK)
		return r == KE_DENIED ? refuse(p, r, why) : r;
	return is_about(&h->proposal, p) ? KE_OK
					 : refuse(p, KE_DENIED, "what is approved is another one");
}

/* Once more the same transaction takes nothing more from the address. */
static int within_limit(struct hsm *h, struct paying *p)
{
	const struct paylimit *limit = paylimit_find(h->limits, h->nlimits, &p->payout);
	int r = payout_cost(&p->payout, &p->cost);

	if (r != KE_OK)
		return refuse(p, KE_LIMIT, "no number holds what it could cost");
	if (limit == NULL)
		return refuse(p, KE_LIMIT, "no payout-limit of klerod.conf allows its chain");
	if (p->known)
		return KE_OK;
	r = once_spent(&h->once, &p->payout, &p->spent);
	if (r != KE_OK)
		return r;
	r = paylimit_spend(limit, &p->spent, &p->cost, (uint64_t)time(NULL));
	if (r != KE_OK)
		return refuse(p, KE_LIMIT, "above the payout-limit of klerod.conf");
	return u256_cmp(&p->cost, &limit->approval) > 0 ? check_consent(h, p) : KE_OK;
}

/* Do memory and limits allow it? */
static int may_pay(struct hsm *h, struct paying *p)
{
	int r;

	hash_sha256_2(
	    p->bound, p->from.pub, payout_pub_len(p->from.kind), p->message, p->message_len);
	r = once_ask(&h->once, ONCE_PAYOUT, p->payout.id, 16, p->bound);
	if (r == KE_DENIED)
		return refuse(p, r, "its id was signed for another transaction");
	p->known = r == KE_OK;
	return r == KE_OK || r == KE_NOTFOUND ? within_limit(h, p) : r;
}

/* Remembered before it is told. */
static int remember(struct hsm *h, const struct paying *p)
{
	int r = KE_OK;

	if (!p->known)
		r = once_spend(&h->once, &p->payout, p->spent.start_s, &p->cost);
	return r == KE_OK ? once_tell(&h->once, ONCE_PAYOUT, p->payout.id, 16, p->bound) : r;
}

static int sign_evm(struct hsm *h, struct paying *p)
{
	struct chainkey_sig sig;
	int r;

	keccak_256(sig.digest, p->message, p->message_len);
	r = deposit_sign(h, &p->from, &sig);
	if (r == KE_CRYPTO)
		return refuse(p, r, "the key is not that of the address");
	if (r == KE_OK)
		r = evm_signed(&p->payout, sig.rs, sig.odd, p->tx, sizeof p->tx, &p->tx_len);
	keccak_256(p->name, p->tx, p->tx_len);
	p->name_len = 32;
	return r;
}

/* A signature that was disturbed on its way could tell the key: it is verified like any other. */
static int sign_solana(struct hsm *h, struct paying *p)
{
	int r = deposit_open(h, &p->from);

	if (r == KE_CRYPTO)
		return refuse(p, r, "the key is not that of the address");
	if (r != KE_OK)
		return r;
	if (crypto_sign_detached(p->name, NULL, p->message, p->message_len, h->secrets->signer) !=
		0 ||
	    crypto_sign_verify_detached(p->name, p->message, p->message_len, p->from.pub) != 0)
		r = KE_INTERNAL;
	deposit_wipe(h);
	p->name_len = 64;
	if (r == KE_OK)
		r = solana_signed(
		    p->name, p->message, p->message_len, p->tx, sizeof p->tx, &p->tx_len);
	return r;
}

static int build(struct paying *p)
{
	if (p->from.kind == PAYOUT_EVM)
		return evm_unsigned(&p->payout, p->message, sizeof p->message, &p->message_len);
	return solana_message(
	    &p->payout, p->from.pub, p->message, sizeof p->message, &p->message_len);
}

static int pay(struct hsm *h, struct paying *p)
{
	int r = build(p);

	if (r == KE_OK)
		r = may_pay(h, p);
	if (r == KE_OK)
		r = p->from.kind == PAYOUT_EVM ? sign_evm(h, p) : sign_solana(h, p);
	return r == KE_OK ? remember(h, p) : r;
}

static int answer(struct hsm *h, struct wire_in *in, struct paying *p, struct wire_out *w)
{
	int r;

	if (deposit_get(in, &p->from) != KE_OK ||
	    payout_get(&p->payout, in->p, (size_t)(in->end - in->p)) != KE_OK ||
	    p->payout.kind != p->from.kind)
		return KE_PEER;
	r = pay(h, p);
	if (hsm_result(h, w, r)) {
		wire_put_u8(w, (uint8_t)p->name_len);
		wire_put_raw(w, p->name, p->name_len);
		wire_put_str(w, p->tx, p->tx_len);
	}
	return KE_OK;
}

int hsm_answer_sign_payout(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct paying p = {.tx_len = 0};
	struct wire_in in;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	return answer(h, &in, &p, w);
}

int hsm_answer_sign_approved(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct paying p = {.tx_len = 0};
	struct wire_in in;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	if (consent_get(&in, &p.consent) != KE_OK)
		return KE_PEER;
	return answer(h, &in, &p, w);
}
