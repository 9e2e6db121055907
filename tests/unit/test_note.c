/*
 * Signed notes: the examples of C2SP and of Go's note package, notes of our own, and refusals.
 */
#include "tests/unit/vectors.h"

#include <sodium.h>

#include "policy/note.h"

#define DASH "\xe2\x80\x94 "

/* c2sp.org/signed-note at 5ba5ee8; golang/mod sumdb/note/example_test.go */
static const struct {
	const char *vkey, *text, *sigs;
} examples[] = {
    {"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	"This is an example message.\n",
	DASH "example.com/foo "
	     "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72I"
	     "neyaQM=\n"},
    {"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
	"If you think cryptography is the answer to your problem,\n"
	"then you don't know what your problem is.\n",
	DASH "PeterNeumann "
	     "x08go/ZJkuBS9UG/"
	     "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"},
};

static int open_note(const char *vkey, const char *text, const char *sigs, size_t *text_len)
{
	struct note_key k;
	char msg[8192];
	int n = snprintf(msg, sizeof(msg), "%s\n%s", text, sigs);

	assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
	return note_open(msg, (size_t)n, &k, text_len);
}

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *vkey = examples[i].vkey;
		struct note_key k;
		char again[400];
		size_t n;

		assert_int_equal(open_note(vkey, examples[i].text, examples[i].sigs, &n), KE_OK);
		assert_int_equal(n, strlen(examples[i].text));
		assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
		assert_int_equal(note_vkey(k.name, k.type, k.pub, again, sizeof(again)), KE_OK);
		assert_string_equal(again, vkey);
		for (size_t cap = 0; cap <= strlen(vkey); cap++)
			assert_int_equal(note_vkey(k.name, k.type, k.pub, again, cap), KE_FULL);
		/* the other example's key signed something else */
		assert_int_equal(
		    open_note(examples[1 - i].vkey, examples[i].text, examples[i].sigs, &n),
		    KE_NOTFOUND);
	}
}

/* Checkpoints of ECDSA logs: Sigstore's and the Pixel's, from transparency-dev/formats' tests. */
static const struct {
	const char *vkey, *text, *sigs;
} ecdsa[] = {
    {"rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK"
     "5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
	"Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n",
	DASH "rekor.sigstore.dev "
	     "wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTU"
	     "RUCRdxwWBHHufk=\n"},
    {"rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK"
     "5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
	"rekor.sigstore.dev - 2605736670972794746\n6915767\n"
	"IDKYzW3/yaZoFrPpz2HKEReyArFz47FmWC3Z9REfsCY=\nTimestamp: 1673599771028600100\n",
	DASH "rekor.sigstore.dev "
	     "wNI9ajBFAiBcmpywRj3UZCOMIzwlHzd5eNYEG1rQgX5VKhHAqM49iQIhAPxul/hYfn7wHRCh8/LTXFpLbB3vi"
	     "eU4mqLEPZSUdX4L\n"},
};

static void test_ecdsa(void **state)
{
	char text[300], again[NOTE_VKEY_MAX], sigs[300];
	struct note_key k;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *vkey = ecdsa[i].vkey;

		assert_int_equal(open_note(vkey, ecdsa[i].text, ecdsa[i].sigs, &n), KE_OK);
		assert_int_equal(n, strlen(ecdsa[i].text));
		assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
		assert_int_equal(k.type, NOTE_ECDSA);
		assert_int_equal(note_vkey(k.name, k.type, k.pub, again, sizeof(again)), KE_OK);
		assert_string_equal(again, vkey);
		/* another text; another signature */
		snprintf(text, sizeof(text), "%s", ecdsa[i].text);
		text[8] ^= 1;
		assert_int_equal(open_note(vkey, text, ecdsa[i].sigs, &n), KE_CRYPTO);
		assert_int_equal(open_note(vkey, ecdsa[i].text, ecdsa[1 - i].sigs, &n), KE_CRYPTO);
		/* a byte more behind the DER: another text of the same signature, and refused */
		snprintf(sigs, sizeof(sigs), "%s", ecdsa[i].sigs);
		if (i == 1) {
			snprintf(sigs + strlen(sigs) - 1, 6, "AAAA\n");
			assert_int_equal(open_note(vkey, ecdsa[i].text, sigs, &n), KE_CRYPTO);
		}
	}
}

