/*
 * Trust policies of transparency logs: which logs, which witnesses, how many of them must have seen
 * a checkpoint (c2sp.org/tlog-policy). Pure; see tlog.h. The file is the auditor's or comes with a
 * stranger's proof.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/text.h"
#include "policy/tlog.h"

#define WORDS_MAX      (3 + 2 * TLOG_POLICY_MAX)
#define GROUP_BIT(i)   ((uint64_t)1 << (TLOG_POLICY_MAX + (i)))
#define WITNESS_BIT(i) ((uint64_t)1 << (i))

struct word {
	const char *p;
	size_t n;
};
struct words {
	struct word w[WORDS_MAX];
	size_t n;
};

static bool word_is(const struct word *w, const char *s)
{
	return w->n == strlen(s) && memcmp(w->p, s, w->n) == 0;
}

/* Words between spaces and tabs; a comment has none. */
static int split(struct words *l, const char *p, const char *end)
{
	l->n = 0;
	while (p < end) {
		const char *from = p;

		while (p < end && *p != ' ' && *p != '\t')
			p++;
		if (p == from) {
			p++;
			continue;
		}
		if (l->n == 0 && *from == '#')
			return KE_OK;
		if (l->n == WORDS_MAX)
			return KE_LIMIT;
		l->w[l->n++] = (struct word){from, (size_t)(p - from)};
	}
	return KE_OK;
}

/* --- names --- */

static struct tlog_name *name_at(struct tlog_policy *p, uint64_t bit)
{
	unsigned i = (unsigned)__builtin_ctzll(bit);

	return i < TLOG_POLICY_MAX ? &p->witness_names[i] : &p->groups[i - TLOG_POLICY_MAX].name;
}

/* The bit of a name that was defined before; 0 for none. */
static uint64_t find(struct tlog_policy *p, const struct word *w)
{
	for (size_t i = 0; i < p->nwitnesses; i++)
		if (word_is(w, p->witness_names[i].name))
			return WITNESS_BIT(i);
	for (size_t i = 0; i < p->ngroups; i++)
		if (word_is(w, p->groups[i].name.name))
			return GROUP_BIT(i);
	return 0;
}

static int new_name(struct tlog_policy *p, struct tlog_name *name, const struct word *w)
{
	if (w->n > NOTE_NAME_MAX)
		return KE_LIMIT;
	if (word_is(w, "none") || find(p, w) != 0)
		return KE_EXISTS;
	memcpy(name->name, w->p, w->n);
	name->name[w->n] = '\0';
	name->member = false;
	return KE_OK;
}

/* --- the lines --- */

/* log <vkey> [<url>] */
static int add_log(struct tlog_policy *p, const struct words *l)
{
	struct note_key *k = &p->logs[p->nlogs];

	if (l->n < 2 || l->n > 3)
		return KE_FORMAT;
	if (p->nlogs == TLOG_POLICY_MAX)
		return KE_LIMIT;
	if (note_vkey_parse(k, l->w[1].p, l->w[1].n) != KE_OK)
		return KE_FORMAT;
	/* One key may sign several logs of ours: only a log of the same name is the same. */
	for (size_t i = 0; i < p->nlogs; i++)
		if (note_key_same(&p->logs[i], k))
			return KE_EXISTS;
	p->nlogs++;
	return KE_OK;
}

/* witness <name> <vkey> [<url>] */
static int add_witness(struct tlog_policy *p, const struct words *l)
{
	struct note_key *w = &p->witnesses[p->nwitnesses];
	int r;

	if (l->n < 3 || l->n > 4)
		return KE_FORMAT;
	if (p->nwitnesses == TLOG_POLICY_MAX)
		return KE_LIMIT;
	if (note_witness_parse(w, l->w[2].p, l->w[2].n) != KE_OK)
		return KE_FORMAT;
	for (size_t i = 0; i < p->nwitnesses; i++)
		if (memcmp(p->witnesses[i].pub, w->pub, 32) == 0)
			return KE_EXISTS;
	if (l->n == 4)
		p->witness_urls[p->nwitnesses] = (struct tlog_url){l->w[3].p, l->w[3].n};
	r = new_name(p, &p->witness_names[p->nwitnesses], &l->w[1]);
	p->nwitnesses += r == KE_OK;
	return r;
}

