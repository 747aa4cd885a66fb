#include "unit.h"

#include <string.h>

#include "smtp/receiver/content.h"

/* clang-format off */
static const struct content_case {
	const char *why;
	struct bytes in;        /* as the client sends it                   */
	struct bytes out;       /* as it is stored                          */
	size_t       rest;      /* bytes behind the end; SIZE_MAX: no end   */
} cases[] = {
#define IN(in, out, rest) { in, sizeof(in) - 1 }, { out, sizeof(out) - 1 }, rest
	{ "rfc5321:4.1.1.4 the shortest letter", IN(".\r\n", "", 0) },
	{ "rfc5321:4.5.2 a lone dot ends", IN("A: b\r\n\r\nx\r\n.\r\n", "A: b\r\n\r\nx\r\n", 0) },
	{ "what follows is not content", IN("A: b\r\n\r\n.\r\nQUIT\r\n", "A: b\r\n\r\n", 6) },
	{ "rfc5321:4.5.2 a stuffed dot is taken off", IN("\r\n..x\r\n...\r\n.y\r\n.\r\n", "\r\n.x\r\n..\r\ny\r\n", 0) },
	{ "rfc5321:4.5.2 a stuffed lone dot is text", IN("\r\n..\r\n.\r\n", "\r\n.\r\n", 0) },
	{ "a dot within a line is text", IN("\r\na.\r\n.\r\n", "\r\na.\r\n", 0) },
	{ "no end yet", IN("A: b\r\n\r\nx\r\n.\r", "A: b\r\n\r\nx\r\n", SIZE_MAX) },
	{ "no end yet: half a line", IN("A: b\r\n\r\nx", "A: b\r\n\r\nx", SIZE_MAX) },
	{ "rfc5321:2.3.8 LF alone is a line, stored as CRLF", IN("A: b\n\nx\n\r\n.\r\n", "A: b\r\n\r\nx\r\n\r\n", 0) },
	{ "smuggling: LF . LF is no end", IN("\r\nx\n.\nMAIL\r\n.\r\n", "\r\nx\r\n\r\nMAIL\r\n", 0) },
	{ "smuggling: LF . CRLF is no end", IN("\r\nx\n.\r\nMAIL\r\n.\r\n", "\r\nx\r\n\r\nMAIL\r\n", 0) },
	{ "smuggling: CRLF . LF is no end", IN("\r\nx\r\n.\nMAIL\r\n.\r\n", "\r\nx\r\n\r\nMAIL\r\n", 0) },
	{ "smuggling: CRLF . CR LF after bare LF dots", IN("\r\n.\n.\r\n.\r\n", "\r\n\r\n\r\n", 0) },
	{ "smuggling: CR . CR is text", IN("\r\nx\r.\rMAIL\r\n.\r\n", "\r\nx . MAIL\r\n", 0) },
	{ "smuggling: CRLF . CR is text", IN("\r\nx\r\n.\rMAIL\r\n.\r\n", "\r\nx\r\n MAIL\r\n", 0) },
	{ "smuggling: CR CRLF . CRLF: the first CR is a blank", IN("\r\nx\r\r\n.\r\n", "\r\nx \r\n", 0) },
	{ "smuggling: CRLF . CR CRLF is no end", IN("\r\nx\r\n.\r\r\ny\r\n.\r\n", "\r\nx\r\n \r\ny\r\n", 0) },
	{ "smuggling: CRLF . CR LF after . CR", IN("\r\n.\r.\r\n.\r\n", "\r\n .\r\n", 0) },
	{ "smuggling: NUL between", IN("\r\nx\r\n\0.\r\n.\r\n", "\r\nx\r\n\0.\r\n", 0) },
	{ "a bare CR is a blank", IN("\r\na\rb\r\rc\r\n.\r\n", "\r\na b  c\r\n", 0) },
	{ "a bare CR at a line's start", IN("\r\n\rb\r\n.\r\n", "\r\n b\r\n", 0) },
	{ "NULs are kept", IN("\r\na\0b\r\n.\r\n", "\r\na\0b\r\n", 0) },
	{ "8-bit is kept", IN("\r\n\xe4\xb8\xad\xff\r\n.\r\n", "\r\n\xe4\xb8\xad\xff\r\n", 0) },
	{ "rfc5322:2.1 a body without its empty line gets one", IN("Hello\r\nyou\r\n.\r\n", "\r\nHello\r\nyou\r\n", 0) },
	{ "the same behind fields", IN("A: b\r\nHello\r\n.\r\n", "A: b\r\n\r\nHello\r\n", 0) },
	{ "a first line that begins with a blank is body", IN(" A: b\r\n.\r\n", "\r\n A: b\r\n", 0) },
	{ "with the hour in it", IN("From jill@example.com Mon Jan  1 12:00:00 2024\r\nA: b\r\n\r\n.\r\n", "A: b\r\n\r\n", 0) },
	{ "rfc5322:4.5.2 a blank before the colon", IN("From : jill\r\nA: b\r\n\r\n.\r\n", "From : jill\r\nA: b\r\n\r\n", 0) },
	{ "an mbox separator is dropped", IN("From jill Mon Jan  1\r\nA: b\r\n\r\n.\r\n", "A: b\r\n\r\n", 0) },
	{ "fields are not changed on the way in", IN("Bcc: x\r\nReturn-Path: <y>\r\nFrom: jill\r\n\r\n.\r\n",
	  "Bcc: x\r\nReturn-Path: <y>\r\nFrom: jill\r\n\r\n", 0) },
#undef IN
};
/* clang-format on */

