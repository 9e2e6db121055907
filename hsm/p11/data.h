/*
 * The token's data objects: private, each with a label and a text, replaced as a whole; and the one
 * that is the anchor (KEYS.md section 2). keyadm writes them, hsm reads them at its start.
 *
 * Where a token refuses data objects, each is a key: a secret of its own, made in the token and
 * never used for anything else, labelled `data:` and the label, with the text in its CKA_ID behind
 * the text's HMAC by that key. Who cannot log in can neither find it nor change it unseen.
 */
#ifndef HSM_P11_DATA_H
#define HSM_P11_DATA_H

#include "hsm/p11/p11.h"
#include "policy/anchor.h"

#define DATA_LABEL_MAX 64

/* Those with this label, all of them for "", in either form. KE_LIMIT, KE_UNAVAIL. */
int data_find(
    struct p11 *p, const char *label, CK_OBJECT_HANDLE found[P11_FIND_MAX], CK_ULONG *n) KE_CHECK;

/* The label of one, with its NUL; KE_DAMAGED when it is longer than any of ours, KE_UNAVAIL. */
int data_label(struct p11 *p, CK_OBJECT_HANDLE h, char label[DATA_LABEL_MAX]) KE_CHECK;

/* The text of one, of at most cap bytes. KE_DAMAGED when it is longer or was altered, KE_UNAVAIL.
 */
int data_read(struct p11 *p, CK_OBJECT_HANDLE h, char *text, size_t cap, size_t *n) KE_CHECK;

/* A private data object of the token with that label. KE_LONG, KE_UNAVAIL. */
int data_create(struct p11 *p, const char *label, const char *text, size_t n) KE_CHECK;

/*
 * The anchor with the highest serial, for a power cut between two steps of data_store() leaves two
 * of them. KE_NOTFOUND when the token has none, KE_DAMAGED, KE_UNAVAIL; p->why in each case.
 */
int data_load(struct p11 *p, struct anchor *a) KE_CHECK;

/* Writes it, reads it back, and only then removes the older ones. KE_DAMAGED, KE_UNAVAIL. */
int data_store(struct p11 *p, const struct anchor *a) KE_CHECK;

#endif