/* Of a verifier key: another curve, a point that is none, an Ed25519 key of this type. */
static void test_bad_ecdsa_vkeys(void **state)
{
	char vkey[NOTE_VKEY_MAX];
	struct note_key k;
	uint8_t pub[NOTE_PUB_MAX];
	size_t at;

	(void)state;
	assert_int_equal(note_vkey_parse(&k, ecdsa[0].vkey, strlen(ecdsa[0].vkey)), KE_OK);
	memcpy(pub, k.pub, sizeof(pub));
	for (at = 0; at < sizeof(pub); at++) {
		pub[at] ^= 1;
		assert_int_equal(note_vkey("a", NOTE_ECDSA, pub, vkey, sizeof(vkey)), KE_OK);
		assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_FORMAT);
		pub[at] ^= 1;
	}
	assert_int_equal(note_vkey("a", NOTE_ECDSA, pub, vkey, sizeof(vkey)), KE_OK);
	assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
	/* any other byte of the encoding */
	for (at = 11; at < 11 + 36; at++) {
		char had = vkey[at];

		vkey[at] = had == 'B' ? 'C' : 'B';
		assert_int_not_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
		vkey[at] = had;
	}
	/* cut */
	for (at = 0; at < strlen(vkey); at++)
		assert_int_not_equal(note_vkey_parse(&k, vkey, at), KE_OK);
}

static void test_altered(void **state)
{
	char sigs[256];
	size_t n;

	(void)state;
	assert_int_equal(
	    open_note(examples[0].vkey, "This is an example message!\n", examples[0].sigs, &n),
	    KE_CRYPTO);
	memcpy(sigs, examples[0].sigs, strlen(examples[0].sigs) + 1);
	sigs[60] = sigs[60] == 'A' ? 'B' : 'A';
	assert_int_equal(open_note(examples[0].vkey, examples[0].text, sigs, &n), KE_CRYPTO);
	/* one wrong signature by the key outweighs a good one, in either order */
	for (int first = 0; first < 2; first++) {
		char both[600];

		snprintf(both, sizeof(both), "%s%s", first ? sigs : examples[0].sigs,
		    first ? examples[0].sigs : sigs);
		assert_int_equal(
		    open_note(examples[0].vkey, examples[0].text, both, &n), KE_CRYPTO);
	}
}

