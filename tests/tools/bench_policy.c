/*
 * Times the draw, and writes bundles for timing klero-verify:
 *	bench_policy draw              1,000 winners among 100,000,000 indexes, median of 21 runs
 *	bench_policy bundle N FILE     a valid v1 bundle of N tickets, signed by a throw-away key
 * Prints one line of JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/draw.h"
#include "policy/text.h"
#include "tests/unit/bundle_make.h"

#define RUNS    21
#define WINNERS 1000
#define TICKETS UINT64_C(100000000)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int bench_draw(void)
{
	static uint64_t out[WINNERS];
	uint8_t key[32] = {0};
	int64_t took[RUNS];

	for (int i = 0; i < RUNS; i++) {
		int64_t start = now_ns();

		key[0] = (uint8_t)i;
		if (draw_shuffle(out, WINNERS, TICKETS, key) != KE_OK)
			return 1;
		took[i] = now_ns() - start;
	}
	qsort(took, RUNS, sizeof(took[0]), by_size);
	printf("{\"bench\":\"draw\",\"winners\":%d,\"tickets\":%llu,\"median_ms\":%.4f}\n", WINNERS,
	    (unsigned long long)TICKETS, (double)took[RUNS / 2] / 1e6);
	return 0;
}

static int write_bundle(const char *number, const char *file)
{
	static struct made m;
	uint64_t n;
	FILE *f;
	int r;

	if (text_unu64(&n, number, strlen(number)) != KE_OK || n == 0 || n > 10000000)
		return 2;
	f = fopen(file, "w");
	if (f == NULL || made_init(&m, n, 1000, 100) != 0) {
		perror(file);
		return 1;
	}
	r = made_write(&m, f);
	if (fclose(f) != 0)
		r = -1;
	printf("{\"bench\":\"bundle\",\"tickets\":%llu,\"vkey\":\"%s\"}\n", (unsigned long long)n,
	    m.vkey);
	made_free(&m);
	return r == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "draw") == 0)
		return bench_draw();
	if (argc == 4 && strcmp(argv[1], "bundle") == 0)
		return write_bundle(argv[2], argv[3]);
	fputs("usage: bench_policy draw | bundle N FILE\n", stderr);
	return 2;
}
