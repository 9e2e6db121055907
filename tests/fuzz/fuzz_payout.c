/*
 * Fuzz target: what is read of payouts. The first byte says which: 0 the wire form, 1 an amount, 2
 * a limit of klerod.conf, 3 an EVM address. What reads must be written again as it was; a payout
 * that reads has a transaction, and no limit lets more out than it says.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "policy/evm.h"
#include "policy/paylimit.h"
#include "policy/solana.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void wire(const uint8_t *in, size_t n)
{
	uint8_t again[PAYOUT_WIRE_MAX], tx[PAYOUT_TX_MAX], pub[32] = {0};
	struct payout p;
	struct u256 cost;
	size_t len;

	if (payout_get(&p, in, n) != KE_OK)
		return;
	must(payout_put(&p, again, sizeof again, &len) == KE_OK);
	must(len == n && memcmp(again, in, n) == 0);
	if (payout_cost(&p, &cost) == KE_OK)
		must(u256_cmp(&cost, &p.value) >= 0);
	if (p.kind == PAYOUT_EVM)
		must(evm_unsigned(&p, tx, sizeof tx, &len) == KE_OK);
	else
		must(solana_message(&p, pub, tx, sizeof tx, &len) == KE_OK);
}

static void amount(const char *s, size_t n)
{
	char again[U256_TEXT_MAX + 1];
	struct u256 a;

	if (u256_parse(&a, s, n) != KE_OK)
		return;
	must(u256_text(again, &a) == n && memcmp(again, s, n) == 0);
}

static void limit(const char *s, size_t n)
{
	struct paylimit_spent spent = {.start_s = 0};
	char text[PAYLIMIT_TEXT_MAX];
	struct paylimit l;

	if (n >= sizeof text)
		return;
	memcpy(text, s, n);
	text[n] = '\0';
	if (paylimit_parse(&l, text) != KE_OK)
		return;
	for (int i = 0; i < 8; i++)
		if (paylimit_spend(&l, &spent, &l.each, 1000000000) != KE_OK)
			break;
	must(u256_cmp(&spent.sum, &l.total) <= 0);
}

static void address(const char *s, size_t n)
{
	char again[EVM_ADDRESS_TEXT + 1];
	uint8_t raw[20];

	if (evm_address_parse(raw, s, n) != KE_OK)
		return;
	evm_address_text(again, raw);
	must(n == EVM_ADDRESS_TEXT);
	for (size_t i = 0; i < n; i++)
		must(tolower((unsigned char)s[i]) == tolower((unsigned char)again[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 4) {
	case 0:
		wire(data + 1, size - 1);
		break;
	case 1:
		amount((const char *)data + 1, size - 1);
		break;
	case 2:
		limit((const char *)data + 1, size - 1);
		break;
	default:
		address((const char *)data + 1, size - 1);
	}
	return 0;
}
