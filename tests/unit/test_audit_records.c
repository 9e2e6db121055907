/*
 * policy/audit_records: an operator log of one raffle that was drawn, or aborted, holds; each
 * record that breaks a rule of the log ends the audit, in words of its own.
 */
#include "tests/unit/vectors.h"
#include "tests/unit/fail_alloc.h"

#define MADE2_N_MAX 900
#include "policy/audit_records.h"
#include "tests/unit/bundle2_make.h"

static struct made2 m;
static struct audit_records a;
static char why[AUDIT_WHY_MAX];

static void make(void)
{
	assert_int_equal(made2_init(&m, 20, 20, 3, 2), 0);
	m.amended = true;
	m.nforfeits = 1;
	m.forfeits[0] = 2;
	assert_int_equal(made2_finish(&m), 0);
}

/* A record as it is now, at the place where the others name it. */
static int add(int w)
{
	static char text[RECORD2_TEXT_MAX];
	struct record2 *rec = &m.rec[w];
	uint8_t leaf[32];
	size_t n;

	assert_int_equal(record2_text(rec, text, sizeof text, &n), KE_OK);
	record2_leaf(leaf, text, n);
	return audit_record(&a, made2_at[w], (const uint8_t *)text, n, leaf, why);
}

/* The records of a log, a letter each. */
static int audit(const char *log)
{
	static const char letters[MADE2_RECORDS + 1] = "ocdxaf";
	const struct checkpoint head = {.size = 7};
	int r = audit_records_init(&a, MADE2_HOST, &head);

	snprintf(why, sizeof why, "%s", r == KE_OK ? "" : ke_words(r));
	for (; r == KE_OK && *log != '\0'; log++)
		r = add((int)(strchr(letters, *log) - letters));
	return r;
}

static void test_good(void **state)
{
	static const struct {
		const char *log;
		enum audit_state state;
		uint32_t amends, forfeits;
	} rows[] = {
	    {"o", AUDIT_OPEN, 0, 0},
	    {"oaa", AUDIT_OPEN, 2, 0},
	    {"oac", AUDIT_CLOSED, 1, 0},
	    {"oacd", AUDIT_DRAWN, 1, 0},
	    {"oacdff", AUDIT_DRAWN, 1, 2},
	    {"ox", AUDIT_ABORTED, 0, 0},
	    {"ocx", AUDIT_ABORTED, 0, 0},
	};
	const struct audit_raffle *raffle;
	uint8_t other[16] = {1};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make();
		assert_int_equal(audit(rows[i].log), KE_OK);
		raffle = audit_raffle_get(&a, m.rec[MADE2_OPEN].raffle);
		assert_non_null(raffle);
		assert_null(audit_raffle_get(&a, other));
		assert_int_equal(raffle->state, rows[i].state);
		assert_int_equal(raffle->amends, rows[i].amends);
		assert_int_equal(raffle->forfeits, rows[i].forfeits);
		assert_int_equal(a.count[RECORD2_AMEND], rows[i].amends);
		audit_records_free(&a);
	}
}

/* --- each rule --- */

static void refused(const char *log, int err, const char *words)
{
	int r = audit(log);

	if (r != err || strstr(why, words) == NULL)
		fail_msg(
		    "%s: %s: \"%s\", not %s: \"%s\"", log, ke_words(r), why, ke_words(err), words);
	audit_records_free(&a);
}

