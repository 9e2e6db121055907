/*
 * The manifest of a backup (policy/backup.h): signed from its fields when one is made, checked when
 * one is restored. hsm vouches for appliance, anchor, log key and time, which it knows; for the
 * rest it says that this appliance's engine said so then. Runs in hsm: see hsm.h.
 */
#include <string.h>

#include "daemon/msg/log.h"
#include "hsm/role/hsm.h"
#include "policy/backup.h"

static int refuse(int r, const char *why)
{
	log_security("backup: %s", why);
	return r;
}

static bool is_ours(const struct hsm *h, const struct backup_manifest *m)
{
	return memcmp(m->appliance, h->anchor.appliance, 16) == 0;
}

static int sign(struct hsm *h, const struct backup_manifest *m, uint8_t sig[64])
{
	const struct key *k = key_ring_get(&h->ring, KEY_LOG, 0);
	char text[BACKUP_TEXT_MAX];
	size_t n;
	int r;

	if (!backup_whole(m))
		return refuse(KE_DENIED, "its manifest lacks a section");
	if (!is_ours(h, m) || m->anchor != h->anchor.serial || m->log_key != k->version)
		return refuse(KE_DENIED, "its manifest is not of this appliance as it is");
	if (!hsm_is_now(m->made_s))
		return refuse(KE_DENIED, "its manifest is not of now");
	r = backup_text(m, text, sizeof text, &n);
	if (r == KE_OK)
		r = key_sign(&h->p, k, text, n, sig);
	if (r == KE_OK && key_verify(k, text, n, sig) != KE_OK)
		r = hsm_lied(h, KE_CRYPTO, "its signature does not verify");
	return r;
}

/* KE_PEER: the body cannot be read. */
static int get_text(const struct msg *m, size_t max, const uint8_t **text, size_t *n)
{
	struct wire_in in;

	wire_in_init(&in, m->body, m->len);
	*text = wire_get_str(&in, max, n);
	return wire_end(&in) == KE_OK ? KE_OK : KE_PEER;
}

int hsm_answer_sign_backup(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	struct backup_manifest b;
	const uint8_t *text;
	uint8_t sig[64];
	size_t n;
	int r = get_text(m, BACKUP_TEXT_MAX, &text, &n);

	(void)peer;
	if (r != KE_OK)
		return r;
	r = backup_parse(&b, (const char *)text, n);
	if (r == KE_OK)
		r = sign(h, &b, sig);
	if (hsm_result(h, w, r)) {
		wire_put_raw(w, h->log_id, sizeof h->log_id);
		wire_put_u8(w, (uint8_t)key_note_type(key_ring_get(&h->ring, KEY_LOG, 0)));
		wire_put_raw(w, sig, sizeof sig);
	}
	return KE_OK;
}

/* The text of a note ends with an empty line; nothing of it is believed yet. */
static int parse_unsigned(const char *note, size_t n, struct backup_manifest *b)
{
	const char *end = memmem(note, n, "\n\n", 2);

	return end != NULL ? backup_parse(b, note, (size_t)(end - note) + 1) : KE_FORMAT;
}

/*
 * KE_FORMAT: no manifest. KE_DENIED: of another appliance. KE_VERSION: the token has no such log
 * key (any more). KE_NOTFOUND: signed under another name, that is, by another host. KE_CRYPTO:
 * forged.
 */
static int check(struct hsm *h, const char *note, size_t n)
{
	struct backup_manifest b;
	struct note_key nk;
	const struct key *k;
	size_t len;
	int r = parse_unsigned(note, n, &b);

	if (r != KE_OK)
		return r;
	if (!is_ours(h, &b))
		return refuse(KE_DENIED, "it is of another appliance");
	k = b.log_key != 0 && b.log_key <= UINT32_MAX
		? key_ring_get(&h->ring, KEY_LOG, (uint32_t)b.log_key)
		: NULL;
	if (k == NULL)
		return KE_VERSION;
	memcpy(nk.name, h->log_name, sizeof nk.name);
	nk.type = key_note_type(k);
	memcpy(nk.pub, k->pub, note_pub_len(nk.type));
	note_key_id(nk.id, nk.name, nk.type, nk.pub);
	return note_open(note, n, &nk, &len);
}

int hsm_answer_check_backup(
    struct hsm *h, struct serve_peer *peer, const struct msg *m, struct wire_out *w)
{
	const uint8_t *text;
	size_t n;
	int r = get_text(m, BACKUP_NOTE_MAX, &text, &n);

	(void)peer;
	if (r != KE_OK)
		return r;
	(void)hsm_result(h, w, check(h, (const char *)text, n));
	return KE_OK;
}
