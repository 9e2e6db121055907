/*
 * Lists of officers as people write them: see officers.h. Pure; the text comes from strangers.
 */
#include "policy/officers.h"

#include <string.h>

#include "policy/canon.h"

/* Can the name stand in the anchor? */
static bool is_name(char *name)
{
	uint8_t out[ANCHOR_NAME_MAX + 1];
	struct canon io = {.out = out, .cap = sizeof out};

	canon_name(&io, name, sizeof out);
	return io.err == KE_OK;
}

static int read_one(struct officer *o, const char *line, size_t n)
{
	const char *blank = memchr(line, ' ', n);
	size_t name = blank != NULL ? (size_t)(blank - line) : 0;

	if (name == 0 || name > ANCHOR_NAME_MAX || memchr(line, '\0', name) != NULL)
		return KE_FORMAT;
	memcpy(o->name, line, name);
	o->name[name] = '\0';
	if (!is_name(o->name) || ssh_key_line(&o->key, blank + 1, n - name - 1) != KE_OK)
		return KE_FORMAT;
	return KE_OK;
}

int officers_read(struct officers *o, uint64_t threshold, const char *text, size_t n, size_t *line)
{
	const char *end = text + n, *lf;

	*o = (struct officers){.threshold = threshold};
	*line = 0;
	for (const char *p = text; p < end; p = lf + (lf < end)) {
		lf = memchr(p, '\n', (size_t)(end - p));
		if (lf == NULL)
			lf = end;
		++*line;
		if (lf == p || *p == '#')
			continue;
		if (o->n == ANCHOR_OFFICERS_MAX)
			return KE_FULL;
		if (read_one(&o->officer[o->n], p, (size_t)(lf - p)) != KE_OK)
			return KE_FORMAT;
		o->n++;
	}
	*line = 0;
	return o->n > 0 ? officers_check(o) : KE_RANGE;
}

const char *officers_why(int r)
{
	switch (r) {
	case KE_FORMAT:
		return "not NAME and an SSH key (ssh-ed25519, ecdsa-sha2-nistp256 or their sk- "
		       "forms)";
	case KE_FULL:
		return "more officers than there can be (16)";
	case KE_EXISTS:
		return "two officers have the same name or the same key";
	default:
		return "the threshold is a number from 1 to that of the officers";
	}
}
