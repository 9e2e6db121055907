/*
 * Fills the store of a stopped, throw-away appliance with people, money and tickets, as the engine
 * would have done it over months: the same db_* functions in the same order, salts from the token,
 * leaves into each raffle's tree, so that triggers, chains and trees are what they are in life and
 * every check of the store accepts the outcome. Only passwords are nobody's, and only one sale in
 * ten keeps its answer (engine drops those after a day).
 *
 *	store_fill MODULE TOKEN PIN-FILE STORE fill <PLAN
 *	store_fill MODULE TOKEN PIN-FILE STORE tokens HOST STEP COUNT
 *	store_fill MODULE TOKEN PIN-FILE STORE pages SALES <PAIRS
 *
 * A line of PLAN:
 *	users FROM TO SHOW     accounts FROM to TO - 1, each with a session, a wallet and a deposit;
 *	                       every tenth holds SHOW, a second currency, too
 *	raffle ID CURRENCY TICKETS open|close
 *	                       sell so many tickets of it; in the end it is left open, or closed
 *	sell USERS             now, sixteen raffles at a time; buyers are any of the first USERS,
 *and one time in a hundred one of twenty who buy often pair USER ID           this user buys one
 *ticket of that open raffle jobs COUNT             so many finished jobs
 *
 * tokens prints an access token for each of the users 0, STEP, 2 STEP…
 *
 * pages sells one ticket SALES times, for any of PAIRS (lines "USER ID") in turns of 32, and as
 *often again, of which it prints how many pages each has read from the file, and how many it has
 *written to the log: counts, which other work of the machine does not change.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "db/db_audit.h"
#include "db/db_deposit.h"
#include "db/db_idem.h"
#include "db/db_job.h"
#include "db/db_log.h"
#include "db/db_raffle.h"
#include "db/db_session.h"
#include "db/db_ticket.h"
#include "db/db_user.h"
#include "hsm/role/hsm.h"
#include "policy/be.h"
#include "policy/leaf.h"
#include "policy/roles.h"
#include "policy/text.h"
#include "policy/ticketid.h"
#include "tests/tools/store_key.h"

#define RAFFLES    20000
#define AT_ONCE    16
#define QUANTITY   4        /* at most, in one sale */
#define TURN       20000    /* requests */
#define TURN_LIFE  32       /* the same, with 32 clients at once */
#define ANSWERS    10       /* one sale of so many keeps its answer */
#define BEFORE_MS  14400000 /* the first of it happened that long ago */
#define OFTEN      20
#define TENTH(u)   ((u) % 10 == 0)
#define DEPOSIT    INT64_C(1000000000)
#define USERS_FROM INT64_C(1700000000000)

struct raffle {
	uint8_t id[16];
	char currency[DB_CURRENCY_MAX + 1];
	int64_t wanted; /* tickets still to be sold */
	bool close, dirty;
	int64_t sold; /* as the store knows it */
	struct db_sale sale;
};

struct fill {
	struct hsm hsm;
	struct db *d;
	int64_t now_ms, requests, sales;
	int64_t turn, answers; /* TURN and ANSWERS, or as in life */
	uint64_t rnd;
	struct raffle *raffle;
	size_t n;
	char second[DB_CURRENCY_MAX + 1];
};

static void must(const struct fill *f, int r, const char *what)
{
	if (r == KE_OK)
		return;
	fprintf(stderr, "store_fill: %s: %s %s\n", what, ke_words(r),
	    f->d != NULL ? db_why(f->d) : f->hsm.p.why);
	_exit(1);
}

/* splitmix64: the same plan gives the same store, but for its keys and salts */
static uint64_t any(struct fill *f, uint64_t below)
{
	uint64_t z = f->rnd += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

static void id_of(char kind, int64_t n, uint8_t id[16])
{
	uint8_t in[9] = {(uint8_t)kind}, hash[32];

	be_put64(in + 1, (uint64_t)n);
	hash_sha256(hash, in, sizeof in);
	text_uuid7(id, USERS_FROM + n, hash);
}

/* --- turns --- */

static void write_sold(struct fill *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct raffle *r = &f->raffle[i];

		if (!r->dirty)
			continue;
		must(f, db_raffle_sold(f->d, &r->sale, r->sold), "raffle");
		r->sold = r->sale.sold;
		r->dirty = false;
	}
}

