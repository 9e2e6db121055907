/*
 * The folder of a software token, encrypted to the officers. Runs in kleroctl.
 */
#ifndef DAEMON_CLI_KLEROCTL_TOKEN_H
#define DAEMON_CLI_KLEROCTL_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/cli/kleroctl.h"
#include "policy/anchor.h"

/*
 * Packs pkcs11-folder by tar(1) and encrypts that by age(1) to each officer of the anchor's text,
 * so that any one of them can open it with the SSH key that approvals are signed with. *fd holds *n
 * bytes, in memory, and is the caller's. An enum ctl_status; why is one line: no folder, no
 * officers, a key that age cannot encrypt to (only ssh-ed25519 can be), age missing.
 */
int token_pack(const struct ctl *ctl, const char *anchor, size_t anchor_len, int *fd, uint64_t *n,
    char *why, size_t whylen);

#endif
