/*
 * The gate that every request passes: authenticate → authorise → limit → idempotency → the row's
 * handler. Runs in engine, the only place where rights are decided; net is not trusted.
 */
#ifndef DAEMON_ENGINE_API_H
#define DAEMON_ENGINE_API_H

#include "daemon/engine/rq.h"
#include "daemon/msg/msg.h"

/* One handler per row of the route table, named after it. */
#define ROUTE(name, ...) rq_handler api_##name;
#include "daemon/api/route.def"
#undef ROUTE

/* A request from a net; KE_PEER when its body is not what the table allows. */
int api_request(struct engine *e, uint8_t net, const struct msg *m) KE_CHECK;

#endif
