/* What a transcript shows of sessions, and what it does not. */
#include "unit.h"

#include "base/buffer.h"
#include "channel/transcript.h"

#include <string.h>

/* "C: " and "S: " lines in, "< " and "> " lines out. */
struct case_of { const char *why; enum transcript_protocol protocol; bool content; const char *said, *shown; };
static const struct case_of cases[] = {
	{ "a letter", TRANSCRIPT_SMTP, false,
	  "S:220 hi\r\nC:EHLO x\r\nS:250-hi\r\n250 STARTTLS\r\nC:MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nS:250 ok\r\n250 ok\r\n354 go\r\n"
	  "C:Subject: secret\r\n\r\nbody\r\n..dot\r\n.\r\nQUIT\r\nS:250 taken\r\n221 bye\r\n",
	  "> 220 hi\n< EHLO x\n> 250-hi\n> 250 STARTTLS\n< MAIL FROM:<a@b>\n< RCPT TO:<c@d>\n< DATA\n> 250 ok\n> 250 ok\n> 354 go\n"
	  "< [letter of 35 bytes]\n< QUIT\n> 250 taken\n> 221 bye\n" },
	{ "its content, where it is asked for", TRANSCRIPT_SMTP, true,
	  "C:DATA\r\nS:354 go\r\nC:Subject: x\r\n\r\nbody\r\n.\r\n", "< DATA\n> 354 go\n< Subject: x\n< \n< body\n< .\n< [letter of 23 bytes]\n" },
	{ "an empty letter", TRANSCRIPT_SMTP, false, "C:DATA\r\nS:354 go\r\nC:.\r\nNOOP\r\n", "< DATA\n> 354 go\n< [letter of 3 bytes]\n< NOOP\n" },
	{ "BDAT", TRANSCRIPT_SMTP, false, "C:BDAT 5\r\nab\r\ncBDAT 0 LAST\r\nQUIT\r\n",
	  "< BDAT 5\n< [chunk of 5 bytes]\n< BDAT 0 LAST\n< QUIT\n" },
	{ "rfc4954: an initial response", TRANSCRIPT_SMTP, false, "C:AUTH PLAIN AGphY2sAc2VjcmV0\r\nS:235 ok\r\nC:NOOP\r\n",
	  "< AUTH PLAIN [not shown]\n> 235 ok\n< NOOP\n" },
	{ "with tabs, as servers take it", TRANSCRIPT_SMTP, false, "C:\tAUTH\tPLAIN AGphY2sAc2VjcmV0\r\nS:235 ok\r\nC:AUTH \t LOGIN \tamFjaw==\r\nS:334 x\r\nC:c2VjcmV0\r\nS:535 no\r\n",
	  "< ?AUTH?PLAIN [not shown]\n> 235 ok\n< AUTH ? LOGIN [not shown]\n> 334 [not shown]\n< [not shown]\n> 535 no\n" },
	{ "AUTH LOGIN, a step at a time", TRANSCRIPT_SMTP, false,
	  "C:AUTH LOGIN\r\nS:334 VXNlcm5hbWU6\r\nC:amFjaw==\r\nS:334 UGFzc3dvcmQ6\r\nC:c2VjcmV0\r\nS:535 no\r\nC:NOOP\r\n",
	  "< AUTH LOGIN\n> 334 [not shown]\n< [not shown]\n> 334 [not shown]\n< [not shown]\n> 535 no\n< NOOP\n" },
	{ "AUTH LOGIN, all at once", TRANSCRIPT_SMTP, false, "C:EHLO x\r\nAUTH LOGIN\r\namFjaw==\r\nc2VjcmV0\r\nS:250 x\r\n334 a\r\nC:more\r\nS:334 b\r\n235 ok\r\n",
	  "< EHLO x\n< AUTH LOGIN\n< [not shown]\n< [not shown]\n> 250 x\n> 334 [not shown]\n< [not shown]\n> 334 [not shown]\n> 235 ok\n" },
	{ "who is refused goes on with the password", TRANSCRIPT_SMTP, false,
	  "C:AUTH LOGIN\r\nS:503 no\r\nC:amFjaw==\r\nS:500 what\r\nC:c2VjcmV0\r\nS:500 what\r\nC:MAIL FROM:<>\r\nS:250 ok\r\n",
	  "< AUTH LOGIN\n> 503 no\n< [not shown]\n> 500 what\n< [not shown]\n> 500 what\n< MAIL FROM:<>\n> 250 ok\n" },
	{ "before that it is of use", TRANSCRIPT_SMTP, false, "C:GET / HTTP/1.0\r\nS:221 no\r\n", "< GET / HTTP/1.0\n> 221 no\n" },
	{ "commands that there are not", TRANSCRIPT_SMTP, false, "C:AUTHPLAIN c2VjcmV0\r\nS:500 what\r\nC:login jack secret\r\nS:500 what\r\n",
	  "< AUTH [not shown]\n> 500 what\n< login [not shown]\n> 500 what\n" },
	{ "rfc4468: a URL is a key", TRANSCRIPT_SMTP, false, "C:BURL imap://jill@x/INBOX;urlauth=submit+jill:internal:91354a473744909de610943775f92038 LAST\r\n",
	  "< BURL [not shown]\n" },
	{ "control characters", TRANSCRIPT_SMTP, false, "C:NOOP \033[2J\x07\r\n", "< NOOP ?[2J?\n" },
	{ "LOGIN of IMAP", TRANSCRIPT_IMAP, false, "S:* OK hi\r\nC:a LOGIN jack secret\r\nS:a OK in\r\nC:b NOOP\r\nS:b OK\r\n",
	  "> * OK hi\n< a LOGIN [not shown]\n> a OK in\n< b NOOP\n> b OK\n" },
	{ "with literals", TRANSCRIPT_IMAP, false, "C:a LOGIN {4}\r\nS:+ go\r\nC:jack {6}\r\nS:+ go\r\nC:secret\r\nS:a OK in\r\nC:b NOOP\r\n",
	  "< a LOGIN [not shown]\n> + go\n< [literal of 4 bytes]\n< [not shown]\n> + go\n< [literal of 6 bytes]\n< [not shown]\n> a OK in\n< b NOOP\n" },
	{ "with literals that do not wait, and their content", TRANSCRIPT_IMAP, true, "C:a LOGIN {4+}\r\njack {6+}\r\nsecret\r\nb NOOP\r\n",
	  "< a LOGIN [not shown]\n< [literal of 4 bytes]\n< [not shown]\n< [literal of 6 bytes]\n< [not shown]\n< b NOOP\n" },
	{ "AUTHENTICATE", TRANSCRIPT_IMAP, false, "C:a AUTHENTICATE PLAIN\r\nS:+ \r\nC:AGphY2sAc2VjcmV0\r\nS:* CAPABILITY x\r\na OK in\r\nC:b NOOP\r\n",
	  "< a AUTHENTICATE PLAIN [not shown]\n> + [not shown]\n< [not shown]\n> * CAPABILITY x\n> a OK in\n< b NOOP\n" },
	{ "rfc4959: with an initial response", TRANSCRIPT_IMAP, false, "C:a AUTHENTICATE PLAIN AGphY2sAc2VjcmV0\r\nb NOOP\r\nS:a OK in\r\nC:c NOOP\r\n",
	  "< a AUTHENTICATE PLAIN [not shown]\n< [not shown]\n> a OK in\n< c NOOP\n" },
	{ "a tag that was forgotten, and a password by itself", TRANSCRIPT_IMAP, false,
	  "C:LOGIN jack secret\r\nS:LOGIN BAD\r\nC:secret\r\nS:* BAD\r\nC:my secret {3+}\r\nabc\r\nS:* BAD\r\nC:a NOOP\r\nS:a OK\r\nC:b IDLE\r\nS:+ go\r\nC:DONE\r\n",
	  "< LOGIN [not shown]\n> LOGIN BAD\n< [not shown]\n> * BAD\n< [not shown]\n< [literal of 3 bytes]\n< [not shown]\n> * BAD\n< a NOOP\n> a OK\n< b IDLE\n> + go\n< DONE\n" },
	{ "tags are free", TRANSCRIPT_IMAP, false, "C:AUTH1 NOOP\r\nS:AUTH1 OK\r\n", "< AUTH1 NOOP\n> AUTH1 OK\n" },
	{ "FETCH", TRANSCRIPT_IMAP, false,
	  "C:a FETCH 1 (ENVELOPE BODY[])\r\nS:* 1 FETCH (UID 7 ENVELOPE (\"Mon\" \"the \\\"secret\\\"\" NIL) BODY[] {6}\r\nsecret FLAGS (\\Seen))\r\na OK\r\n",
	  "< a FETCH 1 (ENVELOPE BODY[])\n> * 1 FETCH (UID 7 ENVELOPE (\"*\" \"*\" NIL) BODY[] {6}\n> [literal of 6 bytes]\n>  FLAGS (\\Seen))\n> a OK\n" },
	{ "APPEND", TRANSCRIPT_IMAP, false, "C:a APPEND INBOX (\\Seen) {12+}\r\nSubject: a\r\n\r\nb NOOP\r\n",
	  "< a APPEND INBOX (\\Seen) {12+}\n< [literal of 12 bytes]\n< \n< b NOOP\n" },
	{ "rfc4467: GENURLAUTH", TRANSCRIPT_IMAP, false,
	  "S:* GENURLAUTH \"imap://x/INBOX/;uid=20;urlauth=anonymous:internal:9135\"\r\nC:a CATENATE (URL \"/INBOX;URLAUTH=anonymous:internal:9135\")\r\n",
	  "> * GENURLAUTH [not shown]\n< a CATENATE (URL \"/INBOX [not shown]\n" },
	{ "PASS of POP3", TRANSCRIPT_POP3, false, "S:+OK hi\r\nC:USER jack\r\nPASS se cret\r\nRETR 1\r\nQUIT\r\nS:+OK\r\n+OK in\r\n+OK 9 octets\r\n+OK no\r\n.\r\n+OK bye\r\n",
	  "> +OK hi\n< USER jack\n< PASS [not shown]\n< RETR 1\n< QUIT\n> +OK\n> +OK in\n> +OK 9 octets\n> [letter of 11 bytes]\n> +OK bye\n" },
	{ "a letter that is not there", TRANSCRIPT_POP3, false, "C:RETR 9\r\nLIST\r\nS:-ERR no\r\n+OK\r\n1 2\r\n.\r\n", "< RETR 9\n< LIST\n> -ERR no\n> +OK\n> 1 2\n> .\n" },
	{ "a password without a user, and by itself", TRANSCRIPT_POP3, false, "C:PASS secret\r\nS:-ERR no\r\nC:secret\r\nS:-ERR what\r\nC:QUIT\r\nS:+OK\r\n",
	  "< PASS [not shown]\n> -ERR no\n< [not shown]\n> -ERR what\n< QUIT\n> +OK\n" },
	{ "APOP", TRANSCRIPT_POP3, false, "C:APOP jack c4c9334bac560ecc979e58001b3e22fb\r\n", "< APOP jack [not shown]\n" },
	{ "rfc5034", TRANSCRIPT_POP3, false, "C:AUTH PLAIN\r\nS:+ \r\nC:AGphY2sAc2VjcmV0\r\nS:+OK in\r\nC:STAT\r\n",
	  "< AUTH PLAIN\n> + [not shown]\n< [not shown]\n> +OK in\n< STAT\n" },
};

