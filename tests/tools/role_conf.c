/*
 * Says to a role what parent would say to it at its start, for tests that start roles themselves:
 * the configuration of a provisioned appliance, made by parent's own code, over descriptor 3.
 *	role_conf CONF ROLE INDEX      the messages of parent before READY; net's socket listens on
 *any port of 127.0.0.1 role_conf CONF keyadm ACTION   keyadm's order, ACTION as in
 *daemon/msg/rconf.h role_conf routes               the route table on standard output, a row a
 *line: name, method, who, idempotency, then name:type:required:min:max per field
 */
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/api/route.h"
#include "daemon/net/limit.h"
#include "daemon/parent/roles.h"

static struct parent parent;

static void die(const char *what)
{
	fprintf(stderr, "role_conf: %s\n", what);
	exit(1);
}

static void print_routes(void)
{
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		const struct route *row = &route_table[i];

		printf("%s\t%s\t%u\t%u", row->name, route_method_name(row->method), row->who,
		    (unsigned)row->idem);
		for (const struct field *f = row->fields; f->name != NULL; f++)
			printf("\t%s:%u:%u:%lld:%lld", f->name, (unsigned)f->type, f->required,
			    (long long)f->min, (long long)f->max);
		printf("\n");
	}
}

static enum role role_of(const char *word)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (strcmp(role_word((enum role)r), word) == 0)
			return (enum role)r;
	die("there is no such role");
	return ROLE_COUNT;
}

static void order_keyadm(uint8_t action)
{
	static uint8_t body[MSG_BODY_MAX];
	static struct rconf_keyadm k;
	const struct conf *c = &parent.conf;
	const struct conf_token *token = action == KEYADM_PROVISION_TLS ? &c->tls : &c->keys;
	struct wire_out w;
	char why[512];

	if (conf_identity(c, ROLE_KEYADM, &k.id, why, sizeof why) != KE_OK ||
	    conf_token(c, token, &k.token, why, sizeof why) != KE_OK ||
	    conf_pin(token->pin_file, k.token.pin, why, sizeof why) != KE_OK)
		die(why);
	k.action = action;
	memcpy(k.folder, c->module_folder, sizeof k.folder);
	memcpy(k.host, c->host, sizeof k.host);
	wire_out_init(&w, body, sizeof body);
	rconf_put_keyadm(&w, &k);
	if (w.err != KE_OK || msg_send(MSG_CTL_FD, MSG_KEYADM_CONF, 0, body, w.len, -1) != KE_OK)
		die("the order cannot be sent");
}

static void open_sockets(void)
{
	char why[512];
	struct sockaddr_in in = {.sin_family = AF_INET};

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	parent.listen = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	parent.limits = memfd_create("limits", MFD_CLOEXEC);
	if (parent.listen < 0 || bind(parent.listen, (struct sockaddr *)&in, sizeof in) != 0 ||
	    listen(parent.listen, 64) != 0 || parent.limits < 0 ||
	    ftruncate(parent.limits, LIMIT_BYTES) != 0)
		die("no sockets");
	parent.journal = conf_journal(&parent.conf, why, sizeof why);
	if (parent.journal < 0)
		die(why);
}

int main(int argc, char **argv)
{
	struct child c = {.ctl = MSG_CTL_FD};
	char why[512] = "";

	if (argc == 2 && strcmp(argv[1], "routes") == 0) {
		print_routes();
		return 0;
	}
	if (argc != 4 || sodium_init() < 0)
		die("usage: see the source");
	if (conf_read(&parent.conf, argv[1], why, sizeof why) != KE_OK)
		die(why);
	c.role = role_of(argv[2]);
	c.index = (uint8_t)strtoul(argv[3], NULL, 10);
	if (c.role == ROLE_KEYADM) {
		order_keyadm(c.index);
		return 0;
	}
	snprintf(parent.empty, sizeof parent.empty, "%.200s/empty", parent.conf.run_dir);
	open_sockets();
	if (roles_configure(&parent, &c, why, sizeof why) != KE_OK)
		die(why);
	return 0;
}
