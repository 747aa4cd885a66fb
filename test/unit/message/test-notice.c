#include "unit.h"

#include <stdlib.h>

#include "base/arena.h"
#include "message/charset.h"
#include "message/digest.h"
#include "message/encoding.h"
#include "message/notice-words.h"

#define LETTER "From: eva@example.org\r\nSubject: hello\r\n\r\nthe body\r\n"

static struct notice
example(const struct notice_recipient *r, size_t n)
{
	return (struct notice){
		.kind = NOTICE_FAILED, .host = "mail.example.org", .queue_id = BYTES("1A0000F3C0"),
		.sender = BYTES("eva@example.org"), .envid = BYTES("QQ314159+3D"),
		.arrived = 1795311319, .now = 1795311400, .recipient = r, .recipients = n,
		.original = BYTES(LETTER), .whole = true,
	};
}

#define NOBODY { \
	.original = BYTES("rfc822;no+2Bbody@example.com"), .final = BYTES("nobody@example.com"), \
	.status = BYTES("5.1.1"), .diagnostic = BYTES("smtp; 550 5.1.1 No such user"), \
	.remote = BYTES("mx.example.com"), .what = NOTICE_FAILED }

static bool
says(const struct buffer *b, const char *text)
{
	return bytes_search(buffer_bytes(b), bytes_of(text)) >= 0;
}

/* rfc3464:2.3.6 what a host has said, without our words around it; rfc3464:2.3.9 */
static void
test_delayed(void **state)
{
	struct notice_recipient r = { .final = BYTES("late@example.com"), .status = BYTES("4.2.2"),
		.diagnostic = BYTES("host mx.example.com[192.0.2.1] said: 452 4.2.2 full (in reply to RCPT TO command)"),
		.remote = BYTES("mx.example.com"), .said = BYTES("452 4.2.2 full"), .until = 1795743319, .what = NOTICE_DELAYED };
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };

	(void)state;
	setenv("TZ", "UTC", 1);
	n.kind = NOTICE_DELAYED;
	notice_write(&n, &b);
	HOLDS("rfc3464:2.3.3", says(&b, "\r\nAction: delayed\r\n"));
	HOLDS("rfc3464:2.3.5", says(&b, "\r\nRemote-MTA: dns; mx.example.com\r\n"));
	HOLDS("rfc3464:2.3.6", says(&b, "\r\nDiagnostic-Code: smtp; 452 4.2.2 full\r\n"));
	HOLDS("rfc3464:2.3.9", says(&b, "\r\nWill-Retry-Until: Fri, 27 Nov 2026 01:35:19 +0000 (UTC)\r\n"));
	HOLDS("the host stands in the text once", says(&b, "\r\n<late@example.com>: host mx.example.com"));
	buffer_free(&b);
}

/* rfc2852:5, rfc4865:5: what was wished for the time of the delivery stands among the fields of the letter */
static void
test_times_that_were_wished(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };

	(void)state;
	setenv("TZ", "UTC", 1);
	notice_write(&n, &b);
	HOLDS("nothing was wished", !says(&b, "Deliver-By-Date:") && !says(&b, "Future-Release-Request:"));
	buffer_reset(&b);
	n.by = 1795743319;
	n.released = 1795400000;
	notice_write(&n, &b);
	HOLDS("rfc2852:5", says(&b, "\r\nDeliver-By-Date: Fri, 27 Nov 2026 01:35:19 +0000 (UTC)\r\n"));
	HOLDS("rfc4865:5", says(&b, "\r\nFuture-Release-Request: until;2026-11-23T02:13:20Z\r\n"));
	buffer_reset(&b);
	n.held_for = 86400;
	notice_write(&n, &b);
	HOLDS("rfc4865:5, as it was asked for", says(&b, "\r\nFuture-Release-Request: for;86400\r\n"));
	buffer_free(&b);
}

