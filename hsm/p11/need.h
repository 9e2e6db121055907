/*
 * What the appliance needs of a token: need.def as a table. Part of hsm/p11/; pure.
 */
#ifndef HSM_P11_NEED_H
#define HSM_P11_NEED_H

#include <stdbool.h>

#include "hsm/p11/p11.h"

enum need {
#define NEED(id, who, weight, mech, name, gives, missing) NEED_##id,
#include "hsm/p11/need.def"
#undef NEED
	NEEDS
};

struct need_row {
	const char *word; /* the id, as --json has it */
	unsigned who;     /* bits 1 << enum p11_need */
	bool must;
	CK_MECHANISM_TYPE mech; /* 0 for none */
	const char *mech_name, *name, *gives, *missing;
};

extern const struct need_row need_rows[NEEDS];

/* Is the row for that token? */
bool need_is_for(const struct need_row *row, enum p11_need what);

#endif
