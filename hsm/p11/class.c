/*
 * Class keys as the token keeps them: see class.h. Runs in hsm and keyadm.
 */
#include "hsm/p11/class.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "hsm/p11/class_label.h"
#include "hsm/p11/data.h"

/* A label of ours, or KE_NOTFOUND (another data object), or KE_FORMAT. */
static int parse_label(const char *label, struct class_object *o)
{
	char word[32], again[CLASS_LABEL_MAX];
	unsigned version, master;
	enum key_purpose purpose;

	if (sscanf(label, "klero/%31[a-z0-9]/", word) != 1)
		return KE_NOTFOUND;
	purpose = purpose_of(word, strlen(word));
	if (purpose == KEY_PURPOSES || !key_is_class(purpose))
		return KE_NOTFOUND;
	if (sscanf(label, "klero/%*[a-z0-9]/v%6u/m%6u", &version, &master) != 2)
		return KE_FORMAT;
	class_label(again, purpose, version, master);
	if (version == 0 || master == 0 || strcmp(again, label) != 0)
		return KE_FORMAT;
	o->purpose = purpose;
	o->version = version;
	o->master = master;
	return KE_OK;
}

static int take(struct p11 *p, struct class_objects *all, CK_OBJECT_HANDLE h)
{
	struct class_object o = {.handle = h};
	char label[DATA_LABEL_MAX];
	int r = data_label(p, h, label);

	if (r == KE_DAMAGED)
		return KE_OK; /* longer than any of ours */
	if (r != KE_OK)
		return r;
	r = parse_label(label, &o);
	if (r == KE_NOTFOUND)
		return KE_OK;
	if (r != KE_OK)
		return p11_fail(p, KE_DAMAGED,
		    "token %s holds a data object labelled %.60s that is none of ours; remove it",
		    p->label, label);
	if (all->n == CLASS_OBJECTS_MAX)
		return p11_fail(p, KE_LIMIT, "token %s holds more than %d sealed class keys",
		    p->label, CLASS_OBJECTS_MAX);
	all->o[all->n++] = o;
	return KE_OK;
}

int class_list(struct p11 *p, struct class_objects *all)
{
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	CK_ULONG n = 0;
	int r = data_find(p, "", found, &n);

	all->n = 0;
	for (CK_ULONG i = 0; r == KE_OK && i < n; i++)
		r = take(p, all, found[i]);
	return r;
}

int class_open(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16],
    const struct class_object *o, uint8_t out[32])
{
	const struct blob_class c = {purpose_words[o->purpose], o->version, appliance};
	char text[BLOB_TEXT_MAX], label[CLASS_LABEL_MAX];
	size_t n;
	int r = data_read(p, o->handle, text, sizeof text, &n);

	if (r == KE_OK)
		r = blob_open_class_key(p, ring, &c, text, n, out);
	if (r == KE_OK || r == KE_UNAVAIL)
		return r;
	class_label(label, o->purpose, o->version, o->master);
	return p11_fail(p, KE_DAMAGED,
	    "token %s: the sealed key %s does not open: restore the token from its backup",
	    p->label, label);
}

static int add(
    struct p11 *p, struct key_ring *ring, const struct class_object *o, struct class_room *room)
{
	if (room->n == CLASS_KEYS_MAX || ring->n == KEY_RING_MAX)
		return p11_fail(p, KE_LIMIT, "token %s holds more than %d class keys", p->label,
		    CLASS_KEYS_MAX);
	ring->keys[ring->n++] = (struct key){
	    .purpose = o->purpose,
	    .version = o->version,
	    .live = true,
	    .secret = room->key[room->n++],
	};
	return KE_OK;
}

/* Opens it into the room's next place, which it keeps when that version was not known yet. */
static int load(struct p11 *p, struct key_ring *ring, const uint8_t appliance[16],
    const struct class_object *o, struct class_room *room)
{
	const struct key *known = key_ring_get(ring, o->purpose, o->version);
	uint8_t plain[32];
	int r = class_open(p, ring, appliance, o, plain);

	if (r == KE_OK && known != NULL && sodium_memcmp(known->secret, plain, sizeof plain) != 0)
		r = p11_fail(p, KE_DAMAGED,
		    "token %s holds two different keys %s of version %u: restore the token",
		    p->label, purpose_words[o->purpose], o->version);
	if (r == KE_OK && known == NULL) {
		r = add(p, ring, o, room);
		if (r == KE_OK)
			memcpy(room->key[room->n - 1], plain, sizeof plain);
	}
	sodium_memzero(plain, sizeof plain);
	return r;
}

int class_load(
    struct p11 *p, struct key_ring *ring, const uint8_t appliance[16], struct class_room *room)
{
	struct class_objects all;
	int r = class_list(p, &all);

	room->n = 0;
	for (size_t i = 0; r == KE_OK && i < all.n; i++)
		/* what a cut has left under a master key that was never used */
		if (key_ring_get(ring, KEY_MASTER, all.o[i].master) != NULL)
			r = load(p, ring, appliance, &all.o[i], room);
	return r;
}