/* rfc3464:2.1, rfc6522:3 */
static void
test_failed(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 }, packed = { 0 };
	struct arena *a = arena_open(NULL);
	struct digest d;

	(void)state;
	setenv("TZ", "UTC", 1);
	notice_write(&n, &b);
	HOLDS("from", says(&b, "\r\nFrom: Mail Delivery System <MAILER-DAEMON@mail.example.org>\r\n"));
	HOLDS("to", says(&b, "\r\nTo: eva@example.org\r\n"));
	HOLDS("rfc3834:5", says(&b, "\r\nAuto-Submitted: auto-replied\r\n"));
	HOLDS("rfc3464:2.2.2", says(&b, "\r\nReporting-MTA: dns; mail.example.org\r\n"));
	HOLDS("rfc3464:2.2.1, xtext taken off", says(&b, "\r\nOriginal-Envelope-Id: QQ314159=\r\n"));
	HOLDS("rfc3464:2.3.1, xtext taken off", says(&b, "\r\n\r\nOriginal-Recipient: rfc822; no+body@example.com\r\n"));
	HOLDS("rfc3464:2.3.2", says(&b, "\r\nFinal-Recipient: rfc822; nobody@example.com\r\n"));
	HOLDS("rfc3464:2.3.3", says(&b, "\r\nAction: failed\r\n"));
	HOLDS("rfc3464:2.3.4", says(&b, "\r\nStatus: 5.1.1\r\n"));
	HOLDS("rfc3464:2.3.5", says(&b, "\r\nRemote-MTA: dns; mx.example.com\r\n"));
	HOLDS("rfc3464:2.3.6", says(&b, "\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n"));
	digest_make(buffer_bytes(&b), a, &packed);
	HOLDS("whole", digest_view(buffer_bytes(&packed), &d));
	HOLDS("parts", d.parts == 5);
	HOLDS("nothing is 8-bit", !(d.flags & DIGEST_8BIT));
	HOLDS("report", bytes_search(d.body, BYTES("(\"text\" \"plain\" (\"charset\" \"us-ascii\")")) == 1);
	HOLDS("report", bytes_search(d.body, BYTES("\"delivery-status\" NIL NIL \"Delivery report\"")) > 0);
	HOLDS("report", bytes_search(d.body, BYTES("(\"message\" \"rfc822\" NIL NIL \"Undelivered Message\"")) > 0);
	HOLDS("report", bytes_ends_nocase(d.body, BYTES("\"report\")")));
	SAME("the letter as it was", bytes_cut(buffer_bytes(&b), digest_part_at(&d, 3).body_at,
	     digest_part_at(&d, 3).body_len), BYTES(LETTER));
	buffer_free(&packed);
	buffer_free(&b);
	arena_close(&a);
}

static void
test_header_only(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };

	(void)state;
	n.whole = false;
	notice_write(&n, &b);
	HOLDS("rfc6522:4", says(&b, "Content-Type: text/rfc822-headers\r\n\r\nFrom: eva"));
	HOLDS("no body", !says(&b, "the body"));
	buffer_free(&b);
}

/* What a far host says must not become fields, parts or long lines. */
static void
test_hostile(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 }, text = { 0 };
	struct bytes rest, line;

	(void)state;
	buffer_add_string(&text, "550 a\r\nAction: delivered\r\n\r\n--x\r\n\xff");
	for (size_t i = 0; i < 5000; i++)
		buffer_add_char(&text, 'y');
	r.diagnostic = buffer_bytes(&text);
	r.final = BYTES("a\r\nStatus: 2.0.0@example.com");
	n.sender = BYTES("eva\r\nBcc: all@example.org");
	notice_write(&n, &b);
	HOLDS("no field from outside", !says(&b, "\nAction: delivered") && !says(&b, "\nBcc:") && !says(&b, "\nStatus: 2"));
	HOLDS("no part from outside", !says(&b, "\n--x"));
	for (rest = buffer_bytes(&b); bytes_split(&rest, '\n', &line);) {
		HOLDS("rfc5322:2.1.1", line.len <= 999);
		HOLDS("ascii", bytes_find(line, '\xff') < 0);
		HOLDS("CRLF", line.len == 0 || line.at[line.len - 1] == '\r');
	}
	buffer_free(&text);
	buffer_free(&b);
}