static int threshold(unsigned *k, const struct word *w, size_t n)
{
	uint64_t v = 0;

	if (word_is(w, "all"))
		v = n;
	else if (word_is(w, "any"))
		v = 1;
	else if (text_unu64(&v, w->p, w->n) != KE_OK)
		return KE_FORMAT;
	*k = (unsigned)v;
	return v >= 1 && v <= n ? KE_OK : KE_FORMAT;
}

/* group <name> all|any|<k> <name>… */
static int add_group(struct tlog_policy *p, const struct words *l)
{
	struct tlog_group *g = &p->groups[p->ngroups];
	int r;

	if (l->n < 4)
		return KE_FORMAT;
	if (p->ngroups == TLOG_POLICY_MAX)
		return KE_LIMIT;
	r = threshold(&g->threshold, &l->w[2], l->n - 3);
	if (r == KE_OK)
		r = new_name(p, &g->name, &l->w[1]);
	g->members = 0;
	for (size_t i = 3; r == KE_OK && i < l->n; i++) {
		uint64_t bit = find(p, &l->w[i]);

		if (bit == 0)
			return KE_FORMAT;
		if (name_at(p, bit)->member)
			return KE_EXISTS;
		name_at(p, bit)->member = true;
		g->members |= bit;
	}
	p->ngroups += r == KE_OK;
	return r;
}

/* quorum <name>, exactly once */
static int set_quorum(struct tlog_policy *p, const struct words *l, bool *have)
{
	if (l->n != 2)
		return KE_FORMAT;
	if (*have)
		return KE_EXISTS;
	*have = true;
	p->quorum = find(p, &l->w[1]);
	return p->quorum != 0 || word_is(&l->w[1], "none") ? KE_OK : KE_FORMAT;
}

static int add_line(struct tlog_policy *p, const struct words *l, bool *have_quorum)
{
	if (l->n == 0)
		return KE_OK;
	if (word_is(&l->w[0], "log"))
		return add_log(p, l);
	if (word_is(&l->w[0], "witness"))
		return add_witness(p, l);
	if (word_is(&l->w[0], "group"))
		return add_group(p, l);
	if (word_is(&l->w[0], "quorum"))
		return set_quorum(p, l, have_quorum);
	return KE_FORMAT;
}

