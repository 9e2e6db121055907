/*
 * Limits per address: see limit.h. Runs in net. The other net processes write the same memory
 * and are trusted as little as this one: no value in it is used as an index or a size.
 */
#include "daemon/net/limit.h"

#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PROBES 8

/* An address under its key; who = 0: free. The state is one word, so that it changes at once. */
struct limit_slot {
	_Atomic uint64_t who;
	_Atomic uint64_t state; /* end of the window (s) in the high half, count in the low */
};

struct limit_table {
	_Atomic uint64_t key[2]; /* set once by whoever comes first; never 0 then */
	uint8_t reserved[LIMIT_HEADER - 16];
	struct limit_slot slots[LIMIT_SLOTS];
};

_Static_assert(sizeof(struct limit_table) == LIMIT_BYTES, "parent sizes the memory by this");

static uint32_t window_end(uint64_t state)
{
	return (uint32_t)(state >> 32);
}

static uint32_t count_of(uint64_t state)
{
	return (uint32_t)state;
}

/* The first process to come draws the key; all others read what it drew. */
static void share_key(struct limit *l)
{
	for (int i = 0; i < 2; i++) {
		uint64_t mine, none = 0, theirs;

		randombytes_buf(&mine, sizeof mine);
		mine |= 1;
		atomic_compare_exchange_strong(&l->table->key[i], &none, mine);
		theirs = atomic_load(&l->table->key[i]);
		memcpy(l->key + 8 * i, &theirs, sizeof theirs);
	}
}

int limit_open(struct limit *l, int fd)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0)
		return KE_IO;
	if (st.st_size < LIMIT_BYTES)
		return KE_FORMAT;
	p = mmap(NULL, LIMIT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return KE_IO;
	l->table = p;
	share_key(l);
	return KE_OK;
}

void limit_close(struct limit *l)
{
	if (l->table != NULL)
		munmap(l->table, LIMIT_BYTES);
	l->table = NULL;
}

static uint64_t name_of(const struct limit *l, enum limit_class c, const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint8_t in[17];
	uint64_t h;

	memcpy(in, address, 16);
	if (memcmp(address, mapped, sizeof mapped) != 0)
		memset(in + 8, 0, 8); /* whoever has one IPv6 address has the /64 around it */
	in[16] = (uint8_t)c;
	crypto_shorthash((unsigned char *)&h, in, sizeof in, l->key);
	return h != 0 ? h : 1;
}

static struct limit_slot *probe(struct limit *l, uint64_t who, size_t i)
{
	return &l->table->slots[(who + i) % LIMIT_SLOTS];
}

static struct limit_slot *find(struct limit *l, uint64_t who)
{
	for (size_t i = 0; i < PROBES; i++) {
		struct limit_slot *s = probe(l, who, i);

		if (atomic_load_explicit(&s->who, memory_order_relaxed) == who)
			return s;
	}
	return NULL;
}

/*
 * A slot for a new name: free, or stale, or (all in use) the one with the smallest count, so
 * that a flood of addresses pushes out its own kind and not the ones near their limit.
 * Between choosing and taking, the former owner may count once more; the newcomer then starts a
 * little above zero. That is all that can go wrong, and worth no lock.
 */
static struct limit_slot *take(struct limit *l, uint64_t who, uint32_t now_s)
{
	struct limit_slot *best = probe(l, who, 0);
	uint64_t least = UINT64_MAX, owner;

	for (size_t i = 0; i < PROBES; i++) {
		struct limit_slot *s = probe(l, who, i);
		uint64_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
		uint64_t weight = window_end(state) > now_s ? count_of(state) : 0;

		if (weight < least) {
			least = weight;
			best = s;
		}
	}
	owner = atomic_load(&best->who);
	if (atomic_compare_exchange_strong(&best->who, &owner, who))
		atomic_store(&best->state, 0);
	return best;
}

static void judge(uint64_t state, uint32_t count, uint32_t now_s, struct limit_state *st)
{
	uint32_t n = window_end(state) > now_s ? count_of(state) : 0;

	st->over = n > count;
	st->remaining = n < count ? count - n : 0;
	st->reset_s = window_end(state) > now_s ? window_end(state) - now_s : 0;
}

static uint64_t bump(struct limit_slot *s, uint32_t window_s, uint32_t now_s)
{
	uint64_t old = atomic_load(&s->state), new;

	do {
		if (window_end(old) <= now_s || window_end(old) - now_s > window_s)
			new = (uint64_t)(now_s + window_s) << 32 | 1;
		else
			new = count_of(old) < UINT32_MAX ? old + 1 : old;
	} while (!atomic_compare_exchange_weak(&s->state, &old, new));
	return new;
}

void limit_hit(struct limit *l, enum limit_class c, const uint8_t address[16], uint32_t count,
    uint32_t window_s, uint32_t now_s, struct limit_state *st)
{
	uint64_t who;
	struct limit_slot *s;

	*st = (struct limit_state){.remaining = count};
	if (count == 0)
		return;
	who = name_of(l, c, address);
	s = find(l, who);
	if (s == NULL)
		s = take(l, who, now_s);
	judge(bump(s, window_s, now_s), count, now_s, st);
}

void limit_look(struct limit *l, enum limit_class c, const uint8_t address[16], uint32_t count,
    uint32_t now_s, struct limit_state *st)
{
	struct limit_slot *s;

	*st = (struct limit_state){.remaining = count};
	if (count == 0)
		return;
	s = find(l, name_of(l, c, address));
	if (s != NULL)
		judge(atomic_load(&s->state), count, now_s, st);
}
