/*
 * The parser of klerod.conf: see conf.h. `keyword value...` lines, words parted by blanks, a
 * comment from a # at a word's start to the end of the line. Pure; runs in parent and kleroctl.
 */
#include "daemon/conf/conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/note.h"
#include "policy/paylimit.h"

#define LINE_MAX_BYTES 1024
#define WORDS          20

/* The words of a line after its keyword. */
struct value {
	char *word[WORDS];
	size_t n;
};

struct keyword;
/* Sets the field; false when the value is not of the keyword's type. */
typedef bool setter(const struct keyword *k, void *field, const struct value *v);

static setter set_path, set_label, set_host, set_number, set_limit, set_listen, set_user, set_names,
    set_origin, set_url, set_paths, set_address, set_env, set_text, set_store, set_yes,
    set_currencies, set_payout_limit, set_escrow, set_log;

struct keyword {
	const char *word;
	setter *set;
	size_t at, size;   /* of the field in struct conf */
	const char *value; /* without it; NULL when the keyword is required, "" for no value */
	const char *wants; /* for the message */
	uint32_t min, max; /* numbers */
	bool repeat;       /* may stand several times */
};

#define FIELD(f) offsetof(struct conf, f), sizeof((struct conf *)0)->f
#define A_LABEL  "a label of up to 32 characters"
#define A_PATH   "an absolute path of less than 256 characters"
#define A_USER   "the name or number of a user that is not root"
#define A_TEXT   "a text of less than 512 characters"
#define A_URL    "https://name[:port][/path]"
#define A_LIMIT  "a count and seconds, such as 100/900"
#define DAY      86400

