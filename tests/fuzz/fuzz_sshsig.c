/*
 * Fuzz target: SSH key lines and SSH signatures. The input is a key line, LF, an armored signature
 * over the text "fuzz". A key that parses must parse again from its blob and be equal; a signature
 * that holds must not hold over another text or for another namespace.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/sshsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_key(const struct ssh_key *k)
{
	char print[SSH_PRINT_LEN + 1];
	struct ssh_key again;

	must(k->blob_len <= SSH_BLOB_MAX);
	must(ssh_key_blob(&again, k->blob, k->blob_len) == KE_OK);
	must(again.kind == k->kind && memcmp(again.pub, k->pub, sizeof(k->pub)) == 0);
	ssh_key_print(print, k);
	must(strlen(print) == SSH_PRINT_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data, *lf = memchr(s, '\n', size), *sig;
	struct ssh_key k;
	size_t n;

	if (lf == NULL)
		return 0;
	if (ssh_key_line(&k, s, (size_t)(lf - s)) == KE_OK)
		check_key(&k);
	sig = lf + 1;
	n = size - (size_t)(sig - s);
	if (sshsig_verify(&k, "kleroterion", sig, n, "fuzz", 4) != KE_OK)
		return 0;
	check_key(&k);
	must(sshsig_verify(&k, "kleroterion", sig, n, "fuzZ", 4) == KE_CRYPTO);
	must(sshsig_verify(&k, "kleroterion2", sig, n, "fuzz", 4) == KE_DENIED);
	return 0;
}
