/*
 * The anchor: see anchor.h. Pure; hsm and keyadm obey it.
 */
#include "policy/anchor.h"

#include <string.h>

#include "policy/canon.h"

static const char *const statuses[ANCHOR_STATUS_COUNT] = {
#define X(name, word) word,
    ANCHOR_STATUSES(X)
#undef X
};

static const char *const judgements[] = {"good", "compromised"};

const char *const anchor_state_words[KEY_STATES] = {
    "pre-active", "active", "deactivated", "destroyed"};

/* --- officers --- */

static bool same_key(const struct ssh_key *a, const struct ssh_key *b)
{
	return a->blob_len == b->blob_len && memcmp(a->blob, b->blob, a->blob_len) == 0;
}

int officers_check(const struct officers *o)
{
	if (o->n > ANCHOR_OFFICERS_MAX || o->threshold > o->n)
		return KE_RANGE;
	if (o->n > 0 && o->threshold == 0)
		return KE_RANGE;
	for (size_t i = 0; i < o->n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(o->officer[i].name, o->officer[j].name) == 0 ||
			    same_key(&o->officer[i].key, &o->officer[j].key))
				return KE_EXISTS;
	return KE_OK;
}

const struct officer *officers_find(const struct officers *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++)
		if (strcmp(o->officer[i].name, name) == 0)
			return &o->officer[i];
	return NULL;
}

static void officer_key(struct canon *io, struct ssh_key *k)
{
	uint8_t blob[SSH_BLOB_MAX];
	size_t n;

	if (!canon_reads(io)) {
		canon_b64(io, k->blob, sizeof k->blob, &k->blob_len);
		return;
	}
	canon_b64(io, blob, sizeof blob, &n);
	if (io->err == KE_OK && ssh_key_blob(k, blob, n) != KE_OK)
		canon_fail(io, KE_FORMAT);
}

void officers_lines(struct canon *io, struct officers *o)
{
	size_t i = 0;

	canon_u64_line(io, "threshold ", &o->threshold);
	for (; canon_more(io, "officer ", i, o->n, ANCHOR_OFFICERS_MAX); i++) {
		canon_lit(io, "officer ");
		canon_name(io, o->officer[i].name, sizeof o->officer[i].name);
		canon_lit(io, " ");
		officer_key(io, &o->officer[i].key);
		canon_lit(io, "\n");
	}
	o->n = i;
	if (io->err == KE_OK && officers_check(o) != KE_OK)
		canon_fail(io, KE_FORMAT);
}

int officers_text(const struct officers *o, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct officers copy = *o;

	officers_lines(&io, &copy);
	*len = io.len;
	return io.err;
}

int officers_parse(struct officers *o, const char *s, size_t n)
{
	struct canon io = {.in = (const uint8_t *)s, .cap = n};

	officers_lines(&io, o);
	return io.err == KE_OK && io.len == n ? KE_OK : KE_FORMAT;
}

/* --- the text --- */

static void key_lines(struct canon *io, struct anchor *a)
{
	size_t i = 0;

	for (; canon_more(io, "key ", i, a->keys, ANCHOR_KEYS_MAX); i++) {
		struct anchor_key *k = &a->key[i];

		canon_lit(io, "key ");
		canon_choice(io, purpose_words, KEY_PURPOSES, &k->purpose);
		canon_lit(io, " ");
		canon_u64(io, &k->version);
		canon_lit(io, " ");
		canon_u64(io, &k->since_s);
		canon_lit(io, " ");
		canon_choice(io, statuses, ANCHOR_STATUS_COUNT, &k->status);
		canon_lit(io, " ");
		canon_choice(io, judgements, 2, &k->compromised);
		canon_lit(io, "\n");
	}
	a->keys = i;
}

static void nonce_lines(struct canon *io, struct anchor *a)
{
	size_t i = 0;

	for (; canon_more(io, "nonce ", i, a->nonces, ANCHOR_NONCES_MAX); i++) {
		canon_lit(io, "nonce ");
		canon_hex(io, a->nonce[i].nonce, 16);
		canon_lit(io, " ");
		canon_u64(io, &a->nonce[i].expires_s);
		canon_lit(io, "\n");
	}
	a->nonces = i;
}

