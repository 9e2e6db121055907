/*
 * Officers' keys and signatures against OpenSSH itself: ssh-keygen makes keys and signs, and
 * judges what a FIDO authenticator of our own (in software) signs. Then refusals: every single
 * byte changed, every length cut, numbers in other forms, other namespaces, no touch.
 */
#include "tests/unit/ssh_sign.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/hash.h"

#define NS   "kleroterion"
#define TEXT "rotate token\n"
#define APP  "ssh:kleroterion"

static char dir[64];

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/klero-sshsig.XXXXXX");
	return mkdtemp(dir) == NULL || sodium_init() < 0;
}

/* Runs a command in the folder of this test; its exit status. */
static int sh(const char *command)
{
	char line[1024];
	int r;

	snprintf(line, sizeof(line), "cd %s && (%s) >out 2>err </dev/null", dir, command);
	r = system(line);
	return WIFEXITED(r) ? WEXITSTATUS(r) : -1;
}

static int teardown(void **state)
{
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf %s", dir);
	return system(line);
}

static size_t slurp(const char *name, char *buf, size_t cap)
{
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, cap - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n;
}

static void spill(const char *name, const void *p, size_t n)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

/* The raw bytes of a signature; ssh_armor() is the way back, mutations happen in between. */
static size_t raw_of(const char *armor, uint8_t *raw, size_t cap)
{
	char b64[SSH_ARMOR_MAX];
	size_t n = 0, len;

	for (const char *p = strchr(armor, '\n'); p[1] != '-'; p++)
		if (p[0] != '\n')
			b64[n++] = *p;
	/* the loop stops at the last LF before the end line */
	assert_int_equal(text_unb64(raw, cap, &len, b64, n), KE_OK);
	return len;
}

static int verify(const char *armor, size_t n, const char *ns, const char *text, struct ssh_key *k)
{
	return sshsig_verify(k, ns, armor, n, text, strlen(text));
}

static int verify_raw(const uint8_t *raw, size_t n)
{
	char armor[SSH_ARMOR_MAX];
	struct ssh_key k;

	n = ssh_armor(armor, raw, n);
	return verify(armor, n, NS, TEXT, &k);
}

/* A key of this type and its signature over TEXT, by ssh-keygen. */
static size_t keygen_signs(const char *type, const char *options, struct ssh_key *k, char *armor)
{
	char line[512], command[256];
	size_t n;

	snprintf(command, sizeof(command),
	    "rm -f k k.pub m m.sig; ssh-keygen -q -N '' -C 'an officer' -t %s -f k && printf '%s' "
	    ">m && "
	    "ssh-keygen -Y sign -n " NS " %s -f k m",
	    type, "rotate token\\n", options);
	assert_int_equal(sh(command), 0);
	n = slurp("k.pub", line, sizeof(line));
	assert_int_equal(ssh_key_line(k, line, n - 1), KE_OK);
	return slurp("m.sig", armor, SSH_ARMOR_MAX);
}

static void check_refusals(const char *armor)
{
	uint8_t raw[1024];
	size_t n = raw_of(armor, raw, sizeof(raw));

	assert_int_equal(verify_raw(raw, n), KE_OK);
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			raw[i] ^= (uint8_t)(1 << bit);
			assert_int_not_equal(verify_raw(raw, n), KE_OK);
			raw[i] ^= (uint8_t)(1 << bit);
		}
		assert_int_not_equal(verify_raw(raw, i), KE_OK);
	}
	raw[n] = 0;
	assert_int_equal(verify_raw(raw, n + 1), KE_FORMAT);
}

static void check_kind(const char *type, const char *options, enum ssh_kind kind)
{
	char armor[SSH_ARMOR_MAX], print[SSH_PRINT_LEN + 1], line[512];
	struct ssh_key k, signer;
	size_t n = keygen_signs(type, options, &k, armor);

	assert_int_equal(k.kind, kind);
	assert_int_equal(verify(armor, n, NS, TEXT, &signer), KE_OK);
	assert_int_equal(signer.blob_len, k.blob_len);
	assert_memory_equal(signer.blob, k.blob, k.blob_len);
	assert_int_equal(verify(armor, n, NS, "rotate token", &signer), KE_CRYPTO);
	assert_int_equal(verify(armor, n, "file", TEXT, &signer), KE_DENIED);
	check_refusals(armor);
	/* its fingerprint is what OpenSSH shows */
	assert_int_equal(sh("ssh-keygen -l -f k.pub"), 0);
	slurp("out", line, sizeof(line));
	ssh_key_print(print, &k);
	assert_non_null(strstr(line, print));
}

static void test_keygen(void **state)
{
	(void)state;
	check_kind("ed25519", "", SSH_ED25519);
	check_kind("ed25519", "-O hashalg=sha256", SSH_ED25519);
	for (int i = 0; i < 8; i++) /* r and s of other lengths */
		check_kind("ecdsa -b 256", "", SSH_P256);
}