static bool octets_ok(const char *p, const char *end)
{
	for (; p < end; p++)
		if (((uint8_t)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return false;
	return true;
}

int tlog_policy_parse(struct tlog_policy *p, const char *text, size_t n, size_t *line)
{
	const char *at = text, *end = text + n;
	bool have_quorum = false;
	struct words l;
	size_t no = 0;
	int r = n <= TLOG_POLICY_TEXT_MAX ? KE_OK : KE_LIMIT;

	memset(p, 0, sizeof(*p));
	while (r == KE_OK && at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		no++;
		if (lf == NULL || !octets_ok(at, lf))
			r = KE_FORMAT;
		else
			r = split(&l, at, lf);
		if (r == KE_OK)
			r = add_line(p, &l, &have_quorum);
		at = lf != NULL ? lf + 1 : end;
	}
	if (line != NULL)
		*line = no;
	if (r == KE_OK && !have_quorum)
		r = KE_FORMAT;
	return r;
}

/* --- writing --- */

struct out {
	char *p;
	size_t cap, n;
	int err;
};

static void __attribute__((format(printf, 2, 3))) put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = o->err == KE_OK ? vsnprintf(o->p + o->n, o->cap - o->n, fmt, ap) : 0;
	va_end(ap);
	if (n < 0 || (size_t)n >= o->cap - o->n)
		o->err = KE_FULL;
	else
		o->n += (size_t)n;
}

static const char *name_of(const struct tlog_policy *p, unsigned i)
{
	return i < TLOG_POLICY_MAX ? p->witness_names[i].name
				   : p->groups[i - TLOG_POLICY_MAX].name.name;
}

static void put_group(struct out *o, const struct tlog_policy *p, const struct tlog_group *g)
{
	put(o, "group %s %u", g->name.name, g->threshold);
	for (unsigned i = 0; i < 2 * TLOG_POLICY_MAX; i++)
		if (g->members >> i & 1)
			put(o, " %s", name_of(p, i));
	put(o, "\n");
}

int tlog_policy_text(const struct tlog_policy *p, const char *const logs[], size_t nlogs, char *out,
    size_t cap, size_t *n)
{
	struct out o = {out, cap, 0, KE_OK};

	for (size_t i = 0; i < nlogs; i++)
		put(&o, "log %s\n", logs[i]);
	for (size_t i = 0; i < p->nwitnesses; i++) {
		const struct note_key *k = &p->witnesses[i];
		char vkey[NOTE_VKEY_MAX];
		int r = note_vkey(k->name, k->type, k->pub, vkey, sizeof vkey);

		if (r != KE_OK)
			return r;
		put(&o, "witness %s %s\n", p->witness_names[i].name, vkey);
	}
	for (size_t i = 0; i < p->ngroups; i++)
		put_group(&o, p, &p->groups[i]);
	put(&o, "quorum %s\n",
	    p->quorum == 0 ? "none" : name_of(p, (unsigned)__builtin_ctzll(p->quorum)));
	*n = o.n;
	return o.err;
}

/* --- judging --- */

const struct note_key *tlog_policy_log(const struct tlog_policy *p, const char *origin)
{
	for (size_t i = 0; i < p->nlogs; i++)
		if (strcmp(p->logs[i].name, origin) == 0)
			return &p->logs[i];
	return NULL;
}

int tlog_policy_seen(
    const struct tlog_policy *p, const char *note, size_t n, uint64_t until_s, uint64_t *seen)
{
	uint64_t when;

	*seen = 0;
	for (size_t i = 0; i < p->nwitnesses; i++) {
		int r = cosign_verify(note, n, &p->witnesses[i], &when);

		if (r == KE_OK && when <= until_s)
			*seen |= WITNESS_BIT(i);
		if (r != KE_OK && r != KE_NOTFOUND)
			return r;
	}
	return KE_OK;
}

/* Groups name earlier ones only, so one pass in their order is enough. */
bool tlog_policy_met(const struct tlog_policy *p, uint64_t seen)
{
	for (size_t i = 0; i < p->ngroups; i++)
		if ((unsigned)__builtin_popcountll(p->groups[i].members & seen) >=
		    p->groups[i].threshold)
			seen |= GROUP_BIT(i);
	return p->quorum == 0 || (seen & p->quorum) != 0;
}

int tlog_policy_met_at(const struct tlog_policy *p, const char *note, size_t n, uint64_t *at_s)
{
	uint64_t when[TLOG_POLICY_MAX], all = 0, earliest = UINT64_MAX;

	*at_s = 0;
	for (size_t i = 0; i < p->nwitnesses; i++) {
		int r = cosign_verify(note, n, &p->witnesses[i], &when[i]);

		if (r != KE_OK && r != KE_NOTFOUND)
			return r;
		if (r == KE_OK)
			all |= WITNESS_BIT(i);
	}
	if (p->quorum == 0)
		return KE_OK;
	for (size_t i = 0; i < p->nwitnesses; i++) {
		uint64_t seen = 0;

		if ((all & WITNESS_BIT(i)) == 0 || when[i] >= earliest)
			continue;
		for (size_t k = 0; k < p->nwitnesses; k++)
			if ((all & WITNESS_BIT(k)) != 0 && when[k] <= when[i])
				seen |= WITNESS_BIT(k);
		if (tlog_policy_met(p, seen))
			earliest = when[i];
	}
	*at_s = earliest;
	return earliest != UINT64_MAX ? KE_OK : KE_NOTFOUND;
}
