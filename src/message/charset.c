#include "message/charset.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "message/encoding.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

enum how { UTF8, LATIN1, GUESS, ICONV, HZ };

/*
 * Every charset we know, by the names letters give it.  Small ones are read as
 * the larger ones that contain them, as all the world does (gb2312 as gb18030,
 * iso-8859-1 as windows-1252, shift_jis as cp932).  `open` is -1 until needed.
 */
static struct charset {
	const char *names; /* each between blanks */
	enum how    how;
	const char *iconv;
	iconv_t     open;
	bool        tried;
} charsets[] = {
	{ " utf-8 utf8 unicode-1-1-utf-8 ", UTF8, NULL, NULL, false },
	{ " us-ascii ascii ansi_x3.4-1968 iso646-us 646 unknown-8bit x-unknown default ", GUESS,
	  NULL, NULL, false },
	{ " iso-8859-1 iso8859-1 iso_8859-1 latin1 l1 windows-1252 cp1252 x-cp1252 ", LATIN1, NULL,
	  NULL, false },
	{ " gb18030 gbk gb2312 gb_2312-80 x-gbk cp936 ms936 windows-936 euc-cn gb2312-80 chinese csgb2312 ",
	  ICONV, "GB18030", NULL, false },
	{ " hz-gb-2312 hz ", HZ, "GB18030", NULL, false },
	{ " big5 big5-hkscs cn-big5 x-x-big5 csbig5 cp950 big5hkscs ", ICONV, "BIG5-HKSCS", NULL,
	  false },
	{ " euc-tw ", ICONV, "EUC-TW", NULL, false },
	{ " iso-2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-ms ", ICONV,
	  "ISO-2022-JP-2", NULL, false },
	{ " shift_jis shift-jis sjis x-sjis ms_kanji cp932 windows-31j ms932 ", ICONV, "CP932",
	  NULL, false },
	{ " euc-jp eucjp x-euc-jp ", ICONV, "EUC-JP", NULL, false },
	{ " euc-kr ks_c_5601-1987 ks_c_5601 ksc5601 ksc_5601 korean cp949 windows-949 uhc ", ICONV,
	  "UHC", NULL, false },
	{ " iso-2022-kr ", ICONV, "ISO-2022-KR", NULL, false },
	{ " iso-8859-2 latin2 iso8859-2 iso_8859-2 l2 ", ICONV, "ISO-8859-2", NULL, false },
	{ " iso-8859-3 latin3 ", ICONV, "ISO-8859-3", NULL, false },
	{ " iso-8859-4 latin4 ", ICONV, "ISO-8859-4", NULL, false },
	{ " iso-8859-5 cyrillic ", ICONV, "ISO-8859-5", NULL, false },
	{ " iso-8859-6 iso-8859-6-i iso-8859-6-e arabic ", ICONV, "ISO-8859-6", NULL, false },
	{ " iso-8859-7 greek ", ICONV, "ISO-8859-7", NULL, false },
	{ " iso-8859-8 iso-8859-8-i iso-8859-8-e hebrew ", ICONV, "ISO-8859-8", NULL, false },
	{ " iso-8859-9 latin5 windows-1254 cp1254 ", ICONV, "CP1254", NULL, false },
	{ " iso-8859-10 latin6 ", ICONV, "ISO-8859-10", NULL, false },
	{ " iso-8859-13 latin7 ", ICONV, "ISO-8859-13", NULL, false },
	{ " iso-8859-14 latin8 ", ICONV, "ISO-8859-14", NULL, false },
	{ " iso-8859-15 latin9 iso8859-15 latin-9 ", ICONV, "ISO-8859-15", NULL, false },
	{ " iso-8859-16 latin10 ", ICONV, "ISO-8859-16", NULL, false },
	{ " windows-1250 cp1250 ", ICONV, "CP1250", NULL, false },
	{ " windows-1251 cp1251 x-cp1251 ", ICONV, "CP1251", NULL, false },
	{ " windows-1253 cp1253 ", ICONV, "CP1253", NULL, false },
	{ " windows-1255 cp1255 ", ICONV, "CP1255", NULL, false },
	{ " windows-1256 cp1256 ", ICONV, "CP1256", NULL, false },
	{ " windows-1257 cp1257 ", ICONV, "CP1257", NULL, false },
	{ " windows-1258 cp1258 ", ICONV, "CP1258", NULL, false },
	{ " iso-8859-11 tis-620 windows-874 cp874 ", ICONV, "CP874", NULL, false },
	{ " koi8-r koi8r cskoi8r ", ICONV, "KOI8-R", NULL, false },
	{ " koi8-u koi8-ru ", ICONV, "KOI8-U", NULL, false },
	{ " ibm437 cp437 ", ICONV, "IBM437", NULL, false },
	{ " ibm850 cp850 ", ICONV, "IBM850", NULL, false },
	{ " ibm852 cp852 ", ICONV, "IBM852", NULL, false },
	{ " ibm866 cp866 ", ICONV, "IBM866", NULL, false },
	{ " macintosh x-mac-roman mac ", ICONV, "MACINTOSH", NULL, false },
	{ " viscii ", ICONV, "VISCII", NULL, false },
	{ " utf-16 ", ICONV, "UTF-16", NULL, false },
	{ " utf-16le unicode ", ICONV, "UTF-16LE", NULL, false },
	{ " utf-16be ", ICONV, "UTF-16BE", NULL, false },
	{ " utf-32 ", ICONV, "UTF-32", NULL, false },
	{ " utf-7 unicode-1-1-utf-7 ", ICONV, "UTF-7", NULL, false },
};

