/*
 * The purposes of keys: see purpose.h.
 */
#include "policy/purpose.h"

#include <string.h>

const char *const purpose_words[KEY_PURPOSES] = {
#define X(name, word, does) word,
    PURPOSES(X)
#undef X
};

const char *purpose_does(enum key_purpose p)
{
	static const char *const does[KEY_PURPOSES] = {
#define X(name, word, does) does,
	    PURPOSES(X)
#undef X
	};

	return does[p];
}

enum key_purpose purpose_of(const char *word, size_t n)
{
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if (strlen(purpose_words[i]) == n && memcmp(purpose_words[i], word, n) == 0)
			return (enum key_purpose)i;
	return KEY_PURPOSES;
}