/* Read `in` cut at two places; what is left behind the end is counted. */
static void
check(const struct content_case *c, size_t cut1, size_t cut2)
{
	struct content reader;
	struct buffer  out = { 0 };
	size_t         ends[3] = { cut1, cut2, c->in.len }, at = 0;
	bool           ended = false;

	content_begin(&reader);
	for (int i = 0; i < 3 && !ended; i++) {
		size_t       used;
		struct bytes piece = bytes_cut(c->in, at, ends[i] - at);

		ended = content_read(&reader, piece, &out, &used) == CONTENT_ENDED;
		HOLDS(c->why, ended || used == piece.len);
		at += used;
	}
	HOLDS(c->why, ended == (c->rest != SIZE_MAX));
	if (ended)
		HOLDS(c->why, c->in.len - at == c->rest);
	SAME(c->why, buffer_bytes(&out), c->out);
	HOLDS(c->why, reader.raw == at);
	buffer_free(&out);
}

static void
test_content_is_the_same_for_every_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t a = 0; a <= cases[i].in.len; a++)
			for (size_t b = a; b <= cases[i].in.len; b++)
				check(&cases[i], a, b);
}

static void
test_lenient_ends_at_lf_dot_lf(void **state)
{
	static const char *const ends[] = { "\nx\n.\n", "\r\nx\r\n.\n", "\nx\n.\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(ends); i++) {
		struct content c;
		struct buffer  out = { 0 };
		size_t         used;

		content_begin(&c);
		c.lenient = true;
		assert_int_equal(content_read(&c, bytes_of(ends[i]), &out, &used), CONTENT_ENDED);
		SAME(ends[i], buffer_bytes(&out), BYTES("\r\nx\r\n"));
		buffer_free(&out);
	}
}

