/*
 * The keys of the draw in tests/vectors/draw2: of its two logs and of their witness.
 */
#ifndef TESTS_UNIT_TLOG_KEYS_H
#define TESTS_UNIT_TLOG_KEYS_H

#include "policy/note.h"
#include "tests/unit/vectors.h"

struct keys {
	char operator_vkey[256], tickets_vkey[256], witness_vkey[256];
	struct note_key operator_key, tickets_key;
	struct note_key witness;
};

static inline void read_keys(struct keys *k)
{
	struct vectors v;

	vectors_open(&v, "draw2/keys.txt");
	while (vectors_next(&v)) {
		char *to = vectors_is(&v, "operator")  ? k->operator_vkey
			   : vectors_is(&v, "tickets") ? k->tickets_vkey
						       : k->witness_vkey;

		snprintf(to, sizeof(k->operator_vkey), "%s", v.word[1]);
	}
	assert_int_equal(
	    note_vkey_parse(&k->operator_key, k->operator_vkey, strlen(k->operator_vkey)), KE_OK);
	assert_int_equal(
	    note_vkey_parse(&k->tickets_key, k->tickets_vkey, strlen(k->tickets_vkey)), KE_OK);
	assert_int_equal(
	    note_witness_parse(&k->witness, k->witness_vkey, strlen(k->witness_vkey)), KE_OK);
}

#endif
