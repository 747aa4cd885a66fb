#include "unit.h"

#include "message/notice-template.h"

/* The example of bounce(5), and its rules. */
#define EXAMPLE \
	"# The failure template is used for undeliverable mail.\n\n" \
	"failure_template = <<EOF\nCharset: us-ascii\nFrom: MAILER-DAEMON (Mail Delivery System)\n" \
	"Subject: Undelivered Mail Returned to Sender\nPostmaster-Subject: Postmaster Copy: Undelivered Mail\n\n" \
	"This is the mail system at host $myhostname.\n\n  \\ stays\nEOF\n"

static void
test_example(void **state)
{
	struct arena *a = arena_open(NULL);
	struct notice_templates all;
	struct buffer errors = { 0 };
	const struct notice_template *t;

	(void)state;
	HOLDS("good", templates_read(BYTES(EXAMPLE), "bounce.cf", a, &all, &errors) && errors.len == 0);
	HOLDS("one", all.count == 1 && templates_find(&all, TEMPLATE_DELAY, "en") == NULL);
	t = templates_find(&all, TEMPLATE_FAILURE, "en");
	HOLDS("for any language", t != NULL && t == templates_find(&all, TEMPLATE_FAILURE, "zh"));
	SAME("From", t->from, BYTES("MAILER-DAEMON (Mail Delivery System)"));
	SAME("Subject", t->subject, BYTES("Undelivered Mail Returned to Sender"));
	SAME("Postmaster-Subject", t->postmaster_subject, BYTES("Postmaster Copy: Undelivered Mail"));
	SAME("text", t->text, BYTES("This is the mail system at host $myhostname.\r\n\r\n  \\ stays\r\n"));
	buffer_free(&errors);
	arena_close(&a);
}

static void
test_rows(void **state)
{
	static const struct { const char *why, *file; bool good; size_t count; const char *text, *complaint; } rows[] = {
		{ "nothing", "", true, 0, NULL, "" },
		{ "remarks and blanks", "# x\n  \n\t# y\n", true, 0, NULL, "" },
		{ "another word", "failure_template=<<END\n\nEOF\nEND\n", true, 1, "EOF\r\n", "" },
		{ "no header", "failure_template = <<X\nhello\nX\n", true, 1, "hello\r\n", "" },
		{ "a header in any case", "failure_template = <<X\nSUBJECT: a\n\nb\nX\n", true, 1, "b\r\n", "" },
		{ "what looks like a header, later", "failure_template = <<X\n\nSubject: a\nX\n", true, 1, "Subject: a\r\n", "" },
		{ "CRLF", "failure_template = <<X\r\n\r\nhello\r\nX\r\n", true, 1, "hello\r\n", "" },
		{ "the last one counts", "failure_template = <<X\n\na\nX\nfailure_template = <<X\n\nb\nX\n", true, 1, "b\r\n", "" },
		{ "utf-8", "failure_template = <<X\nCharset: utf-8\n\n\xe9\x80\x80\nX\n", true, 1, "\xe9\x80\x80\r\n", "" },
		{ "another charset", "failure_template = <<X\nCharset: gb2312\n\n\xcd\xcb\nX\n", true, 1, "\xe9\x80\x80\r\n", "" },
		{ "no end", "failure_template = <<X\n\nhello\n", false, 0, NULL, "f:4: the word that ends the template is missing: \"X\"\n" },
		{ "an unknown name", "nothing_template = <<X\nX\n", false, 0, NULL, "f:1: write failure_template = <<EOF, or delay_, success_, verify_: \"nothing_template = <<X\"\nf:2: write failure_template = <<EOF, or delay_, success_, verify_: \"X\"\n" },
		{ "an unknown header", "failure_template = <<X\nReply-To: a\n\nb\nX\n", false, 1, "b\r\n", "f:2: there are Charset, From, Subject and Postmaster-Subject in a template: \"Reply-To\"\n" },
		{ "a header that is not ASCII", "failure_template = <<X\nSubject: \xe9\n\nb\nX\n", false, 1, "b\r\n", "f:2: a header of a template is of ASCII characters alone: \"Subject\"\n" },
		{ "an unknown charset", "failure_template = <<X\nCharset: x-none\n\nb\nX\n", false, 1, "b\r\n", "f:5: this charset is not known: \"x-none\"\n" },
		{ "neither", "failure_template = <<X\n\n\xff\nX\n", false, 1, NULL, "f:4: the text is neither ASCII nor UTF-8; say its charset in Charset:\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *a = arena_open(NULL);
		struct notice_templates all;
		struct buffer errors = { 0 };

		HOLDS(rows[i].why, templates_read(bytes_of(rows[i].file), "f", a, &all, &errors) == rows[i].good);
		HOLDS(rows[i].why, all.count == rows[i].count);
		SAME(rows[i].why, buffer_bytes(&errors), bytes_of(rows[i].complaint));
		if (rows[i].text != NULL)
			SAME(rows[i].why, all.one[0].text, bytes_of(rows[i].text));
		buffer_free(&errors);
		arena_close(&a);
	}
}

static void
test_languages(void **state)
{
	struct arena *a = arena_open(NULL);
	struct notice_templates all;
	struct buffer errors = { 0 };

	(void)state;
	HOLDS("good", templates_read(BYTES("failure_template = <<X\n\nany\nX\nfailure_template.zh = <<X\n\nzh\nX\ndelay_template.zh = <<X\n\nlater\nX\n"), "f", a, &all, &errors));
	SAME("its own", templates_find(&all, TEMPLATE_FAILURE, "zh")->text, BYTES("zh\r\n"));
	SAME("that for all", templates_find(&all, TEMPLATE_FAILURE, "en")->text, BYTES("any\r\n"));
	HOLDS("none", templates_find(&all, TEMPLATE_DELAY, "en") == NULL);
	buffer_free(&errors);
	arena_close(&a);
}

UNIT(test_example, test_rows, test_languages)
