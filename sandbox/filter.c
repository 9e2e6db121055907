/*
 * The seccomp filter of a role: see filter.h. Three answers to a system call:
 *
 *	allowed     a row of profiles.c, its condition true
 *	forbidden   every other call that libseccomp knows, by an explicit rule: never carried out,
 *	            and the process dies (SIGSYS; deadly.c says how the log learns of which)
 *	ENOSYS      calls newer than libseccomp, so that a newer libc falls back to an older one
 *
 * Because the default is ENOSYS, a conditional row needs its complement as explicit rules too.
 * Calls of a foreign architecture (32-bit, x32) kill at once.
 */
#include "sandbox/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/deadly.h"
#include "sandbox/profiles.h"

#define FORBIDDEN SCMP_ACT_TRAP

int filter_name(int nr, char name[FILTER_NAME])
{
	char *known;

	errno = 0;
	known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
	if (known == NULL)
		return errno == ENOMEM ? KE_NOMEM : KE_NOTFOUND;
	snprintf(name, FILTER_NAME, "%s", known);
	free(known);
	return KE_OK;
}

#ifndef KLERO_SANITIZE

static int rule(scmp_filter_ctx ctx, uint32_t action, int nr, struct scmp_arg_cmp cmp)
{
	int r = seccomp_rule_add_exact_array(ctx, action, nr, 1, &cmp);

	return r == 0 || r == -EEXIST ? KE_OK : KE_INTERNAL;
}

static int bits_off(scmp_filter_ctx ctx, int nr, const struct profile_cond *c)
{
	uint32_t bits = c->values[0];
	int r = rule(ctx, SCMP_ACT_ALLOW, nr, SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, bits, 0));

	for (uint32_t bit = 1; r == KE_OK && bit != 0; bit <<= 1)
		if ((bits & bit) != 0)
			r = rule(
			    ctx, FORBIDDEN, nr, SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, bit, bit));
	return r;
}

/* Does any value but those before `limit` begin with prefix, seen from bit `low` upwards? */
static bool has_prefix(const struct profile_cond *c, size_t limit, unsigned low, uint32_t prefix)
{
	for (size_t i = 0; i < limit; i++)
		if (c->values[i] >> low == prefix)
			return true;
	return false;
}

/*
 * A rule may compare an argument only once, so "none of these" cannot be said directly. The
 * complement of the set is cut into blocks of numbers with a common prefix instead: walking down
 * from the highest bit of each value, the sibling of every prefix that leads to no value.
 */
static int forbid_others(scmp_filter_ctx ctx, int nr, const struct profile_cond *c, unsigned bits)
{
	int r =
	    rule(ctx, FORBIDDEN, nr, SCMP_CMP(c->arg, SCMP_CMP_GT, ((uint64_t)1 << bits) - 1, 0));

	for (size_t i = 0; i < c->count; i++) {
		for (unsigned low = bits; r == KE_OK && low-- > 0;) {
			uint32_t own = c->values[i] >> low, sibling = own ^ 1;

			if (has_prefix(c, c->count, low, sibling) || has_prefix(c, i, low, own))
				continue;
			r = rule(ctx, FORBIDDEN, nr,
			    SCMP_CMP(c->arg, SCMP_CMP_MASKED_EQ, ~(((uint64_t)1 << low) - 1),
				(uint64_t)sibling << low));
		}
	}
	return r;
}

/* A value that is allowed only together with another argument's. */
static int tied(scmp_filter_ctx ctx, int nr, const struct profile_cond *c)
{
	const struct profile_tie *t = &c->tie;
	struct scmp_arg_cmp both[] = {
	    SCMP_CMP(c->arg, SCMP_CMP_EQ, t->value, 0), SCMP_CMP(t->arg, SCMP_CMP_EQ, t->only, 0)};

	if (seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, nr, 2, both) != 0)
		return KE_INTERNAL;
	both[1].op = SCMP_CMP_NE;
	return seccomp_rule_add_exact_array(ctx, FORBIDDEN, nr, 2, both) == 0 ? KE_OK : KE_INTERNAL;
}

static int one_of(scmp_filter_ctx ctx, int nr, const struct profile_cond *c)
{
	unsigned bits = 1;
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < c->count; i++) {
		uint32_t v = c->values[i];

		while (bits < 32 && v >> bits != 0)
			bits++;
		if (c->tie.tied && v == c->tie.value)
			r = tied(ctx, nr, c);
		else
			r = rule(ctx, SCMP_ACT_ALLOW, nr, SCMP_CMP(c->arg, SCMP_CMP_EQ, v, 0));
	}
	return r == KE_OK ? forbid_others(ctx, nr, c, bits) : r;
}

