#include "unit.h"

#include <string.h>

#include "message/envelope.h"
#include "smtp/extension.h"
#include "smtp/grammar.h"

/* REQUIRETLS is offered inside TLS alone. */
#define ALL (~(unsigned)EXTENSION_REQUIRETLS)

/* clang-format off */
static const struct { const char *why, *line; bool strict; const char *local, *domain, *reply; } mails[] = {
	{ "rfc5321:4.1.1.2", "FROM:<eva@example.org>", true, "eva", "example.org", NULL },
	{ "rfc5321:4.5.5 null path", "FROM:<>", true, "", "", NULL },
	{ "case does not matter", "from:<eva@EXAMPLE.org>", true, "eva", "example.org", NULL },
	{ "rfc5321:4.1.2 quoted", "FROM:<\"e va\"@example.org>", true, "e va", "example.org", NULL },
	{ "rfc5321:4.1.3 literal", "FROM:<eva@[192.0.2.1]>", true, "eva", "[192.0.2.1]", NULL },
	{ "R66 blank", "FROM: <eva@example.org>", false, "eva", "example.org", NULL },
	{ "R66 blank, strict", "FROM: <eva@example.org>", true, NULL, NULL, "501 5.1.7 Bad sender address syntax" },
	{ "R66 no brackets", "FROM:eva@example.org SIZE=1", false, "eva", "example.org", NULL },
	{ "R79 bare", "FROM:<eva>", false, "eva", "", NULL },
	{ "R79 bare, strict", "FROM:<eva>", true, NULL, NULL, "501 5.1.7 Bad sender address syntax" },
	{ "no colon", "FROM <eva@example.org>", false, NULL, NULL, "501 5.5.4 Syntax: MAIL FROM:<address>" },
	{ "nothing", "", false, NULL, NULL, "501 5.5.4 Syntax: MAIL FROM:<address>" },
	{ "no closing bracket", "FROM:<eva@example.org", false, NULL, NULL, "501 5.1.7 Bad sender address syntax" },
	{ "two", "FROM:<eva@example.org>,<b@c>", false, NULL, NULL, "501 5.1.7 Bad sender address syntax" },
	{ "double dot, strict", "FROM:<e..va@example.org>", true, NULL, NULL, "501 5.1.7 Bad sender address syntax" },
	{ "rfc1870:6 twenty digits", "FROM:<> SIZE=00000000000000000001", true, "", "", NULL },
	{ "rfc1870:6 twenty nines are a size", "FROM:<> SIZE=99999999999999999999", true, "", NULL, NULL },
	{ "rfc1870:6 twenty-one", "FROM:<> SIZE=000000000000000000001", true, NULL, NULL, "501 5.5.4 Bad message size syntax" },
	{ "SIZE without a value", "FROM:<> SIZE", true, NULL, NULL, "501 5.5.4 Bad message size syntax" },
	{ "rfc6152:3", "FROM:<> BODY=8bitmime", true, "", "", NULL },
	{ "rfc3030:3", "FROM:<> BODY=BinaryMime", true, "", "", NULL },
	{ "BODY of another kind", "FROM:<> BODY=9BIT", true, NULL, NULL, "501 5.5.4 Syntax: BODY=7BIT, BODY=8BITMIME or BODY=BINARYMIME" },
	{ "rfc3461:5.4 of its example", "FROM:<Alice@Example.ORG> RET=HDRS ENVID=QQ314159", true, "Alice", "example.org", NULL },
	{ "RET of another kind", "FROM:<> RET=SOME", true, NULL, NULL, "501 5.5.4 Bad RET parameter syntax" },
	{ "RET twice", "FROM:<> RET=FULL RET=HDRS", true, NULL, NULL, "501 5.5.4 Error: a parameter stands there twice" },
	{ "ENVID is xtext", "FROM:<> ENVID=a=b", true, NULL, NULL, "501 5.5.4 Bad ENVID parameter syntax" },
	{ "ENVID leads no line into a notice", "FROM:<> ENVID=a+0D+0AX:y", true, NULL, NULL, "501 5.5.4 Bad ENVID parameter syntax" },
	{ "rfc6531:3.4", "FROM:<\xe5\xbc\xa0@example.org> BODY=8BITMIME SMTPUTF8", true, "\xe5\xbc\xa0", "example.org", NULL },
	{ "rfc6531:3.4 not said", "FROM:<\xe5\xbc\xa0@example.org>", true, NULL, NULL, "553 5.6.7 Must declare SMTPUTF8 to send unicode address" },
	{ "the same in its domain alone", "FROM:<a@b\xc3\xbc" "cher.example>", true, NULL, NULL, "553 5.6.7 Must declare SMTPUTF8 to send unicode address" },
	{ "SMTPUTF8 has no value", "FROM:<> SMTPUTF8=yes", true, NULL, NULL, "501 5.5.4 Error: SMTPUTF8 takes no value" },
	{ "rfc8689:2 only where offered", "FROM:<> REQUIRETLS", true, NULL, NULL, "555 5.5.4 Unsupported option: REQUIRETLS" },
	{ "rfc4865:4.2", "FROM:<> HOLDFOR=86400", true, "", "", NULL },
	{ "rfc4865:4.2 date", "FROM:<> HOLDUNTIL=2027-03-01T01:02:03.5+01:00", true, "", "", NULL },
	{ "rfc4865:4.2 one of both", "FROM:<> HOLDFOR=1 HOLDUNTIL=2027-03-01T01:02:03Z", true, NULL, NULL, "501 5.5.4 Bad HOLDUNTIL parameter syntax" },
	{ "ten digits", "FROM:<> HOLDFOR=1000000000", true, NULL, NULL, "501 5.5.4 Bad HOLDFOR parameter syntax" },
	{ "no such day", "FROM:<> HOLDUNTIL=2027-02-30T01:02:03Z", true, NULL, NULL, "501 5.5.4 Bad HOLDUNTIL parameter syntax" },
	{ "rfc2852:4", "FROM:<eljefe@bigbiz.com> BY=120;R ENVID=QQ314159", true, "eljefe", "bigbiz.com", NULL },
	{ "rfc2852:4 over, told of", "FROM:<> BY=-3600;NT", true, "", "", NULL },
	{ "rfc2852:4 over, returned", "FROM:<> BY=-3600;R", true, NULL, NULL, "501 5.5.4 Bad BY parameter syntax" },
	{ "BY without a mode", "FROM:<> BY=120", true, NULL, NULL, "501 5.5.4 Bad BY parameter syntax" },
	{ "rfc6710:4", "FROM:<> MT-PRIORITY=-9", true, "", "", NULL },
	{ "rfc6710:4 minus zero is none", "FROM:<> MT-PRIORITY=-0", true, NULL, NULL, "501 5.5.4 Bad MT-PRIORITY parameter syntax" },
	{ "rfc6710:4 too high", "FROM:<> MT-PRIORITY=10", true, NULL, NULL, "501 5.5.4 Bad MT-PRIORITY parameter syntax" },
	{ "rfc3865:2.3", "FROM:<save@example.com> SOLICIT=org.example:ADV:ADLT", true, "save", "example.com", NULL },
	{ "unknown", "FROM:<> XYZ=1", true, NULL, NULL, "555 5.5.4 Unsupported option: XYZ=1" },
	{ "the first of two", "FROM:<> SIZE=1 X  Y=2", true, NULL, NULL, "555 5.5.4 Unsupported option: X" },
	{ "what it is called is printable", "FROM:<> A\x1b[2J", true, NULL, NULL, "555 5.5.4 Unsupported option: A?[2J" },
};
/* clang-format on */

