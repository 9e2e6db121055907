/*
 * klerod.conf: what is accepted, and that every mistake is refused with its file and line; PIN
 * files; users of the roles.
 */
#include "tests/unit/forked.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/conf_lines.h"

static void defaults(void **state)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&conf.listen;

	(void)state;
	assert_int_equal(parse(MINIMAL), KE_OK);
	assert_string_equal(conf.host, "raffle.example.org");
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 8443);
	assert_string_equal(conf.keys.label, "klero-keys");
	assert_string_equal(conf.tls.label, "klero-tls");
	assert_int_equal(conf.nets, 2);
	assert_int_equal(conf.kdfs, 2);
	assert_int_equal(conf.kdf_queue, 64);
	assert_int_equal(conf.max_connections, 4096);
	assert_int_equal(conf.header_timeout, 10);
	assert_int_equal(conf.body_timeout, 20);
	assert_int_equal(conf.idle_timeout, 60);
	assert_int_equal(conf.anonymous.count, 100);
	assert_int_equal(conf.anonymous.window_s, 900);
	assert_int_equal(conf.auth.count, 5);
	assert_int_equal(conf.approval.count, 30);
	assert_int_equal(conf.user.count, 1000);
	assert_int_equal(conf.death_budget.count, 5);
	assert_int_equal(conf.death_budget.window_s, 60);
	assert_string_equal(conf.currencies, "EUR");
	assert_string_equal(conf.log_file, "");
	assert_int_equal(conf.uid_base, 0);
}

static void everything(void **state)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&conf.listen;

	(void)state;
	assert_int_equal(
	    parse("# a comment\n\n\t host  h # another\n"
		  "listen [::1]:0\nstore /s\nrun-dir /r\nlog-file -\n"
		  "tls-certificate /c\ntls-names a.example 127.0.0.1 ::1\n"
		  "user-net klero-net\nuser-kdf 4711\nuid-base 60000\n"
		  "pkcs11-module /m\npkcs11-env A_1=b=c\npkcs11-env B=\n"
		  "pkcs11-folder /t\nsofthsm-conf /x\nkeys-token k\nkeys-pin-file /p\n"
		  "tls-token t\ntls-pin-file /q\nnets 16\nkdfs 1\nkdf-queue 1\n"
		  "cors-origin https://a.example\ncors-origin http://localhost:3000\n"
		  "limit-anonymous 1/2\nlimit-auth 3/4\nlimit-approval 7/8\nlimit-user 5/6\n"
		  "currencies EUR CHF\nmax-connections 10\nheader-timeout 1\n"
		  "body-timeout 2\nidle-timeout 3\ndeath-budget 1000/60\n"
		  "payout-limit evm:1 5 10/60\npayout-limit  solana\t1 2/3"),
	    KE_OK);
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_string_equal(conf.tls_names[2], "::1");
	assert_string_equal(conf.users[ROLE_KDF], "4711");
	assert_string_equal(conf.module_env[0], "A_1=b=c");
	assert_string_equal(conf.module_env[1], "B=");
	assert_string_equal(conf.origins[1], "http://localhost:3000");
	assert_string_equal(conf.currencies, "EUR CHF");
	assert_int_equal(conf.death_budget.count, 1000);
	assert_int_equal(conf.approval.count, 7);
	assert_string_equal(conf.payout_limits[0], "evm:1 5 10/60");
	assert_string_equal(conf.payout_limits[1], "solana 1 2/3");
}

