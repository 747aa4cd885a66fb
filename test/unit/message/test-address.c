#include "unit.h"

#include "base/buffer.h"
#include "message/address.h"
#include "message/domain.h"

struct path_case { const char *why; int style; const char *in, *local, *domain, *rest; };

static const struct path_case paths[] = {
	{ "rfc5321:4.1.2 plain", 0, "<eva@example.org>", "eva", "example.org", "" },
	{ "parameters stay", 0, "<eva@example.org> SIZE=12", "eva", "example.org", " SIZE=12" },
	{ "rfc5321:4.1.2 null path", 0, "<>", "", "", "" },
	{ "rfc5321:4.5.1 postmaster alone", 0, "<Postmaster>", "Postmaster", "", "" },
	{ "postmaster with a domain", 0, "<postmaster@Example.ORG>", "postmaster", "example.org", "" },
	{ "others need a domain", 0, "<eva>", NULL, NULL, NULL },
	{ "rfc5321:4.1.2 quoted local", 0, "<\"e va\"@example.org>", "e va", "example.org", "" },
	{ "quoted pair", 0, "<\"e\\\"v\\a\"@example.org>", "e\"va", "example.org", "" },
	{ "empty quoted string", 0, "<\"\"@example.org>", "", "example.org", "" },
	{ "quote not closed", 0, "<\"eva@example.org>", NULL, NULL, NULL },
	{ "control in quotes", 0, "<\"e\tva\"@example.org>", NULL, NULL, NULL },
	{ "rfc5321:4.1.1.3 source route", 0, "<@a.example,@b.example:eva@example.org>", "eva", "example.org", "" },
	{ "route of literals", 0, "<@[192.0.2.1]:eva@example.org>", "eva", "example.org", "" },
	{ "route without colon", 0, "<@a.example>", NULL, NULL, NULL },
	{ "route to nobody", 0, "<@a.example:>", NULL, NULL, NULL },
	{ "rfc5321:4.1.3 IPv4 literal", 0, "<eva@[192.0.2.1]>", "eva", "[192.0.2.1]", "" },
	{ "rfc5321:4.1.3 IPv6 literal", 0, "<eva@[IPv6:2001:db8::1]>", "eva", "[ipv6:2001:db8::1]", "" },
	{ "IPv6 with IPv4 in it", 0, "<eva@[IPv6:::ffff:192.0.2.1]>", "eva", "[ipv6:::ffff:192.0.2.1]", "" },
	{ "IPv4 of five numbers", 0, "<eva@[1.2.3.4.5]>", NULL, NULL, NULL },
	{ "IPv6 without tag", 0, "<eva@[2001:db8::1]>", NULL, NULL, NULL },
	{ "literal not closed", 0, "<eva@[192.0.2.1>", NULL, NULL, NULL },
	{ "address without brackets: a name", 0, "<eva@192.0.2.1>", NULL, NULL, NULL },
	{ "issue 14: no brackets", 0, "eva@example.org", NULL, NULL, NULL },
	{ "R66 no brackets, lenient", PATH_LENIENT, "eva@example.org SIZE=1", "eva", "example.org", " SIZE=1" },
	{ "R66 blank after the colon", PATH_LENIENT, "  <eva@example.org>", "eva", "example.org", "" },
	{ "blank after the colon, strict", 0, " <eva@example.org>", NULL, NULL, NULL },
	{ "lenient null", PATH_LENIENT, " <>", "", "", "" },
	{ "R66 blanks within brackets, lenient", PATH_LENIENT, "< eva@example.org >", "eva", "example.org", "" },
	{ "R79 domain with a final dot, lenient", PATH_LENIENT, "<eva@example.org.>", "eva", "example.org", "" },
	{ "two final dots", PATH_LENIENT, "<eva@example.org..>", NULL, NULL, NULL },
	{ "a dot alone", PATH_LENIENT, "<eva@.>", NULL, NULL, NULL },
	{ "R79 a quoted name alone, lenient", PATH_LENIENT, "<\"e va\">", "e va", "", "" },
	{ "R79 a name behind a route, lenient", PATH_LENIENT, "<@a.example:eva>", "eva", "", "" },
	{ "nobody in quotes is not the null path", PATH_LENIENT, "<\"\">", NULL, NULL, NULL },
	{ "rfc1035:2.3.4 a label of 64", PATH_UTF8, "<eva@" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" ".org>", NULL, NULL, NULL },
	{ "lenient nothing", PATH_LENIENT, "", NULL, NULL, NULL },
	{ "dots side by side", 0, "<a..b@example.org>", NULL, NULL, NULL },
	{ "dots side by side, lenient", PATH_LENIENT, "<a..b.@example.org>", "a..b.", "example.org", "" },
	{ "dot first", 0, "<.a@example.org>", NULL, NULL, NULL },
	{ "no closing bracket", 0, "<eva@example.org", NULL, NULL, NULL },
	{ "noise after the bracket", 0, "<eva@example.org>x", NULL, NULL, NULL },
	{ "two brackets", 0, "<<eva@example.org>>", NULL, NULL, NULL },
	{ "empty domain", 0, "<eva@>", NULL, NULL, NULL },
	{ "domain with two dots", 0, "<eva@a..b>", NULL, NULL, NULL },
	{ "domain with a final dot", 0, "<eva@example.org.>", NULL, NULL, NULL },
	{ "label with a hyphen first", 0, "<eva@-a.org>", NULL, NULL, NULL },
	{ "label with a hyphen last", 0, "<eva@a-.org>", NULL, NULL, NULL },
	{ "underscore is used", 0, "<eva@a_b.org>", "eva", "a_b.org", "" },
	{ "all of atext", 0, "<!#$%&'*+-/=?^_`{|}~@example.org>", "!#$%&'*+-/=?^_`{|}~", "example.org", "" },
	{ "rfc6531 not asked for", 0, "<\xe5\xbc\xa0@example.org>", NULL, NULL, NULL },
	{ "rfc6531", PATH_UTF8, "<\xe5\xbc\xa0@\xe4\xbe\x8b.\xe4\xb8\xad\xe5\x9b\xbd>", "\xe5\xbc\xa0", "xn--fsq.xn--fiqs8s", "" },
	{ "rfc5891:5 a domain of both kinds of labels", PATH_UTF8, "<eva@XN--BCHER-KVA.\xe4\xb8\xad\xe5\x9b\xbd>", "eva", "xn--bcher-kva.xn--fiqs8s", "" },
	{ "rfc5892 what is no letter of a label", PATH_UTF8, "<eva@a\xe2\x80\xae" "b.example>", NULL, NULL, NULL },
	{ "rfc6531 not UTF-8", PATH_UTF8, "<\xe5\xbc@example.org>", NULL, NULL, NULL },
	{ "rfc6531 quoted", PATH_UTF8, "<\"\xe5\xbc\xa0 \"@example.org>", "\xe5\xbc\xa0 ", "example.org", "" },
	{ "case of the local part is kept", 0, "<EvA@EXAMPLE.org>", "EvA", "example.org", "" },
	/* what relay testers try: all of it is somebody at the last domain */
	{ "relay: percent", 0, "<eva%evil.example@example.org>", "eva%evil.example", "example.org", "" },
	{ "relay: bang", 0, "<evil.example!eva@example.org>", "evil.example!eva", "example.org", "" },
	{ "relay: quoted at", 0, "<\"eva@evil.example\"@example.org>", "eva@evil.example", "example.org", "" },
	{ "relay: quoted at, no domain", 0, "<\"eva@evil.example\">", NULL, NULL, NULL },
	{ "relay: quoted percent", 0, "<\"eva%evil.example\"@example.org>", "eva%evil.example", "example.org", "" },
	{ "relay: two ats", 0, "<eva@evil.example@example.org>", NULL, NULL, NULL },
	{ "relay: route through us", 0, "<@example.org:eva@evil.example>", "eva", "evil.example", "" },
	{ "relay: bang and percent", 0, "<evil.example!eva%a@example.org>", "evil.example!eva%a", "example.org", "" },
	{ "relay: quoted bang", 0, "<\"evil.example!eva\"@example.org>", "evil.example!eva", "example.org", "" },
	{ "relay: percent to a literal", 0, "<eva%evil.example@[192.0.2.1]>", "eva%evil.example", "[192.0.2.1]", "" },
	{ "relay: colon", 0, "<evil.example:eva@example.org>", NULL, NULL, NULL },
	{ "relay: slash", 0, "</evil/x@example.org>", "/evil/x", "example.org", "" },
	{ "relay: pipe", 0, "<|cmd@example.org>", "|cmd", "example.org", "" },
	{ "relay: percent without domain", 0, "<eva%evil.example>", NULL, NULL, NULL },
	{ "relay: bang without domain", 0, "<evil.example!eva>", NULL, NULL, NULL },
	{ "relay: blank in the domain", 0, "<eva@evil.example example.org>", NULL, NULL, NULL },
	{ "relay: escaped at", 0, "<eva\\@evil.example@example.org>", NULL, NULL, NULL },
	{ "relay: localhost", 0, "<eva@localhost>", "eva", "localhost", "" },
	{ "relay: null in quotes to us", 0, "<\"<>\"@example.org>", "<>", "example.org", "" },
};

static void
test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		const struct path_case *c = &paths[i];
		struct arena *a = arena_open(NULL);
		struct scan r = scan_of(bytes_of(c->in));
		struct address got;
		bool ok = path_parse(&r, (enum path_style)c->style, a, &got);

		HOLDS(c->why, ok == (c->local != NULL));
		HOLDS(c->why, ok == (r.fault == NULL));
		if (ok) {
			SAME(c->why, got.local, bytes_of(c->local));
			SAME(c->why, got.domain, bytes_of(c->domain));
			SAME(c->why, r.rest, bytes_of(c->rest));
		}
		arena_close(&a);
	}
}