/* Names of more than this are of no charset. */
enum { NAME_MOST = 40 };

static iconv_t
converter(struct charset *c)
{
	if (!c->tried) {
		c->tried = true;
		c->open = iconv_open("UTF-8", c->iconv);
	}
	return c->open;
}

void
charset_warm(void)
{
	for (size_t i = 0; i < COUNT(charsets); i++)
		if (charsets[i].iconv != NULL)
			(void)converter(&charsets[i]);
}

/* The row of a name, or NULL. */
static struct charset *
charset_named(struct bytes name)
{
	char   word[NAME_MOST + 3];
	size_t n = 0;

	name = bytes_trim(name);
	if (bytes_is(name, "utf-8"))
		return &charsets[0];
	if (name.len == 0 || name.len > NAME_MOST)
		return NULL;
	word[n++] = ' ';
	for (size_t i = 0; i < name.len; i++) {
		if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
			return NULL;
		word[n++] = ascii_lower(name.at[i]);
	}
	word[n++] = ' ';
	word[n] = '\0';
	for (size_t i = 0; i < COUNT(charsets); i++)
		if (strstr(charsets[i].names, word) != NULL)
			return &charsets[i];
	return NULL;
}

bool
charset_known(struct bytes name)
{
	const struct charset *c = charset_named(name);

	return c != NULL && c->how != GUESS;
}

bool
charset_is_seven(struct bytes name)
{
	const struct charset *c = charset_named(name);

	return c != NULL && c->iconv != NULL &&
	       (c->how == HZ || strncmp(c->iconv, "ISO-2022-", 9) == 0 ||
	        strncmp(c->iconv, "UTF-", 4) == 0);
}

void
charset_names(struct buffer *out)
{
	for (size_t i = 0; i < COUNT(charsets); i++) {
		struct bytes names = bytes_of(charsets[i].names + 1), first;

		(void)bytes_split(&names, ' ', &first);
		if (i > 0)
			buffer_add_char(out, ' ');
		for (size_t n = 0; n < first.len; n++)
			buffer_add_char(out, first.at[n] >= 'a' && first.at[n] <= 'z'
			                             ? (char)(first.at[n] - ('a' - 'A'))
			                             : first.at[n]);
	}
}

/*
 * UTF-8, rfc3629
 */

/* How many bytes from the start are ASCII. */
static size_t
ascii_run(const char *p, size_t len)
{
	size_t i = 0;

	while (i + 8 <= len) {
		uint64_t eight;

		memcpy(&eight, p + i, 8);
		if (eight & UINT64_C(0x8080808080808080))
			break;
		i += 8;
	}
	while (i < len && (unsigned char)p[i] < 0x80)
		i++;
	return i;
}

bool
bytes_are_ascii(struct bytes b)
{
	return ascii_run(b.at, b.len) == b.len;
}

/* The length of the character at p, or 0 when it is not one (overlong forms,
   surrogates and what lies beyond U+10FFFF are not). */
