/*
 * hsm's memory: see once.h. Runs in hsm and keyadm.
 */
#include "hsm/once/once.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/be.h"
#include "policy/hash.h"

/* Where a name's slots begin. */
static uint32_t place(const struct once *o, const uint8_t name[32])
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t at;

	crypto_shorthash(hash, name, 32, o->salt);
	memcpy(&at, hash, sizeof at);
	return at % ONCE_SLOTS;
}

/* The slot that holds the name, or the free one where it would go: half of them always are. */
static uint32_t find(const struct once *o, const uint8_t name[32])
{
	for (uint32_t at = place(o, name);; at = (at + 1) % ONCE_SLOTS) {
		uint32_t i = o->slots[at];

		if (i == 0 || memcmp(o->facts[i - 1].name, name, 32) == 0)
			return at;
	}
}

/* NULL when the memory is full. */
static struct once_fact *insert(struct once *o, uint32_t at, const uint8_t name[32])
{
	struct once_fact *f = &o->facts[o->n];

	if (o->n == ONCE_MAX) {
		o->lossy = true;
		return NULL;
	}
	memcpy(f->name, name, 32);
	memset(f->value, 0, 32);
	o->slots[at] = ++o->n;
	return f;
}

/* --- counts --- */

static struct once_count *count_of(struct once *o, enum key_purpose purpose, uint32_t version)
{
	for (size_t i = 0; i < o->counts; i++)
		if (o->count[i].purpose == purpose && o->count[i].version == version)
			return &o->count[i];
	if (o->counts == ANCHOR_KEYS_MAX) {
		o->lossy = true;
		return NULL;
	}
	o->count[o->counts] = (struct once_count){.purpose = purpose, .version = version};
	return &o->count[o->counts++];
}

static void count_one(struct once *o, enum key_purpose purpose, uint32_t version, bool more)
{
	struct once_count *c = version != 0 ? count_of(o, purpose, version) : NULL;

	if (c != NULL && more)
		c->live++;
	else if (c != NULL && c->live > 0)
		c->live--;
}

/* --- records, one's own and another's --- */

/* The first one counts: what is told to somebody stands in the journal before. */
static void take_fact(struct once *o, const struct journal_record *r)
{
	uint32_t at = find(o, r->name);
	struct once_fact *f = o->slots[at] == 0 ? insert(o, at, r->name) : NULL;

	if (f != NULL)
		memcpy(f->value, r->value, 32);
}

/* The last one counts. */
static void take_stand(struct once *o, const struct journal_record *r, enum key_purpose purpose)
{
	uint32_t at = find(o, r->name), i = o->slots[at];
	struct once_fact *f = i != 0 ? &o->facts[i - 1] : insert(o, at, r->name);

	if (f == NULL)
		return;
	count_one(o, purpose, be_get32(f->value), false);
	be_put32(f->value, r->version);
	count_one(o, purpose, r->version, true);
}

static void take_begin(struct once *o, const struct journal_record *r, enum key_purpose purpose)
{
	struct once_count *c = memcmp(r->name, o->appliance, sizeof o->appliance) == 0
				   ? count_of(o, purpose, r->version)
				   : NULL;

	if (c != NULL)
		c->begun = true;
}

/* The chain's place, or the one that rested longest. */
static struct once_spent *spent_of(struct once *o, unsigned kind, uint64_t chain_id)
{
	struct once_spent *oldest = &o->spent[0];

	for (size_t i = 0; i < ONCE_CHAINS; i++) {
		struct once_spent *s = &o->spent[i];

		if (s->kind == kind && s->chain_id == chain_id)
			return s;
		if (s->spent.start_s < oldest->spent.start_s)
			oldest = s;
	}
	*oldest = (struct once_spent){.kind = kind, .chain_id = chain_id};
	return oldest;
}

/* A span that is over does not come back; a sum that no number holds is the highest one. */
static void take_spent(struct once *o, const struct journal_record *r)
{
	struct once_spent *s = spent_of(o, r->name[0], be_get64(r->name + 1));
	uint64_t start_s = be_get64(r->name + 9);
	struct u256 cost;

	memcpy(cost.be, r->value, sizeof cost.be);
	if (start_s > s->spent.start_s)
		s->spent = (struct paylimit_spent){.start_s = start_s};
	if (start_s == s->spent.start_s && u256_add(&s->spent.sum, &s->spent.sum, &cost) != KE_OK)
		memset(s->spent.sum.be, 0xff, sizeof s->spent.sum.be);
}

