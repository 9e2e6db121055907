/*
 * The time stamps of a v2 proof bundle (RFC 3161): that an authority which the auditor trusts saw
 * the close record's checkpoint before anybody could know the first beacon value. Pure; see
 * bundle2.h. Signatures and certificates are libcrypto's to judge, at the time that the token says.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* TS_VERIFY_CTX's setters have other names since 3.4 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <stdlib.h>
#include <string.h>

#include "policy/bundle2_check.h"
#include "policy/text.h"

#define TOKEN_MAX 65536
#define CERTS_MAX 65536

/* All certificates of a PEM text; NULL when one cannot be read. */
static STACK_OF(X509) * read_certs(const char *pem, size_t n)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	BIO *bio = n <= CERTS_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
	X509 *x = NULL;
	bool good = certs != NULL && bio != NULL;

	while (good && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		good = sk_X509_push(certs, x) > 0;
	if (!good)
		X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	if (good)
		return certs;
	sk_X509_pop_free(certs, X509_free);
	return NULL;
}

/* Only digests without known collisions. */
static bool digest_ok(const TS_TST_INFO *info)
{
	TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint((TS_TST_INFO *)(uintptr_t)info);
	const X509_ALGOR *alg = TS_MSG_IMPRINT_get_algo(imprint);
	const ASN1_OBJECT *name;
	int nid;

	X509_ALGOR_get0(&name, NULL, NULL, alg);
	nid = OBJ_obj2nid(name);
	return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

/* genTime in Unix seconds; 0 when it is no time. */
static int64_t token_time(const TS_TST_INFO *info)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(info), &tm) != 1)
		return 0;
	return timegm(&tm);
}

/* The trusted authorities, judged at the token's own time. */
static X509_STORE *make_store(const struct bundle2_trust *t, int64_t at_s)
{
	STACK_OF(X509) *roots = read_certs(t->tsa_pem, t->tsa_pem_len);
	X509_STORE *store = roots != NULL ? X509_STORE_new() : NULL;

	for (int i = 0; store != NULL && i < sk_X509_num(roots); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(roots, i)) != 1) {
			X509_STORE_free(store);
			store = NULL;
		}
	if (store != NULL)
		X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)at_s);
	sk_X509_pop_free(roots, X509_free);
	return store;
}

/*
 * Is the token over that text, and, with trust, signed by one of its authorities? The context owns
 * what is put into it.
 */
static bool token_holds(
    PKCS7 *token, const char *text, size_t n, X509_STORE *store, STACK_OF(X509) * certs)
{
	TS_VERIFY_CTX *ctx = TS_VERIFY_CTX_new();
	bool good = false;

	if (ctx == NULL) {
		X509_STORE_free(store);
		sk_X509_pop_free(certs, X509_free);
		return false;
	}
	TS_VERIFY_CTX_set_flags(
	    ctx, TS_VFY_VERSION | TS_VFY_DATA | (store != NULL ? TS_VFY_SIGNATURE : 0));
	TS_VERIFY_CTX_set_store(ctx, store);
	TS_VERIFY_CTX_set_certs(ctx, certs);
	if (TS_VERIFY_CTX_set_data(ctx, BIO_new_mem_buf(text, (int)n)) != NULL)
		good = TS_RESP_verify_token(ctx, token) == 1;
	TS_VERIFY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

/* What a token says; KE_NOTFOUND when nobody is trusted to have said it. */
static int judge(struct check2 *c, const uint8_t *der, size_t n, const char *pem, size_t pem_len)
{
	const struct tlog_proof *p = &c->rec[CLOSE].proof;
	const unsigned char *at = der;
	PKCS7 *token = d2i_PKCS7(NULL, &at, (long)n);
	TS_TST_INFO *info = token != NULL && at == der + n ? PKCS7_to_TS_TST_INFO(token) : NULL;
	STACK_OF(X509) *certs = read_certs(pem, pem_len);
	X509_STORE *store = NULL;
	size_t text_len = 0;
	struct note_lines lines;
	int64_t at_s;
	int r = KE_FORMAT;

	ERR_clear_error();
	if (info == NULL || certs == NULL || !digest_ok(info) || (at_s = token_time(info)) <= 0 ||
	    note_lines_begin(&lines, p->note, p->note_len, &text_len) != KE_OK)
		goto out;
	r = KE_CRYPTO;
	if (c->trust->tsa_pem != NULL && (store = make_store(c->trust, at_s)) == NULL)
		goto out;
	if (token_holds(token, p->note, text_len, store, certs))
		r = c->trust->tsa_pem != NULL ? KE_OK : KE_NOTFOUND;
	certs = NULL;
	if (r == KE_OK && (c->res->stamped_s == 0 || at_s < c->res->stamped_s))
		c->res->stamped_s = at_s;
out:
	sk_X509_pop_free(certs, X509_free);
	TS_TST_INFO_free(info);
	PKCS7_free(token);
	return r;
}

static int check_stamp(struct check2 *c, size_t at)
{
	size_t token = 0, pem = 0, n, der_len = 0, pem_len;
	const struct bundle_member members[] = {
	    {"token", JSON_STRING, &token},
	    {"certificates_pem", JSON_STRING, &pem},
	};
	char *b64 = NULL, *certs = NULL;
	uint8_t *der = NULL;
	int r = bundle_members(&c->doc, at, "a time stamp", members, 2);

	if (r == KE_OK)
		r = bundle_string(&c->doc, token, &b64, &n);
	if (r == KE_OK)
		r = bundle_string(&c->doc, pem, &certs, &pem_len);
	if (r == KE_OK && (der = malloc(TOKEN_MAX)) == NULL)
		r = bundle_no_memory(&c->doc);
	if (r != KE_OK)
		goto out;
	r = text_unb64(der, TOKEN_MAX, &der_len, b64, n) == KE_OK
		? judge(c, der, der_len, certs, pem_len)
		: KE_FORMAT;
	if (r == KE_FORMAT)
		r = bundle_no(&c->doc, r, "a time stamp that is no RFC 3161 token");
	else if (r == KE_CRYPTO)
		r = bundle_no(&c->doc, r,
		    "a time stamp is not over the close record's checkpoint, or not by a trusted "
		    "authority");
out:
	free(b64);
	free(certs);
	free(der);
	return r;
}

int check2_stamps(struct check2 *c)
{
	size_t n = (size_t)c->doc.toks[c->at.timestamps].size, at = c->at.timestamps + 1;
	int r = KE_OK;

	if (n > BUNDLE2_LIST_MAX)
		return bundle_no(&c->doc, KE_FORMAT, "more than %d time stamps", BUNDLE2_LIST_MAX);
	for (size_t i = 0; r == KE_OK && i < n; i++) {
		r = check_stamp(c, at);
		if (r == KE_NOTFOUND) {
			check2_lacks(c, "time stamp not checked: no authority is trusted");
			r = KE_OK;
		}
		at = json_next(c->doc.toks, c->doc.ntoks, at);
	}
	if (r != KE_OK || n == 0)
		return r;
	c->res->claimed |= BUNDLE2_STAMPED;
	if (c->res->stamped_s == 0)
		return KE_OK;
	if (!c->drawn || (uint64_t)c->res->stamped_s <= check2_before(c, c->first_s))
		c->res->levels |= BUNDLE2_STAMPED;
	else
		check2_lacks(c, "the close record was time-stamped too late to show anything");
	return KE_OK;
}