/* Submission: rfc6409:8, rfc5322:3.6.3, R79. */
/* clang-format off */
static const struct { const char *why, *in, *out; } submitted[] = {
	{ "Bcc goes, with its continuation", "A: b\r\nBcc: x@y,\r\n z@y\r\nC: d\r\n\r\nBcc: body\r\n", "A: b\r\nC: d\r\n\r\nBcc: body\r\n" },
	{ "Bcc last", "A: b\r\nBCC : x@y\r\n\r\n", "A: b\r\n\r\n" },
	{ "Bcc first, empty", "Bcc:\r\nA: b\r\n\r\n", "A: b\r\n\r\n" },
	{ "Resent-Bcc and Return-Path", "Resent-Bcc: a\r\nReturn-Path: <b>\r\nTo: c@d.org\r\n\r\n", "To: c@d.org\r\n\r\n" },
	{ "only Bcc and no empty line", "Bcc: x\r\n", "" },
	{ "a field that only begins like Bcc stays", "Bccx: y\r\n\r\n", "Bccx: y\r\n\r\n" },
	{ "a bare From", "From: jill\r\n\r\n", "From: jill@example.com\r\n\r\n" },
	{ "bare in brackets", "From: Jill A <jill>\r\n\r\n", "From: Jill A <jill@example.com>\r\n\r\n" },
	{ "quoted name", "From: \"A, jill\" <jill>\r\n\r\n", "From: \"A, jill\" <jill@example.com>\r\n\r\n" },
	{ "a list, folded", "To: jill,\r\n jack@x.org, joe\r\nA: b\r\n\r\n", "To: jill@example.com,\r\n jack@x.org, joe@example.com\r\nA: b\r\n\r\n" },
	{ "a comment", "To: jill (the one, there)\r\n\r\n", "To: jill@example.com (the one, there)\r\n\r\n" },
	{ "whole addresses stay", "To: Jill <jill@x.org>, a@b.org\r\n\r\n", "To: Jill <jill@x.org>, a@b.org\r\n\r\n" },
	{ "two words without brackets are no address", "To: jill jack\r\n\r\n", "To: jill jack\r\n\r\n" },
	{ "groups stay", "To: undisclosed-recipients:;\r\n\r\n", "To: undisclosed-recipients:;\r\n\r\n" },
	{ "empty brackets stay", "Sender: <>\r\n\r\n", "Sender: <>\r\n\r\n" },
	{ "other fields stay", "Subject: jill\r\n\r\n", "Subject: jill\r\n\r\n" },
	{ "a domain without a dot", "To: jill@host, <jack@host>, \"a b\"@host, joe@x.org\r\n\r\n", "To: jill@host.example.org, <jack@host.example.org>, \"a b\"@host.example.org, joe@x.org\r\n\r\n" },
	{ "what is none stays", "To: a b@host, jill@host jack, @host, jill@, <@host:jill@host>, jill@[host]\r\n\r\n", "To: a b@host, jill@host jack, @host, jill@, <@host:jill@host>, jill@[host]\r\n\r\n" },
	{ "no empty line behind", "From: jill\r\n", "From: jill@example.com\r\n" },
	{ "R393 an empty Message-ID goes, to be made anew", "A: b\r\nMessage-ID:\r\nC: d\r\n\r\n", "A: b\r\nC: d\r\n\r\n" },
	{ "rfc6409:8.2 an empty Date, folded, the last", "A: b\r\nDate: \r\n \t\r\n\r\n", "A: b\r\n\r\n" },
	{ "an empty From and the body at once", "From:\r\nhello\r\n", "\r\nhello\r\n" },
	{ "an empty one, and nothing behind", "Message-ID: \r\n", "" },
	{ "other empty fields stay", "Subject:\r\nTo:\r\n\r\n", "Subject:\r\nTo:\r\n\r\n" },
	{ "body behind at once", "From: jill\r\nhello\r\n", "From: jill@example.com\r\n\r\nhello\r\n" },
};
/* clang-format on */

static void
test_submission_completes_and_hides(void **state)
{
	static const char *const  names[] = { "bcc", "resent-bcc", "return-path" };
	const struct setting_list hidden = { names, COUNT(names) };

	(void)state;
	for (size_t i = 0; i < COUNT(submitted); i++)
		for (size_t cut = 0; cut <= strlen(submitted[i].in); cut++) {
			struct bytes   in = bytes_of(submitted[i].in);
			struct content c;
			struct buffer  out = { 0 };
			size_t         used;

			content_begin(&c);
			c.fields.drop = &hidden;
			c.fields.origin = "example.com";
			c.fields.within = "example.org";
			c.fields.repair = true;
			(void)!content_read(&c, bytes_cut(in, 0, cut), &out, &used);
			(void)!content_read(&c, bytes_cut(in, cut, in.len), &out, &used);
			assert_int_equal(content_read(&c, BYTES(".\r\n"), &out, &used),
			                 CONTENT_ENDED);
			SAME(submitted[i].why, buffer_bytes(&out), bytes_of(submitted[i].out));
			buffer_free(&out);
		}
}

