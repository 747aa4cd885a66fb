#include "role/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/journal.h"

/* Which families are spoken. */
struct families {
	bool v4, v6;
};

static struct families
families_of(const struct common_settings *common)
{
	struct families f = { false, false };

	for (size_t i = 0; i < common->inet_protocols.count; i++) {
		struct bytes word = bytes_of(common->inet_protocols.item[i]);

		f.v4 = f.v4 || bytes_is(word, "all") || bytes_is(word, "ipv4");
		f.v6 = f.v6 || bytes_is(word, "all") || bytes_is(word, "ipv6");
	}
	return f;
}

struct gathering {
	struct families families;
	unsigned        port;
	struct buffer  *out;
};

/* Once, however many words mean it. */
static void
add_place(struct gathering *g, int family, const char *address)
{
	struct buffer one = { 0 };

	if (!(family == AF_INET ? g->families.v4 : g->families.v6))
		return;
	buffer_printf(&one, family == AF_INET ? "%s:%u " : "[%s]:%u ", address, g->port);
	if (bytes_search_nocase(buffer_bytes(g->out), buffer_bytes(&one)) < 0)
		buffer_add(g->out, buffer_bytes(&one));
	buffer_free(&one);
}

static void
add_socket_address(struct gathering *g, const struct sockaddr *at)
{
	char      text[NI_MAXHOST];
	socklen_t len =
		at->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	/* An address of one link alone ("fe80::1%eth0") cannot be written as a place. */
	if (getnameinfo(at, len, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
	    strchr(text, '%') == NULL)
		add_place(g, at->sa_family, text);
}

static bool
is_inet(const struct sockaddr *at)
{
	return at != NULL && (at->sa_family == AF_INET || at->sa_family == AF_INET6);
}

static void
add_interface(struct gathering *g, const char *name)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		if (is_inet(i->ifa_addr) && strcmp(i->ifa_name, name) == 0)
			add_socket_address(g, i->ifa_addr);
	freeifaddrs(all);
}

static void
add_host(struct gathering *g, const char *name)
{
	struct addrinfo  wanted = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;

	if (getaddrinfo(name, NULL, &wanted, &all) != 0)
		return;
	for (struct addrinfo *i = all; i != NULL; i = i->ai_next)
		if (is_inet(i->ai_addr))
			add_socket_address(g, i->ai_addr);
	freeaddrinfo(all);
}

static void
add_word(struct gathering *g, const char *word)
{
	unsigned char raw[16];
	char          plain[INET6_ADDRSTRLEN];
	struct bytes  text = bytes_of(word);

	if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = bytes_cut(text, 1, text.len - 2);
	if (bytes_string(text, plain, sizeof plain) && inet_pton(AF_INET, plain, raw) == 1)
		add_place(g, AF_INET, plain);
	else if (bytes_string(text, plain, sizeof plain) && inet_pton(AF_INET6, plain, raw) == 1)
		add_place(g, AF_INET6, plain);
	else if (bytes_is(text, "loopback-only")) {
		add_place(g, AF_INET, "127.0.0.1");
		add_place(g, AF_INET6, "::1");
	} else if (if_nametoindex(word) != 0)
		add_interface(g, word);
	else
		add_host(g, word);
}

bool
interfaces_places(const struct common_settings *common, unsigned port, struct buffer *out,
                  struct buffer *errors)
{
	struct gathering g = { families_of(common), port, out };
	size_t           before = out->len;

	for (size_t i = 0; i < common->inet_interfaces.count; i++) {
		const char *word = common->inet_interfaces.item[i];
		size_t      was = out->len;

		if (bytes_is(bytes_of(word), "all")) {
			out->len = before;
			buffer_printf(out,
			              g.families.v4 && g.families.v6 ? "*:%u "
			              : g.families.v4                ? "0.0.0.0:%u "
			                                             : "[::]:%u ",
			              port);
			return true;
		}
		add_word(&g, word);
		if (out->len == was)
			warn_("inet_interfaces = %s: there is no address of it here that inet_protocols "
			      "let us use",
			      word);
	}
	if (out->len > before)
		return true;
	buffer_add_string(
		errors,
		"inet_interfaces: no address is left to listen on; write all, loopback-only, "
		"the name of an interface (ip addr tells them) or an address\n");
	return false;
}

/* ---- whom to trust ------------------------------------------------------------- */

static int
bits_of_mask(const unsigned char *mask, int size)
{
	int bits = 0;

	while (bits < size * 8 && (mask[bits / 8] & 0x80 >> bits % 8) != 0)
		bits++;
	return bits;
}

/* Networks of classes A, B and C; v6 has none, so the subnet is meant. */
static int
bits_of_class(unsigned char first)
{
	return first < 128 ? 8 : first < 192 ? 16 : 24;
}

static void
add_network(const struct ifaddrs *i, int style, struct buffer *out)
{
	bool          v4 = i->ifa_addr->sa_family == AF_INET;
	const void   *at = v4 ? (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
	                      : &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
	const void   *mask = i->ifa_netmask == NULL ? NULL
	                     : v4 ? (const void *)&((struct sockaddr_in *)i->ifa_netmask)->sin_addr
	                          : &((struct sockaddr_in6 *)i->ifa_netmask)->sin6_addr;
	int           size = v4 ? 4 : 16, bits = size * 8;
	unsigned char raw[16];
	char          text[INET6_ADDRSTRLEN];

	memcpy(raw, at, (size_t)size);
	if (style == NETWORKS_CLASS && v4)
		bits = bits_of_class(raw[0]);
	else if (style != NETWORKS_HOST && mask != NULL)
		bits = bits_of_mask(mask, size);
	for (int n = bits; n < size * 8; n++)
		raw[n / 8] &= (unsigned char)~(0x80 >> n % 8);
	if (inet_ntop(v4 ? AF_INET : AF_INET6, raw, text, sizeof text) != NULL)
		buffer_printf(out, v4 ? " %s/%d" : " [%s]/%d", text, bits);
}

void
interfaces_networks(const struct common_settings *common, struct buffer *out)
{
	struct families families = families_of(common);
	struct ifaddrs *all = NULL;

	buffer_add_string(out, "127.0.0.0/8 [::1]/128");
	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
		if (is_inet(i->ifa_addr) && (i->ifa_flags & IFF_LOOPBACK) == 0 &&
		    (i->ifa_addr->sa_family == AF_INET ? families.v4 : families.v6))
			add_network(i, common->mynetworks_style, out);
	freeifaddrs(all);
}