/* Signatures by other keys, of any length, before and after ours. */
static void test_other_signatures(void **state)
{
	char many[4096], *p = many;
	size_t n;

	(void)state;
	p += snprintf(p, 200, DASH "example.com/foo AAAAAAA=\n");
	p += snprintf(p, 200, DASH "other.example AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
	p += snprintf(p, 400, "%s", examples[0].sigs);
	snprintf(p, 400, "%s", examples[1].sigs);
	assert_int_equal(open_note(examples[0].vkey, examples[0].text, many, &n), KE_OK);
	assert_int_equal(n, strlen(examples[0].text));
	p = many;
	for (int i = 0; i < NOTE_SIGS_MAX; i++)
		p += snprintf(p, 200, DASH "o%d AAAAAAAA\n", i);
	assert_int_equal(open_note(examples[0].vkey, examples[0].text, many, &n), KE_NOTFOUND);
	snprintf(p, 200, DASH "more AAAAAAAA\n");
	assert_int_equal(open_note(examples[0].vkey, examples[0].text, many, &n), KE_FORMAT);
	/* ours, but too short: it is wrong, not another's */
	assert_int_equal(open_note(examples[0].vkey, examples[0].text,
			     DASH "example.com/foo Uw2QOkn8srV1\n", &n),
	    KE_CRYPTO);
}

static void test_no_note(void **state)
{
	static const char *const bad_sigs[] = {
	    "",
	    "\n",
	    "x\n",
	    "- example.com/foo AAAAAAAA\n",
	    DASH "\n",
	    DASH "name\n",
	    DASH " AAAAAAAA\n",
	    DASH "name  AAAAAAAA\n",
	    DASH "name AAAAAAAA \n",
	    DASH "name AAAAAAAA",
	    DASH "name AAAA\n",
	    DASH "name A\n",
	    DASH "name AAAAAAA\n",
	    DASH "na+me AAAAAAAA\n",
	    DASH "na\xc2\xa0me AAAAAAAA\n",
	    DASH "na\xe2\x80\x83me AAAAAAAA\n",
	    DASH "na\xe3\x80\x80me AAAAAAAA\n",
	    DASH "na\tme AAAAAAAA\n",
	    DASH "na\xff"
		 "me AAAAAAAA\n",
	    DASH "name AAAAAAAA\nmore\n",
	};
	const char *vkey = examples[0].vkey;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_sigs) / sizeof(bad_sigs[0]); i++)
		if (open_note(vkey, "text\n", bad_sigs[i], &n) != KE_FORMAT)
			fail_msg("accepted %zu: %s", i, bad_sigs[i]);
	assert_int_equal(open_note(vkey, "no end", DASH "name AAAAAAAA\n", &n), KE_FORMAT);
	assert_int_equal(open_note(vkey, "tab\t\n", DASH "name AAAAAAAA\n", &n), KE_FORMAT);
	assert_int_equal(open_note(vkey, "\xff\n", DASH "name AAAAAAAA\n", &n), KE_FORMAT);
	assert_int_equal(open_note(vkey, "text\n", DASH "name AAAAAAAA\n", &n), KE_NOTFOUND);
	assert_int_equal(open_note(vkey, "te\n\nxt\n", DASH "name AAAAAAAA\n", &n), KE_NOTFOUND);
	assert_int_equal(n, 7);
}

static void test_bad_vkeys(void **state)
{
	static const char *const bad[] = {
	    "",
	    "example.com/foo",
	    "example.com/foo+530d903a",
	    "example.com/foo+530d903a+",
	    "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
	    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2kAAAA",
	    "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
	    "example.com/foo+530d903aaAekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "example.com/\xc3+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "a\xe2\x80\x8a"
	    "b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "a\xe2\x80\xaf"
	    "b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	    "a\xc2\xa0"
	    "b+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
	};
	/* not ASCII, and no space: U+2010, U+00E9, U+3042 */
	static const char *const names[] = {"a\xe2\x80\x90z", "caf\xc3\xa9", "\xe3\x81\x82"};
	/* a witness' cosignature key, type 4 */
	static const char witness[] =
	    "witness.example.org/w1+cc1e04e3+BJEGiZQtymtMS6cv8kRTSlYQIyeZqlxoo97P228IL365";
	char long_name[NOTE_NAME_MAX + 2], vkey[400];
	uint8_t pub[32] = {1};
	struct note_key k;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (note_vkey_parse(&k, bad[i], strlen(bad[i])) != KE_FORMAT)
			fail_msg("accepted %s", bad[i]);
	assert_int_equal(note_vkey_parse(&k, witness, strlen(witness)), KE_VERSION);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(note_vkey(names[i], NOTE_ED25519, pub, vkey, sizeof(vkey)), KE_OK);
		assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
		assert_string_equal(k.name, names[i]);
	}
	memset(long_name, 'n', sizeof(long_name));
	long_name[NOTE_NAME_MAX + 1] = '\0';
	assert_int_equal(note_vkey(long_name, NOTE_ED25519, pub, vkey, sizeof(vkey)), KE_OK);
	assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_FORMAT);
	long_name[NOTE_NAME_MAX] = '\0';
	assert_int_equal(note_vkey(long_name, NOTE_ED25519, pub, vkey, sizeof(vkey)), KE_OK);
	assert_int_equal(note_vkey_parse(&k, vkey, strlen(vkey)), KE_OK);
	assert_string_equal(k.name, long_name);
}

