/*
 * kleroctl import deposit-keys: the old platform's deposit keys, as that platform kept them, become
 * pools of a running appliance. Its key is read from a file or a prompt, sealed to hsm's own key
 * for every value (crypto_box_seal), and wiped; the values stay encrypted all the way into hsm. A
 * line that fails is named and the rest goes on; what is there already is said and left as it is,
 * so an import can be begun again. Runs for an operator; the file comes from elsewhere and is not
 * trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_ask.h"
#include "daemon/cli/kleroctl_live.h"
#include "policy/chain.h"
#include "policy/jsonw.h"
#include "policy/legacy.h"
#include "policy/text.h"

#define KEY_TEXT_MAX 128
#define LINE_MAX_LEN 2048
#define NAME_MAX_LEN 64
#define WORDS_MAX    1024

struct import {
	struct ctl *ctl;
	const char *path, *key_path;
	bool look_only, json, has_chain;
	struct chain chain;
	uint8_t layout;
	uint8_t *key; /* 32 bytes in locked memory */
	unsigned long line, imported, exists, failed;
};

/* One line of the file, taken apart. */
struct row {
	const char *name, *value;
	size_t name_len, value_len;
	struct chain chain;
};

/* What came of a line. */
struct outcome {
	char state[32], address[64], pool[40];
	char why[WORDS_MAX];
};

/* --- the old platform's key --- */

