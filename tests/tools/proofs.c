/*
 * Writes proof bundles into a folder: good ones, and one for each way in which an operator with all
 * keys, or somebody without them, can cheat. For those who judge bundles besides klero-verify:
 * tests/page holds the page GET /verify against it.
 *
 *	proofs DIR
 *
 * DIR/good-*.json and DIR/bad-*.json; what an auditor of the good ones knows: DIR/vkey, DIR/commit,
 * DIR/certificate.pem, DIR/chain.info (of good-own-chain.json).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MADE2_N_MAX 1024
#include "tests/unit/bundle2_make.h"
#include "tests/unit/bundle_make.h"

#define PATH_MAX_LEN 4096

static struct made2 m;
static struct record2 *const open_rec = &m.rec[MADE2_OPEN], *const close_rec = &m.rec[MADE2_CLOSE],
			     *const draw_rec = &m.rec[MADE2_DRAW];

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "proofs: %s\n", what);
	exit(1);
}

static void finish(void)
{
	need(made2_finish(&m) == 0, "a bundle cannot be made");
}

/* A record's text was changed: it is in the log so. */
static void again(int w)
{
	need(made2_text(&m, w) == 0, "a record has no text");
	record2_leaf(m.log.leaf[made2_at[w]], m.text[w], m.text_len[w]);
}

/* --- what there is to cheat with: the bundle is good before, and finished behind --- */

static void nothing(void)
{
}

static void dedupe(void)
{
	open_rec->dedupe = DEDUPE_HOLDER;
	m.holders = 7;
}

static void few_holders(void)
{
	open_rec->dedupe = DEDUPE_HOLDER;
	m.holders = 4;
}

static void no_quorum(void)
{
	snprintf(m.policy, sizeof(m.policy), "quorum none\n");
}

static void round_before(void)
{
	open_rec->terms.beacons[0].round = 999999;
}

static void too_soon(void)
{
	uint64_t first_s;

	need(drand_round_time(&drand_quicknet, 1000000, &first_s) == KE_OK, "a round's time");
	open_rec->terms.sales_close_s = first_s - 599;
	close_rec->at_s = first_s - 100;
}

static void flipped_round(void)
{
	open_rec->terms.beacons[0].signature[47] ^= 1;
}

static void flipped_not_before(void)
{
	open_rec->terms.not_before.signature[47] ^= 1;
}

static void earlier_pulse(void)
{
	open_rec->terms.beacons[1].at_ms -= 60000;
}

static void other_output(void)
{
	open_rec->terms.beacons[1].output[0] ^= 1;
}

static void other_chain(void)
{
	open_rec->terms.beacons[0].chain_hash[0] ^= 1;
}

static void own_chain(void)
{
	struct drand_chain own = drand_quicknet;

	own.genesis_s += 3;
	drand_chain_hash(open_rec->terms.beacons[0].chain_hash, &own);
	made2_chain(&m, &own);
}

static void seen_late(void)
{
	m.seen_s = open_rec->terms.sales_close_s + 3600 - 59;
}

static void forged_witness(void)
{
	m.witness_secret[0] ^= 1;
}

static void aborted(void)
{
	m.aborted = true;
}

static void amended(void)
{
	m.amended = true;
	m.rec[MADE2_AMEND].terms.deadline_s++;
}

/* The first prize moves up twice, the third once, and then there is no reserve left. */
static void forfeited(void)
{
	m.nforfeits = 3;
	m.forfeits[0] = 1;
	m.forfeits[1] = 1;
	m.forfeits[2] = 3;
}

static void forfeit_of_none(void)
{
	m.nforfeits = 1;
	m.forfeits[0] = 4;
}

static void escrowed(void)
{
	open_rec->escrow_m = 2;
	open_rec->escrow_n = 3;
	memset(open_rec->escrow, 0x5e, 32);
	open_rec->on_default = DEFAULT_ESCROW;
}

