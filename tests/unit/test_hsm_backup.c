/*
 * The manifest of a backup at klerod-hsm as it runs: signed when it is of this appliance, of its
 * present anchor and log key, of now and whole, and of nothing else; what was signed checks, and
 * not with any bit of it changed, nor on behalf of another appliance, key or host.
 */
#include <sodium.h>
#include <time.h>

#include "policy/anchor.h"
#include "policy/backup.h"
#include "policy/note.h"
#include "tests/unit/hsm_peer.h"

static void get_anchor(struct peer *p, struct anchor *a)
{
	const uint8_t *text;
	size_t n;

	assert_int_equal(ask(p, MSG_HSM_ANCHOR, NULL, 0), KE_OK);
	text = wire_get_str(&p->in, ANCHOR_TEXT_MAX, &n);
	assert_int_equal(wire_end(&p->in), KE_OK);
	assert_int_equal(anchor_parse(a, (const char *)text, n), KE_OK);
}

static void fill(struct backup_manifest *m, const struct anchor *a)
{
	static const unsigned names[] = {BACKUP_STORE, BACKUP_LOG, BACKUP_KEYS, BACKUP_CONF};

	*m = (struct backup_manifest){.made_s = (uint64_t)time(NULL),
	    .schema = 3,
	    .audit = 7,
	    .anchor = a->serial,
	    .log_key = 1,
	    .sections = 4};
	memcpy(m->appliance, a->appliance, 16);
	snprintf(m->program, sizeof m->program, "0.1.0");
	for (size_t i = 0; i < 4; i++)
		m->section[i] = (struct backup_section){.name = names[i], .len = i};
}

static int say(struct peer *p, uint16_t type, const void *text, size_t n)
{
	uint8_t body[BACKUP_NOTE_MAX + 2];
	struct wire_out w;

	wire_out_init(&w, body, sizeof body);
	wire_put_str(&w, text, n);
	return ask(p, type, body, w.len);
}

static int sign(struct peer *p, const struct backup_manifest *m)
{
	char text[BACKUP_TEXT_MAX];
	size_t n;

	assert_int_equal(backup_text(m, text, sizeof text, &n), KE_OK);
	return say(p, MSG_HSM_SIGN_BACKUP, text, n);
}

/* The whole note under a name; what hsm has signed stands in p->in. */
static size_t note_of(
    struct peer *p, const struct backup_manifest *m, const char *name, char note[BACKUP_NOTE_MAX])
{
	uint8_t id[4], sig[64];
	uint8_t type;
	size_t n, line;

	wire_get_raw(&p->in, id, 4);
	type = wire_get_u8(&p->in);
	wire_get_raw(&p->in, sig, 64);
	assert_int_equal(wire_end(&p->in), KE_OK);
	assert_int_equal(backup_text(m, note, BACKUP_TEXT_MAX, &n), KE_OK);
	note[n++] = '\n';
	assert_int_equal(
	    note_sig_line(name, (enum note_type)type, id, sig, note + n, 512, &line), KE_OK);
	return n + line;
}

static void test_signed(void **state)
{
	static struct peer p;
	static struct anchor a;
	char note[BACKUP_NOTE_MAX];
	struct backup_manifest m;
	struct note_key vkey;
	size_t n, len;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_anchor(&p, &a);
	fill(&m, &a);
	assert_int_equal(sign(&p, &m), KE_OK);
	n = note_of(&p, &m, LOG_NAME, note);
	assert_int_equal(
	    note_vkey_parse(&vkey, ctx.keys.log_vkey, strlen(ctx.keys.log_vkey)), KE_OK);
	assert_int_equal(note_open(note, n, &vkey, &len), KE_OK);
	assert_int_equal(say(&p, MSG_HSM_CHECK_BACKUP, note, n), KE_OK);
	/* not one bit of the text, the signature or its key id may differ */
	for (size_t i = 0; i < n; i++) {
		note[i] ^= (char)(1 << i % 7);
		assert_int_not_equal(say(&p, MSG_HSM_CHECK_BACKUP, note, n), KE_OK);
		note[i] ^= (char)(1 << i % 7);
	}
	stop_role(&p);
}

static void test_not_signed(void **state)
{
	static const char text[] = "kleroterion/v1 draw\nraffle 00000000000000000000000000000000\n"
				   "and so on, and so on, and so on, and so on, and so on";
	static struct peer p;
	static struct anchor a;
	struct backup_manifest m, good;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_anchor(&p, &a);
	fill(&good, &a);
	m = good;
	m.appliance[15] ^= 1;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	m = good;
	m.anchor++;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	m = good;
	m.log_key = 2;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	m = good;
	m.made_s += 1000;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	m = good;
	m.made_s -= 1000;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	m = good;
	m.sections = 3;
	assert_int_equal(sign(&p, &m), KE_DENIED);
	/* hsm writes the text itself, from fields: there is no other text that it would sign */
	assert_int_equal(say(&p, MSG_HSM_SIGN_BACKUP, text, sizeof(text) - 1), KE_FORMAT);
	assert_int_equal(sign(&p, &good), KE_OK);
	stop_role(&p);
}

static void test_not_ours(void **state)
{
	static struct peer p;
	static struct anchor a;
	char note[BACKUP_NOTE_MAX];
	struct backup_manifest m, other;
	size_t n;

	(void)state;
	start_role(&p, ROLE_HSM);
	get_anchor(&p, &a);
	fill(&m, &a);
	other = m;
	other.appliance[0] ^= 1;
	assert_int_equal(sign(&p, &m), KE_OK);
	n = note_of(&p, &other, LOG_NAME, note);
	assert_int_equal(say(&p, MSG_HSM_CHECK_BACKUP, note, n), KE_DENIED);
	other = m;
	other.log_key = 9;
	assert_int_equal(sign(&p, &m), KE_OK);
	n = note_of(&p, &other, LOG_NAME, note);
	assert_int_equal(say(&p, MSG_HSM_CHECK_BACKUP, note, n), KE_VERSION);
	assert_int_equal(sign(&p, &m), KE_OK);
	n = note_of(&p, &m, "elsewhere.example/klero/log", note);
	assert_int_equal(say(&p, MSG_HSM_CHECK_BACKUP, note, n), KE_NOTFOUND);
	stop_role(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_not_signed),
	    cmocka_unit_test(test_not_ours),
	};

	return cmocka_run_group_tests(tests, peer_setup, peer_teardown);
}
