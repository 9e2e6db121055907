/*
 * The way of a request through net: limits, cache, route, validation, engine, answer. Runs in net;
 * the requests are strangers', the answers engine's.
 */
#ifndef DAEMON_NET_FLOW_H
#define DAEMON_NET_FLOW_H

#include <stdint.h>

#include "daemon/api/problem.h"
#include "daemon/net/conn.h"

/* A head with "Expect: 100-continue" is there, its body is not: go on, or refuse at once. */
void flow_expect(struct conn *c, const uint8_t *buf);
/* A whole request is there: answers it, or gives it to engine, or stalls it. */
void flow_request(struct conn *c, const uint8_t *buf);
/* net's own answer to something that is no request, or came too late; the connection closes. */
void flow_refuse(struct conn *c, enum problem p);

/* Engine answered; file is a descriptor or -1 and is taken over. */
void flow_answer(struct conn *c, const struct api_ans *a, int file);
/* Engine did not answer in time, or died; retry_s for Retry-After. The connection goes on. */
void flow_failed(struct conn *c, enum problem p, uint32_t retry_s);

#endif
