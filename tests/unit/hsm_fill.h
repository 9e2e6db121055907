/*
 * A token filled inside the test's own process: every key of hsm's and the TLS key too, and the
 * anchor that names them. For tests that bring their own hsm and no keyadm.
 */
#ifndef TESTS_UNIT_HSM_FILL_H
#define TESTS_UNIT_HSM_FILL_H

#include "hsm/p11/class.h"
#include "hsm/p11/data.h"
#include "hsm/p11/make.h"
#include "tests/unit/hsm_fixture.h"

/* ring is what the token holds afterwards, without the class keys. */
__attribute__((unused)) static int fx_fill(struct p11 *p, struct key_ring *ring)
{
	static struct anchor a;
	struct key k;
	uint64_t version;
	int r = KE_OK;

	a = (struct anchor){.serial = 1};
	memcpy(a.appliance, FX_APPLIANCE, 16);
	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++) {
		r = anchor_add(&a, i, 0, &version);
		if (r == KE_OK && !key_is_class(i))
			r = make_key(p, i, 1, &k);
	}
	if (r == KE_OK)
		r = key_ring_find(p, ring);
	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++)
		if (key_is_class(i))
			r = class_make(p, ring, a.appliance, i, 1);
	return r == KE_OK ? data_store(p, &a) : r;
}

#endif