static const struct keyword keywords[] = {
    {"host", set_host, FIELD(host), NULL, "a host name", 0, 0, false},
    {"listen", set_listen, FIELD(listen), NULL, "address:port, or [address]:port", 0, 0, false},
    {"store", set_path, FIELD(store), NULL, A_PATH, 0, 0, false},
    {"run-dir", set_path, FIELD(run_dir), NULL, A_PATH, 0, 0, false},
    {"log-file", set_path, FIELD(log_file), "", A_PATH " or -", 0, 0, false},
    {"log-syslog", set_path, FIELD(log_syslog), "", A_PATH, 0, 0, false},
    {"tls-certificate", set_path, FIELD(tls_certificate), NULL, A_PATH, 0, 0, false},
    {"backup-folder", set_path, FIELD(backup_folder), "", A_PATH, 0, 0, false},
    {"backup-keep", set_number, FIELD(backup_keep), "14", "a number from 1 to 10000", 1, 10000,
	false},
    {"tls-names", set_names, FIELD(tls_names), "", "up to 8 host names or addresses", 0, 0, false},
    {"user-net", set_user, FIELD(users[ROLE_NET]), "", A_USER, 0, 0, false},
    {"user-engine", set_user, FIELD(users[ROLE_ENGINE]), "", A_USER, 0, 0, false},
    {"user-hsm", set_user, FIELD(users[ROLE_HSM]), "", A_USER, 0, 0, false},
    {"user-tlskey", set_user, FIELD(users[ROLE_TLSKEY]), "", A_USER, 0, 0, false},
    {"user-keyadm", set_user, FIELD(users[ROLE_KEYADM]), "", A_USER, 0, 0, false},
    {"user-kdf", set_user, FIELD(users[ROLE_KDF]), "", A_USER, 0, 0, false},
    {"user-out", set_user, FIELD(users[ROLE_OUT]), "", A_USER, 0, 0, false},
    {"user-beacon", set_user, FIELD(users[ROLE_BEACON]), "", A_USER, 0, 0, false},
    {"uid-base", set_number, FIELD(uid_base), "", "a user number from 1 to 4000000000", 1,
	4000000000, false},
    {"pkcs11-module", set_path, FIELD(module), NULL, A_PATH, 0, 0, false},
    {"pkcs11-env", set_env, FIELD(module_env), "", "NAME=value, at most 4 of them", 0, 0, true},
    {"pkcs11-parameters", set_text, FIELD(module_params), "", A_TEXT, 0, 0, false},
    {"pkcs11-store", set_store, FIELD(module_store), "files", "files or database", 0, 0, false},
    {"pkcs11-folder", set_path, FIELD(module_folder), "", A_PATH, 0, 0, false},
    {"softhsm-conf", set_path, FIELD(softhsm_conf), "", A_PATH, 0, 0, false},
    {"keys-token", set_label, FIELD(keys.label), "klero-keys", A_LABEL, 0, 0, false},
    {"keys-parameters", set_text, FIELD(keys.params), "", A_TEXT, 0, 0, false},
    {"keys-pin-file", set_path, FIELD(keys.pin_file), NULL, A_PATH, 0, 0, false},
    {"tls-token", set_label, FIELD(tls.label), "klero-tls", A_LABEL, 0, 0, false},
    {"tls-parameters", set_text, FIELD(tls.params), "", A_TEXT, 0, 0, false},
    {"tls-pin-file", set_path, FIELD(tls.pin_file), NULL, A_PATH, 0, 0, false},
    {"nets", set_number, FIELD(nets), "2", "a number from 1 to 16", 1, CONF_CHILD_MAX, false},
    {"kdfs", set_number, FIELD(kdfs), "2", "a number from 1 to 16", 1, CONF_CHILD_MAX, false},
    {"kdf-queue", set_number, FIELD(kdf_queue), "64", "a number from 1 to 4096", 1, 4096, false},
    {"cors-origin", set_origin, FIELD(origins), "", "https://name[:port], at most 16 of them", 0, 0,
	true},
    {"limit-anonymous", set_limit, FIELD(anonymous), "100/900", A_LIMIT, 1, DAY, false},
    {"limit-auth", set_limit, FIELD(auth), "5/900", A_LIMIT, 1, DAY, false},
    {"limit-approval", set_limit, FIELD(approval), "30/900", A_LIMIT, 1, DAY, false},
    {"limit-logs", set_limit, FIELD(logs), "3000/60", A_LIMIT, 1, DAY, false},
    {"limit-user", set_limit, FIELD(user), "1000/900", A_LIMIT, 1, DAY, false},
    {"currencies", set_currencies, FIELD(currencies), "EUR", "codes of three capital letters", 0, 0,
	false},
    {"max-connections", set_number, FIELD(max_connections), "4096", "a number from 1 to 60000", 1,
	60000, false},
    {"header-timeout", set_number, FIELD(header_timeout), "10", "seconds from 1 to 3600", 1, 3600,
	false},
    {"body-timeout", set_number, FIELD(body_timeout), "20", "seconds from 1 to 3600", 1, 3600,
	false},
    {"idle-timeout", set_number, FIELD(idle_timeout), "60", "seconds from 1 to 3600", 1, 3600,
	false},
    {"token-publish", set_number, FIELD(token_publish), "300", "seconds from 1 to 86400", 1, DAY,
	false},
    {"hsm-objects", set_number, FIELD(hsm_objects), "100000", "a number from 100 to 10000000", 100,
	10000000, false},
    {"draw-approval", set_yes, FIELD(draw_approval), "no", "yes or no", 0, 0, false},
    {"payout-limit", set_payout_limit, FIELD(payout_limits), "",
	"evm:<chain id> or solana, the most of one payout, the most of all/seconds, at most 8 "
	"chains; then, if wanted, the cost above which officers must approve",
	0, 0, true},
    {"escrow", set_escrow, FIELD(escrow), "",
	"how many officers open it, and the absolute paths of the public keys of at most 16", 0, 0,
	false},
    {"witness-log", set_log, FIELD(witness_logs), "",
	"the verifier key of another appliance's operator log, at most 16 of them", 0, 0, true},
    {"witness-policy", set_path, FIELD(witness_policy), "", A_PATH, 0, 0, false},
    {"drand-chain", set_paths, FIELD(drand_chains), "",
	CONF_QUICKNET " or an absolute path of less than 256 characters, at most 4 of them", 0, 0,
	true},
    {"drand-relay", set_url, FIELD(drand_relays), "", A_URL ", at most 8 of them", 0, 0, true},
    {"nist-beacon", set_url, FIELD(nist_beacons), "", A_URL ", at most 4 of them", 0, 0, true},
    {"nist-certificate", set_paths, FIELD(nist_certificates), "", A_PATH ", at most 4 of them", 0,
	0, true},
    {"beacon-delay", set_number, FIELD(beacon_delay), "600", "seconds from 1 to 86400", 1, DAY,
	false},
    {"out-authorities", set_path, FIELD(out_authorities), "/etc/ssl/certs/ca-certificates.crt",
	A_PATH, 0, 0, false},
    {"out-resolver", set_address, FIELD(out_resolvers), "",
	"an IPv4 address, or address:port, at most 3 of them", 0, 0, true},
    {"death-budget", set_limit, FIELD(death_budget), "5/60", A_LIMIT, 1, DAY, false},
};

