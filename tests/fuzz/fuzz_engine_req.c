/*
 * Fuzz target: what a captured net can send to engine. A body that apimsg_get_req() accepts must
 * be one that apimsg_put_req() would have written, with every value as its row allows.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/apimsg.h"
#include "daemon/msg/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_values(const struct api_req *q)
{
	const struct field *f = route_table[q->route].fields;

	for (size_t i = 0; f[i].name != NULL; i++) {
		if (f[i].required && !q->v[i].present)
			abort();
		if (q->v[i].present && !api_value_ok(&f[i], &q->v[i]))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[MSG_BODY_MAX];
	struct api_req q;
	struct wire_in in;
	struct wire_out w;

	if (size > MSG_BODY_MAX)
		return 0;
	wire_in_init(&in, data, size);
	if (apimsg_get_req(&in, &q) != KE_OK)
		return 0;
	check_values(&q);
	wire_out_init(&w, again, sizeof again);
	apimsg_put_req(&w, &q);
	if (w.err != KE_OK || w.len != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