static void commit(struct fill *f)
{
	write_sold(f);
	must(f, db_turn_commit(f->d, NULL), "commit");
	must(f, db_turn_begin(f->d), "turn");
}

static void request(struct fill *f)
{
	f->now_ms++;
	if (++f->requests % f->turn == 0)
		commit(f);
}

static void audit(struct fill *f, const uint8_t by[16], const char *action, const uint8_t on[16],
    const char *more)
{
	must(f, db_audit_append(f->d, f->now_ms, by, action, on, more, strlen(more)), "audit");
}

/* --- people --- */

static void deposit(struct fill *f, const uint8_t user[16], const char *currency, int64_t n,
    enum db_deposit_state state)
{
	static const uint8_t outside[16];
	struct db_deposit p = {.amount = DEPOSIT, .created_ms = f->now_ms, .provider = "manual"};
	struct db_account from, to;
	uint8_t admin[16];

	id_of('a', 0, admin);
	id_of('d', n, p.id);
	text_uuid7(p.id, f->now_ms, p.id + 6);
	memcpy(p.user, user, 16);
	memcpy(p.currency, currency, strlen(currency) + 1);
	must(f, db_deposit_create(f->d, &p), "deposit");
	audit(f, user, "deposit", p.id, "{\"amount\":1000000000,\"currency\":\"EUR\"}");
	if (state == DB_DEPOSIT_PENDING)
		return;
	must(f, db_deposit_decide(f->d, p.id, state, admin, f->now_ms), "decide");
	if (state == DB_DEPOSIT_REJECTED)
		return;
	must(f, db_account_open(f->d, DB_ACCOUNT_PROVIDER, outside, currency, &from), "account");
	must(f, db_account_open(f->d, DB_ACCOUNT_USER, user, currency, &to), "account");
	must(f, db_ledger_transfer(f->d, &from, &to, p.amount, "deposit", p.id, f->now_ms, NULL),
	    "credit");
	audit(f, admin, "deposit-confirmed", p.id, "{\"amount\":1000000000,\"currency\":\"EUR\"}");
}

static void add_user(struct fill *f, int64_t n)
{
	struct db_user u = {.roles = ROLE_BIT_USER, .created_ms = f->now_ms};
	struct db_session s = {.created_ms = f->now_ms};
	uint8_t spread[32];

	id_of('u', n, u.id);
	hash_sha256(spread, u.id, sizeof u.id);
	text_hex(u.email, spread, 6);
	snprintf(u.email + 12, sizeof u.email - 12, ".%lld@example.org", (long long)n);
	snprintf(u.credential, sizeof u.credential,
	    "$argon2id$v=19$m=65536,t=3,p=1$%021lldA$%042lldA", (long long)n, (long long)n);
	snprintf(u.display_name, sizeof u.display_name, "Number %lld", (long long)n);
	must(f, db_user_create(f->d, &u), "user");
	id_of('s', n, s.id);
	memcpy(s.user, u.id, 16);
	s.expires_ms = f->now_ms + INT64_C(7) * 24 * 3600 * 1000;
	must(f, db_session_create(f->d, &s), "session");
	audit(f, u.id, "register", u.id, "{}");
	deposit(f, u.id, "EUR", 4 * n, DB_DEPOSIT_CONFIRMED);
	if (TENTH(n))
		deposit(f, u.id, f->second, 4 * n + 1, DB_DEPOSIT_CONFIRMED);
	if (n % 50 == 1)
		deposit(f, u.id, "EUR", 4 * n + 2, DB_DEPOSIT_PENDING);
	if (n % 200 == 3)
		deposit(f, u.id, "EUR", 4 * n + 3, DB_DEPOSIT_REJECTED);
	request(f);
}

/* --- sales: engine's api_sale.c, with each raffle's row kept in memory for a turn --- */

/* As hsm answers engine: the KDF of DRAW.md section 1 under the token's key. */
static void salt_of(struct fill *f, const uint8_t raffle[16], const char user[37], uint8_t salt[32])
{
	uint8_t body[48], answer[64];
	struct msg m = {.type = MSG_HSM_HOLDER, .body = body, .len = sizeof body};
	struct wire_out w;
	struct wire_in in;

	memcpy(body, raffle, 16);
	hash_sha256(body + 16, user, 36);
	wire_out_init(&w, answer, sizeof answer);
	must(f, hsm_answer_holder(&f->hsm, NULL, &m, &w), "salt");
	wire_in_init(&in, answer, w.len);
	must(f, wire_get_i32(&in), "salt");
	wire_get_raw(&in, salt, 32);
	must(f, wire_end(&in), "salt");
}

