/*
 * Makes the files of an operator log and of the ticket log of one drawn raffle, as
 *c2sp.org/tlog-tiles has them, of any size, with throw-away keys: for the tests and the benchmark
 *of klero-verify --log and for other people's readers of logs.
 *
 *	log_make DIR TICKETS [CHEAT [PICKS [HOLDERS]]]     prints the operator's verifier key
 *
 * PICKS are the winners and two reserves, 5; HOLDERS win once each: all but the last one have one
 * ticket, the first ones. CHEAT is one thing that an operator with all keys could do: second-draw,
 *no-close, other-open, other-key (the draw's), winner, index (a leaf at another place), raffle (a
 *ticket of another one), rewritten (the tickets of another day), fewer (the ticket log ends before
 *the close record's end), open (nothing after the open record), renamed (a winner's ticket id),
 *skipped (a ticket that was drawn, and the next one in its place), again (a holder's second
 *ticket), short (the last pick is left out), file (the winners' file has another line), no-file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/tile.h"
#include "tests/unit/bundle2_make.h"

static const char *cheat = "";
static uint64_t npicks = 5, holders;

static void fail(const char *what)
{
	fprintf(stderr, "log_make: %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool cheats(const char *how)
{
	return strcmp(cheat, how) == 0;
}

/* --- files --- */

static void write_file(const char *dir, const char *name, const void *p, size_t n)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *s = path + 1; (s = strchr(s, '/')) != NULL; s++) {
		*s = '\0';
		if (mkdir(path, 0755) != 0 && errno != EEXIST)
			fail(path);
		*s = '/';
	}
	f = fopen(path, "w");
	if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0)
		fail(path);
}

/* --- a log as it grows --- */

struct grown {
	char dir[2048];
	struct merkle_range range;
	uint8_t tile[TILE_LEVELS][TILE_WIDTH][32];
	unsigned width[TILE_LEVELS];
	uint8_t *bundle; /* of entries */
	size_t len;
};

static void put_tile(const struct grown *g, const struct tile *t, const void *p, size_t n)
{
	char path[TILE_PATH_MAX + 1], name[TILE_PATH_MAX + 8];

	(void)tile_path(t, path);
	snprintf(name, sizeof(name), "tile/%s", path);
	write_file(g->dir, name, p, n);
}

static void put_hash(struct grown *g, unsigned level, uint64_t index, const uint8_t hash[32])
{
	memcpy(g->tile[level][g->width[level]++], hash, 32);
	if (g->width[level] == TILE_WIDTH) {
		put_tile(g, &(struct tile){.level = level, .n = index / 256, .width = 256},
		    g->tile[level], sizeof(g->tile[level]));
		g->width[level] = 0;
	}
}

static void add(struct grown *g, const void *leaf, size_t n)
{
	struct merkle_subtree done[MERKLE_SUBTREES];
	uint64_t index = g->range.size;
	uint8_t hash[32];
	size_t found;

	merkle_leaf_hash(hash, leaf, n);
	g->bundle[g->len] = (uint8_t)(n >> 8);
	g->bundle[g->len + 1] = (uint8_t)n;
	memcpy(g->bundle + g->len + 2, leaf, n);
	g->len += 2 + n;
	found = merkle_range_grow(&g->range, hash, done);
	if (g->range.size % TILE_WIDTH == 0) {
		put_tile(g, &(struct tile){.entries = true, .n = index / 256, .width = 256},
		    g->bundle, g->len);
		g->len = 0;
	}
	put_hash(g, 0, index, hash);
	for (size_t i = 0; i < found; i++)
		put_hash(g, done[i].level, done[i].index, done[i].root);
}

static void begin(struct grown *g, const char *dir, const char *below)
{
	memset(g, 0, sizeof(*g));
	snprintf(g->dir, sizeof(g->dir), "%.1000s%s", dir, below);
	g->bundle = malloc((size_t)TILE_WIDTH * (2 + TILE_ENTRY_MAX));
	if (g->bundle == NULL)
		fail("memory");
}

