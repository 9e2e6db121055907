/*
 * Fuzzes engine as its peers would: a captured net, kdf or control client that says anything, and
 * an hsm that answers anything legible, in any order, against a store with people, money and
 * raffles in it. An input is a list of steps. No input may crash engine, break the ledger, make an
 * answer that net could not write, answer a request twice or never, or be told "internal error".
 */
#include <stdarg.h>
#include <stdint.h>

#include "tests/fuzz/engine_lab.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
	const uint8_t *p;
	size_t n;
};

static uint64_t take(struct feed *f, size_t bytes)
{
	uint64_t v = 0;

	for (; bytes > 0; bytes--, f->n -= f->n > 0)
		v = v << 8 | (f->n > 0 ? *f->p++ : 0);
	return v;
}

/* Up to max bytes, their number one byte of the input. */
static const uint8_t *take_bytes(struct feed *f, size_t max, size_t *n)
{
	const uint8_t *p;

	*n = take(f, 1) % (max + 1);
	if (*n > f->n)
		*n = f->n;
	p = f->p;
	f->p += *n;
	f->n -= *n;
	return p;
}

static void take_text(struct feed *f, struct api_value *v)
{
	static const char *const words[] = {"ada@klero.example", "admin@klero.example",
	    "correct horse battery", "EUR", "XTS", "01020304050607080910111213141516", "",
	    "a very long line that is no e-mail address, no password and no cursor"};
	uint8_t which = (uint8_t)take(f, 1);

	if ((which & 0x80) != 0) {
		v->p = take_bytes(f, 255, &v->n);
		return;
	}
	v->p = (const uint8_t *)words[which % 8];
	v->n = strlen(words[which % 8]);
}

static void take_value(struct feed *f, const struct field *field, struct api_value *v)
{
	uint8_t how = (uint8_t)take(f, 1);

	v->present = field->required || (how & 1) != 0;
	v->i = (int64_t)take(f, (how & 2) != 0 ? 8 : 1);
	switch (field->type) {
	case FIELD_UUID:
	case FIELD_LOG:
		v->p = lab.ids[take(f, 1) % LAB_IDS];
		v->n = 16;
		return;
	case FIELD_MONEY:
		v->p = (const uint8_t *)((how & 4) != 0 ? "EUR" : "XTS");
		v->n = 3;
		return;
	case FIELD_INT:
	case FIELD_ENUM:
		return;
	default:
		take_text(f, v);
	}
}

static void send_request(struct api_req *q)
{
	static uint8_t body[MSG_BODY_MAX];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	apimsg_put_req(&w, q);
	must(w.err == KE_OK);
	lab.sent++;
	must(msg_send(lab.net, MSG_API_REQ, lab.sent, body, w.len, -1) == KE_OK);
}

static void set_token(struct api_req *q, size_t who)
{
	if (who >= 3)
		return;
	q->token = (const uint8_t *)lab.token[who];
	q->token_len = strlen(lab.token[who]);
}

/* A request with its fields as the row has them; their values may be none of the row's. */
static void request(struct feed *f)
{
	static const char *const keys[] = {"", "one", "two", "three"};
	struct api_req q = {.route = (uint16_t)(take(f, 1) % ROUTE_COUNT)};
	const struct route *row = &route_table[q.route];
	uint8_t how = (uint8_t)take(f, 1);

	set_token(&q, how & 3);
	q.idem = (const uint8_t *)keys[how >> 2 & 3];
	q.idem_len = strlen(keys[how >> 2 & 3]);
	q.if_match = how >> 4 & 3;
	q.address[15] = how >> 6;
	for (size_t i = 0; row->fields[i].name != NULL; i++)
		take_value(f, &row->fields[i], &q.v[i]);
	send_request(&q);
}

/* Any bytes as any message, over the channel of any peer but hsm; legible only at times. */
static void anything(struct feed *f)
{
	const struct {
		enum role role;
		int fd;
	} from[] = {{ROLE_NET, lab.net}, {ROLE_KDF, lab.kdf}, {ROLE_CTL, lab.ctl}};
	size_t which = take(f, 1) % 3, rules, n;
	const struct msg_rule *rule = msg_rules(&rules);
	const uint8_t *body;

	rule += take(f, 1) % rules;
	body = take_bytes(f, 255, &n);
	/* it must find a request answered: count what will be legible at least as a message */
	if (rule->type == MSG_API_REQ && from[which].role == ROLE_NET)
		lab.sent++;
	(void)!msg_send(from[which].fd, rule->type, lab.sent, body, n, -1);
}

