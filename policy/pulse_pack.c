/*
 * Pulses in one piece, and as JSON again. Pure; see pulse.h. The pieces come from messages and from
 * the store, so they are read as strictly as a stranger's.
 */
#include <openssl/evp.h>
#include <string.h>

#include "policy/be.h"
#include "policy/jsonw.h"
#include "policy/pulse.h"
#include "policy/text.h"

size_t pulse_pack(const struct pulse *p, uint8_t out[PULSE_PACKED_MAX])
{
	size_t n = pulse_signed(p, out);

	memcpy(out + n, p->signature, p->signature_len);
	return n + p->signature_len;
}

/* --- reading --- */

struct reader {
	const uint8_t *p, *end;
	int err; /* the first error sticks */
};

/* A view of n bytes; zeroes after an error, so that whoever reads on reads something. */
static const uint8_t *take(struct reader *r, size_t n)
{
	static const uint8_t zeroes[PULSE_TEXT_MAX];
	const uint8_t *at = r->p;

	if (r->err != KE_OK || (size_t)(r->end - r->p) < n) {
		r->err = KE_FORMAT;
		return zeroes;
	}
	r->p += n;
	return at;
}

static uint32_t get_u32(struct reader *r)
{
	return be_get32(take(r, 4));
}

static uint64_t get_u64(struct reader *r)
{
	uint64_t v = be_get64(take(r, 8));

	if (v > INT64_MAX)
		r->err = KE_FORMAT;
	return v;
}

static void get_hash(struct reader *r, uint8_t dst[PULSE_HASH])
{
	if (get_u32(r) != PULSE_HASH)
		r->err = KE_FORMAT;
	memcpy(dst, take(r, PULSE_HASH), PULSE_HASH);
}

static void get_text(struct reader *r, char dst[PULSE_TEXT_MAX + 1])
{
	uint32_t n = get_u32(r);

	if (n > PULSE_TEXT_MAX)
		r->err = KE_FORMAT;
	if (r->err != KE_OK)
		return;
	memcpy(dst, take(r, n), n);
	dst[n] = '\0';
	if (r->err == KE_OK && (strlen(dst) != n || text_utf8(dst, n) != KE_OK))
		r->err = KE_FORMAT;
}

/* The order of pulse_signed(). */
static void get_signed(struct reader *r, struct pulse *p)
{
	uint8_t *const values[] = {
	    p->external, p->previous, p->hour, p->day, p->month, p->year, p->precommitment};

	get_text(r, p->uri);
	get_text(r, p->version);
	p->cipher_suite = get_u32(r);
	p->period_ms = get_u32(r);
	get_hash(r, p->certificate);
	p->chain = get_u64(r);
	p->pulse = get_u64(r);
	get_text(r, p->time);
	get_hash(r, p->local);
	get_hash(r, p->source);
	p->external_status = get_u32(r);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		get_hash(r, values[i]);
	p->status = get_u32(r);
}

int pulse_unpack(struct pulse *p, const uint8_t *in, size_t n)
{
	struct reader r = {.p = in, .end = in + n};

	memset(p, 0, sizeof(*p));
	if (n > PULSE_PACKED_MAX)
		return KE_FORMAT;
	get_signed(&r, p);
	if (r.err != KE_OK || text_untime(&p->at_ms, p->time, strlen(p->time)) != KE_OK)
		return KE_FORMAT;
	p->signature_len = (size_t)(r.end - r.p);
	if (p->signature_len > PULSE_SIG_MAX)
		return KE_FORMAT;
	memcpy(p->signature, r.p, p->signature_len);
	if (strcmp(p->version, "2.0") != 0 || p->cipher_suite != 0)
		return KE_VERSION;
	if (EVP_Digest(in, n, p->output, NULL, EVP_sha512(), NULL) != 1)
		return KE_INTERNAL;
	return KE_OK;
}

/* --- writing --- */

static void put_hash(struct jsonw *w, const char *key, const uint8_t hash[PULSE_HASH])
{
	jsonw_khex(w, key, hash, PULSE_HASH);
}

static void put_list(struct jsonw *w, const struct pulse *p)
{
	static const char *const types[] = {"previous", "hour", "day", "month", "year"};
	const uint8_t *const values[] = {p->previous, p->hour, p->day, p->month, p->year};

	jsonw_key(w, "listValues");
	jsonw_array(w);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		jsonw_object(w);
		jsonw_kcstr(w, "type", types[i]);
		put_hash(w, "value", values[i]);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

void pulse_write(const struct pulse *p, struct jsonw *w)
{
	jsonw_object(w);
	jsonw_key(w, "pulse");
	jsonw_object(w);
	jsonw_kcstr(w, "uri", p->uri);
	jsonw_kcstr(w, "version", p->version);
	jsonw_kint(w, "cipherSuite", p->cipher_suite);
	jsonw_kint(w, "period", p->period_ms);
	put_hash(w, "certificateId", p->certificate);
	jsonw_kint(w, "chainIndex", (int64_t)p->chain);
	jsonw_kint(w, "pulseIndex", (int64_t)p->pulse);
	jsonw_kcstr(w, "timeStamp", p->time);
	put_hash(w, "localRandomValue", p->local);
	jsonw_key(w, "external");
	jsonw_object(w);
	put_hash(w, "sourceId", p->source);
	jsonw_kint(w, "statusCode", p->external_status);
	put_hash(w, "value", p->external);
	jsonw_object_end(w);
	put_list(w, p);
	put_hash(w, "precommitmentValue", p->precommitment);
	jsonw_kint(w, "statusCode", p->status);
	jsonw_khex(w, "signatureValue", p->signature, p->signature_len);
	put_hash(w, "outputValue", p->output);
	jsonw_object_end(w);
	jsonw_object_end(w);
}
