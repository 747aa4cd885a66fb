#include "unit.h"

#include <string.h>

#include "smtp/grammar.h"

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
	{ "rfc1870:6 twenty-one", "FROM:<> SIZE=000000000000000000001", true, NULL, NULL, "501 5.5.4 Bad message size syntax" },
	{ "SIZE without a value", "FROM:<> SIZE", true, NULL, NULL, "501 5.5.4 Bad message size syntax" },
	{ "rfc6152:3", "FROM:<> BODY=8bitmime", true, "", "", NULL },
	{ "BODY of another kind", "FROM:<> BODY=BINARYMIME", true, NULL, NULL, "501 5.5.4 Syntax: BODY=7BIT or BODY=8BITMIME" },
	{ "not advertised", "FROM:<> RET=FULL", true, NULL, NULL, "555 5.5.4 Unsupported option" },
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
		bool good = mail_parse(bytes_of(mails[i].line), mails[i].strict, a, &m, &reply);

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
		{ "rfc3461 is not advertised", "TO:<eva@example.org> NOTIFY=NEVER", NULL, "555 5.5.4 Unsupported option", false },
		{ "nothing", "<eva@example.org>", NULL, "501 5.5.4 Syntax: RCPT TO:<address>", false },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena       *a = arena_open(NULL);
		struct rcpt_command c;
		const char         *reply = NULL;
		bool                good = rcpt_parse(bytes_of(rows[i].line), false, a, &c, &reply);

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
	struct bytes line = BYTES("  MAIL\t FROM:<> ");
	/* clang-format off */
	static const struct { const char *why, *name; bool good; } names[] = {
		{ "a name", "client.example.org", true }, { "a literal", "[192.0.2.1]", true }, { "a Windows name", "MY_PC", true },
		{ "empty", "", false }, { "a blank", "a b", false }, { "would forge a Received field", "a(b", false },
		{ "would forge a line", "a\nb", false }, { "8-bit", "\xe4", false },
	};
	/* clang-format on */

	(void)state;
	SAME("verb", command_verb(&line), BYTES("MAIL"));
	SAME("argument", line, BYTES("FROM:<>"));
	for (size_t i = 0; i < COUNT(names); i++)
		HOLDS(names[i].why, helo_valid(bytes_of(names[i].name)) == names[i].good);
}

UNIT(test_mail, test_rcpt, test_verb_and_helo)
