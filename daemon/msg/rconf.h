/*
 * What parent tells each role at its start, and what keyadm answers: the fields of the *_CONF
 * messages as structures, with one put and one get each, both made of daemon/msg/rconf.def.
 * Part of the message layer. The getters run in the roles and trust parent, but bound
 * everything all the same; the setters run in parent (and in kleroctl setup for keyadm).
 */
#ifndef DAEMON_MSG_RCONF_H
#define DAEMON_MSG_RCONF_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/msg/wire.h"
#include "policy/drand.h"

#define RCONF_PATH        256
#define RCONF_ORIGINS     16
#define RCONF_ENVS        4
#define RCONF_PARAMS      512
#define RCONF_PAYLIMITS   8
#define RCONF_ESCROW      16 /* officers */
#define RCONF_PEM         1024
#define RCONF_KEYS        64 /* of a token; each is named by the SHA-256 of its CKA_ID, cut */
#define RCONF_KEY_NAME    16
#define RCONF_CHAINS      4    /* drand's that this appliance knows */
#define RCONF_RELAYS      8    /* of drand */
#define RCONF_NISTS       4    /* hosts of NIST's beacon */
#define RCONF_CERTIFICATE 6144 /* PEM */
#define RCONF_CERTS       4    /* of NIST's beacon: the keys that may sign pulses */
#define RCONF_RESOLVERS   3
#define RCONF_LOGS        16 /* of other appliances */
#define RCONF_VKEY        512

/* What a role becomes. With drop false (started without root) uid and chroot are skipped. */
struct rconf_identity {
	bool drop;
	uint32_t uid, gid;
	char root[RCONF_PATH]; /* an empty folder to chroot into, "" for none */
};

/* count requests in window_s seconds */
struct rconf_limit {
	uint32_t count, window_s;
};

/* The public randomness that raffles may name (DRAW.md section 7). */
struct rconf_beacons {
	uint8_t nchains;
	struct drand_chain chains[RCONF_CHAINS]; /* pinned: no relay has to be believed */
	/* base URLs, the first "" ends; out asks them, engine knows them by index and for its log
	 */
	char relays[RCONF_RELAYS][RCONF_PATH];
	char nists[RCONF_NISTS][RCONF_PATH];
};

#define RCONF_WITNESSES 8 /* that are asked; a policy may name more */
#define RCONF_POLICY    8192
struct rconf_witnesses {
	char policy[RCONF_POLICY];              /* c2sp.org/tlog-policy, "" for none */
	char urls[RCONF_WITNESSES][RCONF_PATH]; /* of the policy's first ones; "": not asked */
};

struct rconf_out {
	struct rconf_identity id;
	struct rconf_beacons beacons;
	char witnesses[RCONF_WITNESSES][RCONF_PATH]; /* URLs, as in rconf_witnesses */
	char authorities[RCONF_PATH]; /* file of certificates whose issuing is believed */
	/* "a.b.c.d" or "a.b.c.d:port" of DNS servers, the first "" ends; none: the system's */
	char resolvers[RCONF_RESOLVERS][RCONF_PATH];
};

struct rconf_beacon {
	struct rconf_identity id;
	uint8_t nchains;
	struct drand_chain chains[RCONF_CHAINS];
	char certificates[RCONF_CERTS][RCONF_CERTIFICATE]; /* PEM, the first "" ends */
};

struct rconf_net {
	struct rconf_identity id;
	uint8_t index;
	char host[RCONF_PATH];                   /* public name, for problem types and redirects */
	char cert_pem[16384];                    /* certificate chain */
	char origins[RCONF_ORIGINS][RCONF_PATH]; /* CORS: allowed origins, the first "" ends */
	uint32_t max_connections;                /* of this process */
	uint32_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;
	struct rconf_limit anonymous, auth, approval, logs; /* per address */
};

/* What an engine that kleroctl restore has started is to do with the store in its folder. */
#define RCONF_CHECK    1u /* look at all of it, and end */
#define RCONF_RESTORE  2u /* and make it fit to serve */
#define RCONF_UNSIGNED 4u /* take it though its log key is gone */
#define RCONF_DOCTOR   8u /* it is the machine's own, and no backup: change nothing */

struct rconf_engine {
	struct rconf_identity id;
	char store[RCONF_PATH]; /* the database folder */
	char host[RCONF_PATH];  /* issuer and log origin are https://<host> and <host>/klero */
	uint8_t nets, kdfs;
	uint32_t kdf_queue;      /* waiting passwords before 503 */
	struct rconf_limit user; /* per user */
	char currencies[128];    /* space separated codes in which wallets may be held */
	struct rconf_witnesses witnesses;
	char witness_logs[RCONF_LOGS][RCONF_VKEY]; /* operator logs of others, the first "" ends */
	uint8_t restore; /* 0: serves. Otherwise RCONF_CHECK and the like, for kleroctl */
	struct rconf_beacons beacons;
	uint32_t beacon_delay_s; /* from the end of sales to the first beacon */
	/* of NIST's beacon, PEM, the first "" ends: proof bundles hold them */
	char certificates[RCONF_CERTS][RCONF_CERTIFICATE];
};

/* What a module keeps its tokens in, as far as keyadm's sandbox must know. */
enum rconf_store { RCONF_STORE_FILES, RCONF_STORE_DATABASE, RCONF_STORES };

struct rconf_token {
	char module[RCONF_PATH];          /* PKCS#11 module, absolute path */
	char label[64];                   /* token label */
	char env[RCONF_ENVS][RCONF_PATH]; /* NAME=value that the module needs; never a secret */
	char params[RCONF_PARAMS];        /* what C_Initialize gets, "" for nothing */
	uint8_t store;                    /* enum rconf_store */
	char pin[256];                    /* wiped by its receiver after C_Login */
};

