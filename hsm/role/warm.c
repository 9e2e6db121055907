/*
 * From configuration to the sandbox's door. Runs in hsm and tlskey: see hsm.h.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "hsm/p11/class.h"
#include "hsm/p11/data.h"
#include "hsm/p11/learn.h"
#include "hsm/role/deposit.h"
#include "hsm/role/escrow.h"
#include "hsm/role/exit.h"
#include "hsm/role/hsm.h"

/* What only hsm has: canary, memory, the log's name, room for a record. */
static int prepare_hsm(struct hsm *h)
{
	const struct key *log = key_ring_get(&h->ring, KEY_LOG, 0);
	int r = canary_make(&h->p, &h->ring, &h->canary);

	if (r == KE_OK)
		r = import_prepare(h);
	if (r != KE_OK)
		return r;
	snprintf(h->log_name, sizeof h->log_name, "%s/klero/log", h->host);
	note_key_id(h->log_id, h->log_name, key_note_type(log), log->pub);
	h->picks = calloc(RECORD1_PICKS_MAX, sizeof *h->picks);
	h->text = malloc(RECORD1_TEXT_MAX);
	h->logs = calloc(1, sizeof *h->logs);
	if (h->picks == NULL || h->text == NULL || h->logs == NULL)
		return p11_fail(&h->p, KE_NOMEM, "out of memory");
	r = once_init(&h->once, h->journal, h->anchor.appliance);
	if (r != KE_OK)
		return p11_fail(&h->p, r, "the journal cannot be read: %s", ke_words(r));
	if (h->journal < 0)
		log_warn("no journal: what was revealed and signed is forgotten with this process");
	if (h->once.damaged > 0)
		log_security("the journal holds %u records that are not what they were: no key "
			     "version counts as empty any more",
		    h->once.damaged);
	return KE_OK;
}

/* Class keys into memory of their own, which nothing writes again. */
static int load_classes(struct hsm *h)
{
	struct class_room *room = sodium_malloc(sizeof *room);
	int r;

	if (room == NULL)
		return p11_fail(&h->p, KE_NOMEM, "out of locked memory");
	r = class_load(&h->p, &h->ring, h->anchor.appliance, room);
	if (sodium_mprotect_readonly(room) != 0 && r == KE_OK)
		r = p11_fail(&h->p, KE_NOMEM, "locked memory cannot be made read-only");
	return r;
}

/* KE_VERSION when there is a purpose that the anchor has never heard of: see hsm_prepare(). */
static int check_complete(struct hsm *h, unsigned purposes)
{
	for (unsigned i = 0; i < KEY_PURPOSES; i++)
		if ((purposes & ~KEY_SET_OPTIONAL & (1u << i)) != 0 &&
		    anchor_key(&h->anchor, i, 1) == NULL)
			return p11_fail(&h->p, KE_VERSION,
			    "token %s was made by an older klerod: it has no key %s yet",
			    h->p.label, purpose_words[i]);
	return KE_OK;
}

/* Those that the anchor wants, when there is one: what a cut has left beside them is not looked at.
 */
static int find_keys(struct hsm *h)
{
	int r = h->self == ROLE_HSM ? data_load(&h->p, &h->anchor) : KE_NOTFOUND;

	if (r != KE_OK && r != KE_NOTFOUND)
		return r;
	return key_ring_wanted(
	    &h->p, &h->ring, r == KE_OK ? &h->anchor : NULL, h->self == ROLE_TLSKEY);
}

