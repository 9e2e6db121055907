/*
 * Keys, officers and proposals: what security officers do with a running appliance (KEYS.md
 * sections 4 and 5), and the enrolment of the first ones while it is stopped. Runs in kleroctl; an
 * approval is made elsewhere, by ssh-keygen -Y sign -n kleroterion, and only carried here.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_keyadm.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/cli/kleroctl_officers.h"
#include "policy/officers.h"
#include "policy/proposal.h"
#include "policy/text.h"

#define FILE_MAX 16384

/* One question whose body is in x already. */
static int finish(struct ctl *ctl, uint16_t type, const char *key, struct exchange *x)
{
	int status =
	    x != NULL ? live_ask(ctl, type, key, x) : ctl_fail(CTL_REFUSED, "out of locked memory");

	sodium_free(x);
	return status;
}

static int bare(struct ctl *ctl, uint16_t type)
{
	return finish(ctl, type, NULL, exchange_new());
}

int ctl_key_list(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return bare(ctl, MSG_CTL_KEYS);
}

/* --- proposing --- */

/* What is asked for, and the officer who asks for it, "" for none. */
struct wish {
	unsigned action, purpose;
	uint32_t version;
	const char *officers, *proposer;
};

static int propose(struct ctl *ctl, const struct wish *wish)
{
	struct exchange *x = exchange_new();

	if (x == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	wire_put_u8(&x->w, (uint8_t)wish->action);
	wire_put_u8(&x->w, (uint8_t)wish->purpose);
	wire_put_u32(&x->w, wish->version);
	wire_put_u64(&x->w, PROPOSAL_OPEN_S);
	wire_put_cstr(&x->w, wish->officers);
	wire_put_cstr(&x->w, wish->proposer);
	return finish(ctl, MSG_CTL_PROPOSE, "proposal", x);
}

/* The officer's name may stand behind the n words of a command. */
static int take_proposer(int argc, char **argv, int n, const char **name)
{
	*name = argc > n ? argv[n] : "";
	if (strlen(*name) > ANCHOR_NAME_MAX)
		return ctl_fail(CTL_USAGE, "%s: too long for an officer's name", *name);
	return CTL_OK;
}

static int propose_key(struct ctl *ctl, unsigned action, int argc, char **argv)
{
	struct wish wish = {.action = action, .officers = ""};
	int words = action == PROPOSE_ROTATE ? 1 : 2, status;
	uint64_t version = 0;

	wish.purpose = purpose_of(argv[0], strlen(argv[0]));
	if (wish.purpose == KEY_PURPOSES)
		return ctl_fail(CTL_USAGE,
		    "%s: the keys are master, seed, mac, token, log, tls, data, deposit25519 and "
		    "deposit",
		    argv[0]);
	if (words > 1 && (text_unu64(&version, argv[1], strlen(argv[1])) != KE_OK || version == 0 ||
			     version > UINT32_MAX))
		return ctl_fail(CTL_USAGE, "%s: a version is a number from 1", argv[1]);
	wish.version = (uint32_t)version;
	status = take_proposer(argc, argv, words, &wish.proposer);
	return status == CTL_OK ? propose(ctl, &wish) : status;
}

int ctl_key_rotate(struct ctl *ctl, int argc, char **argv)
{
	return propose_key(ctl, PROPOSE_ROTATE, argc, argv);
}

int ctl_key_roll_back(struct ctl *ctl, int argc, char **argv)
{
	return propose_key(ctl, PROPOSE_ROLL_BACK, argc, argv);
}

int ctl_key_destroy(struct ctl *ctl, int argc, char **argv)
{
	return propose_key(ctl, PROPOSE_DESTROY, argc, argv);
}

int ctl_key_abandon(struct ctl *ctl, int argc, char **argv)
{
	return propose_key(ctl, PROPOSE_ABANDON, argc, argv);
}

int ctl_key_compromise(struct ctl *ctl, int argc, char **argv)
{
	return propose_key(ctl, PROPOSE_COMPROMISE, argc, argv);
}

/* --- officers --- */

int officers_file(const char *threshold, const char *path, char text[RCONF_KEYADM_TEXT])
{
	static char file[FILE_MAX];
	static struct officers o;
	uint64_t m;
	size_t line, n;
	int status = ctl_read_text(path, file, sizeof file), r;

	if (status != CTL_OK)
		return status;
	if (text_unu64(&m, threshold, strlen(threshold)) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s: how many of them must agree?", threshold);
	r = officers_read(&o, m, file, strlen(file), &line);
	if (r != KE_OK && line > 0)
		return ctl_fail(CTL_USAGE, "%s:%zu: %s", path, line, officers_why(r));
	if (r != KE_OK)
		return ctl_fail(CTL_USAGE, "%s: %s", path, officers_why(r));
	if (officers_text(&o, text, RCONF_KEYADM_TEXT - 1, &n) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s: too long", path);
	text[n] = '\0';
	return CTL_OK;
}

int ctl_officer_propose(struct ctl *ctl, int argc, char **argv)
{
	static char text[RCONF_KEYADM_TEXT];
	struct wish wish = {.action = PROPOSE_OFFICERS, .purpose = KEY_MASTER, .officers = text};
	int status = officers_file(argv[0], argv[1], text);

	if (status == CTL_OK)
		status = take_proposer(argc, argv, 2, &wish.proposer);
	return status == CTL_OK ? propose(ctl, &wish) : status;
}

static bool is_running(const struct ctl *ctl)
{
	int fd = live_reach(ctl);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int run_enrol(struct ctl *ctl, const char *text, const uint8_t appliance[16])
{
	static const char enrolled[] =
	    "the officers are enrolled: from now on only they change the list";
	static struct rconf_keyadm_done done;
	char why[512];

	if (keyadm_act(ctl, KEYADM_ENROL, &ctl->conf.keys, appliance, text, &done, why,
		sizeof why) != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s", why);
	return ctl_tell(ctl, "words", enrolled, sizeof enrolled - 1);
}

/* The id that setup has written beside the store. */
static int read_appliance(const struct ctl *ctl, uint8_t id[16])
{
	static char file[FILE_MAX];
	char path[RCONF_PATH + 16];

	snprintf(path, sizeof path, "%s/klero.keys", ctl->conf.store);
	if (ctl_read_text(path, file, sizeof file) != CTL_OK)
		return CTL_USAGE;
	if (strncmp(file, "appliance ", 10) != 0 || text_unhex(id, 16, file + 10, 32) != KE_OK)
		return ctl_fail(CTL_USAGE, "%s: no appliance id", path);
	return CTL_OK;
}

int ctl_officer_enrol(struct ctl *ctl, int argc, char **argv)
{
	static char text[RCONF_KEYADM_TEXT];
	uint8_t appliance[16];
	int status = officers_file(argv[0], argv[1], text);

	(void)argc;
	if (status != CTL_OK)
		return status;
	if (is_running(ctl))
		return ctl_fail(CTL_REFUSED, "klerod runs: stop it first; enrolment happens once");
	status = read_appliance(ctl, appliance);
	return status == CTL_OK ? run_enrol(ctl, text, appliance) : status;
}

/* --- proposals --- */

/* A question about one proposal, whose id begins its body; NULL after words. */
static struct exchange *about(const char *id)
{
	struct exchange *x;
	uint8_t raw[16];

	if (text_unuuid(raw, id, strlen(id)) != KE_OK) {
		ctl_fail(CTL_USAGE, "%s: not the id of a proposal", id);
		return NULL;
	}
	x = exchange_new();
	if (x == NULL)
		ctl_fail(CTL_REFUSED, "out of locked memory");
	else
		wire_put_raw(&x->w, raw, sizeof raw);
	return x;
}

static int ask_about(struct ctl *ctl, uint16_t type, const char *key, const char *id)
{
	struct exchange *x = about(id);

	return x != NULL ? finish(ctl, type, key, x) : CTL_USAGE;
}

int ctl_proposal_list(struct ctl *ctl, int argc, char **argv)
{
	return argc > 0 ? ask_about(ctl, MSG_CTL_PROPOSALS, NULL, argv[0])
			: bare(ctl, MSG_CTL_PROPOSALS);
}

int ctl_proposal_show(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ask_about(ctl, MSG_CTL_PROPOSAL, "text", argv[0]);
}

int ctl_proposal_reject(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return ask_about(ctl, MSG_CTL_REJECT, "words", argv[0]);
}

int ctl_proposal_approve(struct ctl *ctl, int argc, char **argv)
{
	char armor[SSH_ARMOR_MAX + 2];
	struct exchange *x;
	int status = ctl_read_text(argc > 1 ? argv[1] : "-", armor, sizeof armor);

	if (status != CTL_OK)
		return status;
	x = about(argv[0]);
	if (x == NULL)
		return CTL_USAGE;
	wire_put_cstr(&x->w, armor);
	return finish(ctl, MSG_CTL_APPROVE, "words", x);
}
