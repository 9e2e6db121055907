/*
 * Class keys made, sealed again and destroyed: see class.h. Runs in keyadm only.
 */
#include <sodium.h>
#include <string.h>

#include "hsm/p11/class.h"
#include "hsm/p11/class_label.h"
#include "hsm/p11/data.h"
#include "hsm/p11/op.h"

static int put(
    struct p11 *p, const struct key *master, const struct class_object *o, const char *text)
{
	char label[CLASS_LABEL_MAX];

	class_label(label, o->purpose, o->version, master->version);
	return data_create(p, label, text, strlen(text));
}

int class_make(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16],
    enum key_purpose purpose, uint32_t version)
{
	const struct key *master = key_ring_get(ring, KEY_MASTER, 0);
	const struct class_object o = {.purpose = purpose, .version = version};
	const struct blob_class c = {purpose_words[purpose], version, appliance};
	char text[BLOB_TEXT_MAX];
	int r;

	if (master == NULL)
		return p11_fail(p, KE_NOTFOUND, "token %s has no master key", p->label);
	/* what a cut has left of a version that no anchor ever named has sealed nothing */
	r = class_destroy(p, purpose, version);
	if (r == KE_OK)
		r = blob_make_class_key(p, master, &c, text, sizeof text);
	if (r == KE_OK)
		r = put(p, master, &o, text);
	return r;
}

static bool is_under(const struct class_objects *all, const struct class_object *o, uint32_t master)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->o[i].purpose == o->purpose && all->o[i].version == o->version &&
		    all->o[i].master == master)
			return true;
	return false;
}

static int seal_again(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16],
    const struct class_object *o, const struct key *master)
{
	const struct blob_class c = {purpose_words[o->purpose], o->version, appliance};
	char text[BLOB_TEXT_MAX];
	uint8_t plain[32];
	int r = class_open(p, ring, appliance, o, plain);

	if (r == KE_OK)
		r = blob_seal_class_key(p, master, &c, plain, text, sizeof text);
	sodium_memzero(plain, sizeof plain);
	return r == KE_OK ? put(p, master, o, text) : r;
}

/* The first object of its version stands for all of them. */
static bool is_first(const struct class_objects *all, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (all->o[j].purpose == all->o[i].purpose &&
		    all->o[j].version == all->o[i].version)
			return false;
	return true;
}

static int reseal_one(struct p11 *p, const struct key_ring *ring, const struct anchor *a,
    const struct class_objects *all, const struct class_object *o)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < ring->n; i++) {
		const struct key *k = &ring->keys[i];
		const struct anchor_key *known = anchor_key(a, k->purpose, k->version);

		if (k->purpose != KEY_MASTER || known == NULL || known->status != ANCHOR_LIVE ||
		    is_under(all, o, k->version))
			continue;
		r = seal_again(p, ring, a->appliance, o, k);
	}
	return r;
}

int class_reseal(struct p11 *p, const struct key_ring *ring, const struct anchor *a)
{
	struct class_objects all;
	int r = class_list(p, &all);

	for (size_t i = 0; r == KE_OK && i < all.n; i++) {
		const struct class_object *o = &all.o[i];

		if (is_first(&all, i) && anchor_wants(a, o->purpose, o->version) &&
		    key_ring_get(ring, KEY_MASTER, o->master) != NULL)
			r = reseal_one(p, ring, a, &all, o);
	}
	return r;
}

int class_destroy(struct p11 *p, enum key_purpose purpose, uint32_t version)
{
	struct class_objects all;
	int r = class_list(p, &all);

	for (size_t i = 0; r == KE_OK && i < all.n; i++)
		if (all.o[i].purpose == purpose && all.o[i].version == version)
			r = op_destroy(p, all.o[i].handle);
	return r;
}

int class_sweep(struct p11 *p, const struct anchor *a)
{
	struct class_objects all;
	int r = class_list(p, &all);

	for (size_t i = 0; r == KE_OK && i < all.n; i++) {
		const struct class_object *o = &all.o[i];

		if (!anchor_wants(a, o->purpose, o->version) ||
		    !anchor_wants(a, KEY_MASTER, o->master))
			r = op_destroy(p, o->handle);
	}
	return r;
}