static void other_origin(void)
{
	snprintf(open_rec->origin, sizeof(open_rec->origin), MADE2_HOST "/r/other");
}

static void unlisted(void)
{
	m.unlisted = true;
}

static void dedupe_unlisted(void)
{
	dedupe();
	unlisted();
}

/* --- the same, on a finished one --- */

static void other_seed(void)
{
	memset(draw_rec->server_seed, 10, 32);
	again(MADE2_DRAW);
}

static void winner_moved(void)
{
	m.picks[0] = m.picks[1];
	again(MADE2_DRAW);
}

static void winner_renamed(void)
{
	m.picks[2].ticket[0] ^= 1;
	again(MADE2_DRAW);
}

static void fewer_winners(void)
{
	draw_rec->winners--;
	draw_rec->reserves++;
	again(MADE2_DRAW);
}

static void other_context(void)
{
	draw_rec->context[0] ^= 1;
	again(MADE2_DRAW);
}

static void other_key(void)
{
	draw_rec->draw_key[0] ^= 1;
	again(MADE2_DRAW);
}

static void wrong_round(void)
{
	made2_round(&draw_rec->terms.beacons[0], "1000");
	need(made2_draw(&m) == 0, "no draw");
	again(MADE2_DRAW);
}

static void other_open(void)
{
	close_rec->open_index = draw_rec->open_index = 0;
	again(MADE2_CLOSE);
	again(MADE2_DRAW);
}

static void other_close(void)
{
	draw_rec->close_index = 2;
	again(MADE2_DRAW);
}

static void closed_early(void)
{
	close_rec->at_s = open_rec->terms.sales_close_s - 1;
	again(MADE2_CLOSE);
}

static void other_raffle(void)
{
	close_rec->raffle[0] ^= 1;
	again(MADE2_CLOSE);
}

static void not_logged(void)
{
	memset(m.log.leaf[4], 1, 32);
}

static void log_truncated(void)
{
	m.tickets_size--;
}

static void log_rewritten(void)
{
	m.tickets_root[0] ^= 1;
}

static void leaf_altered(void)
{
	m.leaf[m.picks[0].index][100] ^= 1;
}

static void tree_altered(void)
{
	m.tickets.leaf[m.picks[0].index ^ 1][0] ^= 1;
}

static void passed_over(void)
{
	m.npassed = 1;
	m.passed[0] = m.picks[0].index;
}

static void other_file(void)
{
	draw_rec->winners_file[0] ^= 1;
	again(MADE2_DRAW);
}

static void file_moved(void)
{
	m.picks[0] = m.picks[1];
}

static void file_shorter(void)
{
	draw_rec->winners--;
}

static void other_escrow(void)
{
	open_rec->escrow[0] ^= 1;
}

static void no_close(void)
{
	m.tickets_size = 0;
}

static void late_amend(void)
{
	m.rec[MADE2_AMEND].open_index = 2;
	again(MADE2_AMEND);
}

static void absurd_tickets(void)
{
	close_rec->tickets = m.tickets_size = UINT64_MAX;
	again(MADE2_CLOSE);
}

static void no_tickets(void)
{
	close_rec->tickets = m.tickets_size = 0;
	again(MADE2_CLOSE);
}

