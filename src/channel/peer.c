#include "channel/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ::ffff:192.0.2.1 is what a v6 socket calls 192.0.2.1 (rfc4291:2.5.5.2). */
bool
peer_from(const struct sockaddr_storage *from, struct peer *out)
{
	const struct sockaddr_in  *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	memset(out, 0, sizeof *out);
	switch (from->ss_family) {
	case AF_INET:
		out->family = AF_INET;
		out->port = ntohs(v4->sin_port);
		memcpy(out->raw, &v4->sin_addr, 4);
		break;
	case AF_INET6:
		out->port = ntohs(v6->sin6_port);
		if (memcmp(&v6->sin6_addr, mapped, sizeof mapped) == 0) {
			out->family = AF_INET;
			memcpy(out->raw, (const char *)&v6->sin6_addr + sizeof mapped, 4);
		} else {
			out->family = AF_INET6;
			memcpy(out->raw, &v6->sin6_addr, 16);
		}
		break;
	case AF_UNIX:
		out->family = AF_UNIX;
		memcpy(out->text, "local", sizeof "local");
		return true;
	default: return false;
	}
	return inet_ntop(out->family, out->raw, out->text, sizeof out->text) != NULL;
}

bool
peer_of(int fd, struct peer *out)
{
	struct sockaddr_storage from = { 0 };
	socklen_t               len = sizeof from;

	return getpeername(fd, (struct sockaddr *)&from, &len) == 0 && peer_from(&from, out);
}

bool
peer_here(int fd, struct peer *out)
{
	struct sockaddr_storage from = { 0 };
	socklen_t               len = sizeof from;

	return getsockname(fd, (struct sockaddr *)&from, &len) == 0 && peer_from(&from, out);
}

/* The address without its brackets; they are for v6 alone. */
static bool
address_parse(struct bytes text, struct network *out)
{
	char plain[INET6_ADDRSTRLEN];
	bool brackets = text.len >= 2 && text.at[0] == '[' && text.at[text.len - 1] == ']';

	if (brackets)
		text = bytes_cut(text, 1, text.len - 2);
	if (!bytes_string(text, plain, sizeof plain))
		return false;
	if (!brackets && inet_pton(AF_INET, plain, out->raw) == 1) {
		out->family = AF_INET;
		out->bits = 32;
		return true;
	}
	out->family = AF_INET6;
	out->bits = 128;
	return inet_pton(AF_INET6, plain, out->raw) == 1;
}

static bool
host_bits_zero(const struct network *n)
{
	int size = n->family == AF_INET ? 4 : 16;
	int whole = n->bits / 8;

	if (n->bits % 8 != 0 && (n->raw[whole++] & (0xff >> n->bits % 8)) != 0)
		return false;
	for (; whole < size; whole++)
		if (n->raw[whole] != 0)
			return false;
	return true;
}

bool
network_parse(struct bytes text, struct network *out, const char **wrong)
{
	struct bytes address = text;
	ptrdiff_t    slash = bytes_find_last(text, '/');
	uint64_t     bits;

	memset(out, 0, sizeof *out);
	if (slash >= 0)
		address = bytes_cut(text, 0, (size_t)slash);
	if (!address_parse(address, out)) {
		*wrong = "expected an address such as 192.0.2.1 or [2001:db8::1]";
		return false;
	}
	if (slash >= 0) {
		struct bytes prefix = bytes_cut(text, (size_t)slash + 1, text.len);

		if (!bytes_number(prefix, &bits) || bits > (uint64_t)out->bits) {
			*wrong = out->family == AF_INET ? "expected a prefix from /0 to /32"
			                                : "expected a prefix from /0 to /128";
			return false;
		}
		out->bits = (int)bits;
	}
	if (!host_bits_zero(out)) {
		*wrong = "host bits beyond the prefix must be zero";
		return false;
	}
	if (out->family == AF_INET6 && out->bits >= 96 &&
	    memcmp(out->raw, mapped, sizeof mapped) == 0) {
		memmove(out->raw, out->raw + 12, 4);
		memset(out->raw + 4, 0, 12);
		out->family = AF_INET;
		out->bits -= 96;
	}
	return true;
}

bool
network_holds(const struct network *n, const struct peer *p)
{
	int whole = n->bits / 8, rest = n->bits % 8;

	if (n->family != p->family || memcmp(n->raw, p->raw, (size_t)whole) != 0)
		return false;
	return rest == 0 || ((n->raw[whole] ^ p->raw[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

void
peer_network_of(const struct peer *p, unsigned four, unsigned six, char out[static 48])
{
	enum { LENGTH_ROOM = sizeof "/128" };
	uint8_t  prefix[16] = { 0 };
	bool     is_six = p->family == AF_INET6;
	unsigned most = is_six ? 128 : 32, bits = is_six ? six : four, whole;

	if (bits > most)
		bits = most;
	if (p->family != AF_INET && !is_six) {
		memcpy(out, p->text, sizeof p->text);
		return;
	}
	if (!is_six && bits == most) {
		memcpy(out, p->text, sizeof p->text);
		return;
	}
	whole = bits / 8;
	memcpy(prefix, p->raw, whole);
	if (bits % 8 != 0)
		prefix[whole] = p->raw[whole] & (uint8_t)(0xff00 >> bits % 8);
	(void)inet_ntop(p->family, prefix, out, 48 - LENGTH_ROOM);
	(void)snprintf(out + strlen(out), LENGTH_ROOM, "/%u", bits);
}

void
peer_network(const struct peer *p, char out[static 48])
{
	peer_network_of(p, 32, 64, out);
}
