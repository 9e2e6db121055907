/*
 * kleroctl escrow: what a bundle says, and an officer's step of opening one. Needs no appliance, no
 * token and, to open, no configuration: an officer runs it on a machine of his own, without a
 * network. Runs in kleroctl; trusts nothing in the files but the officer's own key.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/kleroctl.h"
#include "policy/escrow_open.h"
#include "policy/hash.h"
#include "policy/text.h"

#define PEM_MAX 16384 /* of a private key; the memory is wiped */

/* 64 KiB and more: one of each. */
static struct files {
	struct escrow e;
	struct escrow_step s;
	struct record2 open;
	char bundle[ESCROW_TEXT_MAX + 1], step[ESCROW_TEXT_MAX + 1], record[RECORD2_TEXT_MAX];
	size_t bundle_len, step_len, record_len;
} files;

/* A whole file of at most cap bytes, "-" for standard input; an enum ctl_status. */
static int read_file(const char *path, char *buf, size_t cap, size_t *n)
{
	bool in = strcmp(path, "-") == 0;
	int fd = in ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	*n = 0;
	if (fd < 0)
		return ctl_fail(CTL_USAGE, "%s: %s", path, strerror(errno));
	while (
	    *n < cap && ((got = read(fd, buf + *n, cap - *n)) > 0 || (got < 0 && errno == EINTR)))
		*n += got > 0 ? (size_t)got : 0;
	if (!in)
		close(fd);
	if (got < 0)
		return ctl_fail(CTL_USAGE, "%s: %s", path, strerror(errno));
	return *n < cap ? CTL_OK : ctl_fail(CTL_REFUSED, "%s: too long", path);
}

static int read_bundle(const char *path)
{
	int status = read_file(path, files.bundle, sizeof files.bundle, &files.bundle_len);

	if (status == CTL_OK && escrow_parse(&files.e, files.bundle, files.bundle_len) != KE_OK)
		status = ctl_fail(CTL_REFUSED, "%s: this is no escrow bundle", path);
	return status;
}

