/*
 * klerod.conf: a strict parser over one table of keywords, and the files that the configuration
 * names. Runs in parent and in kleroctl. Trusts the file's owner (root, or the user who starts
 * klerod), for that is the operator; says of every mistake which file and line it is in.
 */
#ifndef DAEMON_CONF_CONF_H
#define DAEMON_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "daemon/msg/rconf.h"
#include "daemon/msg/role.h"
#include "policy/ke.h"

#define CONF_FILE_MAX  65536
#define CONF_NAMES     8 /* subject alternative names: those of rconf_keyadm */
#define CONF_PIN_MAX   255
#define CONF_DELAY     600 /* seconds of beacon-delay that verifiers demand by themselves */
#define CONF_CHILD_MAX 16  /* of nets and of kdfs: SERVE_PEERS bounds what tlskey can serve */

struct conf_token {
	char label[64];
	char pin_file[RCONF_PATH];
	char params[RCONF_PARAMS]; /* for who only reads this token, instead of module_params */
};

/* Who can open the seed of a raffle that is not drawn: any m of the officers with these keys. */
struct conf_escrow {
	uint32_t m; /* 0: nobody */
	char files[RCONF_ESCROW][RCONF_PATH];
};

#define CONF_KEYWORDS_MAX 96

/* The file, line by line; "" where an optional keyword is absent. */
struct conf {
	char file[RCONF_PATH];            /* where it was read, for messages */
	uint16_t line[CONF_KEYWORDS_MAX]; /* of each keyword, 0 where it is absent */
	char host[RCONF_PATH];
	struct sockaddr_storage listen;
	socklen_t listen_len;
	char store[RCONF_PATH], run_dir[RCONF_PATH], log_file[RCONF_PATH], log_syslog[RCONF_PATH];
	char tls_certificate[RCONF_PATH], backup_folder[RCONF_PATH];
	uint32_t backup_keep; /* of kleroctl backup --prune */
	char tls_names[CONF_NAMES][RCONF_PATH];
	char users[ROLE_COUNT][64]; /* by enum role; "" is the default user */
	uint32_t uid_base;          /* 0: none */
	char module[RCONF_PATH], module_env[RCONF_ENVS][RCONF_PATH], module_folder[RCONF_PATH];
	char module_params[RCONF_PARAMS];
	uint8_t module_store; /* enum rconf_store */
	char softhsm_conf[RCONF_PATH];
	struct conf_token keys, tls;
	uint32_t nets, kdfs, kdf_queue, max_connections;
	char origins[RCONF_ORIGINS][RCONF_PATH];
	uint8_t draw_approval; /* officers must approve draws */
	uint32_t hsm_objects;  /* session objects of one hsm */
	char payout_limits[RCONF_PAYLIMITS][RCONF_PATH];
	uint32_t token_publish; /* seconds that a new token key is published before it signs */
	struct conf_escrow escrow;
	struct rconf_limit anonymous, auth, approval, logs, user, death_budget;
	char witness_logs[RCONF_LOGS][RCONF_VKEY];
	char witness_policy[RCONF_PATH];
	char currencies[128];
	uint32_t header_timeout, body_timeout, idle_timeout; /* seconds */
	char drand_chains[RCONF_CHAINS][RCONF_PATH];         /* CONF_QUICKNET, or paths */
	char drand_relays[RCONF_RELAYS][RCONF_PATH], nist_beacons[RCONF_NISTS][RCONF_PATH];
	char nist_certificates[RCONF_CERTS][RCONF_PATH];
	uint32_t beacon_delay; /* seconds */
	char out_authorities[RCONF_PATH], out_resolvers[RCONF_RESOLVERS][RCONF_PATH];
};

/*
 * Parses n bytes of text; name is the file's for messages. On failure why is one line,
 * "file:line: what is wrong". Pure.
 */
int conf_parse(struct conf *c, const char *name, const char *text, size_t n, char *why,
    size_t whylen) KE_CHECK;

/*
 * Puts "file:line: keyword: " before what is wrong with the value of a field of c, so that the
 * operator finds it; "file: keyword: " where the keyword is absent and its default is wrong.
 */
void conf_blame(const struct conf *c, const void *field, char *why, size_t whylen);

/*
 * The field that a key holder's own words are about: PIN, module or token of which; NULL for none.
 */
const void *conf_about(const struct conf *c, const struct conf_token *which, const char *words);

/* Reads and parses a file that nobody but root and the caller may have written. */
int conf_read(struct conf *c, const char *path, char *why, size_t whylen) KE_CHECK;

/*
 * Reads a whole regular file of at most cap bytes that only its owner, root or the caller, may
 * write; with secret set nobody else may read it either. Symbolic links are refused. *n is the
 * size. On failure why names the file and says what to do.
 */
int conf_file(const char *path, bool secret, void *buf, size_t cap, size_t *n, char *why,
    size_t whylen) KE_CHECK;

/*
 * hsm's journal (hsm/once/once.h): in a folder beside the store, with "-hsm" behind its name, which
 * is root's or the caller's and nobody else's, so that engine cannot reach it.
 */
#define CONF_JOURNAL "journal"
void conf_journal_folder(const struct conf *c, char path[RCONF_PATH + 16]);
/*
 * Opens it for reading and adding; makes an empty one where there is none, in a folder that is
 * there or can be made. A descriptor, or KE_DENIED, KE_IO with why.
 */
int conf_journal(const struct conf *c, char *why, size_t whylen) KE_CHECK;

/*
 * The beacons that are configured, with their chains' files read: quicknet when there are relays
 * and no drand-chain. Where a file or a keyword is missing that another needs, why says so.
 */
#define CONF_QUICKNET "quicknet"
int conf_beacons(const struct conf *c, struct rconf_beacons *b, char *why, size_t whylen) KE_CHECK;
/* The certificates of NIST's beacon, read; the caller's are PEM texts, "" ends. */
int conf_certificates(const struct conf *c, char pem[RCONF_CERTS][RCONF_CERTIFICATE], char *why,
    size_t whylen) KE_CHECK;
/* Does it name any beacon, so that the roles out and beacon are needed? */
bool conf_asks(const struct conf *c);

/*
 * The trust policy that the configuration names, with the URLs of the witnesses that are asked; all
 * empty without one. KE_FORMAT and conf_file()'s errors, with why.
 */
int conf_witnesses(
    const struct conf *c, struct rconf_witnesses *w, char *why, size_t whylen) KE_CHECK;

/*
 * A PIN: the first line of a secret file, 4 to CONF_PIN_MAX printable characters. pin holds
 * CONF_PIN_MAX + 1 bytes and is the caller's to wipe, whatever is returned.
 */
int conf_pin(const char *path, char *pin, char *why, size_t whylen) KE_CHECK;

/*
 * A token's module, label and environment, with SOFTHSM2_CONF where softhsm-conf is set; the PIN
 * stays empty. KE_LONG.
 */
int conf_token(const struct conf *c, const struct conf_token *which, struct rconf_token *t,
    char *why, size_t whylen) KE_CHECK;

/*
 * Who a role becomes. Without root: nobody else (drop false). With root: the configured user, or
 * klero-<role>, or uid-base plus the role's place; never root, never two roles alike. KE_NOTFOUND
 * when there is no such user.
 */
int conf_identity(const struct conf *c, enum role role, struct rconf_identity *id, char *why,
    size_t whylen) KE_CHECK;

#endif
