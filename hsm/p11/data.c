/*
 * The token's data objects: see data.h. Runs in hsm and keyadm.
 */
#include "hsm/p11/data.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hsm/p11/op.h"

#define APPLICATION "kleroterion"
#define CARRIER     "data:" /* the label of a key that holds a text begins so */
#define TAG_LEN     32

static int add_carriers(
    struct p11 *p, const char *label, CK_OBJECT_HANDLE found[P11_FIND_MAX], CK_ULONG *n)
{
	CK_OBJECT_HANDLE keys[P11_FIND_MAX];
	char own[DATA_LABEL_MAX + sizeof CARRIER], begin[sizeof CARRIER];
	CK_ULONG count = 0;
	size_t len;
	int r;

	snprintf(own, sizeof own, CARRIER "%s", label);
	r = p11_find(p, CKO_SECRET_KEY, label[0] != '\0' ? own : "", keys, &count);
	for (CK_ULONG i = 0; r == KE_OK && i < count; i++) {
		char word[128];

		r = p11_attribute(p, keys[i], CKA_LABEL, word, sizeof word - 1, &len);
		if (r == KE_DAMAGED || len < sizeof begin - 1 ||
		    memcmp(word, CARRIER, sizeof begin - 1) != 0) {
			r = r == KE_DAMAGED ? KE_OK : r; /* longer than any of ours */
			continue;
		}
		if (r == KE_OK && *n == P11_FIND_MAX)
			return p11_fail(p, KE_LIMIT, "token %s holds too many objects", p->label);
		if (r == KE_OK)
			found[(*n)++] = keys[i];
	}
	return r;
}

int data_find(struct p11 *p, const char *label, CK_OBJECT_HANDLE found[P11_FIND_MAX], CK_ULONG *n)
{
	int r = p11_find(p, CKO_DATA, label, found, n);

	return r == KE_OK ? add_carriers(p, label, found, n) : r;
}

int data_label(struct p11 *p, CK_OBJECT_HANDLE h, char label[DATA_LABEL_MAX])
{
	char text[DATA_LABEL_MAX + sizeof CARRIER];
	size_t n, skip = 0;
	int r = p11_attribute(p, h, CKA_LABEL, text, sizeof text - 1, &n);

	if (r != KE_OK)
		return r;
	text[n] = '\0';
	if (strncmp(text, CARRIER, strlen(CARRIER)) == 0)
		skip = strlen(CARRIER);
	if (n - skip >= DATA_LABEL_MAX)
		return KE_DAMAGED;
	memcpy(label, text + skip, n - skip + 1);
	return KE_OK;
}

/* What a carrier's CKA_ID holds, tag ‖ text, taken apart. */
static int open_carrier(struct p11 *p, CK_OBJECT_HANDLE h, const uint8_t *id, size_t len,
    char *text, size_t cap, size_t *n)
{
	uint8_t tag[TAG_LEN];
	int r;

	if (len < TAG_LEN || len - TAG_LEN > cap)
		return p11_fail(p, KE_DAMAGED, "token %s: a data object is cut", p->label);
	*n = len - TAG_LEN;
	r = op_hmac(p, h, id + TAG_LEN, *n, tag);
	if (r == KE_OK && sodium_memcmp(tag, id, TAG_LEN) != 0)
		r = p11_fail(p, KE_DAMAGED, "token %s: a data object was altered", p->label);
	if (r == KE_OK)
		memcpy(text, id + TAG_LEN, *n);
	return r;
}

static int read_carrier(struct p11 *p, CK_OBJECT_HANDLE h, char *text, size_t cap, size_t *n)
{
	uint8_t *id = malloc(TAG_LEN + ANCHOR_TEXT_MAX);
	size_t len = 0;
	int r = KE_NOMEM;

	if (id != NULL)
		r = p11_attribute(p, h, CKA_ID, id, TAG_LEN + ANCHOR_TEXT_MAX, &len);
	if (r == KE_OK)
		r = open_carrier(p, h, id, len, text, cap, n);
	free(id);
	return r;
}