static void test_other_kinds(void **state)
{
	static const char *const types[] = {"rsa -b 2048", "ecdsa -b 384"};
	char command[256], text[SSH_ARMOR_MAX];
	struct ssh_key k;
	size_t n;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
		    "rm -f k k.pub m m.sig; ssh-keygen -q -N '' -t %s -f k && echo >m && "
		    "ssh-keygen -Y sign -n " NS " -f k m",
		    types[i]);
		assert_int_equal(sh(command), 0);
		n = slurp("k.pub", text, sizeof(text));
		/* an RSA blob is longer than any that counts */
		assert_int_not_equal(ssh_key_line(&k, text, n - 1), KE_OK);
		n = slurp("m.sig", text, sizeof(text));
		assert_int_not_equal(verify(text, n, NS, "\n", &k), KE_OK);
	}
}

static void test_lines(void **state)
{
	char line[512];
	struct ssh_key k;
	size_t n;

	(void)state;
	assert_int_equal(sh("rm -f k k.pub; ssh-keygen -q -N '' -C '' -t ed25519 -f k"), 0);
	n = slurp("k.pub", line, sizeof(line)) - 1;
	assert_int_equal(ssh_key_line(&k, line, n), KE_OK);
	for (size_t i = 0; i < strlen("ssh-ed25519 ") + 68; i++)
		assert_int_not_equal(ssh_key_line(&k, line, i), KE_OK);
	line[4] = 'E'; /* the name before the blob */
	assert_int_equal(ssh_key_line(&k, line, n), KE_FORMAT);
	assert_int_equal(ssh_key_line(&k, "", 0), KE_FORMAT);
}

/* Points that are none: not on the curve, compressed, of small order. */
static void test_bad_points(void **state)
{
	static const char ed[] = "\0\0\0\x0bssh-ed25519\0\0\0\x20";
	static const char ec[] = "\0\0\0\x13"
				 "ecdsa-sha2-nistp256\0\0\0\x08nistp256\0\0\0\x41\x04";
	uint8_t blob[128] = {0};
	struct ssh_key k;

	(void)state;
	memcpy(blob, ed, sizeof(ed) - 1);
	assert_int_equal(ssh_key_blob(&k, blob, sizeof(ed) - 1 + 32), KE_FORMAT);
	blob[sizeof(ed) - 1] = 1; /* the neutral element */
	assert_int_equal(ssh_key_blob(&k, blob, sizeof(ed) - 1 + 32), KE_FORMAT);
	memset(blob, 1, sizeof(blob));
	memcpy(blob, ec, sizeof(ec) - 1);
	assert_int_equal(ssh_key_blob(&k, blob, sizeof(ec) - 1 + 64), KE_FORMAT);
}

/* --- a FIDO authenticator in software --- */

struct stick {
	struct ssh_key key;
	uint8_t secret[64]; /* Ed25519 */
	EVP_PKEY *p256;
	uint8_t flags;
};

static void stick_make(struct stick *s, enum ssh_kind kind, const char *app)
{
	const char *name = kind == SSH_SK_P256 ? "sk-ecdsa-sha2-nistp256@openssh.com"
					       : "sk-ssh-ed25519@openssh.com";
	uint8_t blob[256], pub[65];
	size_t n = ssh_put(blob, name, strlen(name)), len = 32;

	s->flags = 1;
	s->p256 = NULL;
	crypto_sign_keypair(pub, s->secret);
	if (kind == SSH_SK_P256) {
		s->p256 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		assert_non_null(s->p256);
		assert_int_equal(EVP_PKEY_get_octet_string_param(
				     s->p256, OSSL_PKEY_PARAM_PUB_KEY, pub, sizeof(pub), &len),
		    1);
		n += ssh_put(blob + n, "nistp256", 8);
	}
	n += ssh_put(blob + n, pub, len);
	n += ssh_put(blob + n, app, strlen(app));
	assert_int_equal(ssh_key_blob(&s->key, blob, n), KE_OK);
	assert_int_equal(s->key.kind, kind);
}

/* A number as mpint writes it. */
static size_t put_number(uint8_t *to, const BIGNUM *v)
{
	uint8_t raw[33] = {0};
	int n = BN_bn2bin(v, raw + 1);
	int pad = (raw[1] & 0x80) != 0;

	return ssh_put(to, raw + 1 - pad, (size_t)(n + pad));
}

static size_t p256_signs(const struct stick *s, uint8_t *to, const uint8_t *tbs, size_t n)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t der[80], rs[80];
	const uint8_t *p = der;
	size_t len = sizeof(der), at;
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, s->p256), 1);
	assert_int_equal(EVP_DigestSign(md, der, &len, tbs, n), 1);
	EVP_MD_CTX_free(md);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	at = put_number(rs, ECDSA_SIG_get0_r(sig));
	at += put_number(rs + at, ECDSA_SIG_get0_s(sig));
	ECDSA_SIG_free(sig);
	return ssh_put(to, rs, at);
}