static void holder_of(
    struct fill *f, const struct raffle *r, const uint8_t user[16], struct db_holder *h)
{
	char text[37];
	uint8_t salt[32];
	int e = db_holder_get(f->d, r->sale.no, user, h);

	if (e == KE_NOTFOUND) {
		text_uuid(text, user);
		salt_of(f, r->id, text, salt);
		e = db_holder_create(f->d, r->sale.no, user, salt, h);
	}
	must(f, e, "holder");
}

static void issue(struct fill *f, struct raffle *r, struct db_holder *h, int64_t quantity)
{
	static const char seed[] = "my lucky seed";
	uint8_t rnd[10], bytes[LEAF_LEN], hash[32], seed_hash[32];
	struct leaf leaf = {.issued_ms = (uint64_t)f->now_ms};
	struct merkle_subtree done[MERKLE_SUBTREES];
	struct db_ticket t[QUANTITY];
	size_t ndone = 0;
	char holder[37];

	text_uuid(holder, h->user);
	memcpy(leaf.raffle, r->id, 16);
	leaf_holder_commit(leaf.holder_commit, h->salt, holder, 36);
	leaf_client_seed_hash(leaf.client_seed_hash, seed, sizeof seed - 1);
	hash_sha256(seed_hash, seed, sizeof seed - 1);
	for (int64_t i = 0; i < quantity; i++) {
		t[i] = (struct db_ticket){.index = r->sale.sold + i,
		    .issued_ms = f->now_ms,
		    .client_seed = seed,
		    .client_seed_len = sizeof seed - 1};
		be_put64(rnd, any(f, UINT64_MAX));
		be_put64(rnd + 2, any(f, UINT64_MAX));
		if (r->sale.format == RAFFLE_V2)
			must(f, ticketid_make(t[i].id, f->now_ms, r->sale.no, t[i].index, rnd),
			    "id");
		else
			text_uuid7(t[i].id, f->now_ms, rnd);
		leaf.index = (uint64_t)t[i].index;
		memcpy(leaf.ticket, t[i].id, 16);
		leaf_encode(bytes, &leaf);
		merkle_leaf_hash(hash, bytes, sizeof bytes);
		ndone += merkle_range_grow(&r->sale.range, hash, done + ndone);
		hash_run_add(r->sale.aggregate, seed_hash, 32);
	}
	must(f, db_ticket_issue(f->d, h, t, (size_t)quantity), "tickets");
	if (r->sale.format == RAFFLE_V2)
		must(f, db_log_complete(f->d, r->sale.no, done, ndone), "log");
	r->sale.sold += quantity;
	r->dirty = true;
}

/* What engine keeps of an answer; the client's key is random, so nobody will ask for this one. */
static void keep_answer(struct fill *f, const uint8_t user[16])
{
	struct db_idem_key k = {.route = "raffle_buy", .key_len = 32};
	struct db_idem v = {.status = 201, .created_ms = f->now_ms, .answer_len = 360};
	char key[33], answer[360];

	snprintf(key, sizeof key, "%016llx%016llx", (unsigned long long)any(f, UINT64_MAX),
	    (unsigned long long)any(f, UINT64_MAX));
	memset(answer, ' ', sizeof answer);
	memcpy(k.user, user, 16);
	k.key = key;
	v.answer = answer;
	must(f, db_idem_put(f->d, &k, &v), "answer");
}

static void sale(struct fill *f, struct raffle *r, int64_t user, int64_t quantity)
{
	struct db_account wallet, pot;
	struct db_holder h;
	uint8_t id[16];
	char more[96];

	id_of('u', user, id);
	if (quantity > r->wanted)
		quantity = r->wanted;
	holder_of(f, r, id, &h);
	must(f, db_account_get(f->d, DB_ACCOUNT_USER, id, r->currency, &wallet), "wallet");
	must(f, db_account_open(f->d, DB_ACCOUNT_POT, r->id, r->currency, &pot), "pot");
	must(f,
	    db_ledger_transfer(
		f->d, &wallet, &pot, quantity * r->sale.price, "buy", r->id, f->now_ms, NULL),
	    "charge");
	snprintf(more, sizeof more, "{\"first\":%lld,\"quantity\":%lld,\"amount\":%lld}",
	    (long long)r->sale.sold, (long long)quantity, (long long)(quantity * r->sale.price));
	issue(f, r, &h, quantity);
	audit(f, id, "buy", r->id, more);
	if (f->sales++ % f->answers == 0)
		keep_answer(f, id);
	r->wanted -= quantity;
	request(f);
}

