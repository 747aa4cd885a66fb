#include "unit.h"

#include <string.h>

/* The view itself, then each call on views that have no bytes at all. */
static void
test_empty_views(void **state)
{
	struct bytes none = { NULL, 0 }, rest = none, part;
	uint64_t     n;
	uint32_t     rune;
	char         out[4] = "abc";

	(void)state;
	HOLDS("NULL gives empty", bytes_of(NULL).len == 0);
	HOLDS("equal to itself", bytes_equal(none, none) && bytes_equal_nocase(none, none));
	HOLDS("equal to another empty one", bytes_equal(none, BYTES("")));
	HOLDS("an empty prefix", bytes_starts(none, none) && bytes_starts_nocase(none, none));
	HOLDS("an empty suffix", bytes_ends_nocase(none, none));
	HOLDS("no byte in it", bytes_find(none, 'a') == -1 && bytes_find_last(none, 'a') == -1);
	HOLDS("an empty needle", bytes_search(none, none) == 0);
	HOLDS("no needle in it", bytes_search(none, BYTES("a")) == -1);
	HOLDS("no needle in it", bytes_search_nocase(none, BYTES("a")) == -1);
	HOLDS("no order", bytes_compare(none, BYTES("")) == 0);
	HOLDS("nothing to trim", bytes_trim(none).len == 0);
	HOLDS("nothing to split", !bytes_split(&rest, ',', &part));
	HOLDS("no number", !bytes_number(none, &n));
	HOLDS("no secret", bytes_equal_secret(none, none));
	HOLDS("an empty string", bytes_string(none, out, sizeof out) && out[0] == '\0');
	HOLDS("nothing to cut", bytes_cut(none, 3, 4).len == 0);
	HOLDS("no character", bytes_utf8(none, &rune) == 0);
}

struct cut_case {
	const char *why;
	size_t      from, len;
	const char *wanted;
};
static const struct cut_case cuts[] = {
	{ "the whole", 0, 5, "abcde" },
	{ "the middle", 1, 3, "bcd" },
	{ "longer than there is", 3, 9, "de" },
	{ "behind the end", 9, 1, "" },
	{ "at the end", 5, 1, "" },
	{ "nothing of it", 2, 0, "" },
	{ "a length that would wrap", 2, SIZE_MAX, "cde" },
};

static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cuts); i++)
		SAME(cuts[i].why, bytes_cut(BYTES("abcde"), cuts[i].from, cuts[i].len),
		     bytes_of(cuts[i].wanted));
}

struct compare_case {
	const char  *why;
	struct bytes a, b;
	bool         equal, nocase;
	int          order;
};
static const struct compare_case compares[] = {
	{ "the same", { "abc", 3 }, { "abc", 3 }, true, true, 0 },
	{ "case", { "aBc", 3 }, { "AbC", 3 }, false, true, 1 },
	{ "only ASCII has case", { "\xc3\x84", 2 }, { "\xc3\xa4", 2 }, false, false, -1 },
	{ "[ is not { in lower case", { "[", 1 }, { "{", 1 }, false, false, -1 },
	{ "a prefix comes first", { "ab", 2 }, { "abc", 3 }, false, false, -1 },
	{ "a longer one comes later", { "abc", 3 }, { "ab", 2 }, false, false, 1 },
	{ "bytes have no sign", { "\x80", 1 }, { "\x7f", 1 }, false, false, 1 },
	{ "a NUL is a byte like others", { "a\0b", 3 }, { "a\0c", 3 }, false, false, -1 },
};

static void
test_compare(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(compares); i++) {
		const struct compare_case *c = &compares[i];
		HOLDS(c->why, bytes_equal(c->a, c->b) == c->equal);
		HOLDS(c->why, bytes_equal_secret(c->a, c->b) == c->equal);
		HOLDS(c->why, bytes_equal_nocase(c->a, c->b) == c->nocase);
		HOLDS(c->why, bytes_compare(c->a, c->b) == c->order);
	}
	HOLDS("a word", bytes_is(BYTES("EHLO"), "ehlo") && !bytes_is(BYTES("EHLO"), "EHL"));
	HOLDS("a prefix", bytes_starts(BYTES("abc"), BYTES("ab")));
	HOLDS("case counts", !bytes_starts(BYTES("abc"), BYTES("Ab")));
	HOLDS("longer than all", !bytes_starts(BYTES("abc"), BYTES("abcd")));
	HOLDS("no case", bytes_starts_nocase(BYTES("abc"), BYTES("AB")));
	HOLDS("a suffix", bytes_ends_nocase(BYTES("a.Example"), BYTES(".example")));
	HOLDS("longer than all", !bytes_ends_nocase(BYTES("e"), BYTES(".e")));
}