/* The partial tiles, and the signed checkpoint. */
static void end(struct grown *g, const struct made2 *m, const char *origin)
{
	struct checkpoint c = {.size = g->range.size};
	struct tile t = {.n = g->range.size >> 8, .width = g->range.size % 256, .entries = true};
	char note[4096];
	size_t n;

	if (t.width > 0)
		put_tile(g, &t, g->bundle, g->len);
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		if (g->width[level] > 0)
			put_tile(g,
			    &(struct tile){.level = level,
				.n = g->range.size >> (8 * (level + 1)),
				.width = g->width[level]},
			    g->tile[level], (size_t)g->width[level] * 32);
	snprintf(c.origin, sizeof(c.origin), "%s", origin);
	merkle_range_root(&g->range, c.root);
	if (made2_checkpoint(m, &c, note, sizeof(note), &n) != 0)
		fail("checkpoint");
	write_file(g->dir, "checkpoint", note, n);
	free(g->bundle);
}

/* --- the raffle --- */

static void ticket(const struct made2 *m, uint64_t i, struct leaf *l)
{
	*l = (struct leaf){.index = i, .issued_ms = 1695000000000 + i};
	if (m != NULL)
		memcpy(l->raffle, m->rec[0].raffle, 16);
	be_put64(l->ticket, i * UINT64_C(0x9e3779b97f4a7c15) + (cheats("rewritten") ? 1 : 0));
	memcpy(l->holder_commit, l->ticket, 16);
	if (holders > 0 && i >= holders - 1)
		memset(l->holder_commit, 0x77, 16);
	memcpy(l->client_seed_hash, l->ticket, 16);
}

static void make_tickets(const struct made2 *m, const char *dir, uint64_t n, uint8_t root[32])
{
	struct grown g;
	struct leaf l;
	uint8_t leaf[LEAF_LEN];

	begin(&g, dir, &MADE2_TICKETS[sizeof(MADE2_HOST) - 1]);
	for (uint64_t i = 0; i < n; i++) {
		ticket(m, i, &l);
		if (cheats("index") && i == n / 2)
			l.index++;
		if (cheats("raffle") && i == n / 2)
			l.raffle[0]++;
		leaf_encode(leaf, &l);
		if (cheats("fewer") && i == n - 1)
			end(&g, m, MADE2_TICKETS);
		else
			add(&g, leaf, LEAF_LEN);
	}
	if (!cheats("fewer")) {
		end(&g, m, MADE2_TICKETS);
		merkle_range_root(&g.range, root);
	}
}

/* Into draw->picks; how many there are. */
static uint64_t pick(struct record2 *draw, uint64_t n)
{
	uint64_t index, won = 0, last = 0;
	bool skipped = false;
	struct draw_walk w;
	struct leaf l;

	if (draw_walk_init(&w, n, npicks, draw->draw_key) != KE_OK)
		fail("memory");
	while (won < npicks && draw_walk_next(&w, &index) == KE_OK) {
		bool rest = holders > 0 && index >= holders - 1;

		if (rest && last++ > 0 && !(cheats("again") && last == 2))
			continue;
		if (cheats("skipped") && !rest && !skipped) {
			skipped = true;
			continue;
		}
		ticket(NULL, index, &l);
		draw->picks[won].index = index;
		memcpy(draw->picks[won++].ticket, l.ticket, 16);
	}
	draw_walk_free(&w);
	return won;
}

/* More picks than a record lists. */
static void make_file(struct made2 *m, const char *dir)
{
	struct record2 *draw = &m->rec[MADE2_DRAW];
	char below[2048], *file;
	size_t n = 0;

	draw->listed = draw->winners + draw->reserves <= RECORD2_LISTED_MAX;
	if (draw->listed)
		return;
	file = malloc(RECORD2_FILE_MAX);
	if (file == NULL || record2_file_text(draw, file, RECORD2_FILE_MAX, &n) != KE_OK)
		fail("winners' file");
	hash_sha256(draw->winners_file, file, n);
	if (cheats("file"))
		file[n / 2] ^= 1;
	snprintf(below, sizeof(below), "%.1000s%s", dir, &MADE2_TICKETS[sizeof(MADE2_HOST) - 1]);
	if (!cheats("no-file"))
		write_file(below, "winners", file, n);
	free(file);
}