/* A token of before its first approved action knows of no line. */
static void audit_line(struct canon *io, struct anchor *a)
{
	bool there = canon_reads(io) ? canon_at(io, "audit ") : a->audit != 0;

	if (!there) {
		a->audit = 0;
		memset(a->audit_hash, 0, sizeof a->audit_hash);
		return;
	}
	canon_lit(io, "audit ");
	canon_u64(io, &a->audit);
	canon_lit(io, " ");
	canon_hex(io, a->audit_hash, sizeof a->audit_hash);
	canon_lit(io, "\n");
	if (a->audit == 0)
		canon_fail(io, KE_FORMAT);
}

static void text(struct canon *io, struct anchor *a)
{
	canon_lit(io, "kleroterion anchor v1\n");
	canon_u64_line(io, "serial ", &a->serial);
	canon_u64_line(io, "written ", &a->written_s);
	canon_hex_line(io, "appliance ", a->appliance, 16);
	canon_u64_line(io, "epoch ", &a->epoch);
	audit_line(io, a);
	officers_lines(io, &a->officers);
	key_lines(io, a);
	nonce_lines(io, a);
	canon_lit(io, "end\n"); /* a text that was cut has none */
}

/* The versions of each purpose are 1, 2, 3, … in this order. */
static bool versions_ok(const struct anchor *a)
{
	uint64_t last[KEY_PURPOSES] = {0};

	for (size_t i = 0; i < a->keys; i++)
		if (a->key[i].version != ++last[a->key[i].purpose])
			return false;
	return true;
}

int anchor_text(const struct anchor *a, char *out, size_t cap, size_t *len)
{
	struct canon io = {.out = (uint8_t *)out, .cap = cap};
	struct anchor copy = *a;

	if (!versions_ok(a))
		return KE_FORMAT;
	text(&io, &copy);
	*len = io.len;
	return io.err;
}

int anchor_parse(struct anchor *a, const char *s, size_t n)
{
	struct canon io = {.in = (const uint8_t *)s, .cap = n};

	text(&io, a);
	return io.err == KE_OK && io.len == n && versions_ok(a) ? KE_OK : KE_FORMAT;
}

uint64_t anchor_now(const struct anchor *a, uint64_t clock_s)
{
	return clock_s > a->written_s ? clock_s : a->written_s;
}

void anchor_written(struct anchor *a, uint64_t clock_s)
{
	a->written_s = anchor_now(a, clock_s);
	a->serial++;
}

/* --- keys --- */

/* a->keys when the anchor does not know that version. */
static size_t place_of(const struct anchor *a, enum key_purpose p, uint64_t version)
{
	size_t i = 0;

	while (i < a->keys && (a->key[i].purpose != p || a->key[i].version != version))
		i++;
	return i;
}

static struct anchor_key *find(struct anchor *a, enum key_purpose p, uint64_t version)
{
	size_t i = place_of(a, p, version);

	return i < a->keys ? &a->key[i] : NULL;
}

const struct anchor_key *anchor_key(const struct anchor *a, enum key_purpose p, uint64_t version)
{
	size_t i = place_of(a, p, version);

	return i < a->keys ? &a->key[i] : NULL;
}

bool anchor_wants(const struct anchor *a, enum key_purpose p, uint64_t version)
{
	const struct anchor_key *k = anchor_key(a, p, version);

	return k != NULL && k->status != ANCHOR_DESTROYED;
}

/*
 * A clock that was set back must not leave a purpose without a key: when the time of none has
 * come, the first one serves.
 */
const struct anchor_key *anchor_active(const struct anchor *a, enum key_purpose p, uint64_t now_s)
{
	const struct anchor_key *best = NULL;

	for (size_t i = 0; i < a->keys; i++) {
		const struct anchor_key *k = &a->key[i];

		if (k->purpose != p || k->status != ANCHOR_LIVE)
			continue;
		if (best == NULL || k->since_s <= now_s)
			best = k;
	}
	return best;
}

