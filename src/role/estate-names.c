/* estate-names -- what this machine knows of names: which servers to ask for them, its own addresses, its hosts file */
#include "role/estate_inner.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <string.h>

#include "base/journal.h"
#include "dns/resolver.h"

enum { SERVERS_MOST = 3 };

/* The servers of resolv.conf(5); 127.0.0.1 if it names none. */
static void
add_system_servers(struct buffer *text)
{
	struct buffer file = { 0 };
	struct bytes  rest, line;
	size_t        before = text->len;
	struct server s;

	(void)estate_read("/etc/resolv.conf", &file);
	rest = buffer_bytes(&file);
	for (int n = 0; n < SERVERS_MOST && bytes_split(&rest, '\n', &line);) {
		struct bytes address = bytes_trim(bytes_cut(line, 10, line.len));
		if (!bytes_starts(line, BYTES("nameserver")) || !server_parse(address, &s))
			continue;
		buffer_printf(text, "server [%s]:%u\n", s.address, s.port);
		n++;
	}
	if (text->len == before)
		buffer_add_string(text, "server [127.0.0.1]:53\n");
	buffer_free(&file);
}

/* Records of keys, one a line; what is no such line is left out. */
static void
add_anchors(const char *path, struct buffer *text)
{
	struct buffer file = { 0 };
	struct bytes  rest, line;

	if (!estate_read(path, &file))
		warn_("dns_trust_anchor_file = %s: %s: no answer of the resolver is secure", path,
		      strerror(errno));
	rest = buffer_bytes(&file);
	while (bytes_split(&rest, '\n', &line)) {
		line = bytes_trim(bytes_cut(line, 0, (size_t)bytes_find(line, ';')));
		if (bytes_search_nocase(line, BYTES("DNSKEY")) > 0 ||
		    bytes_search_nocase(line, BYTES("DS")) > 0)
			buffer_printf(text, "anchor %.*s\n", (int)line.len, line.at);
	}
	buffer_free(&file);
}

/* Whom to ask for names, and what to believe; nothing: no names are asked. */
static void
open_resolver(struct opening *o)
{
	const char   *said = o->common->dns_resolver;
	struct buffer text = { 0 };
	struct server s;

	if (strcmp(said, "none") == 0)
		return;
	if (*said == '\0')
		add_system_servers(&text);
	else if (server_parse(bytes_of(said), &s))
		buffer_printf(&text, "server [%s]:%u\n", s.address, s.port);
	if (o->common->dns_validation != VALIDATE_NO)
		add_anchors(o->common->dns_trust_anchor_file, &text);
	buffer_add_char(&text, '\0');
	(void)estate_hold(o, "resolver", text.at, -1,
	                  FROM(RECEIVER) | FROM(VERIFIER) | FROM(POLICY) | FROM(SENDER));
	buffer_free(&text);
}

/* Under which addresses others reach this machine: user@[192.0.2.1] is local mail. */
static void
hold_addresses(struct opening *o)
{
	struct ifaddrs *all = NULL;
	struct buffer   text = { 0 };
	char            name[NI_MAXHOST];

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		int       family = i->ifa_addr == NULL ? AF_UNSPEC : i->ifa_addr->sa_family;
		socklen_t len = family == AF_INET ? sizeof(struct sockaddr_in)
		                                  : sizeof(struct sockaddr_in6);

		if ((family == AF_INET || family == AF_INET6) &&
		    getnameinfo(i->ifa_addr, len, name, sizeof name, NULL, 0, NI_NUMERICHOST) == 0)
			buffer_printf(&text, "%s ", name);
	}
	freeifaddrs(all);
	buffer_add_char(&text, '\0');
	(void)estate_hold(o, "addresses", text.at, -1, FROM(CLERK) | FROM(SENDER));
	buffer_free(&text);
}

/* The names this machine knows by itself; without the file none. */
static void
hold_hosts(struct opening *o)
{
	struct buffer text = { 0 };

	(void)estate_read("/etc/hosts", &text);
	buffer_add_char(&text, '\0');
	(void)estate_hold(o, "hosts", text.at, -1, FROM(SENDER) | FROM(POLICY) | FROM(VERIFIER));
	buffer_free(&text);
}

void
estate_open_names(struct opening *o)
{
	open_resolver(o);
	hold_addresses(o);
	hold_hosts(o);
}
