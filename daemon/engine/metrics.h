/*
 * Counters of engine, written as Prometheus text (exposition format 0.0.4). Labels are the names
 * of the route table and status codes, never anything that a client chose. Runs in engine.
 */
#ifndef DAEMON_ENGINE_METRICS_H
#define DAEMON_ENGINE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/api/route.h"
#include "policy/ke.h"

struct engine;

#define METRICS_STATUSES 16 /* different ones per route */
#define METRICS_BUCKETS  12

enum metric {
	METRIC_TURNS, /* commits that wrote something */
	METRIC_FAILED_TURNS,
	METRIC_TURN_REQUESTS, /* requests in those */
	METRIC_TOKEN_HITS,
	METRIC_TOKEN_MISSES,
	METRIC_TOKENS_REFUSED,
	METRIC_LOGINS_FAILED,
	METRIC_LOGINS_DELAYED,
	METRIC_REFRESH_REUSED,
	METRIC_TICKETS_SOLD,
	METRIC_HSM_CALLS,
	METRIC_HSM_ERRORS,
	METRIC_KDF_CALLS,
	METRIC_KDF_REFUSED,
	METRIC_SEALED_BAD,
	METRIC_BEACON_VALUES,
	METRIC_BEACON_FAILURES,
	METRIC_BEACON_LIES,
	METRIC_COUNT
};

struct metrics_histogram {
	uint64_t bucket[METRICS_BUCKETS + 1]; /* the last is +Inf */
	uint64_t count, sum_us;
};

struct metrics_status {
	uint16_t status;
	uint64_t count;
};

struct metrics {
	uint64_t counter[METRIC_COUNT];
	struct metrics_status status[ROUTE_COUNT][METRICS_STATUSES];
	struct metrics_histogram latency[ROUTE_COUNT], commit;
};

void metrics_count(struct metrics *m, enum metric which);
void metrics_add(struct metrics *m, enum metric which, uint64_t n);
void metrics_request(struct metrics *m, uint16_t route, uint16_t status, int64_t us);
void metrics_commit(struct metrics *m, int64_t us, uint32_t requests);
/* The whole text, within a turn; KE_FULL, or the store's errors. */
int metrics_write(struct engine *e, char *buf, size_t cap, size_t *len) KE_CHECK;

#endif