/* The log's place; NULL when it has none. */
static struct once_log *log_of(struct once *o, const uint8_t origin[16])
{
	for (uint32_t i = 0; i < o->nlogs; i++)
		if (memcmp(o->logs[i].origin, origin, 16) == 0)
			return &o->logs[i];
	return NULL;
}

/* Only what follows the last one counts, so that of two that follow it the first does. */
static void take_cosigned(struct once *o, const struct journal_record *r)
{
	struct once_log *l = log_of(o, r->name);
	uint64_t from = be_get64(r->name + 16), size = be_get64(r->name + 24);

	if (size <= from || from != (l != NULL ? l->size : 0))
		return;
	if (l == NULL && o->nlogs == ONCE_LOGS) {
		o->lossy = true;
		return;
	}
	if (l == NULL)
		l = &o->logs[o->nlogs++];
	memcpy(l->origin, r->name, 16);
	l->size = size;
	memcpy(l->root, r->value, 32);
}

static void take(void *arg, const struct journal_record *r)
{
	struct once *o = arg;
	enum key_purpose p = r != NULL
				 ? purpose_of(r->purpose, strnlen(r->purpose, sizeof r->purpose))
				 : KEY_PURPOSES;

	if (r != NULL && r->kind > 0 && r->kind < ONCE_FACTS)
		take_fact(o, r);
	else if (r != NULL && r->kind == ONCE_STAND && p < KEY_PURPOSES)
		take_stand(o, r, p);
	else if (r != NULL && r->kind == ONCE_BEGIN && p < KEY_PURPOSES)
		take_begin(o, r, p);
	else if (r != NULL && r->kind == ONCE_SPENT)
		take_spent(o, r);
	else if (r != NULL && r->kind == ONCE_COSIGNED)
		take_cosigned(o, r);
	else
		o->damaged++; /* of a later version of this program */
}

/* Another hsm may have told something since. */
static int refresh(struct once *o)
{
	return journal_read(&o->journal, take, o);
}

/* Into the journal, and from there into the memory: behind what others have added meanwhile. */
static int add(struct once *o, const struct journal_record *r)
{
	int e;

	if (o->n == ONCE_MAX)
		return KE_FULL;
	if (o->journal.fd < 0) {
		take(o, r);
		return KE_OK;
	}
	e = journal_add(&o->journal, r);
	return e == KE_OK ? refresh(o) : e;
}

int once_load(struct once *o, int fd)
{
	for (uint32_t i = 0; i < o->n; i++)
		for (uint32_t at = place(o, o->facts[i].name); o->slots[at] != 0;
		     at = (at + 1) % ONCE_SLOTS)
			o->slots[at] = 0;
	o->journal = (struct journal){.fd = fd};
	o->n = 0;
	o->counts = 0;
	o->nlogs = 0;
	memset(o->spent, 0, sizeof o->spent);
	o->damaged = 0;
	o->lossy = false;
	return refresh(o);
}

int once_init(struct once *o, int fd, const uint8_t appliance[16])
{
	*o = (struct once){.n = 0};
	memcpy(o->appliance, appliance, sizeof o->appliance);
	randombytes_buf(o->salt, sizeof o->salt);
	/* large and untouched: the kernel gives pages as they are used */
	o->slots = calloc(ONCE_SLOTS, sizeof *o->slots);
	o->facts = calloc(ONCE_MAX, sizeof *o->facts);
	o->logs = calloc(ONCE_LOGS, sizeof *o->logs);
	return o->slots != NULL && o->facts != NULL && o->logs != NULL ? once_load(o, fd)
								       : KE_NOMEM;
}

/* --- facts --- */

/* What the record is about; its purpose is the one of a standing or of a version, or none. */
static void name_it(struct journal_record *r, const void *id, size_t n)
{
	uint8_t head[1 + sizeof r->purpose];

	head[0] = r->kind;
	memcpy(head + 1, r->purpose, sizeof r->purpose);
	hash_sha256_2(r->name, head, sizeof head, id, n);
}

static struct journal_record about(enum once_kind kind, enum key_purpose purpose, uint32_t version)
{
	struct journal_record r = {.kind = (uint8_t)kind, .version = version};

	snprintf(r.purpose, sizeof r.purpose, "%s", purpose_words[purpose]);
	return r;
}

static int compare(const struct once *o, const uint8_t name[32], const uint8_t value[32])
{
	uint32_t i = o->slots[find(o, name)];

	if (i == 0)
		return KE_NOTFOUND;
	return sodium_memcmp(o->facts[i - 1].value, value, 32) == 0 ? KE_OK : KE_DENIED;
}

