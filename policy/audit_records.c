/*
 * The rules of the operator log: see audit_records.h. Pure.
 */
#include "policy/audit_records.h"

#include <stdlib.h>
#include <string.h>

#include "policy/hash.h"
#include "policy/text.h"

/* --- the raffles --- */

/* Room for one more. */
static int make_room(struct audit_records *a)
{
	size_t cap = a->cap == 0 ? 64 : 2 * a->cap;
	struct audit_raffle *raffles;

	if (a->n < a->cap)
		return KE_OK;
	raffles = realloc(a->raffles, cap * sizeof(*raffles));
	if (raffles == NULL)
		return KE_NOMEM;
	a->raffles = raffles;
	a->cap = cap;
	return KE_OK;
}

const struct audit_raffle *audit_raffle_get(const struct audit_records *a, const uint8_t id[16])
{
	uint32_t n = seen_find(&a->ids, id);

	return n == 0 ? NULL : &a->raffles[n - 1];
}

bool audit_numbers_ok(const struct audit_raffle *raffle, const struct record2 *draw)
{
	const struct record2 open = {.winners = raffle->winners,
	    .reserves = raffle->reserves,
	    .dedupe = raffle->holder ? DEDUPE_HOLDER : DEDUPE_NONE};

	return record2_numbers_ok(&open, raffle->tickets, draw);
}

int audit_records_init(struct audit_records *a, const char *origin, const struct checkpoint *head)
{
	memset(a, 0, sizeof(*a));
	a->origin = origin;
	a->picks = calloc(RECORD2_LISTED_MAX, sizeof(*a->picks));
	if (a->picks == NULL || seen_init(&a->ids, 16, head->root) != KE_OK) {
		audit_records_free(a);
		return KE_NOMEM;
	}
	return KE_OK;
}

void audit_records_free(struct audit_records *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->raffles[i].picks);
	free(a->raffles);
	seen_free(&a->ids);
	free(a->picks);
	memset(a, 0, sizeof(*a));
}

/* --- the rules --- */

/* What is judged: a record, its place and hash, its raffle as it stands. */
struct judged {
	const struct record2 *rec;
	uint64_t index;
	const uint8_t *hash;
	struct audit_raffle *raffle;
	char *why;
};

static int no(const struct judged *j, const char *what)
{
	return audit_no(j->why, KE_CRYPTO, "entry %llu, the %s record: %s",
	    (unsigned long long)j->index, record2_words[j->rec->kind], what);
}

static void take_terms(struct audit_raffle *raffle, const struct record2 *rec)
{
	raffle->sales_close_s = rec->terms.sales_close_s;
	raffle->deadline_s = rec->terms.deadline_s;
}

/* <origin>/r/<raffle id> */
static bool is_below(const char *origin, const struct record2 *rec)
{
	size_t n = strlen(origin);
	char id[33];

	text_hex(id, rec->raffle, 16);
	return strncmp(rec->origin, origin, n) == 0 && strncmp(rec->origin + n, "/r/", 3) == 0 &&
	       strcmp(rec->origin + n + 3, id) == 0;
}

static int add_open(struct audit_records *a, const struct judged *j)
{
	const struct record2 *rec = j->rec;
	struct audit_raffle *raffle;

	if (seen_find(&a->ids, rec->raffle) != 0)
		return no(j, "the raffle was opened before");
	if (!is_below(a->origin, rec))
		return no(j, "its ticket log is not one of this operator's");
	if (a->n == AUDIT_RAFFLES_MAX)
		return audit_no(j->why, KE_LIMIT, "more than %zu raffles", AUDIT_RAFFLES_MAX);
	if (make_room(a) != KE_OK || seen_add(&a->ids, rec->raffle) != KE_OK)
		return audit_no(j->why, KE_NOMEM, "out of memory");
	raffle = &a->raffles[a->n++];
	memset(raffle, 0, sizeof(*raffle));
	memcpy(raffle->id, rec->raffle, 16);
	memcpy(raffle->open_leaf, j->hash, 32);
	memcpy(raffle->seed_commit, rec->seed_commit, 32);
	raffle->open_index = j->index;
	raffle->holder = rec->dedupe == DEDUPE_HOLDER;
	raffle->winners = (uint32_t)rec->winners;
	raffle->reserves = (uint32_t)rec->reserves;
	take_terms(raffle, rec);
	return KE_OK;
}

/* Close, abort and amend name the open record by place and hash. */
static int check_open(const struct judged *j)
{
	if (j->rec->open_index != j->raffle->open_index)
		return no(j, "the raffle's open record is not where it says");
	if (memcmp(j->rec->open_leaf, j->raffle->open_leaf, 32) != 0)
		return no(j, "it was made for another open record");
	return KE_OK;
}

static int add_amend(const struct judged *j)
{
	int r = check_open(j);

	if (r == KE_OK && j->raffle->state != AUDIT_OPEN)
		r = no(j, "the sale is over");
	if (r != KE_OK)
		return r;
	j->raffle->amends++;
	take_terms(j->raffle, j->rec);
	return KE_OK;
}

static int add_close(const struct judged *j)
{
	int r = check_open(j);

	if (r == KE_OK && j->raffle->state != AUDIT_OPEN)
		r = no(j, "the raffle was closed before, or has ended");
	if (r == KE_OK && j->rec->at_s < j->raffle->sales_close_s)
		r = no(j, "the sale was closed before its time");
	if (r != KE_OK)
		return r;
	j->raffle->state = AUDIT_CLOSED;
	j->raffle->close_index = j->index;
	j->raffle->tickets = j->rec->tickets;
	memcpy(j->raffle->root, j->rec->root, 32);
	return KE_OK;
}