static int add_call(scmp_filter_ctx ctx, int nr, const struct profile_call *call)
{
	uint32_t action = FORBIDDEN;

	if (call != NULL) {
		switch (call->cond->when) {
		case PROFILE_BITS_OFF:
			return bits_off(ctx, nr, call->cond);
		case PROFILE_ONE_OF:
			return one_of(ctx, nr, call->cond);
		case PROFILE_ALWAYS:
			action = SCMP_ACT_ALLOW;
			break;
		case PROFILE_REFUSE:
			action = SCMP_ACT_ERRNO(EACCES);
			break;
		}
	}
	return seccomp_rule_add_exact_array(ctx, action, nr, 0, NULL) == 0 ? KE_OK : KE_INTERNAL;
}

static int add_all(scmp_filter_ctx ctx, enum sandbox_profile p)
{
	char name[FILTER_NAME];
	int r = KE_OK;

	for (int nr = 0; r == KE_OK && nr < FILTER_NUMBERS; nr++) {
		r = filter_name(nr, name);
		if (r == KE_NOTFOUND) {
			r = KE_OK;
			continue;
		}
		if (r != KE_OK)
			return r;
		deadly_name(nr, name);
		r = add_call(ctx, nr, profile_find(p, name));
	}
	return r;
}

/* The filter as a program; *n instructions. The pipe holds any that the kernel would take. */
static int compile(scmp_filter_ctx ctx, struct sock_filter code[BPF_MAXINSNS], unsigned short *n)
{
	int ends[2], r = KE_INTERNAL;
	ssize_t got;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return KE_INTERNAL;
	if (seccomp_export_bpf(ctx, ends[1]) != 0)
		goto out;
	got = read(ends[0], code, BPF_MAXINSNS * sizeof code[0]);
	if (got <= 0 || (size_t)got % sizeof code[0] != 0)
		goto out;
	*n = (unsigned short)((size_t)got / sizeof code[0]);
	r = KE_OK;
out:
	close(ends[0]);
	close(ends[1]);
	return r;
}

static int build(enum sandbox_profile p, struct sock_filter code[BPF_MAXINSNS], unsigned short *n)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = KE_INTERNAL;

	if (ctx == NULL)
		return KE_NOMEM;
	if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
		goto out;
	/* a binary tree: some 360 calls are nine comparisons deep instead of 360 */
	if (seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0)
		goto out;
	r = add_all(ctx, p);
	if (r == KE_OK)
		r = compile(ctx, code, n);
out:
	seccomp_release(ctx);
	return r;
}

/*
 * libseccomp 2.5 does not tell of each allocation that fails, and gives another filter then: two
 * that are the same are whole. They take a millisecond each.
 */
int filter_make(enum sandbox_profile p, struct sock_filter code[BPF_MAXINSNS], unsigned short *n)
{
	static struct sock_filter twin[BPF_MAXINSNS];
	unsigned short twin_n = 0;
	int r = build(p, code, n);

	if (r == KE_OK)
		r = build(p, twin, &twin_n);
	if (r == KE_OK && (twin_n != *n || memcmp(twin, code, twin_n * sizeof code[0]) != 0))
		r = KE_NOMEM;
	return r;
}

/*
 * Not seccomp_load(): it gives its memory back when the filter is there already, by calls that a
 * profile need not have.
 */
int filter_load(enum sandbox_profile p)
{
	static struct sock_filter code[BPF_MAXINSNS];
	struct sock_fprog prog = {.filter = code};
	int r = filter_make(p, code, &prog.len);

	if (r == KE_OK)
		r = deadly_install();
	if (r == KE_OK && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) != 0)
		r = KE_INTERNAL;
	return r;
}

bool sandbox_has_seccomp(void)
{
	return true;
}

#else

int filter_make(enum sandbox_profile p, struct sock_filter code[BPF_MAXINSNS], unsigned short *n)
{
	(void)p;
	(void)code;
	*n = 0;
	return KE_OK;
}

int filter_load(enum sandbox_profile p)
{
	(void)p;
	return KE_OK;
}

bool sandbox_has_seccomp(void)
{
	return false;
}

#endif
