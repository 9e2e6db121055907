/*
 * Fuzzes kdf's messages: what a captured engine may send goes through msg_check and the real
 * handler. No input may crash it, make an answer that msg.def does not allow, cost more than the
 * bounds of phc.c, or let a password pass for the hash of another.
 */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/kdf/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char password[] = "correct horse battery staple";
static uint8_t out[MSG_BODY_MAX];

static void must(int ok)
{
	if (!ok)
		abort();
}

/* In the place of Argon2id, which takes milliseconds and is not ours: what it may be asked to do.
 */
int crypto_pwhash_argon2id_str_verify(const char *str, const char *passwd, unsigned long long n)
{
	struct phc_cost cost;

	must(phc_parse(str, &cost) == KE_OK && phc_bounded(&cost));
	must(strlen(str) < crypto_pwhash_STRBYTES);
	return n == sizeof password - 1 && memcmp(passwd, password, (size_t)n) == 0 &&
		       strcmp(str, "$argon2id$v=19$m=8192,t=1,p=1$AAAA$BBBB") == 0
		   ? 0
		   : -1;
}

int crypto_pwhash_argon2id_str(char str[crypto_pwhash_STRBYTES], const char *const passwd,
    unsigned long long n, unsigned long long opslimit, size_t memlimit)
{
	static volatile char sum;

	must(opslimit == 1 && memlimit == 8192 * 1024);
	for (unsigned long long i = 0; i < n; i++)
		sum = (char)(sum + passwd[i]);
	memset(str, 0, crypto_pwhash_STRBYTES);
	memcpy(str, "$argon2id$v=19$m=8192,t=1,p=1$AAAA$BBBB", 40);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t packet[MSG_MAX];
	struct phc_cost cost = {8192, 1};
	struct serve_peer peer = {.who = {.role = ROLE_ENGINE}};
	const struct msg_rule *rule;
	struct wire_out w;
	struct wire_in in;
	struct msg m;
	int r;

	if (size < 1 || size > 4096)
		return 0;
	wire_out_init(&w, packet, sizeof packet);
	wire_put_u16(&w, MSG_VERSION);
	wire_put_u16(&w, (data[0] & 1) != 0 ? MSG_KDF_HASH : MSG_KDF_VERIFY);
	wire_put_u32(&w, (uint32_t)size - 1);
	wire_put_u64(&w, 1);
	wire_put_raw(&w, data + 1, size - 1);
	if (msg_check(packet, w.len, -1, ROLE_KDF, ROLE_ENGINE, RUN, &m) != KE_OK)
		return 0;
	rule = msg_rule((uint16_t)(m.type + 1));
	wire_out_init(&w, out, sizeof out);
	r = kdf_handle(&cost, &peer, &m, &w);
	must(r == KE_OK || r == KE_PEER);
	if (r == KE_PEER)
		return 0;
	must(w.err == KE_OK && w.len >= rule->min && w.len <= rule->max);
	wire_in_init(&in, out, w.len);
	r = wire_get_i32(&in);
	if (m.type == MSG_KDF_VERIFY && r == KE_OK)
		must(memmem(m.body, m.len, password, sizeof password - 1) != NULL);
	must(m.type == MSG_KDF_HASH ? r == KE_OK : r == KE_OK || r == KE_AUTH || r == KE_RANGE);
	return 0;
}