static void make_draw(struct made2 *m, const char *dir, uint64_t n)
{
	struct record2 *open = &m->rec[MADE2_OPEN], *draw = &m->rec[MADE2_DRAW];
	uint8_t given[RECORD2_CONTRIBUTIONS_MAX], open_leaf[32];
	uint64_t n_given;
	size_t len;

	draw->terms = open->terms;
	len = record2_contributions(draw, given);
	record2_leaf(open_leaf, m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	draw_context_v2(draw->context, draw->raffle, open_leaf, n, m->rec[MADE2_CLOSE].root,
	    (uint16_t)draw->terms.nbeacons, given, len);
	hash_kdf(draw->draw_key, draw->server_seed, DRAW_KEY_LABEL, draw->context, 32);
	draw->picks = calloc(npicks, sizeof(*draw->picks));
	draw->picks_cap = npicks;
	if (draw->picks == NULL)
		fail("memory");
	n_given = pick(draw, n);
	if (cheats("short"))
		n_given--;
	draw->winners = n_given < open->winners ? n_given : open->winners;
	draw->reserves = n_given - draw->winners;
	if (cheats("winner"))
		draw->picks[0].index ^= 1;
	if (cheats("renamed"))
		draw->picks[0].ticket[0] ^= 1;
	if (cheats("other-key"))
		draw->draw_key[0] ^= 1;
	make_file(m, dir);
}

static void make_records(struct made2 *m, const char *dir, uint64_t n)
{
	struct record2 *open = &m->rec[MADE2_OPEN], *close = &m->rec[MADE2_CLOSE],
		       *draw = &m->rec[MADE2_DRAW];
	struct grown g;

	open->winners = npicks - 2;
	open->reserves = 2;
	open->dedupe = holders > 0 ? DEDUPE_HOLDER : DEDUPE_NONE;
	hash_kdf(open->seed_commit, draw->server_seed, DRAW_COMMIT_LABEL, open->raffle, 16);
	close->tickets = n;
	close->open_index = draw->open_index = 0;
	draw->close_index = 1;
	if (made2_text(m, MADE2_OPEN) != 0)
		fail("open record");
	record2_leaf(close->open_leaf, m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	if (cheats("other-open"))
		close->open_leaf[0] ^= 1;
	make_draw(m, dir, n);
	if (made2_text(m, MADE2_CLOSE) != 0 || made2_text(m, MADE2_DRAW) != 0)
		fail("records");
	begin(&g, dir, "");
	add(&g, m->text[MADE2_OPEN], m->text_len[MADE2_OPEN]);
	if (!cheats("no-close") && !cheats("open"))
		add(&g, m->text[MADE2_CLOSE], m->text_len[MADE2_CLOSE]);
	if (!cheats("open"))
		add(&g, m->text[MADE2_DRAW], m->text_len[MADE2_DRAW]);
	if (cheats("second-draw"))
		add(&g, m->text[MADE2_DRAW], m->text_len[MADE2_DRAW]);
	end(&g, m, MADE2_HOST);
}

int main(int argc, char **argv)
{
	static struct made2 m;
	uint64_t n;

	if (argc < 3 || argc > 6 || text_unu64(&n, argv[2], strlen(argv[2])) != KE_OK ||
	    (argc > 4 && text_unu64(&npicks, argv[4], strlen(argv[4])) != KE_OK) || npicks < 3 ||
	    (argc > 5 && text_unu64(&holders, argv[5], strlen(argv[5])) != KE_OK) ||
	    made2_init(&m, 1, 1, 3, 2) != 0) {
		fprintf(stderr, "usage: log_make DIR TICKETS [CHEAT [PICKS [HOLDERS]]]\n");
		return 2;
	}
	if (argc > 3)
		cheat = argv[3];
	make_tickets(&m, argv[1], n, m.rec[MADE2_CLOSE].root);
	make_records(&m, argv[1], n);
	puts(m.operator_vkey);
	return 0;
}
