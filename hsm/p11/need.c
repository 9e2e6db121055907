/*
 * need.def as a table, and the complaint of a start: see need.h and p11.h. Runs in hsm, tlskey,
 * keyadm and kleroctl.
 */
#include "hsm/p11/need.h"

#include <stdio.h>

#define KEYS (1u << P11_NEED_KEYS)
#define TLS  (1u << P11_NEED_TLS)
#define BOTH (KEYS | TLS)
#define MUST true
#define LESS false

const struct need_row need_rows[NEEDS] = {
#define NEED(id, who, weight, mech, name, gives, missing)                                          \
	[NEED_##id] = {#id, who, weight, mech, #mech, name, gives, missing},
#include "hsm/p11/need.def"
#undef NEED
};

bool need_is_for(const struct need_row *row, enum p11_need what)
{
	return (row->who & 1u << what) != 0;
}

/* Two numbers are in use for RFC 5649; which is right is tried after the login. */
static int has(struct p11 *p, CK_MECHANISM_TYPE mech, bool *yes)
{
	int r = p11_has(p, mech, yes);

	if (r == KE_OK && !*yes && mech == CKM_AES_KEY_WRAP_PAD)
		r = p11_has(p, P11_AES_KEY_WRAP_KWP, yes);
	return r;
}

int p11_need(struct p11 *p, enum p11_need what)
{
	char list[200] = "";
	size_t used = 0;

	for (size_t i = 0; i < NEEDS; i++) {
		const struct need_row *row = &need_rows[i];
		bool yes = true;
		int r = KE_OK;

		if (row->mech != 0 && row->must && need_is_for(row, what))
			r = has(p, row->mech, &yes);
		if (r != KE_OK)
			return r;
		if (!yes && used < sizeof list)
			used += (size_t)snprintf(list + used, sizeof list - used, "%s%s (%s)",
			    used > 0 ? ", " : "", row->mech_name, row->missing);
	}
	if (used > 0)
		return p11_fail(
		    p, KE_NOTFOUND, "token %s lacks %s; use another HSM", p->label, list);
	return KE_OK;
}
