#include "unit.h"

#include <string.h>

#include "message/digest.h"

struct made { struct arena *a; struct buffer out; struct digest d; };

static struct made
make(const char *why, struct bytes content)
{
	struct made m = { .a = arena_open(NULL) };

	digest_make(content, m.a, &m.out);
	HOLDS(why, digest_view(buffer_bytes(&m.out), &m.d));
	HOLDS(why, m.d.content_size == content.len);
	HOLDS(why, digest_strings_valid(&m.d));
	return m;
}

static void
drop(struct made *m)
{
	buffer_free(&m->out);
	arena_close(&m->a);
}


/* The examples of the IMAP documents. */

#define FRED \
	"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n" \
	"From: Terry Gray <gray@cac.washington.edu>\r\n" \
	"Subject: IMAP4rev1 WG mtg summary and minutes\r\n" \
	"To: imap@cac.washington.edu\r\n" \
	"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n" \
	"Message-Id: <B27397-0100000@cac.washington.edu>\r\n" \
	"MIME-Version: 1.0\r\n" \
	"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"

static void
test_envelope_of_rfc3501(void **state)
{
	struct made m = make("rfc3501:8", BYTES(FRED "hello\r\n"));

	(void)state;
	SAME("rfc3501:8 the sample connection", m.d.envelope, BYTES(
		"(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
		"\"IMAP4rev1 WG mtg summary and minutes\" "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		"((NIL NIL \"imap\" \"cac.washington.edu\")) "
		"((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
		"(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
		"\"<B27397-0100000@cac.washington.edu>\")"));
	SAME("rfc3501:8 body", m.d.body,
	     BYTES("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 7 1)"));
	SAME("bodystructure", m.d.bodystructure,
	     BYTES("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 7 1 NIL NIL NIL NIL)"));
	HOLDS("date", m.d.sent == 837595405 && m.d.sent_zone == -420);
	SAME("from", m.d.from_addr, BYTES("gray@cac.washington.edu"));
	drop(&m);
}

struct text_case { const char *why, *header, *wanted; };

