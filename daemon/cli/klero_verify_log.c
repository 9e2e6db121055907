/*
 * klero-verify --log: audits the operator log and ticket logs, from a folder or over HTTPS, against
 * themselves, a proof and the checkpoints of earlier audits. All judgement is in policy/audit.c and
 * policy/audit_records.c; here are what to read and the words. Runs as the auditor's own program.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/klero_verify.h"
#include "daemon/cli/klero_verify_fetch.h"
#include "daemon/cli/klero_verify_state.h"
#include "policy/audit_draw.h"
#include "policy/jsonw.h"
#include "policy/origin.h"
#include "policy/text.h"

#define PREFIX_LEN 64
#define PATH_LEN   (PREFIX_LEN + 16)
#define LATE_TOLD  10
#define BEHIND_S   10

struct job {
	const struct options *o;
	const struct bundle2_result *bundle;
	struct fetch *fetch;
	struct state state, next; /* as remembered; as read now */
	struct audit audit;
	struct audit_records records;
	struct checkpoint head; /* the operator log's */
	struct note_key key, tickets_key;
	char prefix[PREFIX_LEN]; /* of the log that is read now */
	char why[AUDIT_WHY_MAX + 400];
	/* ticket logs audited, leaves in them, draws repeated from them */
	uint64_t logs, tickets, draws, unpublished, late;
};

/* Says what failed, in which log. */
static int no(struct job *j, int err, const char *log, const char *what)
{
	snprintf(j->why, sizeof(j->why), "%s: %s", log, what);
	return err;
}