static void end(const struct judged *j, enum audit_state state)
{
	j->raffle->state = state;
	j->raffle->end_index = j->index;
	memcpy(j->raffle->end_leaf, j->hash, 32);
}

static int add_abort(const struct judged *j)
{
	int r = check_open(j);

	if (r == KE_OK && j->raffle->state >= AUDIT_DRAWN)
		r = no(j, "the raffle has ended before: one draw or abort is allowed");
	if (r == KE_OK)
		end(j, AUDIT_ABORTED);
	return r;
}

/* The winners and reserves of a draw without dedupe are the first of the shuffle. */
static int check_shuffle(const struct judged *j)
{
	const struct record2 *rec = j->rec;
	uint64_t index[RECORD2_LISTED_MAX], k = rec->winners + rec->reserves;
	int r;

	if (j->raffle->holder || !rec->listed)
		return KE_OK;
	r = draw_shuffle(index, (size_t)k, j->raffle->tickets, rec->draw_key);
	if (r != KE_OK)
		return audit_no(j->why, r, "%s", ke_words(r));
	for (size_t i = 0; i < k; i++)
		if (rec->picks[i].index != index[i])
			return no(j, "its winners are not those of its draw key");
	return KE_OK;
}

/* Everything in a draw that follows from the log. */
static int check_draw(const struct judged *j)
{
	const struct record2 *rec = j->rec;
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], have[32];
	size_t n = record2_contributions(rec, given);

	hash_kdf(have, rec->server_seed, DRAW_COMMIT_LABEL, rec->raffle, 16);
	if (memcmp(have, j->raffle->seed_commit, 32) != 0)
		return no(j, "its server seed is not the one that was committed to");
	draw_context_v2(have, rec->raffle, j->raffle->open_leaf, j->raffle->tickets,
	    j->raffle->root, (uint16_t)rec->terms.nbeacons, given, n);
	if (memcmp(have, rec->context, 32) != 0)
		return no(j, "its context does not follow from the records and the beacons");
	hash_kdf(have, rec->server_seed, DRAW_KEY_LABEL, rec->context, 32);
	if (memcmp(have, rec->draw_key, 32) != 0)
		return no(j, "its draw key does not follow from the seed and the context");
	/* of a file the numbers are its lines' */
	if (rec->listed && !audit_numbers_ok(j->raffle, rec))
		return no(j, "it has other numbers of winners and reserves than were announced");
	return check_shuffle(j);
}

/* For the audit of its ticket log. */
static int keep_draw(const struct judged *j)
{
	const struct record2 *rec = j->rec;
	struct audit_raffle *raffle = j->raffle;
	size_t n = (size_t)(rec->winners + rec->reserves);

	memcpy(raffle->draw_key, rec->draw_key, 32);
	memcpy(raffle->winners_file, rec->winners_file, 32);
	raffle->npicks = (uint32_t)n;
	if (!rec->listed)
		return KE_OK;
	raffle->picks = malloc(n * sizeof(*raffle->picks));
	if (raffle->picks == NULL)
		return audit_no(j->why, KE_NOMEM, "out of memory");
	memcpy(raffle->picks, rec->picks, n * sizeof(*raffle->picks));
	return KE_OK;
}

static int add_draw(const struct judged *j)
{
	int r;

	if (j->raffle->state >= AUDIT_DRAWN)
		return no(j, "the raffle has ended before: one draw or abort is allowed");
	if (j->raffle->state != AUDIT_CLOSED)
		return no(j, "the raffle was not closed");
	if (j->rec->open_index != j->raffle->open_index ||
	    j->rec->close_index != j->raffle->close_index)
		return no(j, "the raffle's open or close record is not where it says");
	r = check_draw(j);
	if (r == KE_OK)
		r = keep_draw(j);
	if (r == KE_OK)
		end(j, AUDIT_DRAWN);
	return r;
}

static int add_forfeit(const struct judged *j)
{
	if (j->raffle->state != AUDIT_DRAWN || j->rec->draw_index != j->raffle->end_index)
		return no(j, "the raffle's draw is not where it says");
	if (j->rec->pos > j->raffle->winners)
		return no(j, "the raffle has no such winner");
	j->raffle->forfeits++;
	return KE_OK;
}

static int add(struct audit_records *a, struct judged *j)
{
	uint32_t n = seen_find(&a->ids, j->rec->raffle);

	if (j->rec->kind == RECORD2_OPEN)
		return add_open(a, j);
	/* of no raffle, and what officers have signed is not in the log */
	if (j->rec->kind == RECORD2_APPROVED)
		return KE_OK;
	if (n == 0)
		return no(j, "the raffle was not opened");
	j->raffle = &a->raffles[n - 1];
	switch (j->rec->kind) {
	case RECORD2_CLOSE:
		return add_close(j);
	case RECORD2_DRAW:
		return add_draw(j);
	case RECORD2_ABORT:
		return add_abort(j);
	case RECORD2_FORFEIT:
		return add_forfeit(j);
	default:
		return add_amend(j);
	}
}

int audit_record(
    void *arg, uint64_t index, const uint8_t *p, size_t n, const uint8_t hash[32], char *why)
{
	struct audit_records *a = arg;
	struct record2 rec = {.picks = a->picks, .picks_cap = RECORD2_LISTED_MAX};
	struct judged j = {.rec = &rec, .index = index, .hash = hash, .why = why};
	int r;

	if (record2_parse(&rec, (const char *)p, n) != KE_OK)
		return audit_no(why, KE_FORMAT, "entry %llu is not a record of format v2",
		    (unsigned long long)index);
	r = add(a, &j);
	if (r == KE_OK)
		a->count[rec.kind]++;
	return r;
}