static const struct {
	const char *name;
	uint64_t tickets, winners, reserves;
	void (*before)(void), (*behind)(void);
} cases[] = {
    {"good", 20, 3, 2, nothing, nothing},
    {"good-one-ticket", 1, 1, 0, nothing, nothing},
    {"good-all-win", 6, 10, 10, nothing, nothing},
    {"good-full-trees", 64, 20, 12, nothing, nothing},
    {"good-dedupe", 30, 3, 2, dedupe, nothing},
    {"good-few-holders", 30, 3, 3, few_holders, nothing},
    {"good-unlisted", 30, 3, 2, dedupe_unlisted, nothing},
    {"bad-unlisted", 30, 3, 2, nothing, unlisted},
    {"bad-unlisted-key", 30, 3, 2, dedupe_unlisted, other_key},
    {"bad-unlisted-aborted", 30, 3, 2, aborted, unlisted},
    {"good-no-quorum", 20, 3, 2, no_quorum, nothing},
    {"good-own-chain", 20, 3, 2, own_chain, nothing},
    {"good-seen-late", 20, 3, 2, seen_late, nothing},
    {"good-aborted", 20, 3, 2, aborted, nothing},
    {"good-aborted-early", 20, 3, 2, aborted, no_close},
    {"good-amended", 20, 3, 2, amended, nothing},
    {"good-forfeits", 20, 3, 2, forfeited, nothing},
    {"good-escrow", 20, 3, 2, escrowed, nothing},
    {"good-winners-file", 1000, 700, 200, nothing, nothing},
    {"bad-other-file", 1000, 700, 200, nothing, other_file},
    {"bad-file-moved", 1000, 700, 200, nothing, file_moved},
    {"bad-file-shorter", 1000, 700, 200, nothing, file_shorter},
    {"bad-forfeit-of-none", 20, 3, 2, forfeit_of_none, nothing},
    {"bad-other-escrow", 20, 3, 2, escrowed, other_escrow},
    {"bad-not-closed", 20, 3, 2, nothing, no_close},
    {"bad-other-amend", 20, 3, 2, amended, late_amend},
    {"bad-promised-round", 20, 3, 2, round_before, wrong_round},
    {"bad-wrong-round", 20, 3, 2, nothing, wrong_round},
    {"bad-too-soon", 20, 3, 2, too_soon, nothing},
    {"bad-flipped-round", 20, 3, 2, flipped_round, nothing},
    {"bad-flipped-not-before", 20, 3, 2, flipped_not_before, nothing},
    {"bad-earlier-pulse", 20, 3, 2, earlier_pulse, nothing},
    {"bad-other-output", 20, 3, 2, other_output, nothing},
    {"bad-other-chain", 20, 3, 2, other_chain, nothing},
    {"bad-forged-witness", 20, 3, 2, forged_witness, nothing},
    {"bad-other-origin", 20, 3, 2, other_origin, nothing},
    {"bad-other-seed", 20, 3, 2, nothing, other_seed},
    {"bad-winner-moved", 20, 3, 2, nothing, winner_moved},
    {"bad-winner-renamed", 20, 3, 2, nothing, winner_renamed},
    {"bad-fewer-winners", 20, 3, 2, nothing, fewer_winners},
    {"bad-other-context", 20, 3, 2, nothing, other_context},
    {"bad-other-key", 20, 3, 2, nothing, other_key},
    {"bad-other-open", 20, 3, 2, nothing, other_open},
    {"bad-other-close", 20, 3, 2, nothing, other_close},
    {"bad-closed-early", 20, 3, 2, nothing, closed_early},
    {"bad-other-raffle", 20, 3, 2, nothing, other_raffle},
    {"bad-not-logged", 20, 3, 2, nothing, not_logged},
    {"bad-log-truncated", 20, 3, 2, nothing, log_truncated},
    {"bad-log-rewritten", 20, 3, 2, nothing, log_rewritten},
    {"bad-leaf-altered", 20, 3, 2, nothing, leaf_altered},
    {"bad-tree-altered", 20, 3, 2, nothing, tree_altered},
    {"bad-passed-over", 20, 3, 2, nothing, passed_over},
    {"bad-absurd-tickets", 20, 3, 2, nothing, absurd_tickets},
    {"bad-no-tickets", 20, 3, 2, nothing, no_tickets},
};

/* --- files --- */

static FILE *create(const char *dir, const char *name, const char *end)
{
	char path[PATH_MAX_LEN];
	FILE *f;

	need(snprintf(path, sizeof(path), "%s/%s%s", dir, name, end) < (int)sizeof(path),
	    "a long path");
	f = fopen(path, "w");
	need(f != NULL, path);
	return f;
}