/* rfc5321:4.5.3.1 */
static void
test_lengths(void **state)
{
	static const struct { const char *why; size_t local, domain; int style; bool ok; } rows[] = {
		{ "local of 64", 64, 20, 0, true },
		{ "local of 65", 65, 20, 0, false },
		{ "local of 65, lenient", 65, 20, PATH_LENIENT, true },
		{ "local of 256, lenient", 256, 20, PATH_LENIENT, false },
		{ "path of 256", 64, 189, 0, true },
		{ "path of 257", 64, 190, 0, false },
		{ "domain of 255, lenient", 10, 255, PATH_LENIENT, true },
		{ "domain of 256, lenient", 10, 256, PATH_LENIENT, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer b = { 0 };
		struct address got;
		struct scan r;

		buffer_add_char(&b, '<');
		for (size_t n = 0; n < rows[i].local; n++)
			buffer_add_char(&b, 'a');
		buffer_add_char(&b, '@');
		for (size_t n = 0; n < rows[i].domain; n++)
			buffer_add_char(&b, n % 50 == 49 && n + 1 < rows[i].domain ? '.' : 'd');
		buffer_add_char(&b, '>');
		r = scan_of(buffer_bytes(&b));
		HOLDS(rows[i].why, path_parse(&r, (enum path_style)rows[i].style, a, &got) == rows[i].ok);
		buffer_free(&b);
		arena_close(&a);
	}
}

static void
test_bare(void **state)
{
	static const struct { const char *why, *in, *out; } rows[] = {
		{ "as typed", "Eva@Example.ORG", "Eva@example.org" },
		{ "quotes that are needed stay", "\"e va\"@example.org", "\"e va\"@example.org" },
		{ "quotes that are not go", "\"eva\"@example.org", "eva@example.org" },
		{ "a quote in quotes", "\"e\\\"\\\\va\"@example.org", "\"e\\\"\\\\va\"@example.org" },
		{ "dots that need quotes", "\"a..b\"@example.org", "\"a..b\"@example.org" },
		{ "empty local part", "\"\"@example.org", "\"\"@example.org" },
		{ "UTF-8", "\xe5\xbc\xa0@example.org", "\xe5\xbc\xa0@example.org" },
		{ "literal", "eva@[192.0.2.1]", "eva@[192.0.2.1]" },
		{ "no domain", "eva", NULL },
		{ "brackets", "<eva@example.org>", NULL },
		{ "more after it", "eva@example.org x", NULL },
		{ "nothing", "", NULL },
		{ "two of them", "a@example.org,b@example.org", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);
		struct address got;
		bool ok = address_parse(bytes_of(rows[i].in), a, &got);

		HOLDS(rows[i].why, ok == (rows[i].out != NULL));
		if (ok)
			SAME(rows[i].why, address_text(a, &got), bytes_of(rows[i].out));
		arena_close(&a);
	}
}

static void
test_domains(void **state)
{
	static const struct { const char *why, *in; bool ok; } rows[] = {
		{ "a name", "mail.example.org", true },
		{ "one label", "localhost", true },
		{ "digits first", "3com.com", true },
		{ "numbers in the middle", "a.1.example", true },
		{ "all numbers", "1.2.3.4", false },
		{ "nothing", "", false },
		{ "a dot", ".", false },
		{ "a blank", "a b", false },
		{ "8-bit", "\xe4\xbe\x8b.cn", false },
		{ "IPv4", "[1.2.3.4]", true },
		{ "IPv4 too large", "[1.2.3.256]", false },
		{ "IPv6", "[IPv6:::1]", true },
		{ "IPv6 wrong", "[IPv6:::1::]", false },
		{ "empty literal", "[]", false },
		{ "NUL in a literal", "[1.2.3.4\0]", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, domain_valid(bytes_of(rows[i].in)) == rows[i].ok);
	HOLDS("NUL", !domain_valid(BYTES("[1.2.3.4\0]")));
}

/* Each mailbox is written  name|route|local|domain;  a group  >name;  ...  <;  */
struct list_case { const char *why, *in, *out; };

static const struct list_case lists[] = {
	{ "rfc5322:A.1.1", "John Doe <jdoe@machine.example>", "John Doe||jdoe|machine.example;" },
	{ "rfc5322:A.1.2", "\"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com;" },
	{ "rfc5322:A.1.2 list", "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
	  "Mary Smith||mary|x.test;||jdoe|example.org;Who?||one|y.test;" },
	{ "rfc5322:A.1.2 giant", "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
	  "||boss|nil.test;Giant; \"Big\" Box||sysservices|example.net;" },
	{ "rfc5322:A.1.3 group", "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
	  ">A Group;Ed Jones||c|a.test;||joe|where.test;John||jdoe|one.test;<;" },
	{ "rfc5322:A.1.3 empty", "Undisclosed recipients:;", ">Undisclosed recipients;<;" },
	{ "rfc5322:A.5 comments", "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
	  "Pete||pete|silly.test;" },
	{ "rfc5322:A.5 group with comments",
	  "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
	  ">A Group;Chris Jones||c|public.example;||joe|example.org;John||jdoe|one.test;<;" },
	{ "rfc5322:A.5 hidden", "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
	  ">Hidden recipients;<;" },
	{ "rfc5322:A.6.1", "Joe Q. Public <john.q.public@example.com>", "Joe Q. Public||john.q.public|example.com;" },
	{ "rfc5322:A.6.1 route", "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
	  "Mary Smith|@node.test|mary|example.net;||jdoe|test.example;" },
	{ "rfc5322:A.6.3", "John Doe <jdoe@machine(comment).  example>", "John Doe||jdoe|machine.example;" },
	{ "name in a comment", "jdoe@example.org (John Doe)", "John Doe||jdoe|example.org;" },
	{ "rfc7103:7.1.1", "<@example.net:fran@example.com>", "|@example.net|fran|example.com;" },
	{ "rfc7103:7.1.2", "<<<user2@example.org>>>", "||user2|example.org;" },
	{ "rfc7103:7.1.3", "<another@example.net", "||another|example.net;" },
	{ "rfc7103:7.1.3 other way", "second@example.org>", "||second|example.org;" },
	{ "rfc7103:7.1.4", "(Testing <fran@example.com>", "(Testing||fran|example.com;" },
	{ "rfc7103:7.1.4 other way", "Testing) <sam@example.com>", "Testing)||sam|example.com;" },
	{ "rfc7103:7.1.5", "<third@example.net, fourth@example.net>", "||third|example.net;||fourth|example.net;" },
	{ "rfc7103:7.1.6", "\"Joe <joe@example.com>", "Joe||joe|example.com;" },
	{ "rfc7103:7.1.7", "Joe", "||Joe|;" },
	{ "only a name", "Joe Public", "Joe Public|||;" },
	{ "address as a name", "a@b.c <a@b.c>", "a@b.c||a|b.c;" },
	{ "quoted local part", "\"a b\"@example.org", "||a b|example.org;" },
	{ "at in quotes", "\"a@b\"@example.org", "||a@b|example.org;" },
	{ "two ats", "a@b@c", "||a@b|c;" },
	{ "semicolons between", "a@b.c; d@e.f", "||a|b.c;||d|e.f;" },
	{ "name without brackets", "John Doe jdoe@example.org", "John Doe||jdoe|example.org;" },
	{ "literal with colons", "a@[IPv6:2001:db8::1]", "||a|[IPv6:2001:db8::1];" },
	{ "8-bit name", "\xe7\x8e\x8b\xe4\xbc\x9f <w@example.cn>", "\xe7\x8e\x8b\xe4\xbc\x9f||w|example.cn;" },
	{ "encoded name stays", "=?utf-8?B?5byg?= <z@example.cn>", "=?utf-8?B?5byg?=||z|example.cn;" },
	{ "group not ended", "g: a@b.c", ">g;||a|b.c;<;" },
	{ "empty", "", "" },
	{ "blanks and commas", " , ,, \r\n ", "" },
	{ "empty brackets", "<>", "" },
	{ "name and empty brackets", "Joe <>", "Joe|||;" },
	{ "noise after brackets", "a <a@b.c> x y, d@e.f", "a||a|b.c;||d|e.f;" },
	{ "folded", "a\r\n <a@b.c>,\r\n\td@e.f", "a||a|b.c;||d|e.f;" },
	{ "quotes side by side", "\"a\"\"b\" \"c\" <d@e.f>", "ab c||d|e.f;" },
};

static void
test_lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct arena *a = arena_open(NULL);
		struct mailbox m[16];
		struct buffer b = { 0 };
		size_t n = mailboxes_parse(bytes_of(lists[i].in), a, m, COUNT(m));

		for (size_t k = 0; k < n; k++) {
			if (m[k].group_end) {
				buffer_add_string(&b, "<;");
				continue;
			}
			if (m[k].group_start) {
				buffer_add_char(&b, '>');
				buffer_add(&b, m[k].local);
			} else {
				const struct bytes part[] = { m[k].name, m[k].route, m[k].local, m[k].domain };

				for (size_t p = 0; p < COUNT(part); p++) {
					if (p > 0)
						buffer_add_char(&b, '|');
					buffer_add(&b, part[p]);
				}
			}
			buffer_add_char(&b, ';');
		}
		SAME(lists[i].why, buffer_bytes(&b), bytes_of(lists[i].out));
		buffer_free(&b);
		arena_close(&a);
	}
}

