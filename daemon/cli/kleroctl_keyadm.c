/*
 * One run of klerod-keyadm: see kleroctl_keyadm.h.
 */
#include "daemon/cli/kleroctl_keyadm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/conf/spawn.h"
#include "daemon/msg/msg.h"

#define KEYADM_MS 120000 /* a network HSM takes its time to make keys */

struct buffers {
	uint8_t out[16384], in[MSG_MAX];
};

static int wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, KEYADM_MS);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return KE_IO;
	return r == 0 ? KE_TIMEOUT : KE_OK;
}

static int talk(
    int ctl, const struct rconf_keyadm *k, struct rconf_keyadm_done *done, struct buffers *b)
{
	struct wire_out w;
	struct wire_in in;
	struct msg m;
	int r;

	wire_out_init(&w, b->out, sizeof b->out);
	rconf_put_keyadm(&w, k);
	r = w.err;
	if (r == KE_OK)
		r = msg_send(ctl, MSG_KEYADM_CONF, 0, b->out, w.len, k->journal);
	if (r == KE_OK)
		r = wait_readable(ctl);
	if (r == KE_OK)
		r = msg_recv(ctl, ROLE_PARENT, ROLE_KEYADM, RUN, b->in, &m);
	if (r != KE_OK)
		return r;
	wire_in_init(&in, m.body, m.len);
	return rconf_get_keyadm_done(&in, done);
}

static int run(const struct ctl *ctl, const struct rconf_keyadm *k, struct rconf_keyadm_done *done,
    char *why, size_t whylen)
{
	struct buffers *b = sodium_malloc(sizeof *b);
	pid_t pid;
	int fd, r = KE_NOMEM;

	snprintf(why, whylen, "klerod-keyadm cannot be started");
	if (b == NULL)
		return r;
	r = spawn_role(ctl->libexec, ROLE_KEYADM, 0, ctl->null, STDERR_FILENO, &pid, &fd);
	if (r != KE_OK)
		goto out;
	r = talk(fd, k, done, b);
	if (r != KE_OK) {
		snprintf(why, whylen, "klerod-keyadm has given no answer: %s", ke_words(r));
		kill(pid, SIGKILL);
	} else if (done->result != KE_OK) {
		snprintf(why, whylen, "%s", done->reason);
		r = done->result;
	}
	close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
out:
	sodium_free(b); /* wipes */
	return r;
}

int keyadm_act(const struct ctl *ctl, enum keyadm_action action, const struct conf_token *which,
    const uint8_t appliance[16], const char *text, struct rconf_keyadm_done *done, char *why,
    size_t whylen)
{
	const struct conf *c = &ctl->conf;
	struct rconf_keyadm *k = sodium_malloc(sizeof *k);
	int r;

	if (k == NULL) {
		snprintf(why, whylen, "%s: out of locked memory", which->label);
		return KE_NOMEM;
	}
	sodium_memzero(k, sizeof *k);
	k->action = (uint8_t)action;
	memcpy(k->folder, c->module_folder, sizeof k->folder);
	memcpy(k->host, c->host, sizeof k->host);
	memcpy(k->appliance_id, appliance, sizeof k->appliance_id);
	memcpy(k->names, c->tls_names, sizeof k->names);
	if (action == KEYADM_REQUEST)
		snprintf(k->cert_pem, sizeof k->cert_pem, "%s", text);
	else
		snprintf(k->text, sizeof k->text, "%s", text);
	r = conf_identity(c, ROLE_KEYADM, &k->id, why, whylen);
	if (r == KE_OK)
		r = conf_token(c, which, &k->token, why, whylen);
	if (r == KE_OK)
		r = conf_pin(which->pin_file, k->token.pin, why, whylen);
	if (r == KE_OK)
		r = k->journal = conf_journal(c, why, whylen);
	if (r >= 0) {
		r = run(ctl, k, done, why, whylen);
		close(k->journal);
	}
	sodium_free(k); /* wipes */
	return r;
}
