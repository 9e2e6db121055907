/*
 * Session tickets of net (daemon/net/tls_ticket.c): OpenSSL's own client and server in memory, with
 * the product's keys and rules in the server's context. Time is an argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>

#include "daemon/net/tls_ticket.h"

#define START_MS 1000000
#define TURNS    10

struct side {
	SSL_CTX *server, *client;
	struct tls_ticket ticket;
};

static SSL_SESSION *newest;

static int keep(SSL *ssl, SSL_SESSION *s)
{
	(void)ssl;
	SSL_SESSION_free(newest);
	newest = s;
	return 1;
}

static void use_throw_away_key(SSL_CTX *ctx)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	assert_non_null(key);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int setup(void **state)
{
	static struct side s;

	memset(&s, 0, sizeof s);
	s.server = SSL_CTX_new(TLS_server_method());
	s.client = SSL_CTX_new(TLS_client_method());
	use_throw_away_key(s.server);
	SSL_CTX_set_session_cache_mode(s.server, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_min_proto_version(s.server, TLS1_3_VERSION);
	assert_int_equal(tls_ticket_init(&s.ticket, NULL, s.server, START_MS), KE_OK);
	SSL_CTX_set_session_cache_mode(
	    s.client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(s.client, keep);
	*state = &s;
	return 0;
}

static int teardown(void **state)
{
	struct side *s = *state;

	SSL_CTX_free(s->server);
	SSL_CTX_free(s->client);
	tls_ticket_free(&s->ticket);
	SSL_SESSION_free(newest);
	newest = NULL;
	return 0;
}

struct pair {
	SSL *server, *client;
};

static void pair_open(struct pair *p, const struct side *s, SSL_SESSION *with)
{
	BIO *a, *b;

	p->server = SSL_new(s->server);
	p->client = SSL_new(s->client);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(p->server, a, a);
	SSL_set_bio(p->client, b, b);
	SSL_set_accept_state(p->server);
	SSL_set_connect_state(p->client);
	if (with != NULL)
		assert_int_equal(SSL_set_session(p->client, with), 1);
}

static void pair_close(struct pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
}

/* Both sides in turn, until the server's first byte has come; tickets come before it. */
static void pair_talk(struct pair *p)
{
	char c = 0;

	for (int i = 0; i < TURNS && c == 0; i++) {
		(void)SSL_do_handshake(p->client);
		(void)SSL_do_handshake(p->server);
		if (SSL_is_init_finished(p->server) && SSL_is_init_finished(p->client)) {
			assert_int_equal(SSL_write(p->server, "x", 1), 1);
			assert_int_equal(SSL_read(p->client, &c, 1), 1);
		}
	}
	assert_int_equal(c, 'x');
	/* or a session that is freed with its connection open is not resumed */
	SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

/* One connection with the newest ticket; was it resumed? Both ends must think the same. */
static bool resumes(struct side *s)
{
	SSL_SESSION *with = newest;
	struct pair p;
	bool reused;

	newest = NULL;
	pair_open(&p, s, with);
	pair_talk(&p);
	reused = SSL_session_reused(p.server);
	assert_int_equal(SSL_session_reused(p.client), reused);
	assert_non_null(newest); /* each connection brings a ticket */
	pair_close(&p);
	SSL_SESSION_free(with);
	return reused;
}

static void test_resumes(void **state)
{
	assert_false(resumes(*state));
	assert_true(resumes(*state));
	assert_true(resumes(*state));
}

static void test_key_changes(void **state)
{
	struct side *s = *state;
	struct ticket_key first = s->ticket.now;

	assert_false(resumes(s));
	tls_ticket_tick(&s->ticket, START_MS + TICKET_PERIOD_MS - 1);
	assert_memory_equal(&first, &s->ticket.now, sizeof first);
	tls_ticket_tick(&s->ticket, START_MS + TICKET_PERIOD_MS);
	assert_memory_not_equal(&first, &s->ticket.now, sizeof first);
	/* the former key opens for one more period */
	assert_true(resumes(s));
}

/* A ticket of two periods ago meets no key, and the handshake is a full one. */
static void test_old_ticket(void **state)
{
	struct side *s = *state;
	struct ticket_key first = s->ticket.now;

	assert_false(resumes(s));
	tls_ticket_tick(&s->ticket, START_MS + TICKET_PERIOD_MS);
	tls_ticket_tick(&s->ticket, START_MS + 2 * TICKET_PERIOD_MS);
	assert_memory_not_equal(&first, &s->ticket.now, sizeof first);
	assert_memory_not_equal(&first, &s->ticket.before, sizeof first);
	assert_false(resumes(s));
	assert_true(resumes(s));
}

/* A machine that has slept: what is older than two periods is wiped at once. */
static void test_sleep(void **state)
{
	static const struct ticket_key none;
	struct side *s = *state;

	assert_false(resumes(s));
	tls_ticket_tick(&s->ticket, START_MS + 2 * TICKET_PERIOD_MS);
	assert_memory_equal(&s->ticket.before, &none, sizeof none);
	assert_false(resumes(s));
}

/* No key lives for an hour, however the ticks fall. */
static void test_key_age(void **state)
{
	struct side *s = *state;
	struct ticket_key k = s->ticket.now;
	int64_t born = START_MS;

	for (int64_t now = START_MS; now < START_MS + 5 * TICKET_PERIOD_MS; now += 7919) {
		tls_ticket_tick(&s->ticket, now);
		if (memcmp(&k, &s->ticket.now, sizeof k) != 0 &&
		    (!s->ticket.has_before || memcmp(&k, &s->ticket.before, sizeof k) != 0)) {
			k = s->ticket.now;
			born = s->ticket.changed_ms;
		}
		assert_true(now - born < 3600 * 1000);
	}
}

/* Who resumes again and again shakes hands in full once an hour. */
static void test_chain_ends(void **state)
{
	struct side *s = *state;
	int64_t now = START_MS;

	assert_false(resumes(s));
	for (int i = 0; i < 5; i++) {
		now += 10 * 60 * 1000;
		tls_ticket_tick(&s->ticket, now);
		assert_true(resumes(s));
	}
	now += 10 * 60 * 1000;
	tls_ticket_tick(&s->ticket, now);
	assert_false(resumes(s));
	assert_true(resumes(s));
}

/* Another process has other keys; a ticket that was touched is no ticket. */
static void test_foreign(void **state)
{
	struct side *s = *state;

	assert_false(resumes(s));
	s->ticket.now.name[0] ^= 1;
	assert_false(resumes(s));
	s->ticket.now.mac[0] ^= 1;
	assert_false(resumes(s));
	assert_true(resumes(s));
}

/* A client that sends early data all the same: it is thrown away, and the handshake goes on. */
static void test_early_data(void **state)
{
	struct side *s = *state;
	SSL_SESSION *with;
	struct pair p;
	size_t n = 0;
	char c;

	assert_false(resumes(s));
	with = newest;
	newest = NULL;
	assert_int_equal(SSL_SESSION_get_max_early_data(with), 0); /* it was not offered */
	assert_int_equal(SSL_SESSION_set_max_early_data(with, 100), 1);
	pair_open(&p, s, with);
	assert_int_equal(SSL_write_early_data(p.client, "early", 5, &n), 1);
	pair_talk(&p);
	assert_int_equal(SSL_get_early_data_status(p.client), SSL_EARLY_DATA_REJECTED);
	assert_true(SSL_read(p.server, &c, 1) <= 0);
	assert_int_equal(SSL_pending(p.server), 0);
	pair_close(&p);
	SSL_SESSION_free(with);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_resumes),
	    TEST(test_key_changes),
	    TEST(test_old_ticket),
	    TEST(test_sleep),
	    TEST(test_key_age),
	    TEST(test_chain_ends),
	    TEST(test_foreign),
	    TEST(test_early_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
