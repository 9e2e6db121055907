/*
 * The words that belong to error codes. Pure; linked into every process.
 */
#include "policy/ke.h"

const char *ke_words(int r)
{
	switch (r) {
#define X(name, value, words)                                                                      \
	case value:                                                                                \
		return words;
		KE_LIST(X)
#undef X
	default:
		return "unknown error";
	}
}
