/*
 * A token of the configuration as its role gets it: see conf_token in conf.h. Runs in parent and
 * kleroctl.
 */
#include "daemon/conf/conf.h"

#include <stdio.h>
#include <string.h>

int conf_token(const struct conf *c, const struct conf_token *which, struct rconf_token *t,
    char *why, size_t whylen)
{
	memset(t, 0, sizeof *t);
	memcpy(t->module, c->module, sizeof t->module);
	memcpy(t->label, which->label, sizeof t->label);
	memcpy(t->env, c->module_env, sizeof t->env);
	t->store = c->module_store;
	memcpy(t->params, c->module_params, sizeof t->params);
	if (c->softhsm_conf[0] == '\0')
		return KE_OK;
	for (size_t i = 0; i < RCONF_ENVS; i++) {
		if (t->env[i][0] != '\0')
			continue;
		if (snprintf(t->env[i], RCONF_PATH, "SOFTHSM2_CONF=%s", c->softhsm_conf) <
		    RCONF_PATH)
			return KE_OK;
		break;
	}
	snprintf(why, whylen, "softhsm-conf: its path is too long, or pkcs11-env stands too often");
	return KE_LONG;
}
