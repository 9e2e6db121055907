/*
 * Tokens before they hold keys: found, or initialised, by libp11 (KEYS.md section 1: libp11 serves
 * discovery and initialisation; it lists no key once there is an Ed25519 one, and can hang).
 * Runs in kleroctl setup, each step in a child of its own with a deadline. Trusts the module.
 */
#ifndef HSM_SETUP_SETUP_H
#define HSM_SETUP_SETUP_H

#include <stddef.h>

#include "daemon/msg/rconf.h"
#include "policy/ke.h"

enum setup_what { SETUP_FOUND, SETUP_INITIALISED };

/*
 * Finds the token labelled t->label, or initialises the first uninitialised one with that label
 * and both PINs (t->pin is not read). A token that has the label but no user PIN yet, because an
 * earlier setup was interrupted, gets its PIN. A ready one is adopted as it is: *what says which.
 * On failure why names the thing and what to do. KE_NOTFOUND (no token, none free, no module),
 * KE_EXISTS (two have the label), KE_AUTH (SO PIN), KE_TIMEOUT, KE_UNAVAIL, KE_LONG.
 */
int setup_token(const struct rconf_token *t, const char *so_pin, const char *user_pin,
    enum setup_what *what, char *why, size_t whylen) KE_CHECK;

/*
 * Writes SoftHSM's configuration for a private token folder, which must exist. Replaces the file
 * as a whole. KE_LONG, KE_IO.
 */
int setup_softhsm_conf(const char *conf, const char *token_dir, char *why, size_t whylen) KE_CHECK;

#endif
