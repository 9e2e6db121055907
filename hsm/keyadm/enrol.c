/*
 * Officers of a token that has none: see keyadm.h and enrol.h. Runs in klerod-keyadm, inside its
 * sandbox. Afterwards only officers change officers.
 */
#include "hsm/keyadm/enrol.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hsm/keyadm/keyadm.h"
#include "hsm/keyadm/sync.h"
#include "hsm/p11/class.h"
#include "hsm/p11/data.h"

/* Purposes that tokens of before anchors lack: keyadm_complete() makes them. */
#define ENROL_LATER (KEY_SET_CLASS | KEY_SET_OPTIONAL)

static bool has_class(const struct class_objects *all, unsigned purpose, unsigned version)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->o[i].purpose == purpose && all->o[i].version == version)
			return true;
	return false;
}

static unsigned versions(
    const struct key_ring *ring, const struct class_objects *all, unsigned purpose)
{
	unsigned n = 0;

	if (purpose == KEY_TLS)
		return 1; /* in the token of its own */
	while (key_ring_get(ring, purpose, n + 1) != NULL || has_class(all, purpose, n + 1))
		n++;
	return n;
}

/* The keys that are there, in use since then: their versions without a gap, or none. */
static int adopt(struct p11 *p, struct anchor *a, const struct key_ring *ring, uint64_t made_s)
{
	struct class_objects all;
	uint64_t version;
	int r = class_list(p, &all);

	for (unsigned i = 0; r == KE_OK && i < KEY_PURPOSES; i++) {
		unsigned n = versions(ring, &all, i);

		if (n == 0 && (ENROL_LATER & (1u << i)) != 0)
			continue;
		if (n == 0)
			return p11_fail(p, KE_NOTFOUND, "token %s has no key %s of version 1",
			    p->label, purpose_words[i]);
		while (n-- > 0)
			if (anchor_add(a, i, made_s, &version) != KE_OK)
				return p11_fail(p, KE_FULL, "token %s has too many keys", p->label);
	}
	return r;
}

static int take_officers(struct p11 *p, struct anchor *a, const char *text)
{
	struct officers o;

	if (text[0] == '\0')
		return KE_OK;
	if (officers_parse(&o, text, strlen(text)) != KE_OK || anchor_set_officers(a, &o) != KE_OK)
		return p11_fail(p, KE_FORMAT, "the list of officers is malformed");
	return KE_OK;
}

static int write_first(struct p11 *p, struct anchor *a, const struct rconf_keyadm *c)
{
	int r = take_officers(p, a, c->text);

	if (r != KE_OK)
		return r;
	anchor_written(a, (uint64_t)time(NULL));
	r = data_store(p, a);
	return r == KE_OK ? sync_folder(p, c->folder) : r;
}

int enrol_anchor(
    struct p11 *p, const struct key_ring *ring, const struct rconf_keyadm *c, uint64_t made_s)
{
	struct anchor *a = calloc(1, sizeof *a);
	int r = KE_NOMEM;

	if (a == NULL)
		return p11_fail(p, r, "out of memory");
	/* one that a failed provisioning has left counts on, and is replaced */
	r = data_load(p, a);
	*a = (struct anchor){.serial = r == KE_OK ? a->serial : 0};
	if (r == KE_NOTFOUND)
		r = KE_OK;
	memcpy(a->appliance, c->appliance_id, sizeof a->appliance);
	if (r == KE_OK)
		r = adopt(p, a, ring, made_s);
	if (r == KE_OK)
		r = write_first(p, a, c);
	free(a);
	return r;
}

static int enrol_in(struct p11 *p, struct anchor *a, const struct rconf_keyadm *c)
{
	if (memcmp(a->appliance, c->appliance_id, sizeof a->appliance) != 0)
		return p11_fail(p, KE_DENIED, "token %s belongs to another appliance", p->label);
	if (a->officers.n > 0)
		return p11_fail(
		    p, KE_EXISTS, "token %s has officers: only they can change the list", p->label);
	return write_first(p, a, c);
}

int keyadm_enrol(struct p11 *p, const struct rconf_keyadm *c, struct rconf_keyadm_done *done)
{
	struct anchor *a = malloc(sizeof *a);
	struct key_ring ring;
	int r = a != NULL ? KE_OK : p11_fail(p, KE_NOMEM, "out of memory");

	(void)done;
	if (r == KE_OK && c->text[0] == '\0')
		r = p11_fail(p, KE_FORMAT, "no officers are named");
	if (r == KE_OK)
		r = data_load(p, a);
	if (r == KE_OK) {
		r = enrol_in(p, a, c);
	} else if (r == KE_NOTFOUND) {
		r = key_ring_find(p, &ring);
		if (r == KE_OK)
			r = enrol_anchor(p, &ring, c, 0);
	}
	free(a);
	return r;
}