/* The open record, which has been in the operator's log since before the sale. */
static int read_promise(const char *path)
{
	int status = read_file(path, files.record, sizeof files.record, &files.record_len);
	const char *why = "";

	if (status != CTL_OK)
		return status;
	if (record2_parse(&files.open, files.record, files.record_len) != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s: this is no record of a log", path);
	if (escrow_promised(&files.e, files.bundle, files.bundle_len, &files.open, &why) != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s", why);
	return CTL_OK;
}

/* --- check --- */

/* Is it one of klerod.conf's? */
static bool configured(const struct ctl *ctl, const struct escrow_key *k)
{
	for (size_t i = 0; i < RCONF_ESCROW && ctl->conf.escrow.files[i][0] != '\0'; i++) {
		char pem[ESCROW_PEM_MAX], why[256];
		struct escrow_key own;
		size_t n;

		if (conf_file(ctl->conf.escrow.files[i], false, pem, sizeof pem, &n, why,
			sizeof why) == KE_OK &&
		    escrow_key_pem(&own, pem, n) == KE_OK && own.len == k->len &&
		    memcmp(own.der, k->der, k->len) == 0)
			return true;
	}
	return false;
}

static int tell_check(struct ctl *ctl, const uint8_t hash[32], bool promised, bool known)
{
	const struct escrow *e = &files.e;
	char buf[4096];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kbool(&w, "ok", known);
	jsonw_khex(&w, "sha256", hash, 32);
	jsonw_khex(&w, "raffle", e->raffle, 16);
	jsonw_khex(&w, "seed_commit", e->seed_commit, 32);
	jsonw_kint(&w, "threshold", e->officers.m);
	jsonw_kint(&w, "officers", e->officers.n);
	jsonw_kint(&w, "shares", (int64_t)e->nshares);
	jsonw_kbool(&w, "promised", promised);
	jsonw_kbool(&w, "keys_known", known);
	jsonw_object_end(&w);
	return ctl_json(ctl, &w);
}

int ctl_escrow_check(struct ctl *ctl, int argc, char **argv)
{
	const struct escrow *e = &files.e;
	const char *record = ctl_given(ctl, "open");
	uint8_t hash[32];
	char hex[65];
	bool known = true;
	int status = read_bundle(argv[0]);

	(void)argc;
	if (status == CTL_OK && record != NULL)
		status = read_promise(record);
	if (status != CTL_OK)
		return status;
	hash_sha256(hash, files.bundle, files.bundle_len);
	text_hex(hex, hash, 32);
	ctl_print(ctl, "bundle   %s", hex);
	text_hex(hex, e->raffle, 16);
	ctl_print(ctl, "raffle   %s", hex);
	text_hex(hex, e->seed_commit, 32);
	ctl_print(ctl, "seed     %s", hex);
	ctl_print(ctl, "opened by any %u of %u officers, %zu shares", e->officers.m, e->officers.n,
	    e->nshares);
	for (unsigned i = 0; i < e->officers.n; i++) {
		bool own = configured(ctl, &e->officers.key[i]);

		hash_sha256(hash, e->officers.key[i].der, e->officers.key[i].len);
		text_hex(hex, hash, 32);
		ctl_print(ctl, "officer %u, key %s%s", i, hex, own ? "" : ", not in klerod.conf");
		known = known && own;
	}
	if (record == NULL)
		ctl_print(ctl, "not compared with an open record: --open FILE");
	if (ctl->json) {
		hash_sha256(hash, files.bundle, files.bundle_len);
		status = tell_check(ctl, hash, record != NULL, known);
	}
	if (status == CTL_OK && !known)
		return ctl_fail(CTL_REFUSED, "not every officer's key is in klerod.conf");
	return status;
}

/* --- open --- */

static int open_layers(const char *path)
{
	char *pem = sodium_malloc(PEM_MAX);
	unsigned officer = 0;
	size_t n;
	int status, r;

	if (pem == NULL)
		return ctl_fail(CTL_REFUSED, "out of locked memory");
	status = read_file(path, pem, PEM_MAX, &n);
	if (status == CTL_OK) {
		r = escrow_step_open(&files.s, &files.e, pem, n, &officer);
		if (r == KE_FORMAT)
			status = ctl_fail(CTL_USAGE, "%s: no RSA private key in PEM", path);
		else if (r == KE_WRONG_KEY)
			status = ctl_fail(CTL_REFUSED, "this key is of no officer of this bundle");
		else if (r == KE_STATE)
			status = ctl_fail(CTL_REFUSED,
			    "nothing is there for officer %u: officers with higher numbers come "
			    "first, each once",
			    officer);
		else if (r != KE_OK)
			status = ctl_fail(CTL_REFUSED, "officer %u's layer is damaged", officer);
	}
	sodium_free(pem);
	return status;
}

/* The seed, or what the next officer gets. */
static int tell_step(struct ctl *ctl)
{
	uint8_t seed[ESCROW_SEED];
	char hex[2 * ESCROW_SEED + 1];
	int status, r = escrow_step_seed(&files.s, &files.e, seed);

	if (r == KE_CRYPTO)
		return ctl_fail(CTL_REFUSED, "what was opened is not the seed committed to");
	if (r == KE_OK) {
		text_hex(hex, seed, sizeof seed);
		status = ctl_tell(ctl, "server_seed", hex, 2 * sizeof seed);
	} else if (escrow_step_text(&files.s, files.step, sizeof files.step, &files.step_len) !=
		   KE_OK) {
		status = ctl_fail(CTL_REFUSED, "this step cannot be written");
	} else {
		/* a text that ends with its own line's end */
		status = ctl_tell(ctl, "step", files.step, files.step_len - 1);
	}
	sodium_memzero(seed, sizeof seed);
	sodium_memzero(hex, sizeof hex);
	return status;
}

int ctl_escrow_open(struct ctl *ctl, int argc, char **argv)
{
	const char *step = ctl_given(ctl, "step");
	int r, status = read_bundle(argv[0]);

	(void)argc;
	if (status == CTL_OK)
		status = read_promise(argv[1]);
	if (status != CTL_OK)
		return status;
	escrow_step_begin(&files.s, &files.e, files.bundle, files.bundle_len);
	if (step != NULL) {
		status = read_file(step, files.step, sizeof files.step, &files.step_len);
		if (status != CTL_OK)
			return status;
		r = escrow_step_parse(
		    &files.s, &files.e, files.bundle, files.bundle_len, files.step, files.step_len);
		if (r == KE_WRONG_KEY)
			return ctl_fail(CTL_REFUSED, "%s is a step of another bundle", step);
		if (r != KE_OK)
			return ctl_fail(CTL_REFUSED, "%s: this is no officer's step", step);
	}
	status = open_layers(argv[2]);
	if (status == CTL_OK)
		status = tell_step(ctl);
	sodium_memzero(&files.s, sizeof files.s);
	return status;
}
