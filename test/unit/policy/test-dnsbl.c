#include "unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "policy/dnsbl.h"

static struct peer
peer(int family, const char *text)
{
	struct peer p = { .family = family };

	assert_int_equal(inet_pton(family, text, p.raw), 1);
	return p;
}

/* The examples of postconf(5) under reject_rbl_client and of ip_match(5) in words. */
static void
test_filters(void **state)
{
	static const struct { const char *why, *word, *address; bool counts; } cases[] = {
		{ "no filter: any answer", "zen.example", "127.0.0.2", true },
		{ "no filter: not only of loopback", "zen.example", "192.0.2.1", true },
		{ "T21: it does not answer to us", "zen.example", "127.255.255.254", false },
		{ "T21: asked for by name", "zen.example=127.255.255.254", "127.255.255.254", true },
		{ "beside those", "zen.example", "127.255.254.254", true },
		{ "an address", "zen.example=127.0.0.4", "127.0.0.4", true },
		{ "another", "zen.example=127.0.0.4", "127.0.0.5", false },
		{ "a list of numbers", "zen.example=127.0.0.[2;4]", "127.0.0.2", true },
		{ "a list of numbers, its last", "zen.example=127.0.0.[2;4]", "127.0.0.4", true },
		{ "between the numbers", "zen.example=127.0.0.[2;4]", "127.0.0.3", false },
		{ "a range", "zen.example=127.0.0.[4..11]", "127.0.0.11", true },
		{ "its beginning", "zen.example=127.0.0.[4..11]", "127.0.0.4", true },
		{ "behind it", "zen.example=127.0.0.[4..11]", "127.0.0.12", false },
		{ "both", "zen.example=127.0.0.[2;4..11]", "127.0.0.10", true },
		{ "in any part", "zen.example=127.[0..1].0.2", "127.1.0.2", true },
		{ "the first part counts, too", "zen.example=127.0.0.2", "126.0.0.2", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer  p = peer(AF_INET, cases[i].address);
		struct dnsbl list;
		const char  *wrong = NULL;
		HOLDS(cases[i].why, dnsbl_parse(bytes_of(cases[i].word), &list, &wrong));
		SAME(cases[i].why, list.domain, BYTES("zen.example"));
		HOLDS(cases[i].why, dnsbl_counts(&list, (struct bytes){ (const char *)p.raw, 4 }) == cases[i].counts);
	}
}

static void
test_wrong(void **state)
{
	static const struct { const char *why, *word; } cases[] = {
		{ "nothing", "" }, { "no domain", "=127.0.0.2" }, { "no host's name", "zen_,example" }, { "an address", "127.0.0.1" },
		{ "three parts", "zen.example=127.0.0" }, { "five parts", "zen.example=127.0.0.2.3" },
		{ "256", "zen.example=127.0.0.256" }, { "an empty list", "zen.example=127.0.0.[]" },
		{ "open", "zen.example=127.0.0.[2" }, { "a range turned round", "zen.example=127.0.0.[11..4]" },
		{ "an empty filter", "zen.example=" }, { "a mask", "zen.example=127.0.0.0/24" },
		{ "a number without end", "zen.example=127.0.0.99999999999999999999999" },
	};
	struct dnsbl list;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *wrong = NULL;
		HOLDS(cases[i].why, !dnsbl_parse(bytes_of(cases[i].word), &list, &wrong) && wrong != NULL);
	}
}

static void
test_names(void **state)
{
	static const struct { const char *why; int family; const char *address, *name; } cases[] = {
		{ "rfc5782:2.1", AF_INET, "192.0.2.99", "99.2.0.192.bad.example.com" },
		{ "rfc5782:2.4", AF_INET6, "2001:db8:1:2:3:4:567:89ab",
		  "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bad.example.com" },
	};
	struct arena *a = arena_open(NULL);
	struct dnsbl  list;
	const char   *wrong;
	char          label[80];
	struct peer   local = { .family = AF_UNIX, .text = "local" };

	(void)state;
	assert_true(dnsbl_parse(BYTES("bad.example.com"), &list, &wrong));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer p = peer(cases[i].family, cases[i].address);
		SAME(cases[i].why, dnsbl_address(a, &list, &p), bytes_of(cases[i].name));
	}
	SAME("no address", dnsbl_address(a, &list, &local), BYTES(""));
	SAME("rfc5782:3.1 a name", dnsbl_name(a, &list, BYTES("invalid.example")), BYTES("invalid.example.bad.example.com"));
	SAME("no name of a host", dnsbl_name(a, &list, BYTES("[192.0.2.1]")), BYTES(""));
	memset(label, 'x', 63);
	label[63] = '\0';
	SAME("too long together", dnsbl_name(a, &list, bytes_of(arena_printf(a, "%s.%s.%s.%s", label, label, label, label))), BYTES(""));
	arena_close(&a);
}

UNIT(test_filters, test_wrong, test_names)
