#include "unit.h"

#include "channel/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static struct peer
peer_named(const char *text, int family)
{
	struct sockaddr_storage from = { .ss_family = (sa_family_t)family };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&from;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&from;
	struct peer p;

	if (family == AF_INET) {
		v4->sin_port = htons(25);
		assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
	} else if (family == AF_INET6) {
		v6->sin6_port = htons(25);
		assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	}
	assert_true(peer_from(&from, &p));
	return p;
}

struct peer_case { const char *why, *given; int family; const char *text; int becomes; const char *network; };
static const struct peer_case peers[] = {
	{ "v4 as it is",       "192.0.2.1",          AF_INET,  "192.0.2.1",   AF_INET,  "192.0.2.1"            },
	{ "v6 as it is",       "2001:db8:1:2:3::4",  AF_INET6, "2001:db8:1:2:3::4", AF_INET6, "2001:db8:1:2::/64" },
	{ "rfc5952: short",    "2001:db8:0:0:0::1",  AF_INET6, "2001:db8::1", AF_INET6, "2001:db8::/64"        },
	{ "the longest /64",   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6,
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6, "ffff:ffff:ffff:ffff::/64" },
	{ "rfc4291:2.5.5.2 mapped is v4", "::ffff:192.0.2.1", AF_INET6, "192.0.2.1", AF_INET, "192.0.2.1"      },
	{ "loopback",          "::1",                AF_INET6, "::1",         AF_INET6, "::/64"                },
	{ "a unix socket",     "",                   AF_UNIX,  "local",       AF_UNIX,  "local"                },
};

static void
test_peers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(peers); i++) {
		struct peer p = peer_named(peers[i].given, peers[i].family);
		char network[48];

		SAME(peers[i].why, bytes_of(p.text), bytes_of(peers[i].text));
		HOLDS(peers[i].why, p.family == peers[i].becomes);
		HOLDS(peers[i].why, p.port == (p.family == AF_UNIX ? 0 : 25));
		peer_network(&p, network);
		SAME(peers[i].why, bytes_of(network), bytes_of(peers[i].network));
	}
}

static void
test_no_other_family_is_a_peer(void **state)
{
	struct sockaddr_storage from = { .ss_family = AF_PACKET };
	struct peer p;

	(void)state;
	assert_false(peer_from(&from, &p));
	assert_false(peer_of(-1, &p));
}

static void
test_both_ends_of_a_pair_are_local(void **state)
{
	struct peer p;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	HOLDS("far end", peer_of(fd[0], &p) && p.family == AF_UNIX);
	HOLDS("near end", peer_here(fd[0], &p) && p.family == AF_UNIX);
	close(fd[0]);
	close(fd[1]);
}

struct network_case { const char *why, *text; int family, bits; const char *wrong; };
static const struct network_case networks[] = {
	{ "a v4 network",             "10.0.0.0/8",            AF_INET,   8, NULL },
	{ "a v4 address",             "192.0.2.1",             AF_INET,  32, NULL },
	{ "all of v4",                "0.0.0.0/0",             AF_INET,   0, NULL },
	{ "bits within a byte",       "10.128.0.0/9",          AF_INET,   9, NULL },
	{ "a v6 network",             "[2001:db8::]/32",       AF_INET6, 32, NULL },
	{ "a v6 address",             "[::1]",                 AF_INET6, 128, NULL },
	{ "v6 without brackets",      "2001:db8::/32",         AF_INET6, 32, NULL },
	{ "mapped v4 is v4",          "[::ffff:10.0.0.0]/104", AF_INET,   8, NULL },
	{ "host bits",                "10.0.0.1/8",            0, 0, "host bits beyond the prefix must be zero" },
	{ "host bits within a byte",  "10.64.0.0/9",           0, 0, "host bits beyond the prefix must be zero" },
	{ "host bits of v6",          "[2001:db8::1]/64",      0, 0, "host bits beyond the prefix must be zero" },
	{ "prefix too long",          "10.0.0.0/33",           0, 0, "expected a prefix from /0 to /32" },
	{ "prefix too long",          "[::]/129",              0, 0, "expected a prefix from /0 to /128" },
	{ "no prefix after the slash", "10.0.0.0/",            0, 0, "expected a prefix from /0 to /32" },
	{ "prefix is no number",      "10.0.0.0/x",            0, 0, "expected a prefix from /0 to /32" },
	{ "brackets are for v6",      "[10.0.0.0]/8", 0, 0, "expected an address such as 192.0.2.1 or [2001:db8::1]" },
	{ "three numbers",            "10.0.0/8",  0, 0, "expected an address such as 192.0.2.1 or [2001:db8::1]" },
	{ "a name",                   "localhost", 0, 0, "expected an address such as 192.0.2.1 or [2001:db8::1]" },
	{ "nothing",                  "",          0, 0, "expected an address such as 192.0.2.1 or [2001:db8::1]" },
	{ "one bracket",              "[",         0, 0, "expected an address such as 192.0.2.1 or [2001:db8::1]" },
};

static void
test_networks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(networks); i++) {
		const char *wrong = NULL;
		struct network n;
		bool ok = network_parse(bytes_of(networks[i].text), &n, &wrong);

		HOLDS(networks[i].why, ok == (networks[i].wrong == NULL));
		if (!ok) {
			SAME(networks[i].why, bytes_of(wrong), bytes_of(networks[i].wrong));
			continue;
		}
		HOLDS(networks[i].why, n.family == networks[i].family);
		HOLDS(networks[i].why, n.bits == networks[i].bits);
	}
}

struct holds_case { const char *why, *network, *peer; int family; bool holds; };
static const struct holds_case holds[] = {
	{ "in it",                      "10.0.0.0/8",      "10.255.0.1",    AF_INET,  true  },
	{ "outside it",                 "10.0.0.0/8",      "11.0.0.1",      AF_INET,  false },
	{ "within a byte",              "10.128.0.0/9",    "10.200.0.1",    AF_INET,  true  },
	{ "outside within a byte",      "10.128.0.0/9",    "10.127.0.1",    AF_INET,  false },
	{ "all",                        "0.0.0.0/0",       "198.51.100.7",  AF_INET,  true  },
	{ "all of v4 holds no v6",      "0.0.0.0/0",       "2001:db8::1",   AF_INET6, false },
	{ "itself",                     "[::1]",           "::1",           AF_INET6, true  },
	{ "its neighbour",              "[::1]",           "::2",           AF_INET6, false },
	{ "mapped peer, v4 network",    "192.0.2.0/24",    "::ffff:192.0.2.9", AF_INET6, true },
	{ "v6 within a byte",           "[2001:db8:8000::]/33", "2001:db8:ffff::1", AF_INET6, true },
	{ "v6 outside within a byte",   "[2001:db8:8000::]/33", "2001:db8:7fff::1", AF_INET6, false },
	{ "a unix socket is in none",   "0.0.0.0/0",       "",              AF_UNIX,  false },
};

static void
test_networks_hold_peers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(holds); i++) {
		struct peer p = peer_named(holds[i].peer, holds[i].family);
		const char *wrong;
		struct network n;

		HOLDS(holds[i].why, network_parse(bytes_of(holds[i].network), &n, &wrong));
		HOLDS(holds[i].why, network_holds(&n, &p) == holds[i].holds);
	}
}

UNIT(test_peers, test_no_other_family_is_a_peer, test_both_ends_of_a_pair_are_local, test_networks,
     test_networks_hold_peers)