static void
test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mails); i++) {
		struct arena       *a = arena_open(NULL);
		struct mail_command m;
		const char         *reply = NULL;
		struct grammar      g = { .strict = mails[i].strict, .ascii = true, .extensions = ALL };
		bool good = mail_parse(bytes_of(mails[i].line), &g, a, &m, &reply);

		HOLDS(mails[i].why, good == (mails[i].reply == NULL));
		if (good) {
			SAME(mails[i].why, m.sender.local, bytes_of(mails[i].local));
			SAME(mails[i].why, m.sender.domain, bytes_of(mails[i].domain));
		} else
			SAME(mails[i].why, bytes_of(reply), bytes_of(mails[i].reply));
		arena_close(&a);
	}
}

static void
test_rcpt(void **state)
{
	/* clang-format off */
	static const struct { const char *why, *line, *local, *reply; bool bare; } rows[] = {
		{ "rfc5321:4.1.1.3", "TO:<eva@example.org>", "eva", NULL, false },
		{ "rfc5321:4.5.1", "TO:<Postmaster>", "Postmaster", NULL, false },
		{ "nobody", "TO:<>", NULL, "501 5.1.3 Bad recipient address syntax", false },
		{ "R79", "TO:eva", "eva", NULL, true },
		{ "source route", "TO:<@a.org,@b.org:eva@example.org>", "eva", NULL, false },
		{ "rfc3461:4.1", "TO:<eva@example.org> NOTIFY=NEVER", "eva", NULL, false },
		{ "rfc3461:10 Bob", "TO:<Bob@Example.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM", "Bob", NULL, false },
		{ "rfc3461:10 Dana", "TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU", "Dana", NULL, false },
		{ "rfc3461:4.1 NEVER stands alone", "TO:<eva@example.org> NOTIFY=NEVER,SUCCESS", NULL, "501 5.5.4 Error: Bad NOTIFY parameter syntax", false },
		{ "nothing to notify of", "TO:<eva@example.org> NOTIFY=", NULL, "501 5.5.4 Error: Bad NOTIFY parameter syntax", false },
		{ "a comma too many", "TO:<eva@example.org> NOTIFY=DELAY,", NULL, "501 5.5.4 Error: Bad NOTIFY parameter syntax", false },
		{ "ORCPT without a type", "TO:<eva@example.org> ORCPT=eva@example.org", NULL, "501 5.5.4 Error: Bad ORCPT parameter syntax", false },
		{ "ORCPT leads no line into a notice", "TO:<eva@example.org> ORCPT=rfc822;a+0Ab@c", NULL, "501 5.5.4 Error: Bad ORCPT parameter syntax", false },
		{ "rfc6533:3 utf-8-addr-xtext", "TO:<eva@example.org> ORCPT=utf-8;\\x{5F20}@example.org", "eva", NULL, false },
		{ "rfc6533:3 as it is: not without SMTPUTF8", "TO:<eva@example.org> ORCPT=utf-8;\xe5\xbc\xa0@example.org", NULL, "501 5.5.4 Error: Bad ORCPT parameter syntax", false },
		{ "rfc6531:3.4 the transaction is without it", "TO:<\xe5\xbc\xa0@example.org>", NULL, "553 5.6.7 Must declare SMTPUTF8 to send unicode address", false },
		{ "unknown", "TO:<eva@example.org> NOTIFY=NEVER FOO=1", NULL, "555 5.5.4 Unsupported option: FOO=1", false },
		{ "nothing", "<eva@example.org>", NULL, "501 5.5.4 Syntax: RCPT TO:<address>", false },
		{ "allow_min_user of postconf(5)", "TO:<-f@example.org>", NULL, "501 5.1.3 Bad recipient address syntax", false },
		{ "quotes make it no better", "TO:<\"-f\"@example.org>", NULL, "501 5.1.3 Bad recipient address syntax", false },
		{ "nor its being bare", "TO:-f", NULL, "501 5.1.3 Bad recipient address syntax", false },
		{ "behind something else", "TO:<a-f@example.org>", "a-f", NULL, false },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena       *a = arena_open(NULL);
		struct rcpt_command c;
		const char         *reply = NULL;
		struct grammar      g = { .ascii = true, .extensions = ALL };
		bool                good = rcpt_parse(bytes_of(rows[i].line), &g, a, &c, &reply);

		HOLDS(rows[i].why, good == (rows[i].reply == NULL));
		if (good) {
			SAME(rows[i].why, c.recipient.local, bytes_of(rows[i].local));
			HOLDS(rows[i].why, c.bare == rows[i].bare);
		} else
			SAME(rows[i].why, bytes_of(reply), bytes_of(rows[i].reply));
		arena_close(&a);
	}
}