/* What the token itself says of versions; tlskey's token says nothing. */
static int obey_anchor(struct hsm *h, unsigned purposes)
{
	int r;

	if (h->self != ROLE_HSM)
		return KE_OK;
	r = h->anchor.serial > 0 ? KE_OK : KE_NOTFOUND;
	/* somebody else's token is not an old one of ours */
	if (r == KE_NOTFOUND && key_ring_demand(&h->p, &h->ring, 1u << KEY_MASTER) != KE_OK)
		return r;
	if (r == KE_NOTFOUND)
		return p11_fail(&h->p, KE_VERSION,
		    "token %s was made by an older klerod: it has no anchor yet", h->p.label);
	if (r == KE_OK)
		r = check_complete(h, purposes);
	if (r == KE_OK)
		r = load_classes(h);
	return r == KE_OK ? key_ring_obey(&h->p, &h->ring, &h->anchor, purposes) : r;
}

/* A token that was initialised anew, or another one of this label, is not the one that served. */
static int check_known(struct hsm *h)
{
	const struct rconf_hsm *c = h->former;

	if (c == NULL || c->nkeys == 0)
		return KE_OK;
	for (size_t i = 0; i < h->ring.n; i++)
		for (size_t k = 0; k < c->nkeys; k++)
			if (memcmp(h->ring.keys[i].name, c->keys[k], KEY_NAME_LEN) == 0)
				return KE_OK;
	return p11_fail(&h->p, KE_WRONG_KEY,
	    "token %s holds none of the keys that served before: it is another token, or was "
	    "initialised anew; put the right one back",
	    h->p.label);
}

int hsm_prepare(struct hsm *h, enum role self, const char *host, bool *wide)
{
	unsigned purposes = self == ROLE_TLSKEY ? KEY_SET_TLSKEY : KEY_SET_HSM;
	bool copied;
	int r;

	h->self = self;
	if (strlen(host) > HSM_HOST_MAX)
		return p11_fail(&h->p, KE_LONG, "host: longer than %d bytes", HSM_HOST_MAX);
	snprintf(h->host, sizeof h->host, "%s", host);
	r = find_keys(h);
	if (r == KE_OK)
		r = check_known(h);
	if (r == KE_OK)
		r = obey_anchor(h, purposes);
	purposes = key_ring_set(&h->ring, purposes);
	if (r == KE_OK)
		r = key_ring_demand(&h->p, &h->ring, purposes);
	if (r == KE_OK)
		r = key_ring_copy(&h->p, &h->ring, &copied);
	/* every code path once: what it needs of the file system is there afterwards */
	if (r == KE_OK)
		r = prove_keys(&h->p, &h->ring, purposes);
	if (r == KE_OK && self == ROLE_HSM)
		r = prepare_hsm(h);
	if (r == KE_OK)
		*wide = !copied;
	return r;
}

static int take_logs(struct hsm *h, const struct rconf_hsm *c)
{
	for (; h->nwitnessed < RCONF_LOGS && c->witness_logs[h->nwitnessed][0] != '\0';
	     h->nwitnessed++) {
		const char *vkey = c->witness_logs[h->nwitnessed];

		if (note_vkey_parse(&h->witnessed[h->nwitnessed], vkey, strlen(vkey)) != KE_OK)
			return p11_fail(&h->p, KE_FORMAT, "witness-log: malformed");
	}
	return KE_OK;
}

/* What a draw is to be seen by; without a policy nobody is asked. */
static int take_policy(struct hsm *h, const struct rconf_hsm *c)
{
	static const char none[] = "quorum none\n";
	const char *text = c->policy[0] != '\0' ? c->policy : none;

	h->policy = malloc(sizeof *h->policy);
	if (h->policy == NULL)
		return p11_fail(&h->p, KE_NOMEM, "out of memory");
	return tlog_policy_parse(h->policy, text, strlen(text), NULL) == KE_OK
		   ? KE_OK
		   : p11_fail(&h->p, KE_FORMAT, "witness-policy: malformed");
}

/* Parent has parsed them before: a limit that cannot be read would be none. */
static int take_limits(struct hsm *h, const struct rconf_hsm *c)
{
	h->draw_approval = c->draw_approval != 0;
	for (; h->nlimits < PAYLIMITS_MAX && c->payout_limits[h->nlimits][0] != '\0'; h->nlimits++)
		if (paylimit_parse(&h->limits[h->nlimits], c->payout_limits[h->nlimits]) != KE_OK)
			return p11_fail(&h->p, KE_FORMAT, "payout-limit: malformed");
	return take_logs(h, c);
}