/* One header, its whole envelope. */
static void
test_envelopes(void **state)
{
	static const struct text_case rows[] = {
		{ "nothing at all", "X: y\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "rfc3501:7.4.2 present but empty", "Date:\r\nSubject: \r\nFrom:\r\nTo:\r\nMessage-ID:\r\n",
		  "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")" },
		{ "sender and reply-to stand for themselves", "From: a@b\r\nSender: c@d\r\nReply-To: e@f\r\n",
		  "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"e\" \"f\")) NIL NIL NIL NIL NIL)" },
		{ "empty sender is from", "From: a@b\r\nSender: \r\nReply-To: ,\r\n",
		  "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL)" },
		{ "group", "To: A Group: b@c, d@e;, f@g\r\n",
		  "(NIL NIL NIL NIL NIL ((NIL NIL \"A Group\" NIL)(NIL NIL \"b\" \"c\")(NIL NIL \"d\" \"e\")(NIL NIL NIL NIL)(NIL NIL \"f\" \"g\")) NIL NIL NIL NIL)" },
		{ "group of nobody", "To: undisclosed-recipients:;\r\n",
		  "(NIL NIL NIL NIL NIL ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) NIL NIL NIL NIL)" },
		{ "no domain: not NIL, that were a group", "From: root\r\n",
		  "(NIL NIL ((NIL NIL \"root\" \"\")) ((NIL NIL \"root\" \"\")) ((NIL NIL \"root\" \"\")) NIL NIL NIL NIL NIL)" },
		{ "route", "To: M <@a,@b:c@d>\r\n",
		  "(NIL NIL NIL NIL NIL ((\"M\" \"@a,@b\" \"c\" \"d\")) NIL NIL NIL NIL)" },
		{ "quotes and backslashes", "Subject: a \"b\" \\c\r\n",
		  "(NIL \"a \\\"b\\\" \\\\c\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "8-bit as a literal", "Subject: \xe4\xbd\xa0\r\n",
		  "(NIL {3}\r\n\xe4\xbd\xa0 NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "encoded words stay", "Subject: =?utf-8?B?5L2g?=\r\n",
		  "(NIL \"=?utf-8?B?5L2g?=\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "folds", "Subject: a\r\n\tb\r\n  c\r\n", "(NIL \"a b  c\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "rfc7103:7.3 a line of blanks", "Subject: a\r\n \r\n b\r\n", "(NIL \"a b\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "the first of two", "Subject: a\r\nSubject: b\r\n", "(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "two To are one list", "To: a@b\r\nTo: c@d\r\n",
		  "(NIL NIL NIL NIL NIL ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL)" },
		{ "names in any case, blank before the colon", "SUBJECT : a\r\n", "(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "rfc7103:7.2 a line that is no field", "Subject: a\r\nabout b\r\nDate: c\r\n",
		  "(\"c\" \"a about b\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "mbox line before it", "From eva Sun Nov 22 01:35:19 2026\r\nSubject: a\r\n",
		  "(NIL \"a\" NIL NIL NIL NIL NIL NIL NIL NIL)" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer b = { 0 };
		struct made m;

		buffer_add_string(&b, rows[i].header);
		buffer_add_string(&b, "\r\nbody\r\n");
		m = make(rows[i].why, buffer_bytes(&b));
		SAME(rows[i].why, m.d.envelope, bytes_of(rows[i].wanted));
		drop(&m);
		buffer_free(&b);
	}
}

/* rfc3501:6.4.5's own example of part numbers, and a NUL in a literal. */
static void
test_strange_strings(void **state)
{
	char subject[1200] = "Subject: ";
	struct buffer wanted = { 0 };
	struct made m;

	(void)state;
	m = make("NUL", BYTES("Subject: a\0b\r\n\r\n\0"));
	SAME("a NUL cannot be in a literal", m.d.envelope,
	     BYTES("(NIL {3}\r\na?b NIL NIL NIL NIL NIL NIL NIL NIL)"));
	HOLDS("flag", m.d.flags & DIGEST_NUL);
	drop(&m);

	memset(subject + 9, 'x', 999);
	memcpy(subject + 9 + 999, "\r\n\r\n", sizeof "\r\n\r\n");
	m = make("long", bytes_of(subject));
	buffer_add_string(&wanted, "(NIL {999}\r\n");
	buffer_add(&wanted, (struct bytes){ subject + 9, 999 });
	buffer_add_string(&wanted, " NIL NIL NIL NIL NIL NIL NIL NIL)");
	SAME("999 bytes are a literal", m.d.envelope, buffer_bytes(&wanted));
	buffer_free(&wanted);
	drop(&m);
}


/* Structures: content, BODYSTRUCTURE, and the parts as
   parent.number kind header+len body+len lines */

struct structure_case { const char *why, *content, *bodystructure, *body; };

#define LEAF_EXT " NIL NIL NIL NIL"

static const struct structure_case structures[] = {
	{ "rfc2045:5.2 nothing said", "A: b\r\n\r\nhello\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1" LEAF_EXT ")",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)" },
	{ "all the fields",
	  "Content-Type: application/octet-stream; name=\"a.bin\"\r\nContent-ID: <x@y>\r\n"
	  "Content-Description: a thing\r\nContent-Transfer-Encoding: BASE64\r\nContent-MD5: Q2hlY2s=\r\n"
	  "Content-Disposition: attachment; filename=a.bin; size=3\r\nContent-Language: en, de\r\n"
	  "Content-Location: http://x/\r\n\r\nYWJj\r\n",
	  "(\"application\" \"octet-stream\" (\"name\" \"a.bin\") \"<x@y>\" \"a thing\" \"BASE64\" 6 \"Q2hlY2s=\" "
	  "(\"attachment\" (\"filename\" \"a.bin\" \"size\" \"3\")) (\"en\" \"de\") \"http://x/\")",
	  "(\"application\" \"octet-stream\" (\"name\" \"a.bin\") \"<x@y>\" \"a thing\" \"BASE64\" 6)" },
	{ "comments in what is a word", "Content-Language: en (English) , (x) de\r\nContent-Transfer-Encoding: (a) 8bit (b)\r\n\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"8bit\" 0 0 NIL NIL \"en\" NIL)", NULL },
	{ "one language", "Content-Language: en\r\n\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL \"en\" NIL)",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)" },
	{ "rfc2046:5.1.1 the example",
	  "From: Nathaniel Borenstein <nsb@bellcore.com>\r\nSubject: Sample message\r\nMIME-Version: 1.0\r\n"
	  "Content-type: multipart/mixed; boundary=\"simple boundary\"\r\n\r\n"
	  "This is the preamble.  It is to be ignored.\r\n\r\n--simple boundary\r\n\r\n"
	  "This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.\r\n--simple boundary\r\n"
	  "Content-type: text/plain; charset=us-ascii\r\n\r\nThis is explicitly typed plain US-ASCII text.\r\n"
	  "It DOES end with a linebreak.\r\n\r\n--simple boundary--\r\n\r\nThis is the epilogue.\r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 80 1" LEAF_EXT ")"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 78 2" LEAF_EXT ")"
	  " \"mixed\" (\"boundary\" \"simple boundary\") NIL NIL NIL)",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 80 1)"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 78 2) \"mixed\")" },
	{ "rfc2046:5.1.5 digest",
	  "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b--\r\n",
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") 2" LEAF_EXT ")"
	  " \"digest\" (\"boundary\" \"b\") NIL NIL NIL)",
	  "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 17 (NIL \"one\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"digest\")" },
	{ "a letter that is only a letter", "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhello\r\n",
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 22 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1" LEAF_EXT ") 3" LEAF_EXT ")",
	  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 22 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1) 3)" },
	{ "no closing boundary", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0" LEAF_EXT ")"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 1" LEAF_EXT ")"
	  " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "no boundary parameter: one part, all of it", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 12 3" LEAF_EXT ") \"mixed\" NIL NIL NIL NIL)", NULL },
	{ "boundary that never comes", "Content-Type: multipart/mixed; boundary=b\r\n\r\nhello\r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1" LEAF_EXT ") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "part header cut by the boundary",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b\r\n\r\nx\r\n--b--\r\n",
	  "((\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ")"
	  " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "part without a header",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\njust text\r\n--b--\r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 9 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "one boundary begins like the other",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n"
	  "--bb\r\n\r\n1\r\n--bb\r\n\r\n2\r\n--bb--\r\n\r\n--b\r\n\r\n3\r\n--b--\r\n",
	  "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ")"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ")"
	  " \"alternative\" (\"boundary\" \"bb\") NIL NIL NIL)"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "an outer boundary ends an inner multipart",
	  "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
	  "--i\r\n\r\n1\r\n--o\r\n\r\n2\r\n--o--\r\n",
	  "(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"i\") NIL NIL NIL)"
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"o\") NIL NIL NIL)", NULL },
	{ "rfc2046:5.1.1 white space after the boundary",
	  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b \t\r\n\r\n1\r\n--b-- \r\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "bare LF", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b--\n",
	  "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0" LEAF_EXT ") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", NULL },
	{ "type without subtype is text", "Content-Type: text\r\n\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")", NULL },
	{ "rfc2045:5.1 comment", "Content-type: text/plain; charset=us-ascii (Plain text)\r\n\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")", NULL },
	{ "rfc2231:3 continuations",
	  "Content-Type: message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n"
	  " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"\r\n\r\n",
	  "(\"message\" \"external-body\" (\"access-type\" \"URL\" \"URL\" \"ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\")"
	  " NIL NIL \"7bit\" 0" LEAF_EXT ")", NULL },
	{ "rfc2231:4 extended", "Content-Type: application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A\r\n\r\n",
	  "(\"application\" \"x-stuff\" (\"title*\" \"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A\") NIL NIL \"7bit\" 0" LEAF_EXT ")", NULL },
	{ "rfc2231:4.1 both",
	  "Content-Type: application/x-stuff\r\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20\r\n ;title*2=\"isn't it!\"\r\n\r\n",
	  "(\"application\" \"x-stuff\" (\"title*\" \"us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!\") NIL NIL \"7bit\" 0" LEAF_EXT ")", NULL },
	{ "value with blanks and no quotes", "Content-Type: application/pdf; name=my file (1).pdf; x=y\r\n\r\n",
	  "(\"application\" \"pdf\" (\"name\" \"my file (1).pdf\" \"x\" \"y\") NIL NIL \"7bit\" 0" LEAF_EXT ")", NULL },
	{ "no header at all", "hello\r\n\r\nworld\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 16 3" LEAF_EXT ")", NULL },
	{ "no empty line", "Subject: x\r\nhello\r\n",
	  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")", NULL },
	{ "nothing", "", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")", NULL },
	{ "only an empty line", "\r\n", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" LEAF_EXT ")", NULL },
};