struct search_case {
	const char *why, *hay, *needle;
	ptrdiff_t   at, at_nocase;
};
static const struct search_case searches[] = {
	{ "at the front", "abcabc", "abc", 0, 0 },
	{ "later", "xxabc", "abc", 2, 2 },
	{ "at the end", "xxab", "ab", 2, 2 },
	{ "case", "xxABab", "ab", 4, 2 },
	{ "nowhere", "xxab", "abc", -1, -1 },
	{ "the empty needle", "xx", "", 0, 0 },
	{ "longer than all", "ab", "abc", -1, -1 },
	{ "a start that is no start", "aaaab", "aab", 2, 2 },
	{ "back into the needle", "abababac", "ababac", 2, 2 },
	{ "upper case comes first", "BanaNANAS", "NANAS", 4, 4 },
	{ "no letters", "12121213", "1213", 4, 4 },
	{ "one byte, upper case", "xxA", "a", -1, 2 },
};

static void
test_search(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(searches); i++) {
		struct bytes hay = bytes_of(searches[i].hay), needle = bytes_of(searches[i].needle);
		HOLDS(searches[i].why, bytes_search(hay, needle) == searches[i].at);
		HOLDS(searches[i].why, bytes_search_nocase(hay, needle) == searches[i].at_nocase);
	}
	HOLDS("the first", bytes_find(BYTES("a.b.c"), '.') == 1);
	HOLDS("the last", bytes_find_last(BYTES("a.b.c"), '.') == 3);
	HOLDS("nowhere", bytes_find_last(BYTES("abc"), '.') == -1);
}

/* Small alphabets find what tables of cases forget. */
static void
test_search_agrees_with_looking_everywhere(void **state)
{
	char     hay[60], needle[6]; /* longer than what is looked at at once */
	unsigned dice = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof hay; i++)
			hay[i] = "aAbB"[(dice = dice * 1103515245 + 12345) >> 16 & 3];
		for (size_t i = 0; i < sizeof needle; i++)
			needle[i] = "aAbB"[(dice = dice * 1103515245 + 12345) >> 16 & 3];
		struct bytes h = { hay, sizeof hay };
		struct bytes n = { needle, 1 + (size_t)round % sizeof needle };
		ptrdiff_t    wanted = -1;
		for (size_t i = 0; wanted < 0 && i + n.len <= h.len; i++)
			if (bytes_equal_nocase(bytes_cut(h, i, n.len), n))
				wanted = (ptrdiff_t)i;
		assert_int_equal(bytes_search_nocase(h, n), wanted);
		wanted = -1;
		for (size_t i = 0; wanted < 0 && i + n.len <= h.len; i++)
			if (bytes_equal(bytes_cut(h, i, n.len), n))
				wanted = (ptrdiff_t)i;
		assert_int_equal(bytes_search(h, n), wanted);
	}
}

/* Quadratic work would take hours here. */
static void
test_search_is_linear(void **state)
{
	static char hay[1 << 21], needle[1 << 20];

	(void)state;
	memset(hay, 'a', sizeof hay);
	memset(needle, 'a', sizeof needle);
	needle[sizeof needle - 1] = 'B';
	HOLDS("almost, everywhere",
	      bytes_search_nocase((struct bytes){ hay, sizeof hay },
	                          (struct bytes){ needle, sizeof needle }) == -1);
	hay[sizeof hay - 1] = 'b';
	HOLDS("at the very end",
	      bytes_search_nocase((struct bytes){ hay, sizeof hay },
	                          (struct bytes){ needle, sizeof needle }) == 1 << 20);
}

