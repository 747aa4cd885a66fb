#include "unit.h"

#include <string.h>

#include "base/arena.h"
#include "message/casefold.h"
#include "message/charset.h"
#include "message/encoding.h"
#include "message/fold.h"

typedef void decode_fn(struct bytes, struct buffer *);
struct row { const char *why, *in, *out; };

static void
run(const struct row *row, size_t count, decode_fn *decode)
{
	for (size_t i = 0; i < count; i++) {
		struct buffer b = { 0 };

		decode(bytes_of(row[i].in), &b);
		SAME(row[i].why, buffer_bytes(&b), bytes_of(row[i].out));
		buffer_free(&b);
	}
}

static void
test_qp(void **state)
{
	static const struct row rows[] = {
		{ "rfc2045:6.7", "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
		  "Now's the time for all folk to come to the aid of their country." },
		{ "an octet", "a=3Db", "a=b" },
		{ "lower case", "=e4=bd=a0", "\xe4\xbd\xa0" },
		{ "blanks at the end of a line are not the writer's", "a  \t\r\nb ", "a\r\nb" },
		{ "blank after a soft break", "a= \t\r\nb", "ab" },
		{ "line ends stay", "a\r\n\r\nb\n", "a\r\n\r\nb\n" },
		{ "no hex", "a=ZZ=3", "a=ZZ=3" },
		{ "= at the end", "a=", "a" },
		{ "== ", "a==3D", "a==" },
		{ "a lone CR", "a\rb", "a\rb" },
		{ "nothing", "", "" },
	};

	(void)state;
	run(rows, COUNT(rows), qp_decode);
}

static void
test_base64(void **state)
{
	static const struct row rows[] = {
		{ "rfc4648:10", "Zm9vYmFy", "foobar" },
		{ "one pad", "Zm9vYmE=", "fooba" },
		{ "two pads", "Zm9vYg==", "foob" },
		{ "lines", "Zm9v\r\nYmFy\r\n", "foobar" },
		{ "noise is ignored", "Z m-9*v!Ym\tFy", "foobar" },
		{ "no padding", "Zm9vYg", "foob" },
		{ "no padding, three", "Zm9vYmE", "fooba" },
		{ "joined pieces", "Zm9vYg==Zm9v", "foobfoo" },
		{ "a lone character", "Zm9vY", "foo" },
		{ "only padding", "====", "" },
		{ "nothing", "", "" },
	};

	(void)state;
	run(rows, COUNT(rows), base64_decode_mime);
}

/* However a text is cut, its pieces decode to what the whole decodes to. */
static void
test_pieces(void **state)
{
	static const struct { const char *why, *text; decode_fn *decode; size_t (*piece)(struct bytes, size_t); } rows[] = {
		{ "lines of base64", "Zm9v\r\nYmFy\r\nZm9vYmE=\r\n", base64_decode_mime, base64_piece },
		{ "base64 with noise, padding within and a lone letter", "Z m-9*vYg==Zm9vYg=Zm9vY", base64_decode_mime, base64_piece },
		{ "base64 without lines", "AAECAwQFBgcICQoLDA0ODw", base64_decode_mime, base64_piece },
		{ "quoted-printable", "Gr=C3=BC=C3=9Fe, so=\r\n ist es \t\r\n\r\na= \nb=", qp_decode, qp_piece },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer whole = { 0 };
		struct bytes text = bytes_of(rows[i].text);

		rows[i].decode(text, &whole);
		for (size_t least = 1; least < text.len + 2; least++) {
			struct buffer joined = { 0 };
			for (struct bytes rest = text; rest.len > 0;) {
				size_t n = rows[i].piece(rest, least);
				HOLDS(rows[i].why, n <= rest.len && (n >= least || n == rest.len) && n > 0);
				rows[i].decode(bytes_cut(rest, 0, n), &joined);
				rest = bytes_cut(rest, n, SIZE_MAX);
			}
			SAME(rows[i].why, buffer_bytes(&joined), buffer_bytes(&whole));
			buffer_free(&joined);
		}
		buffer_free(&whole);
	}
}

