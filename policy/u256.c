/*
 * Amounts of 256 bits: see u256.h.
 */
#include "policy/u256.h"

#include <string.h>

#include "policy/be.h"

struct u256 u256_of(uint64_t v)
{
	struct u256 a = {{0}};

	be_put64(a.be + 24, v);
	return a;
}

int u256_to_u64(const struct u256 *a, uint64_t *v)
{
	for (unsigned i = 0; i < 24; i++)
		if (a->be[i] != 0)
			return KE_RANGE;
	*v = be_get64(a->be + 24);
	return KE_OK;
}

int u256_cmp(const struct u256 *a, const struct u256 *b)
{
	return memcmp(a->be, b->be, sizeof a->be);
}

int u256_add(struct u256 *sum, const struct u256 *a, const struct u256 *b)
{
	struct u256 s;
	unsigned carry = 0;

	for (unsigned i = 32; i-- > 0;) {
		carry += (unsigned)a->be[i] + b->be[i];
		s.be[i] = (uint8_t)carry;
		carry >>= 8;
	}
	if (carry != 0)
		return KE_RANGE;
	*sum = s;
	return KE_OK;
}

/* *a = a * by + plus; what does not fit is returned. */
static uint64_t scale(struct u256 *a, uint32_t by, uint32_t plus)
{
	uint64_t carry = plus;

	for (unsigned i = 32; i-- > 0;) {
		carry += (uint64_t)a->be[i] * by;
		a->be[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry;
}

struct u256 u256_mul(uint64_t a, uint64_t b)
{
	struct u256 product = {{0}}, part;

	/* by the halves of b: 128 bits of product never overflow 256 */
	for (unsigned half = 0; half < 2; half++) {
		part = u256_of(a);
		(void)scale(&part, half == 0 ? (uint32_t)(b >> 32) : (uint32_t)b, 0);
		if (half == 1) {
			memmove(product.be, product.be + 4, 28);
			memset(product.be + 28, 0, 4);
		}
		(void)!u256_add(&product, &product, &part);
	}
	return product;
}

/* *a = a / 10; the remainder is returned. */
static unsigned divide(struct u256 *a)
{
	unsigned rest = 0;

	for (unsigned i = 0; i < 32; i++) {
		rest = rest << 8 | a->be[i];
		a->be[i] = (uint8_t)(rest / 10);
		rest %= 10;
	}
	return rest;
}

size_t u256_text(char dst[U256_TEXT_MAX + 1], const struct u256 *a)
{
	static const struct u256 zero;
	char digits[U256_TEXT_MAX];
	struct u256 left = *a;
	size_t n = 0;

	do
		digits[n++] = (char)('0' + divide(&left));
	while (u256_cmp(&left, &zero) != 0);
	for (size_t i = 0; i < n; i++)
		dst[i] = digits[n - 1 - i];
	dst[n] = '\0';
	return n;
}

int u256_parse(struct u256 *a, const char *s, size_t n)
{
	struct u256 v = {{0}};

	if (n == 0 || n > U256_TEXT_MAX || (s[0] == '0' && n > 1))
		return KE_FORMAT;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return KE_FORMAT;
		if (scale(&v, 10, (uint32_t)(s[i] - '0')) != 0)
			return KE_RANGE;
	}
	*a = v;
	return KE_OK;
}