#define KEYWORDS (sizeof keywords / sizeof keywords[0])
_Static_assert(KEYWORDS <= CONF_KEYWORDS_MAX, "the lines of all keywords have room");

struct parser {
	struct conf *conf;
	const char *name; /* the file's */
	unsigned line;
	char *why;
	size_t whylen;
};

static bool copy(void *field, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		return false;
	memcpy(field, s, n + 1);
	return true;
}

static bool number(const char *s, uint32_t min, uint32_t max, uint32_t *v)
{
	uint64_t sum = 0;

	if (*s == '\0' || strlen(s) > 10)
		return false;
	for (; *s != '\0'; s++) {
		if (!isdigit((unsigned char)*s))
			return false;
		sum = sum * 10 + (uint64_t)(*s - '0');
	}
	if (sum < min || sum > max)
		return false;
	*v = (uint32_t)sum;
	return true;
}

/* Only the characters of host names and addresses. */
static bool is_name(const char *s, const char *more)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr(more, *s) == NULL)
			return false;
	return true;
}

static bool set_path(const struct keyword *k, void *field, const struct value *v)
{
	if (v->n != 1)
		return false;
	if (strcmp(k->word, "log-file") == 0 && strcmp(v->word[0], "-") == 0)
		return copy(field, k->size, "");
	return v->word[0][0] == '/' && copy(field, k->size, v->word[0]);
}

static bool set_label(const struct keyword *k, void *field, const struct value *v)
{
	/* CK_TOKEN_INFO.label has 32 bytes */
	return v->n == 1 && strlen(v->word[0]) <= 32 && copy(field, k->size, v->word[0]);
}

static bool set_host(const struct keyword *k, void *field, const struct value *v)
{
	return v->n == 1 && is_name(v->word[0], ".-") && strlen(v->word[0]) <= 128 &&
	       copy(field, k->size, v->word[0]);
}

static bool set_user(const struct keyword *k, void *field, const struct value *v)
{
	uint32_t uid;

	if (v->n != 1 || !is_name(v->word[0], "_-.$") || strcmp(v->word[0], "root") == 0)
		return false;
	if (isdigit((unsigned char)v->word[0][0]) && !number(v->word[0], 1, UINT32_MAX - 1, &uid))
		return false;
	return copy(field, k->size, v->word[0]);
}

static bool set_number(const struct keyword *k, void *field, const struct value *v)
{
	return v->n == 1 && number(v->word[0], k->min, k->max, field);
}

static bool set_limit(const struct keyword *k, void *field, const struct value *v)
{
	struct rconf_limit *limit = field;
	char *slash;

	if (v->n != 1 || (slash = strchr(v->word[0], '/')) == NULL)
		return false;
	*slash = '\0';
	return number(v->word[0], 1, UINT32_MAX, &limit->count) &&
	       number(slash + 1, k->min, k->max, &limit->window_s);
}

