/*
 * klero-verify --dump: what test laboratories want of a generator, from the very functions that
 *draw (policy/draw.c): the stream's raw words, or the outcomes of many draws, on standard output,
 *and a chi-square summary on standard error. Runs as an auditor's own program; nothing is secret
 *here.
 *
 *	words   the stream of the draw key: so many u64, big-endian, 8 bytes each
 *	draws   so many draws of k among n, a line each, the indexes in the order of the draw; draw
 *i (from 0) is made with KDF(draw key, "kleroterion/v2/draw-key", u64 i), as a draw's own key is
 *made from a server seed and a context
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/klero_verify.h"
#include "policy/be.h"
#include "policy/draw.h"
#include "policy/hash.h"
#include "policy/text.h"

#define CELLS_MAX ((uint64_t)1 << 24)

/* --- chi-square --- */

/* Of so many cells that should be equally full; each deviation times `scale`. */
static double chi_square(const uint64_t *cell, uint64_t n, double scale)
{
	double sum = 0, total = 0, expected;

	for (uint64_t i = 0; i < n; i++)
		total += (double)cell[i];
	expected = total / (double)n;
	for (uint64_t i = 0; i < n; i++) {
		double off = (double)cell[i] - expected;

		sum += off * off / expected;
	}
	return sum * scale;
}

/* How probable a value at least as large is, by Wilson and Hilferty's cube root. */
static double upper_tail(double chi2, double freedom)
{
	double third = 2 / (9 * freedom);
	double z = (cbrt(chi2 / freedom) - (1 - third)) / sqrt(third);

	return erfc(z / sqrt(2)) / 2;
}

static void print_chi(const char *what, const uint64_t *cell, uint64_t n, double scale)
{
	double freedom = (double)n - 1, chi2 = chi_square(cell, n, scale);

	if (n < 2)
		return;
	fprintf(stderr, "chi-square of %s: %.2f with %.0f degrees of freedom, p = %.4f\n", what,
	    chi2, freedom, upper_tail(chi2, freedom));
}

/* --- words --- */

static int dump_words(const uint8_t key[32], uint64_t count)
{
	uint64_t bytes[256] = {0}, bits[2] = {0};
	struct draw_stream s;
	uint8_t word[8];

	draw_stream_init(&s, key);
	for (uint64_t i = 0; i < count; i++) {
		be_put64(word, draw_stream_word(&s));
		for (int b = 0; b < 8; b++) {
			unsigned set = (unsigned)__builtin_popcount(word[b]);

			bytes[word[b]]++;
			bits[1] += set;
			bits[0] += 8 - set;
		}
		if (fwrite(word, 1, 8, stdout) != 8)
			return EXIT_READ;
	}
	fprintf(stderr, "%" PRIu64 " words of 64 bits\n", count);
	print_chi("the byte values", bytes, 256, 1);
	print_chi("ones and zeros", bits, 2, 1);
	return EXIT_VERIFIED;
}

/* --- draws --- */

struct draws {
	uint64_t n, k, *first, *any, *index;
};

static int one_draw(const struct draws *d, const uint8_t key[32], uint64_t number)
{
	uint8_t context[8], own[32];

	be_put64(context, number);
	hash_kdf(own, key, DRAW_KEY_LABEL, context, sizeof(context));
	if (draw_shuffle(d->index, (size_t)d->k, d->n, own) != KE_OK)
		return EXIT_READ;
	for (uint64_t i = 0; i < d->k; i++) {
		printf(i > 0 ? " %" PRIu64 : "%" PRIu64, d->index[i]);
		d->any[d->index[i]]++;
	}
	d->first[d->index[0]]++;
	return putchar('\n') == EOF ? EXIT_READ : EXIT_VERIFIED;
}

static int dump_draws(const uint8_t key[32], uint64_t count, uint64_t n, uint64_t k)
{
	struct draws d = {.n = n, .k = k};
	int code = EXIT_VERIFIED;

	d.first = calloc(n, sizeof(*d.first));
	d.any = calloc(n, sizeof(*d.any));
	d.index = calloc(k, sizeof(*d.index));
	if (d.first == NULL || d.any == NULL || d.index == NULL)
		code = EXIT_READ;
	for (uint64_t i = 0; code == EXIT_VERIFIED && i < count; i++)
		code = one_draw(&d, key, i);
	if (code == EXIT_VERIFIED) {
		fprintf(
		    stderr, "%" PRIu64 " draws of %" PRIu64 " among %" PRIu64 "\n", count, k, n);
		print_chi("the first winners", d.first, n, 1);
		/* without replacement the k of one draw keep each other away */
		if (k < n)
			print_chi("all winners", d.any, n, (double)(n - 1) / (double)(n - k));
	}
	free(d.first);
	free(d.any);
	free(d.index);
	return code;
}

/* --- options --- */

static bool number(const char *word, uint64_t max, uint64_t *v)
{
	return word != NULL && text_unu64(v, word, strlen(word)) == KE_OK && *v >= 1 && *v <= max;
}

int verify_dump(const struct options *o)
{
	uint64_t count, n, k;
	uint8_t key[32];

	if (o->draw_key == NULL || text_unhex(key, 32, o->draw_key, strlen(o->draw_key)) != KE_OK)
		return verify_usage("--dump needs --draw-key, 64 lower-case hex digits");
	if (!number(o->count, INT64_MAX, &count))
		return verify_usage("--dump needs --count, a number from 1");
	if (strcmp(o->dump, "words") == 0)
		return dump_words(key, count);
	if (strcmp(o->dump, "draws") != 0)
		return verify_usage("--dump knows words and draws");
	if (!number(o->tickets, CELLS_MAX, &n) || !number(o->winners, DRAW_MAX, &k) || k > n)
		return verify_usage(
		    "--dump draws needs --tickets up to 16777216 and --winners up to "
		    "100000, and no more winners than tickets");
	return dump_draws(key, count, n, k);
}
