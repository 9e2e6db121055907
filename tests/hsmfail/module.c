/*
 * A PKCS#11 module between the appliance and SoftHSM that fails, delays, hangs, lies or dies when
 * the harness (hsmfail.py) says so. Every call is counted by role and function, whoever made it.
 *
 * Orders and counters stand in a System V shared memory whose id is in the environment (HSMFAIL):
 * the module is loaded when hsm may open no file for writing any more, and stays when it may open
 * none at all. Where the variable is not there, every call is SoftHSM's own. Loaded by hsm, tlskey,
 * keyadm and kleroctl; waits by the calls that their sandboxes allow anyway. Tests only.
 *
 * With -DNOCOPY=EVERY (nocopy.so) the module has no C_CopyObject: for the tests of the profile
 * hsm-wide. With -DNOCOPY=CKK_EC_EDWARDS (noedcopy.so) it copies no Ed25519 key of the token, as
 * NSS softoken 3.110.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <p11-kit/pkcs11.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum call {
#define CALL(name, ...) AT_##name,
#include "tests/hsmfail/calls.def"
#undef CALL
	CALLS
};

/* The layout of the shared memory; hsmfail.py has it as format strings. */
#define ORDERS    4
#define ROLES     4
#define CALLS_MAX 32
#define TRACE_MAX 16384

enum mode {
	BEFORE, /* returns the value, and nothing has happened */
	AFTER,  /* it has happened, and returns the value */
	DELAY,  /* so many milliseconds before it happens */
	HANG,   /* until the order is taken back */
	FLIP,   /* a bit of the output is wrong */
	ZERO,   /* the output is all zeros */
	LENGTH, /* the output is said to have so many bytes */
	DIE     /* by a signal, as a module whose own code is at its end */
};

struct order {
	uint64_t first, last; /* of those that match; first 0: no order */
	uint64_t roles, calls;
	uint64_t mode, value;
	uint64_t seen, fired;
};

struct plan {
	struct order order[ORDERS];
	uint64_t count[ROLES][CALLS_MAX];
	uint64_t traced;
	uint64_t trace[TRACE_MAX]; /* call n: role × 256 + function */
};

static struct plan *plan;
static unsigned role;
static CK_FUNCTION_LIST own, *real;

static void nap(uint64_t ms)
{
	static uint32_t nobody;
	const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	/* keyadm's sandbox knows no poll, the others' no futex */
	if (role == 2)
		syscall(SYS_futex, &nobody, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
	else
		poll(NULL, 0, (int)ms);
}

/* The order that this call falls under; the first of them. */
static struct order *due(enum call c)
{
	struct order *found = NULL;
	uint64_t n;

	if (plan == NULL)
		return NULL;
	__atomic_fetch_add(&plan->count[role][c], 1, __ATOMIC_SEQ_CST);
	n = __atomic_fetch_add(&plan->traced, 1, __ATOMIC_SEQ_CST);
	if (n < TRACE_MAX)
		plan->trace[n] = role * 256 + c;
	for (size_t i = 0; i < ORDERS; i++) {
		struct order *o = &plan->order[i];
		uint64_t first = __atomic_load_n(&o->first, __ATOMIC_SEQ_CST);

		if (first == 0 || (o->roles >> role & 1) == 0 || (o->calls >> c & 1) == 0)
			continue;
		n = __atomic_add_fetch(&o->seen, 1, __ATOMIC_SEQ_CST);
		if (found == NULL && n >= first && n <= o->last)
			found = o;
	}
	if (found != NULL)
		__atomic_fetch_add(&found->fired, 1, __ATOMIC_SEQ_CST);
	return found;
}

/* True when the call shall not come about. */
static bool before(const struct order *o)
{
	if (o == NULL)
		return false;
	if (o->mode == DELAY)
		nap(o->value);
	while (o->mode == HANG && __atomic_load_n(&o->first, __ATOMIC_SEQ_CST) != 0)
		nap(20);
	if (o->mode == DIE)
		__builtin_trap();
	return o->mode == BEFORE;
}

static CK_RV after(const struct order *o, CK_RV rv, void *out, CK_ULONG *n)
{
	if (o == NULL)
		return rv;
	if (o->mode == AFTER)
		return o->value;
	if (rv != CKR_OK)
		return rv;
	if (o->mode == LENGTH && n != NULL)
		*n = o->value;
	if (out == NULL || n == NULL || *n == 0 || *n == CK_UNAVAILABLE_INFORMATION)
		return rv;
	if (o->mode == FLIP)
		((uint8_t *)out)[*n / 2] ^= 1;
	if (o->mode == ZERO)
		memset(out, 0, *n);
	return rv;
}

#define WRAP(name, params, args, out, n)                                                           \
	static CK_RV at_##name params                                                              \
	{                                                                                          \
		struct order *now = due(AT_##name);                                                \
		return before(now) ? now->value : after(now, real->name args, out, n);             \
	}
#define CALL(...) WRAP(__VA_ARGS__)
#include "tests/hsmfail/calls.def"
#undef CALL

#ifdef NOCOPY
#define EVERY CK_UNAVAILABLE_INFORMATION
static CK_RV no_copy(
    CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h, CK_ATTRIBUTE *t, CK_ULONG n, CK_OBJECT_HANDLE *copy)
{
	CK_KEY_TYPE type = 0;
	CK_BBOOL lasting = CK_FALSE;
	CK_ATTRIBUTE of[] = {
	    {CKA_KEY_TYPE, &type, sizeof type}, {CKA_TOKEN, &lasting, sizeof lasting}};

	if (NOCOPY == EVERY)
		return CKR_FUNCTION_NOT_SUPPORTED;
	if (real->C_GetAttributeValue(s, h, of, 2) == CKR_OK && type == NOCOPY && lasting)
		return CKR_DEVICE_ERROR;
	return real->C_CopyObject(s, h, t, n, copy);
}
#endif

/* tlskey 0, hsm 1, keyadm 2, whoever else 3 */
static unsigned role_of(void)
{
	char line[512] = "";
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 8);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 3;
	if (strstr(line, "klerod-keyadm") != NULL)
		return 2;
	if (strstr(line, "klerod-hsm") == NULL)
		return 3;
	return strcmp(line + strlen(line) + 1, "hsm") == 0;
}

static void take_orders(void)
{
	const char *id = getenv("HSMFAIL");
	void *at = id == NULL ? NULL : shmat(atoi(id), NULL, 0);

	if (id == NULL)
		return;
	if (at == (void *)-1) {
		fprintf(stderr, "hsmfail: no orders: %s\n", strerror(errno));
		abort();
	}
	plan = at;
	role = role_of();
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list);

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
	CK_C_GetFunctionList get = NULL;
	void *dl = dlopen(REAL_MODULE, RTLD_NOW | RTLD_LOCAL), *sym;

	if (dl == NULL)
		return CKR_GENERAL_ERROR;
	sym = dlsym(dl, "C_GetFunctionList");
	memcpy(&get, &sym, sizeof get);
	if (get == NULL || get(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	own = *real;
#define CALL(name, ...) own.name = at_##name;
#include "tests/hsmfail/calls.def"
#undef CALL
#ifdef NOCOPY
	own.C_CopyObject = no_copy;
#endif
	take_orders();
	*list = &own;
	return CKR_OK;
}
