/*
 * What the benchmark's clients share: TLS 1.3 connections to a server on this machine, whose
 * certificate is not looked at (the server is the benchmark's own), and a clock. For
 * tests/tools/load.c and tests/tools/handshakes.c.
 */
#ifndef TESTS_TOOLS_LOAD_TLS_H
#define TESTS_TOOLS_LOAD_TLS_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

_Noreturn static inline void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* As a browser would ask: X25519, and the server's order of cipher suites. */
static inline SSL_CTX *load_tls_context(void)
{
	char groups[] = "X25519:P-256";
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (c == NULL || SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(c, groups) != 1)
		die("tls", "no context");
	SSL_CTX_set_verify(c, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(c, 1);
	return c;
}

/* A connection under way; its handshake has not begun. */
static inline SSL *load_tls_connect(SSL_CTX *ctx, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	SSL *s = SSL_new(ctx);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || s == NULL || SSL_set_fd(s, fd) != 1)
		die("socket", "cannot be made");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)connect(fd, (struct sockaddr *)&to, sizeof to); /* TLS meets what goes wrong */
	SSL_set_connect_state(s);
	return s;
}

/* By a reset, so that thousands of them leave no waiting ports behind. */
static inline void load_tls_close(SSL *s)
{
	struct linger off = {.l_onoff = 1};
	int fd = SSL_get_fd(s);

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
	SSL_free(s);
	close(fd);
}

#endif
