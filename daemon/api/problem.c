/*
 * Problem documents: see problem.h. Runs in net and engine.
 */
#include "daemon/api/problem.h"

#include <stdio.h>

#include "policy/jsonw.h"

const struct problem_row problem_table[PROBLEM_COUNT] = {
#define PROBLEM(symbol, status, code, title) [symbol] = {status, code, title},
#include "daemon/api/problem.def"
#undef PROBLEM
};

void problem_write(struct jsonw *w, enum problem p, const char *host, const char *detail,
    const uint8_t request_id[16], const struct problem_field *fields, size_t nfields)
{
	const struct problem_row *row = &problem_table[p];
	char type[384];

	snprintf(type, sizeof type, "https://%s/problems/%s", host, row->code);
	jsonw_object(w);
	jsonw_kcstr(w, "type", type);
	jsonw_kcstr(w, "title", row->title);
	jsonw_kint(w, "status", row->status);
	jsonw_kcstr(w, "detail", detail != NULL ? detail : row->title);
	jsonw_kcstr(w, "code", row->code);
	jsonw_kuuid(w, "request_id", request_id);
	if (nfields > 0) {
		jsonw_key(w, "errors");
		jsonw_array(w);
		for (size_t i = 0; i < nfields; i++) {
			jsonw_object(w);
			jsonw_kcstr(w, "pointer", fields[i].pointer);
			jsonw_kcstr(w, "code", fields[i].code);
			jsonw_object_end(w);
		}
		jsonw_array_end(w);
	}
	jsonw_object_end(w);
}