/* rfc6533 */
static void
test_utf8(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };

	(void)state;
	r.final = BYTES("\xe5\xbc\xa0@example.cn");
	notice_write(&n, &b);
	HOLDS("rfc6533:3 in a plain notice", says(&b, "\r\nFinal-Recipient: utf-8; \\x{5F20}@example.cn\r\n"));
	for (size_t i = 0; i < b.len; i++)
		HOLDS("plain is plain", (unsigned char)b.at[i] < 0x80);
	buffer_reset(&b);
	n.utf8 = true;
	notice_write(&n, &b);
	HOLDS("rfc6533:4.1", says(&b, "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n"));
	HOLDS("rfc6533:4.2", says(&b, "Content-Type: message/global\r\n"));
	HOLDS("address", says(&b, "\r\nFinal-Recipient: utf-8; \xe5\xbc\xa0@example.cn\r\n"));
	buffer_reset(&b);
	n.whole = false;
	notice_write(&n, &b);
	HOLDS("rfc6533:4.3", says(&b, "Content-Type: message/global-headers\r\n"));
	buffer_free(&b);
}

static void
test_kinds(void **state)
{
	static const struct { enum notice_kind kind; const char *action, *subject, *status; } rows[] = {
		{ NOTICE_FAILED, "Action: failed", "Subject: Undelivered: ", "Status: 5.0.0" },
		{ NOTICE_DELAYED, "Action: delayed", "Subject: Delayed: ", "Status: 4.0.0" },
		{ NOTICE_DELIVERED, "Action: delivered", "Subject: Delivered: ", "Status: 2.0.0" },
		{ NOTICE_EXPANDED, "Action: expanded", "Subject: Expanded: ", "Status: 2.0.0" },
		{ NOTICE_RELAYED, "Action: relayed", "Subject: Relayed: ", "Status: 2.0.0" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct notice_recipient r = { .final = BYTES("a@b.c"), .what = rows[i].kind };
		struct notice n = example(&r, 1);
		struct buffer b = { 0 };

		n.kind = rows[i].kind;
		n.original = BYTES("");
		notice_write(&n, &b);
		HOLDS(rows[i].action, says(&b, rows[i].action) && says(&b, rows[i].subject) && says(&b, rows[i].status));
		buffer_free(&b);
	}
}

/* A letter that holds the boundary it could foresee. */
static void
test_boundary(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };

	(void)state;
	n.original = BYTES("A: b\r\n\r\n--=_1A0000F3C0.6b026468.");
	notice_write(&n, &b);
	HOLDS("ends once", says(&b, "--\r\n"));
	buffer_free(&b);
}

/* The text for people, as a reader decodes it. */
static struct bytes
decoded_text(const struct buffer *b, struct arena *a)
{
	struct buffer packed = { 0 }, text = { 0 };
	struct digest d;
	struct digest_part p;
	struct bytes out;

	digest_make(buffer_bytes(b), a, &packed);
	assert_true(digest_view(buffer_bytes(&packed), &d));
	p = digest_part_at(&d, 1);
	if (p.encoding == ENCODED_BASE64)
		base64_decode_mime(bytes_cut(buffer_bytes(b), p.body_at, p.body_len), &text);
	else
		buffer_add(&text, bytes_cut(buffer_bytes(b), p.body_at, p.body_len));
	out = arena_keep(a, buffer_bytes(&text));
	buffer_free(&packed);
	buffer_free(&text);
	return out;
}

static bool
has(struct bytes text, const char *what)
{
	return bytes_search(text, bytes_of(what)) >= 0;
}

/* rfc2047:5, rfc2045:6: what people read may be in any letters, and the notice goes everywhere */
static void
test_languages(void **state)
{
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 };
	struct arena *a = arena_open(NULL);
	struct bytes text;

	(void)state;
	n.speech[0].words = notice_words(BYTES("zh_CN.UTF-8"));
	n.speech[1].words = notice_words(BYTES("EN"));
	n.speeches = 2;
	n.subject = BYTES("hello");
	notice_write(&n, &b);
	text = decoded_text(&b, a);
	HOLDS("7-bit on the way", bytes_are_ascii(buffer_bytes(&b)));
	HOLDS("rfc3282", says(&b, "\r\nContent-Language: zh, en\r\n"));
	HOLDS("Chinese", has(text, "您的邮件未能送达") && has(text, "该邮箱不存在"));
	HOLDS("and English", has(text, "Your message did not reach") && has(text, "There is no such mailbox"));
	HOLDS("what was said, in both", has(text, "<nobody@example.com> (host mx.example.com): smtp; 550 5.1.1 No such user"));
	HOLDS("which letter", has(text, "hello") && has(text, "1A0000F3C0"));
	HOLDS("the subject is words of rfc2047", says(&b, "\r\nSubject: =?utf-8?B?6YCA5L+h"));
	HOLDS("nobody speaks that", notice_words(BYTES("xx")) == NULL && notice_words(BYTES("english")) == NULL);
	for (size_t i = 0; notice_language(i) != NULL; i++)
		HOLDS("each has words for everything", *notice_explain(notice_words(bytes_of(notice_language(i))), BYTES(""), true) != '\0' &&
		      *notice_explain(notice_words(bytes_of(notice_language(i))), BYTES("5.99.99"), false) != '\0');
	buffer_free(&b);
	arena_close(&a);
}

