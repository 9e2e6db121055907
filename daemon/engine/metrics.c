/*
 * Metrics: see metrics.h. Runs in engine.
 */
#include "daemon/engine/metrics.h"

#include <stdarg.h>
#include <stdio.h>

#include "daemon/engine/engine.h"
#include "daemon/engine/rewrap.h"
#include "daemon/loop/chan.h"

static const uint32_t bounds_us[METRICS_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 2500000};

static const struct {
	const char *name, *help;
} counters[METRIC_COUNT] = {
    [METRIC_TURNS] = {"klero_turns_total", "Commits that wrote something"},
    [METRIC_FAILED_TURNS] = {"klero_turns_failed_total", "Commits that failed"},
    [METRIC_TURN_REQUESTS] = {"klero_turn_requests_total", "Requests in written commits"},
    [METRIC_TOKEN_HITS] = {"klero_token_cache_hits_total", "Access tokens found in the cache"},
    [METRIC_TOKEN_MISSES] = {"klero_token_cache_misses_total", "Access tokens verified"},
    [METRIC_TOKENS_REFUSED] = {"klero_tokens_refused_total", "Access tokens refused"},
    [METRIC_LOGINS_FAILED] = {"klero_logins_failed_total", "Logins with a wrong password"},
    [METRIC_LOGINS_DELAYED] = {"klero_logins_delayed_total", "Logins told to wait"},
    [METRIC_REFRESH_REUSED] = {"klero_refresh_reused_total", "Refresh tokens used twice"},
    [METRIC_TICKETS_SOLD] = {"klero_tickets_sold_total", "Tickets sold"},
    [METRIC_HSM_CALLS] = {"klero_hsm_calls_total", "Questions to hsm"},
    [METRIC_HSM_ERRORS] = {"klero_hsm_errors_total", "Answers of hsm that were refusals"},
    [METRIC_KDF_CALLS] = {"klero_kdf_calls_total", "Passwords given to kdf"},
    [METRIC_SEALED_BAD] = {"klero_sealed_bad_total", "Sealed values that did not open"},
    [METRIC_KDF_REFUSED] = {"klero_kdf_refused_total", "Passwords refused, the queue being full"},
    [METRIC_BEACON_VALUES] = {"klero_beacon_values_total", "Values of beacons verified"},
    [METRIC_BEACON_FAILURES] = {"klero_beacon_failures_total", "Relays that gave no answer"},
    [METRIC_BEACON_LIES] = {"klero_beacon_lies_total", "Relays that gave a false answer"},
};

void metrics_count(struct metrics *m, enum metric which)
{
	m->counter[which]++;
}

void metrics_add(struct metrics *m, enum metric which, uint64_t n)
{
	m->counter[which] += n;
}

static void observe(struct metrics_histogram *h, int64_t us)
{
	uint64_t v = us < 0 ? 0 : (uint64_t)us;
	unsigned i = 0;

	while (i < METRICS_BUCKETS && v > bounds_us[i])
		i++;
	h->bucket[i]++;
	h->count++;
	h->sum_us += v;
}

void metrics_request(struct metrics *m, uint16_t route, uint16_t status, int64_t us)
{
	struct metrics_status *s = m->status[route];
	unsigned i = 0;

	/* should a route ever know more statuses, the last place counts the rest */
	while (i < METRICS_STATUSES - 1 && s[i].status != 0 && s[i].status != status)
		i++;
	s[i].status = status;
	s[i].count++;
	observe(&m->latency[route], us);
}

void metrics_commit(struct metrics *m, int64_t us, uint32_t requests)
{
	m->counter[METRIC_TURNS]++;
	m->counter[METRIC_TURN_REQUESTS] += requests;
	observe(&m->commit, us);
}

struct text {
	char *buf;
	size_t cap, len;
	int err;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->len)
		t->err = KE_FULL;
	else
		t->len += (size_t)n;
}

