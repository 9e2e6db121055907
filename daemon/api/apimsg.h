/*
 * The bodies of API_REQ, API_ANS and NET_STATS: one put and one get each, so that net and engine
 * agree by construction. Runs in net and engine. Engine trusts net for nothing but having
 * received the request: apimsg_get_req() checks every field against the route table again.
 */
#ifndef DAEMON_API_APIMSG_H
#define DAEMON_API_APIMSG_H

#include <stdbool.h>

#include "daemon/api/route.h"
#include "daemon/msg/wire.h"

#define API_TOKEN_MAX 2048
#define API_IDEM_MAX  255
#define API_ETAG_MAX  64

/* One typed value; text points into the message (engine) or the request (net). */
struct api_value {
	bool present;
	int64_t i; /* INT, MONEY amount, ENUM index */
	const uint8_t
	    *p; /* TEXT, SECRET, EMAIL, HEX bytes, CURSOR text, UUID (16 bytes), MONEY currency */
	size_t n;
};

struct api_req {
	uint16_t route;
	uint8_t request_id[16];
	uint8_t address[16]; /* client, IPv4 mapped into IPv6 */
	const uint8_t *token;
	size_t token_len; /* bearer token, 0: none */
	const uint8_t *idem;
	size_t idem_len;                  /* Idempotency-Key without quotes, 0: none */
	int64_t if_match;                 /* version from If-Match, 0: none */
	struct api_value v[ROUTE_FIELDS]; /* in the order of the row's fields */
	const uint8_t *fields;
	size_t fields_len; /* the encoded values: what idempotency compares */
};

/*
 * Is a value what its field allows (size, range, characters)? The one place that says so: net
 * asks it for each value it has read, engine for each that it has received.
 */
bool api_value_ok(const struct field *f, const struct api_value *v);

void apimsg_put_req(struct wire_out *w, const struct api_req *q);
/* KE_PEER when anything is not exactly what the row allows. */
int apimsg_get_req(struct wire_in *r, struct api_req *q) KE_CHECK;

enum api_type {
	API_JSON,
	API_PROBLEM,
	API_TEXT_METRICS,
	API_TEXT,
	API_OCTETS,
	API_LOG_SIZE,
	API_EMPTY
};

#define API_ANS_CACHE   1 /* net may keep it under the row's tag */
#define API_ANS_REPLAY  2 /* Idempotent-Replayed: true */
#define API_ANS_FILE    4 /* the body is the descriptor, file_len bytes of it */
#define API_ANS_AUTHBAD 8 /* the token was refused: net counts it against the address */

struct api_ans {
	uint16_t status;
	uint8_t flags, type;                          /* enum api_type */
	uint32_t retry_after_s;                       /* 0: none */
	uint32_t limit, window_s, remaining, reset_s; /* per-user RateLimit; limit 0: none */
	int64_t version;                              /* ETag "v<version>", 0: none */
	const uint8_t *location;
	size_t location_len; /* Location, 0: none */
	uint64_t file_len;
	const uint8_t *body;
	size_t body_len;
};

void apimsg_put_ans(struct wire_out *w, const struct api_ans *a);
int apimsg_get_ans(struct wire_in *r, struct api_ans *a) KE_CHECK;

/* Counters that only net can count, cumulative since its start. */
struct net_stats {
	uint64_t connections, handshakes, handshake_failures, requests, cache_hits, refused_limit,
	    malformed, timeouts, open;
};

void apimsg_put_stats(struct wire_out *w, const struct net_stats *s);
int apimsg_get_stats(struct wire_in *r, struct net_stats *s) KE_CHECK;

#endif