enum key_state anchor_state(const struct anchor *a, const struct anchor_key *k, uint64_t now_s)
{
	const struct anchor_key *active = anchor_active(a, k->purpose, now_s);

	if (k->status == ANCHOR_DESTROYED)
		return KEY_DESTROYED;
	if (k == active)
		return KEY_ACTIVE;
	if (k->status == ANCHOR_LIVE && active != NULL && k->version > active->version)
		return KEY_PRE_ACTIVE;
	return KEY_DEACTIVATED;
}

int anchor_add(struct anchor *a, enum key_purpose p, uint64_t since_s, uint64_t *version)
{
	uint64_t last = 0;

	if (a->keys == ANCHOR_KEYS_MAX)
		return KE_FULL;
	for (size_t i = 0; i < a->keys; i++) {
		if (a->key[i].purpose != p)
			continue;
		last = a->key[i].version;
		if (a->key[i].status == ANCHOR_LIVE && a->key[i].since_s > since_s)
			since_s = a->key[i].since_s;
	}
	*version = last + 1;
	a->key[a->keys++] = (struct anchor_key){p, *version, since_s, ANCHOR_LIVE, 0};
	return KE_OK;
}

int anchor_roll_back(struct anchor *a, enum key_purpose p, uint64_t version)
{
	struct anchor_key *k = find(a, p, version);
	size_t later = 0;

	if (k == NULL)
		return KE_NOTFOUND;
	if (k->status != ANCHOR_LIVE || k->compromised)
		return KE_STATE;
	for (size_t i = 0; i < a->keys; i++) {
		struct anchor_key *other = &a->key[i];

		if (other->purpose != p || other->version <= version ||
		    other->status != ANCHOR_LIVE)
			continue;
		other->status = ANCHOR_RETIRED;
		later++;
	}
	return later > 0 ? KE_OK : KE_STATE;
}

int anchor_destroy(struct anchor *a, enum key_purpose p, uint64_t version, uint64_t now_s)
{
	struct anchor_key *k = find(a, p, version);

	if (k == NULL)
		return KE_NOTFOUND;
	if (anchor_state(a, k, now_s) != KEY_DEACTIVATED)
		return KE_STATE;
	k->status = ANCHOR_DESTROYED;
	return KE_OK;
}

int anchor_compromise(struct anchor *a, enum key_purpose p, uint64_t version)
{
	struct anchor_key *k = find(a, p, version);

	if (k == NULL)
		return KE_NOTFOUND;
	if (k->compromised)
		return KE_EXISTS;
	k->compromised = 1;
	if (k->status == ANCHOR_LIVE)
		k->status = ANCHOR_RETIRED;
	return KE_OK;
}

/* --- officers and approvals --- */

int anchor_set_officers(struct anchor *a, const struct officers *o)
{
	int r = officers_check(o);

	if (r != KE_OK)
		return r;
	if (o->n == 0)
		return KE_RANGE;
	a->officers = *o;
	a->epoch++;
	return KE_OK;
}

static void forget_expired(struct anchor *a, uint64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->nonces; i++)
		if (a->nonce[i].expires_s > now_s)
			a->nonce[kept++] = a->nonce[i];
	a->nonces = kept;
}

int anchor_use_nonce(struct anchor *a, const uint8_t nonce[16], uint64_t expires_s, uint64_t now_s)
{
	if (expires_s <= now_s)
		return KE_TIMEOUT;
	for (size_t i = 0; i < a->nonces; i++)
		if (memcmp(a->nonce[i].nonce, nonce, 16) == 0)
			return KE_EXISTS;
	forget_expired(a, now_s);
	if (a->nonces == ANCHOR_NONCES_MAX)
		return KE_FULL;
	memcpy(a->nonce[a->nonces].nonce, nonce, 16);
	a->nonce[a->nonces++].expires_s = expires_s;
	return KE_OK;
}