static void put_import(struct feed *f, struct wire_out *w)
{
	static const uint8_t box[80];
	struct api_value a = {0};

	wire_put_u8(w, (uint8_t)take(f, 1));
	wire_put_u8(w, (uint8_t)take(f, 1));
	wire_put_u64(w, take(f, 2));
	take_text(f, &a);
	wire_put_str(w, a.p, a.n);
	wire_put_u8(w, (uint8_t)take(f, 1));
	wire_put_raw(w, box, sizeof box);
	take_text(f, &a);
	wire_put_str(w, a.p, a.n);
}

static void control(struct feed *f)
{
	static const uint16_t types[] = {MSG_CTL_ADMIN, MSG_CTL_ROLES, MSG_CTL_STATUS, MSG_CTL_KEYS,
	    MSG_CTL_PROPOSALS, MSG_CTL_PROPOSE, MSG_CTL_IMPORT_KEY, MSG_CTL_IMPORT};
	uint8_t body[1024];
	struct api_value a = {0}, b = {0};
	struct wire_out w;
	uint16_t type = types[take(f, 1) % 8];

	wire_out_init(&w, body, sizeof body);
	if (type == MSG_CTL_PROPOSE) {
		wire_put_u8(&w, (uint8_t)take(f, 1));
		wire_put_u8(&w, (uint8_t)take(f, 1));
		wire_put_u32(&w, (uint32_t)take(f, 1));
		wire_put_u64(&w, take(f, 2));
	}
	if (type == MSG_CTL_IMPORT)
		put_import(f, &w);
	if (type <= MSG_CTL_ROLES || type == MSG_CTL_PROPOSE) {
		take_text(f, &a);
		wire_put_str(&w, a.p, a.n);
	}
	if (type == MSG_CTL_PROPOSE)
		wire_put_cstr(&w, take(f, 1) % 2 == 0 ? "" : "alice");
	if (type == MSG_CTL_ADMIN) {
		take_text(f, &b);
		wire_put_str(&w, b.p, b.n);
	} else if (type == MSG_CTL_ROLES) {
		wire_put_u8(&w, (uint8_t)take(f, 1));
	}
	if (w.err == KE_OK)
		(void)!msg_send(lab.ctl, type, 7, body, w.len, -1);
}

static void answer(struct feed *f)
{
	uint8_t how = (uint8_t)take(f, 1);
	const uint8_t *body;
	size_t n;

	if ((how & 3) < 2) {
		(void)lab_reply(KE_OK, NULL, 0);
		return;
	}
	if ((how & 3) == 2) {
		(void)lab_reply(-(int)(how >> 2), NULL, 0);
		return;
	}
	body = take_bytes(f, 255, &n);
	(void)lab_reply((how & 4) != 0 ? KE_OK : -(int)(how >> 3), body, n);
}

static void lose(struct feed *f)
{
	switch (take(f, 1) % 5) {
	case 0:
		lab_join(ROLE_NET, &lab.net);
		lab.answered = lab.sent;
		break;
	case 1:
		lab_join(ROLE_KDF, &lab.kdf);
		break;
	case 2:
		lab_join(ROLE_HSM, &lab.hsm);
		break;
	case 3:
		lab_join(ROLE_CTL, &lab.ctl);
		break;
	default:
		lab.now_ms += (int64_t)take(f, 2) * 10;
		job_expire(&lab.e, lab.now_ms);
		ctl_expire(&lab.e, lab.now_ms);
		hsm_tick(&lab.e);
		kdf_tick(&lab.e);
		quorum_tick(&lab.e);
		rewrap_tick(&lab.e);
		payout_tick(&lab.e);
	}
}

/* --- people, money and raffles, by the front door --- */

static void settle(void)
{
	do
		lab_pump();
	while (lab_reply(KE_OK, NULL, 0));
	lab_pump();
	must(lab.answered == lab.sent);
}

static struct api_value text(const char *s)
{
	return (struct api_value){.present = true, .p = (const uint8_t *)s, .n = strlen(s)};
}

static struct api_value number(int64_t i)
{
	return (struct api_value){.present = true, .i = i};
}

static struct api_value id(size_t i)
{
	return (struct api_value){.present = true, .p = lab.ids[i], .n = 16};
}

