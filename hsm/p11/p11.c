/*
 * Loading a PKCS#11 module, finding a token, logging in: see p11.h. Runs in hsm, tlskey and
 * keyadm.
 */
#include "hsm/p11/p11.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hsm/p11/ckr.h"

#define SLOTS_MAX 64

/*
 * What a value means is also a matter of who returns it: a signature that comes back with
 * CKR_PIN_EXPIRED or CKR_WRAPPED_KEY_INVALID says nothing of a token that a client has sent.
 */
static int class_of(const char *call, CK_RV rv)
{
	int class = ckr_class(rv);
	bool login = strcmp(call, "C_Login") == 0;
	bool opens = strcmp(call, "C_Decrypt") == 0 || strcmp(call, "C_UnwrapKey") == 0;

	if ((class == KE_AUTH || class == KE_LIMIT) && !login)
		return KE_UNAVAIL;
	return class == KE_CRYPTO && !opens ? KE_UNAVAIL : class;
}

int p11_check(struct p11 *p, const char *call, CK_RV rv)
{
	if (rv == CKR_OK)
		return KE_OK;
	p->call = call;
	p->rv = rv;
	p11_why(p, "%s: %s (0x%lx)", call, ckr_name(rv), rv);
	return class_of(call, rv);
}

void p11_why(struct p11 *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof p->why, fmt, ap);
	va_end(ap);
}

/* "NAME=value" is copied: the environment outlives what the caller has read it into. */
static bool set_variable(const char *line)
{
	const char *equals = strchr(line, '=');
	char *name = equals != NULL ? strndup(line, (size_t)(equals - line)) : NULL;
	bool ok = name != NULL && setenv(name, equals + 1, 1) == 0;

	free(name);
	return ok;
}

static int set_environment(struct p11 *p, char *const env[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (env[i] != NULL && env[i][0] != '\0' && !set_variable(env[i]))
			return p11_fail(
			    p, KE_FORMAT, "pkcs11-env: %.80s is not NAME=value", env[i]);
	return KE_OK;
}

static int function_list(struct p11 *p, const char *module)
{
	CK_C_GetFunctionList get;
	void *sym = dlsym(p->dl, "C_GetFunctionList");

	/* ISO C has no conversion between object and function pointers; POSIX demands that it works
	 */
	memcpy(&get, &sym, sizeof get);
	if (get == NULL || get(&p->f) != CKR_OK || p->f == NULL || p->f->version.major != 2)
		return p11_fail(p, KE_FORMAT,
		    "%s is not a PKCS#11 2.x module; check pkcs11-module in klerod.conf", module);
	return KE_OK;
}

/*
 * Some modules take a string where the standard has a reserved pointer (NSS: where its databases
 * are). NSS's own structure has one field more, which must be there to be read.
 */
struct init_args {
	CK_C_INITIALIZE_ARGS standard;
	void *more;
};

static CK_RV initialise(struct p11 *p)
{
	struct init_args args = {.standard = {.pReserved = p11_in(p->params)}};

	return p->f->C_Initialize(p->params != NULL && p->params[0] != '\0' ? &args : NULL);
}

int p11_load(struct p11 *p, const char *module, char *const env[], size_t nenv)
{
	int r = set_environment(p, env, nenv);

	if (r != KE_OK)
		return r;
	p->dl = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	if (p->dl == NULL)
		return p11_fail(p, KE_NOTFOUND,
		    "PKCS#11 module cannot be loaded: %.160s; check pkcs11-module in klerod.conf",
		    dlerror());
	r = function_list(p, module);
	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_Initialize", initialise(p));
	if (r != KE_OK)
		return p11_fail(p, KE_UNAVAIL,
		    "PKCS#11 module %.160s does not start: C_Initialize: %s; check its own "
		    "configuration (pkcs11-env, pkcs11-parameters) and its permissions",
		    module, ckr_name(p->rv));
	p->initialised = true;
	p->has_digest_key = true;
	p->ways = (struct p11_ways){.wrap = CKM_AES_KEY_WRAP_PAD};
	return KE_OK;
}

/* Labels are padded to 32 bytes with blanks; libp11 pads with NULs, so a token of its making has
 * them. */
static bool label_is(const CK_TOKEN_INFO *info, const char *label)
{
	size_t n = P11_LABEL_MAX;

	while (n > 0 && (info->label[n - 1] == ' ' || info->label[n - 1] == '\0'))
		n--;
	return n == strlen(label) && memcmp(info->label, label, n) == 0;
}

static int find_slot(struct p11 *p, const char *label)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX, found = 0;
	CK_TOKEN_INFO info;
	int r = p11_check(p, "C_GetSlotList", p->f->C_GetSlotList(CK_TRUE, slots, &n));

	if (r != KE_OK)
		return KE_UNAVAIL;
	if (n > SLOTS_MAX)
		return p11_fail(p, KE_UNAVAIL, "C_GetSlotList gave %lu slots", n);
	for (CK_ULONG i = 0; i < n; i++) {
		if (p->f->C_GetTokenInfo(slots[i], &info) != CKR_OK || !label_is(&info, label))
			continue;
		p->slot = slots[i];
		found++;
	}
	if (found == 0)
		return p11_fail(p, KE_NOTFOUND,
		    "no token labelled %s in the PKCS#11 module; run kleroctl setup, or check "
		    "keys-token and tls-token in klerod.conf",
		    label);
	if (found > 1)
		return p11_fail(p, KE_EXISTS, "%lu tokens are labelled %s; give each its own label",
		    found, label);
	return KE_OK;
}

