/*
 * PHC strings: see phc.h. Pure.
 */
#include "policy/phc.h"

#include <sodium.h>
#include <stddef.h>
#include <string.h>

#define MEMORY_MIN_KIB (8u * 1024)
#define MEMORY_MAX_KIB (1024u * 1024)
#define PASSES_MAX     10

/* Reads a canonical decimal and the text that must follow it. */
static const char *number(const char *s, const char *then, uint32_t *v)
{
	uint64_t n = 0;
	size_t digits = 0;

	for (; *s >= '0' && *s <= '9' && digits < 9; s++, digits++)
		n = n * 10 + (uint64_t)(*s - '0');
	if (digits == 0 || strncmp(s, then, strlen(then)) != 0)
		return NULL;
	*v = (uint32_t)n;
	return s + strlen(then);
}

int phc_parse(const char *phc, struct phc_cost *cost)
{
	static const char head[] = "$argon2id$v=19$m=";

	*cost = (struct phc_cost){0, 0};
	if (strncmp(phc, head, sizeof head - 1) != 0)
		return KE_FORMAT;
	phc = number(phc + sizeof head - 1, ",t=", &cost->memory_kib);
	if (phc == NULL)
		return KE_FORMAT;
	phc = number(phc, ",p=1$", &cost->passes);
	return phc == NULL ? KE_FORMAT : KE_OK;
}

/* n bytes in base64 without padding, up to the character that must end them; what follows it. */
static const char *bytes(const char *s, char ends, uint8_t *to, size_t n)
{
	const char *end;
	size_t got;

	if (sodium_base642bin(to, n, s, strlen(s), NULL, &got, &end,
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0 ||
	    got != n || *end != ends)
		return NULL;
	return end + 1;
}

int phc_values(const char *phc, uint8_t salt[PHC_SALT], uint8_t hash[PHC_HASH])
{
	const char *s = strstr(phc, ",p=1$");

	if (s == NULL)
		return KE_FORMAT;
	s = bytes(s + strlen(",p=1$"), '$', salt, PHC_SALT);
	return s != NULL && bytes(s, '\0', hash, PHC_HASH) != NULL ? KE_OK : KE_FORMAT;
}

bool phc_bounded(const struct phc_cost *cost)
{
	return cost->memory_kib >= MEMORY_MIN_KIB && cost->memory_kib <= MEMORY_MAX_KIB &&
	       cost->passes >= 1 && cost->passes <= PASSES_MAX;
}

int phc_check(const char *phc)
{
	uint8_t salt[PHC_SALT], hash[PHC_HASH];
	struct phc_cost cost;
	int r = phc_parse(phc, &cost);

	if (r == KE_OK)
		r = phc_values(phc, salt, hash);
	sodium_memzero(hash, sizeof hash);
	return r == KE_OK && phc_bounded(&cost) ? KE_OK : KE_FORMAT;
}
