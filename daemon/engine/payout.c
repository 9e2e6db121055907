/*
 * Payouts: see payout.h. Runs in engine.
 */
#include "daemon/engine/payout.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/pool.h"
#include "daemon/engine/quorum.h"
#include "daemon/msg/log.h"
#include "db/db_audit.h"
#include "policy/base58.h"
#include "policy/text.h"

#define LOOK_MS 60000 /* what hangs without any process having died */

/* --- settling --- */

static int audit_line(struct engine *e, const struct db_payout *p, const char *action)
{
	char pool[37], detail[64];
	int n;

	text_uuid(pool, p->pool);
	n = snprintf(detail, sizeof detail, "{\"pool\":\"%s\"}", pool);
	return db_audit_append(
	    e->db, turn_now_ms(e), p->created_by, action, p->say.id, detail, (size_t)n);
}

/*
 * hsm wants officers to approve it. Where there are none it stays unsigned. KE_STATE then; KE_OK
 * when it waits for them.
 */
static int propose(struct engine *e, const struct db_payout *p)
{
	int r = quorum_propose_payout(e, p);

	if (r == KE_STATE)
		log_security(
		    "a payout needs the approval of officers, and none are enrolled: it is "
		    "refused");
	return r;
}

/* These answers mean that hsm has not signed it, and will not. */
static bool is_refusal(int r)
{
	return r == KE_LIMIT || r == KE_DENIED || r == KE_RANGE;
}

static int take(struct wire_in *in, struct db_payout *p)
{
	const uint8_t *tx;

	p->tx_hash_len = wire_get_u8(in);
	if (in->err != KE_OK || p->tx_hash_len == 0 || p->tx_hash_len > sizeof p->tx_hash)
		return KE_PEER;
	wire_get_raw(in, p->tx_hash, p->tx_hash_len);
	tx = wire_get_str(in, sizeof p->tx, &p->tx_len);
	if (wire_end(in) != KE_OK || p->tx_len == 0)
		return KE_PEER;
	memcpy(p->tx, tx, p->tx_len);
	return KE_OK;
}

int payout_settle(struct engine *e, struct db_payout *p, int r, struct wire_in *in)
{
	int64_t now_ms = turn_now_ms(e);
	bool refused;

	if (r == KE_AUTH) {
		r = propose(e, p);
		if (r != KE_STATE)
			return r;
		r = KE_DENIED;
	}
	refused = is_refusal(r);
	if (r == KE_OK)
		r = take(in, p);
	if (r == KE_OK)
		r = db_payout_set_signed(e->db, p, now_ms);
	else if (refused)
		r = db_payout_set_refused(e->db, p->say.id, now_ms);
	/*
	 * Another answer was faster. ECDSA may sign the same transaction in another way each time,
	 * so the one that is stored is the one that there is.
	 */
	if (r == KE_STATE)
		return db_payout_get(e->db, p->say.id, p);
	if (r != KE_OK)
		return r;
	p->state = refused ? DB_PAYOUT_REFUSED : DB_PAYOUT_SIGNED;
	p->settled_ms = now_ms;
	return audit_line(e, p, refused ? "payout-refused" : "payout-signed");
}

/* --- asking again --- */

static int asked_again(struct engine *e, struct job *j, int r, struct wire_in *in)
{
	struct payout_one *one = (struct payout_one *)(void *)j;
	int begun;

	if (in == NULL)
		return KE_OK; /* the next look finds it */
	begun = turn_begin(e);
	r = begun == KE_OK ? payout_settle(e, &one->payout, r, in) : begun;
	if (r != KE_OK && r != KE_PEER)
		log_warn("a payout waits: %s", ke_words(r));
	return r == KE_PEER ? KE_PEER : KE_OK;
}

static int ask_approved(struct engine *e, struct payout_one *one, const struct db_pool *pool,
    const struct db_proposal *asked)
{
	char approvals[RCONF_KEYADM_APPROVALS];
	int r = quorum_approvals(e, asked->id, approvals);

	if (r != KE_OK)
		return r;
	return eng_hsm_sign_approved(
	    e, &one->job, asked_again, pool, &one->payout.say, asked->text, approvals);
}

/* As its proposal is, when there is one; hsm counts for itself. */
static int ask_as_decided(struct engine *e, struct payout_one *one, const struct db_pool *pool)
{
	struct db_proposal asked;
	int r = db_proposal_get(e->db, one->payout.say.id, &asked);

	if (r == KE_NOTFOUND)
		return eng_hsm_sign_payout_again(e, &one->job, asked_again, pool, &one->payout.say);
	if (r != KE_OK)
		return r;
	switch (asked.state) {
	case DB_PROPOSAL_OPEN:
	case DB_PROPOSAL_APPROVED:
		return KE_OK;
	case DB_PROPOSAL_DONE:
		return ask_approved(e, one, pool, &asked);
	default: /* rejected or expired */
		return payout_settle(e, &one->payout, KE_DENIED, NULL);
	}
}