static void ok(const struct job *j, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void ok(const struct job *j, const char *what, const char *fmt, ...)
{
	va_list ap;

	if (j->o->quiet || j->o->json)
		return;
	printf("ok   %-13s ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* --- one log --- */

static int read_tile(void *arg, const struct tile *t, const uint8_t **p, size_t *n)
{
	struct job *j = arg;
	char tile[TILE_PATH_MAX + 1], path[PREFIX_LEN + TILE_PATH_MAX + 8];

	(void)tile_path(t, tile);
	snprintf(path, sizeof(path), "%stile/%s", j->prefix, tile);
	return fetch_get(
	    j->fetch, path, t->entries ? AUDIT_BUNDLE_MAX : (size_t)TILE_WIDTH * 32, p, n);
}

/* Enough witnesses have seen it, where the auditor names some. */
static int check_witnesses(struct job *j, const char *note, size_t n)
{
	uint64_t seen;

	if (!j->o->have_policy)
		return KE_OK;
	if (tlog_policy_seen(&j->o->policy, note, n, UINT64_MAX, &seen) != KE_OK)
		return no(j, KE_CRYPTO, j->key.name, "a witness's cosignature is wrong");
	return tlog_policy_met(&j->o->policy, seen)
		   ? KE_OK
		   : no(j, KE_CRYPTO, "the policy", "not enough witnesses saw the checkpoint");
}

/* A file below the prefix, and its path for what is said of it. */
static int get_below(
    struct job *j, const char *name, size_t max, char path[PATH_LEN], const uint8_t **p, size_t *n)
{
	int r;

	snprintf(path, PATH_LEN, "%s%s", j->prefix, name);
	r = fetch_get(j->fetch, path, max, p, n);
	return r == KE_OK ? r : no(j, r, path, fetch_why(j->fetch));
}

/*
 * The signed checkpoint below the prefix, remembered for the state. KE_NOTFOUND when there is none.
 */
static int read_head(struct job *j, const struct note_key *key, struct checkpoint *head)
{
	char path[PATH_LEN];
	const uint8_t *p;
	size_t n;
	int r = get_below(j, "checkpoint", STATE_NOTE_MAX, path, &p, &n);

	if (r != KE_OK)
		return r;
	r = checkpoint_open(head, (const char *)p, n, key);
	if (r != KE_OK)
		return no(j, KE_CRYPTO, path, "it is not a checkpoint signed by the log's key");
	r = check_witnesses(j, (const char *)p, n);
	if (r == KE_OK && state_put(&j->next, head, (const char *)p, n) != KE_OK)
		r = no(j, KE_NOMEM, path, ke_words(KE_NOMEM));
	return r;
}

static int audit_one(struct job *j, const struct checkpoint *head, audit_leaf *leaf, void *arg)
{
	int r;

	j->audit.read = read_tile;
	j->audit.read_arg = j;
	j->audit.leaf = leaf;
	j->audit.leaf_arg = arg;
	j->audit.old = state_get(&j->state, head->origin);
	r = audit_log(&j->audit, head);
	return r == KE_OK ? r : no(j, r, head->origin, j->audit.why);
}

/* --- the operator log --- */

static int audit_operator(struct job *j)
{
	const uint64_t *count = j->records.count;
	int r;

	j->prefix[0] = '\0';
	r = read_head(j, &j->key, &j->head);
	if (r == KE_OK && audit_records_init(&j->records, j->key.name, &j->head) != KE_OK)
		r = no(j, KE_NOMEM, j->key.name, ke_words(KE_NOMEM));
	if (r == KE_OK)
		r = audit_one(j, &j->head, audit_record, &j->records);
	if (r != KE_OK)
		return r;
	ok(j, "operator log",
	    "%" PRIu64 " records: %" PRIu64 " opened, %" PRIu64 " amended, %" PRIu64
	    " closed, %" PRIu64 " drawn, %" PRIu64 " aborted, %" PRIu64 " forfeited",
	    j->head.size, count[RECORD2_OPEN], count[RECORD2_AMEND], count[RECORD2_CLOSE],
	    count[RECORD2_DRAW], count[RECORD2_ABORT], count[RECORD2_FORFEIT]);
	return KE_OK;
}

/* The proof's raffle, its first and its last record are the log's. */
static int check_bundle(struct job *j)
{
	const struct bundle2_result *b = j->bundle;
	const struct audit_raffle *raffle = audit_raffle_get(&j->records, b->raffle);

	if (raffle == NULL)
		return no(j, KE_CRYPTO, j->key.name, "the proof's raffle is not in the log");
	if (raffle->open_index != b->open_index || memcmp(raffle->open_leaf, b->open_leaf, 32) != 0)
		return no(j, KE_CRYPTO, j->key.name, "the log has another open record");
	if (raffle->state < AUDIT_DRAWN || raffle->end_index != b->end_index ||
	    memcmp(raffle->end_leaf, b->end_leaf, 32) != 0)
		return no(j, KE_CRYPTO, j->key.name, "the log has another draw or abort record");
	if (raffle->forfeits != b->forfeits || raffle->amends != b->amends)
		return no(j, KE_CRYPTO, j->key.name,
		    "the log has other amends or forfeits of the raffle than the proof");
	ok(j, "proof", "its records are the log's, and there is no other draw or abort");
	return KE_OK;
}

/* --- ticket logs --- */

/* Has a close record said how its ticket log ends? An abort before it says nothing of that. */
static bool has_end(const struct audit_raffle *raffle)
{
	return raffle->state != AUDIT_OPEN &&
	       !(raffle->state == AUDIT_ABORTED && raffle->close_index == 0);
}

/* Each log has checkpoints of its own: the tickets' last may come after the close record. */
static int read_last(struct job *j, const struct audit_raffle *raffle, const struct note_key *key,
    struct checkpoint *head)
{
	bool served = strncmp(j->o->log, "http", 4) == 0;
	int r = read_head(j, key, head);

	for (int i = 0; served && i < BEHIND_S && has_end(raffle); i++) {
		if (r == KE_OK ? head->size >= raffle->tickets
			       : r != KE_NOTFOUND || raffle->tickets == 0)
			break;
		sleep(1);
		r = read_head(j, key, head);
	}
	return r;
}

static int check_end(
    struct job *j, const struct audit_raffle *raffle, const struct checkpoint *head)
{
	if (!has_end(raffle))
		return KE_OK;
	if (head->size == raffle->tickets && memcmp(head->root, raffle->root, 32) == 0)
		return KE_OK;
	return no(j, KE_CRYPTO, head->origin,
	    "its checkpoint is not the one that the close record names");
}

/* The picks of a draw with more of them than its record lists: *picks is the caller's. */
static int read_winners(
    struct job *j, const struct audit_raffle *raffle, struct record_pick **picks)
{
	struct record2 draw = {.winners = raffle->npicks, .picks_cap = raffle->npicks};
	char path[PATH_LEN];
	const uint8_t *p;
	size_t n;
	int r = get_below(j, "winners", RECORD2_FILE_MAX, path, &p, &n);

	if (r != KE_OK)
		return r;
	draw.picks = *picks = calloc(raffle->npicks, sizeof(*draw.picks));
	if (*picks == NULL)
		return no(j, KE_NOMEM, path, ke_words(KE_NOMEM));
	memcpy(draw.winners_file, raffle->winners_file, 32);
	if (record2_file_parse(&draw, (const char *)p, n) != KE_OK)
		return no(j, KE_CRYPTO, path, "it is not the file that the draw record names");
	return audit_numbers_ok(raffle, &draw)
		   ? KE_OK
		   : no(j, KE_CRYPTO, path,
			 "it has other numbers of winners and reserves than were announced");
}

/* All leaves of a raffle that was drawn, and its winners among them. */
static int audit_drawn(
    struct job *j, const struct audit_raffle *raffle, const struct checkpoint *head)
{
	struct record_pick *read = NULL;
	struct audit_draw d = {.picks = raffle->picks};
	int r = KE_OK;

	if (raffle->picks == NULL)
		r = read_winners(j, raffle, &read);
	if (r == KE_OK && audit_draw_init(&d, raffle, raffle->picks != NULL ? raffle->picks : read,
			      raffle->npicks) != KE_OK)
		r = no(j, KE_NOMEM, head->origin, ke_words(KE_NOMEM));
	if (r == KE_OK)
		r = audit_one(j, head, audit_draw_leaf, &d);
	if (r == KE_OK) {
		r = audit_draw_end(&d, j->audit.why);
		if (r != KE_OK)
			r = no(j, r, head->origin, j->audit.why);
	}
	audit_draw_free(&d);
	free(read);
	j->draws += r == KE_OK;
	return r;
}

static int audit_tickets(struct job *j, struct audit_raffle *raffle)
{
	struct note_key key = j->tickets_key;
	struct checkpoint head;
	char id[33];
	int r, n;

	text_hex(id, raffle->id, 16);
	snprintf(j->prefix, sizeof(j->prefix), "r/%s/", id);
	n = snprintf(key.name, sizeof(key.name), "%s/r/%s", j->key.name, id);
	if (n < 0 || (size_t)n >= sizeof(key.name))
		return no(j, KE_LONG, j->key.name, ke_words(KE_LONG));
	note_key_id(key.id, key.name, key.type, key.pub);
	r = read_last(j, raffle, &key, &head);
	/* a log without a leaf may have no checkpoint yet */
	if (r == KE_NOTFOUND && raffle->tickets == 0 && state_get(&j->state, key.name) == NULL) {
		j->unpublished++;
		return KE_OK;
	}
	if (r == KE_OK)
		r = check_end(j, raffle, &head);
	if (r == KE_OK)
		r = raffle->state == AUDIT_DRAWN ? audit_drawn(j, raffle, &head)
						 : audit_one(j, &head, audit_ticket, raffle->id);
	if (r != KE_OK)
		return r;
	j->logs++;
	j->tickets += head.size;
	return KE_OK;
}

/* An end that is due shows: DRAW.md section 9. */
static void look_for_late(struct job *j, const struct audit_raffle *raffle)
{
	char id[37], when[32];

	if (raffle->state >= AUDIT_DRAWN || raffle->deadline_s >= (uint64_t)time(NULL))
		return;
	j->late++;
	if (j->o->quiet || j->o->json || j->late > LATE_TOLD)
		return;
	text_uuid(id, raffle->id);
	text_time(when, (int64_t)raffle->deadline_s * 1000);
	printf("late: raffle %s has neither draw nor abort, due by %s\n", id, when);
}

static int audit_all_tickets(struct job *j)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < j->records.n; i++) {
		struct audit_raffle *raffle = &j->records.raffles[i];

		look_for_late(j, raffle);
		if (j->bundle == NULL || memcmp(raffle->id, j->bundle->raffle, 16) == 0)
			r = audit_tickets(j, raffle);
	}
	if (r == KE_OK)
		ok(j, "ticket logs",
		    "%" PRIu64 " tickets in %" PRIu64 " logs, %" PRIu64 " without any", j->tickets,
		    j->logs, j->unpublished);
	if (r == KE_OK && j->draws > 0)
		ok(j, "draws",
		    "%" PRIu64 " repeated: their winners are the shuffle's, and the logs'",
		    j->draws);
	if (r == KE_OK && j->o->state != NULL)
		ok(j, "history", "%zu logs were known, and begin as they did", j->state.n);
	return r;
}

/* --- all --- */

static int audit_everything(struct job *j)
{
	int r = audit_operator(j);

	if (r == KE_OK && j->bundle != NULL)
		r = check_bundle(j);
	if (r == KE_OK)
		r = audit_all_tickets(j);
	return r;
}

/* What was known of logs that this audit did not read stays known. */
static int keep_state(struct job *j)
{
	int r = KE_OK;

	for (size_t i = 0; r == KE_OK && i < j->next.n; i++)
		r = state_put(
		    &j->state, &j->next.notes[i].head, j->next.notes[i].note, j->next.notes[i].n);
	return r == KE_OK ? state_write(&j->state, j->o->state) : r;
}

static void print_json(const struct job *j, bool good)
{
	char buf[4096];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof(buf));
	jsonw_object(&w);
	jsonw_kbool(&w, "audited", good);
	jsonw_kcstr(&w, "log", j->key.name);
	jsonw_kint(&w, "records", (int64_t)j->head.size);
	jsonw_kint(&w, "raffles", (int64_t)j->records.n);
	jsonw_kint(&w, "ticket_logs", (int64_t)j->logs);
	jsonw_kint(&w, "tickets", (int64_t)j->tickets);
	jsonw_kint(&w, "draws", (int64_t)j->draws);
	jsonw_kint(&w, "late", (int64_t)j->late);
	if (!good)
		jsonw_kcstr(&w, "why", j->why);
	jsonw_object_end(&w);
	if (jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
}

static int verdict(const struct job *j, int r)
{
	if (j->o->json)
		print_json(j, r == KE_OK);
	else if (r == KE_OK)
		puts("AUDITED");
	else
		printf("NOT AUDITED: %s\n", j->why);
	if (r == KE_OK)
		return EXIT_VERIFIED;
	return r == KE_IO || r == KE_NOTFOUND ? EXIT_READ : EXIT_NOT;
}

int verify_log(const struct options *o, const struct bundle2_result *bundle)
{
	static struct job j; /* too large for the stack */
	int code = EXIT_READ, r;

	if (!o->have_key && bundle == NULL)
		return verify_usage("--log without a proof needs --vkey");
	j = (struct job){.o = o, .bundle = bundle};
	j.key = o->have_key ? o->key : bundle->operator_key;
	origin_oplog_key(&j.key);
	j.tickets_key = bundle != NULL ? bundle->tickets_key : j.key;
	if (o->state != NULL && state_read(&j.state, o->state) != KE_OK)
		goto out;
	j.fetch = fetch_new(o->log, o->ca);
	if (j.fetch == NULL) {
		fprintf(stderr, "klero-verify: %s cannot be read from\n", o->log);
		goto out;
	}
	r = audit_everything(&j);
	code = verdict(&j, r);
	if (r == KE_OK && o->state != NULL && keep_state(&j) != KE_OK)
		code = EXIT_READ;
out:
	fetch_free(j.fetch);
	audit_records_free(&j.records);
	state_free(&j.state);
	state_free(&j.next);
	return code;
}
