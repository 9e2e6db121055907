/*
 * SoftHSM without C_CopyObject: a PKCS#11 module that cannot copy keys into session objects, for
 * the tests of the profile hsm-wide. Everything else is SoftHSM's own. Loaded by hsm and tlskey.
 */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stddef.h>
#include <string.h>

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list);

static CK_RV no_copy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template,
    CK_ULONG count, CK_OBJECT_HANDLE *copy)
{
	(void)session;
	(void)object;
	(void)template;
	(void)count;
	(void)copy;
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
	static CK_FUNCTION_LIST own;
	CK_C_GetFunctionList get = NULL;
	CK_FUNCTION_LIST *real;
	void *dl = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL), *sym;

	if (dl == NULL)
		return CKR_GENERAL_ERROR;
	sym = dlsym(dl, "C_GetFunctionList");
	memcpy(&get, &sym, sizeof get);
	if (get == NULL || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	own = *real;
	own.C_CopyObject = no_copy;
	*list = &own;
	return CKR_OK;
}
