/*
 * The program's own commit and hash: see software.h. Runs in engine.
 */
#include "daemon/engine/software.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <unistd.h>

#include "policy/text.h"

const char *software_commit(void)
{
	return KLERO_COMMIT;
}

static bool hash_file(int fd, uint8_t digest[32])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	uint8_t buf[65536];
	ssize_t n = -1;
	bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1;

	while (ok && (n = read(fd, buf, sizeof buf)) > 0)
		ok = EVP_DigestUpdate(c, buf, (size_t)n) == 1;
	ok = ok && n == 0 && EVP_DigestFinal_ex(c, digest, NULL) == 1;
	EVP_MD_CTX_free(c);
	return ok;
}

void software_hash(char hex[SOFTWARE_HASH])
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t digest[32];

	hex[0] = '\0';
	if (fd < 0)
		return;
	if (hash_file(fd, digest))
		text_hex(hex, digest, sizeof digest);
	close(fd);
}
