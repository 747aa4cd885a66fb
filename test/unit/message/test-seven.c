/* Letters made such of 7 bits: rfc2045:6.7, and what Python's quopri makes of the same text. */
#include "message/seven.h"
#include "unit.h"

#include <string.h>

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

/* What is made anew has a bound, and nothing is made of what is beyond it: the verifier's memory is not the letter's. */
static void
test_bound(void **state)
{
	(void)state;
	for (size_t size = 1 << 20; size <= SEVEN_MOST + 1; size += SEVEN_MOST + 1 - (1 << 20)) {
		struct arena *a = arena_open(NULL), *made = arena_open(NULL);
		struct buffer letter = { 0 }, packed = { 0 };
		struct edits  e = edits_in(made);
		struct digest d;
		char         *room;

		buffer_add_string(&letter, "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
		room = arena_take(a, size);
		memset(room, 0xe9, size);
		buffer_add(&letter, (struct bytes){ room, size });
		digest_make(buffer_bytes(&letter), a, &packed);
		HOLDS("a digest", digest_view(buffer_bytes(&packed), &d));
		HOLDS("a bound", seven_make(buffer_bytes(&letter), &d, made, &e) == (size < SEVEN_MOST));
		HOLDS("nothing made", size < SEVEN_MOST || arena_size(made) < 65536);
		buffer_free(&letter);
		buffer_free(&packed);
		arena_close(&made);
		arena_close(&a);
	}
}

/* rfc2046:5.1.1: what stands before the first boundary and behind the last is to be ignored, but it travels. */
static void
test_between(void **state)
{
	static const struct { const char *why, *letter; bool good; } letters[] = {
		{ "rfc2046:5.1.1 preamble, epilogue, and a multipart inside",
		  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npr\xc3\xa9\r\n--a\r\n"
		  "Content-Type: multipart/mixed; boundary=b\r\n\r\n\xe9\r\n--b\r\n\r\n\xe9t\xe9\r\n--b--\r\n\xe9\r\n--a--\r\nfin\xe9\r\n", true },
		{ "no part was found: nothing is thrown away",
		  "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n\xe9\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer packed = { 0 }, out = { 0 };
		struct bytes  letter = bytes_of(letters[i].letter);
		struct edits  e = edits_in(a);
		struct digest d;
		bool          high = false;

		digest_make(letter, a, &packed);
		HOLDS(letters[i].why, digest_view(buffer_bytes(&packed), &d));
		HOLDS(letters[i].why, seven_make(letter, &d, a, &e) == letters[i].good);
		if (letters[i].good) {
			edits_apply(&e, letter, (struct bytes){ NULL, 0 }, &out);
			for (size_t k = 0; k < out.len; k++)
				high = high || (unsigned char)out.at[k] > 127;
			HOLDS(letters[i].why, !high && memmem(out.at, out.len, "=E9t=E9", 7) != NULL);
		}
		buffer_free(&packed);
		buffer_free(&out);
		arena_close(&a);
	}
}

/* Parts that say they are encoded and have bytes above 127 all the same: what a reader decodes is what it was before. */
static void
test_encoded(void **state)
{
#define TEN_E "\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9\xe9"
#define TEN_CODED "=E9=E9=E9=E9=E9=E9=E9=E9=E9=E9"
	static const struct { const char *why, *encoding, *body, *made; } parts[] = {
		{ "the byte alone", "quoted-printable", "caf\xe9 =C3=A9 a=3Db\r\n", "caf=E9 =C3=A9 a=3Db\r\n" },
		{ "lines without one stay", "quoted-printable", "a=\r\n b =20\r\n\xe9\r\n", "a=\r\n b =20\r\n=E9\r\n" },
		{ "a soft end stays soft", "quoted-printable", "\xe9=\r\nb\r\n", "=E9=\r\nb\r\n" },
		{ "rfc2045:6.7 (5) no line becomes too long", "quoted-printable", TEN_E TEN_E TEN_E "\r\n",
		  TEN_CODED TEN_CODED "=E9=E9=E9=E9=E9=\r\n=E9=E9=E9=E9=E9\r\n" },
		{ "and what is coded is not broken", "quoted-printable",
		  "0123456789012345678901234567890123456789012345678901234567890123456789\xe9=C3=A9\r\n",
		  "0123456789012345678901234567890123456789012345678901234567890123456789=E9=\r\n=C3=A9\r\n" },
		{ "without an end", "quoted-printable", "\xe9=C3", "=E9=C3" },
		{ "rfc2045:6.7 (1) an = that says no byte is said", "quoted-printable", "\xe9=\xe9=C\r\n", "=E9=3D=E9=C\r\n" },
		{ "and half a code", "quoted-printable", "=C\xe9\r\n", "=3DC=E9\r\n" },
		{ "which makes no line too long", "quoted-printable",
		  "01234567890123456789012345678901234567890123456789012345678901234567890123=\xe9\r\n",
		  "01234567890123456789012345678901234567890123456789012345678901234567890123=\r\n=3D=E9\r\n" },
		{ "rfc2045:6.8 what is not of the alphabet is passed over", "base64", "aGVs\xe9" "bG8=\r\n", "aGVsbG8=\r\n" },
		{ "the alphabet of uuencode is of ASCII", "x-uuencode", "caf\xe9\r\nbegin 644 a\r\n", "caf?\r\nbegin 644 a\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(parts); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer packed = { 0 }, out = { 0 };
		const char   *head = arena_printf(a, "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: %s\r\n\r\n", parts[i].encoding);
		struct bytes  letter = bytes_of(arena_printf(a, "%s%s", head, parts[i].body));
		struct edits  e = edits_in(a);
		struct digest d;

		digest_make(letter, a, &packed);
		HOLDS(parts[i].why, digest_view(buffer_bytes(&packed), &d));
		HOLDS(parts[i].why, seven_make(letter, &d, a, &e) == (parts[i].made != NULL));
		if (parts[i].made != NULL) {
			edits_apply(&e, letter, (struct bytes){ NULL, 0 }, &out);
			SAME(parts[i].why, buffer_bytes(&out), bytes_of(arena_printf(a, "%s%s", head, parts[i].made)));
		}
		buffer_free(&packed);
		buffer_free(&out);
		arena_close(&a);
	}
}

/* Whole parts, their fields with them. */
static void
test_parts(void **state)
{
#define MIME "MIME-Version: 1.0\r\n"
	static const struct { const char *why, *letter, *made; } letters[] = {
		{ "rfc2045:6.4 an encoding nobody knows is none",
		  MIME "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8-bit\r\n\r\ncaf\xe9\r\n",
		  MIME "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n"
		       "X-Content-Transfer-Encoding: 8-bit\r\n\r\ncaf=E9\r\n" },
		{ "nor is one of what is no text",
		  MIME "Content-Type: image/x\r\nContent-Transfer-Encoding: x-mine\r\n\r\n\xe9\xe9\xe9",
		  MIME "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\nX-Content-Transfer-Encoding: x-mine\r\n\r\n6enp" },
		{ "and its name is said in ASCII",
		  MIME "Content-Type: image/x\r\nContent-Transfer-Encoding: caf\xe9\r\n\r\n\xe9\xe9\xe9",
		  MIME "Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\nX-Content-Transfer-Encoding: caf?\r\n\r\n6enp" },
		{ "without bytes above 127 it stays",
		  MIME "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-mine\r\n\r\ncafe\r\n",
		  MIME "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-mine\r\n\r\ncafe\r\n" },
		{ "rfc2046:5.2 rfc3464:2.1 a status may not be encoded",
		  MIME "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\nReporting-MTA: dns; caf\xe9\r\n",
		  MIME "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n\r\nReporting-MTA: dns; caf?\r\n" },
		{ "rfc6533 that of letters with UTF-8 may",
		  MIME "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9",
		  MIME "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=" },
		{ "rfc2046:5.2.2 a piece of a letter is nobody's to change",
		  MIME "Content-Type: message/partial; id=a; number=1; total=2\r\n\r\n\xe9\r\n", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++) {
		struct arena *a = arena_open(NULL);
		struct buffer packed = { 0 }, out = { 0 };
		struct bytes  letter = bytes_of(letters[i].letter);
		struct edits  e = edits_in(a);
		struct digest d;

		digest_make(letter, a, &packed);
		HOLDS(letters[i].why, digest_view(buffer_bytes(&packed), &d));
		HOLDS(letters[i].why, seven_make(letter, &d, a, &e) == (letters[i].made != NULL));
		if (letters[i].made != NULL) {
			edits_apply(&e, letter, (struct bytes){ NULL, 0 }, &out);
			SAME(letters[i].why, buffer_bytes(&out), bytes_of(letters[i].made));
		}
		buffer_free(&packed);
		buffer_free(&out);
		arena_close(&a);
	}
}

UNIT(test_quoted, test_bound, test_between, test_encoded, test_parts)