/* Only who may know it may read the file. */
static int read_key_file(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = KE_FORMAT;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		ctl_fail(CTL_USAGE, "%s: %s", path, strerror(errno));
	} else if ((st.st_mode & 077) != 0) {
		ctl_fail(CTL_USAGE, "%s: others than its owner may read it: chmod 600", path);
	} else {
		r = ask_line(fd, text, cap);
		if (r != KE_OK)
			ctl_fail(CTL_USAGE, "%s: no key in its first line", path);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int read_key(struct import *im)
{
	char *text = sodium_malloc(KEY_TEXT_MAX);
	int status = CTL_USAGE, r;

	im->key = sodium_malloc(32);
	if (text == NULL || im->key == NULL) {
		status = ctl_fail(CTL_REFUSED, "out of locked memory");
		goto out;
	}
	if (im->key_path != NULL) {
		r = read_key_file(im->key_path, text, KEY_TEXT_MAX);
	} else {
		r = ask_secret("key of the old platform: ", text, KEY_TEXT_MAX);
		if (r != KE_OK)
			ctl_fail(CTL_USAGE, "no key of the old platform");
	}
	if (r != KE_OK)
		goto out;
	status = CTL_OK;
	if (legacy_key(im->key, text, strlen(text)) != KE_OK)
		status = ctl_fail(CTL_USAGE,
		    "the old platform's key is 32 bytes, as base64 (44 characters) or hex (64)");
out:
	sodium_free(text); /* wipes */
	return status;
}

/* --- one line --- */

static size_t trim(const char **s, size_t n)
{
	while (n > 0 && (**s == ' ' || **s == '\t')) {
		++*s;
		n--;
	}
	while (n > 0 && strchr(" \t\r\n", (*s)[n - 1]) != NULL)
		n--;
	return n;
}

/* "value", or "name,chain,value"; what is wrong with it, or NULL. */
static const char *take_apart(const struct import *im, char *line, struct row *row, char name[32])
{
	const char *comma = strchr(line, ','), *second, *chain;
	size_t n;

	row->chain = im->chain;
	if (strchr(line, '"') != NULL)
		return "no quotes: a name has neither these nor commas";
	if (comma == NULL) {
		if (!im->has_chain)
			return "of which chain? Give --chain, or lines name,chain,value";
		snprintf(name, 32, "imported %lu", im->line);
		row->name = name;
		row->name_len = strlen(name);
		row->value = line;
		row->value_len = trim(&row->value, strlen(line));
		return NULL;
	}
	second = strchr(comma + 1, ',');
	if (second == NULL || strchr(second + 1, ',') != NULL)
		return "a line is a value, or name,chain,value";
	row->name = line;
	row->name_len = trim(&row->name, (size_t)(comma - line));
	chain = comma + 1;
	n = trim(&chain, (size_t)(second - chain));
	if (chain_parse(&row->chain, chain, n) != KE_OK)
		return "a chain is evm:<chain id>, solana, or solana:<cluster>";
	row->value = second + 1;
	row->value_len = trim(&row->value, strlen(row->value));
	if (row->name_len == 0 || row->name_len > NAME_MAX_LEN ||
	    text_utf8(row->name, row->name_len) != KE_OK)
		return "a name has 1 to 64 bytes of UTF-8";
	return NULL;
}

/* --- one value to the appliance --- */

/* i32 result and words of an answer; the result, or KE_PEER. */
static int get_words(const struct msg *m, char words[WORDS_MAX])
{
	struct wire_in in;
	int32_t r;

	wire_in_init(&in, m->body, m->len);
	r = wire_get_i32(&in);
	wire_get_cstr(&in, words, WORDS_MAX);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if (r != KE_OK && words[0] == '\0')
		snprintf(words, WORDS_MAX, "%s", ke_words(r));
	return r;
}

/* A question and its answer's words; *reached false when no klerod is there. */
static int ask(
    struct import *im, uint16_t type, struct exchange *x, char words[WORDS_MAX], bool *reached)
{
	struct msg m;
	int fd = live_reach(im->ctl), r = KE_UNAVAIL;

	if (fd >= 0) {
		r = live_talk(fd, type, x, &m);
		close(fd);
	}
	*reached = r == KE_OK;
	if (r == KE_OK)
		return get_words(&m, words);
	snprintf(words, WORDS_MAX, "klerod does not answer: %s", ke_words(r));
	return r;
}

/* The key for this value, sealed to the hsm that serves now. */
static int seal_key(struct import *im, uint8_t box[80], char words[WORDS_MAX], bool *reached)
{
	struct exchange *x = exchange_new();
	uint8_t hsm[32];
	int r;

	if (x == NULL)
		return KE_NOMEM;
	r = ask(im, MSG_CTL_IMPORT_KEY, x, words, reached);
	if (r == KE_OK && text_unhex(hsm, 32, words, strlen(words)) != KE_OK)
		r = KE_PEER;
	if (r == KE_OK && crypto_box_seal(box, im->key, 32, hsm) != 0)
		r = KE_CRYPTO;
	sodium_free(x);
	return r;
}

static int send_value(struct import *im, const struct row *row, const uint8_t box[80],
    char words[WORDS_MAX], bool *reached)
{
	struct exchange *x = exchange_new();
	int r = KE_LONG;

	if (x == NULL)
		return KE_NOMEM;
	wire_put_u8(&x->w, im->look_only);
	wire_put_u8(&x->w, (uint8_t)row->chain.kind);
	wire_put_u64(&x->w, (uint64_t)row->chain.network);
	wire_put_str(&x->w, row->name, row->name_len);
	wire_put_u8(&x->w, im->layout);
	wire_put_raw(&x->w, box, 80);
	wire_put_str(&x->w, row->value, row->value_len);
	if (x->w.err == KE_OK)
		r = ask(im, MSG_CTL_IMPORT, x, words, reached);
	sodium_free(x);
	return r;
}

/* KE_OK, or why the line failed in o->why. */
static int import_row(struct import *im, const struct row *row, struct outcome *o, bool *reached)
{
	uint8_t box[80];
	int r;

	if (row->value_len == 0 || row->value_len > LEGACY_MAX) {
		snprintf(o->why, sizeof o->why, "this is no value of this layout");
		return KE_FORMAT;
	}
	r = seal_key(im, box, o->why, reached);
	if (r == KE_OK)
		r = send_value(im, row, box, o->why, reached);
	if (r != KE_OK)
		return r;
	live_member(o->why, "state", o->state, sizeof o->state);
	live_member(o->why, "address", o->address, sizeof o->address);
	live_member(o->why, "pool_id", o->pool, sizeof o->pool);
	o->why[0] = '\0';
	return KE_OK;
}

/* --- what is told --- */

static void tell_json(struct import *im, const struct outcome *o)
{
	char buf[2 * WORDS_MAX];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof buf);
	jsonw_object(&w);
	jsonw_kint(&w, "line", (int64_t)im->line);
	jsonw_kcstr(&w, "state", o->state);
	if (o->address[0] != '\0')
		jsonw_kcstr(&w, "address", o->address);
	if (o->pool[0] != '\0')
		jsonw_kcstr(&w, "pool_id", o->pool);
	if (o->why[0] != '\0')
		jsonw_kcstr(&w, "why", o->why);
	jsonw_object_end(&w);
	if (jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
	im->ctl->told = true;
}

static void tell(struct import *im, const struct outcome *o)
{
	if (im->json)
		tell_json(im, o);
	else if (o->why[0] != '\0')
		printf("%s:%lu: failed: %s\n", im->path, im->line, o->why);
	else
		printf("%s:%lu: %s %s\n", im->path, im->line, o->state, o->address);
}

static void count(struct import *im, struct outcome *o, int r)
{
	if (r != KE_OK) {
		snprintf(o->state, sizeof o->state, "failed");
		if (o->why[0] == '\0')
			snprintf(o->why, sizeof o->why, "%s", ke_words(r));
		im->failed++;
	} else if (strcmp(o->state, "exists") == 0) {
		im->exists++;
	} else {
		im->imported++;
	}
}

/* --- the file --- */

/* CTL_OK to go on: a line that fails is told and counted. */
static int do_line(struct import *im, char *line)
{
	struct outcome o = {.state = ""};
	struct row row;
	char name[32];
	const char *start = line, *wrong;
	bool reached = true;
	int r = KE_FORMAT;

	line[trim(&start, strlen(line)) + (size_t)(start - line)] = '\0';
	if (*start == '\0' || *start == '#' || strcmp(start, "name,chain,value") == 0)
		return CTL_OK;
	wrong = take_apart(im, line, &row, name);
	if (wrong != NULL)
		snprintf(o.why, sizeof o.why, "%s", wrong);
	else
		r = import_row(im, &row, &o, &reached);
	count(im, &o, r);
	tell(im, &o);
	return reached ? CTL_OK : CTL_UNREACHABLE;
}

static int do_file(struct import *im, FILE *f)
{
	char line[LINE_MAX_LEN];
	int status = CTL_OK;

	while (status == CTL_OK && fgets(line, sizeof line, f) != NULL) {
		im->line++;
		if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n')
			return ctl_fail(
			    CTL_USAGE, "%s:%lu: the line is too long", im->path, im->line);
		status = do_line(im, line);
	}
	if (ferror(f))
		return ctl_fail(CTL_USAGE, "%s: %s", im->path, strerror(errno));
	if (!im->json)
		printf("%lu %s, %lu there already, %lu failed\n", im->imported,
		    im->look_only ? "would be imported" : "imported", im->exists, im->failed);
	if (fflush(stdout) != 0)
		return ctl_fail(CTL_REFUSED, "standard output: %s", strerror(errno));
	if (status != CTL_OK)
		return ctl_fail(
		    status, "no klerod answers: begin again, what is there is left as it is");
	return im->failed > 0 ? CTL_REFUSED : CTL_OK;
}

/* --- the command line --- */

static int set_layout(struct import *im, const char *word)
{
	im->layout = 0;
	while (im->layout < LEGACY_LAYOUT_COUNT && strcmp(legacy_words[im->layout], word) != 0)
		im->layout++;
	if (im->layout < LEGACY_LAYOUT_COUNT)
		return CTL_OK;
#define X(name, word) " " word
	return ctl_fail(CTL_USAGE, "%s: the layouts are" LEGACY_LAYOUTS(X), word);
#undef X
}

static int parse(struct import *im, char **argv)
{
	const char *layout = ctl_given(im->ctl, "layout"), *chain = ctl_given(im->ctl, "chain");
	int status = layout != NULL ? set_layout(im, layout) : CTL_OK;

	if (status != CTL_OK)
		return status;
	im->path = argv[0];
	im->key_path = ctl_given(im->ctl, "key-file");
	im->look_only = ctl_given(im->ctl, "dry-run") != NULL;
	im->json = im->ctl->json;
	im->has_chain = chain != NULL;
	if (im->has_chain && chain_parse(&im->chain, chain, strlen(chain)) != KE_OK)
		return ctl_fail(
		    CTL_USAGE, "%s: a chain is evm:<chain id>, solana, or solana:<cluster>", chain);
	if (strcmp(im->path, "-") == 0 && im->key_path == NULL)
		return ctl_fail(CTL_USAGE,
		    "with the values on standard input, the key has to come by --key-file");
	return CTL_OK;
}

int ctl_import_deposit_keys(struct ctl *ctl, int argc, char **argv)
{
	struct import im = {.ctl = ctl};
	int status = parse(&im, argv);
	FILE *f;

	(void)argc;
	if (status != CTL_OK)
		return status;
	f = ctl_open(im.path);
	if (f == NULL)
		return CTL_USAGE;
	status = read_key(&im);
	if (status == CTL_OK)
		status = do_file(&im, f);
	sodium_free(im.key); /* wipes */
	ctl_close(f);
	return status;
}