static void
test_words(void **state)
{
	static const struct row rows[] = {
		{ "plain", "Re: hello", "Re: hello" },
		{ "rfc2047:8 a", "(=?ISO-8859-1?Q?a?=)", "(a)" },
		{ "rfc2047:8 a b", "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
		{ "rfc2047:8 two", "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "rfc2047:8 two blanks", "(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "rfc2047:8 fold", "(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)" },
		{ "rfc2047:8 underscore", "(=?ISO-8859-1?Q?a_b?=)", "(a b)" },
		{ "rfc2047:8 charsets", "(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)" },
		{ "rfc2047:8 names", "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>" },
		{ "rfc2047:8 base64", "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		  "If you can read this you understand the example." },
		{ "rfc2231:5 language", "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" },
		{ "gb2312", "=?GB2312?B?xOO6w6OsysC95w==?=", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "gb18030 of four bytes", "=?gb18030?Q?=95=328=36?=", "\xef\xbf\xbd\x32\x38\x36" },
		{ "hz-gb-2312", "=?HZ-GB-2312?Q?=7E{Dc:C#,J@=3Dg=7E}?=", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "big5", "=?big5?B?p0GmbqFBpUCsyQ==?=", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "iso-2022-jp", "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "a character over two words", "=?utf-8?B?5L0=?= =?utf-8?B?oA==?=", "\xe4\xbd\xa0" },
		{ "a character over Q and B", "=?utf-8?Q?=E4=BD?= =?utf-8?B?oA==?=", "\xe4\xbd\xa0" },
		{ "text after a word keeps its blank", "=?utf-8?Q?a?= b", "a b" },
		{ "text before a word keeps its blank", "a =?utf-8?Q?b?=", "a b" },
		{ "no such charset", "=?x-nothing?Q?=E4=BD=A0?=", "\xe4\xbd\xa0" },
		{ "no such encoding", "=?utf-8?X?a?=", "=?utf-8?X?a?=" },
		{ "not ended", "=?utf-8?Q?abc", "=?utf-8?Q?abc" },
		{ "not ended, then a word", "=?utf-8?Q?ab =?utf-8?Q?c?=", "=?utf-8?Q?ab c" },
		{ "blank inside, which should not be", "=?utf-8?Q?a b?=", "a b" },
		{ "empty", "=?utf-8?Q?" "?=", "" },
		{ "raw UTF-8", "\xe4\xbd\xa0 b", "\xe4\xbd\xa0 b" },
		{ "raw GB2312", "\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "raw Big5", "\xa7\x41\xa6\x6e\xa1\x41\xa5\x40\xac\xc9", "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "raw Latin-1", "caf\xe9 au lait", "caf\xc3\xa9 au lait" },
		{ "line ends cannot be smuggled", "=?utf-8?Q?a=0D=0AX:_b?=", "a  X: b" },
		{ "folds", "a\r\n b\r\n\tc", "a b c" },
	};

	(void)state;
	run(rows, COUNT(rows), words_decode);
}

static void
test_utf7(void **state)
{
	static const struct { const char *why, *utf7, *utf8; } rows[] = {
		{ "rfc3501:5.1.3", "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
		{ "ampersand", "a&-b", "a&b" },
		{ "two of them", "&-&-", "&&" },
		{ "beyond the plane", "&2D3eAA-", "\xf0\x9f\x98\x80" },
		{ "sent", "&XfJT0ZAB-", "\xe5\xb7\xb2\xe5\x8f\x91\xe9\x80\x81" },
		{ "plain", "INBOX/a b", "INBOX/a b" },
		{ "empty", "", "" },
		{ "not ended", "&U,BTFw", NULL },
		{ "printable in base64", "&AGE-", NULL },
		{ "two shifts that are one", "&U,A-&UxcA-", NULL },
		{ "stray bits", "&U,BTFx-", NULL },
		{ "half a unit", "&U,BT-", NULL },
		{ "lone surrogate", "&2D0-", NULL },
		{ "low surrogate first", "&3gA-", NULL },
		{ "slash is not of this base64", "&U/BTFw-", NULL },
		{ "8-bit", "\xe4\xbd\xa0", NULL },
		{ "control", "a\tb", NULL },
		{ "a lone ampersand", "a&b", NULL },
		{ "ampersand at the end", "a&", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer b = { 0 }, back = { 0 };
		bool ok = utf7_to_utf8(bytes_of(rows[i].utf7), &b);

		HOLDS(rows[i].why, ok == (rows[i].utf8 != NULL));
		if (ok) {
			SAME(rows[i].why, buffer_bytes(&b), bytes_of(rows[i].utf8));
			utf8_to_utf7(buffer_bytes(&b), &back);
			SAME(rows[i].why, buffer_bytes(&back), bytes_of(rows[i].utf7));
		} else {
			HOLDS(rows[i].why, b.len == 0);
		}
		buffer_free(&b);
		buffer_free(&back);
	}
}

static void
test_utf8_valid(void **state)
{
	static const struct { const char *why, *in; bool ok; } rows[] = {
		{ "ascii", "hello, this is longer than eight", true },
		{ "two three four", "\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80", true },
		{ "overlong two", "\xc0\xaf", false },
		{ "overlong three", "\xe0\x80\xaf", false },
		{ "overlong four", "\xf0\x80\x80\xaf", false },
		{ "surrogate", "\xed\xa0\x80", false },
		{ "beyond U+10FFFF", "\xf4\x90\x80\x80", false },
		{ "cut", "abcdefgh\xe4\xbd", false },
		{ "continuation alone", "\x80", false },
		{ "five bytes", "\xf8\x88\x80\x80\x80", false },
		{ "nothing", "", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS(rows[i].why, utf8_valid(bytes_of(rows[i].in)) == rows[i].ok);
}

static void
test_charsets(void **state)
{
	static const struct { const char *why, *charset, *in; size_t most; const char *out; } rows[] = {
		{ "utf-8 mended", "utf-8", "a\xff\xfe" "b", 99, "a\xef\xbf\xbd" "b" },
		{ "windows-1252 in the name of latin1", "iso-8859-1", "\x80\x93x\x94", 99, "\xe2\x82\xac\xe2\x80\x9cx\xe2\x80\x9d" },
		{ "unknown and valid", "x-foo", "\xe4\xbd\xa0", 99, "\xe4\xbd\xa0" },
		{ "unknown and not", "x-foo", "\xe9", 99, "\xc3\xa9" },
		{ "none", "", "\xe9", 99, "\xc3\xa9" },
		{ "cut between characters", "utf-8", "\xe4\xbd\xa0\xe5\xa5\xbd", 5, "\xe4\xbd\xa0" },
		{ "cut between characters, gbk", "gbk", "\xc4\xe3\xba\xc3", 4, "\xe4\xbd\xa0" },
		{ "cut between characters, latin1", "latin1", "\xe9\xe9\xe9", 4, "\xc3\xa9" },
		{ "gbk cut short", "gbk", "\xc4\xe3\xba", 99, "\xe4\xbd\xa0\xef\xbf\xbd" },
		{ "name in any case, blanks", " KOI8-R ", "\xd0\xd2\xc9", 99, "\xd0\xbf\xd1\x80\xd0\xb8" },
		{ "utf-16be", "utf-16be", "O`", 99, "\xe4\xbd\xa0" },
		{ "rfc1843 pairs", "hz-gb-2312", "~{Dc:C#,J@=g~}", 99, "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c" },
		{ "rfc1843 its own example", "HZ-GB-2312", "This is ~{<:Ky2;S{#,NpJ)l6HK!#~}Bye.", 99,
		  "This is \xe5\xb7\xb1\xe6\x89\x80\xe4\xb8\x8d\xe6\xac\xb2\xef\xbc\x8c\xe5\x8b\xbf\xe6\x96\xbd\xe6\x96\xbc\xe4\xba\xba\xe3\x80\x82" "Bye." },
		{ "rfc1843 a tilde", "hz-gb-2312", "~{<[8q~}~~100~{T*~} ok", 99, "\xe4\xbb\xb7\xe6\xa0\xbc~100\xe5\x85\x83 ok" },
		{ "rfc1843 lines joined", "hz-gb-2312", "ab~\ncd~\r\nef", 99, "abcdef" },
		{ "hz, pairs that nobody ended end with their line", "hz-gb-2312", "~{Dc\r\nok", 99, "\xe4\xbd\xa0\r\nok" },
		{ "hz, half a pair at the end", "hz-gb-2312", "~{DcD", 99, "\xe4\xbd\xa0" "D" },
		{ "hz, cut between characters", "hz-gb-2312", "~{Dc:C~}", 4, "\xe4\xbd\xa0" },
		{ "hz, eight bits are of gb2312", "hz-gb-2312", "\xc4\xe3", 99, "\xe4\xbd\xa0" },
		{ "dangerous converters are not known", "iso-2022-cn-ext", "abc", 99, "abc" },
		{ "nothing allowed", "utf-8", "abc", 0, "" },
	};

	(void)state;
	charset_warm();
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer b = { 0 };

		charset_to_utf8(bytes_of(rows[i].charset), bytes_of(rows[i].in), rows[i].most, &b);
		SAME(rows[i].why, buffer_bytes(&b), bytes_of(rows[i].out));
		buffer_free(&b);
	}
}

/* Whatever the bytes, every known charset gives UTF-8. */
static void
test_always_utf8(void **state)
{
	static const char *const names[] = {
		"utf-8", "us-ascii", "latin1", "gb18030", "big5", "euc-tw", "iso-2022-jp", "shift_jis",
		"euc-jp", "euc-kr", "iso-2022-kr", "hz-gb-2312", "utf-16", "utf-16le", "utf-32", "utf-7", "viscii", "",
	};
	uint32_t n = 1;

	(void)state;
	for (size_t c = 0; c < COUNT(names); c++) {
		for (int i = 0; i < 300; i++) {
			char in[64];
			struct buffer b = { 0 };

			for (size_t k = 0; k < sizeof in; k++)
				in[k] = (char)((n = n * 1103515245 + 12345) >> 16);
			charset_to_utf8(bytes_of(names[c]), (struct bytes){ in, (size_t)i % 65 }, 99, &b);
			HOLDS(names[c], utf8_valid(buffer_bytes(&b)));
			HOLDS(names[c], b.len <= 99);
			buffer_reset(&b);
			words_decode((struct bytes){ in, (size_t)i % 65 }, &b);
			HOLDS("words", utf8_valid(buffer_bytes(&b)));
			buffer_free(&b);
		}
	}
}

/* Expected as perl's lc and Unicode::Normalize have it: the simple titlecase, decomposed. */
static void
test_fold(void **state)
{
	static const struct { const char *why; uint32_t c, folded[FOLD_MOST]; } rows[] = {
		{ "a", 'a', { 'A' } }, { "Z", 'Z', { 'Z' } }, { "[", '[', { '[' } },
		{ "A umlaut", 0xc4, { 'A', 0x308 } }, { "a umlaut", 0xe4, { 'A', 0x308 } }, { "times", 0xd7, { 0xd7 } },
		{ "sigma", 0x3c3, { 0x3a3 } }, { "final sigma", 0x3c2, { 0x3a3 } }, { "Cyrillic", 0x436, { 0x416 } },
		{ "short i", 0x439, { 0x418, 0x306 } }, { "every other", 0x100, { 'A', 0x304 } },
		{ "its small one", 0x101, { 'A', 0x304 } }, { "sharp s has no titlecase", 0xdf, { 0xdf } },
		{ "dz caron becomes its titlecase", 0x1c4, { 'D', 'z', 0x30c } }, { "kelvin", 0x212a, { 'K' } },
		{ "two marks", 0x1ed9, { 'O', 0x323, 0x302 } }, { "Deseret", 0x10428, { 0x10400 } },
		{ "Chinese", 0x4f60, { 0x4f60 } }, { "a Chinese one twice encoded", 0xf900, { 0x8c48 } },
		{ "beyond 16 bits", 0x2f800, { 0x4e3d } }, { "fullwidth a", 0xff41, { 'A' } },
		{ "halfwidth ka", 0xff76, { 0x30ab } }, { "ga", 0x30ac, { 0x30ab, 0x3099 } },
		{ "Hangul without a tail", 0xac00, { 0x1100, 0x1161 } },
		{ "Hangul with one", 0xd55c, { 0x1112, 0x1161, 0x11ab } }, { "the last of Hangul", 0xd7a3, { 0x1112, 0x1175, 0x11c2 } },
		{ "the longest", 0xfdfa, { 0x635, 0x644, 0x649, ' ', 0x627, 0x644, 0x644, 0x647, ' ', 0x639, 0x644, 0x64a,
		                           0x647, ' ', 0x648, 0x633, 0x644, 0x645 } },
		{ "the last", 0x10ffff, { 0x10ffff } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t out[FOLD_MOST] = { 0 };
		size_t   n = fold_character(rows[i].c, out);

		HOLDS(rows[i].why, n <= FOLD_MOST && (n == FOLD_MOST || rows[i].folded[n] == 0));
		HOLDS(rows[i].why, memcmp(out, rows[i].folded, n * sizeof *out) == 0);
	}
}

/* Expected as Python's str.casefold() has it. */
static void
test_casefold(void **state)
{
	static const struct { const char *why, *in, *out; } rows[] = {
		{ "ASCII", "A@b.C[", "a@b.c[" }, { "nothing", "", "" }, { "Cyrillic", "\u041a\u041b", "\u043a\u043b" },
		{ "every other", "\u0100\u0101", "\u0101\u0101" }, { "sharp s", "\u00df", "ss" }, { "final sigma", "\u03c2", "\u03c3" },
		{ "one that becomes three", "\ufb03", "ffi" }, { "Deseret", "\U00010400", "\U00010428" }, { "Cherokee goes up", "\uab70", "\u13a0" },
		{ "Chinese", "\u4f60A", "\u4f60a" }, { "times is no letter", "\u00d7", "\u00d7" }, { "no UTF-8 stays", "A\xff\xc3", "a\xff\xc3" },
		{ "composed as it was", "\u00c4", "\u00e4" },
	};
	struct arena *a = arena_open(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		SAME(rows[i].why, casefold(a, bytes_of(rows[i].in)), bytes_of(rows[i].out));
	arena_close(&a);
}

UNIT(test_qp, test_base64, test_pieces, test_words, test_utf7, test_utf8_valid, test_charsets, test_always_utf8,
     test_fold, test_casefold)