static void head(struct text *t, const char *name, const char *type, const char *help)
{
	put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct text *t, const char *name, const char *help, uint64_t v)
{
	head(t, name, "gauge", help);
	put(t, "%s %llu\n", name, (unsigned long long)v);
}

static void counter(struct text *t, const char *name, const char *help, uint64_t v)
{
	head(t, name, "counter", help);
	put(t, "%s %llu\n", name, (unsigned long long)v);
}

static void histogram(
    struct text *t, const char *name, const char *label, const struct metrics_histogram *h)
{
	const char *comma = label[0] == '\0' ? "" : ",", *open = label[0] == '\0' ? "" : "{",
		   *close = label[0] == '\0' ? "" : "}";
	uint64_t sum = 0;

	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		sum += h->bucket[i];
		put(t, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, label, comma, bounds_us[i] / 1e6,
		    (unsigned long long)sum);
	}
	put(t, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, label, comma,
	    (unsigned long long)h->count);
	put(t, "%s_sum%s%s%s %.6f\n", name, open, label, close, (double)h->sum_us / 1e6);
	put(t, "%s_count%s%s%s %llu\n", name, open, label, close, (unsigned long long)h->count);
}

static void requests(struct text *t, const struct metrics *m)
{
	char label[64];

	head(t, "klero_requests_total", "counter", "Requests answered, by route and status");
	for (unsigned r = 0; r < ROUTE_COUNT; r++) {
		for (unsigned i = 0; i < METRICS_STATUSES && m->status[r][i].status != 0; i++)
			put(t, "klero_requests_total{route=\"%s\",status=\"%u\"} %llu\n",
			    route_table[r].name, m->status[r][i].status,
			    (unsigned long long)m->status[r][i].count);
	}
	head(t, "klero_request_seconds", "histogram", "From arrival in engine to the answer");
	for (unsigned r = 0; r < ROUTE_COUNT; r++) {
		if (m->latency[r].count == 0)
			continue;
		snprintf(label, sizeof label, "route=\"%s\"", route_table[r].name);
		histogram(t, "klero_request_seconds", label, &m->latency[r]);
	}
	head(t, "klero_commit_seconds", "histogram", "Duration of a commit, fsync included");
	histogram(t, "klero_commit_seconds", "", &m->commit);
}

static void unsent(struct text *t, const char *peer, unsigned index, const struct peer *p)
{
	if (p->chan != NULL)
		put(t, "klero_unsent_messages{peer=\"%s\",index=\"%u\"} %zu\n", peer, index,
		    chan_queued(p->chan));
}

static void queues(struct text *t, const struct engine *e)
{
	head(t, "klero_unsent_messages", "gauge", "Messages that a peer has not taken yet");
	unsent(t, "hsm", 0, &e->peers.hsm);
	for (unsigned i = 0; i < PEERS_NETS; i++)
		unsent(t, "net", i, &e->peers.net[i]);
}

#define NET_COUNTERS 9

static void nets(struct text *t, const struct engine *e)
{
	static const char *const names[NET_COUNTERS] = {"connections", "handshakes",
	    "handshake_failures", "requests", "cache_hits", "refused_limit", "malformed",
	    "timeouts", "open"};
	char name[64];

	for (unsigned k = 0; k < NET_COUNTERS; k++) {
		bool is_gauge = k == NET_COUNTERS - 1;

		snprintf(name, sizeof name, "klero_net_%s%s", names[k], is_gauge ? "" : "_total");
		head(t, name, is_gauge ? "gauge" : "counter", "As counted by net");
		for (unsigned i = 0; i < PEERS_NETS; i++) {
			const struct net_stats *s = &e->peers.stats[i];
			const uint64_t v[NET_COUNTERS] = {s->connections, s->handshakes,
			    s->handshake_failures, s->requests, s->cache_hits, s->refused_limit,
			    s->malformed, s->timeouts, s->open};

			if (e->peers.net[i].chan != NULL)
				put(t, "%s{net=\"%u\"} %llu\n", name, i, (unsigned long long)v[k]);
		}
	}
}

