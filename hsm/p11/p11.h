/*
 * The PKCS#11 module: loaded, initialised, one token found by its label, one session, one login.
 * Raw Cryptoki, since libp11 lists no key beside an Ed25519 key and keeps the PIN (KEYS.md
 * section 1). Runs in hsm, tlskey and keyadm. Trusts the module, which shares its address space.
 * Standard: PKCS#11 2.40.
 */
#ifndef HSM_P11_P11_H
#define HSM_P11_P11_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "policy/ke.h"

#define P11_LABEL_MAX 32 /* of a token: CK_TOKEN_INFO has no room for more */

/* PKCS#11 3.0; p11-kit's header has it under no name. SoftHSM and others mean it by _WRAP_PAD. */
#define P11_AES_KEY_WRAP_KWP 0x210BUL

/* What modules do differently: set by learn_ways(). */
struct p11_ways {
	CK_MECHANISM_TYPE wrap; /* which is RFC 5649 */
	bool gcm_brief;         /* GCM's parameters without the IV's bits (PKCS#11 2.20) */
	bool no_local;          /* a key that the token has made does not say so */
	CK_MECHANISM_TYPE oaep; /* the hash of RSA-OAEP; 0 until learn_escrow() */
	bool copies_forget;     /* ALWAYS_SENSITIVE and NEVER_EXTRACTABLE are false in copies */
};

struct p11 {
	const char *params; /* for C_Initialize, NULL or "" for none; set before p11_load */
	void *dl;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	bool initialised;
	struct p11_ways ways;
	bool has_digest_key; /* false when the module lacks C_DigestKey */
	bool digests;        /* it has been used: from now on its failure is the device's */
	uint32_t made;       /* session objects ever made */
	const char *call;    /* the Cryptoki call that failed last, for a log line, */
	CK_RV rv;            /* and what it returned */
	char label[P11_LABEL_MAX + 1];
	char why[256]; /* one line that names what failed and what to do; valid after an error */
};

/*
 * Remembers a failing call; KE_OK for CKR_OK, otherwise the class of ckr_class(), but KE_UNAVAIL
 * for a word about the PIN that is not C_Login's, or about the data that is not of what opens data.
 */
int p11_check(struct p11 *p, const char *call, CK_RV rv) KE_CHECK;

/* Writes p->why. */
void p11_why(struct p11 *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* And gives r, so that analysers see which: `return p11_fail(p, KE_X, "…")`. */
#define p11_fail(p, r, ...) (p11_why((p), __VA_ARGS__), (r))

/* Cryptoki's prototypes lack const; a module does not write through these pointers. */
static inline void *p11_in(const void *ptr)
{
	return (void *)(uintptr_t)ptr;
}

/*
 * Sets the module's environment ("NAME=value"), loads it and initialises it.
 * KE_NOTFOUND when it cannot be loaded, KE_FORMAT when it is no PKCS#11 module, KE_UNAVAIL.
 */
int p11_load(struct p11 *p, const char *module, char *const env[], size_t nenv) KE_CHECK;

/* Opens a session on the one token with this label. KE_NOTFOUND, KE_EXISTS (two of them). */
int p11_open(struct p11 *p, const char *label, bool write) KE_CHECK;

/*
 * Logs in as the user, once: a PIN that may be the last try is not tried (KE_LIMIT), a refused
 * one is KE_AUTH, a locked one KE_LIMIT. The caller wipes the PIN.
 */
int p11_login(struct p11 *p, const char *pin) KE_CHECK;

/* Does the token say that it has the mechanism? KE_UNAVAIL when it does not answer. */
int p11_has(struct p11 *p, CK_MECHANISM_TYPE type, bool *has) KE_CHECK;

/*
 * Demands every mechanism that `what` needs and names those that the token lacks, with what that
 * means: KE_NOTFOUND.
 */
enum p11_need { P11_NEED_KEYS, P11_NEED_TLS };
int p11_need(struct p11 *p, enum p11_need what) KE_CHECK;

/* One attribute of at most cap bytes; *n its length, 0 when the object has no such attribute.
 * KE_DAMAGED when it is longer, KE_UNAVAIL. */
int p11_attribute(struct p11 *p, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type, void *out, size_t cap,
    size_t *n) KE_CHECK;

/* The objects of a class, with this label unless it is "": KE_UNAVAIL. */
#define P11_FIND_MAX 256 /* of one class in a token: KEYS.md section 1 wants tens */
int p11_find(struct p11 *p, CK_OBJECT_CLASS class, const char *label,
    CK_OBJECT_HANDLE found[P11_FIND_MAX], CK_ULONG *n) KE_CHECK;

/* C_Finalize. The caller leaves by _exit: SoftHSM crashes in exit handlers under OpenSSL 3. */
void p11_close(struct p11 *p);

#endif
