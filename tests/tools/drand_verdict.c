/*
 * What policy/drand says of rounds that somebody else has made: the other side of
 * tests/beacon/oracle.mjs.
 *	drand_verdict            reads lines of "public key, round, signature, verdict" (hex,
 *decimal, hex, 1 or 0); names those on which it differs; how many they are is the last line
 *drand_verdict bench milliseconds of one verification, median of 41, as a line of JSON
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/drand.h"
#include "policy/text.h"

#define RUNS 41

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* quicknet's first round */
static int bench(void)
{
	static const char hex[] = "b55e7cb2d5c613ee0b2e28d6750aabbb78c39dcc96bd9d38c2c2e12198df9557"
				  "1de8e8e402a0cc48871c7089a2b3af4b";
	uint8_t signature[BLS_SIG_LEN];
	double took[RUNS];

	if (text_unhex(signature, sizeof signature, hex, sizeof hex - 1) != KE_OK)
		return 1;
	for (int i = 0; i < RUNS; i++) {
		double start = now_ms();

		if (drand_verify(&drand_quicknet, 1, signature, sizeof signature) != KE_OK)
			return 1;
		took[i] = now_ms() - start;
	}
	qsort(took, RUNS, sizeof took[0], by_size);
	printf("{\"bench\":\"drand\",\"median_ms\":%.2f}\n", took[RUNS / 2]);
	return 0;
}

/* True when both say the same. */
static int agrees(char *line)
{
	char *pub = strtok(line, " "), *round = strtok(NULL, " "), *sig = strtok(NULL, " ");
	const char *verdict = strtok(NULL, " \n");
	struct drand_chain c = drand_quicknet;
	uint8_t bytes[BLS_SIG_LEN + 8];
	size_t n;
	bool good;

	if (verdict == NULL)
		return 0;
	n = strlen(sig) / 2;
	if (n > sizeof bytes || text_unhex(c.pub, BLS_PUB_LEN, pub, strlen(pub)) != KE_OK ||
	    text_unhex(bytes, n, sig, strlen(sig)) != KE_OK)
		return 0;
	good = drand_verify(&c, strtoull(round, NULL, 10), bytes, n) == KE_OK;
	return good == (verdict[0] == '1');
}

int main(int argc, char **argv)
{
	static char line[1024], kept[1024];
	unsigned all = 0, differ = 0, good = 0;

	if (argc == 2 && strcmp(argv[1], "bench") == 0)
		return bench();
	while (fgets(line, sizeof line, stdin) != NULL) {
		memcpy(kept, line, sizeof kept);
		all++;
		good += line[strcspn(line, "\n") - 1] == '1';
		if (agrees(line))
			continue;
		differ++;
		printf("differs: %s", kept);
	}
	printf("%u rounds, %u of them good, %u verdicts differ\n", all, good, differ);
	return differ != 0;
}
