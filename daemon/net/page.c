/*
 * Who has the page already: see page.h. Runs in net; the field is a stranger's.
 */
#include "daemon/net/page.h"

#include <stdio.h>

#include "daemon/net/hdr.h"

#define TAG_MAX 64

bool page_is(const uint8_t *p, size_t n)
{
	char weak[TAG_MAX];

	snprintf(weak, sizeof weak, "w/%s", page_tag);
	return hdr_lists(p, n, page_tag) || hdr_lists(p, n, weak) || hdr_lists(p, n, "*");
}