/* The address before the last colon; IPv6 in brackets. The length stands beside the field. */
static bool set_listen(const struct keyword *k, void *field, const struct value *v)
{
	struct conf *c = (struct conf *)((char *)field - k->at);
	struct sockaddr_in *in = field;
	struct sockaddr_in6 *in6 = field;
	char *address = v->word[0], *colon, *bracket;
	uint32_t port;

	if (v->n != 1 || (colon = strrchr(address, ':')) == NULL)
		return false;
	*colon = '\0';
	if (!number(colon + 1, 0, 65535, &port))
		return false;
	if (address[0] != '[') {
		c->listen_len = sizeof *in;
		*in = (struct sockaddr_in){AF_INET, htons((uint16_t)port), {0}, {0}};
		return inet_pton(AF_INET, address, &in->sin_addr) == 1;
	}
	bracket = strchr(address, ']');
	if (bracket == NULL || bracket[1] != '\0')
		return false;
	*bracket = '\0';
	c->listen_len = sizeof *in6;
	*in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	return inet_pton(AF_INET6, address + 1, &in6->sin6_addr) == 1;
}

/* Puts s into the first free place of a list of strings. */
static bool append(const struct keyword *k, void *field, const char *s)
{
	char *place = field;

	for (size_t i = 0; i < k->size / RCONF_PATH; i++, place += RCONF_PATH)
		if (place[0] == '\0')
			return copy(place, RCONF_PATH, s);
	return false;
}

static bool set_names(const struct keyword *k, void *field, const struct value *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (!is_name(v->word[i], ".-:*") || !append(k, field, v->word[i]))
			return false;
	return v->n > 0;
}

static bool set_origin(const struct keyword *k, void *field, const struct value *v)
{
	const char *rest;

	if (v->n != 1)
		return false;
	rest = strstr(v->word[0], "://");
	if (rest == NULL || !is_name(rest + 3, ".-:[]"))
		return false;
	return (strncmp(v->word[0], "https://", 8) == 0 ||
		   strncmp(v->word[0], "http://", 7) == 0) &&
	       append(k, field, v->word[0]);
}

/* Cuts ":port" off, where there is one; false when it is none. */
static bool cut_port(char *s)
{
	char *colon = strchr(s, ':');
	uint32_t port;

	if (colon == NULL)
		return true;
	*colon = '\0';
	return number(colon + 1, 1, 65535, &port);
}

/* What comes after it is put behind a slash, so it ends without one. */
static bool set_url(const struct keyword *k, void *field, const struct value *v)
{
	char name[RCONF_PATH], *path;

	if (v->n != 1 || strncmp(v->word[0], "https://", 8) != 0 ||
	    !copy(name, sizeof name, v->word[0] + 8))
		return false;
	path = strchr(name, '/');
	if (path != NULL && (!is_name(path, "/.-_~") || path[strlen(path) - 1] == '/'))
		return false;
	if (path != NULL)
		*path = '\0';
	return cut_port(name) && is_name(name, ".-") && append(k, field, v->word[0]);
}

static bool set_paths(const struct keyword *k, void *field, const struct value *v)
{
	bool built_in = strcmp(k->word, "drand-chain") == 0 && v->n == 1 &&
			strcmp(v->word[0], CONF_QUICKNET) == 0;

	return v->n == 1 && (built_in || v->word[0][0] == '/') && append(k, field, v->word[0]);
}

static bool set_address(const struct keyword *k, void *field, const struct value *v)
{
	char address[RCONF_PATH];
	struct in_addr in;

	return v->n == 1 && copy(address, sizeof address, v->word[0]) && cut_port(address) &&
	       inet_pton(AF_INET, address, &in) == 1 && append(k, field, v->word[0]);
}

