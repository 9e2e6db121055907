/*
 * The roles of users: bits, and the words that tokens, answers and kleroctl use for them. Pure.
 */
#ifndef POLICY_ROLES_H
#define POLICY_ROLES_H

#include <stddef.h>
#include <stdint.h>

#include "policy/ke.h"

/* Roles are bits; a user holds a set of them. */
#define ROLES_LIST(X)                                                                              \
	X(ROLE_BIT_USER, 1, "user")                                                                \
	X(ROLE_BIT_ORGANISER, 2, "organiser")                                                      \
	X(ROLE_BIT_AUDITOR, 4, "auditor")                                                          \
	X(ROLE_BIT_ADMIN, 8, "admin")

enum user_role {
#define X(name, bit, word) name = (bit),
	ROLES_LIST(X)
#undef X
};
#define ROLES_ALL 15

/* The word of one bit, NULL for what is no role. */
const char *roles_word(unsigned bit);

/* The bit of a word of n characters, 0 for what is no role. */
unsigned roles_bit(const char *word, size_t n);

#endif
