/*
 * Key generation that survives a power cut: SoftHSM writes its files without fsync (KEYS.md
 * section 1). Runs in klerod-keyadm.
 */
#ifndef HSM_KEYADM_SYNC_H
#define HSM_KEYADM_SYNC_H

#include "hsm/p11/p11.h"

/* fsyncs the folder, its sub-folders and every file in them; nothing for "". KE_IO, p->why. */
int sync_folder(struct p11 *p, const char *folder) KE_CHECK;

#endif
