/*
 * The anchor as the token keeps it: a private data object, replaced as a whole (KEYS.md section
 * 2). keyadm writes it, hsm reads it at its start.
 */
#ifndef HSM_P11_DATA_H
#define HSM_P11_DATA_H

#include "hsm/p11/p11.h"
#include "policy/anchor.h"

/*
 * The anchor with the highest serial, for a power cut between two steps of data_store() leaves two
 * of them. KE_NOTFOUND when the token has none, KE_DAMAGED, KE_UNAVAIL; p->why in each case.
 */
int data_load(struct p11 *p, struct anchor *a) KE_CHECK;

/* A private data object of the token with that label. KE_UNAVAIL. */
int data_create(struct p11 *p, const char *label, const char *text, size_t n) KE_CHECK;

/* Writes it, reads it back, and only then removes the older ones. KE_DAMAGED, KE_UNAVAIL. */
int data_store(struct p11 *p, const struct anchor *a) KE_CHECK;

#endif
