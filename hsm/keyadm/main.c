/*
 * klerod-keyadm: a process for one approved action on one token, gone when it is done. It alone
 * opens a token read-write, and links the code that makes keys.
 * Runs as the keyadm role, started by parent or by kleroctl setup; trusts both, and the token.
 */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon/msg/log.h"
#include "daemon/msg/start.h"
#include "hsm/keyadm/keyadm.h"
#include "hsm/once/journal.h"
#include "hsm/p11/learn.h"
#include "hsm/role/exit.h"
#include "sandbox/sandbox.h"

struct keyadm {
	struct p11 p, tls;         /* the second for the rotation of its key only */
	int status;                /* how the process ends: hsm/role/exit.h */
	struct rconf_keyadm *conf; /* locked memory: it holds the PINs */
	struct rconf_keyadm_done done;
};

static bool has_tls(const struct keyadm *a)
{
	return a->conf->action == KEYADM_APPROVED && a->conf->tls.label[0] != '\0';
}

/* One token of a module that is loaded: found, able, logged in, and able to give randomness. */
static int open_token(struct p11 *p, struct rconf_token *t, enum p11_need need)
{
	uint8_t rnd[8];
	int r = p11_open(p, t->label, true);

	if (r == KE_OK)
		r = p11_need(p, need);
	if (r == KE_OK)
		r = p11_login(p, t->pin);
	sodium_memzero(t->pin, sizeof t->pin);
	if (r == KE_OK && p->f->C_GenerateRandom(p->session, rnd, sizeof rnd) != CKR_OK)
		r = p11_fail(p, KE_UNAVAIL, "token %s has no randomness", t->label);
	return r == KE_OK ? learn_ways(p, need == P11_NEED_KEYS) : r;
}

/* The one token that is opened is then the one of the TLS key. */
static bool is_about_tls(unsigned action)
{
	return action == KEYADM_PROVISION_TLS || action == KEYADM_REQUEST;
}

/* Everything that needs the file system at large: the module, its configuration, libcrypto's. */
static int warm_up(struct keyadm *a)
{
	struct rconf_token *t = &a->conf->token;
	char *env[RCONF_ENVS];
	int r;

	tzset();
	for (size_t i = 0; i < RCONF_ENVS; i++)
		env[i] = t->env[i];
	a->p.params = t->params;
	r = p11_load(&a->p, t->module, env, RCONF_ENVS);
	a->tls = a->p; /* the same module, another token */
	if (r == KE_OK)
		r = open_token(
		    &a->p, t, is_about_tls(a->conf->action) ? P11_NEED_TLS : P11_NEED_KEYS);
	if (r == KE_OK && has_tls(a)) {
		r = open_token(&a->tls, &a->conf->tls, P11_NEED_TLS);
		if (r != KE_OK)
			(void)p11_fail(&a->p, r, "%s", a->tls.why);
		if (r == KE_AUTH || r == KE_LIMIT)
			a->status = r == KE_AUTH ? HSM_EXIT_PIN_TLS : HSM_EXIT_LOCKED_TLS;
	} else if (r == KE_AUTH || r == KE_LIMIT) {
		a->status = r == KE_AUTH ? HSM_EXIT_PIN : HSM_EXIT_LOCKED;
	}
	sodium_memzero(a->conf->token.pin, sizeof a->conf->token.pin);
	sodium_memzero(a->conf->tls.pin, sizeof a->conf->tls.pin);
	return r;
}

static void enter_sandbox(struct keyadm *a)
{
	const struct sandbox_path folder = {a->conf->folder, true};

	closelog(); /* the module may have opened a socket to syslog */
	start_sandbox(ROLE_KEYADM, &a->conf->id, &folder, a->conf->folder[0] != '\0' ? 1 : 0,
	    a->conf->token.store == RCONF_STORE_DATABASE);
}

static int act(struct keyadm *a)
{
	switch (a->conf->action) {
	case KEYADM_PROVISION_KEYS:
		return keyadm_provision_keys(&a->p, a->conf, &a->done);
	case KEYADM_PROVISION_TLS:
		return keyadm_provision_tls(&a->p, a->conf, &a->done);
	case KEYADM_REQUEST:
		return keyadm_request(&a->p, a->conf, &a->done);
	case KEYADM_APPROVED:
		return keyadm_approved(&a->p, has_tls(a) ? &a->tls : NULL, a->conf, &a->done);
	case KEYADM_COMPLETE:
		return keyadm_complete(&a->p, a->conf, &a->done);
	case KEYADM_ENROL:
		return keyadm_enrol(&a->p, a->conf, &a->done);
	default:
		return p11_fail(&a->p, KE_FORMAT, "unknown action %u", a->conf->action);
	}
}

static void report(struct keyadm *a, int result, uint8_t *buf)
{
	struct wire_out w;
	int r;

	/* nothing of a failed action gets out but why it failed */
	if (result != KE_OK)
		a->done = (struct rconf_keyadm_done){.result = result};
	if (result != KE_OK)
		snprintf(a->done.reason, sizeof a->done.reason, "%s", a->p.why);
	wire_out_init(&w, buf, MSG_BODY_MAX);
	rconf_put_keyadm_done(&w, &a->done);
	if (w.err != KE_OK)
		fatal("report: %s", ke_words(w.err));
	r = msg_send(MSG_CTL_FD, MSG_KEYADM_DONE, 0, buf, w.len, -1);
	if (r != KE_OK)
		fatal("report: %s", ke_words(r));
}

static void configure(struct keyadm *a, uint8_t *buf)
{
	struct msg m;
	struct wire_in r;

	start_receive(ROLE_KEYADM, MSG_KEYADM_CONF, buf, &m);
	a->conf = sodium_malloc(sizeof *a->conf);
	if (a->conf == NULL)
		fatal("out of memory");
	wire_in_init(&r, m.body, m.len);
	if (rconf_get_keyadm(&r, a->conf) != KE_OK)
		fatal("configuration");
	a->conf->journal = m.fd;
	if (journal_open(m.fd) != KE_OK)
		fatal("hsm's journal cannot be made durable: %s", strerror(errno));
	sodium_memzero(buf, MSG_MAX);
}

int main(void)
{
	static struct keyadm a;
	static uint8_t buf[MSG_MAX];
	int r;

	start_early(ROLE_KEYADM);
	if (sodium_init() < 0)
		fatal("libsodium does not start");
	configure(&a, buf);
	/* such a module opens its databases when it starts, and they are keyadm's to write */
	if (a.conf->token.store == RCONF_STORE_DATABASE)
		start_files_as(ROLE_KEYADM, &a.conf->id);
	r = warm_up(&a);
	if (r == KE_OK) {
		enter_sandbox(&a);
		r = act(&a);
	}
	report(&a, r, buf);
	p11_close(&a.p);
	_exit(r == KE_OK ? HSM_EXIT_PLANNED : a.status != 0 ? a.status : HSM_EXIT_FAILED);
}