static void test_order(void **state)
{
	static const struct {
		const char *log, *words;
	} rows[] = {
	    {"c", "entry 3, the close record: the raffle was not opened"},
	    {"f", "entry 5, the forfeit record: the raffle was not opened"},
	    {"oo", "entry 1, the open record: the raffle was opened before"},
	    {"oca", "the amend record: the sale is over"},
	    {"occ", "the raffle was closed before, or has ended"},
	    {"oxc", "the raffle was closed before, or has ended"},
	    {"oacdx", "has ended before: one draw or abort is allowed"},
	    {"oxx", "has ended before: one draw or abort is allowed"},
	    {"oacdd", "has ended before: one draw or abort is allowed"},
	    {"oxd", "has ended before: one draw or abort is allowed"},
	    {"od", "the raffle was not closed"},
	    {"oacf", "the raffle's draw is not where it says"},
	    {"oxf", "the raffle's draw is not where it says"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make();
		refused(rows[i].log, KE_CRYPTO, rows[i].words);
	}
}

/* --- records that say something else --- */

static void open_of_others(void)
{
	snprintf(m.rec[MADE2_OPEN].origin, RECORD2_ORIGIN_MAX, "other.example.org/klero/r/abab");
}

static void open_of_the_operator(void)
{
	snprintf(m.rec[MADE2_OPEN].origin, RECORD2_ORIGIN_MAX, MADE2_HOST "/log/abab");
}

static void open_of_another_raffle(void)
{
	m.rec[MADE2_OPEN].raffle[0] ^= 1;
}

static void amend_index(void)
{
	m.rec[MADE2_AMEND].open_index++;
}

static void amend_leaf(void)
{
	m.rec[MADE2_AMEND].open_leaf[31] ^= 1;
}

static void close_leaf(void)
{
	m.rec[MADE2_CLOSE].open_leaf[0] ^= 1;
}

static void close_early(void)
{
	m.rec[MADE2_CLOSE].at_s = m.rec[MADE2_AMEND].terms.sales_close_s - 1;
}

static void abort_index(void)
{
	m.rec[MADE2_ABORT].open_index = 0;
}

static void draw_open(void)
{
	m.rec[MADE2_DRAW].open_index++;
}

static void draw_close(void)
{
	m.rec[MADE2_DRAW].close_index++;
}

static void draw_seed(void)
{
	m.rec[MADE2_DRAW].server_seed[0] ^= 1;
}

static void draw_context(void)
{
	m.rec[MADE2_DRAW].context[0] ^= 1;
}

static void draw_beacon(void)
{
	m.rec[MADE2_DRAW].terms.beacons[0].signature[0] ^= 1;
}

static void draw_key(void)
{
	m.rec[MADE2_DRAW].draw_key[0] ^= 1;
}

static void draw_pick(void)
{
	struct record_pick first = m.picks[0];

	m.picks[0] = m.picks[4];
	m.picks[4] = first;
}

/* A prize less, and who should have had it is a reserve. */
static void draw_fewer(void)
{
	m.rec[MADE2_DRAW].winners--;
	m.rec[MADE2_DRAW].reserves++;
}

static void draw_short(void)
{
	m.rec[MADE2_DRAW].reserves--;
}

static void forfeit_draw(void)
{
	m.rec[MADE2_FORFEIT].draw_index--;
}

static void forfeit_pos(void)
{
	m.rec[MADE2_FORFEIT].pos = 4;
}

static void test_contents(void **state)
{
	static const struct {
		void (*change)(void);
		const char *words;
	} rows[] = {
	    {open_of_others, "its ticket log is not one of this operator's"},
	    {open_of_the_operator, "its ticket log is not one of this operator's"},
	    {open_of_another_raffle, "its ticket log is not one of this operator's"},
	    {amend_index, "amend record: the raffle's open record is not where it says"},
	    {amend_leaf, "amend record: it was made for another open record"},
	    {close_leaf, "close record: it was made for another open record"},
	    {close_early, "the sale was closed before its time"},
	    {abort_index, "abort record: the raffle's open record is not where it says"},
	    {draw_open, "the raffle's open or close record is not where it says"},
	    {draw_close, "the raffle's open or close record is not where it says"},
	    {draw_seed, "its server seed is not the one that was committed to"},
	    {draw_context, "its context does not follow"},
	    {draw_beacon, "its context does not follow"},
	    {draw_key, "its draw key does not follow"},
	    {draw_pick, "its winners are not those of its draw key"},
	    {draw_fewer, "other numbers of winners and reserves than were announced"},
	    {draw_short, "other numbers of winners and reserves than were announced"},
	    {forfeit_draw, "the raffle's draw is not where it says"},
	    {forfeit_pos, "the raffle has no such winner"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		make();
		rows[i].change();
		refused(rows[i].change == abort_index ? "oax" : "oacdf", KE_CRYPTO, rows[i].words);
	}
}

/* What officers approved stands in no log, and is of no raffle where it does; else only records do.
 */
static void test_entries(void **state)
{
	struct record2 approved = {.kind = RECORD2_APPROVED, .word = "draw"};
	const uint8_t leaf[32] = {0};
	char text[512];
	size_t n;

	(void)state;
	make();
	assert_int_equal(audit("o"), KE_OK);
	assert_int_equal(record2_text(&approved, text, sizeof text, &n), KE_OK);
	assert_int_equal(audit_record(&a, 2, (const uint8_t *)text, n, leaf, why), KE_OK);
	assert_int_equal(a.count[RECORD2_APPROVED], 1);
	assert_int_equal(audit_record(&a, 3, (const uint8_t *)text, n - 1, leaf, why), KE_FORMAT);
	assert_string_equal(why, "entry 3 is not a record of format v2");
	a.n = AUDIT_RAFFLES_MAX;
	m.rec[MADE2_OPEN].raffle[0]++;
	m.rec[MADE2_OPEN].origin[sizeof(MADE2_HOST "/r/a") - 1] = 'c';
	assert_int_equal(add(MADE2_OPEN), KE_LIMIT);
	assert_non_null(strstr(why, "more than 1048576 raffles"));
	a.n = 1;
	audit_records_free(&a);
}

/* --- other draws --- */

/* One prize a person: whom the shuffle passes over is seen in the ticket log alone. */
static void test_dedupe(void **state)
{
	const struct audit_raffle *raffle;

	(void)state;
	assert_int_equal(made2_init(&m, 20, 4, 3, 2), 0);
	m.rec[MADE2_OPEN].dedupe = DEDUPE_HOLDER;
	assert_int_equal(made2_finish(&m), 0);
	assert_int_equal(audit("ocd"), KE_OK);
	raffle = audit_raffle_get(&a, m.rec[MADE2_OPEN].raffle);
	assert_true(raffle->holder);
	assert_int_equal(raffle->npicks, 4);
	audit_records_free(&a);
	draw_fewer();
	refused("ocd", KE_CRYPTO, "other numbers of winners and reserves than were announced");
	m.rec[MADE2_DRAW].winners = 4;
	m.rec[MADE2_DRAW].reserves = 0;
	refused("ocd", KE_CRYPTO, "other numbers of winners and reserves than were announced");
}

/* More winners than a record lists: their file is read later, and then the numbers are known. */
static void test_file(void **state)
{
	const struct audit_raffle *raffle;
	struct record2 draw;

	(void)state;
	assert_int_equal(made2_init(&m, 850, 850, 801, 9), 0);
	assert_int_equal(made2_finish(&m), 0);
	assert_false(m.rec[MADE2_DRAW].listed);
	assert_int_equal(audit("ocd"), KE_OK);
	raffle = audit_raffle_get(&a, m.rec[MADE2_OPEN].raffle);
	assert_null(raffle->picks);
	assert_int_equal(raffle->npicks, 810);
	assert_memory_equal(raffle->winners_file, m.rec[MADE2_DRAW].winners_file, 32);
	draw = m.rec[MADE2_DRAW];
	assert_true(audit_numbers_ok(raffle, &draw));
	draw.winners--;
	draw.reserves++;
	assert_false(audit_numbers_ok(raffle, &draw));
	audit_records_free(&a);
}

/* --- many raffles, and little memory --- */

#define RAFFLES 70 /* more than there is room for at first */

static struct made2 whole;

static int audit_many(void)
{
	int r = audit("o");

	for (uint8_t i = 1; r == KE_OK && i < RAFFLES; i++) {
		char id[33];

		m.rec[MADE2_OPEN].raffle[0] = i;
		text_hex(id, m.rec[MADE2_OPEN].raffle, 16);
		snprintf(m.rec[MADE2_OPEN].origin, RECORD2_ORIGIN_MAX, MADE2_HOST "/r/%s", id);
		r = add(MADE2_OPEN);
	}
	if (r == KE_OK)
		assert_int_equal(a.n, RAFFLES);
	m = whole;
	if (r == KE_OK)
		r = add(MADE2_CLOSE);
	if (r == KE_OK)
		r = add(MADE2_DRAW);
	assert_string_equal(why, r == KE_OK ? "" : ke_words(KE_NOMEM));
	audit_records_free(&a);
	return r;
}

static void test_many(void **state)
{
	(void)state;
	make();
	whole = m;
	assert_int_equal(audit_many(), KE_OK);
	if (!fail_alloc_works())
		skip();
	/* the list of picks; the table's two parts and its growth; the raffles, twice; the
	 * shuffle's table; the picks that are kept */
	assert_true(fail_alloc_each(audit_many, KE_NOMEM) >= 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_contents),
	    cmocka_unit_test(test_entries),
	    cmocka_unit_test(test_dedupe),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("audit_records", tests, NULL, NULL);
}