static void
test_structures(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(structures); i++) {
		struct made m = make(structures[i].why, bytes_of(structures[i].content));

		SAME(structures[i].why, m.d.bodystructure, bytes_of(structures[i].bodystructure));
		if (structures[i].body != NULL)
			SAME(structures[i].why, m.d.body, bytes_of(structures[i].body));
		drop(&m);
	}
}

/* The letter of rfc3501:6.4.5, and where a reader finds its sections. */
#define TREE \
	"Content-Type: multipart/mixed; boundary=a\r\n\r\n" \
	"--a\r\nContent-Type: text/plain\r\n\r\nP1\r\n" \
	"--a\r\nContent-Type: application/octet-stream\r\n\r\nP2\r\n" \
	"--a\r\nContent-Type: message/rfc822\r\n\r\n" \
	"Subject: S3\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
	"--b\r\n\r\nP3.1\r\n--b\r\nX: M3.2\r\n\r\nP3.2\r\n--b--\r\n\r\n" \
	"--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" \
	"--c\r\nContent-Type: image/gif\r\n\r\nP4.1\r\n" \
	"--c\r\nContent-Type: message/rfc822\r\n\r\nSubject: S4.2\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n" \
	"--d\r\nContent-Type: text/plain\r\n\r\nP4.2.1\r\n" \
	"--d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n" \
	"--e\r\n\r\nP4.2.2.1\r\n--e\r\nContent-Type: text/richtext\r\n\r\nP4.2.2.2\r\n--e--\r\n--d--\r\n--c--\r\n--a--\r\n"