static void
test_explained(void **state)
{
	static const struct { const char *why, *status, *begins; bool own; } rows[] = {
		{ "rfc3463:3.2 X.1.1", "5.1.1", "There is no such mailbox", false },
		{ "rfc7505:4.2 X.1.10", "5.1.10", "That domain takes no mail", false },
		{ "rfc3463:3.3 X.2.2", "4.2.2", "The mailbox is full", false },
		{ "rfc3463:3.8 X.7.1", "5.7.1", "The other side does not want", false },
		{ "X.7.26 is of its class", "5.7.26", "The other side did not take", false },
		{ "rfc3463:3.8 X.7.4, another's", "5.7.4", "The other side did not take", false },
		{ "ours: no STARTTLS where it must be", "4.7.4", "No connection that is secure", true },
		{ "ours: no handshake, or DANE without DNSSEC", "4.7.5", "No connection that is secure", true },
		{ "rfc8689:4.2.1 X.7.30, ours: no REQUIRETLS there", "5.7.30", "No connection that is secure", true },
		{ "ours: an administrator returned it", "5.7.0", "The message did not go on", true },
		{ "rfc3463:3.4 X.3.5, another's", "4.3.5", "The other host cannot take", false },
		{ "ours: no such transport", "4.3.5", "A setting of the server", true },
		{ "ours: a table cannot be asked", "4.3.0", "The message could not be passed on", true },
		{ "rfc2852:4.1.4: it has no DELIVERBY", "5.3.3", "The other host cannot do", true },
		{ "its SIZE was known before", "5.3.4", "The message is too large for the other host", true },
		{ "rfc6531:3.7.4.2 X.6.7: in the Subject, perhaps", "5.6.7", "The message has letters, in an address or in its header", true },
		{ "no status", "", "The reason", false },
		{ "broken", "5", "The reason", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, bytes_starts(bytes_of(notice_explain(notice_words(BYTES("en")), bytes_of(rows[i].status), !rows[i].own)), bytes_of(rows[i].begins)));
}

/* The copy says whose it is, and nothing of a template but its subject (bounce(5)). */
static void
test_copy(void **state)
{
	const struct notice_template t = { .subject = BYTES("Mine"), .postmaster_subject = BYTES("Yours"), .from = BYTES("robot (The \"Robot\")") };
	struct notice_recipient r = NOBODY;
	struct notice n = example(&r, 1);
	struct buffer b = { 0 }, c = { 0 };

	(void)state;
	n.speech[0] = (struct notice_speech){ notice_words(BYTES("en")), &t, BYTES("Our own words.\r\n") };
	n.speeches = 1;
	notice_write(&n, &b);
	HOLDS("the template", says(&b, "\r\nSubject: Mine\r\n") && says(&b, "\r\n\r\nOur own words.\r\n\r\n<nobody@example.com>"));
	HOLDS("its sender, with our domain", says(&b, "\r\nFrom: \"The \\\"Robot\\\"\" <robot@mail.example.org>\r\n"));
	n.copy = true;
	n.copy_of = BYTES("eva@example.org");
	notice_write(&n, &c);
	HOLDS("bounce(5): the text is not in copies", says(&c, "\r\nSubject: Yours\r\n") && !says(&c, "Our own words") && says(&c, "This was told to <eva@example.org>."));
	buffer_free(&b);
	buffer_free(&c);
}

UNIT(test_languages, test_explained, test_copy, test_delayed, test_times_that_were_wished, test_failed, test_header_only, test_hostile, test_utf8, test_kinds, test_boundary)