/* As klerod.conf pins them; raffles may name no others. */
static int take_pins(struct hsm *h, const struct rconf_hsm *c)
{
	int r = KE_OK;

	life_site_init(&h->site, c->beacon_delay_s);
	for (uint8_t i = 0; r == KE_OK && i < c->beacons.nchains; i++)
		r = life_site_add(&h->site, &c->beacons.chains[i]);
	h->certificates = c->certificates;
	h->site.nist = c->certificates[0][0] != '\0';
	return r == KE_OK ? r : p11_fail(&h->p, r, "drand-chain: one stands twice");
}

_Noreturn static void give_up(struct hsm *h, int status)
{
	log_error("%s", h->p.why);
	p11_close(&h->p);
	_exit(status);
}

static int login(struct hsm *h, struct rconf_hsm *c)
{
	int r = p11_login(&h->p, c->token.pin);

	sodium_memzero(c->token.pin, sizeof c->token.pin);
	if (r == KE_AUTH || r == KE_LIMIT)
		give_up(h, r == KE_AUTH ? HSM_EXIT_PIN : HSM_EXIT_LOCKED);
	return r;
}

void hsm_warm_up(struct hsm *h, enum role self, struct rconf_hsm *c, bool *wide)
{
	char *env[RCONF_ENVS];
	int r;

	for (size_t i = 0; i < RCONF_ENVS; i++)
		env[i] = c->token.env[i];
	h->p.params = c->token.params;
	h->former = c;
	r = p11_load(&h->p, c->token.module, env, RCONF_ENVS);
	/* a database that was left in the middle of a change: only who may write can undo it */
	if (r == KE_UNAVAIL && c->token.store == RCONF_STORE_DATABASE)
		r = KE_VERSION;
	/*
	 * SoftHSM tells syslog of a tampered ciphertext, with the local time. Without TZ libc looks
	 * for the system's zone file each time, and inside the sandbox there is none.
	 */
	if (r == KE_OK && setenv("TZ", "UTC0", 0) != 0)
		r = p11_fail(&h->p, KE_NOMEM, "out of memory");
	tzset();
	if (r == KE_OK)
		r = p11_open(&h->p, c->token.label, false);
	if (r == KE_OK)
		r = p11_need(&h->p, self == ROLE_HSM ? P11_NEED_KEYS : P11_NEED_TLS);
	if (r == KE_OK)
		r = login(h, c);
	sodium_memzero(c->token.pin, sizeof c->token.pin);
	if (r == KE_OK)
		r = take_limits(h, c);
	if (r == KE_OK)
		r = take_pins(h, c);
	if (r == KE_OK && self == ROLE_HSM)
		r = take_policy(h, c);
	if (r == KE_OK)
		r = learn_ways(&h->p, self == ROLE_HSM);
	if (r == KE_OK)
		r = hsm_prepare(h, self, c->host, wide);
	if (r == KE_OK && self == ROLE_HSM)
		r = escrow_prepare(h, c);
	if (r == KE_VERSION) {
		log_warn("%s", h->p.why);
		p11_close(&h->p);
		_exit(HSM_EXIT_OLD);
	}
	if (r != KE_OK)
		give_up(h, r == KE_WRONG_KEY ? HSM_EXIT_OTHER : HSM_EXIT_FAILED);
	if (*wide)
		log_warn("the module lacks C_CopyObject: the token folder stays readable");
	if (self == ROLE_HSM && !h->p.has_digest_key)
		log_warn("the module lacks C_DigestKey: v1 raffles cannot be offered");
	closelog(); /* the self-test has made the module open a socket to syslog */
}