static void
test_sections(void **state)
{
	static const struct { const char *why; uint32_t path[8]; bool header; const char *wanted; } rows[] = {
		{ "1", { 1 }, false, "P1" },
		{ "1.MIME", { 1 }, true, "Content-Type: text/plain\r\n\r\n" },
		{ "2", { 2 }, false, "P2" },
		{ "3.HEADER", { 3, 99 }, true, "Subject: S3\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" },
		{ "3.1", { 3, 1 }, false, "P3.1" },
		{ "3.2", { 3, 2 }, false, "P3.2" },
		{ "3.2.MIME", { 3, 2 }, true, "X: M3.2\r\n\r\n" },
		{ "4.1", { 4, 1 }, false, "P4.1" },
		{ "4.2.1", { 4, 2, 1 }, false, "P4.2.1" },
		{ "4.2.2.1", { 4, 2, 2, 1 }, false, "P4.2.2.1" },
		{ "4.2.2.2", { 4, 2, 2, 2 }, false, "P4.2.2.2" },
		{ "4.2.2.3", { 4, 2, 2, 3 }, false, NULL },
		{ "5", { 5 }, false, NULL },
	};
	struct made m = make("tree", BYTES(TREE));

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t at = 0;
		struct digest_part p = digest_part_at(&m.d, 0);

		for (size_t k = 0; rows[i].path[k] != 0 && at >= 0; k++) {
			if (p.kind == PART_MESSAGE) {        /* a letter inside: its parts are meant */
				at = digest_child(&m.d, (uint32_t)at, 1);
				HOLDS(rows[i].why, at > 0);
				p = digest_part_at(&m.d, (uint32_t)at);
			}
			if (rows[i].path[k] == 99)
				break;
			at = digest_child(&m.d, (uint32_t)at, rows[i].path[k]);
			if (at >= 0)
				p = digest_part_at(&m.d, (uint32_t)at);
		}
		HOLDS(rows[i].why, (at >= 0) == (rows[i].wanted != NULL));
		if (at >= 0)
			SAME(rows[i].why, rows[i].header ?
			     bytes_cut(BYTES(TREE), p.header_at, p.header_len) :
			     bytes_cut(BYTES(TREE), p.body_at, p.body_len), bytes_of(rows[i].wanted));
	}
	drop(&m);
}

