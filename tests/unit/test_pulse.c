/*
 * Pulses of NIST's beacon: two real ones and their certificate, every field altered, every member
 * left out, and pulses that claim to follow one another.
 */
#include "tests/unit/vectors.h"

#include "policy/hash.h"
#include "policy/jsonw.h"
#include "policy/pulse.h"

#define FIRST  "nist/pulse-2-1884240.json"
#define SECOND "nist/pulse-2-1918805.json"

static char cert[PULSE_CERT_MAX];
static size_t cert_len;

static void read_pulse(const char *name, struct pulse *p)
{
	char json[PULSE_JSON_MAX];
	size_t n = vectors_file(name, json, sizeof(json));

	cert_len = vectors_file("nist/cert-528943a5.pem", cert, sizeof(cert));
	assert_int_equal(pulse_parse(p, json, n), KE_OK);
}

static void test_real(void **state)
{
	struct pulse p;

	(void)state;
	read_pulse(FIRST, &p);
	assert_true(p.chain == 2 && p.pulse == 1884240 && p.period_ms == 60000);
	assert_true(p.at_ms == 1785540000000);
	assert_int_equal(pulse_verify(&p, cert, cert_len), KE_OK);
	read_pulse(SECOND, &p);
	assert_true(p.pulse == 1918805 && p.at_ms == 1787745600000);
	assert_int_equal(pulse_verify(&p, cert, cert_len), KE_OK);
}

/* One bit of each thing that is signed, of the signature and of the output. */
static void test_altered(void **state)
{
	struct pulse p, good;
	struct {
		void *at;
		size_t n;
	} field[] = {
	    {p.uri, 10},
	    {p.version, 3},
	    {p.time, 24},
	    {&p.cipher_suite, 4},
	    {&p.period_ms, 4},
	    {&p.external_status, 4},
	    {&p.status, 4},
	    {&p.chain, 8},
	    {&p.pulse, 8},
	    {p.local, 64},
	    {p.source, 64},
	    {p.external, 64},
	    {p.previous, 64},
	    {p.hour, 64},
	    {p.day, 64},
	    {p.month, 64},
	    {p.year, 64},
	    {p.precommitment, 64},
	    {p.output, 64},
	    {p.signature, PULSE_SIG_MAX},
	    {p.certificate, 64},
	};

	(void)state;
	read_pulse(FIRST, &good);
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		for (size_t k = 0; k<field[i].n; k += field[i].n> 9 ? field[i].n / 3 : 1) {
			int want = field[i].at == (void *)p.certificate ? KE_WRONG_KEY : KE_CRYPTO;

			p = good;
			((uint8_t *)field[i].at)[k] ^= 1;
			assert_int_equal(pulse_verify(&p, cert, cert_len), want);
		}
	p = good;
	p.signature_len--;
	assert_int_equal(pulse_verify(&p, cert, cert_len), KE_CRYPTO);
	p = good;
	assert_int_equal(pulse_verify(&p, cert, 100), KE_FORMAT);
	assert_int_equal(pulse_verify(&p, cert, 0), KE_FORMAT);
	assert_int_equal(pulse_verify(&p, cert, PULSE_CERT_MAX + 1), KE_FORMAT);
	/* worked out of the text that is signed */
	p.at_ms++;
	assert_int_equal(pulse_verify(&p, cert, cert_len), KE_OK);
}

/* JSON with `what` replaced. */
static int parse_instead(const char *what, const char *instead)
{
	char json[PULSE_JSON_MAX], bad[PULSE_JSON_MAX + 256];
	struct pulse p;
	char *at;
	int n;

	vectors_file(FIRST, json, sizeof(json));
	at = strstr(json, what);
	if (at == NULL)
		fail_msg("no %s", what);
	n = snprintf(
	    bad, sizeof(bad), "%.*s%s%s", (int)(at - json), json, instead, at + strlen(what));
	return pulse_parse(&p, bad, (size_t)n);
}

static void test_format(void **state)
{
	static const char *const members[] = {"pulse", "uri", "version", "cipherSuite", "period",
	    "certificateId", "chainIndex", "pulseIndex", "timeStamp", "localRandomValue",
	    "external", "sourceId", "statusCode", "value", "listValues", "type",
	    "precommitmentValue", "signatureValue", "outputValue"};
	char name[64], other[64];
	struct pulse p;

	(void)state;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		snprintf(name, sizeof(name), "\"%s\"", members[i]);
		snprintf(other, sizeof(other), "\"x%s\"", members[i]);
		assert_int_equal(parse_instead(name, other), KE_FORMAT);
	}
	assert_int_equal(parse_instead("\"uri\"", "\"more\": [1, {}], \"uri\""), KE_OK);
	assert_int_equal(parse_instead("\"2.0\"", "\"2.1\""), KE_VERSION);
	assert_int_equal(parse_instead("\"cipherSuite\": 0", "\"cipherSuite\": 1"), KE_VERSION);
	assert_int_equal(parse_instead("\"cipherSuite\": 0", "\"cipherSuite\": -1"), KE_FORMAT);
	assert_int_equal(parse_instead("1884240,", "1884240.0,"), KE_FORMAT);
	assert_int_equal(parse_instead("1884240,", "9223372036854775808,"), KE_FORMAT);
	assert_int_equal(parse_instead("23:20:00.000Z", "23:20:00Z"), KE_FORMAT);
	assert_int_equal(parse_instead("\"previous\"", "\"hour\""), KE_FORMAT);
	assert_int_equal(parse_instead("31C61E8D", "31C61E8"), KE_FORMAT);
	assert_int_equal(parse_instead("31C61E8D", "31C61E8DFF"), KE_FORMAT);
	assert_int_equal(parse_instead("31C61E8D", "31C61E8G"), KE_FORMAT);
	assert_int_equal(parse_instead("31C61E8D", "31c61e8d"), KE_OK);
	assert_int_equal(pulse_parse(&p, "", 0), KE_FORMAT);
	assert_int_equal(pulse_parse(&p, "[]", 2), KE_FORMAT);
	assert_int_equal(pulse_parse(&p, "{\"pulse\": 1}", 12), KE_FORMAT);
}