/* --- keys --- */

/* One sample of a key version; more: further labels, or "". */
static void of_key(
    struct text *t, const char *name, const struct anchor_key *k, const char *more, int64_t v)
{
	put(t, "%s{purpose=\"%s\",version=\"%llu\"%s} %lld\n", name, purpose_words[k->purpose],
	    (unsigned long long)k->version, more, (long long)v);
}

/* Which version of each purpose is in use. Before hsm has told the anchor: of what engine uses. */
static void key_versions(struct text *t, const struct engine *e, uint64_t now_s)
{
	const struct anchor *a = &e->quorum.anchor;

	head(t, "klero_key_version", "gauge", "Version of each key in use");
	if (!e->quorum.known) {
		put(t, "klero_key_version{purpose=\"token\"} %u\n", e->hsm.tokens.key[0].version);
		put(t, "klero_key_version{purpose=\"log\"} %u\n", e->hsm.log_version);
		return;
	}
	for (unsigned p = 0; p < KEY_PURPOSES; p++) {
		const struct anchor_key *k = anchor_active(a, p, now_s);

		if (k != NULL)
			put(t, "klero_key_version{purpose=\"%s\"} %llu\n", purpose_words[p],
			    (unsigned long long)k->version);
	}
}

static void key_states(struct text *t, const struct anchor *a, uint64_t now_s)
{
	char label[32];

	head(t, "klero_key_state", "gauge", "1 for the state that each version of a key is in");
	for (size_t i = 0; i < a->keys; i++) {
		snprintf(label, sizeof label, ",state=\"%s\"",
		    anchor_state_words[anchor_state(a, &a->key[i], now_s)]);
		of_key(t, "klero_key_state", &a->key[i], label, 1);
	}
	head(t, "klero_key_compromised", "gauge", "1 for a version that is marked as compromised");
	for (size_t i = 0; i < a->keys; i++)
		of_key(t, "klero_key_compromised", &a->key[i], "", a->key[i].compromised);
}

static const char *rewrap_word(enum rewrap_kind kind)
{
	return purpose_words[rewrap_purpose(kind)];
}

/* What stands under each version, and of that what a rotation has still to take over. */
static int key_values(struct text *t, struct engine *e, uint64_t now_s)
{
	const struct anchor *a = &e->quorum.anchor;
	struct reseal_progress p;
	int64_t n, left[KEY_PURPOSES] = {0};
	int r = KE_OK;

	head(t, "klero_key_values", "gauge", "Values in the store under a version, where counted");
	for (size_t i = 0; r == KE_OK && i < a->keys; i++) {
		const struct anchor_key *k = &a->key[i];

		r = rewrap_count(e, k, &n);
		if (r != KE_OK || n < 0)
			continue;
		of_key(t, "klero_key_values", k, "", n);
		if (k != anchor_active(a, k->purpose, now_s))
			left[k->purpose] += n;
	}
	head(t, "klero_rewrap_left", "gauge", "Values under another version than the one in use");
	for (unsigned i = 0; i < REWRAP_KIND_COUNT; i++)
		put(t, "klero_rewrap_left{purpose=\"%s\"} %lld\n", rewrap_word(i),
		    (long long)left[rewrap_purpose(i)]);
	if (r != KE_OK)
		return r;
	r = reseal_progress(e, &p);
	if (r != KE_OK || p.left < 0)
		return r;
	put(t, "klero_rewrap_left{purpose=\"data\"} %lld\n", (long long)p.left);
	if (p.seconds >= 0)
		gauge(t, "klero_reseal_seconds_left", "Until the values under data are sealed anew",
		    (uint64_t)p.seconds);
	return r;
}