struct rconf_hsm { /* hsm and tlskey */
	struct rconf_identity id;
	struct rconf_token token;
	char folder[RCONF_PATH]; /* token folder for the wider profile, "" when unknown */
	char host[RCONF_PATH];
	uint32_t objects;             /* session objects after which a fresh one is wanted */
	uint8_t draw_approval;        /* hsm: officers must approve draws */
	struct rconf_beacons beacons; /* hsm: what a draw may rest on; without relays */
	uint32_t beacon_delay_s;      /* hsm: as engine's */
	/* hsm: of NIST's beacon, PEM, the first "" ends */
	char certificates[RCONF_CERTS][RCONF_CERTIFICATE];
	char payout_limits[RCONF_PAYLIMITS]
			  [RCONF_PATH]; /* hsm: policy/paylimit.h, the first "" ends */
	uint8_t escrow_m;               /* hsm: as many officers open an escrow; 0: there is none */
	char escrow[RCONF_ESCROW][RCONF_PEM];      /* their RSA public keys, the first "" ends */
	char witness_logs[RCONF_LOGS][RCONF_VKEY]; /* hsm: as engine's */
	char policy[RCONF_POLICY]; /* hsm: whose quorum a draw must have, "" for none */
	uint8_t nkeys; /* those that served before, of which the token must hold one; 0: any */
	uint8_t keys[RCONF_KEYS][RCONF_KEY_NAME];
};

/* How a token is, for engine: MSG_ENGINE_TOKENS */
enum token_state {
	TOKEN_OK,
	TOKEN_AWAY,    /* its process is not there, and is tried again */
	TOKEN_REFUSES, /* the PIN, so that its process waits for another */
	TOKEN_LOCKED,
	TOKEN_OTHER, /* it holds none of the keys that served before */
	TOKEN_STATES
};

struct rconf_kdf {
	struct rconf_identity id;
	uint32_t memory_kib, passes;
};

enum keyadm_action {
	KEYADM_PROVISION_KEYS = 1,
	KEYADM_PROVISION_TLS = 2,
	KEYADM_APPROVED = 3, /* what a proposal says, when enough officers have approved it */
	KEYADM_ENROL = 4,    /* the first officers of a token that has none */
	KEYADM_COMPLETE = 5, /* keys that an older program's setup did not make */
	KEYADM_REQUEST = 6,  /* a request for a certificate of the TLS key, for an authority */
};

#define RCONF_KEYADM_TEXT      8192
#define RCONF_KEYADM_APPROVALS 16384

struct rconf_keyadm {
	struct rconf_identity id;
	struct rconf_token token;
	char folder[RCONF_PATH]; /* the only folder it may write, "" when unknown */
	char host[RCONF_PATH];
	uint8_t action;
	uint8_t appliance_id[16];
	char names[8][RCONF_PATH];    /* TLS: subject alternative names, DNS or IP */
	struct rconf_token tls;       /* APPROVED, purpose tls: the token that the key is made in */
	char cert_pem[16384];         /* APPROVED, purpose tls: what the certificate's file holds */
	uint64_t audit;               /* APPROVED: lines of the store's audit chain, says engine, */
	uint8_t audit_hash[32];       /* and its head */
	uint32_t token_wait_s;        /* APPROVED: how long a new token key is only published */
	char text[RCONF_KEYADM_TEXT]; /* APPROVED: the proposal; PROVISION_KEYS, ENROL: officers */
	char
	    approvals[RCONF_KEYADM_APPROVALS]; /* APPROVED: armored signatures, one after another */
	int journal; /* hsm's: the descriptor that came with all this, -1 for none */
};

struct rconf_keyadm_done {
	int32_t result;
	char reason[256];
	char sealed_dbkey[512]; /* PROVISION_KEYS */
	char log_vkey[512];     /* PROVISION_KEYS: C2SP verifier key of <host>/klero/log */
	char cert_pem[8192]; /* PROVISION_TLS: self-signed P-256 certificate; REQUEST: PKCS #10 */
};

void rconf_put_out(struct wire_out *w, const struct rconf_out *c);
int rconf_get_out(struct wire_in *r, struct rconf_out *c) KE_CHECK;
void rconf_put_beacon(struct wire_out *w, const struct rconf_beacon *c);
int rconf_get_beacon(struct wire_in *r, struct rconf_beacon *c) KE_CHECK;
void rconf_put_net(struct wire_out *w, const struct rconf_net *c);
int rconf_get_net(struct wire_in *r, struct rconf_net *c) KE_CHECK;
void rconf_put_engine(struct wire_out *w, const struct rconf_engine *c);
int rconf_get_engine(struct wire_in *r, struct rconf_engine *c) KE_CHECK;
void rconf_put_hsm(struct wire_out *w, const struct rconf_hsm *c);
int rconf_get_hsm(struct wire_in *r, struct rconf_hsm *c) KE_CHECK;
void rconf_put_kdf(struct wire_out *w, const struct rconf_kdf *c);
int rconf_get_kdf(struct wire_in *r, struct rconf_kdf *c) KE_CHECK;
void rconf_put_keyadm(struct wire_out *w, const struct rconf_keyadm *c);
int rconf_get_keyadm(struct wire_in *r, struct rconf_keyadm *c) KE_CHECK;
void rconf_put_keyadm_done(struct wire_out *w, const struct rconf_keyadm_done *c);
int rconf_get_keyadm_done(struct wire_in *r, struct rconf_keyadm_done *c) KE_CHECK;

#endif