/* A pulse, and one that follows it. */
static void read_pair(struct pulse *a, struct pulse *b)
{
	read_pulse(FIRST, a);
	*b = *a;
	b->pulse++;
	b->at_ms += 60000;
	memcpy(b->previous, a->output, PULSE_HASH);
}

static void test_follows(void **state)
{
	struct pulse a, b;

	(void)state;
	read_pair(&a, &b);
	assert_int_equal(pulse_follows(&b, &a), KE_OK);
	memcpy(b.previous, a.previous, PULSE_HASH);
	assert_int_equal(pulse_follows(&b, &a), KE_CRYPTO);
	memcpy(b.previous, a.output, PULSE_HASH);
	b.at_ms = a.at_ms;
	assert_int_equal(pulse_follows(&b, &a), KE_CRYPTO);
	b.at_ms += 60000;
	b.chain++;
	assert_int_equal(pulse_follows(&b, &a), KE_CRYPTO);
	b.chain--;
	b.pulse++;
	assert_int_equal(pulse_follows(&b, &a), KE_CRYPTO);
	assert_int_equal(pulse_follows(&a, &a), KE_CRYPTO);
}

static void test_first(void **state)
{
	struct pulse a, b;

	(void)state;
	read_pair(&a, &b);
	assert_int_equal(pulse_first(&b, NULL, b.at_ms), KE_OK);
	assert_int_equal(pulse_first(&b, NULL, b.at_ms - 1), KE_CRYPTO);
	assert_int_equal(pulse_first(&b, &a, b.at_ms - 1), KE_OK);
	assert_int_equal(pulse_first(&b, &a, a.at_ms + 1), KE_OK);
	assert_int_equal(pulse_first(&b, &a, a.at_ms), KE_CRYPTO);
	assert_int_equal(pulse_first(&b, &a, b.at_ms + 1), KE_CRYPTO);
	b.previous[0] ^= 1;
	assert_int_equal(pulse_first(&b, &a, b.at_ms - 1), KE_CRYPTO);
}

/* The very bytes that are signed, by the specification's own serialisation of these pulses. */
static void test_signed(void **state)
{
	static const struct {
		const char *name, *digest;
	} cases[] = {
	    {FIRST, "6a1d8e4ad066f4f9574a199521e87c8b3267516de35d60309e67a67011350495"},
	    {SECOND, "2682b382f4233e4515d224331b74615611ed87be84508dffbe66c2bba8cfe4f0"},
	};
	uint8_t msg[PULSE_SIGNED_MAX], digest[32];
	struct pulse p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_pulse(cases[i].name, &p);
		hash_sha256(digest, msg, pulse_signed(&p, msg));
		assert_hex(digest, 32, cases[i].digest);
	}
}

/* In one piece, and as JSON again: nothing is lost, and nothing else is read. */
static void test_packed(void **state)
{
	uint8_t packed[PULSE_PACKED_MAX], again[PULSE_PACKED_MAX];
	char json[PULSE_WRITTEN_MAX];
	struct jsonw w;
	struct pulse p, q;
	size_t n;

	(void)state;
	read_pulse(FIRST, &p);
	n = pulse_pack(&p, packed);
	assert_int_equal(pulse_unpack(&q, packed, n), KE_OK);
	assert_memory_equal(q.output, p.output, PULSE_HASH);
	assert_int_equal(q.at_ms, p.at_ms);
	assert_int_equal(pulse_verify(&q, cert, cert_len), KE_OK);
	jsonw_init(&w, json, sizeof(json));
	pulse_write(&p, &w);
	assert_int_equal(jsonw_end(&w), KE_OK);
	assert_int_equal(pulse_parse(&q, json, w.len), KE_OK);
	assert_int_equal(pulse_pack(&q, again), n);
	assert_memory_equal(again, packed, n);
	for (size_t cut = 0; cut <= n - p.signature_len - 1; cut++)
		assert_int_equal(pulse_unpack(&q, packed, cut), KE_FORMAT);
	memset(again + n, 0, sizeof(again) - n);
	assert_int_equal(pulse_unpack(&q, again, n + 1), KE_FORMAT); /* a signature too long */
	again[3]++;                                                  /* the uri's length */
	assert_int_equal(pulse_unpack(&q, again, n), KE_FORMAT);
}

/* One bit of anything: either it cannot be read, or it is another pulse, which nobody has signed.
 */
static void test_packed_altered(void **state)
{
	uint8_t packed[PULSE_PACKED_MAX], again[PULSE_PACKED_MAX];
	struct pulse p, q;
	size_t n, read = 0;

	(void)state;
	read_pulse(FIRST, &p);
	n = pulse_pack(&p, packed);
	for (size_t i = 0; i < n; i++) {
		packed[i] ^= 1;
		if (pulse_unpack(&q, packed, n) == KE_OK) {
			assert_int_equal(pulse_pack(&q, again), n);
			assert_memory_equal(again, packed, n);
			assert_memory_not_equal(q.output, p.output, PULSE_HASH);
			assert_int_not_equal(pulse_verify(&q, cert, cert_len), KE_OK);
			read++;
		}
		packed[i] ^= 1;
	}
	assert_true(read > 1000 && read < n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_real),
	    cmocka_unit_test(test_altered),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_follows),
	    cmocka_unit_test(test_first),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_packed),
	    cmocka_unit_test(test_packed_altered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