struct split_case {
	const char *why, *in;
	size_t      count;
	const char *part[4];
};
static const struct split_case splits[] = {
	{ "two", "a,b", 2, { "a", "b" } },
	{ "nothing", "", 0, { NULL } },
	{ "one", "abc", 1, { "abc" } },
	{ "an empty one behind", "a,", 2, { "a", "" } },
	{ "an empty one before", ",a", 2, { "", "a" } },
	{ "two empty ones", ",", 2, { "", "" } },
	{ "empty ones between", "a,,b,", 4, { "a", "", "b", "" } },
};

static void
test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(splits); i++) {
		struct bytes rest = bytes_of(splits[i].in), part;
		for (size_t n = 0; n < splits[i].count; n++) {
			HOLDS(splits[i].why, bytes_split(&rest, ',', &part));
			SAME(splits[i].why, part, bytes_of(splits[i].part[n]));
		}
		HOLDS(splits[i].why, !bytes_split(&rest, ',', &part));
		HOLDS("and nothing ever after", !bytes_split(&rest, ',', &part));
	}
}

struct number_case {
	const char *why, *in;
	bool        good;
	uint64_t    wanted;
};
static const struct number_case numbers[] = {
	{ "zero", "0", true, 0 },
	{ "leading zeros", "0042", true, 42 },
	{ "the largest", "18446744073709551615", true, UINT64_MAX },
	{ "one more", "18446744073709551616", false, 0 },
	{ "ten times more", "99999999999999999999", false, 0 },
	{ "empty", "", false, 0 },
	{ "a sign", "-1", false, 0 },
	{ "a plus", "+1", false, 0 },
	{ "a blank", " 1", false, 0 },
	{ "something behind", "1a", false, 0 },
};

static void
test_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t n = 0;
		HOLDS(numbers[i].why, bytes_number(bytes_of(numbers[i].in), &n) == numbers[i].good);
		HOLDS(numbers[i].why, n == numbers[i].wanted);
	}
}

static void
test_trim(void **state)
{
	(void)state;
	SAME("both ends", bytes_trim(BYTES(" \t a b \r\n")), BYTES("a b"));
	SAME("blanks alone", bytes_trim(BYTES(" \r\n\t")), BYTES(""));
}

static void
test_string(void **state)
{
	char out[4];

	(void)state;
	HOLDS("fits with its NUL", bytes_string(BYTES("abc"), out, sizeof out));
	assert_string_equal(out, "abc");
	HOLDS("one too long", !bytes_string(BYTES("abcd"), out, sizeof out));
	assert_string_equal(out, "");
	HOLDS("holds a NUL", !bytes_string((struct bytes){ "a\0b", 3 }, out, sizeof out));
	assert_string_equal(out, "");
	HOLDS("no room at all", !bytes_string(BYTES(""), out, 0));
}

struct utf8_case {
	const char *why, *in;
	size_t      len;
	uint32_t    rune;
};
static const struct utf8_case runes[] = {
	{ "ASCII", "a", 1, 'a' },
	{ "two bytes", "\xc3\xa4", 2, 0xe4 },
	{ "three", "\xe9\xa9\xbf", 3, 0x9a7f },
	{ "four", "\xf0\x9f\x93\xae", 4, 0x1f4ee },
	{ "the last of all", "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
	{ "behind the last", "\xf4\x90\x80\x80", 0, 0 },
	{ "rfc3629:3 overlong", "\xc0\xaf", 0, 0 },
	{ "rfc3629:3 overlong", "\xe0\x80\xaf", 0, 0 },
	{ "rfc3629:3 overlong", "\xf0\x80\x80\xaf", 0, 0 },
	{ "rfc3629:3 a surrogate", "\xed\xa0\x80", 0, 0 },
	{ "cut short", "\xe9\xa9", 0, 0 },
	{ "a continuation first", "\x80", 0, 0 },
	{ "not a continuation", "\xc3(", 0, 0 },
	{ "no UTF-8 byte", "\xff", 0, 0 },
};

static void
test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(runes); i++) {
		uint32_t rune = 1;
		HOLDS(runes[i].why, bytes_utf8(bytes_of(runes[i].in), &rune) == runes[i].len);
		HOLDS(runes[i].why, rune == runes[i].rune);
	}
}

UNIT(test_empty_views, test_cut, test_compare, test_search,
     test_search_agrees_with_looking_everywhere, test_search_is_linear, test_split, test_number,
     test_trim, test_string, test_utf8)