static void mistakes_name_the_line(void **state)
{
	(void)state;
	refuses("colour blue", "k.conf:9: unknown keyword colour");
	refuses("\x1b[2Jhost", "k.conf:9: a control character");
	refuses("h\xc3\xb6st x", "k.conf:9: not a keyword");
	refuses("host again.example", "k.conf:9: host stands twice");
	refuses("nets", "k.conf:9: nets wants");
	refuses("nets 0", "k.conf:9: nets wants");
	refuses("nets 17", "k.conf:9: nets wants");
	refuses("nets 2 3", "k.conf:9: nets wants");
	refuses("nets -1", "k.conf:9: nets wants");
	refuses("nets 0x2", "k.conf:9: nets wants");
	refuses("kdf-queue 4294967297", "k.conf:9: kdf-queue wants");
	refuses("kdf-queue 99999999999999999999", "k.conf:9: kdf-queue wants");
	refuses("limit-auth 5", "k.conf:9: limit-auth wants");
	refuses("limit-auth 0/5", "k.conf:9: limit-auth wants");
	refuses("limit-auth 5/0", "k.conf:9: limit-auth wants");
	refuses("log-file relative", "k.conf:9: log-file wants");
	refuses("keys-token a-label-of-more-than-32-characters", "k.conf:9: keys-token wants");
	refuses("user-net root", "k.conf:9: user-net wants");
	refuses("user-net 0", "k.conf:9: user-net wants");
	refuses("user-net 12ab", "k.conf:9: user-net wants");
	refuses("uid-base 0", "k.conf:9: uid-base wants");
	refuses("currencies eur", "k.conf:9: currencies wants");
	refuses("currencies EUR EUR", "k.conf:9: currencies wants");
	refuses("cors-origin *", "k.conf:9: cors-origin wants");
	refuses("cors-origin https://a.example/path", "k.conf:9: cors-origin wants");
	refuses("pkcs11-parameters", "k.conf:9: pkcs11-parameters wants");
	refuses("pkcs11-env lower=1", "k.conf:9: pkcs11-env wants");
	refuses("pkcs11-env =1", "k.conf:9: pkcs11-env wants");
	refuses("pkcs11-env A=1\npkcs11-env B=1\npkcs11-env C=1\npkcs11-env D=1\npkcs11-env E=1",
	    "k.conf:13: pkcs11-env wants");
	refuses("tls-names a b c d e f g h i", "k.conf:9: tls-names wants");
	refuses("tls-names a_b", "k.conf:9: tls-names wants");
	refuses("log-file /a /b", "k.conf:9: log-file wants");
	refuses("keys-token a b", "k.conf:9: keys-token wants");
	refuses("user-net a b", "k.conf:9: user-net wants");
	refuses("user-net a/b", "k.conf:9: user-net wants");
	refuses("limit-auth 5/ 6", "k.conf:9: limit-auth wants");
	refuses("limit-auth 5/6/7", "k.conf:9: limit-auth wants");
	refuses("limit-auth /5", "k.conf:9: limit-auth wants");
	refuses("currencies EURO", "k.conf:9: currencies wants");
	refuses("currencies E1R", "k.conf:9: currencies wants");
	refuses("cors-origin https://a https://b", "k.conf:9: cors-origin wants");
	refuses("cors-origin ftp://a.example", "k.conf:9: cors-origin wants");
	refuses("payout-limit evm:1 1 2", "k.conf:9: payout-limit wants");
	refuses("payout-limit evm:1 3 2/60", "k.conf:9: payout-limit wants");
	refuses("payout-limit evm:0 1 2/60", "k.conf:9: payout-limit wants");
	refuses("payout-limit bitcoin 1 2/60", "k.conf:9: payout-limit wants");
	refuses("payout-limit evm:1 1 2/60\npayout-limit evm:1 3 4/60",
	    "k.conf:10: payout-limit wants");
	refuses("pkcs11-env A", "k.conf:9: pkcs11-env wants");
	refuses("pkcs11-env A=1 B=2", "k.conf:9: pkcs11-env wants");
	refuses("pkcs11-store", "k.conf:9: pkcs11-store wants files or database");
	refuses("tls-names 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
	    "k.conf:9: too many words");
}

/* host is among what MINIMAL says, so it is replaced there. */
static void hosts(void **state)
{
	static const char *const bad[] = {"a b", "a_b", "a/b", "caf\xc3\xa9"};
	const char *rest = strchr(MINIMAL, '\n') + 1;
	char text[4096], name[140];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "host %s\n%s", bad[i], rest);
		assert_int_equal(parse(text), KE_FORMAT);
		assert_non_null(strstr(why, "k.conf:1: "));
	}
	memset(name, 'h', sizeof name);
	name[129] = '\0';
	snprintf(text, sizeof text, "host %s\n%s", name, rest);
	assert_int_equal(parse(text), KE_FORMAT);
	name[128] = '\0';
	snprintf(text, sizeof text, "host %s\n%s", name, rest);
	assert_int_equal(parse(text), KE_OK);
}

/* As many as there may be, and one more. */
static void lists_are_bounded(void **state)
{
	char line[4096] = "currencies";
	size_t n = strlen(line);

	(void)state;
	for (int i = 0; i < 31; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%sA%c%c",
		    i % 15 == 0 && i > 0 ? "\ncurrencies " : " ", 'A' + i / 26, 'A' + i % 26);
	/* a second line of the same keyword is a mistake, so no list grows that way */
	refuses(line, "k.conf:10: currencies stands twice");
	n = 0;
	for (int i = 0; i <= RCONF_ORIGINS; i++)
		n += (size_t)snprintf(
		    line + n, sizeof line - n, "%scors-origin https://a%d", i > 0 ? "\n" : "", i);
	refuses(line, "k.conf:25: cors-origin wants");
	n = (size_t)snprintf(line, sizeof line, "cors-origin https://");
	memset(line + n, 'a', RCONF_PATH);
	line[n + RCONF_PATH] = '\0';
	refuses(line, "k.conf:9: cors-origin wants");
}