static void
test_fields(void **state)
{
	static const char content[] = "A: b\r\n c\r\nReceived: x\r\nreceived: y\r\nSubject : z\r\n\r\nNot: a field\r\n";
	static const struct { uint16_t name; const char *whole; } rows[] = {
		{ 1, "A: b\r\n c\r\n" }, { 8, "Received: x\r\n" }, { 8, "received: y\r\n" }, { 7, "Subject : z\r\n" },
	};
	struct made m = make("fields", bytes_of(content));

	(void)state;
	HOLDS("how many", m.d.fields == COUNT(rows));
	for (uint32_t i = 0; i < m.d.fields; i++) {
		struct digest_field f = digest_field_at(&m.d, i);

		HOLDS(rows[i].whole, f.part == 0 && f.name_len == rows[i].name);
		SAME("field", bytes_cut(bytes_of(content), f.at, f.len), bytes_of(rows[i].whole));
	}
	HOLDS("rfc5321:6.3", m.d.received_count == 2);
	drop(&m);
}


/* What is told beside the IMAP strings. */
static void
test_words(void **state)
{
	static const char content[] =
		"From: =?gb18030?B?zfXOsA==?= <Wang@Example.CN>\r\n"
		"To: \xcd\xf5\xce\xb0 <a@b.cn>\r\n"
		"Subject: Re: [\xc4\xe3\xba\xc3] =?big5?B?p0GmbqFBpUCsyQ==?=\r\n"
		"Message-ID:\r\n <\"abc\"@example.cn> (x)\r\n"
		"In-Reply-To: <old@example.cn>\r\n"
		"Content-Type: text/plain; charset=gb2312\r\n"
		"Content-Transfer-Encoding: base64\r\n\r\nxOO6ww0KDQogxOO6ww==\r\n";
	struct made m = make("words", bytes_of(content));

	(void)state;
	SAME("from", m.d.from, bytes_of("\xe7\x8e\x8b\xe4\xbc\x9f <Wang@Example.CN>"));
	SAME("from_addr", m.d.from_addr, BYTES("Wang@example.cn"));
	SAME("to, raw gb2312", m.d.to, bytes_of("\xe7\x8e\x8b\xe4\xbc\x9f <a@b.cn>"));
	SAME("subject", m.d.subject, bytes_of("Re: [\xe4\xbd\xa0\xe5\xa5\xbd] \xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c"));
	SAME("base subject", m.d.base_subject, bytes_of("\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c"));
	SAME("id", m.d.message_id, BYTES("<abc@example.cn>"));
	SAME("references", m.d.references, BYTES("<old@example.cn>"));
	SAME("preview", m.d.preview, bytes_of("\xe4\xbd\xa0\xe5\xa5\xbd \xe4\xbd\xa0\xe5\xa5\xbd"));
	HOLDS("flags", m.d.flags == (DIGEST_8BIT | DIGEST_8BIT_HEADER | DIGEST_HAS_FROM | DIGEST_HAS_MESSAGE_ID));
	drop(&m);
}