static void rewraps(struct text *t, const struct rewrap *w, const struct reseal *s)
{
	head(t, "klero_rewrap_done_total", "counter", "Values wrapped or sealed anew");
	for (unsigned i = 0; i < REWRAP_KIND_COUNT; i++)
		put(t, "klero_rewrap_done_total{purpose=\"%s\"} %llu\n", rewrap_word(i),
		    (unsigned long long)w->work[i].done);
	put(t, "klero_rewrap_done_total{purpose=\"data\"} %llu\n", (unsigned long long)s->done_all);
	head(t, "klero_rewrap_failed_total", "counter", "Times that one of them could not be");
	for (unsigned i = 0; i < REWRAP_KIND_COUNT; i++)
		put(t, "klero_rewrap_failed_total{purpose=\"%s\"} %llu\n", rewrap_word(i),
		    (unsigned long long)w->work[i].failed);
	put(t, "klero_rewrap_failed_total{purpose=\"data\"} %llu\n",
	    (unsigned long long)s->failed_all);
}

static int keys(struct text *t, struct engine *e)
{
	const struct anchor *a = &e->quorum.anchor;
	uint64_t now_s = (uint64_t)(turn_now_ms(e) / 1000);
	int64_t open;
	int r = db_proposal_count(e->db, DB_PROPOSAL_OPEN, &open);

	gauge(t, "klero_keys_known", "1 when hsm has told its keys and officers", e->quorum.known);
	key_versions(t, e, now_s);
	rewraps(t, &e->rewrap, &e->reseal);
	if (r == KE_OK)
		gauge(
		    t, "klero_proposals_open", "Proposals that wait for officers", (uint64_t)open);
	if (r != KE_OK || !e->quorum.known)
		return r;
	gauge(t, "klero_officers", "Security officers", a->officers.n);
	gauge(t, "klero_officers_threshold", "How many of them must agree", a->officers.threshold);
	key_states(t, a, now_s);
	return key_values(t, e, now_s);
}

/* --- pools --- */

static int pools(struct text *t, struct engine *e)
{
	int64_t n;
	int r = db_pool_count(e->db, &n);

	if (r == KE_OK)
		gauge(t, "klero_pools", "Deposit addresses whose keys the HSM keeps", (uint64_t)n);
	head(t, "klero_payouts", "gauge", "Payouts of pools by state");
	for (unsigned s = 0; r == KE_OK && s < DB_PAYOUT_STATES; s++) {
		r = db_payout_count(e->db, s, &n);
		put(t, "klero_payouts{state=\"%s\"} %lld\n", db_payout_word(s), (long long)n);
	}
	return r;
}

static void witness(struct text *t, const struct witness *w)
{
	counter(t, "klero_witness_cosigned_total", "Checkpoints of others' logs that were cosigned",
	    w->cosigned);
	counter(t, "klero_witness_refused_total", "Checkpoints of others' logs that hsm refused",
	    w->refused);
	head(t, "klero_witness_evidence", "gauge",
	    "Checkpoints kept as evidence against the logs that signed them");
	put(t, "klero_witness_evidence{kind=\"split-view\"} %lld\n",
	    (long long)w->evidence[DB_EVIDENCE_SPLIT]);
	put(t, "klero_witness_evidence{kind=\"inconsistent\"} %lld\n",
	    (long long)w->evidence[DB_EVIDENCE_INCONSISTENT]);
}