static void
gather(void *ctx, bool client, const char *text)
{
	buffer_printf(ctx, "%c %s\n", client ? '<' : '>', text);
}

/* In pieces of so many bytes; a piece ends where the other side begins. */
static void
play(const struct case_of *c, size_t piece, struct buffer *out)
{
	struct transcript *t = transcript_open(c->protocol, c->content, gather, out);
	const char *at = c->said;
	bool client = false;

	while (*at != '\0') {
		const char *next;
		size_t n;

		if ((at[0] == 'C' || at[0] == 'S') && at[1] == ':' && (at == c->said || at[-1] == '\n')) {
			client = at[0] == 'C';
			at += 2;
		}
		for (next = at + 1; *next != '\0' && !(next[-1] == '\n' && (next[0] == 'C' || next[0] == 'S') && next[1] == ':'); next++)
			continue;
		n = (size_t)(next - at) < piece ? (size_t)(next - at) : piece;
		transcript_hear(t, client, (struct bytes){ at, n });
		at += n;
	}
	transcript_close(&t);
}

static void
test_what_is_shown(void **state)
{
	static const size_t pieces[] = { 100000, 1, 7 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t p = 0; p < (cases[i].content ? 1 : COUNT(pieces)); p++) {
			struct buffer out = { 0 };

			play(&cases[i], pieces[p], &out);
			SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].shown));
			buffer_free(&out);
		}
}

static void
test_long_lines_are_cut(void **state)
{
	static char line[100000];
	struct buffer out = { 0 };
	struct transcript *t = transcript_open(TRANSCRIPT_IMAP, false, gather, &out);

	(void)state;
	memset(line, 'x', sizeof line);
	transcript_hear(t, true, (struct bytes){ line, sizeof line });
	transcript_hear(t, true, BYTES(" {5+}\r\nhello\r\nb NOOP\r\n"));
	HOLDS("short", out.len < 1000);
	HOLDS("what is left out is told", bytes_search(buffer_bytes(&out), BYTES("bytes more]")) > 0);
	HOLDS("and the literal is known", bytes_search(buffer_bytes(&out), BYTES("[literal of 5 bytes]\n< \n< b NOOP\n")) > 0);
	transcript_close(&t);
	buffer_free(&out);
}

UNIT(test_what_is_shown, test_long_lines_are_cut)