static int64_t buyer(struct fill *f, const struct raffle *r, int64_t users)
{
	uint64_t u = any(f, (uint64_t)users);

	if (any(f, 100) == 0)
		u = any(f, OFTEN) * 10 % (uint64_t)users;
	return strcmp(r->currency, "EUR") == 0 ? (int64_t)u : (int64_t)(u - u % 10);
}

static void begin(struct fill *f, struct raffle *r)
{
	must(f, db_raffle_sale(f->d, r->id, &r->sale), "raffle");
	r->sold = r->sale.sold;
}

static void finish(struct fill *f, struct raffle *r)
{
	uint8_t root[32], aggregate[32], admin[16];

	write_sold(f);
	if (!r->close)
		return;
	id_of('a', 0, admin);
	merkle_range_root(&r->sale.range, root);
	hash_run_end(aggregate, r->sale.aggregate);
	must(f, db_raffle_set_closed(f->d, r->id, root, aggregate, f->now_ms), "close");
	audit(f, admin, "raffle-close", r->id, "{}");
}

/* The raffles on sale: the more tickets are left, the likelier is the next sale one of theirs. */
struct window {
	struct raffle *r[AT_ONCE];
	size_t n;
};

static size_t pick(struct fill *f, const struct window *w)
{
	int64_t left = 0, at;
	size_t i = 0;

	for (size_t k = 0; k < w->n; k++)
		left += w->r[k]->wanted;
	at = (int64_t)any(f, (uint64_t)left);
	while (at >= w->r[i]->wanted)
		at -= w->r[i++]->wanted;
	return i;
}

static void sell(struct fill *f, int64_t users)
{
	struct window w = {.n = 0};
	size_t next = 0, i;

	for (;;) {
		for (; w.n < AT_ONCE && next < f->n; next++) {
			begin(f, &f->raffle[next]);
			if (f->raffle[next].wanted > 0)
				w.r[w.n++] = &f->raffle[next];
		}
		if (w.n == 0)
			break;
		i = pick(f, &w);
		sale(f, w.r[i], buyer(f, w.r[i], users), 1 + (int64_t)any(f, QUANTITY));
		if (w.r[i]->wanted > 0)
			continue;
		finish(f, w.r[i]);
		w.r[i] = w.r[--w.n];
	}
	commit(f);
}

static void pair(struct fill *f, int64_t user, const uint8_t id[16])
{
	struct raffle *r = f->raffle;

	while (r < f->raffle + f->n && memcmp(r->id, id, 16) != 0)
		r++;
	if (r == f->raffle + f->n || r->close)
		must(f, KE_NOTFOUND, "pair");
	r->wanted = 1;
	sale(f, r, user, 1);
}

/* --- the plan --- */

static void add_raffle(
    struct fill *f, const char *id, const char *currency, int64_t tickets, const char *end)
{
	struct raffle *r = &f->raffle[f->n++];

	if (f->n == RAFFLES || strlen(currency) > DB_CURRENCY_MAX)
		must(f, KE_LIMIT, "raffles");
	must(f, text_unuuid(r->id, id, strlen(id)), id);
	memcpy(r->currency, currency, strlen(currency) + 1);
	r->wanted = tickets;
	r->close = strcmp(end, "close") == 0;
}

static void add_jobs(struct fill *f, int64_t count)
{
	struct db_job job;
	uint8_t subject[16];
	size_t n;

	for (int64_t i = 0; i < count; i++) {
		id_of('j', f->now_ms, subject);
		must(f, db_job_put(f->d, "proof", subject, 10, f->now_ms, f->now_ms), "job");
		must(f, db_job_claim(f->d, f->now_ms, &job, 1, &n), "claim");
		if (n == 1)
			must(f, db_job_done(f->d, job.id, 0, f->now_ms), "done");
		request(f);
	}
}

