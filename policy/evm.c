/*
 * Ethereum: see evm.h.
 */
#include "policy/evm.h"

#include <ctype.h>
#include <string.h>

#include "policy/be.h"
#include "policy/keccak.h"
#include "policy/text.h"

#define TYPE_1559 0x02

void evm_address(uint8_t address[20], const uint8_t pub[65])
{
	uint8_t hash[32];

	keccak_256(hash, pub + 1, 64);
	memcpy(address, hash + 12, 20);
}

void evm_address_text(char text[EVM_ADDRESS_TEXT + 1], const uint8_t address[20])
{
	char hex[41];
	uint8_t hash[32];

	text_hex(hex, address, 20);
	keccak_256(hash, hex, 40);
	memcpy(text, "0x", 2);
	for (unsigned i = 0; i < 40; i++) {
		unsigned digit = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;

		text[2 + i] = (char)(digit >= 8 ? toupper((unsigned char)hex[i]) : hex[i]);
	}
	text[EVM_ADDRESS_TEXT] = '\0';
}

int evm_address_parse(uint8_t address[20], const char *s, size_t n)
{
	char low[40], checked[EVM_ADDRESS_TEXT + 1];
	unsigned small = 0, capital = 0;

	if (n != EVM_ADDRESS_TEXT || s[0] != '0' || s[1] != 'x')
		return KE_FORMAT;
	for (unsigned i = 0; i < 40; i++) {
		small += s[2 + i] >= 'a' && s[2 + i] <= 'f';
		capital += s[2 + i] >= 'A' && s[2 + i] <= 'F';
		low[i] = (char)tolower((unsigned char)s[2 + i]);
	}
	if (text_unhex(address, 20, low, sizeof low) != KE_OK)
		return KE_FORMAT;
	evm_address_text(checked, address);
	if (small > 0 && capital > 0 && memcmp(checked, s, EVM_ADDRESS_TEXT) != 0)
		return KE_CRYPTO;
	return KE_OK;
}

/* --- RLP --- */

struct rlp {
	uint8_t *out;
	size_t cap, len;
	int err;
};

static void put(struct rlp *w, const void *p, size_t n)
{
	if (w->err == KE_OK && n > w->cap - w->len)
		w->err = KE_FULL;
	if (w->err != KE_OK || n == 0)
		return;
	memcpy(w->out + w->len, p, n);
	w->len += n;
}

static void put_byte(struct rlp *w, size_t b)
{
	uint8_t byte = (uint8_t)b;

	put(w, &byte, 1);
}

/* A string of less than 56 bytes, as all of ours are; a single byte below 80 is its own form. */
static void put_string(struct rlp *w, const uint8_t *p, size_t n)
{
	if (n != 1 || p[0] >= 0x80)
		put_byte(w, 0x80 + n);
	put(w, p, n);
}

/* A number: big-endian without leading zeros, so that 0 is the empty string. */
static void put_number(struct rlp *w, const uint8_t *be, size_t n)
{
	while (n > 0 && *be == 0) {
		be++;
		n--;
	}
	put_string(w, be, n);
}

static void put_u64(struct rlp *w, uint64_t v)
{
	uint8_t be[8];

	be_put64(be, v);
	put_number(w, be, sizeof be);
}

/* type ‖ the list's head ‖ its items; a list of ours is shorter than 256 bytes. */
static int put_transaction(const struct rlp *items, uint8_t *out, size_t cap, size_t *len)
{
	struct rlp w = {.out = out, .cap = cap, .err = items->err};

	put_byte(&w, TYPE_1559);
	if (items->len > 55)
		put_byte(&w, 0xf8);
	put_byte(&w, items->len > 55 ? items->len : 0xc0 + items->len);
	put(&w, items->out, items->len);
	*len = w.len;
	return w.err;
}

static void put_fields(struct rlp *w, const struct payout *p)
{
	put_u64(w, p->chain_id);
	put_u64(w, p->nonce);
	put_u64(w, p->priority_fee);
	put_u64(w, p->max_fee);
	put_u64(w, p->gas_limit);
	put_string(w, p->to, 20);
	put_number(w, p->value.be, sizeof p->value.be);
	put_byte(w, 0x80); /* data: an empty string */
	put_byte(w, 0xc0); /* access list: an empty list */
}

int evm_unsigned(const struct payout *p, uint8_t *out, size_t cap, size_t *len)
{
	uint8_t items[255];
	struct rlp w = {.out = items, .cap = sizeof items};

	put_fields(&w, p);
	return put_transaction(&w, out, cap, len);
}

int evm_signed(const struct payout *p, const uint8_t sig[64], unsigned odd, uint8_t *out,
    size_t cap, size_t *len)
{
	uint8_t items[255];
	struct rlp w = {.out = items, .cap = sizeof items};

	put_fields(&w, p);
	put_u64(&w, odd);
	put_number(&w, sig, 32);
	put_number(&w, sig + 32, 32);
	return put_transaction(&w, out, cap, len);
}
