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
#include "policy/origin.h"
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
	int code = EXIT_READ, r;

	if (verify_read(file, 65536, &buf, &n) == KE_OK) {
		r = drand_chain_parse(&o->chain, buf, n);
		code = r == KE_OK ? EXIT_VERIFIED
		       : r == KE_VERSION
			   ? verify_usage("that is a chain of another scheme than " DRAND_SCHEME)
			   : verify_usage("that is not what a drand relay's /info says");
	}
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
	if (code == EXIT_VERIFIED && o->pulse_pem == NULL) {
		o->pulse_pem = buf;
		o->pulse_pem_len = n;
		return code;
	}
	free(buf);
	return code;
}

int verify2_tsa(struct options *o, const char *file)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	size_t n;

	if (o->tsa != NULL)
		return verify_usage("more than one file of time-stamping authorities");
	if (verify_read(file, PULSE_CERT_MAX, &o->tsa, &n) != KE_OK)
		return EXIT_READ;
	o->trust.tsa_pem = o->tsa;
	o->trust.tsa_pem_len = n;
	return memmem(o->tsa, n, begin, sizeof(begin) - 1) != NULL
		   ? EXIT_VERIFIED
		   : verify_usage("those are no certificates in PEM");
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

static void print_ending(const struct bundle2_result *res)
{
	if (res->aborted)
		printf("the raffle was aborted");
	else
		printf("%llu tickets, %llu winners, %llu reserves",
		    (unsigned long long)res->tickets, (unsigned long long)res->winners,
		    (unsigned long long)res->reserves);
	if (res->amends > 0)
		printf(", amended %llu times", (unsigned long long)res->amends);
	printf("; the records name one another");
}

static void print_meaning(const struct bundle2_result *res, enum bundle2_step s)
{
	switch (s) {
	case BUNDLE2_READ:
		printf("v2 (" BUNDLE2_FORMAT ")");
		break;
	case BUNDLE2_KEYS:
		printf("the operator's log is %s", res->operator_vkey);
		break;
	case BUNDLE2_RECORDS:
		print_ending(res);
		break;
	case BUNDLE2_LOGGED:
		printf("the records are in the operator log, in the right order, signed");
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
		printf(res->unlisted
			   ? "its key follows; whom it passed over, the ticket log shows"
			   : "drawn again from the seed, the tickets and the beacons: the "
			     "same");
		break;
	case BUNDLE2_TIMES:
		printf("the beacons are those promised, of moments after the end of sales");
		break;
	case BUNDLE2_BEACONS:
		printf(res->levels & BUNDLE2_BEACON ? "each value is signed by its known source"
						    : "not every value's source is known");
		break;
	case BUNDLE2_WITNESSES:
		printf("%u of %u saw the %s", res->seen, res->witnesses,
		    res->aborted ? "abort record"
				 : "close record before the first value could be known");
		break;
	case BUNDLE2_STAMPS:
		printf(res->levels & BUNDLE2_STAMPED
			   ? "a trusted authority saw the close record at "
			     "%lld (Unix time)"
			   : "not checked, or too late",
		    (long long)res->stamped_s);
		break;
	case BUNDLE2_STEPS:
		break;
	}
	putchar('\n');
}

/* Steps that have something to say of this bundle. */
static bool has_step(const struct bundle2_result *res, enum bundle2_step s)
{
	switch (s) {
	case BUNDLE2_TICKETS:
		return !res->aborted || res->tickets > 0;
	case BUNDLE2_COMMIT:
	case BUNDLE2_WINNERS:
	case BUNDLE2_DRAW:
	case BUNDLE2_TIMES:
	case BUNDLE2_BEACONS:
		return !res->aborted;
	case BUNDLE2_STAMPS:
		return (res->claimed & BUNDLE2_STAMPED) != 0;
	default:
		return true;
	}
}

static void print_levels(const struct bundle2_result *res)
{
	printf("reached:");
	for (unsigned bit = 1; bit <= BUNDLE2_STAMPED; bit <<= 1) {
		if (res->levels & bit)
			printf(" %s", bundle2_level_words((enum bundle2_level)bit));
		if (res->levels & bit & BUNDLE2_WITNESSED)
			printf(" %u of %u", res->seen, res->witnesses);
	}
	putchar('\n');
}

/* What became of the raffle besides its draw. */
static void print_fate(const struct bundle2_result *res)
{
	if (res->aborted)
		printf("aborted: %s\n", res->reason);
	for (uint64_t i = 0; i < res->forfeits && i < BUNDLE2_TOLD; i++) {
		const struct bundle2_forfeit *f = &res->forfeit[i];

		printf("forfeited: winner %llu (%s), ", (unsigned long long)f->pos, f->rule);
		if (f->reserve > 0)
			printf("reserve %llu stands for it\n", (unsigned long long)f->reserve);
		else
			printf("nobody stands for it\n");
	}
	if (res->forfeits > BUNDLE2_TOLD)
		printf("forfeited: %llu in all\n", (unsigned long long)res->forfeits);
}

