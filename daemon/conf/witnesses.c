/*
 * The trust policy of the configuration (c2sp.org/tlog-policy): which witnesses are asked, where,
 * and how many of them are enough. Runs in parent and kleroctl.
 */
#include "daemon/conf/conf.h"

#include <stdio.h>
#include <string.h>

#include "policy/tlog.h"

static int no(char *why, size_t whylen, const char *path, const char *what)
{
	snprintf(why, whylen, "%s: %s", path, what);
	return KE_FORMAT;
}

/* Where each of them is asked; the others only count when somebody else has asked them. */
static int take_urls(struct rconf_witnesses *w, const struct tlog_policy *p)
{
	for (size_t i = 0; i < p->nwitnesses; i++) {
		const struct tlog_url *u = &p->witness_urls[i];

		if (u->n == 0)
			continue;
		if (i >= RCONF_WITNESSES || u->n >= RCONF_PATH || u->n < 9 ||
		    memcmp(u->p, "https://", 8) != 0)
			return KE_FORMAT;
		memcpy(w->urls[i], u->p, u->n);
		/* the path of a request follows */
		if (w->urls[i][u->n - 1] == '/')
			w->urls[i][u->n - 1] = '\0';
	}
	return KE_OK;
}

int conf_witnesses(const struct conf *c, struct rconf_witnesses *w, char *why, size_t whylen)
{
	struct tlog_policy policy;
	size_t n = 0, line = 0;
	int r;

	memset(w, 0, sizeof *w);
	if (c->witness_policy[0] == '\0')
		return KE_OK;
	r = conf_file(c->witness_policy, false, w->policy, sizeof w->policy - 1, &n, why, whylen);
	if (r != KE_OK)
		return r;
	w->policy[n] = '\0';
	if (strlen(w->policy) != n || tlog_policy_parse(&policy, w->policy, n, &line) != KE_OK) {
		snprintf(
		    why, whylen, "%s:%zu: not a line of a tlog-policy", c->witness_policy, line);
		return KE_FORMAT;
	}
	if (take_urls(w, &policy) != KE_OK)
		return no(why, whylen, c->witness_policy,
		    "a witness that is to be asked has an https URL and is one of the first 8");
	return KE_OK;
}
