/*
 * The words of the users' roles: see roles.h. Pure; linked into engine, hsm and kleroctl.
 */
#include "policy/roles.h"

#include <string.h>

static const struct {
	unsigned bit;
	const char *word;
} words[] = {
#define X(name, bit, word) {(bit), (word)},
    ROLES_LIST(X)
#undef X
};

const char *roles_word(unsigned bit)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (words[i].bit == bit)
			return words[i].word;
	return NULL;
}

unsigned roles_bit(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strlen(words[i].word) == n && memcmp(words[i].word, word, n) == 0)
			return words[i].bit;
	return 0;
}
