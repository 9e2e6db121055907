/*
 * Words, programs and ranks of the roles. Part of the message layer; compiled into every process.
 */
#include "daemon/msg/role.h"

static const struct {
	const char *word, *binary;
	int rank;
} roles[ROLE_COUNT] = {
#define X(name, word, binary, rank) [name] = {word, binary, rank},
    ROLE_LIST(X)
#undef X
};

const char *role_word(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r].word : "nobody";
}

const char *role_binary(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r].binary : "";
}

int role_rank(enum role r)
{
	return (unsigned)r < ROLE_COUNT ? roles[r].rank : -1;
}