static void
test_previews(void **state)
{
	static const struct text_case rows[] = {
		{ "blanks become one", "\r\n\r\n  hello \t\r\n\r\n world\r\n", "hello world" },
		{ "html", "Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>no</title><style>p { x }</style></head>"
		  "<body><!-- no <b> -->a<b>b</b>c<p>d&amp;e &#20320;&#x597d;&nbsp;&bogus; 1 < 2<script>no</script></body>",
		  "abc d&e \xe4\xbd\xa0\xe5\xa5\xbd &bogus; 1 < 2" },
		{ "attribute with a bracket in it", "Content-Type: text/html\r\n\r\n<a title=\"x>y\">z</a>", "z" },
		{ "text before html",
		  "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b\r\n\r\ntext\r\n--b--\r\n",
		  "text" },
		{ "html if the text is empty",
		  "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n--b--\r\n",
		  "html" },
		{ "an attached text is not the letter's",
		  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--\r\n",
		  "yes" },
		{ "filler of newsletters", "Content-Type: text/html; charset=utf-8\r\n\r\nhi&zwnj;&nbsp;&zwnj;&nbsp;\xe2\x80\x8b there", "hi there" },
		{ "seven bits that are Chinese (rfc1843)", "Content-Type: text/plain; charset=hz-gb-2312\r\n\r\n~{Dc:C~} ok", "\xe4\xbd\xa0\xe5\xa5\xbd ok" },
		{ "nothing to read", "Content-Type: image/png\r\n\r\nx", "" },
		{ "quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\nb =3D", "ab =" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct made m = make(rows[i].why, bytes_of(rows[i].header));

		SAME(rows[i].why, m.d.preview, bytes_of(rows[i].wanted));
		drop(&m);
	}
}

/* 200 characters, not bytes, wherever the first look cut the text. */
static void
test_long_preview(void **state)
{
	(void)state;
	for (size_t lead = 0; lead < 4; lead++) {
		struct buffer b = { 0 };
		struct made m;

		buffer_add_string(&b, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		for (size_t i = 0; i < lead; i++)
			buffer_add_char(&b, 'x');
		for (size_t i = 0; i < 2000; i++)
			buffer_add_string(&b, "\xe4\xbd\xa0");
		m = make("long", buffer_bytes(&b));
		HOLDS("200 characters", m.d.preview.len == lead + 3 * (200 - lead));
		drop(&m);
		buffer_free(&b);
	}
}

static void
test_attachments(void **state)
{
	static const struct { const char *why, *content; bool is; } rows[] = {
		{ "plain", "\r\nhello", false },
		{ "disposition", "Content-Disposition: attachment\r\n\r\n", true },
		{ "a pdf", "Content-Type: application/pdf\r\n\r\n", true },
		{ "text with a name", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/csv; name=x.csv\r\n\r\n--b--", true },
		{ "picture in html", "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n--b\r\nContent-Type: image/png; name=x\r\nContent-ID: <a@b>\r\n\r\n--b--", false },
		{ "forwarded letter", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n--b--", true },
		{ "a bounce", "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\n--b--", false },
		{ "signature", "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n--b\r\nContent-Type: application/pgp-signature; name=x\r\nContent-Disposition: attachment\r\n\r\n--b--", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct made m = make(rows[i].why, bytes_of(rows[i].content));

		HOLDS(rows[i].why, ((m.d.flags & DIGEST_ATTACHMENT) != 0) == rows[i].is);
		drop(&m);
	}
}


/* Limits: strange mail gives a poorer digest, in time that grows with its size. */
static void
test_limits(void **state)
{
	static const struct { const char *why, *before, *again; size_t times; uint32_t parts, fields; } rows[] = {
		{ "parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\n", 20000, 10000, 1 },
		{ "nesting of letters", "", "Content-Type: message/rfc822\r\n\r\n", 5000, 100, 100 },
		{ "nesting of multiparts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
		  "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n", 5000, 5001, 1 },
		{ "fields", "", "X: y\r\n", 50000, 1, 2000 },
		{ "a field of its own kind", "", "To: a@b, c@d\r\n", 50000, 1, 2000 },
		{ "addresses", "To: ", "a@b,", 200000, 1, 1 },
		{ "parameters", "Content-Type: text/plain", "; a*1=b", 100000, 1, 1 },
		{ "comments", "Content-Type: text/plain; ", "((", 100000, 1, 1 },
		{ "references", "References: ", "<a@b>", 100000, 1, 1 },
		{ "boundary of 201", "Content-Type: multipart/mixed; boundary=", "x", 201, 2, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer b = { 0 };
		struct made m;

		buffer_add_string(&b, rows[i].before);
		for (size_t n = 0; n < rows[i].times; n++)
			buffer_add_string(&b, rows[i].again);
		m = make(rows[i].why, buffer_bytes(&b));
		HOLDS(rows[i].why, m.d.parts == rows[i].parts);
		HOLDS(rows[i].why, m.d.fields == rows[i].fields);
		HOLDS(rows[i].why, (i >= 6 && i <= 8) || m.d.flags & DIGEST_CUT_SHORT);
		drop(&m);
		buffer_free(&b);
	}
}

/* A long header is no reason to know less of a letter: what is told is of the fields that have a name here. */
static void
test_far_fields(void **state)
{
	static const struct { const char *why, *again; size_t times; } rows[] = {
		{ "behind many", "X: y\r\n", 50000 },
		{ "behind a long one", "X-Long: " , 1 },
		{ "behind many parts of a trace", "Received: by a; Sun, 1 Jan 2023 00:00:00 +0000\r\n", 30000 },
		{ "behind a subject that is too long", "Subject: ", 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer b = { 0 };
		struct made m;

		for (size_t n = 0; n < rows[i].times; n++)
			buffer_add_string(&b, rows[i].again);
		if (rows[i].times == 1) {
			memset(buffer_room(&b, 3 << 20), 'y', 3 << 20);
			buffer_took(&b, 3 << 20);
			buffer_add_string(&b, "\r\n");
		}
		buffer_add_string(&b, "From: a@b.example\r\nTo: c@d.example\r\nDate: Sun, 1 Jan 2023 00:00:00 +0000\r\n"
		                      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n");
		m = make(rows[i].why, buffer_bytes(&b));
		HOLDS(rows[i].why, bytes_is(m.d.from, "a@b.example") && bytes_is(m.d.to, "c@d.example"));
		HOLDS(rows[i].why, m.d.flags & DIGEST_HAS_DATE && m.d.sent == 1672531200);
		HOLDS(rows[i].why, m.d.parts == 2);
		HOLDS(rows[i].why, m.out.len < 4 << 20);
		drop(&m);
		buffer_free(&b);
	}
}

/* Every cut and every changed byte of a digest is refused or gives ranges that
   lie in the content. */
static void
test_broken_views(void **state)
{
	struct made m = make("whole", BYTES(TREE));
	char *copy = arena_take(m.a, m.out.len);
	struct digest d;

	(void)state;
	for (size_t n = 0; n < m.out.len; n++)
		HOLDS("cut short", !digest_view((struct bytes){ m.out.at, n }, &d));
	for (size_t n = 0; n < m.out.len; n++) {
		memcpy(copy, m.out.at, m.out.len);
		copy[n] = (char)(copy[n] ^ 0x85);
		if (!digest_view((struct bytes){ copy, m.out.len }, &d))
			continue;
		for (uint32_t i = 0; i < d.parts; i++) {
			struct digest_part p = digest_part_at(&d, i);

			HOLDS("part", p.header_at <= d.content_size && p.header_len <= d.content_size - p.header_at);
			HOLDS("part", p.body_at <= d.content_size && p.body_len <= d.content_size - p.body_at);
		}
		for (uint32_t i = 0; i < d.fields; i++) {
			struct digest_field f = digest_field_at(&d, i);

			HOLDS("field", f.part < d.parts && f.name_len < f.len);
			HOLDS("field", f.at <= d.content_size && f.len <= d.content_size - f.at);
		}
	}
	copy[0] = DIGEST_VERSION + 1;
	HOLDS("unknown version", !digest_view((struct bytes){ copy, m.out.len }, &d));
	HOLDS("nothing", !digest_view((struct bytes){ NULL, 0 }, &d));
	drop(&m);
}

UNIT(test_envelope_of_rfc3501, test_envelopes, test_strange_strings, test_structures, test_sections,
     test_fields, test_words, test_previews, test_long_preview, test_attachments, test_limits, test_far_fields,
     test_broken_views)