static void
test_verb_and_helo(void **state)
{
	struct bytes  line = BYTES("  MAIL\t FROM:<> ");
	struct arena *a = arena_open(NULL);
	char          longest[2000];
	/* clang-format off */
	static const struct { const char *why, *said, *name; } names[] = {
		{ "a name", "client.example.org", "client.example.org" }, { "a literal", "[192.0.2.1]", "[192.0.2.1]" },
		{ "a Windows name", "MY_PC", "MY_PC" }, { "empty", "", "" }, { "blanks alone", " \t ", "" }, { "a blank", " Anna's PC ", "Anna's?PC" },
		{ "would forge a Received field", "a (b", "a??b" }, { "would forge a line", "a\r\nb", "" }, { "half a line end", "a\rb", "" }, { "8-bit", "\xd0\xbf\xd0\xba", "????" },
		{ "would forge an address", "<a@b>;\"\\", "?a?b????" }, { "DEL", "a\x7f", "a?" },
	};
	/* clang-format on */

	(void)state;
	SAME("verb", command_verb(&line), BYTES("MAIL"));
	SAME("argument", line, BYTES("FROM:<>"));
	for (size_t i = 0; i < COUNT(names); i++)
		SAME(names[i].why, helo_name(bytes_of(names[i].said), a), bytes_of(names[i].name));
	memset(longest, 'x', sizeof longest);
	HOLDS("it is bounded", helo_name((struct bytes){ longest, sizeof longest }, a).len == 255);
	arena_close(&a);
}

