/*
 * doctor's look at the machine: kernel, clock, disks, and the certificate's dates and names. Runs
 * in kleroctl.
 */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include "daemon/cli/kleroctl_doctor.h"
#include "sandbox/kernel.h"
#include "sandbox/sandbox.h"

#define MIB        ((uint64_t)1 << 20)
#define ROOM_LEAST (64 * MIB) /* less than this, and sales may fail soon */
#define CERT_DAYS  30
#define CERT_BYTES 16384

void doctor_kernel(struct doctor *d)
{
	struct sandbox_kernel k;
	struct utsname u = {.release = "?"};

	sandbox_kernel(&k);
	(void)!uname(&u);
	if (k.landlock_abi == 0)
		doctor_found(d, DOCTOR_ATTENTION, "landlock",
		    "Linux %s has none (5.13 and later, lsm=landlock): klerod runs, and a captured "
		    "role is held by user, root folder and seccomp alone",
		    u.release);
	else
		doctor_found(d, DOCTOR_OK, "landlock", "ABI %ld%s%s", k.landlock_abi,
		    k.lacks[0] != '\0' ? "; " : "", k.lacks);
	if (!sandbox_has_seccomp())
		doctor_found(d, DOCTOR_ATTENTION, "seccomp", "a sanitizer build goes without");
	else
		doctor_found(d, k.seccomp ? DOCTOR_OK : DOCTOR_BROKEN, "seccomp", "%s",
		    k.seccomp ? "filters that kill the process" : "this kernel has none");
	doctor_found(d, k.seals ? DOCTOR_OK : DOCTOR_BROKEN, "memfd", "%s",
	    k.seals ? "sealed memory without /dev/shm" : "memory cannot be sealed");
	if (k.user_namespaces < 0)
		doctor_found(d, DOCTOR_OK, "namespaces", "none to be had, and none is needed");
	else
		doctor_found(d, DOCTOR_OK, "namespaces",
		    "%ld user namespaces may be made; no role can, and none is needed",
		    k.user_namespaces);
}

/* What was written last: a clock that goes back behind it was set wrong, then or now. */
static int64_t newest(const struct conf *c)
{
	static const char *const names[] = {"klero.db", "klero.db-wal", "klero.keys"};
	char path[RCONF_PATH + 32];
	int64_t last = 0;
	struct stat st;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", c->store, names[i]);
		if (stat(path, &st) == 0 && st.st_mtime > last)
			last = st.st_mtime;
	}
	return last;
}

void doctor_clock(struct doctor *d)
{
	struct timex t = {.modes = 0};
	int64_t now = time(NULL), last = newest(&d->ctl->conf);
	int state = adjtimex(&t);

	if (last > now + 60)
		doctor_found(d, DOCTOR_BROKEN, "clock",
		    "it is %lld s behind what was written last: set it before klerod starts",
		    (long long)(last - now));
	else if (state < 0)
		doctor_found(d, DOCTOR_ATTENTION, "clock", "nobody may ask: %s", strerror(errno));
	else if ((t.status & STA_UNSYNC) != 0)
		doctor_found(d, DOCTOR_ATTENTION, "clock",
		    "not synchronised: raffles close and tokens expire by it; run an NTP client");
	else
		doctor_found(
		    d, DOCTOR_OK, "clock", "synchronised, within %ld ms", t.maxerror / 1000);
}

static uint64_t store_bytes(const struct conf *c)
{
	char path[RCONF_PATH + 32];
	struct stat st;

	snprintf(path, sizeof path, "%s/klero.db", c->store);
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* wanted: what an upgrade's snapshot and some growth take. */
static void look_at_disk(struct doctor *d, const char *path, uint64_t wanted)
{
	struct statvfs v;
	uint64_t room;

	if (statvfs(path, &v) != 0) {
		doctor_found(d, DOCTOR_BROKEN, "disk", "%s: %s", path, strerror(errno));
		return;
	}
	room = (uint64_t)v.f_bavail * v.f_frsize;
	if ((v.f_flag & ST_RDONLY) != 0)
		doctor_found(d, DOCTOR_BROKEN, "disk", "%s: the file system is read-only", path);
	else if (room < ROOM_LEAST || (v.f_files > 0 && v.f_favail == 0))
		doctor_found(d, DOCTOR_BROKEN, "disk", "%s: full: %llu MiB and %llu files are left",
		    path, (unsigned long long)(room / MIB), (unsigned long long)v.f_favail);
	else if (room < wanted)
		doctor_found(d, DOCTOR_ATTENTION, "disk",
		    "%s: %llu MiB are left, an upgrade would want %llu", path,
		    (unsigned long long)(room / MIB), (unsigned long long)(wanted / MIB));
	else
		doctor_found(d, DOCTOR_OK, "disk", "%s: %llu MiB are left", path,
		    (unsigned long long)(room / MIB));
}

void doctor_disk(struct doctor *d)
{
	char journal[RCONF_PATH + 16];

	conf_journal_folder(&d->ctl->conf, journal);
	look_at_disk(d, d->ctl->conf.store, ROOM_LEAST + 2 * store_bytes(&d->ctl->conf));
	look_at_disk(d, journal, ROOM_LEAST);
	if (d->ctl->conf.module_folder[0] != '\0')
		look_at_disk(d, d->ctl->conf.module_folder, ROOM_LEAST);
}

/* --- the certificate --- */

static void look_at_dates(struct doctor *d, const X509 *x)
{
	int days = 0, seconds = 0;
	bool self = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;

	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0) {
		doctor_found(d, DOCTOR_BROKEN, "certificate", "it is not valid yet");
		return;
	}
	if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)) != 1) {
		doctor_found(d, DOCTOR_BROKEN, "certificate", "its dates cannot be read");
		return;
	}
	if (days < 0 || seconds < 0)
		doctor_found(d, DOCTOR_BROKEN, "certificate", "expired %d days ago", -days);
	else
		doctor_found(d, days < CERT_DAYS ? DOCTOR_ATTENTION : DOCTOR_OK, "certificate",
		    "valid for %d days%s", days, self ? ", self-signed" : "");
}

static void look_at_names(struct doctor *d, X509 *x)
{
	const struct conf *c = &d->ctl->conf;

	for (size_t i = 0; i < CONF_NAMES && c->tls_names[i][0] != '\0'; i++) {
		const char *name = c->tls_names[i];

		if (X509_check_host(x, name, 0, 0, NULL) != 1 &&
		    X509_check_ip_asc(x, name, 0) != 1 && strchr(name, '*') == NULL)
			doctor_found(d, DOCTOR_ATTENTION, "certificate",
			    "%s, of tls-names, is not in it", name);
	}
}

void doctor_certificate(struct doctor *d)
{
	static char pem[CERT_BYTES];
	char why[512];
	size_t n = 0;
	BIO *b;
	X509 *x = NULL;

	if (conf_file(d->ctl->conf.tls_certificate, false, pem, sizeof pem, &n, why, sizeof why) !=
	    KE_OK) {
		doctor_found(d, DOCTOR_BROKEN, "certificate", "%s", why);
		return;
	}
	b = BIO_new_mem_buf(pem, (int)n);
	if (b != NULL)
		x = PEM_read_bio_X509(b, NULL, NULL, NULL);
	if (x == NULL) {
		doctor_found(d, DOCTOR_BROKEN, "certificate", "%s holds no certificate",
		    d->ctl->conf.tls_certificate);
	} else {
		look_at_dates(d, x);
		look_at_names(d, x);
	}
	X509_free(x);
	BIO_free(b);
}