/* What is never closed must not be looked for again. */
static void
test_linear(void **state)
{
	static const char *const pieces[] = {
		"\"", "(", "<", "<@a,", "a@b,", "\\\"", "\"\\", "((a)", ":", "g:a@b;", "<a:", "[", "a@[", ";", "=?",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer b = { 0 };
		struct mailboxes r;
		struct mailbox m;

		while (b.len < 1 << 20)
			buffer_add_string(&b, pieces[i]);
		r = mailboxes_of(buffer_bytes(&b), a);
		while (mailboxes_next(&r, &m))
			HOLDS(pieces[i], m.local.len <= b.len && m.domain.len <= b.len);
		buffer_free(&b);
		arena_close(&a);
	}
}

/* Both are one domain.  The A-labels are those of IANA's test domains and of rfc3492, as Python's idna has them. */
static void
test_two_kinds_of_labels(void **state)
{
	static const struct { const char *why, *name, *canonical, *unicode; } domains[] = {
		{ "as it is", "Example.ORG", "example.org", "example.org" },
		{ "U-labels", "b\xc3\xbc" "cher.example", "xn--bcher-kva.example", "b\xc3\xbc" "cher.example" },
		{ "capitals", "B\xc3\x9c" "CHER.example", "xn--bcher-kva.example", "b\xc3\xbc" "cher.example" },
		{ "not composed (NFD)", "bu\xcc\x88" "cher.example", "xn--bcher-kva.example", "b\xc3\xbc" "cher.example" },
		{ "A-labels", "XN--BCHER-KVA.example", "xn--bcher-kva.example", "b\xc3\xbc" "cher.example" },
		{ "IANA's", "\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95", "xn--fsqu00a.xn--0zwm56d", "\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95" },
		{ "a sharp s is itself (IDNA2008)", "fa\xc3\x9f.example", "xn--fa-hia.example", "fa\xc3\x9f.example" },
		{ "an address literal", "[192.0.2.1]", "[192.0.2.1]", "[192.0.2.1]" },
		{ "broken UTF-8", "b\xc3.example", NULL, NULL },
		{ "a blank in it", "\xc3\xbc .example", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(domains); i++) {
		struct arena *a = arena_open(NULL);
		struct bytes  name;

		HOLDS(domains[i].why, domain_canonical(bytes_of(domains[i].name), a, &name) == (domains[i].canonical != NULL));
		if (domains[i].canonical != NULL) {
			SAME(domains[i].why, name, bytes_of(domains[i].canonical));
			SAME(domains[i].why, domain_unicode(name, a), bytes_of(domains[i].unicode));
		}
		arena_close(&a);
	}
}

UNIT(test_two_kinds_of_labels, test_paths, test_lengths, test_bare, test_domains, test_lists, test_linear)