static void
test_words_of_parameters(void **state)
{
	static const struct { const char *why, *text; bool utf8, good; } orcpts[] = {
		{ "rfc3461:4.2", "rfc822;George@Tax-ME.GOV", false, true },
		{ "rfc3461:4 hexchar", "rfc822;a+2Bb@c.org", false, true },
		{ "hex digits are upper case", "rfc822;a+2bb@c.org", false, false },
		{ "cut short", "rfc822;a+2", false, false },
		{ "Postfix 3.7 writes UTF-8 so", "rfc822;+E5+BC+A0@+E4+BE+8B.example", false, true },
		{ "nobody", "rfc822;", false, false },
		{ "no type", ";a@b.c", false, false },
		{ "a type of another world", "x400;/G+3DJane/", false, true },
		{ "rfc6533:3", "utf-8;\\x{2603}@example.com", false, true },
		{ "rfc6533:3 a surrogate", "utf-8;\\x{D800}@example.com", false, false },
		{ "beyond Unicode", "utf-8;\\x{110000}@example.com", false, false },
		{ "a control", "utf-8;\\x{0A}@example.com", false, false },
		{ "rfc6533:3 unitext", "utf-8;\xe2\x98\x83@example.com", true, true },
		{ "broken UTF-8", "utf-8;\xe2\x98@example.com", true, false },
	};
	static const struct { const char *why, *text; int64_t at; } dates[] = {
		{ "rfc3339:5.8", "1985-04-12T23:20:50.52Z", 482196050 },
		{ "rfc3339:5.8 the same of another zone", "1996-12-19T16:39:57-08:00", 851042397 },
		{ "lower case", "1996-12-19t16:39:57z", 851013597 },
		{ "no zone", "1996-12-19T16:39:57", -1 },
		{ "a blank between", "1996-12-19 16:39:57Z", -1 },
		{ "an hour too many", "1996-12-19T24:39:57Z", -1 },
		{ "more behind it", "1996-12-19T16:39:57Zx", -1 },
		{ "a sign in a number", "1996-+2-19T16:39:57Z", -1 },
	};
	int64_t at;

	(void)state;
	for (size_t i = 0; i < COUNT(orcpts); i++)
		HOLDS(orcpts[i].why, orcpt_valid(bytes_of(orcpts[i].text), orcpts[i].utf8) == orcpts[i].good);
	for (size_t i = 0; i < COUNT(dates); i++)
		HOLDS(dates[i].why, date_time_read(bytes_of(dates[i].text), &at)
		                            ? at == dates[i].at
		                            : dates[i].at == -1);
}

UNIT(test_words_of_parameters, test_mail, test_rcpt, test_verb_and_helo)