int p11_open(struct p11 *p, const char *label, bool write)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0);
	int r;

	if (strlen(label) == 0 || strlen(label) > P11_LABEL_MAX)
		return p11_fail(p, KE_LONG, "token label %.40s: 1 to 32 bytes", label);
	memcpy(p->label, label, strlen(label) + 1);
	r = find_slot(p, label);
	if (r != KE_OK)
		return r;
	r = p11_check(
	    p, "C_OpenSession", p->f->C_OpenSession(p->slot, flags, NULL, NULL, &p->session));
	if (r != KE_OK)
		return p11_fail(p, KE_UNAVAIL, "token %s: C_OpenSession: %s; is the device there?",
		    label, ckr_name(p->rv));
	return KE_OK;
}

int p11_login(struct p11 *p, const char *pin)
{
	CK_TOKEN_INFO info;
	int r = p11_check(p, "C_GetTokenInfo", p->f->C_GetTokenInfo(p->slot, &info));

	if (r != KE_OK)
		return KE_UNAVAIL;
	if (info.flags & CKF_USER_PIN_LOCKED)
		return p11_fail(p, KE_LIMIT,
		    "token %s has locked its PIN; unlock it with its SO PIN and the vendor's tool",
		    p->label);
	if (info.flags & CKF_USER_PIN_FINAL_TRY)
		return p11_fail(p, KE_LIMIT,
		    "token %s allows one last PIN, so it is not tried; log in once with the "
		    "vendor's tool, then start again",
		    p->label);
	r = p11_check(
	    p, "C_Login", p->f->C_Login(p->session, CKU_USER, p11_in(pin), (CK_ULONG)strlen(pin)));
	if (r == KE_AUTH || r == KE_LIMIT)
		return p11_fail(p, r,
		    "token %s refuses the PIN (%s); check its PIN file; it is not tried again",
		    p->label, ckr_name(p->rv));
	if (r != KE_OK)
		return p11_fail(p, KE_UNAVAIL, "token %s: C_Login: %s", p->label, ckr_name(p->rv));
	return KE_OK;
}

int p11_has(struct p11 *p, CK_MECHANISM_TYPE type, bool *has)
{
	CK_MECHANISM_INFO info;
	CK_RV rv = p->f->C_GetMechanismInfo(p->slot, type, &info);

	*has = rv == CKR_OK;
	return rv == CKR_MECHANISM_INVALID ? KE_OK : p11_check(p, "C_GetMechanismInfo", rv);
}

void p11_close(struct p11 *p)
{
	if (p->initialised)
		(void)p->f->C_Finalize(NULL);
	p->initialised = false;
}

int p11_attribute(
    struct p11 *p, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type, void *out, size_t cap, size_t *n)
{
	CK_ATTRIBUTE a = {type, out, (CK_ULONG)cap};
	CK_RV rv = p->f->C_GetAttributeValue(p->session, h, &a, 1);

	*n = 0;
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID)
		return KE_OK;
	if (rv != CKR_OK)
		return p11_check(p, "C_GetAttributeValue", rv);
	if (a.ulValueLen > cap)
		return p11_fail(p, KE_DAMAGED, "attribute 0x%lx is too long", type);
	*n = (size_t)a.ulValueLen;
	return KE_OK;
}

int p11_find(struct p11 *p, CK_OBJECT_CLASS class, const char *label,
    CK_OBJECT_HANDLE found[P11_FIND_MAX], CK_ULONG *n)
{
	CK_ATTRIBUTE want[] = {
	    {CKA_CLASS, &class, sizeof class}, {CKA_LABEL, p11_in(label), (CK_ULONG)strlen(label)}};
	CK_RV end;
	int r = p11_check(p, "C_FindObjectsInit",
	    p->f->C_FindObjectsInit(p->session, want, label[0] != '\0' ? 2 : 1));

	if (r != KE_OK)
		return r;
	r = p11_check(p, "C_FindObjects", p->f->C_FindObjects(p->session, found, P11_FIND_MAX, n));
	end = p->f->C_FindObjectsFinal(p->session);
	if (r == KE_OK)
		r = p11_check(p, "C_FindObjectsFinal", end);
	if (r == KE_OK && *n > P11_FIND_MAX)
		r = p11_fail(p, KE_UNAVAIL, "C_FindObjects gave %lu objects", *n);
	return r;
}