int data_read(struct p11 *p, CK_OBJECT_HANDLE h, char *text, size_t cap, size_t *n)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	int r = p11_attribute(p, h, CKA_CLASS, &class, sizeof class, n);

	if (r != KE_OK)
		return r;
	if (class == CKO_SECRET_KEY)
		return read_carrier(p, h, text, cap, n);
	return p11_attribute(p, h, CKA_VALUE, text, cap, n);
}

static int make_carrier(struct p11 *p, CK_OBJECT_HANDLE *h)
{
	CK_MECHANISM m = {CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = TAG_LEN;
	CK_ATTRIBUTE t[] = {
	    {CKA_TOKEN, &no, sizeof no},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_SENSITIVE, &yes, sizeof yes},
	    {CKA_EXTRACTABLE, &no, sizeof no},
	    {CKA_SIGN, &yes, sizeof yes},
	    {CKA_VALUE_LEN, &len, sizeof len},
	};

	return p11_check(
	    p, "C_GenerateKey", p->f->C_GenerateKey(p->session, &m, t, sizeof t / sizeof t[0], h));
}

/* In one step, by a copy: a power cut leaves the whole of it or nothing. */
static int keep_carrier(struct p11 *p, CK_OBJECT_HANDLE h, const char *label, uint8_t *id, size_t n)
{
	char own[DATA_LABEL_MAX + sizeof CARRIER];
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE to[] = {{CKA_TOKEN, &yes, sizeof yes}, {CKA_LABEL, own, 0},
	    {CKA_ID, id, (CK_ULONG)(TAG_LEN + n)}};
	CK_OBJECT_HANDLE kept;
	int r = op_hmac(p, h, id + TAG_LEN, n, id);

	snprintf(own, sizeof own, CARRIER "%s", label);
	to[1].ulValueLen = (CK_ULONG)strlen(own);
	if (r != KE_OK)
		return r;
	return p11_check(p, "C_CopyObject", p->f->C_CopyObject(p->session, h, to, 3, &kept));
}

static int create_carrier(struct p11 *p, const char *label, const char *text, size_t n)
{
	uint8_t *id = malloc(TAG_LEN + n);
	CK_OBJECT_HANDLE h;
	int r = id != NULL ? make_carrier(p, &h) : KE_NOMEM, d;

	if (r == KE_OK) {
		memcpy(id + TAG_LEN, text, n);
		r = keep_carrier(p, h, label, id, n);
		d = op_destroy(p, h);
		r = r == KE_OK ? d : r;
	}
	free(id);
	return r;
}

/* What a token says that has no data objects, or not such ones. */
static bool is_refusal(CK_RV rv)
{
	return rv == CKR_ATTRIBUTE_VALUE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT ||
	       rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED;
}

int data_create(struct p11 *p, const char *label, const char *text, size_t n)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE t[] = {
	    {CKA_CLASS, &class, sizeof class},
	    {CKA_TOKEN, &yes, sizeof yes},
	    {CKA_PRIVATE, &yes, sizeof yes},
	    {CKA_LABEL, p11_in(label), strlen(label)},
	    {CKA_APPLICATION, p11_in(APPLICATION), strlen(APPLICATION)},
	    {CKA_VALUE, p11_in(text), (CK_ULONG)n},
	};
	CK_OBJECT_HANDLE h;
	CK_RV rv;

	if (strlen(label) >= DATA_LABEL_MAX || n > ANCHOR_TEXT_MAX)
		return p11_fail(p, KE_LONG, "data object %.80s: too long", label);
	rv = p->f->C_CreateObject(p->session, t, sizeof t / sizeof t[0], &h);
	return is_refusal(rv) ? create_carrier(p, label, text, n)
			      : p11_check(p, "C_CreateObject", rv);
}
