/*
 * Payouts: see payout.h. Runs in engine.
 */
#include "daemon/engine/payout.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/pool.h"
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
	bool refused = is_refusal(r);
	int64_t now_ms = turn_now_ms(e);

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

static int ask_again(void *arg, const struct db_payout *p)
{
	struct engine *e = arg;
	struct payout_one *one = e->payouts.one;
	struct db_pool pool;
	int r;

	while (one->job.id != 0)
		one++; /* there is one: no more are asked for than there are places */
	memcpy(e->payouts.after, p->say.id, sizeof e->payouts.after);
	r = db_pool_get(e->db, p->pool, &pool);
	if (r != KE_OK)
		return r;
	one->payout = *p;
	return eng_hsm_sign_payout_again(e, &one->job, asked_again, &pool, &one->payout.say);
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
	if (r == KE_OK)
		r = db_payout_waiting(e->db, y->after, PAYOUT_BATCH, ask_again, e);
	if (r == KE_OK)
		y->looking = waiting(y);
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
