/*
 * From a parsed HTTP request to the typed values of its route row: path, query, fields that mean
 * something, JSON body. Pure; runs in net on what strangers send. What it lets pass, engine
 * checks again (daemon/api/apimsg.h).
 */
#ifndef DAEMON_NET_REQ_H
#define DAEMON_NET_REQ_H

#include "daemon/api/apimsg.h"
#include "daemon/api/problem.h"
#include "daemon/net/http.h"
#include "policy/json.h"

#define REQ_ERRORS PROBLEM_FIELDS_MAX

/* Working memory and result. One serves all requests of a process, one after the other. */
struct req {
	int route; /* enum route_id, -1: none */
	const struct route *row;
	struct route_param params[ROUTE_PARAMS];
	unsigned allow;     /* methods of the path, for 405 */
	bool bad_token;     /* an Authorization field that holds no bearer token */
	uint32_t seen;      /* bits of the row's fields that came, right or wrong */
	struct api_req api; /* what engine gets; views into the buffer and the arena */
	/* why it is refused */
	enum problem problem;
	const char *detail; /* NULL: the problem's title says it */
	struct problem_field errors[REQ_ERRORS];
	size_t nerrors;
	/* where decoded values stand */
	uint8_t arena[HTTP_BODY_MAX + HTTP_TARGET_MAX];
	size_t used, peak; /* peak: what there is to wipe */
	struct json_tok toks[JSON_TOKENS];
};

/*
 * The three steps, in this order, on a request of which the head (req_body: everything) has been
 * parsed at buf. KE_OK, or KE_DENIED with problem, detail and errors saying why.
 */
int req_route(struct req *q, const struct http *h, const uint8_t *buf) KE_CHECK;
int req_head(struct req *q, const struct http *h, const uint8_t *buf) KE_CHECK;
int req_body(struct req *q, const struct http *h, const uint8_t *buf) KE_CHECK;

/* Wipes the decoded values: passwords were among them. */
void req_wipe(struct req *q);

#endif
