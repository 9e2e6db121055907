/*
 * PINs that were refused, keys that served: see tokens.h.
 */
#include "daemon/parent/tokens.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/msg/rconf.h"
#include "daemon/msg/wire.h"
#include "daemon/parent/child.h"
#include "daemon/parent/logs.h"
#include "hsm/role/exit.h"

static struct token *token_of(struct parent *p, enum role role)
{
	return &p->tokens.of[role == ROLE_TLSKEY];
}

static void digest(struct parent *p, const char *pin, uint8_t out[TOKEN_HASH])
{
	struct tokens *t = &p->tokens;

	if (!t->keyed)
		randombytes_buf(t->key, sizeof t->key);
	t->keyed = true;
	if (crypto_generichash(
		out, TOKEN_HASH, (const uint8_t *)pin, strlen(pin), t->key, sizeof t->key) != 0)
		fatal("libsodium's hash");
}

int tokens_pin(struct parent *p, enum role role, const char *pin, char *why, size_t whylen)
{
	struct token *t = token_of(p, role);
	const char *label = role == ROLE_TLSKEY ? p->conf.tls.label : p->conf.keys.label;

	digest(p, pin, t->given);
	if (t->locked) {
		snprintf(why, whylen,
		    "token %.40s has locked its PIN, so none is tried: unlock it, then send "
		    "SIGHUP (systemctl reload klerod)",
		    label);
		return KE_LIMIT;
	}
	if (!t->refused || sodium_memcmp(t->given, t->bad, sizeof t->bad) != 0)
		return KE_OK;
	snprintf(why, whylen,
	    "token %.40s has refused this PIN, so it is not tried again: put the right one into "
	    "its file, then send SIGHUP (systemctl reload klerod)",
	    label);
	return KE_AUTH;
}

static void refuse(struct token *t)
{
	t->refused = true;
	memcpy(t->bad, t->given, sizeof t->bad);
}

void tokens_ended(struct parent *p, enum role role, int status)
{
	enum role of = status == HSM_EXIT_PIN_TLS || status == HSM_EXIT_LOCKED_TLS ? ROLE_TLSKEY
		       : role == ROLE_KEYADM                                       ? ROLE_HSM
										   : role;
	struct token *t = token_of(p, of);

	if (role != ROLE_KEYADM)
		t->other = status == HSM_EXIT_OTHER;
	if (status == HSM_EXIT_PIN || status == HSM_EXIT_PIN_TLS)
		refuse(t);
	if (status == HSM_EXIT_LOCKED || status == HSM_EXIT_LOCKED_TLS)
		t->locked = true;
}

bool tokens_barred(const struct parent *p, enum role role)
{
	const struct token *t = &p->tokens.of[role == ROLE_TLSKEY];

	return t->locked || (t->refused && sodium_memcmp(t->given, t->bad, sizeof t->bad) == 0);
}

bool tokens_ready(struct parent *p, const struct child *c, const struct msg *m)
{
	struct token *t = token_of(p, c->role);
	struct wire_in r;
	uint8_t n;

	wire_in_init(&r, m->body, m->len);
	n = wire_get_u8(&r);
	if (n > RCONF_KEYS)
		return false;
	for (uint8_t i = 0; i < n; i++)
		wire_get_raw(&r, t->keys[i], RCONF_KEY_NAME);
	if (wire_end(&r) != KE_OK)
		return false;
	t->nkeys = n;
	t->refused = t->locked = t->other = false;
	return true;
}

void tokens_expect(const struct parent *p, enum role role, struct rconf_hsm *c)
{
	const struct token *t = &p->tokens.of[role == ROLE_TLSKEY];

	c->nkeys = t->nkeys;
	memcpy(c->keys, t->keys, sizeof c->keys);
}

void tokens_again(struct parent *p)
{
	for (size_t i = 0; i < 2; i++)
		p->tokens.of[i].locked = false;
	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (c->state == CHILD_NONE && !c->idle && c->next_ms == INT64_MAX)
			c->next_ms = parent_now();
	}
}

static uint8_t state_of(const struct parent *p, enum role role)
{
	const struct token *t = &p->tokens.of[role == ROLE_TLSKEY];

	for (size_t i = 0; i < p->n; i++)
		if (p->children[i].role == role && p->children[i].state == CHILD_READY)
			return TOKEN_OK;
	if (t->locked)
		return TOKEN_LOCKED;
	if (tokens_barred(p, role))
		return TOKEN_REFUSES;
	return t->other ? TOKEN_OTHER : TOKEN_AWAY;
}

/* An engine that waits for hsm tells how the tokens are; one that checks a backup tells nobody. */
static bool listens(const struct parent *p, const struct child *engine)
{
	return engine->state == CHILD_READY || (engine->state == CHILD_STARTING && p->restore == 0);
}

void tokens_tell(struct parent *p, bool always)
{
	uint8_t now[2] = {state_of(p, ROLE_HSM), state_of(p, ROLE_TLSKEY)};

	if (!always && memcmp(now, p->tokens.told, sizeof now) == 0)
		return;
	memcpy(p->tokens.told, now, sizeof now);
	for (size_t i = 0; i < p->n; i++) {
		struct child *c = &p->children[i];

		if (c->role == ROLE_ENGINE && listens(p, c))
			child_tell(p, c, MSG_ENGINE_TOKENS, now, sizeof now, -1);
	}
}
