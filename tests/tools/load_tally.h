/*
 * What came of the requests of one kind: statuses, and the latencies of the successful ones. For
 * tests/tools/load.c.
 */
#ifndef TESTS_TOOLS_LOAD_TALLY_H
#define TESTS_TOOLS_LOAD_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/tools/load_tls.h"

#define STATUSES_MAX 12

struct tally {
	uint64_t asked, lost, retry_after; /* retry_after: answers with that field */
	struct {
		int status;
		uint64_t n;
	} status[STATUSES_MAX];
	float *ms; /* of each success; a refusal is quick, and would flatter the rest */
	size_t n, cap;
};

static inline void tally_latency(struct tally *t, double ms)
{
	if (t->n == t->cap) {
		t->cap = t->cap != 0 ? 2 * t->cap : 65536;
		t->ms = realloc(t->ms, t->cap * sizeof *t->ms);
		if (t->ms == NULL)
			die("tally", "out of memory");
	}
	t->ms[t->n++] = (float)ms;
}

static inline void tally_answer(struct tally *t, int status, double ms, bool retry_after)
{
	size_t i = 0;

	while (i < STATUSES_MAX - 1 && t->status[i].n != 0 && t->status[i].status != status)
		i++;
	t->status[i].status = status;
	t->status[i].n++;
	t->retry_after += retry_after;
	if (status / 100 == 2)
		tally_latency(t, ms);
}

static inline int tally_by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static inline double tally_quantile(const struct tally *t, double q)
{
	return t->n != 0 ? (double)t->ms[(size_t)(q * (double)(t->n - 1))] : 0;
}

/* As a JSON object. */
static inline void tally_print(struct tally *t)
{
	static const double q[] = {0.5, 0.9, 0.99, 0.999, 1};
	static const char *const name[] = {"p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"};

	if (t->n != 0)
		qsort(t->ms, t->n, sizeof *t->ms, tally_by_size);
	printf("{\"asked\": %llu, \"lost\": %llu, \"retry_after\": %llu, \"status\": {",
	    (unsigned long long)t->asked, (unsigned long long)t->lost,
	    (unsigned long long)t->retry_after);
	for (size_t i = 0; i < STATUSES_MAX && t->status[i].n != 0; i++)
		printf("%s\"%d\": %llu", i != 0 ? ", " : "", t->status[i].status,
		    (unsigned long long)t->status[i].n);
	printf("}");
	for (size_t i = 0; i < sizeof q / sizeof q[0]; i++)
		printf(", \"%s\": %.3f", name[i], tally_quantile(t, q[i]));
	printf("}");
}

#endif
