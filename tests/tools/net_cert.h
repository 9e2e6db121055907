/*
 * A self-signed certificate for the loopback address, as PEM text. Part of net_harness.
 */
#ifndef TESTS_NET_CERT_H
#define TESTS_NET_CERT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#define NET_CERT_VALID_S 86400

static bool net_cert(EVP_PKEY *key, char *pem, size_t cap)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *san;
	BIO *mem = BIO_new(BIO_s_mem());
	int n;

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), NET_CERT_VALID_S);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
	X509_add_ext(cert, san, -1);
	X509_sign(cert, key, EVP_sha256());
	PEM_write_bio_X509(mem, cert);
	n = BIO_read(mem, pem, (int)cap - 1);
	pem[n > 0 ? n : 0] = '\0';
	X509_EXTENSION_free(san);
	BIO_free(mem);
	X509_free(cert);
	return n > 0;
}

#endif
