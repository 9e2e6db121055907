/*
 * kleroctl tls: an authority's certificate for the TLS key, which never leaves its token. request
 * has keyadm sign a PKCS #10 request; install looks at what came back, puts it in the place of the
 * certificate file and has a running klerod read it, without a connection dropped. Runs in
 * kleroctl; trusts nothing in the file that it is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/cli/kleroctl_keyadm.h"
#include "daemon/cli/kleroctl_live.h"
#include "daemon/parent/cert.h"

#define PEM_MAX   (sizeof((struct rconf_keyadm *)0)->cert_pem)
#define CHAIN_MAX 8

/* The present certificate's text; "" when there is none. */
static void present(const struct ctl *ctl, char pem[PEM_MAX])
{
	char why[512];
	size_t n = 0;

	if (conf_file(ctl->conf.tls_certificate, false, pem, PEM_MAX - 1, &n, why, sizeof why) !=
	    KE_OK)
		n = 0;
	pem[n] = '\0';
}

int ctl_tls_request(struct ctl *ctl, int argc, char **argv)
{
	static struct rconf_keyadm_done done;
	static char pem[PEM_MAX];
	static const uint8_t nobody[16];
	char why[512] = "";

	(void)argc;
	(void)argv;
	present(ctl, pem);
	if (keyadm_act(ctl, KEYADM_REQUEST, &ctl->conf.tls, nobody, pem, &done, why, sizeof why) !=
	    KE_OK) {
		conf_blame(
		    &ctl->conf, conf_about(&ctl->conf, &ctl->conf.tls, why), why, sizeof why);
		return ctl_fail(CTL_REFUSED, "%s", why);
	}
	return ctl_tell(ctl, "request", done.cert_pem, strlen(done.cert_pem));
}

/* --- what an authority has sent --- */

struct chain {
	X509 *cert[CHAIN_MAX];
	size_t n;
};

static void chain_free(struct chain *c)
{
	while (c->n > 0)
		X509_free(c->cert[--c->n]);
}

static bool chain_read(struct chain *c, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = NULL;

	c->n = 0;
	while (bio != NULL && c->n < CHAIN_MAX &&
	       (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		c->cert[c->n++] = x;
	BIO_free(bio);
	return c->n > 0;
}

/* Each is signed by the next: what a client can follow. */
static bool is_ordered(const struct chain *c)
{
	for (size_t i = 0; i + 1 < c->n; i++)
		if (X509_check_issued(c->cert[i + 1], c->cert[i]) != X509_V_OK ||
		    X509_verify(c->cert[i], X509_get0_pubkey(c->cert[i + 1])) != 1)
			return false;
	return true;
}

static bool has_name(const struct conf *conf, X509 *x)
{
	const char *first = conf->tls_names[0][0] != '\0' ? conf->tls_names[0] : conf->host;

	return X509_check_host(x, first, 0, 0, NULL) == 1 || X509_check_ip_asc(x, first, 0) == 1;
}

/* What is wrong with it, NULL for nothing. */
static const char *flaw(const struct ctl *ctl, const struct chain *fresh, const struct chain *old)
{
	X509 *x = fresh->cert[0];

	if (old->n == 0)
		return "there is no certificate that it could take the place of: run kleroctl "
		       "setup";
	if (EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(old->cert[0])) != 1)
		return "it is not for the key of the present certificate: kleroctl tls request, "
		       "and have that one signed";
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		return "it is not valid yet";
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		return "it has expired";
	if (!has_name(&ctl->conf, x))
		return "the first of tls-names is not in it";
	return is_ordered(fresh) ? NULL
				 : "its certificates do not follow each other, each signed by "
				   "the next";
}

static int look(const struct ctl *ctl, const char *path, const char *pem)
{
	static char old_pem[PEM_MAX];
	struct chain fresh, old;
	const char *wrong = "no certificate is in it";

	present(ctl, old_pem);
	(void)chain_read(&old, old_pem);
	if (chain_read(&fresh, pem))
		wrong = flaw(ctl, &fresh, &old);
	chain_free(&fresh);
	chain_free(&old);
	return wrong == NULL ? CTL_OK : ctl_fail(CTL_REFUSED, "%s: %s", path, wrong);
}

/* Who listens at the control socket is klerod's parent; SIGHUP has it read the file. */
static bool tell_klerod(const struct ctl *ctl)
{
	struct ucred who = {.pid = 0};
	socklen_t len = sizeof who;
	int fd = live_reach(ctl);
	bool told = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
		    who.pid > 1 && kill(who.pid, SIGHUP) == 0;

	if (fd >= 0)
		close(fd);
	return told;
}

int ctl_tls_install(struct ctl *ctl, int argc, char **argv)
{
	static const char now[] = "installed; klerod serves with it for who connects from now on",
			  later[] = "installed; klerod does not run";
	static char pem[PEM_MAX];
	char why[512];
	int status = ctl_read_text(argv[0], pem, PEM_MAX);

	(void)argc;
	if (status == CTL_OK)
		status = look(ctl, argv[0], pem);
	if (status != CTL_OK)
		return status;
	umask(077);
	if (cert_replace(&ctl->conf, pem, why, sizeof why) != KE_OK)
		return ctl_fail(CTL_REFUSED, "%s", why);
	return tell_klerod(ctl) ? ctl_tell(ctl, "words", now, sizeof now - 1)
				: ctl_tell(ctl, "words", later, sizeof later - 1);
}