static void ask_as(
    enum route_id route, size_t who, const char *key, const struct api_value *v, size_t n)
{
	struct api_req q = {.route = (uint16_t)route, .idem = (const uint8_t *)key};

	q.idem_len = strlen(key);
	set_token(&q, who);
	memcpy(q.v, v, n * sizeof *v);
	send_request(&q);
	settle();
}

static void ask(enum route_id route, size_t who, const struct api_value *v, size_t n)
{
	ask_as(route, who, "made", v, n);
}

static void make_people(void)
{
	static const char *const who[] = {
	    "ada@klero.example", "bob@klero.example", "admin@klero.example"};
	static const uint8_t admin[] = "\x13\0admin@klero.example\x08";

	for (size_t i = 0; i < 3; i++) {
		struct api_value v[] = {text(who[i]), text("correct horse battery")};

		ask(RT_register, 9, v, 2);
		if (i == 2)
			must(msg_send(lab.ctl, MSG_CTL_ROLES, 1, admin, sizeof admin - 1, -1) ==
			     KE_OK);
		settle();
		ask(RT_login, 9, v, 2);
	}
	must(lab.sessions == 3 && lab.e.quorum.known);
}

/* Returns the place of the id that the request made: the last one before any audit or transfer. */
static void make_money(size_t who)
{
	struct api_value money = text("EUR"), v[2];
	size_t made = lab.nids;

	money.i = 100000;
	v[0] = money;
	v[1] = number(0);
	ask(RT_deposit, who, v, 2);
	must(lab.nids > made);
	v[0] = id(made);
	ask(RT_deposit_confirm, 2, v, 1);
}

static void make_raffle(bool closed)
{
	struct api_value price = text("EUR"), v[16] = {text("A car")};
	size_t made = lab.nids;

	price.i = 100;
	v[2] = price;
	v[3] = number(50);
	v[5] = number(1);
	v[6] = number(1);
	ask(RT_raffle_create, 2, v, 16);
	v[0] = id(made);
	ask(RT_raffle_open, 2, v, 1);
	v[1] = number(3);
	ask(RT_raffle_buy, closed ? 0 : 1, v, 2);
	if (!closed)
		return;
	ask(RT_raffle_close, 2, v, 1);
	v[1] = text("e");
	ask(RT_raffle_entropy, 2, v, 2);
}

/* One of each chain, and a payout of it. */
static void make_pools(void)
{
	struct api_value v[9] = {text("hot"), number(0), number(1)};
	size_t evm = lab.nids, solana;

	ask(RT_pool_create, 2, v, 4);
	v[0] = id(evm);
	v[1] = text("0x52908400098527886e0f7030069857d2e4169ee7");
	v[2] = text("1000000000000000000");
	v[3] = number(0);
	v[4] = number(30);
	v[5] = number(1);
	v[6] = number(21000);
	ask(RT_payout_create, 2, v, 9);
	memset(v, 0, sizeof v);
	v[0] = text("cold");
	v[1] = number(1);
	v[3] = number(2);
	solana = lab.nids;
	ask_as(RT_pool_create, 2, "another", v, 4);
	v[0] = id(solana);
	v[1] = text("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
	v[3] = (struct api_value){0};
	v[7] = number(5000);
	v[8] = v[1];
	ask_as(RT_payout_create, 2, "another", v, 9);
}

/* SQLCipher's own exit handlers and ours leave nothing behind. */
static void leave(void)
{
	char command[160];

	snprintf(command, sizeof command, "rm -rf %s", lab.dir);
	must(system(command) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	lab_init();
	must(atexit(leave) == 0);
	lab_open(DB_CREATE);
	settle();
	make_people();
	make_money(0);
	make_money(1);
	make_raffle(false);
	make_raffle(true);
	make_pools();
	lab_close();
	lab.store = lab_read("klero.db", &lab.store_len);
	lab.check = lab_read("klero.check", &lab.check_len);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct feed *) = {
	    request, request, request, answer, answer, anything, control, lose};
	struct feed f = {data, size};
	int64_t uuid = lab.uuid;

	if (size > 2048)
		return 0;
	lab_write("klero.db", lab.store, lab.store_len);
	lab_write("klero.check", lab.check, lab.check_len);
	lab_open(0);
	for (int i = 0; f.n > 0 && i < 64; i++) {
		steps[take(&f, 1) % 8](&f);
		lab_pump();
	}
	lab_close();
	lab.uuid = uuid;
	return 0;
}