static void write_text(const char *dir, const char *name, const char *text, size_t n)
{
	FILE *f = create(dir, name, "");
	bool good = fwrite(text, 1, n, f) == n;

	need(fclose(f) == 0 && good, "a file cannot be written");
}

static void write_bundle(const char *dir, const char *name)
{
	char file[128];
	size_t n;
	char *text = made2_write(&m, &n);

	need(text != NULL, "a bundle cannot be written");
	snprintf(file, sizeof(file), "%s.json", name);
	write_text(dir, file, text, n);
	free(text);
}

static void write_cases(const char *dir)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		need(made2_init(&m, cases[i].tickets, cases[i].tickets, cases[i].winners,
			 cases[i].reserves) == 0,
		    "no bundle");
		cases[i].before();
		finish();
		cases[i].behind();
		write_bundle(dir, cases[i].name);
	}
}

/* What vectors/drand.txt calls a forgery of round 1 or 2 stands for the promised round's value. */
static void write_forgeries(const char *dir)
{
	FILE *f = fopen("tests/vectors/drand.txt", "r");
	char line[1024], sig[128], name[64];
	unsigned long long round;
	unsigned count = 0;

	need(f != NULL, "tests/vectors/drand.txt");
	while (fgets(line, sizeof(line), f) != NULL) {
		struct beacon *b = &open_rec->terms.beacons[0];

		if (sscanf(line, "forged %llu %127s", &round, sig) != 2 || strlen(sig) != 96)
			continue;
		need(made2_init(&m, 20, 20, 3, 2) == 0, "no bundle");
		b->round = round;
		need(text_unhex(b->signature, BLS_SIG_LEN, sig, 96) == KE_OK, "a signature");
		open_rec->terms.sales_close_s = drand_quicknet.genesis_s - 3600;
		close_rec->at_s = drand_quicknet.genesis_s - 3500;
		m.seen_s = drand_quicknet.genesis_s - 1800;
		finish();
		snprintf(name, sizeof(name), "bad-forged-round-%u", ++count);
		write_bundle(dir, name);
	}
	fclose(f);
	need(count == 8, "tests/vectors/drand.txt lacks forgeries");
}

static void write_trust(const char *dir)
{
	char hex[65];

	need(made2_init(&m, 20, 20, 3, 2) == 0, "no bundle");
	finish();
	text_hex(hex, open_rec->seed_commit, 32);
	write_text(dir, "vkey", m.operator_vkey, strlen(m.operator_vkey));
	write_text(dir, "commit", hex, 64);
	need(made2_file("tests/vectors/nist/cert-528943a5.pem", m.cert, sizeof(m.cert)) > 0,
	    "the certificate");
	write_text(dir, "certificate.pem", m.cert, strlen(m.cert));
	own_chain();
	write_text(dir, "chain.info", m.chain_info, strlen(m.chain_info));
}

/* --- v1 --- */

static void write_v1(const char *dir)
{
	static const char *const names[] = {"good-v1", "bad-v1-seed", "bad-v1-leaf",
	    "bad-v1-winner", "bad-v1-root", "bad-v1-count"};
	static struct made one;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		FILE *f = create(dir, names[i], ".json");

		need(made_init(&one, 50, 3, 2) == 0, "no v1 bundle");
		if (i == 1)
			one.seed[4][0] ^= 1;
		if (i == 2)
			one.leaf[7][50] ^= 1;
		if (i == 3)
			one.picks[0].index = one.picks[1].index;
		if (i == 4)
			one.rec.root[0] ^= 1;
		if (i == 5)
			one.winners++;
		need(made_write(&one, f) == 0 && fclose(f) == 0, "no v1 bundle");
		made_free(&one);
	}
}

int main(int argc, char **argv)
{
	need(argc == 2 && sodium_init() >= 0, "usage: proofs DIR");
	write_cases(argv[1]);
	write_forgeries(argv[1]);
	write_v1(argv[1]);
	write_trust(argv[1]);
	return 0;
}
