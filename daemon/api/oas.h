/*
 * Schemas of openapi.json: of the fields that requests have, of problems, and of the objects that
 * answers are. Runs in net, at its start. Pure.
 */
#ifndef DAEMON_API_OAS_H
#define DAEMON_API_OAS_H

#include "daemon/api/route.h"
#include "daemon/api/shape.h"

struct jsonw;

/* "key": { and "key": [ */
void oas_object(struct jsonw *w, const char *key);
void oas_array(struct jsonw *w, const char *key);
/* {"$ref": "#/components/<kind>/<name>"} as the value that is due */
void oas_ref(struct jsonw *w, const char *kind, const char *name);

/* What a schema of a string says; the bounds are of characters. */
void oas_string(struct jsonw *w, int64_t min, int64_t max);
/* The schema of one field as the value that is due. */
void oas_field(struct jsonw *w, const struct field *f);
/* The schema of a list of that shape, with its cursor, as the value that is due. */
void oas_list(struct jsonw *w, enum shape_id shape);
/* components/schemas */
void oas_schemas(struct jsonw *w);

#endif