static void print_notes(const struct options *o, const struct bundle2_result *res)
{
	if (o->trust.delay_s != 0 && o->trust.delay_s != BUNDLE2_DELAY_S)
		printf("note: %llu s between the end of sales and the beacon were asked for; the "
		       "standard is %d s; and %llu s between those who saw the close record and "
		       "the beacon, the standard is %d s\n",
		    (unsigned long long)o->trust.delay_s, BUNDLE2_DELAY_S,
		    (unsigned long long)life_lead_s(o->trust.delay_s), LIFE_LEAD_S);
	if (!o->have_key)
		printf("note: no --vkey was given, the operator's log was taken from the proof "
		       "itself; compare it with the key that the operator publishes\n");
	if (!o->have_policy && res->witnesses > 0)
		printf("note: no --policy was given, the witnesses are those that the proof itself "
		       "names\n");
	if (!o->have_commit)
		printf("note: no --commit was given; compare the seed commitment with the one "
		       "published before the sale\n");
	if (res->amends > 0)
		printf("note: the terms were amended; DRAW.md allows that before the first sale, "
		       "or to a later close with a later round\n");
}

static void print_lines(const struct options *o, const struct bundle2_result *res)
{
	for (unsigned i = 0; i <= (unsigned)res->step; i++) {
		enum bundle2_step s = (enum bundle2_step)i;
		bool ok = s != res->step || res->err == KE_OK;

		if (ok && !has_step(res, s))
			continue;
		printf("%s %-13s ", ok ? "ok  " : "FAIL", bundle2_step_words(s));
		if (ok)
			print_meaning(res, s);
		else
			puts(res->why);
	}
	print_levels(res);
	if (res->err == KE_OK)
		print_fate(res);
	print_notes(o, res);
}

/* What the bundle is too small to show, the audit of its logs is asked for. */
static bool reached(const struct options *o, const struct bundle2_result *res)
{
	unsigned claimed = res->claimed;

	if (res->unlisted && o->log != NULL)
		claimed &= ~(unsigned)BUNDLE2_REPRODUCED;
	return res->err == KE_OK && (res->levels & claimed) == claimed;
}

static void json_forfeits(struct jsonw *w, const struct bundle2_result *res)
{
	jsonw_kint(w, "forfeits", (int64_t)res->forfeits);
	jsonw_key(w, "forfeited");
	jsonw_array(w);
	for (uint64_t i = 0; i < res->forfeits && i < BUNDLE2_TOLD; i++) {
		jsonw_object(w);
		jsonw_kint(w, "winner", (int64_t)res->forfeit[i].pos);
		jsonw_kcstr(w, "rule", res->forfeit[i].rule);
		jsonw_kint(w, "reserve", (int64_t)res->forfeit[i].reserve);
		jsonw_object_end(w);
	}
	jsonw_array_end(w);
}

static void print_json(const struct options *o, const struct bundle2_result *res)
{
	char buf[8192];
	struct jsonw w;

	jsonw_init(&w, buf, sizeof(buf));
	jsonw_object(&w);
	jsonw_kbool(&w, "verified", reached(o, res));
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
	jsonw_kint(&w, "amends", (int64_t)res->amends);
	jsonw_kbool(&w, "aborted", res->aborted);
	if (res->aborted)
		jsonw_kcstr(&w, "reason", res->reason);
	json_forfeits(&w, res);
	jsonw_key(&w, "levels");
	jsonw_array(&w);
	for (unsigned bit = 1; bit <= BUNDLE2_STAMPED; bit <<= 1)
		if (res->levels & bit)
			jsonw_cstr(&w, bundle2_level_words((enum bundle2_level)bit));
	jsonw_array_end(&w);
	jsonw_kcstr(&w, "step", bundle2_step_words(res->step));
	if (res->err != KE_OK)
		jsonw_kcstr(&w, "why", res->why);
	else if (!reached(o, res))
		jsonw_kcstr(&w, "why", res->lacking);
	jsonw_object_end(&w);
	if (jsonw_end(&w) == KE_OK)
		printf("%.*s\n", (int)w.len, buf);
}

int verify2(struct options *o, const char *text, size_t n, struct bundle2_result *res)
{
	int r;

	origin_oplog_key(&o->key);
	o->trust.operator_key = o->have_key ? &o->key : NULL;
	o->trust.commit = o->have_commit ? o->commit : NULL;
	o->trust.policy = o->have_policy ? &o->policy : NULL;
	o->trust.chain = o->have_chain ? &o->chain : NULL;
	r = bundle2_check(text, n, &o->trust, res);
	if (o->json) {
		print_json(o, res);
		return reached(o, res) ? EXIT_VERIFIED : EXIT_NOT;
	}
	if (!o->quiet)
		print_lines(o, res);
	if (reached(o, res))
		puts("VERIFIED");
	else if (r == KE_OK)
		printf("NOT VERIFIED: %s\n", res->lacking);
	else
		printf("NOT VERIFIED: %s\n", res->why[0] != '\0' ? res->why : ke_words(r));
	return reached(o, res) ? EXIT_VERIFIED : EXIT_NOT;
}
