/*
 * Fuzz target: engine's answer as net reads it, and the head that net writes from it: always
 * whole lines, one empty line, at its end, and never more than its bound.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void check_head(const char *p, size_t n)
{
	must(n > 4 && n <= ANSWER_HEAD_MAX && memcmp(p, "HTTP/1.1 ", 9) == 0);
	must(memcmp(p + n - 4, "\r\n\r\n", 4) == 0);
	must(memmem(p, n - 1, "\r\n\r\n", 4) == NULL);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '\r')
			must(p[i + 1] == '\n');
		else if (c == '\n')
			must(i > 0 && p[i - 1] == '\r');
		else
			must(c >= 0x20 && c < 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rconf_net conf = {.origins = {"https://a.example"},
	    .anonymous = {100, 900},
	    .auth = {5, 900},
	    .approval = {30, 900}};
	static struct answer_env env = {.conf = &conf};
	static char head[ANSWER_HEAD_MAX];
	struct answer_extra extra = {0};
	struct reply reply = {.origin = -1};
	struct api_ans a;
	struct wire_in r;

	if (size < 2)
		return 0;
	reply.head = data[0] & 1;
	reply.close = (data[0] & 2) != 0;
	reply.origin = (data[0] & 4) != 0 ? 0 : -1;
	reply.policy = (data[0] >> 3) % 3;
	extra.allow = data[1] & 31u;
	extra.preflight = (data[1] & 32) != 0;
	answer_date(&env, 1700000000);
	wire_in_init(&r, data + 2, size - 2);
	if (apimsg_get_ans(&r, &a) != KE_OK || !answer_ok(&a))
		return 0;
	check_head(head, answer_head(&env, &reply, &a, &extra, head, sizeof head));
	return 0;
}
