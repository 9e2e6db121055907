/*
 * The names of PKCS#11 return values, and what each means for us. Runs in hsm, tlskey, keyadm and
 * kleroctl setup; pure.
 * Standard: PKCS#11 2.40, section 5.1 "Function return values".
 */
#ifndef HSM_P11_CKR_H
#define HSM_P11_CKR_H

#include "policy/ke.h"

/* "CKR_DEVICE_ERROR"; "CKR_?" for a value that the standard does not name. */
const char *ckr_name(unsigned long rv);

/*
 * KE_OK for CKR_OK; KE_AUTH for a refused PIN, KE_LIMIT for a locked one; KE_CRYPTO when the value
 * surely speaks of the data; KE_AGAIN when it can be the data or the device and a canary must
 * decide (SoftHSM answers CKR_GENERAL_ERROR to a tampered ciphertext); KE_UNAVAIL otherwise: the
 * session or the device is gone, and only a fresh process helps.
 */
int ckr_class(unsigned long rv) KE_CHECK;

#endif
