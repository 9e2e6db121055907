/*
 * Makes the token of a stopped, throw-away appliance what an older klerod's setup has left: without
 * the keys that came later, and on demand without an anchor, too. SOFTHSM2_CONF is set by the
 * caller.
 *	token_age MODULE TOKEN PIN-FILE [bare]
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hsm/p11/class.h"
#include "hsm/p11/data.h"
#include "hsm/p11/make.h"
#include "hsm/p11/op.h"

/* What setup has made from the beginning. */
#define FIRST                                                                                      \
	(1u << KEY_MASTER | 1u << KEY_SEED | 1u << KEY_MAC | 1u << KEY_TOKEN | 1u << KEY_LOG |     \
	    1u << KEY_TLS)

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "token_age: %s\n", what);
	_exit(1);
}

static void forget(struct p11 *p, struct anchor *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->keys; i++)
		if ((FIRST & (1u << a->key[i].purpose)) != 0)
			a->key[kept++] = a->key[i];
	a->keys = kept;
	a->serial++;
	must(data_store(p, a) == KE_OK, p->why);
}

static void remove_later(struct p11 *p)
{
	struct key_ring ring;
	struct class_objects all;

	must(key_ring_find(p, &ring) == KE_OK && class_list(p, &all) == KE_OK, p->why);
	for (size_t i = 0; i < ring.n; i++)
		if ((FIRST & (1u << ring.keys[i].purpose)) == 0)
			must(make_destroy(p, &ring.keys[i]) == KE_OK, p->why);
	for (size_t i = 0; i < all.n; i++)
		must(op_destroy(p, all.o[i].handle) == KE_OK, p->why);
}

static void remove_anchor(struct p11 *p)
{
	CK_OBJECT_HANDLE found[P11_FIND_MAX];
	CK_ULONG n = 0;

	must(data_find(p, "klero/anchor", found, &n) == KE_OK && n > 0, "no anchor");
	while (n-- > 0)
		must(op_destroy(p, found[n]) == KE_OK, p->why);
}

int main(int argc, char **argv)
{
	static struct anchor a;
	struct p11 p = {.dl = NULL};
	char pin[256] = "";
	FILE *f;

	must(argc == 4 || argc == 5, "see the head of token_age.c");
	f = fopen(argv[3], "r");
	must(f != NULL && fgets(pin, sizeof pin, f) != NULL, "PIN");
	pin[strcspn(pin, "\n")] = '\0';
	must(p11_load(&p, argv[1], NULL, 0) == KE_OK && p11_open(&p, argv[2], true) == KE_OK &&
		 p11_login(&p, pin) == KE_OK && data_load(&p, &a) == KE_OK,
	    p.why);
	forget(&p, &a);
	remove_later(&p);
	if (argc == 5)
		remove_anchor(&p);
	p11_close(&p);
	_exit(0);
}