static size_t
utf8_length(const uint8_t *p, size_t len)
{
	uint8_t a = p[0];
	size_t  want = a < 0x80 ? 1 : a < 0xc2 ? 0 : a < 0xe0 ? 2 : a < 0xf0 ? 3 : a < 0xf5 ? 4 : 0;

	if (want <= 1 || want > len)
		return want <= 1 ? want : 0;
	for (size_t i = 1; i < want; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((a == 0xe0 && p[1] < 0xa0) || (a == 0xed && p[1] > 0x9f) ||
	    (a == 0xf0 && p[1] < 0x90) || (a == 0xf4 && p[1] > 0x8f))
		return 0;
	return want;
}

/* How many bytes from the start are valid UTF-8. */
static size_t
utf8_run(struct bytes b)
{
	size_t i = 0;

	while (i < b.len) {
		size_t n;

		if ((unsigned char)b.at[i] < 0x80) {
			i += ascii_run(b.at + i, b.len - i);
			continue;
		}
		n = utf8_length((const uint8_t *)b.at + i, b.len - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

bool
utf8_valid(struct bytes b)
{
	return utf8_run(b) == b.len;
}

uint32_t
utf8_take(struct bytes b, size_t *at)
{
	const uint8_t *p = (const uint8_t *)b.at + *at;
	size_t         n = utf8_length(p, b.len - *at);
	uint32_t       c;

	if (n == 0) {
		++*at;
		return 0xfffd;
	}
	*at += n;
	if (n == 1)
		return p[0];
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

size_t
utf8_put(uint32_t c, char out[static 4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

struct bytes
utf8_cut(struct bytes b, size_t most)
{
	if (b.len <= most)
		return b;
	while (most > 0 && ((unsigned char)b.at[most] & 0xc0) == 0x80)
		most--;
	return (struct bytes){ b.at, most };
}

/*
 * To UTF-8
 */

/* What is not valid becomes U+FFFD, one for each run of it. */
static void
utf8_mended(struct bytes in, size_t most, struct buffer *out)
{
	size_t from = out->len;
	bool   bad = false;

	while (in.len > 0 && out->len - from < most) {
		size_t n = utf8_run(in);

		buffer_add(out, utf8_cut(bytes_cut(in, 0, n), most - (out->len - from)));
		in = bytes_cut(in, n, in.len);
		if (n > 0)
			bad = false;
		if (in.len > 0) {
			if (!bad && most - (out->len - from) >= 3)
				buffer_add_string(out, REPLACEMENT);
			bad = true;
			in = bytes_cut(in, 1, in.len);
		}
	}
}

/* windows-1252, which is what is meant by iso-8859-1 */
static void
latin1_to_utf8(struct bytes in, size_t most, struct buffer *out)
{
	static const uint16_t upper[32] = {
		0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
		0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
		0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
	};
	size_t from = out->len;

	for (size_t i = 0; i < in.len && out->len - from < most;) {
		size_t   n = ascii_run(in.at + i, in.len - i);
		size_t   room = most - (out->len - from);
		uint32_t c;

		buffer_add(out, bytes_cut(in, i, n < room ? n : room));
		i += n;
		if (i == in.len || most - (out->len - from) < 3)
			break;
		c = (unsigned char)in.at[i++];
		if (c < 0xa0)
			c = upper[c - 0x80];
		buffer_took(out, utf8_put(c, buffer_room(out, 4)));
	}
}

/* Run iconv over all of it; a byte it does not take becomes U+FFFD.  The result
   is looked over once more: what leaves here is UTF-8 or nothing. */
static void
iconv_to_utf8(iconv_t cd, struct bytes in, size_t most, struct buffer *out)
{
	char  *p = (char *)(uintptr_t)in.at;
	size_t left = in.len, from = out->len;

	(void)iconv(cd, NULL, NULL, NULL, NULL);
	while (left > 0 && out->len - from < most) {
		size_t room = left < 4096 ? left * 2 + 64 : 8192, free = room;
		char  *o = buffer_room(out, room);
		size_t got = iconv(cd, &p, &left, &o, &free);
		int    why = errno;

		buffer_took(out, room - free);
		if (got != (size_t)-1)
			break;
		if (why == E2BIG)
			continue;
		buffer_add_string(out, REPLACEMENT);
		if (why != EILSEQ)
			break; /* cut off in the middle of a character */
		p++;
		left--;
	}
	{ /* what the converter still holds */
		size_t free = 64;
		char  *o = buffer_room(out, 64);

		(void)iconv(cd, NULL, NULL, &o, &free);
		buffer_took(out, 64 - free);
	}
	out->len = from + utf8_cut((struct bytes){ out->at + from, out->len - from }, most).len;
	if (!utf8_valid((struct bytes){ out->at + from, out->len - from }))
		out->len = from + utf8_run((struct bytes){ out->at + from, out->len - from });
}

/* rfc1843: "~{" begins pairs of GB 2312 without their high bits, "~}" ends them, "~~" is a tilde, and a
   tilde at the end of a line joins it to the next.  A line ends pairs that nobody ended, and what is no
   pair ends nothing. */
static void
hz_to_utf8(iconv_t cd, struct bytes in, size_t most, struct buffer *out)
{
	struct buffer gb = { 0 };
	bool          pairs = false;

	for (size_t i = 0; i < in.len && gb.len / 2 < most; i++) {
		char c = in.at[i], next = i + 1 < in.len ? in.at[i + 1] : '\0';

		if (c == '~' && next == (pairs ? '}' : '{')) {
			pairs = !pairs;
			i++;
		} else if (c == '~' && !pairs && (next == '~' || next == '\n')) {
			if (next == '~')
				buffer_add_char(&gb, '~');
			i++;
		} else if (c == '~' && !pairs && next == '\r' && i + 2 < in.len &&
		           in.at[i + 2] == '\n') {
			i += 2;
		} else if (pairs && c > ' ' && c < 0x7f && next > ' ' && next < 0x7f) {
			buffer_add_char(&gb, (char)(c | 0x80));
			buffer_add_char(&gb, (char)(next | 0x80));
			i++;
		} else {
			buffer_add_char(&gb, c);
			pairs = pairs && c != '\n';
		}
	}
	iconv_to_utf8(cd, buffer_bytes(&gb), most, out);
	buffer_free(&gb);
}

/* What the bytes above 127 would be as pairs.  GB2312 and Big5 both have their
   everyday characters in a part of the table of their own. */
static struct charset *
looks_like(struct bytes in)
{
	size_t pairs = 0, gb2312 = 0, big5 = 0, gbk = 0;

	for (size_t i = ascii_run(in.at, in.len); i < in.len;) {
		unsigned a = (unsigned char)in.at[i], b;

		if (a < 0x80) {
			i += ascii_run(in.at + i, in.len - i);
			continue;
		}
		if (i + 1 == in.len)
			return NULL;
		b = (unsigned char)in.at[i + 1];
		pairs++;
		gb2312 +=
			b >= 0xa1 && b <= 0xfe && (a >= 0xb0 ? a <= 0xf7 : a == 0xa1 || a == 0xa3);
		big5 += a >= 0xa1 && a <= 0xc6 &&
		        ((b >= 0x40 && b <= 0x7e) || (b >= 0xa1 && b <= 0xfe));
		gbk += a >= 0x81 && a <= 0xfe && b >= 0x40 && b <= 0xfe && b != 0x7f;
		i += 2;
	}
	if (pairs < 2)
		return NULL;
	if (gb2312 == pairs)
		return charset_named(BYTES("gb18030"));
	if (big5 * 10 >= pairs * 9)
		return charset_named(BYTES("big5"));
	return gbk == pairs ? charset_named(BYTES("gb18030")) : NULL;
}

void
charset_guess_to_utf8(struct bytes in, struct buffer *out)
{
	struct charset *c;

	if (utf8_valid(in)) {
		buffer_add(out, in);
		return;
	}
	c = looks_like(in);
	if (c != NULL && converter(c) != (iconv_t)-1)
		iconv_to_utf8(c->open, in, SIZE_MAX, out);
	else
		latin1_to_utf8(in, SIZE_MAX, out);
}

void
charset_to_utf8(struct bytes charset, struct bytes text, size_t most, struct buffer *out)
{
	struct charset *c = charset_named(charset);
	enum how        how = c != NULL ? c->how : GUESS;

	if (text.len == 0 || most == 0)
		return;
	if (c != NULL && c->iconv != NULL && converter(c) == (iconv_t)-1)
		how = GUESS;
	if (how == GUESS)
		how = utf8_valid(text) ? UTF8 : LATIN1;
	if (how == UTF8)
		utf8_mended(text, most, out);
	else if (how == LATIN1)
		latin1_to_utf8(text, most, out);
	else if (how == HZ)
		hz_to_utf8(c->open, text, most, out);
	else
		iconv_to_utf8(c->open, text, most, out);
}
