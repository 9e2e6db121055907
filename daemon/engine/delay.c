/*
 * The progressive delay: see delay.h. Runs in engine.
 */
#include "daemon/engine/delay.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/msg/log.h"

#define WAYS 8
#define KEY  16

struct row {
	uint8_t key[KEY];
	int64_t last_s, until_s; /* last_s 0: free */
	uint32_t attempts;
};

struct delay {
	uint8_t secret[crypto_generichash_KEYBYTES]; /* nobody outside can aim at a set */
	size_t sets;                                 /* a power of two */
	struct row *rows;
};

struct delay *delay_new(size_t accounts)
{
	struct delay *d = calloc(1, sizeof *d);

	if (d == NULL)
		fatal("out of memory");
	randombytes_buf(d->secret, sizeof d->secret);
	for (d->sets = 1; d->sets * WAYS < accounts;)
		d->sets *= 2;
	d->rows = calloc(d->sets * WAYS, sizeof *d->rows);
	if (d->rows == NULL)
		fatal("out of memory");
	return d;
}

void delay_free(struct delay *d)
{
	if (d == NULL)
		return;
	free(d->rows);
	free(d);
}

static size_t network_len(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, mapped, sizeof mapped) == 0 ? 15 : 8;
}

static void key_of(const struct delay *d, const void *account, size_t n, const uint8_t address[16],
    uint8_t key[KEY])
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, d->secret, sizeof d->secret, KEY);
	/* the network's length is fixed per family and comes first: no two pairs run together */
	crypto_generichash_update(&st, address, network_len(address));
	crypto_generichash_update(&st, account, n);
	crypto_generichash_final(&st, key, KEY);
}

static struct row *find(struct delay *d, const uint8_t key[KEY])
{
	struct row *r, *victim;
	uint32_t h;

	memcpy(&h, key, sizeof h);
	victim = r = d->rows + (h & (d->sets - 1)) * WAYS;
	for (int i = 0; i < WAYS; i++) {
		if (r[i].last_s != 0 && memcmp(r[i].key, key, KEY) == 0)
			return &r[i];
		if (r[i].last_s < victim->last_s)
			victim = &r[i];
	}
	*victim = (struct row){0};
	memcpy(victim->key, key, KEY);
	return victim;
}

static uint32_t wait_after(uint32_t attempts)
{
	uint32_t over = attempts < DELAY_FREE ? 0 : attempts - DELAY_FREE + 1;

	if (over == 0)
		return 0;
	return over > 9 || 1u << (over - 1) > DELAY_MAX_S ? DELAY_MAX_S : 1u << (over - 1);
}

uint32_t delay_attempt(
    struct delay *d, const void *account, size_t n, const uint8_t address[16], int64_t now_s)
{
	uint8_t key[KEY];
	struct row *r;

	key_of(d, account, n, address, key);
	r = find(d, key);
	if (now_s - r->last_s > DELAY_FADE_S)
		r->attempts = 0, r->until_s = 0;
	/* a clock that was set back must not lock anybody out */
	if (r->until_s > now_s + DELAY_MAX_S)
		r->until_s = now_s;
	if (now_s < r->until_s)
		return (uint32_t)(r->until_s - now_s);
	r->attempts++;
	r->last_s = now_s;
	r->until_s = now_s + wait_after(r->attempts);
	return 0;
}

void delay_forgive(struct delay *d, const void *account, size_t n, const uint8_t address[16])
{
	uint8_t key[KEY];
	struct row *r;

	key_of(d, account, n, address, key);
	r = find(d, key);
	if (r->attempts == 0)
		return;
	r->attempts--;
	r->until_s = r->last_s; /* it had waited for its turn before it came */
}

void delay_clear(struct delay *d, const void *account, size_t n, const uint8_t address[16])
{
	uint8_t key[KEY];
	struct row *r;

	key_of(d, account, n, address, key);
	r = find(d, key);
	r->last_s = r->until_s = 0;
	r->attempts = 0;
}
