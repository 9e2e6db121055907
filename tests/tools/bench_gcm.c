/*
 * The module's own bare loop: AES-256-GCM, encrypt and decrypt again, with a session copy of the
 * master key of a throw-away appliance, nothing of ours around it. What re-sealing is measured
 * against (tests/bench/reseal.py). SOFTHSM2_CONF is set by the caller.
 *	bench_gcm MODULE TOKEN PIN-FILE BYTES SECONDS     pairs per second
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hsm/p11/key.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench_gcm: %s\n", what);
	_exit(1);
}

static void pair(struct p11 *p, CK_OBJECT_HANDLE key, uint8_t *plain, CK_ULONG n)
{
	static uint8_t iv[12], aad[64], sealed[4096 + 16], back[4096 + 16];
	CK_GCM_PARAMS g = {iv, sizeof iv, sizeof iv * 8, aad, sizeof aad, 128};
	CK_MECHANISM m = {CKM_AES_GCM, &g, sizeof g};
	CK_ULONG len = sizeof sealed, got = sizeof back;

	iv[0]++;
	must(p->f->C_EncryptInit(p->session, &m, key) == CKR_OK &&
		 p->f->C_Encrypt(p->session, plain, n, sealed, &len) == CKR_OK,
	    "C_Encrypt");
	must(p->f->C_DecryptInit(p->session, &m, key) == CKR_OK &&
		 p->f->C_Decrypt(p->session, sealed, len, back, &got) == CKR_OK && got == n,
	    "C_Decrypt");
}

int main(int argc, char **argv)
{
	static uint8_t plain[4096];
	struct p11 p = {.dl = NULL};
	struct key_ring ring;
	char pin[256] = "";
	bool copied;
	FILE *f;
	double from, seconds;
	long n = 0;

	must(argc == 6, "see the head of bench_gcm.c");
	f = fopen(argv[3], "r");
	must(f != NULL && fgets(pin, sizeof pin, f) != NULL, "PIN");
	pin[strcspn(pin, "\n")] = '\0';
	must(p11_load(&p, argv[1], NULL, 0) == KE_OK && p11_open(&p, argv[2], false) == KE_OK &&
		 p11_login(&p, pin) == KE_OK && key_ring_find(&p, &ring) == KE_OK &&
		 key_ring_copy(&p, &ring, &copied) == KE_OK,
	    p.why);
	seconds = atof(argv[5]);
	must(atol(argv[4]) <= (long)sizeof plain, "BYTES");
	for (from = now(); now() - from < seconds; n += 100)
		for (int i = 0; i < 100; i++)
			pair(&p, key_ring_get(&ring, KEY_MASTER, 0)->handle, plain,
			    (CK_ULONG)atol(argv[4]));
	printf("%.0f\n", (double)n / (now() - from));
	fflush(stdout);
	_exit(0);
}
