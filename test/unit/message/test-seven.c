/* Letters made such of 7 bits: rfc2045:6.7, and what Python's quopri makes of the same text. */
#include "message/seven.h"
#include "unit.h"

struct quoted_case {
	const char *why, *text, *quoted;
};

static const struct quoted_case cases[] = {
	{ "plain text stays", "a b\r\n", "a b\r\n" },
	{ "rfc2045:6.7 (1) any octet", "\xc3\xa9\r\n", "=C3=A9\r\n" },
	{ "rfc2045:6.7 (1) the equals sign", "a=b\r\n", "a=3Db\r\n" },
	{ "rfc2045:6.7 (3) blanks at the end of a line", "a \r\nb\t\r\n", "a=20\r\nb=09\r\n" },
	{ "a dot alone, and From, as roads change them", ".\r\nFrom x\r\n", "=2E\r\n=46rom x\r\n" },
	{ "rfc2045:6.7 (4) a line end is CRLF alone", "a\nb\r\n", "a=0Ab\r\n" },
	{ "no line end at the end", "\xe9", "=E9" },
	{ "rfc2045:6.7 (5) 76 characters stand on a line",
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n",
	  "0123456789012345678901234567890123456789012345678901234567890123456789012345\r\n" },
	{ "rfc2045:6.7 (5) 77 do not",
	  "01234567890123456789012345678901234567890123456789012345678901234567890123456\r\n",
	  "012345678901234567890123456789012345678901234567890123456789012345678901234=\r\n56\r\n" },
};

static void
test_quoted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer out = { 0 };

		seven_quote(bytes_of(cases[i].text), &out);
		SAME(cases[i].why, buffer_bytes(&out), bytes_of(cases[i].quoted));
		buffer_free(&out);
	}
}

UNIT(test_quoted)
