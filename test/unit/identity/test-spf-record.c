/* What domains write, and which of it can be read (rfc7208). */
#include "unit.h"

#include <string.h>

#include "identity/spf-record.h"

static const struct { const char *why, *text; bool is; } versions[] = {
	{ "rfc7208:4.5", "v=spf1 -all", true },
	{ "alone", "v=spf1", true },
	{ "rfc7208:4.5 another version", "v=spf10 -all", false },
	{ "rfc7208:4.6.1 letters of any case", "V=SPF1 -all", true },
	{ "another text", "google-site-verification=v=spf1", false },
	{ "nothing", "", false },
};

static void
test_versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++)
		HOLDS(versions[i].why, spf_is_record(bytes_of(versions[i].text)) == versions[i].is);
}

/* `terms` below zero: it cannot be read, and `last` is the word that is wrong. */
static const struct record_case {
	const char *why, *text;
	int  terms;
	const char *last;
	enum spf_kind kind;
	char qualifier;
	const char *domain;
} cases[] = {
	{ "rfc7208:A.1 everything passes", "v=spf1 +all", 1, "+all", SPF_ALL, '+', "" },
	{ "rfc7208:A.1 a", "v=spf1 a -all", 2, "-all", SPF_ALL, '-', "" },
	{ "rfc7208:A.1 a of another", "v=spf1 a:example.org", 1, "a:example.org", SPF_A, '+', "example.org" },
	{ "rfc7208:A.1 mx", "v=spf1 mx/30 mx:example.org/30", 2, "mx:example.org/30", SPF_MX, '+', "example.org" },
	{ "rfc7208:5.3 two widths", "v=spf1 a:example.org/24//64", 1, "a:example.org/24//64", SPF_A, '+', "example.org" },
	{ "rfc7208:A.1 a network", "v=spf1 ip4:192.0.2.128/28 -all", 2, "-all", SPF_ALL, '-', "" },
	{ "rfc7208:5.6 host bits are no mistake", "v=spf1 ip4:192.0.2.129/28", 1, "ip4:192.0.2.129/28", SPF_IP4, '+', "" },
	{ "rfc7208:5.6", "v=spf1 ip6:2001:db8::/32", 1, "ip6:2001:db8::/32", SPF_IP6, '+', "" },
	{ "rfc7208:A.3 macros", "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d} -all", 2, "-all", SPF_ALL, '-', "" },
	{ "rfc7208:A.2", "v=spf1 include:example.com include:example.net -all", 3, "-all", SPF_ALL, '-', "" },
	{ "rfc7208:6.1", "v=spf1 redirect=_spf.example.com", 1, "redirect=_spf.example.com", SPF_REDIRECT, '\0', "_spf.example.com" },
	{ "rfc7208:6 a modifier nobody knows", "v=spf1 mx moo=x", 2, "moo=x", SPF_UNKNOWN_MODIFIER, '\0', "x" },
	{ "rfc7208:4.6.1 words of any case, many blanks", "v=spf1   MX   ~ALL ", 2, "~ALL", SPF_ALL, '~', "" },
	{ "rfc7208:5.5", "v=spf1 ?ptr", 1, "?ptr", SPF_PTR, '?', "" },
	{ "no such mechanism", "v=spf1 ipv4:192.0.2.1 -all", -1, "ipv4:192.0.2.1", SPF_ALL, 0, "" },
	{ "an address alone", "v=spf1 192.0.2.1", -1, "192.0.2.1", SPF_ALL, 0, "" },
	{ "rfc7208:5.6 four numbers", "v=spf1 ip4:192.0.2", -1, "ip4:192.0.2", SPF_ALL, 0, "" },
	{ "rfc7208:5.6 too wide", "v=spf1 ip4:192.0.2.0/33", -1, "ip4:192.0.2.0/33", SPF_ALL, 0, "" },
	{ "rfc7208:5.6 the other family", "v=spf1 ip4:2001:db8::1", -1, "ip4:2001:db8::1", SPF_ALL, 0, "" },
	{ "rfc7208:5.2 include of nobody", "v=spf1 include -all", -1, "include", SPF_ALL, 0, "" },
	{ "rfc7208:5.1 all has nothing", "v=spf1 all:example.org", -1, "all:example.org", SPF_ALL, 0, "" },
	{ "rfc7208:6 two redirects", "v=spf1 redirect=a.example redirect=b.example", -1, "redirect=b.example", SPF_ALL, 0, "" },
	{ "rfc7208:7.1 a macro that is none", "v=spf1 exists:%{q}.example", -1, "exists:%{q}.example", SPF_ALL, 0, "" },
	{ "rfc7208:7.1 a lonely %", "v=spf1 exists:%.example", -1, "exists:%.example", SPF_ALL, 0, "" },
	{ "rfc7208:7.1 a label of digits last", "v=spf1 a:example.123", -1, "a:example.123", SPF_ALL, 0, "" },
};

static void
test_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct record_case *c = &cases[i];
		struct spf_term term[SPF_TERMS_MOST];
		const char     *wrong;
		struct bytes    where = { "", 0 };
		size_t          n;
		bool            good = spf_parse(bytes_of(c->text), term, &n, &wrong, &where);

		HOLDS(c->why, good == (c->terms >= 0));
		HOLDS(c->why, good == (wrong == NULL));
		if (!good) {
			SAME(c->why, where, bytes_of(c->last));
			continue;
		}
		HOLDS(c->why, n == (size_t)c->terms);
		SAME(c->why, term[n - 1].text, bytes_of(c->last));
		SAME(c->why, term[n - 1].domain, bytes_of(c->domain));
		HOLDS(c->why, term[n - 1].kind == c->kind && term[n - 1].qualifier == c->qualifier);
	}
}

static void
test_networks(void **state)
{
	struct spf_term term[SPF_TERMS_MOST];
	const char     *wrong;
	struct bytes    where;
	size_t          n;

	(void)state;
	assert_true(spf_parse(BYTES("v=spf1 ip4:192.0.2.129/28 a/24//64 ip6:2001:db8::1/64"), term, &n, &wrong, &where));
	assert_int_equal(term[0].network.bits, 28);
	assert_memory_equal(term[0].network.raw, "\300\0\2\200", 4);
	assert_int_equal(term[1].bits4, 24);
	assert_int_equal(term[1].bits6, 64);
	assert_int_equal(term[2].network.bits, 64);
	assert_memory_equal(term[2].network.raw, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0", 16);
}

UNIT(test_versions, test_records, test_networks)
