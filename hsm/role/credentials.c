/*
 * Credentials of users: Argon2id PHC strings, sealed, so that a store that is read tells nobody
 * what to guess passwords against. Runs in hsm: see hsm.h.
 *
 * What hsm enforces by itself, whatever engine says: only a PHC string within bounds is sealed, so
 * nothing else can be passed off as one; a credential opens for the user it was sealed for and
 * for no other; re-sealing lets nothing out. A captured engine can open one credential after
 * another, as logins do, but not many at once without a security line.
 */
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "daemon/msg/log.h"
#include "hsm/role/sealed.h"
#include "policy/phc.h"

#define TEXT_MAX  320 /* of a sealed PHC string */
#define BATCH_MAX 200
/* More than that is no rush of logins: kdf manages some twenty a second on each core. */
#define OPENS_MAX      3000
#define OPENS_WINDOW_S 60

static struct sealed_place place_of(const uint8_t *user)
{
	return (struct sealed_place){
	    .class = KEY_DATA, .table = "users", .column = "phc", .row = user, .row_len = 16};
}

/* Terminates what came; KE_FORMAT for anything but a PHC string. */
static int take_phc(char phc[PHC_MAX + 1], const uint8_t *p, size_t n)
{
	if (n > PHC_MAX || memchr(p, '\0', n) != NULL)
		return KE_FORMAT;
	memcpy(phc, p, n);
	phc[n] = '\0';
	return phc_check(phc);
}

static int seal(
    const struct hsm *h, const uint8_t *user, const uint8_t *p, size_t n, char out[TEXT_MAX])
{
	const struct sealed_place at = place_of(user);
	char phc[PHC_MAX + 1];
	int r = take_phc(phc, p, n);

	if (r == KE_OK)
		r = sealed_seal(h, &at, phc, n, out, TEXT_MAX);
	sodium_memzero(phc, sizeof phc);
	return r;
}

static int open_sealed(const struct hsm *h, const uint8_t *user, const uint8_t *text, size_t n,
    uint8_t phc[PHC_MAX], size_t *len)
{
	const struct sealed_place at = place_of(user);

	return sealed_open(h, &at, (const char *)text, n, phc, PHC_MAX, len);
}

int hsm_answer_seal_credential(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const uint8_t *user, *phc;
	char text[TEXT_MAX];
	struct wire_in in;
	size_t n;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	user = wire_get_view(&in, 16);
	phc = wire_get_str(&in, PHC_MAX, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	if (hsm_result(h, w, seal(h, user, phc, n, text)))
		wire_put_cstr(w, text);
	return KE_OK;
}

/* One line for each window in which there were too many, with how many there have been so far. */
static void count_open(struct hsm *h)
{
	uint64_t now_s = (uint64_t)time(NULL);

	if (now_s < h->opens.since_s || now_s >= h->opens.since_s + OPENS_WINDOW_S) {
		h->opens.since_s = now_s;
		h->opens.n = 0;
	}
	if (++h->opens.n == OPENS_MAX)
		log_security("%d credentials were opened within %d s: more than logins explain",
		    OPENS_MAX, OPENS_WINDOW_S);
}

int hsm_answer_open_credential(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	uint8_t phc[PHC_MAX];
	const uint8_t *user, *text;
	struct wire_in in;
	size_t n, len = 0;
	int r;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	user = wire_get_view(&in, 16);
	text = wire_get_str(&in, 500, &n);
	if (wire_end(&in) != KE_OK)
		return KE_PEER;
	count_open(h);
	r = open_sealed(h, user, text, n, phc, &len);
	if (hsm_result(h, w, r))
		wire_put_str(w, phc, len);
	sodium_memzero(phc, sizeof phc);
	return KE_OK;
}

/* What stands in the clear is of before; what is sealed must open for this user first. */
static int reseal(
    const struct hsm *h, const uint8_t *user, const uint8_t *text, size_t n, char out[TEXT_MAX])
{
	uint8_t phc[PHC_MAX];
	size_t len;
	int r;

	if (n > 0 && text[0] == '$')
		return seal(h, user, text, n, out);
	r = open_sealed(h, user, text, n, phc, &len);
	if (r == KE_OK)
		r = seal(h, user, phc, len, out);
	sodium_memzero(phc, sizeof phc);
	return r;
}

static void put_resealed(struct wire_out *w, int r, const char *text)
{
	wire_put_i32(w, r);
	wire_put_cstr(w, r == KE_OK ? text : "");
}

/* One question for many: what is refused keeps nothing from the others. */
int hsm_answer_reseal_credentials(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct wire_in in;
	uint16_t n;

	(void)peer;
	wire_in_init(&in, m->body, m->len);
	n = wire_get_u16(&in);
	if (n > BATCH_MAX)
		return KE_PEER;
	(void)!hsm_result(h, w, KE_OK);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *user = wire_get_view(&in, 16), *text;
		char out[TEXT_MAX];
		size_t len;

		text = wire_get_str(&in, 500, &len);
		if (text == NULL)
			return KE_PEER;
		put_resealed(w, reseal(h, user, text, len, out), out);
	}
	return wire_end(&in) == KE_OK ? KE_OK : KE_PEER;
}