static void addresses(void **state)
{
	static const char *const bad[] = {"[::1]x:80", "[::1:80", "127.0.0.1", "localhost:80",
	    "127.0.0.1:65536", "127.0.0.1:", "[::1:80", "[::1]", "::1:80", ":80", "127.0.0.1:8 0",
	    "[127.0.0.1]:80"};
	const char *rest = strchr(strchr(MINIMAL, '\n') + 1, '\n') + 1;
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		snprintf(text, sizeof text, "host h\nlisten %s\n%s", bad[i], rest);
		assert_int_equal(parse(text), KE_FORMAT);
		assert_non_null(strstr(why, "k.conf:2: listen wants"));
	}
}

static void what_is_required(void **state)
{
	char text[4096];
	int missing = 0;

	(void)state;
	for (const char *line = MINIMAL; *line != '\0'; line = strchr(line, '\n') + 1) {
		size_t before = (size_t)(line - MINIMAL);

		snprintf(text, sizeof text, "%.*s%s", (int)before, MINIMAL, strchr(line, '\n') + 1);
		assert_int_equal(parse(text), KE_FORMAT);
		assert_non_null(strstr(why, "is missing"));
		missing++;
	}
	assert_int_equal(missing, 8);
}

static void odd_texts(void **state)
{
	char line[2048];

	(void)state;
	memset(line, 'a', sizeof line - 1);
	line[sizeof line - 1] = '\0';
	refuses(line, "k.conf:9: the line is too long");
	refuses("nets 2\r", "k.conf:9: a control character");
	assert_int_equal(conf_parse(&conf, "k.conf", "host a\0b\n", 9, why, sizeof why), KE_FORMAT);
	assert_non_null(strstr(why, "k.conf:1: a control character"));
	line[300] = '\0';
	line[0] = '/';
	memmove(line + 9, line, 301);
	memcpy(line, "log-file ", 9);
	refuses(line, "k.conf:9: log-file wants");
}

/* A secret file with this mode and content; the result of reading it as a PIN. */
static int pin_of(const char *text, mode_t mode, char *pin)
{
	char path[] = "/tmp/klero-pin-XXXXXX";
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	r = conf_pin(path, pin, why, sizeof why);
	unlink(path);
	return r;
}

