/*
 * Class keys: 32-byte keys that seal numerous small values inside hsm (KEYS.md sections 2 and 3).
 * Each version is kept in the token as private data objects `klero/<purpose>/v000001/m000001`,
 * sealed under a master key, the m: one object for each master version that is in use, so that a
 * master key can go when another is there. keyadm makes them, hsm opens them at its start, and no
 * other process ever sees one, sealed or not: engine can neither learn, swap nor lose them.
 * The token is trusted for what it keeps, not that somebody put the right objects into it.
 */
#ifndef HSM_P11_CLASS_H
#define HSM_P11_CLASS_H

#include "hsm/p11/blob.h"
#include "hsm/p11/key.h"

#define CLASS_KEYS_MAX    32 /* versions of all purposes together */
#define CLASS_OBJECTS_MAX 128

/* One object of the token. */
struct class_object {
	enum key_purpose purpose;
	uint32_t version, master;
	CK_OBJECT_HANDLE handle;
};

struct class_objects {
	struct class_object o[CLASS_OBJECTS_MAX];
	size_t n;
};

/* All of them: KE_DAMAGED for a label that is none of ours, KE_LIMIT, KE_UNAVAIL. */
int class_list(struct p11 *p, struct class_objects *all) KE_CHECK;

/* Opens one; KE_DAMAGED when it does not open under its master key, KE_UNAVAIL. */
int class_open(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16],
    const struct class_object *o, uint8_t out[32]) KE_CHECK;

/* Where hsm keeps them: locked memory (sodium_malloc), read-only once it is filled. */
struct class_room {
	uint8_t key[CLASS_KEYS_MAX][32];
	size_t n;
};

/*
 * Opens every class key whose master key is in the ring and adds it to the ring. KE_DAMAGED when
 * one does not open, or two objects of one version differ; KE_LIMIT, KE_UNAVAIL; p->why.
 */
int class_load(struct p11 *p, struct key_ring *ring, const uint8_t appliance[16],
    struct class_room *room) KE_CHECK;

/* What follows writes the token: keyadm only (class_make.c). */

/* Makes that version with the token's randomness, sealed under the ring's active master key. */
int class_make(struct p11 *p, const struct key_ring *ring, const uint8_t appliance[16],
    enum key_purpose purpose, uint32_t version) KE_CHECK;

/* Seals every class key that the anchor wants under each live master key that it is not under yet.
 */
int class_reseal(struct p11 *p, const struct key_ring *ring, const struct anchor *a) KE_CHECK;

/* Destroys the objects of one version. */
int class_destroy(struct p11 *p, enum key_purpose purpose, uint32_t version) KE_CHECK;

/* Destroys the objects of versions, and under master keys, that the anchor does not want. */
int class_sweep(struct p11 *p, const struct anchor *a) KE_CHECK;

#endif
