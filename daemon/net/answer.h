/*
 * The head of an HTTP answer, written into the same buffer as its body so that both leave in one
 * TLS record where they fit. Runs in net. Pure but for the date it is told.
 * Implements RFC 9110, RFC 6750 section 3 and draft-ietf-httpapi-ratelimit-headers; the security
 * fields are API.md's.
 */
#ifndef DAEMON_NET_ANSWER_H
#define DAEMON_NET_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/rconf.h"

/* More than any head takes: location and origin are bounded, all else is fixed. */
#define ANSWER_HEAD_MAX 6144

enum answer_policy { POLICY_NONE, POLICY_ANONYMOUS, POLICY_AUTH, POLICY_APPROVAL, POLICY_LOGS };

/* What is remembered of a request until its answer leaves. */
struct reply {
	uint8_t request_id[16];
	bool head;      /* HEAD: the answer has no body */
	bool close;     /* the connection ends with it */
	bool open;      /* a log's: for every origin */
	bool fixed;     /* a tile, which stays what it is for ever */
	int8_t origin;  /* index of the allowed origin, -1: none */
	uint8_t policy; /* enum answer_policy: which limit of the address was counted */
	uint32_t remaining, reset_s;
};

/* What the heads of all answers share. */
struct answer_env {
	const struct rconf_net *conf;
	char date[30]; /* IMF-fixdate */
};

/* A document that net holds itself, besides the API: fields of its own. */
struct answer_document {
	const char *type;   /* Content-Type */
	const char *policy; /* Content-Security-Policy */
	const char *tag;    /* ETag */
};

/* What engine does not say: fields of net's own answers. */
struct answer_extra {
	const struct answer_document *document; /* NULL: an answer of the API */
	unsigned allow;                         /* Allow: bits 1 << enum route_method */
	bool preflight;                         /* CORS: the origin may use `allow` */
};

/* Can engine's answer be written? Not with a line break in a Location, which would split the head.
 */
bool answer_ok(const struct api_ans *a);

/* Sets the date that answers carry. */
void answer_date(struct answer_env *env, int64_t unix_s);

/*
 * Writes status line and fields for an answer whose body is body_len (or file_len) bytes long.
 * Returns their length; 0 when cap, which should be ANSWER_HEAD_MAX, is too small. extra may be
 * NULL.
 */
size_t answer_head(const struct answer_env *env, const struct reply *r, const struct api_ans *a,
    const struct answer_extra *extra, char *buf, size_t cap);

#endif