int once_ask(
    struct once *o, enum once_kind kind, const uint8_t *id, size_t n, const uint8_t value[32])
{
	struct journal_record rec = {.kind = (uint8_t)kind};
	int r = refresh(o);

	name_it(&rec, id, n);
	return r == KE_OK ? compare(o, rec.name, value) : r;
}

int once_tell(
    struct once *o, enum once_kind kind, const uint8_t *id, size_t n, const uint8_t value[32])
{
	struct journal_record rec = {.kind = (uint8_t)kind};
	int r = once_ask(o, kind, id, n, value);

	if (r != KE_NOTFOUND)
		return r;
	name_it(&rec, id, n);
	memcpy(rec.value, value, 32);
	r = add(o, &rec);
	return r == KE_OK ? compare(o, rec.name, value) : r;
}

/* --- standings --- */

bool once_counts(enum key_purpose purpose)
{
	return purpose == KEY_MASTER || purpose == KEY_SEED || purpose == KEY_DEPOSIT ||
	       purpose == KEY_DEPOSIT25519;
}

int once_stand(struct once *o, enum key_purpose purpose, const void *id, size_t n, uint32_t version)
{
	struct journal_record rec = about(ONCE_STAND, purpose, version);
	uint8_t value[32] = {0};
	int r = refresh(o);

	name_it(&rec, id, n);
	be_put32(value, version);
	if (r != KE_OK)
		return r;
	return compare(o, rec.name, value) == KE_OK ? KE_OK : add(o, &rec);
}

int once_begin(struct once *o, enum key_purpose purpose, uint32_t version)
{
	struct journal_record rec = about(ONCE_BEGIN, purpose, version);

	memcpy(rec.name, o->appliance, sizeof o->appliance);
	return add(o, &rec);
}

int once_count(struct once *o, enum key_purpose purpose, uint32_t version, uint32_t *live)
{
	int r = refresh(o);

	*live = 0;
	if (r != KE_OK)
		return r;
	if (o->damaged > 0 || o->lossy)
		return KE_DAMAGED;
	for (size_t i = 0; i < o->counts; i++) {
		const struct once_count *c = &o->count[i];

		if (c->purpose != purpose || c->version != version || !c->begun)
			continue;
		*live = c->live;
		return KE_OK;
	}
	return KE_NOTFOUND;
}

/* --- payouts --- */

int once_spent(struct once *o, const struct payout *p, struct paylimit_spent *spent)
{
	int r = refresh(o);

	*spent = spent_of(o, p->kind, p->chain_id)->spent;
	return r;
}

int once_spend(struct once *o, const struct payout *p, uint64_t start_s, const struct u256 *cost)
{
	struct journal_record rec = {.kind = ONCE_SPENT};

	rec.name[0] = p->kind;
	be_put64(rec.name + 1, p->chain_id);
	be_put64(rec.name + 9, start_s);
	memcpy(rec.value, cost->be, sizeof cost->be);
	return add(o, &rec);
}

/* --- other people's logs --- */

static void origin_hash(uint8_t out[32], const char *origin)
{
	hash_sha256(out, origin, strlen(origin));
}

int once_cosigned(struct once *o, const char *origin, struct once_log *last)
{
	const struct once_log *l;
	uint8_t name[32];
	int r = refresh(o);

	if (r != KE_OK)
		return r;
	origin_hash(name, origin);
	l = log_of(o, name);
	if (l == NULL)
		return KE_NOTFOUND;
	*last = *l;
	return KE_OK;
}

int once_cosign(
    struct once *o, const char *origin, uint64_t from, uint64_t size, const uint8_t root[32])
{
	struct journal_record rec = {.kind = ONCE_COSIGNED};
	const struct once_log *l;
	int r;

	origin_hash(rec.name, origin);
	if (size <= from)
		return KE_CONFLICT;
	if (o->nlogs == ONCE_LOGS && log_of(o, rec.name) == NULL)
		return KE_FULL;
	be_put64(rec.name + 16, from);
	be_put64(rec.name + 24, size);
	memcpy(rec.value, root, 32);
	r = add(o, &rec);
	if (r != KE_OK)
		return r;
	l = log_of(o, rec.name);
	return l != NULL && l->size == size && memcmp(l->root, root, 32) == 0 ? KE_OK : KE_CONFLICT;
}