static bool set_env(const struct keyword *k, void *field, const struct value *v)
{
	const char *equals;

	if (v->n != 1 || (equals = strchr(v->word[0], '=')) == NULL || equals == v->word[0])
		return false;
	for (const char *s = v->word[0]; s < equals; s++)
		if (!isupper((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_')
			return false;
	return append(k, field, v->word[0]);
}

/* Words that are one text; it cannot hold two blanks in a row, and needs none. */
static bool set_text(const struct keyword *k, void *field, const struct value *v)
{
	char *text = field;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		int more = snprintf(text + n, k->size - n, n == 0 ? "%s" : " %s", v->word[i]);

		if (more < 0 || (size_t)more >= k->size - n)
			return false;
		n += (size_t)more;
	}
	return n > 0;
}

/* One line for each chain. */
static bool set_payout_limit(const struct keyword *k, void *field, const struct value *v)
{
	char(*list)[RCONF_PATH] = field, text[PAYLIMIT_TEXT_MAX];
	struct paylimit l;
	int n;

	if (v->n != 3 && v->n != 4)
		return false;
	n = snprintf(text, sizeof text, "%s %s %s%s%s", v->word[0], v->word[1], v->word[2],
	    v->n == 4 ? " " : "", v->n == 4 ? v->word[3] : "");
	if (n < 0 || n >= (int)sizeof text || paylimit_parse(&l, text) != KE_OK)
		return false;
	for (size_t i = 0; i < RCONF_PAYLIMITS; i++)
		if (strncmp(list[i], text, strlen(v->word[0]) + 1) == 0)
			return false;
	return append(k, field, text);
}

static bool set_escrow(const struct keyword *k, void *field, const struct value *v)
{
	struct conf_escrow *e = field;

	(void)k;
	if (v->n < 2 || v->n > 1 + RCONF_ESCROW ||
	    !number(v->word[0], 1, (uint32_t)v->n - 1, &e->m))
		return false;
	for (size_t i = 1; i < v->n; i++)
		if (v->word[i][0] != '/' || !copy(e->files[i - 1], RCONF_PATH, v->word[i]))
			return false;
	return true;
}

/* One line for each appliance; a log has one key. */
static bool set_log(const struct keyword *k, void *field, const struct value *v)
{
	char(*list)[RCONF_VKEY] = field;
	struct note_key key, other;

	(void)k;
	if (v->n != 1 || strlen(v->word[0]) >= RCONF_VKEY ||
	    note_vkey_parse(&key, v->word[0], strlen(v->word[0])) != KE_OK)
		return false;
	for (size_t i = 0; i < RCONF_LOGS; i++) {
		if (list[i][0] == '\0')
			return copy(list[i], RCONF_VKEY, v->word[0]);
		if (note_vkey_parse(&other, list[i], strlen(list[i])) != KE_OK ||
		    strcmp(other.name, key.name) == 0)
			return false;
	}
	return false;
}

static bool set_store(const struct keyword *k, void *field, const struct value *v)
{
	uint8_t *store = field;

	(void)k;
	if (v->n != 1)
		return false;
	*store = strcmp(v->word[0], "database") == 0 ? RCONF_STORE_DATABASE : RCONF_STORE_FILES;
	return *store == RCONF_STORE_DATABASE || strcmp(v->word[0], "files") == 0;
}

static bool set_yes(const struct keyword *k, void *field, const struct value *v)
{
	uint8_t *yes = field;

	(void)k;
	if (v->n != 1)
		return false;
	*yes = strcmp(v->word[0], "yes") == 0;
	return *yes == 1 || strcmp(v->word[0], "no") == 0;
}

static bool set_currencies(const struct keyword *k, void *field, const struct value *v)
{
	char *list = field;
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++) {
		const char *w = v->word[i];

		if (strlen(w) != 3 || strspn(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
			return false;
		if (strstr(list, w) != NULL || n + 5 > k->size)
			return false;
		n += (size_t)snprintf(list + n, k->size - n, n == 0 ? "%s" : " %s", w);
	}
	return v->n > 0;
}

static int mistake(const struct parser *p, const char *what, const char *about, const char *more)
{
	/* the file's bytes are not to be trusted with the terminal: only known words are shown */
	snprintf(p->why, p->whylen, "%s:%u: %s%s%s", p->name, p->line, what, about, more);
	return KE_FORMAT;
}

static int set(struct parser *p, size_t i, const struct value *v)
{
	const struct keyword *k = &keywords[i];

	if (!k->set(k, (char *)p->conf + k->at, v)) {
		char what[64];

		snprintf(what, sizeof what, "%s wants ", k->word);
		return mistake(p, what, k->wants, "");
	}
	return KE_OK;
}

/* Cuts text into words, in place. */
static int split(struct parser *p, char *text, struct value *v)
{
	char *rest = text, *word;

	v->n = 0;
	while ((word = strsep(&rest, " \t")) != NULL) {
		if (*word == '\0')
			continue;
		if (*word == '#')
			break;
		if (v->n == WORDS)
			return mistake(p, "too many words", "", "");
		v->word[v->n++] = word;
	}
	return KE_OK;
}

static int parse_line(struct parser *p, const char *text, size_t n)
{
	char line[LINE_MAX_BYTES];
	struct value v, rest = {.n = 0};
	int r;

	if (n >= sizeof line)
		return mistake(p, "the line is too long", "", "");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' && text[i] != '\t')
			return mistake(p, "a control character", "", "");
	memcpy(line, text, n);
	line[n] = '\0';
	r = split(p, line, &v);
	if (r != KE_OK || v.n == 0)
		return r;
	for (size_t i = 0; i < KEYWORDS; i++) {
		if (strcmp(keywords[i].word, v.word[0]) != 0)
			continue;
		if (p->conf->line[i] != 0 && !keywords[i].repeat)
			return mistake(p, keywords[i].word, " stands twice", "");
		p->conf->line[i] = (uint16_t)p->line; /* a file has fewer bytes than that */
		rest.n = v.n - 1;
		memcpy(rest.word, v.word + 1, rest.n * sizeof v.word[0]);
		return set(p, i, &rest);
	}
	if (!is_name(v.word[0], "-_"))
		return mistake(p, "not a keyword", "", "");
	return mistake(p, "unknown keyword ", v.word[0], "");
}

/* Sets what the file does not name, from the same table. */
static int defaults(struct parser *p)
{
	for (size_t i = 0; i < KEYWORDS; i++) {
		char text[LINE_MAX_BYTES];
		struct value v;
		int r;

		if (p->conf->line[i] != 0)
			continue;
		if (keywords[i].value == NULL)
			return mistake(p, "the keyword ", keywords[i].word, " is missing");
		if (keywords[i].value[0] == '\0')
			continue;
		snprintf(text, sizeof text, "%s", keywords[i].value);
		r = split(p, text, &v);
		if (r == KE_OK)
			r = set(p, i, &v);
		if (r != KE_OK)
			return r;
	}
	return KE_OK;
}

int conf_parse(
    struct conf *c, const char *name, const char *text, size_t n, char *why, size_t whylen)
{
	struct parser p = {.conf = c, .name = name, .line = 1, .why = why, .whylen = whylen};

	memset(c, 0, sizeof *c);
	snprintf(c->file, sizeof c->file, "%s", name);
	while (n > 0) {
		const char *end = memchr(text, '\n', n);
		size_t len = end == NULL ? n : (size_t)(end - text);
		int r = parse_line(&p, text, len);

		if (r != KE_OK)
			return r;
		if (end == NULL)
			break;
		text += len + 1;
		n -= len + 1;
		p.line++;
	}
	return defaults(&p);
}

void conf_blame(const struct conf *c, const void *field, char *why, size_t whylen)
{
	char line[8] = "", words[1024];
	size_t i = 0;

	while (field != NULL && i < KEYWORDS && (const char *)c + keywords[i].at != field)
		i++;
	if (field == NULL || i == KEYWORDS)
		return;
	if (c->line[i] != 0)
		snprintf(line, sizeof line, ":%u", c->line[i]);
	snprintf(words, sizeof words, "%s", why);
	snprintf(why, whylen, "%s%s: %s: %s", c->file, line, keywords[i].word, words);
}

const void *conf_about(const struct conf *c, const struct conf_token *which, const char *words)
{
	if (strstr(words, "PIN") != NULL)
		return which->pin_file;
	if (strstr(words, c->module) != NULL)
		return c->module;
	return strstr(words, which->label) != NULL ? which->label : NULL;
}
