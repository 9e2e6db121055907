/*
 * policy/origin: the names of the logs, of hosts as long as a name may be, the two names of an
 * appliance's log key, and which origins belong to an operator log.
 */
#include "tests/unit/vectors.h"

#include "policy/origin.h"

#define LONGEST_OPLOG  (NOTE_NAME_MAX - sizeof("/klero") + 1)
#define LONGEST_RAFFLE (NOTE_NAME_MAX - sizeof("/klero/r/") + 1 - 32)

static const uint8_t pub[32] = {7};

static const char *host_of(size_t n)
{
	static char host[NOTE_NAME_MAX + 64];

	memset(host, 'h', n);
	host[n] = '\0';
	return host;
}

static void test_names(void **state)
{
	const struct log_name oplog = {.oplog = true}, raffle = {.raffle = {0xab, [15] = 1}};
	char out[NOTE_NAME_MAX + 1];
	struct note_key k;

	(void)state;
	assert_int_equal(origin_of(&oplog, "a.example", out), KE_OK);
	assert_string_equal(out, "a.example/klero");
	assert_int_equal(origin_of(&raffle, "a.example", out), KE_OK);
	assert_string_equal(out, "a.example/klero/r/ab000000000000000000000000000001");
	assert_int_equal(origin_witness("a.example", out), KE_OK);
	assert_string_equal(out, "a.example/klero/witness");
	assert_int_equal(origin_of(&oplog, host_of(LONGEST_OPLOG), out), KE_OK);
	assert_int_equal(strlen(out), NOTE_NAME_MAX);
	assert_int_equal(origin_of(&oplog, host_of(LONGEST_OPLOG + 1), out), KE_LONG);
	assert_int_equal(origin_of(&raffle, host_of(LONGEST_RAFFLE), out), KE_OK);
	assert_int_equal(origin_of(&raffle, host_of(LONGEST_RAFFLE + 1), out), KE_LONG);
	assert_int_equal(origin_witness(host_of(NOTE_NAME_MAX), out), KE_LONG);
	assert_int_equal(origin_key(&oplog, "a.example", NOTE_ED25519, pub, &k), KE_OK);
	assert_string_equal(k.name, "a.example/klero");
	assert_int_equal(
	    origin_key(&oplog, host_of(LONGEST_OPLOG + 1), NOTE_ED25519, pub, &k), KE_LONG);
}

static struct note_key key_of(const char *name)
{
	struct note_key k = {.type = NOTE_ED25519};

	snprintf(k.name, sizeof k.name, "%s", name);
	memcpy(k.pub, pub, sizeof pub);
	note_key_id(k.id, k.name, k.type, k.pub);
	return k;
}

static void test_two_names(void **state)
{
	const struct note_key oplog = key_of("a.example/klero"),
			      notes = key_of("a.example/klero/log");
	struct note_key k = oplog, other;

	(void)state;
	origin_note_key(&k);
	assert_true(note_key_same(&k, &notes));
	assert_memory_equal(k.id, notes.id, 4);
	origin_note_key(&k); /* as it is */
	assert_true(note_key_same(&k, &notes));
	origin_oplog_key(&k);
	assert_true(note_key_same(&k, &oplog));
	assert_memory_equal(k.id, oplog.id, 4);
	origin_oplog_key(&k);
	assert_true(note_key_same(&k, &oplog));
	/* the ends alone are no names of ours, and a longer name has no room for one */
	k = other = key_of("/klero");
	origin_note_key(&k);
	assert_true(note_key_same(&k, &other));
	k = key_of(host_of(LONGEST_OPLOG));
	memcpy(k.name + LONGEST_OPLOG, "/klero", sizeof("/klero"));
	other = k;
	origin_note_key(&k);
	assert_true(note_key_same(&k, &other));
}

static void test_belongs(void **state)
{
	static const struct {
		const char *origin;
		bool belongs;
	} rows[] = {
	    {"a.example/klero", true},
	    {"a.example/klero/r/abababababababababababababababab", true},
	    {"a.example/klero/r/ABABABABABABABABABABABABABABABAB", false},
	    {"a.example/klero/r/ababababababababababababababab", false},
	    {"a.example/klero/r/abababababababababababababababab0", false},
	    {"a.example/klero/r/", false},
	    {"a.example/klero/log", false},
	    {"a.example/klerox", false},
	    {"a.example/kler", false},
	    {"b.example/klero", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(
		    origin_belongs(rows[i].origin, "a.example/klero"), rows[i].belongs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_two_names),
	    cmocka_unit_test(test_belongs),
	};

	return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