static void
test_fields_are_noted(void **state)
{
	struct content c;
	struct buffer  out = { 0 };
	size_t         used;

	(void)state;
	content_begin(&c);
	assert_int_equal(
		content_read(
			&c,
			BYTES("Received: a\r\nReceived: b\r\n c\r\nmessage-id:\r\n <x@y> (z)\r\n"
	                      "DATE: now\r\n\r\nFrom: body\r\n.\r\n"),
			&out, &used),
		CONTENT_ENDED);
	assert_int_equal(c.fields.received, 2);
	assert_int_equal(c.fields.count, 4);
	assert_string_equal(c.fields.message_id, "<x@y>");
	assert_int_equal(c.fields.seen, SEEN_DATE | SEEN_MESSAGE_ID);
	buffer_reset(&out);
	content_begin(&c);
	c.fields.repair = true;
	assert_int_equal(content_read(&c, BYTES("Date:\r\nMessage-ID: <a@b>\r\nMessage-ID:\r\n\r\n.\r\n"), &out, &used), CONTENT_ENDED);
	assert_int_equal(c.fields.seen, SEEN_MESSAGE_ID);
	assert_string_equal(c.fields.message_id, "<a@b>");
	SAME("one is left", buffer_bytes(&out), BYTES("Message-ID: <a@b>\r\n\r\n"));
	buffer_free(&out);
}

static void
test_header_limits(void **state)
{
	/* clang-format off */
	static const struct { const char *why; uint64_t field, section; const char *in; bool too_long, cut; const char *out; } rows[] = {
		{ "field just fits", 8, 0, "A: 345\r\nB: 3\r\n\r\n", false, false, "A: 345\r\nB: 3\r\n\r\n" },
		{ "one line is cut where it must be", 7, 0, "A: 3456789\r\nB: 3\r\n\r\n", false, true, "A: 3456\r\nB: 3\r\n\r\n" },
		{ "lines behind are gone", 6, 0, "A: 345\r\n 23\r\n\t4\r\nB: 3\r\n\r\n", false, true, "A: 345\r\nB: 3\r\n\r\n" },
		{ "part of the next fits", 9, 0, "A: 345\r\n 234567\r\n\t4\r\nB: 3\r\n\r\n", false, true, "A: 345\r\n 2\r\nB: 3\r\n\r\n" },
		{ "not a tenth of the limit: it is gone", 30, 0, "A: 34567890123456789012345678\r\n 234567\r\n\t4\r\nB: 3\r\n\r\n", false, true, "A: 34567890123456789012345678\r\nB: 3\r\n\r\n" },
		{ "a line without end", 8, 0, "A: 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789"
		  " 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 3456789 345", false, true, NULL },
		{ "section too long", 0, 10, "A: 3\r\nB: 3\r\n", true, false, "A: 3\r\nB: 3\r\n" },
		{ "the body is not counted", 8, 15, "A: 3\r\n\r\n0123456789012345678901234567890", false, false, "A: 3\r\n\r\n0123456789012345678901234567890" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t split = 0; split <= strlen(rows[i].in); split++) {
			struct bytes   in = bytes_of(rows[i].in);
			struct content c;
			struct buffer  out = { 0 };
			size_t         used;

			content_begin(&c);
			c.fields.field_most = rows[i].field;
			c.fields.section_most = rows[i].section;
			(void)!content_read(&c, bytes_cut(in, 0, split), &out, &used);
			(void)!content_read(&c, bytes_cut(in, split, in.len), &out, &used);
			HOLDS(rows[i].why, c.fields.too_long == rows[i].too_long && c.fields.cut == rows[i].cut);
			if (rows[i].out != NULL)
				SAME(rows[i].why, buffer_bytes(&out), bytes_of(rows[i].out));
			buffer_free(&out);
		}
}

/* rfc5321 knows no worst case; ours must be linear: a megabyte of CRs, of dots, of one line. */
static void
test_strange_bytes_cost_no_more(void **state)
{
	static char       strange[1 << 20];
	static const char fill[] = { '\r', '.', '\n', 'x', '\0' };

	(void)state;
	for (size_t i = 0; i < COUNT(fill); i++) {
		struct content c;
		struct buffer  out = { 0 };
		size_t         used;

		memset(strange, fill[i], sizeof strange);
		strange[sizeof strange - 1] = '\n';
		content_begin(&c);
		assert_int_equal(content_read(&c, BYTES("\r\n"), &out, &used), CONTENT_MORE);
		assert_int_equal(content_read(&c, (struct bytes){ strange, sizeof strange }, &out,
		                              &used),
		                 CONTENT_MORE);
		buffer_free(&out);
	}
}

UNIT(test_content_is_the_same_for_every_split, test_lenient_ends_at_lf_dot_lf,
     test_submission_completes_and_hides, test_fields_are_noted, test_header_limits,
     test_strange_bytes_cost_no_more)
