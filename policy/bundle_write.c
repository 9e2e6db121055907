/*
 * Writing a v1 proof bundle piece by piece. Pure; used by engine (and by the tests' tools).
 */
#include "policy/bundle.h"

#include "policy/jsonw.h"
#include "policy/leaf.h"

/* The piece w holds was written at out + *len. */
static int piece_done(const struct jsonw *w, size_t *len)
{
	if (w->err != KE_OK)
		return w->err;
	*len += w->len;
	return KE_OK;
}

/* A comma (unless first), then room for one value. */
static int piece_start(struct jsonw *w, bool first, char *out, size_t cap, size_t *len)
{
	if (!first && *len >= cap)
		return KE_FULL;
	if (!first)
		out[(*len)++] = ',';
	jsonw_init(w, out + *len, cap - *len);
	return KE_OK;
}

int bundle_put_head(const struct bundle_head *h, char *out, size_t cap, size_t *len)
{
	struct jsonw w;

	jsonw_init(&w, out + *len, cap - *len);
	jsonw_object(&w);
	jsonw_kcstr(&w, "format", BUNDLE_FORMAT);
	jsonw_kcstr(&w, "label", BUNDLE_LABEL);
	jsonw_kcstr(&w, "vkey", h->vkey);
	jsonw_kstr(&w, "note", h->note, h->note_len);
	jsonw_key(&w, "raffle");
	jsonw_object(&w);
	jsonw_kuuid(&w, "id", h->raffle);
	jsonw_kcstr(&w, "title", h->title);
	jsonw_kint(&w, "winners", h->winners);
	jsonw_kint(&w, "reserves", h->reserves);
	jsonw_object_end(&w);
	jsonw_key(&w, "leaves");
	jsonw_array(&w);
	return piece_done(&w, len);
}

int bundle_put_leaf(const uint8_t *leaf, bool first, char *out, size_t cap, size_t *len)
{
	struct jsonw w;
	int r = piece_start(&w, first, out, cap, len);

	if (r != KE_OK)
		return r;
	jsonw_b64(&w, leaf, LEAF_LEN);
	return piece_done(&w, len);
}

/* Text that is no value by itself. */
static int put_literal(const char *s, char *out, size_t cap, size_t *len)
{
	for (; *s != '\0'; s++) {
		if (*len >= cap)
			return KE_FULL;
		out[(*len)++] = *s;
	}
	return KE_OK;
}

int bundle_put_middle(char *out, size_t cap, size_t *len)
{
	return put_literal("],\"client_seeds\":[", out, cap, len);
}

int bundle_put_seed(const void *seed, size_t n, bool first, char *out, size_t cap, size_t *len)
{
	struct jsonw w;
	int r = piece_start(&w, first, out, cap, len);

	if (r != KE_OK)
		return r;
	jsonw_str(&w, seed, n);
	return piece_done(&w, len);
}

int bundle_put_tail(char *out, size_t cap, size_t *len)
{
	return put_literal("]}\n", out, cap, len);
}
