/*
 * A list of security officers as people write it, the way of ssh-keygen's allowed_signers: a line
 * "NAME SSH-KEY" for each; an empty line or one that begins with # says nothing. Read by kleroctl
 * (a file) and by engine (a request); what comes out is as strict as the anchor asks. Pure.
 */
#ifndef POLICY_OFFICERS_H
#define POLICY_OFFICERS_H

#include "policy/anchor.h"

/*
 * KE_FORMAT: *line, counted from 1, is not a name and a key of an accepted kind; KE_FULL: *line is
 * one officer too many. With *line 0: KE_EXISTS (two have the same name or key), KE_RANGE (nobody,
 * or a threshold that is 0 or more than there are).
 */
int officers_read(
    struct officers *o, uint64_t threshold, const char *text, size_t n, size_t *line) KE_CHECK;

/* What such a refusal means, in words. */
const char *officers_why(int r);

#endif