static void pins(void **state)
{
	char pin[CONF_PIN_MAX + 1], longest[CONF_PIN_MAX + 8];

	(void)state;
	assert_int_equal(pin_of("1234\n", 0400, pin), KE_OK);
	assert_string_equal(pin, "1234");
	assert_int_equal(pin_of("a-longer.PIN", 0600, pin), KE_OK);
	assert_string_equal(pin, "a-longer.PIN");
	assert_int_equal(pin_of("123\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("1234\n5678\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("12 34\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("12345\x7f\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("12345\r\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("12345\xc3\xa9\n", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("", 0400, pin), KE_FORMAT);
	assert_int_equal(pin_of("1234\n", 0440, pin), KE_DENIED);
	assert_non_null(strstr(why, "chmod 0400"));
	assert_int_equal(pin_of("1234\n", 0404, pin), KE_DENIED);
	memset(longest, '7', sizeof longest);
	longest[CONF_PIN_MAX + 1] = '\0';
	assert_int_equal(pin_of(longest, 0400, pin), KE_LONG);
}

static void links_and_other_things_are_refused(void **state)
{
	char folder[] = "/tmp/klero-conf-XXXXXX", target[64], name[64], buf[16];
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(target, sizeof target, "%s/target", folder);
	snprintf(name, sizeof name, "%s/name", folder);
	close(open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(symlink(target, name), 0);
	assert_int_equal(conf_file(name, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
	assert_non_null(strstr(why, "symbolic link"));
	assert_int_equal(conf_file(folder, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
	unlink(name);
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(conf_file(name, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
	unlink(name);
	assert_int_equal(conf_file(name, false, buf, sizeof buf, &n, why, sizeof why), KE_NOTFOUND);
	assert_int_equal(chmod(target, 0622), 0);
	assert_int_equal(conf_file(target, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
	assert_non_null(strstr(why, "can be written by others"));
	assert_int_equal(chmod(target, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(target, 59900, 59900), 0);
		assert_int_equal(
		    conf_file(target, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
		assert_non_null(strstr(why, "belongs to somebody else"));
	}
	unlink(target);
	rmdir(folder);
}

static void users(void **state)
{
	struct rconf_identity id;

	(void)state;
	assert_int_equal(parse_line("uid-base 59900"), KE_OK);
	if (geteuid() != 0) {
		assert_int_equal(conf_identity(&conf, ROLE_NET, &id, why, sizeof why), KE_OK);
		assert_false(id.drop);
		return;
	}
	assert_int_equal(conf_identity(&conf, ROLE_HSM, &id, why, sizeof why), KE_OK);
	assert_true(id.drop);
	assert_int_equal(id.uid, 59902);
	assert_int_equal(id.gid, 59902);
	assert_int_equal(parse_line("user-net no-such-user-here"), KE_OK);
	assert_int_equal(conf_identity(&conf, ROLE_NET, &id, why, sizeof why), KE_NOTFOUND);
	assert_non_null(strstr(why, "no-such-user-here"));
	assert_int_equal(parse_line("user-net 59902\nuid-base 59900"), KE_OK);
	assert_int_equal(conf_identity(&conf, ROLE_NET, &id, why, sizeof why), KE_EXISTS);
}

/* What the system says of a file while it is read: errno of the next calls, 0: the real one. */
static int read_error, fstat_error;
/* Counts down; the fsync that finds 1 fails. 0: none. */
static int fsync_at;

ssize_t read(int fd, void *buf, size_t n)
{
	if (read_error != 0) {
		errno = read_error;
		read_error = 0;
		return -1;
	}
	return syscall(SYS_read, fd, buf, n);
}

int fstat(int fd, struct stat *st)
{
	if (fstat_error != 0) {
		errno = fstat_error;
		fstat_error = 0;
		return -1;
	}
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}

static void files_that_cannot_be_read(void **state)
{
	char buf[16], path[] = "/tmp/klero-file-XXXXXX";
	int fd = mkstemp(path);
	size_t n;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	fstat_error = EIO;
	assert_int_equal(conf_file(path, false, buf, sizeof buf, &n, why, sizeof why), KE_DENIED);
	read_error = EINTR; /* once more */
	assert_int_equal(conf_file(path, false, buf, sizeof buf, &n, why, sizeof why), KE_OK);
	assert_int_equal(n, 4);
	read_error = EIO;
	assert_int_equal(conf_file(path, false, buf, sizeof buf, &n, why, sizeof why), KE_IO);
	assert_int_equal(conf_file(path, false, buf, 3, &n, why, sizeof why), KE_LONG);
	unlink(path);
}

int fsync(int fd)
{
	if (fsync_at != 0 && --fsync_at == 0) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

/* The journal of hsm: made once and found again; nothing else is taken for it. */
static void journals(void **state)
{
	char folder[] = "/tmp/klero-store-XXXXXX", own[RCONF_PATH + 16], path[RCONF_PATH + 32];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(parse(MINIMAL), KE_OK);
	snprintf(conf.store, sizeof conf.store, "%s/none/db", folder);
	assert_int_equal(conf_journal(&conf, why, sizeof why), KE_IO);
	assert_non_null(strstr(why, "No such file"));
	snprintf(conf.store, sizeof conf.store, "%s/db", folder);
	conf_journal_folder(&conf, own);
	snprintf(path, sizeof path, "%s/" CONF_JOURNAL, own);
	/* of the file, of its folder, of the folder above */
	for (int n = 1; n <= 3; n++) {
		fsync_at = n;
		assert_int_equal(conf_journal(&conf, why, sizeof why), KE_IO);
		assert_non_null(strstr(why, path));
		assert_int_equal(unlink(path), 0);
	}
	for (int i = 0; i < 2; i++) {
		fd = conf_journal(&conf, why, sizeof why);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, "a", 1), 1);
		close(fd);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(lseek(fd, 0, SEEK_END), 2);
	close(fd);
	fstat_error = EIO;
	assert_int_equal(conf_journal(&conf, why, sizeof why), KE_IO);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(conf_journal(&conf, why, sizeof why), KE_DENIED);
	assert_non_null(strstr(why, "is a secret that others can read"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(conf_journal(&conf, why, sizeof why), KE_IO);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(own), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void whole_file(void **state)
{
	char path[] = "/tmp/klero-conf-XXXXXX", none[64];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, MINIMAL, strlen(MINIMAL)), (ssize_t)strlen(MINIMAL));
	close(fd);
	assert_int_equal(conf_read(&conf, path, why, sizeof why), KE_OK);
	assert_string_equal(conf.file, path);
	snprintf(none, sizeof none, "%s.none", path);
	assert_int_equal(conf_read(&conf, none, why, sizeof why), KE_NOTFOUND);
	unlink(path);
}

/* In a child, for it gives up being root. */
static void as_nobody(void *arg)
{
	struct rconf_identity id;

	(void)arg;
	if (geteuid() == 0 && setresuid(59990, 59990, 59990) != 0)
		_exit(1);
	if (conf_identity(&conf, ROLE_NET, &id, why, sizeof why) != KE_OK || id.drop ||
	    id.uid != geteuid() || id.gid != getegid())
		_exit(2);
}

static void identities(void **state)
{
	struct rconf_identity id;

	(void)state;
	assert_int_equal(parse_line("uid-base 59900"), KE_OK);
	forked_expect(as_nobody, NULL, FORKED_RETURNED, NULL);
	if (geteuid() != 0)
		return;
	/* nobody's child has no user, root is none, and a named one is asked for by name */
	assert_int_equal(conf_identity(&conf, ROLE_CTL, &id, why, sizeof why), KE_INTERNAL);
	assert_int_equal(parse_line("user-hsm daemon\nuid-base 59900"), KE_OK);
	assert_int_equal(conf_identity(&conf, ROLE_HSM, &id, why, sizeof why), KE_OK);
	assert_int_equal(id.uid, getpwnam("daemon")->pw_uid);
	assert_int_equal(conf_identity(&conf, ROLE_NET, &id, why, sizeof why), KE_OK);
	assert_int_equal(parse_line("user-net no-such-user-here\nuid-base 59900"), KE_OK);
	assert_int_equal(conf_identity(&conf, ROLE_KDF, &id, why, sizeof why), KE_OK);
	assert_int_equal(parse(MINIMAL), KE_OK);
	assert_int_equal(conf_identity(&conf, ROLE_KDF, &id, why, sizeof why), KE_NOTFOUND);
	assert_non_null(strstr(why, "set uid-base"));
	/* the parser refuses these names; the last door does too */
	snprintf(conf.users[ROLE_NET], sizeof conf.users[ROLE_NET], "root");
	assert_int_equal(conf_identity(&conf, ROLE_NET, &id, why, sizeof why), KE_DENIED);
	assert_non_null(strstr(why, "user-net must not be root"));
}

static void tokens(void **state)
{
	struct rconf_token t;

	(void)state;
	assert_int_equal(
	    parse_line("pkcs11-parameters configdir='sql:/k'  tokens=<0x4=[a='b c']>"), KE_OK);
	assert_int_equal(conf_token(&conf, &conf.keys, &t, why, sizeof why), KE_OK);
	assert_string_equal(t.params, "configdir='sql:/k' tokens=<0x4=[a='b c']>");
	assert_int_equal(parse_line("pkcs11-env A=1"), KE_OK);
	assert_string_equal(conf.module_params, "");
	assert_int_equal(conf_token(&conf, &conf.tls, &t, why, sizeof why), KE_OK);
	assert_string_equal(t.label, "klero-tls");
	assert_string_equal(t.env[1], "");
	memset(conf.softhsm_conf, 'p', sizeof conf.softhsm_conf - 1);
	assert_int_equal(conf_token(&conf, &conf.tls, &t, why, sizeof why), KE_LONG);
	assert_int_equal(parse_line("pkcs11-env A=1\nsofthsm-conf /etc/s.conf"), KE_OK);
	assert_int_equal(conf_token(&conf, &conf.keys, &t, why, sizeof why), KE_OK);
	assert_string_equal(t.label, "klero-keys");
	assert_string_equal(t.env[0], "A=1");
	assert_string_equal(t.env[1], "SOFTHSM2_CONF=/etc/s.conf");
	assert_string_equal(t.pin, "");
	assert_int_equal(parse_line("pkcs11-env A=1\npkcs11-env B=1\npkcs11-env C=1\npkcs11-env "
				    "D=1\nsofthsm-conf /etc/s.conf"),
	    KE_OK);
	assert_int_equal(conf_token(&conf, &conf.keys, &t, why, sizeof why), KE_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(everything),
	    cmocka_unit_test(mistakes_name_the_line),
	    cmocka_unit_test(hosts),
	    cmocka_unit_test(lists_are_bounded),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(what_is_required),
	    cmocka_unit_test(odd_texts),
	    cmocka_unit_test(pins),
	    cmocka_unit_test(links_and_other_things_are_refused),
	    cmocka_unit_test(users),
	    cmocka_unit_test(files_that_cannot_be_read),
	    cmocka_unit_test(journals),
	    cmocka_unit_test(whole_file),
	    cmocka_unit_test(identities),
	    cmocka_unit_test(tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