static void line(struct fill *f, const char *text)
{
	char word[16] = "", a[64] = "", b[64] = "", c[64] = "", end[16] = "";
	uint8_t id[16];

	sscanf(text, "%15s %63s %63s %63s %15s", word, a, b, c, end);
	if (strcmp(word, "users") == 0) {
		snprintf(f->second, sizeof f->second, "%s", c);
		for (int64_t n = atoll(a); n < atoll(b); n++)
			add_user(f, n);
	} else if (strcmp(word, "raffle") == 0) {
		add_raffle(f, a, b, atoll(c), end);
	} else if (strcmp(word, "sell") == 0) {
		sell(f, atoll(a));
	} else if (strcmp(word, "pair") == 0) {
		must(f, text_unuuid(id, b, strlen(b)), "pair");
		pair(f, atoll(a), id);
	} else if (strcmp(word, "jobs") == 0) {
		add_jobs(f, atoll(a));
	} else {
		must(f, KE_FORMAT, text);
	}
}

static void open_store(struct fill *f, char **argv)
{
	uint8_t key[32];
	int64_t seq;
	char why[DB_WHY_MAX] = "";
	struct timespec ts;
	int r = store_unseal(argv, &f->hsm.p, &f->hsm.ring, key);
	bool copied;

	must(f, r, "key");
	must(f, key_ring_copy(&f->hsm.p, &f->hsm.ring, &copied), "token");
	f->raffle = calloc(RAFFLES, sizeof *f->raffle);
	r = f->raffle == NULL ? KE_NOMEM : db_open(&f->d, argv[4], key, 0, why);
	sodium_memzero(key, sizeof key);
	if (r != KE_OK)
		fprintf(stderr, "store_fill: %s\n", why);
	must(f, r, "store");
	must(f, db_turn_begin(f->d), "turn");
	clock_gettime(CLOCK_REALTIME, &ts);
	f->now_ms = (int64_t)ts.tv_sec * 1000 - BEFORE_MS;
	must(f, db_audit_head(f->d, &seq, key), "audit");
	f->rnd = (uint64_t)seq;
	f->turn = TURN;
	f->answers = ANSWERS;
}

static void fill(struct fill *f, char **argv)
{
	char text[256];

	open_store(f, argv);
	while (fgets(text, sizeof text, stdin) != NULL)
		line(f, text);
	commit(f);
	printf("%lld requests\n", (long long)f->requests);
	db_turn_rollback(f->d);
	db_close(f->d);
}

#include "tests/tools/store_pages.h"

/* --- access tokens --- */

static void token(struct fill *f, int64_t user, uint64_t now_s)
{
	uint8_t body[64], answer[4096];
	struct msg m = {.type = MSG_HSM_SESSION, .body = body};
	struct wire_out w;
	struct wire_in in;
	const uint8_t *text;
	size_t n;

	wire_out_init(&w, body, sizeof body);
	id_of('u', user, w.buf);
	id_of('s', user, w.buf + 16);
	w.len = 32;
	wire_put_u8(&w, ROLE_BIT_USER);
	wire_put_u32(&w, 1);
	wire_put_u64(&w, now_s);
	m.len = (uint32_t)w.len;
	wire_out_init(&w, answer, sizeof answer);
	must(f, hsm_answer_session(&f->hsm, NULL, &m, &w), "token");
	wire_in_init(&in, answer, w.len);
	must(f, wire_get_i32(&in), "token");
	text = wire_get_str(&in, 2048, &n);
	must(f, in.err, "token");
	printf("%.*s\n", (int)n, (const char *)text);
}

static void tokens(struct fill *f, char **argv)
{
	int64_t step = atoll(argv[7]), count = atoll(argv[8]);
	bool copied;

	must(f, store_login(argv, &f->hsm.p, &f->hsm.ring), "token");
	must(f, key_ring_copy(&f->hsm.p, &f->hsm.ring, &copied), "token");
	snprintf(f->hsm.host, sizeof f->hsm.host, "%s", argv[6]);
	for (int64_t i = 0; i < count; i++)
		token(f, i * step, (uint64_t)time(NULL));
}

int main(int argc, char **argv)
{
	static struct fill f;

	if (sodium_init() < 0)
		return 2;
	f.hsm.self = ROLE_HSM;
	if (argc == 6 && strcmp(argv[5], "fill") == 0)
		fill(&f, argv);
	else if (argc == 9 && strcmp(argv[5], "tokens") == 0)
		tokens(&f, argv);
	else if (argc == 7 && strcmp(argv[5], "pages") == 0)
		pages(&f, argv);
	else
		return 2;
	fflush(NULL);
	_exit(0); /* SoftHSM crashes in exit handlers under OpenSSL 3 */
}
