/*
 * The token's anchor object: see data.h. Runs in hsm and keyadm.
 */
#include <stdlib.h>
#include <string.h>

#include "hsm/p11/data.h"

#define LABEL "klero/anchor"

static int read_one(struct p11 *p, CK_OBJECT_HANDLE h, struct anchor *a)
{
	char *text = malloc(ANCHOR_TEXT_MAX);
	size_t n;
	int r = text != NULL ? data_read(p, h, text, ANCHOR_TEXT_MAX, &n) : KE_NOMEM;

	if (r == KE_OK)
		r = anchor_parse(a, text, n);
	free(text);
	if (r == KE_FORMAT)
		return p11_fail(p, KE_DAMAGED,
		    "the anchor object of token %s is malformed: restore "
		    "the token from its backup",
		    p->label);
	return r;
}

int data_load(struct p11 *p, struct anchor *a)
{
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	struct anchor *one = malloc(sizeof *one);
	CK_ULONG n = 0;
	int r = one != NULL ? data_find(p, LABEL, found, &n) : KE_NOMEM;

	if (r == KE_OK && n == 0)
		r = p11_fail(p, KE_NOTFOUND, "token %s has no anchor object", p->label);
	for (CK_ULONG i = 0; r == KE_OK && i < n; i++) {
		r = read_one(p, found[i], one);
		if (r == KE_OK && (i == 0 || one->serial > a->serial))
			*a = *one;
	}
	free(one);
	return r;
}

/* Those that were there before, but the one that is newest now. */
static int remove_older(struct p11 *p, uint64_t serial)
{
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	struct anchor *one = malloc(sizeof *one);
	CK_ULONG n = 0;
	int r = one != NULL ? data_find(p, LABEL, found, &n) : KE_NOMEM;

	for (CK_ULONG i = 0; r == KE_OK && i < n; i++) {
		r = read_one(p, found[i], one);
		if (r == KE_OK && one->serial < serial)
			r = p11_check(
			    p, "C_DestroyObject", p->f->C_DestroyObject(p->session, found[i]));
	}
	free(one);
	return r;
}

int data_store(struct p11 *p, const struct anchor *a)
{
	char *text = malloc(ANCHOR_TEXT_MAX);
	struct anchor *back = malloc(sizeof *back);
	size_t n = 0;
	int r = KE_NOMEM, made;

	if (text == NULL || back == NULL)
		goto out;
	r = anchor_text(a, text, ANCHOR_TEXT_MAX, &n);
	if (r != KE_OK)
		goto out;
	r = data_create(p, LABEL, text, n);
	/* an error does not say that it was not made; without an answer nobody knows */
	made = r;
	r = data_load(p, back);
	if (r == KE_OK && back->serial != a->serial)
		r = made != KE_OK ? made
				  : p11_fail(p, KE_DAMAGED,
					"token %s does not keep the anchor object", p->label);
	/* the newest counts: an older one that stays is no harm, and goes with the next */
	if (r == KE_OK)
		(void)!remove_older(p, a->serial);
out:
	free(text);
	free(back);
	return r;
}