static void test_own(void **state)
{
	static const char text[] = "kleroterion/v1 draw\n\nwith an empty line\n";
	uint8_t seed[32] = {4}, pub[32], secret[64], sig[64], id[4];
	char vkey[400], line[512];
	size_t n;

	(void)state;
	crypto_sign_seed_keypair(pub, secret, seed);
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, strlen(text), secret);
	note_key_id(id, "a/klero/log", NOTE_ED25519, pub);
	assert_int_equal(note_vkey("a/klero/log", NOTE_ED25519, pub, vkey, sizeof(vkey)), KE_OK);
	assert_int_equal(
	    note_sig_line("a/klero/log", NOTE_ED25519, id, sig, line, sizeof(line), &n), KE_OK);
	assert_int_equal(n, strlen(line));
	assert_int_equal(open_note(vkey, text, line, &n), KE_OK);
	assert_int_equal(n, strlen(text));
	for (size_t cap = 0; cap <= strlen(line); cap++) {
		char small[512];

		assert_int_equal(
		    note_sig_line("a/klero/log", NOTE_ED25519, id, sig, small, cap, &n), KE_FULL);
	}
}

/* Out of several signatures that of one key, and who has signed under a name. */
static void test_signature(void **state)
{
	static const char text[] = "text\n";
	uint8_t seed[32] = {4}, pub[32], secret[64], sig[64], got[NOTE_SIG_MAX], id[4];
	struct note_key k = {.name = "a/klero/log", .type = NOTE_ED25519}, other;
	char note[1024];
	size_t n, line, len;

	(void)state;
	crypto_sign_seed_keypair(pub, secret, seed);
	crypto_sign_detached(sig, NULL, (const uint8_t *)text, strlen(text), secret);
	memcpy(k.pub, pub, 32);
	note_key_id(k.id, k.name, k.type, k.pub);
	n = (size_t)snprintf(note, sizeof(note), "%s\n" DASH "b/klero AAAAAAAA\n", text);
	assert_int_equal(
	    note_sig_line(k.name, k.type, k.id, sig, note + n, sizeof(note) - n, &line), KE_OK);
	n += line;
	assert_int_equal(note_signature(note, n, &k, got, &len), KE_OK);
	assert_int_equal(len, 64);
	assert_memory_equal(got, sig, 64);
	assert_int_equal(note_signer(note, n, k.name, id), KE_OK);
	assert_memory_equal(id, k.id, 4);
	other = k;
	other.id[0] ^= 1;
	assert_int_equal(note_signature(note, n, &other, got, &len), KE_NOTFOUND);
	assert_int_equal(note_signer(note, n, "c/klero", id), KE_NOTFOUND);
	assert_int_equal(note_signature(note, n - 1, &k, got, &len), KE_FORMAT);
	assert_int_equal(note_signature(text, strlen(text), &k, got, &len), KE_FORMAT);
	assert_int_equal(note_signer(text, strlen(text), k.name, id), KE_FORMAT);
	/* keys of one name and two types */
	other = k;
	other.type = NOTE_COSIGN;
	assert_false(note_key_same(&k, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_ecdsa),
	    cmocka_unit_test(test_bad_ecdsa_vkeys),
	    cmocka_unit_test(test_altered),
	    cmocka_unit_test(test_other_signatures),
	    cmocka_unit_test(test_no_note),
	    cmocka_unit_test(test_bad_vkeys),
	    cmocka_unit_test(test_own),
	    cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