/* PROTOCOL.sshsig and PROTOCOL.u2f, written again; returns the armor's length. */
static size_t stick_signs(const struct stick *s, char *armor)
{
	uint8_t tbs[256], outer[69], inner[256], sig[64];
	size_t n = ssh_frame(tbs, NS, TEXT, strlen(TEXT)), i;

	hash_sha256(outer, APP, strlen(APP));
	outer[32] = s->flags;
	be_put32(outer + 33, 7);
	hash_sha256(outer + 37, tbs, n);

	i = ssh_put(inner, s->key.blob + 4, be_get32(s->key.blob));
	if (s->p256 != NULL) {
		i += p256_signs(s, inner + i, outer, sizeof(outer));
	} else {
		crypto_sign_detached(sig, NULL, outer, sizeof(outer), s->secret);
		i += ssh_put(inner + i, sig, 64);
	}
	memcpy(inner + i, outer + 32, 5);
	return ssh_envelope(armor, &s->key, NS, inner, i + 5);
}

/* What OpenSSH says of the same signature. */
static int keygen_judges(const struct stick *s, const char *armor, size_t n)
{
	char line[512], b64[400];
	int len;

	text_b64(b64, s->key.blob, s->key.blob_len);
	len = snprintf(line, sizeof(line), "officer %.*s %s\n", (int)be_get32(s->key.blob),
	    (const char *)s->key.blob + 4, b64);
	spill("allowed", line, (size_t)len);
	spill("m.sig", armor, n);
	return sh("printf 'rotate token\\n' | ssh-keygen -Y verify -f allowed -I officer -n " NS
		  " -s m.sig");
}

static void check_stick(enum ssh_kind kind)
{
	char armor[SSH_ARMOR_MAX];
	struct stick s;
	struct ssh_key signer;
	size_t n;

	stick_make(&s, kind, APP);
	n = stick_signs(&s, armor);
	assert_int_equal(verify(armor, n, NS, TEXT, &signer), KE_OK);
	assert_memory_equal(signer.blob, s.key.blob, s.key.blob_len);
	assert_int_equal(keygen_judges(&s, armor, n), 0);
	check_refusals(armor);
	/* verified by the stick's own PIN, but nobody touched it: ssh-keygen lets that pass */
	s.flags = 4;
	n = stick_signs(&s, armor);
	assert_int_equal(verify(armor, n, NS, TEXT, &signer), KE_DENIED);
	EVP_PKEY_free(s.p256);
	/* signed for another application than the key says */
	stick_make(&s, kind, "ssh:other");
	n = stick_signs(&s, armor);
	assert_int_equal(verify(armor, n, NS, TEXT, &signer), KE_CRYPTO);
	EVP_PKEY_free(s.p256);
}

static void test_fido(void **state)
{
	(void)state;
	check_stick(SSH_SK_ED25519);
	for (int i = 0; i < 4; i++)
		check_stick(SSH_SK_P256);
}

/* Other ways to write r: a zero too many, nothing, negative, too long. */
static void test_numbers(void **state)
{
	static const struct {
		const char *r;
		uint8_t n;
	} bad[] = {{"\0\1", 2}, {"\0", 1}, {"", 0}, {"\x80", 1},
	    {"\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33},
	    {"\0\x80"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		34}};
	char armor[SSH_ARMOR_MAX];
	struct ssh_key k;

	(void)state;
	keygen_signs("ecdsa -b 256", "", &k, armor);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t inner[200], rs[100];
		size_t m, v;

		v = ssh_put(rs, bad[i].r, bad[i].n);
		v += ssh_put(rs + v, "\1", 1);
		m = ssh_put(inner, "ecdsa-sha2-nistp256", 19);
		m += ssh_put(inner + m, rs, v);
		m = ssh_envelope(armor, &k, NS, inner, m);
		assert_int_equal(verify(armor, m, NS, TEXT, &k), KE_FORMAT);
	}
}

static void test_armor(void **state)
{
	static const char *const bad[] = {"", "\n", "-----BEGIN SSH SIGNATURE-----\n",
	    "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
	    "-----BEGIN SSH SIGNATURE-----\n????\n-----END SSH SIGNATURE-----\n",
	    "-----BEGIN PGP SIGNATURE-----\nU1NI\n-----END PGP SIGNATURE-----\n",
	    "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAg==\n-----END SSH SIGNATURE-----"};
	char armor[SSH_ARMOR_MAX + 1];
	struct ssh_key k;
	size_t n = keygen_signs("ed25519", "", &k, armor);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(verify(bad[i], strlen(bad[i]), NS, TEXT, &k), KE_OK);
	assert_int_equal(verify(armor, n - 1, NS, TEXT, &k), KE_OK); /* without the last LF */
	assert_int_equal(verify(armor, n - 2, NS, TEXT, &k), KE_FORMAT);
	memset(armor + n, '\n', sizeof(armor) - n);
	assert_int_equal(verify(armor, sizeof(armor), NS, TEXT, &k), KE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keygen),
	    cmocka_unit_test(test_other_kinds),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_bad_points),
	    cmocka_unit_test(test_fido),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_armor),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
