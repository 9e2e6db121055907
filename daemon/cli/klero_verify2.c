/*
 * klero-verify on v2 bundles: the options that only they know, and the words. All judgement is in
 * policy/bundle2.c. Runs as the auditor's own program, on files from people whom he does not trust.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/klero_verify.h"
#include "policy/jsonw.h"
#include "policy/text.h"

/* --- options --- */

int verify2_policy(struct options *o, const char *file)
{
	char *buf;
	size_t n, line;
	int code = EXIT_READ;

	if (verify_read(file, TLOG_POLICY_TEXT_MAX, &buf, &n) == KE_OK) {
		code = EXIT_VERIFIED;
		if (tlog_policy_parse(&o->policy, buf, n, &line) != KE_OK) {
			fprintf(stderr, "klero-verify: %s:%zu: not a line of a tlog-policy\n", file,
			    line);
			code = EXIT_USAGE;
		}
	}
	free(buf);
	o->have_policy = true;
	return code;
}

int verify2_chain(struct options *o, const char *file)
{
	char *buf;
	size_t n;
	int code = EXIT_READ;

	if (verify_read(file, 65536, &buf, &n) == KE_OK)
		code = drand_chain_parse(&o->chain, buf, n) == KE_OK
			   ? EXIT_VERIFIED
			   : verify_usage("that is not what a drand relay's /info says");
	free(buf);
	o->have_chain = true;
	return code;
}

/* SHA-512 of a PEM certificate's DER: by this a pulse names it. */
static int certificate_id(uint8_t id[PULSE_HASH], const char *pem, size_t n)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	BIO *bio = n <= PULSE_CERT_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	bool good =
	    cert != NULL && X509_digest(cert, EVP_sha512(), digest, &len) == 1 && len == PULSE_HASH;

	X509_free(cert);
	BIO_free(bio);
	if (!good)
		return KE_FORMAT;
	memcpy(id, digest, PULSE_HASH);
	return KE_OK;
}

int verify2_certificate(struct options *o, const char *file)
{
	struct bundle2_trust *t = &o->trust;
	char *buf;
	size_t n;
	int code = EXIT_READ;

	if (t->ncertificates == BUNDLE2_CERTIFICATES)
		return verify_usage("too many certificates");
	if (verify_read(file, PULSE_CERT_MAX, &buf, &n) == KE_OK)
		code = certificate_id(t->certificates[t->ncertificates++], buf, n) == KE_OK
			   ? EXIT_VERIFIED
			   : verify_usage("that is not a certificate in PEM");
	free(buf);
	return code;
}

int verify2_delay(struct options *o, const char *seconds)
{
	if (text_unu64(&o->trust.delay_s, seconds, strlen(seconds)) != KE_OK ||
	    o->trust.delay_s == 0)
		return verify_usage("a delay is a number of seconds from 1");
	return EXIT_VERIFIED;
}

