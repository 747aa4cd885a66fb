#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "dns/hostname.h"
#include "dns/resolver.h"

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static void
test_valid(void **state)
{
	static const struct { const char *why, *name; bool good; } cases[] = {
		{ "rfc1123:2.1", "mail.example.com", true },
		{ "rfc1123:2.1 a digit first", "3com.example", true },
		{ "one label", "localhost", true },
		{ "rfc6698:3 a service", "_25._tcp.mail.example.com", true },
		{ "rfc1035:2.3.4 a label of 63", L63 ".example", true },
		{ "rfc1035:2.3.4 a label of 64", L63 "a.example", false },
		{ "rfc1035:2.3.4 255 and more", L63 "." L63 "." L63 "." L63 ".a", false },
		{ "an address is no name", "192.0.2.1", false },
		{ "nothing", "", false }, { "the root", ".", false }, { "a dot at the end", "example.com.", false },
		{ "an empty label", "a..b", false }, { "a dash first", "-a.example", false }, { "a dash last", "a-.example", false },
		{ "blanks", "a b.example", false }, { "a line", "a\nb.example", false }, { "brackets", "a[1].example", false },
		{ "escapes of hostname_text()", "a\\046b.example", false }, { "high bytes", "\xc3\xa4.example", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		HOLDS(cases[i].why, hostname_valid(bytes_of(cases[i].name)) == cases[i].good);
	HOLDS("NUL", !hostname_valid(BYTES("a\0b.example")));
}

static void
test_reverse(void **state)
{
	static const struct { const char *why; int family; const char *address, *name; } cases[] = {
		{ "rfc1035:3.5", AF_INET, "10.2.0.52", "52.0.2.10.in-addr.arpa" },
		{ "rfc3596:2.5", AF_INET6, "4321:0:1:2:3:4:567:89ab",
		  "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa" },
	};
	struct peer local = { .family = AF_UNIX, .text = "local" };
	char        name[REVERSE_ROOM];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer p = { .family = cases[i].family };
		HOLDS(cases[i].why, inet_pton(p.family, cases[i].address, p.raw) == 1 && hostname_reverse(&p, name));
		SAME(cases[i].why, bytes_of(name), bytes_of(cases[i].name));
	}
	HOLDS("a socket in the file system has none", !hostname_reverse(&local, name));
}

static void
test_text(void **state)
{
	static const struct { const char *why; struct bytes wire; const char *text; } cases[] = {
		{ "rfc1035:3.1", { "\1f\3isi\4arpa", 12 }, "f.isi.arpa" },
		{ "the root", { "", 1 }, "." },
		{ "rfc1035:5.1 a dot inside", { "\3a.b\1c", 7 }, "a\\046b.c" },
		{ "a NUL and a line", { "\4a\0\nb", 6 }, "a\\000\\010b" },
		{ "a backslash", { "\2\\1", 4 }, "\\0921" },
		{ "a label without its bytes", { "\5ab", 3 }, NULL },
		{ "no end", { "\1a", 2 }, NULL },
		{ "something behind the end", { "\1a\0x", 4 }, NULL },
		{ "a pointer", { "\300\014", 2 }, NULL },
		{ "nothing", { "", 0 }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };
		bool          good = hostname_text(cases[i].wire, &out);
		HOLDS(cases[i].why, good == (cases[i].text != NULL));
		if (good)
			SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].text));
		buffer_free(&out);
	}
}

static void
test_server(void **state)
{
	static const struct { const char *text, *address; uint16_t port; } cases[] = {
		{ "127.0.0.1:5353", "127.0.0.1", 5353 }, { "192.0.2.1", "192.0.2.1", 53 },
		{ "[::1]:5353", "::1", 5353 }, { "[2001:db8::1]", "2001:db8::1", 53 }, { "2001:db8::1", "2001:db8::1", 53 },
		{ "[192.0.2.1]:53", "192.0.2.1", 53 },
		{ "127.0.0.1:", NULL, 0 }, { "127.0.0.1:0", NULL, 0 }, { "127.0.0.1:65536", NULL, 0 }, { "somewhere", NULL, 0 },
		{ "", NULL, 0 }, { "[::1", NULL, 0 }, { "[::1]53", NULL, 0 }, { "1.2.3.4@53", NULL, 0 }, { "fe80::1%eth0", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct server s = { .port = 1 };
		bool          good = server_parse(bytes_of(cases[i].text), &s);
		HOLDS(cases[i].text, good == (cases[i].address != NULL));
		HOLDS(cases[i].text, !good || (strcmp(s.address, cases[i].address) == 0 && s.port == cases[i].port));
	}
}

UNIT(test_valid, test_reverse, test_text, test_server)
