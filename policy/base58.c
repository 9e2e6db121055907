/*
 * Base58: see base58.h.
 */
#include "policy/base58.h"

#include <string.h>

static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

size_t base58_put(char *dst, const uint8_t *src, size_t n)
{
	uint8_t digit[BASE58_LEN(BASE58_MAX)] = {0};
	size_t used = 0, zeros = 0, len = 0;

	while (zeros < n && src[zeros] == 0)
		zeros++;
	/* digit[0] is the least; each byte: all digits times 256, plus the byte */
	for (size_t i = zeros; i < n; i++) {
		unsigned carry = src[i];

		for (size_t j = 0; j < used || carry > 0; j++) {
			carry += digit[j] * 256u;
			digit[j] = (uint8_t)(carry % 58);
			carry /= 58;
			used = j >= used ? j + 1 : used;
		}
	}
	while (len < zeros)
		dst[len++] = '1';
	while (used > 0)
		dst[len++] = digits[digit[--used]];
	dst[len] = '\0';
	return len;
}

int base58_get(uint8_t *dst, size_t n, const char *s, size_t len)
{
	size_t ones = 0, zeros = 0;

	memset(dst, 0, n);
	while (ones < len && s[ones] == '1')
		ones++;
	for (size_t i = 0; i < len; i++) {
		const char *p = s[i] == '\0' ? NULL : strchr(digits, s[i]);
		unsigned carry;

		if (p == NULL)
			return KE_FORMAT;
		carry = (unsigned)(p - digits);
		for (size_t j = n; j-- > 0;) {
			carry += dst[j] * 58u;
			dst[j] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry > 0)
			return KE_FORMAT;
	}
	while (zeros < n && dst[zeros] == 0)
		zeros++;
	return ones == zeros ? KE_OK : KE_FORMAT;
}