/* --- words --- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Is the string at `at` the value of a member "format"? */
static bool is_format(const char *text, const char *at)
{
	static const char name[] = "\"format\"";

	while (at > text && blank(at[-1]))
		at--;
	if (at == text || *--at != ':')
		return false;
	while (at > text && blank(at[-1]))
		at--;
	return (size_t)(at - text) >= sizeof(name) - 1 &&
	       memcmp(at - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
}

bool verify2_is(const char *text, size_t n)
{
	static const char value[] = "\"" BUNDLE2_FORMAT "\"";
	const char *at = text, *end = text + n;

	while ((at = memmem(at, (size_t)(end - at), value, sizeof(value) - 1)) != NULL) {
		if (is_format(text, at))
			return true;
		at++;
	}
	return false;
}

static void print_meaning(const struct bundle2_result *res, enum bundle2_step s)
{
	unsigned long long tickets = res->tickets, winners = res->winners, reserves = res->reserves;

	switch (s) {
	case BUNDLE2_READ:
		printf("v2 (" BUNDLE2_FORMAT ")");
		break;
	case BUNDLE2_KEYS:
		printf("the operator's log is %s", res->operator_vkey);
		break;
	case BUNDLE2_RECORDS:
		printf("%llu tickets, %llu winners, %llu reserves; the records name one another",
		    tickets, winners, reserves);
		break;
	case BUNDLE2_LOGGED:
		printf("open, close and draw are in the operator log, in this order, signed");
		break;
	case BUNDLE2_TICKETS:
		printf("the ticket log's signed root is the one that the close record names");
		break;
	case BUNDLE2_COMMIT:
		printf("the server seed is the one committed to when sales opened");
		break;
	case BUNDLE2_WINNERS:
		printf("each winner's and reserve's ticket is in the ticket log");
		break;
	case BUNDLE2_DRAW:
		printf("drawn again from the seed, the tickets and the beacons: the same");
		break;
	case BUNDLE2_TIMES:
		printf("the beacons are those promised, of moments after the end of sales");
		break;
	case BUNDLE2_BEACONS:
		printf(res->levels & BUNDLE2_BEACON ? "each value is signed by its known source"
						    : "not every value's source is known");
		break;
	case BUNDLE2_WITNESSES:
		printf("%u of %u saw the close record before the first value could be known",
		    res->seen, res->witnesses);
		break;
	case BUNDLE2_STEPS:
		break;
	}
	putchar('\n');
}

static void print_levels(const struct bundle2_result *res)
{
	printf("reached:");
	for (unsigned bit = 1; bit <= BUNDLE2_WITNESSED; bit <<= 1)
		if (res->levels & bit)
			printf(" %s", bundle2_level_words((enum bundle2_level)bit));
	if (res->levels & BUNDLE2_WITNESSED)
		printf(" %u of %u", res->seen, res->witnesses);
	putchar('\n');
}

static void print_lines(const struct options *o, const struct bundle2_result *res)
{
	for (unsigned i = 0; i <= (unsigned)res->step; i++) {
		enum bundle2_step s = (enum bundle2_step)i;
		bool ok = s != res->step || res->err == KE_OK;

		printf("%s %-13s ", ok ? "ok  " : "FAIL", bundle2_step_words(s));
		if (ok)
			print_meaning(res, s);
		else
			puts(res->why);
	}
	print_levels(res);
	if (o->trust.delay_s != 0 && o->trust.delay_s != BUNDLE2_DELAY_S)
		printf("note: %llu s between the end of sales and the beacon were asked for; the "
		       "standard is %d s\n",
		    (unsigned long long)o->trust.delay_s, BUNDLE2_DELAY_S);
	if (!o->have_key)
		printf("note: no --vkey was given, the operator's log was taken from the proof "
		       "itself; compare it with the key that the operator publishes\n");
	if (!o->have_policy && res->witnesses > 0)
		printf("note: no --policy was given, the witnesses are those that the proof itself "
		       "names\n");
	if (!o->have_commit)
		printf("note: no --commit was given; compare the seed commitment with the one "
		       "published before the sale\n");
}

static bool reached(const struct bundle2_result *res)
{
	return res->err == KE_OK && (res->levels & res->claimed) == res->claimed;
}

static void print_json(const struct options *o, const struct bundle2_result *res)
{
	char buf[8192];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof(buf));
	jsonw_object(&w);
	jsonw_kbool(&w, "verified", reached(res));
	jsonw_kcstr(&w, "format", BUNDLE2_FORMAT);
	jsonw_kcstr(&w, "operator_vkey", res->operator_vkey);
	jsonw_kbool(&w, "signer_trusted", o->have_key);
	jsonw_kbool(&w, "policy_given", o->have_policy);
	jsonw_kbool(&w, "commit_given", o->have_commit);
	jsonw_kint(&w, "tickets", (int64_t)res->tickets);
	jsonw_kint(&w, "winners", (int64_t)res->winners);
	jsonw_kint(&w, "reserves", (int64_t)res->reserves);
	jsonw_kint(&w, "witnesses_seen", res->seen);
	jsonw_kint(&w, "witnesses", res->witnesses);
	jsonw_key(&w, "levels");
	jsonw_array(&w);
	for (unsigned bit = 1; bit <= BUNDLE2_WITNESSED; bit <<= 1)
		if (res->levels & bit)
			jsonw_cstr(&w, bundle2_level_words((enum bundle2_level)bit));
	jsonw_array_end(&w);
	jsonw_kcstr(&w, "step", bundle2_step_words(res->step));
	if (res->err != KE_OK)
		jsonw_kcstr(&w, "why", res->why);
	else if (!reached(res))
		jsonw_kcstr(&w, "why", res->lacking);
	jsonw_object_end(&w);
	if (jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
}

int verify2(struct options *o, const char *text, size_t n)
{
	struct bundle2_result res;
	int r;

	o->trust.operator_key = o->have_key ? &o->key : NULL;
	o->trust.commit = o->have_commit ? o->commit : NULL;
	o->trust.policy = o->have_policy ? &o->policy : NULL;
	o->trust.chain = o->have_chain ? &o->chain : NULL;
	r = bundle2_check(text, n, &o->trust, &res);
	if (o->json) {
		print_json(o, &res);
		return reached(&res) ? EXIT_VERIFIED : EXIT_NOT;
	}
	if (!o->quiet)
		print_lines(o, &res);
	if (reached(&res))
		puts("VERIFIED");
	else if (r == KE_OK)
		printf("NOT VERIFIED: %s\n", res.lacking);
	else
		printf("NOT VERIFIED: %s\n", res.why[0] != '\0' ? res.why : ke_words(r));
	return reached(&res) ? EXIT_VERIFIED : EXIT_NOT;
}