/* A name of the configuration as a label's value. */
static void put_label(struct text *t, const char *s)
{
	for (; *s != '\0'; s++)
		put(t, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
}

/* One sample of each witness that is asked. */
static void of_cosigners(struct text *t, const struct engine *e, const char *name, const char *type,
    const char *help, uint64_t (*value)(const struct engine *e, const struct cosign_witness *w))
{
	const struct cosign *c = &e->cosign;

	head(t, name, type, help);
	for (size_t i = 0; i < RCONF_WITNESSES; i++) {
		if (!c->witness[i].used)
			continue;
		put(t, "%s{witness=\"", name);
		/* several keys may have one name; of the policy's own names each is another */
		put_label(t, c->policy.witness_names[i].name);
		put(t, "\"} %llu\n", (unsigned long long)value(e, &c->witness[i]));
	}
}

static uint64_t cosigner_size(const struct engine *e, const struct cosign_witness *w)
{
	(void)e;
	return w->last_size;
}

/* Of the checkpoints that there are; until the first look at the log there is none. */
static uint64_t cosigner_lag(const struct engine *e, const struct cosign_witness *w)
{
	uint64_t newest = e->cosign.log[0].newest;

	return newest > w->last_size ? newest - w->last_size : 0;
}

static uint64_t cosigner_at(const struct engine *e, const struct cosign_witness *w)
{
	(void)e;
	return (uint64_t)w->last_s;
}

static uint64_t cosigner_done(const struct engine *e, const struct cosign_witness *w)
{
	(void)e;
	return w->cosigned;
}

static uint64_t cosigner_failed(const struct engine *e, const struct cosign_witness *w)
{
	(void)e;
	return w->failures;
}

/* Those who witness this appliance's logs. */
static void cosigners(struct text *t, const struct engine *e)
{
	of_cosigners(t, e, "klero_cosigner_size", "gauge",
	    "Records of the operator log that each witness has cosigned", cosigner_size);
	of_cosigners(t, e, "klero_cosigner_lag", "gauge",
	    "Records under a checkpoint that each witness has not cosigned", cosigner_lag);
	of_cosigners(t, e, "klero_cosigner_last_timestamp_seconds", "gauge",
	    "When each witness has cosigned a checkpoint last, as it says itself", cosigner_at);
	of_cosigners(t, e, "klero_cosigner_cosigned_total", "counter",
	    "Cosignatures that each witness has given", cosigner_done);
	of_cosigners(t, e, "klero_cosigner_failures_total", "counter",
	    "Questions to each witness that brought no cosignature", cosigner_failed);
}

static int draws(struct text *t, struct engine *e)
{
	int64_t n = 0, waiting = 0, too_late = 0;
	int r = life_late(e, &n);

	if (r == KE_OK)
		r = db_life_seen(e->db, DB_SEEN_WAITING, &waiting);
	if (r == KE_OK)
		r = db_life_seen(e->db, DB_SEEN_TOO_LATE, &too_late);
	gauge(t, "klero_draws_waiting", "v2 raffles that are closed and wait for witnesses",
	    (uint64_t)waiting);
	gauge(t, "klero_draws_unwitnessed",
	    "v2 raffles that can only be aborted, for witnesses came too late", (uint64_t)too_late);
	gauge(t, "klero_draws_late",
	    "v2 raffles without a draw or an abort a minute after their last promised value",
	    (uint64_t)n);
	return r;
}

int metrics_write(struct engine *e, char *buf, size_t cap, size_t *len)
{
	struct text t = {.buf = buf, .cap = cap};
	int r;

	head(&t, "klero_build_info", "gauge", "Version of the program");
	put(&t, "klero_build_info{version=\"%s\"} 1\n", KLERO_VERSION);
	requests(&t, &e->metrics);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		counter(&t, counters[i].name, counters[i].help, e->metrics.counter[i]);
	counter(
	    &t, "klero_job_timeouts_total", "Requests whose peer did not answer", e->jobs.timeouts);
	gauge(&t, "klero_jobs_waiting", "Requests waiting for another process", e->jobs.waiting);
	gauge(&t, "klero_kdf_queue", "Passwords waiting for a kdf", e->kdf.queued);
	gauge(&t, "klero_hsm_up", "1 when hsm is there", e->peers.hsm.chan != NULL);
	witness(&t, &e->witness);
	cosigners(&t, e);
	gauge(&t, "klero_store_up", "1 when the last commit worked", !e->turn.sick);
	r = keys(&t, e);
	if (r == KE_OK)
		r = pools(&t, e);
	if (r == KE_OK)
		r = draws(&t, e);
	queues(&t, e);
	nets(&t, e);
	*len = t.len;
	return r == KE_OK ? t.err : r;
}
