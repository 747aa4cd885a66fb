#include "unit.h"

#include "channel/proxyline.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_ENDS "\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x00\x19"
#define V6_SRC "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define V6_DST "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define ROW(literal) { literal, sizeof(literal) - 1 }

/* As HAProxy's proxy-protocol.txt writes it, 2.1 and 2.2. */
static const struct proxy_case {
	const char            *why;
	struct bytes           in;
	enum proxyline_outcome outcome;
	size_t                 used;
	const char            *client;
	uint16_t               port;
	bool                   local;
} cases[] = {
	{ "2.1 TCP4", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\nEHLO"), PROXYLINE_DONE, 44, "192.0.2.7", 12345, false },
	{ "2.1 TCP6", ROW("PROXY TCP6 2001:db8::7 2001:db8::1 1 65535\r\n"), PROXYLINE_DONE, 44, "2001:db8::7", 1, false },
	{ "2.1 the longest line of all", ROW("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), PROXYLINE_DONE, 107, "", 0, true },
	{ "2.1 a line longer than 107 is none", ROW("PROXY UNKNOWN ---------------------------------------------------------------------------------------------\r\n"),
	  PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.1 UNKNOWN", ROW("PROXY UNKNOWN\r\n"), PROXYLINE_DONE, 15, "", 0, true },
	{ "half a word", ROW("PRO"), PROXYLINE_MORE, 0, NULL, 0, false },
	{ "no end yet", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r"), PROXYLINE_MORE, 0, NULL, 0, false },
	{ "nothing yet", ROW(""), PROXYLINE_MORE, 0, NULL, 0, false },
	{ "LF alone ends no line", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a client that speaks SMTP", ROW("EHLO c.org\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "words are in capitals", ROW("proxy TCP4 192.0.2.7 198.51.100.1 12345 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a v6 address that says it is v4", ROW("PROXY TCP4 2001:db8::7 198.51.100.1 12345 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "one blank, not two", ROW("PROXY TCP4  192.0.2.7 198.51.100.1 12345 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a word too many", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25 x\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a word too few", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a port above 65535", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "a port with a sign", ROW("PROXY TCP4 192.0.2.7 198.51.100.1 +1 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "an address in octal", ROW("PROXY TCP4 192.0.2.010 198.51.100.1 1 25\r\n"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 TCP over v4", ROW(V2 "\x21\x11\0\x0c" V4_ENDS "EHLO"), PROXYLINE_DONE, 28, "192.0.2.7", 12345, false },
	{ "2.2 with extensions, which are passed over", ROW(V2 "\x21\x11\0\x0f" V4_ENDS "\x20\0\0"), PROXYLINE_DONE, 31, "192.0.2.7", 12345, false },
	{ "2.2 TCP over v6", ROW(V2 "\x21\x21\0\x24" V6_SRC V6_DST "\0\1\0\x19"), PROXYLINE_DONE, 52, "2001:db8::7", 1, false },
	{ "2.2 LOCAL", ROW(V2 "\x20\0\0\0"), PROXYLINE_DONE, 16, "", 0, true },
	{ "2.2 LOCAL with a block that is ignored", ROW(V2 "\x20\x11\0\x02xx"), PROXYLINE_DONE, 18, "", 0, true },
	{ "2.2 UNSPEC", ROW(V2 "\x21\0\0\0"), PROXYLINE_DONE, 16, "", 0, true },
	{ "2.2 addresses that are too short", ROW(V2 "\x21\x11\0\x0b" V4_ENDS), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 datagrams", ROW(V2 "\x21\x12\0\x0c" V4_ENDS), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 another version", ROW(V2 "\x31\x11\0\x0c" V4_ENDS), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 a command that is none", ROW(V2 "\x22\x11\0\x0c" V4_ENDS), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 longer than we listen", ROW(V2 "\x21\x11\xff\xff"), PROXYLINE_BAD, 0, NULL, 0, false },
	{ "2.2 not whole", ROW(V2 "\x21\x11\0\x0c\xc0"), PROXYLINE_MORE, 0, NULL, 0, false },
	{ "2.2 half a mark", ROW("\r\n\r\n"), PROXYLINE_MORE, 0, NULL, 0, false },
};

static void
test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct proxy_case *c = &cases[i];
		struct proxyline         p;
		size_t                   used;

		HOLDS(c->why, proxyline_parse(c->in, &p, &used) == c->outcome);
		if (c->outcome != PROXYLINE_DONE)
			continue;
		HOLDS(c->why, used == c->used && p.local == c->local);
		if (!p.local) {
			SAME(c->why, bytes_of(p.client.text), bytes_of(c->client));
			HOLDS(c->why, p.client.port == c->port);
		}
		for (size_t n = 0; n < used; n++)
			HOLDS(c->why, proxyline_parse(bytes_cut(c->in, 0, n), &p, &used) == PROXYLINE_MORE || n >= c->used);
	}
}

struct heard { struct kit *kit; int fd; struct peer peer; const char *why; };

static void
hear(void *ctx, int fd, const struct peer *peer, const char *why)
{
	struct heard *h = ctx;

	h->fd = fd;
	h->peer = *peer;
	h->why = why;
	kit_done(h->kit);
}

/* One connection whose other end says this and goes, or stays silent. */
static struct heard
listen_to(const char *said, bool end, char *rest, size_t room)
{
	struct kit         kit;
	struct heard       h = { .kit = &kit };
	struct proxylines *all;
	struct peer        proxy = { .family = AF_INET, .text = "127.0.0.1" };
	int                pair[2];
	ssize_t            n = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(write(pair[1], said, strlen(said)), (ssize_t)strlen(said));
	if (end)
		(void)shutdown(pair[1], SHUT_WR);
	kit_open(&kit);
	all = proxylines_open(kit.loop);
	proxylines_wait(all, pair[0], &proxy, 50, hear, &h);
	HOLDS(said, kit_run(&kit, 5000));
	if (h.fd >= 0) {
		n = read(h.fd, rest, room - 1);
		(void)close(h.fd);
	}
	rest[n > 0 ? n : 0] = '\0';
	proxylines_close(&all);
	kit_close(&kit);
	(void)close(pair[1]);
	return h;
}

static void
test_what_follows_is_left_for_others(void **state)
{
	char         rest[64];
	struct heard h = listen_to("PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\nEHLO c\r\n", false, rest, sizeof rest);

	(void)state;
	HOLDS("heard", h.why == NULL);
	SAME("the client", bytes_of(h.peer.text), BYTES("192.0.2.7"));
	SAME("what follows", bytes_of(rest), BYTES("EHLO c\r\n"));
	h = listen_to("PROXY UNKNOWN\r\n", false, rest, sizeof rest);
	SAME("UNKNOWN is the proxy itself", bytes_of(h.peer.text), BYTES("127.0.0.1"));
}

static void
test_who_says_no_header_is_sent_away(void **state)
{
	char rest[64];

	(void)state;
	HOLDS("nonsense", listen_to("EHLO c.org\r\n", false, rest, sizeof rest).fd == -1);
	HOLDS("silence", listen_to("PROXY TCP4", false, rest, sizeof rest).fd == -1);
	HOLDS("the end", listen_to("PROXY TCP4", true, rest, sizeof rest).fd == -1);
}

UNIT(test_headers, test_what_follows_is_left_for_others, test_who_says_no_header_is_sent_away)
