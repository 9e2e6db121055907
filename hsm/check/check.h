/*
 * kleroctl hsm check: tries each thing that the appliance needs of a token, with session objects
 * that it destroys again, and says what came of it. Runs in a child of kleroctl, since a module may
 * crash or hang; trusts the module not to lie more than its answers show.
 */
#ifndef HSM_CHECK_CHECK_H
#define HSM_CHECK_CHECK_H

#include "hsm/p11/need.h"
#include "hsm/p11/op.h"

#define CHECK_TIMES 15 /* an operation is timed over so many */

enum check_state { CHECK_UNTRIED, CHECK_HAS, CHECK_LACKS };

struct check_result {
	enum check_state state;
	char how[256]; /* in which way, or what was answered; "" for nothing to say */
	double us;     /* one operation, 0 when it is none */
};

struct check {
	struct p11 p;
	enum p11_need what;
	CK_OBJECT_HANDLE seal, wrap; /* closed session keys, 0 until they are made */
	char library[40];            /* as C_GetInfo describes it */
	struct check_result results[NEEDS];
};

/* Where the token is and how to get in. */
struct check_token {
	const char *module, *params, *label, *pin;
	char *const *env;
	size_t nenv;
	enum p11_need what;
};

/*
 * Tries everything; *c is zero. KE_OK whatever is lacking; another result when the module could not
 * even be loaded, with c->p.why.
 */
int check_run(struct check *c, const struct check_token *t) KE_CHECK;

/* Nothing that must be there is missing. */
bool check_usable(const struct check *c);

/* The probes, by enum need; NULL for what the runner itself sees. KE_OK when it is there. */
typedef int check_probe(struct check *c, struct check_result *r);
extern check_probe *const check_probes[NEEDS];

#endif