static int ask_again(void *arg, const struct db_payout *p)
{
	struct engine *e = arg;
	struct payout_one *one = e->payouts.one;
	struct db_pool pool;
	int r;

	while (one->job.id != 0)
		one++; /* there is one: no more are asked for than there are places */
	memcpy(e->payouts.after, p->say.id, sizeof e->payouts.after);
	e->payouts.seen++;
	r = db_pool_get(e->db, p->pool, &pool);
	if (r != KE_OK)
		return r;
	one->payout = *p;
	return ask_as_decided(e, one, &pool);
}

int payout_is_proposed(struct engine *e, const struct db_payout *p, bool *proposed)
{
	struct db_proposal asked;
	int r = turn_begin(e);

	if (r == KE_OK)
		r = db_proposal_get(e->db, p->say.id, &asked);
	*proposed = r == KE_OK;
	return r == KE_NOTFOUND ? KE_OK : r;
}

void payout_look(struct engine *e)
{
	e->payouts.look_ms = 0;
}

static bool waiting(const struct payouts *y)
{
	for (size_t i = 0; i < PAYOUT_BATCH; i++)
		if (y->one[i].job.id != 0)
			return true;
	return false;
}

/* A fresh hsm has not heard of what its predecessor died over. */
static bool is_due(struct engine *e)
{
	struct payouts *y = &e->payouts;
	int64_t now_ms = engine_clock_ms();

	if (y->chan != e->peers.hsm.serial || now_ms >= y->look_ms) {
		y->chan = e->peers.hsm.serial;
		y->look_ms = now_ms + LOOK_MS;
		y->looking = true;
		memset(y->after, 0, sizeof y->after);
	}
	return y->looking;
}

void payout_tick(struct engine *e)
{
	struct payouts *y = &e->payouts;
	int r;

	if (e->peers.hsm.chan == NULL || waiting(y) || !is_due(e))
		return;
	r = turn_begin(e);
	y->seen = 0;
	if (r == KE_OK)
		r = db_payout_waiting(e->db, y->after, PAYOUT_BATCH, ask_again, e);
	if (r == KE_OK)
		y->looking = y->seen > 0;
	else if (r != KE_UNAVAIL && r != KE_FULL)
		log_warn("payouts that wait cannot be looked for: %s", ke_words(r));
}

/* --- what is answered --- */

static void put_evm(struct jsonw *w, const struct db_payout *p)
{
	char text[2 + 2 * PAYOUT_TX_MAX + 1] = "0x", value[U256_TEXT_MAX + 1];

	u256_text(value, &p->say.value);
	jsonw_kcstr(w, "value", value);
	jsonw_kint(w, "nonce", (int64_t)p->say.nonce);
	jsonw_kint(w, "max_fee_per_gas", (int64_t)p->say.max_fee);
	jsonw_kint(w, "max_priority_fee_per_gas", (int64_t)p->say.priority_fee);
	jsonw_kint(w, "gas_limit", (int64_t)p->say.gas_limit);
	if (p->tx_len == 0)
		return;
	text_hex(text + 2, p->tx, p->tx_len);
	jsonw_kcstr(w, "transaction", text);
	text_hex(text + 2, p->tx_hash, p->tx_hash_len);
	jsonw_kcstr(w, "hash", text);
}

static void put_solana(struct jsonw *w, const struct db_payout *p)
{
	char text[BASE58_LEN(PAYOUT_HASH_MAX) + 1];
	uint64_t lamports = 0;

	if (u256_to_u64(&p->say.value, &lamports) != KE_OK)
		w->err = KE_DAMAGED;
	jsonw_kint(w, "lamports", (int64_t)lamports);
	pool_address(text, PAYOUT_SOLANA, p->say.blockhash);
	jsonw_kcstr(w, "recent_blockhash", text);
	if (p->tx_len == 0)
		return;
	jsonw_key(w, "transaction");
	jsonw_b64(w, p->tx, p->tx_len);
	base58_put(text, p->tx_hash, p->tx_hash_len);
	jsonw_kcstr(w, "hash", text);
}

void payout_put_json(struct jsonw *w, const struct db_payout *p)
{
	char to[DB_POOL_ADDRESS_MAX + 1];

	pool_address(to, p->say.kind, p->say.to);
	jsonw_object(w);
	jsonw_kuuid(w, "id", p->say.id);
	jsonw_kuuid(w, "pool_id", p->pool);
	jsonw_kcstr(w, "state", db_payout_word(p->state));
	jsonw_kcstr(w, "to", to);
	if (p->say.kind == PAYOUT_EVM)
		put_evm(w, p);
	else
		put_solana(w, p);
	jsonw_ktime(w, "created_at", p->created_ms);
	jsonw_kuuid(w, "created_by", p->created_by);
	if (p->settled_ms != 0)
		jsonw_ktime(w, "settled_at", p->settled_ms);
	jsonw_object_end(w);
}
