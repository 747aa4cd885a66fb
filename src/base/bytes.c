#include "base/bytes.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/arena.h"

/* Where a needle longer than this is looked for, its table lives in memory. */
#define SHORT_NEEDLE 64

struct bytes
bytes_of(const char *string)
{
	if (string == NULL)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ string, strlen(string) };
}

struct bytes
bytes_cut(struct bytes b, size_t from, size_t len)
{
	if (from >= b.len)
		return (struct bytes){ b.at == NULL ? NULL : b.at + b.len, 0 };
	if (len > b.len - from)
		len = b.len - from;
	return (struct bytes){ b.at + from, len };
}

bool
bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool
bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
			return false;
	return true;
}

bool
bytes_is(struct bytes b, const char *word)
{
	return bytes_equal_nocase(b, bytes_of(word));
}

bool
bytes_starts(struct bytes b, struct bytes prefix)
{
	return b.len >= prefix.len && bytes_equal(bytes_cut(b, 0, prefix.len), prefix);
}

bool
bytes_starts_nocase(struct bytes b, struct bytes prefix)
{
	return b.len >= prefix.len && bytes_equal_nocase(bytes_cut(b, 0, prefix.len), prefix);
}

bool
bytes_ends_nocase(struct bytes b, struct bytes suffix)
{
	return b.len >= suffix.len &&
	       bytes_equal_nocase(bytes_cut(b, b.len - suffix.len, suffix.len), suffix);
}

ptrdiff_t
bytes_find(struct bytes b, char c)
{
	const char *found = b.len == 0 ? NULL : memchr(b.at, c, b.len);

	return found == NULL ? -1 : found - b.at;
}

ptrdiff_t
bytes_find_last(struct bytes b, char c)
{
	const char *found = b.len == 0 ? NULL : memrchr(b.at, c, b.len);

	return found == NULL ? -1 : found - b.at;
}

/* Where a short needle of two bytes or more is (a long one would cost its length at each place): places at which its first and its last byte stand so far apart, 16 at once. */
static const char *
find_needle(const char *at, size_t len, const char *needle, size_t n)
{
#ifdef __SSE2__
	const __m128i first = _mm_set1_epi8(needle[0]), last = _mm_set1_epi8(needle[n - 1]);

	for (; len >= n + 15; at += 16, len -= 16) {
		__m128i a =
			_mm_cmpeq_epi8(first, _mm_loadu_si128((const __m128i *)(const void *)at));
		__m128i b =
			_mm_cmpeq_epi8(last, _mm_loadu_si128(
						     (const __m128i *)(const void *)(at + n - 1)));
		unsigned both = (unsigned)_mm_movemask_epi8(_mm_and_si128(a, b));

		for (; both != 0; both &= both - 1) {
			const char *found = at + __builtin_ctz(both);
			if (memcmp(found, needle, n) == 0)
				return found;
		}
	}
#endif
	return len < n ? NULL : memmem(at, len, needle, n);
}

ptrdiff_t
bytes_search(struct bytes b, struct bytes needle)
{
	const char *found;

	if (needle.len == 0)
		return 0;
	if (needle.len > b.len)
		return -1;
	if (needle.len > 1 && needle.len <= SHORT_NEEDLE)
		found = find_needle(b.at, b.len, needle.at, needle.len);
	else
		found = memmem(b.at, b.len, needle.at, needle.len);
	return found == NULL ? -1 : found - b.at;
}

/* Where `lower` or `upper` next stands at or after `from`; b.len if nowhere.
   Each remembers how far it has looked, so that all calls together read the
   bytes at most twice. */
struct either {
	char   lower, upper;
	size_t next_lower, next_upper;
	bool   asked;
};

static size_t
next_of(struct bytes b, char c, size_t from)
{
	ptrdiff_t n = bytes_find(bytes_cut(b, from, b.len), c);

	return n < 0 ? b.len : from + (size_t)n;
}

static size_t
next_of_either(struct either *e, struct bytes b, size_t from)
{
	if (!e->asked || e->next_lower < from)
		e->next_lower = next_of(b, e->lower, from);
	if (!e->asked || e->next_upper < from)
		e->next_upper = e->upper == e->lower ? b.len : next_of(b, e->upper, from);
	e->asked = true;
	return e->next_lower < e->next_upper ? e->next_lower : e->next_upper;
}

/* back[i]: how many bytes of the needle still match when the byte after the
   first i + 1 of them does not. */
static void
fill_back(struct bytes needle, size_t *back)
{
	size_t kept = 0;

	back[0] = 0;
	for (size_t i = 1; i < needle.len; i++) {
		char c = ascii_lower(needle.at[i]);
		while (kept > 0 && c != ascii_lower(needle.at[kept]))
			kept = back[kept - 1];
		if (c == ascii_lower(needle.at[kept]))
			kept++;
		back[i] = kept;
	}
}

static ptrdiff_t
search_nocase(struct bytes b, struct bytes needle, const size_t *back)
{
	char          first = ascii_lower(needle.at[0]);
	struct either e = { .lower = first, .upper = first };
	size_t        have = 0;

	if (first >= 'a' && first <= 'z')
		e.upper = (char)(first - ('a' - 'A'));
	for (size_t i = 0; i < b.len; i++) {
		if (have == 0) {
			i = next_of_either(&e, b, i);
			if (b.len - i < needle.len)
				return -1;
		}
		char c = ascii_lower(b.at[i]);
		while (have > 0 && c != ascii_lower(needle.at[have]))
			have = back[have - 1];
		if (c == ascii_lower(needle.at[have]))
			have++;
		if (have == needle.len)
			return (ptrdiff_t)(i + 1 - needle.len);
	}
	return -1;
}

/* Linear however the bytes and the needle were chosen: people search letters
   that other people wrote. */
ptrdiff_t
bytes_search_nocase(struct bytes b, struct bytes needle)
{
	size_t    near_by[SHORT_NEEDLE] = { 0 };
	size_t   *back = near_by;
	ptrdiff_t found;

	if (needle.len == 0)
		return 0;
	if (needle.len > b.len)
		return -1;
	if (needle.len > COUNT(near_by))
		back = memory_take(needle.len * sizeof *back);
	fill_back(needle, back);
	found = search_nocase(b, needle, back);
	if (back != near_by)
		memory_free(back);
	return found;
}

int
bytes_compare(struct bytes a, struct bytes b)
{
	size_t least = a.len < b.len ? a.len : b.len;
	int    order = least == 0 ? 0 : memcmp(a.at, b.at, least);

	if (order != 0)
		return order < 0 ? -1 : 1;
	return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes
bytes_trim(struct bytes b)
{
	while (b.len > 0 && is_blank(b.at[0])) {
		b.at++;
		b.len--;
	}
	while (b.len > 0 && is_blank(b.at[b.len - 1]))
		b.len--;
	return b;
}

/* When the bytes end in `c` one empty part is still owed; the rest then stands
   here, which nobody else's view does. */
static const char owed[1];

bool
bytes_split(struct bytes *rest, char c, struct bytes *part)
{
	ptrdiff_t n;

	if (rest->len == 0) {
		*part = (struct bytes){ rest->at, 0 };
		if (rest->at != owed)
			return false;
		*part = (struct bytes){ "", 0 };
		*rest = (struct bytes){ NULL, 0 };
		return true;
	}
	n = bytes_find(*rest, c);
	if (n < 0) {
		*part = *rest;
		*rest = bytes_cut(*rest, rest->len, 0);
		return true;
	}
	*part = bytes_cut(*rest, 0, (size_t)n);
	*rest = bytes_cut(*rest, (size_t)n + 1, rest->len);
	if (rest->len == 0)
		rest->at = owed;
	return true;
}

bool
bytes_number(struct bytes b, uint64_t *out)
{
	uint64_t n = 0;

	if (b.len == 0)
		return false;
	for (size_t i = 0; i < b.len; i++) {
		if (b.at[i] < '0' || b.at[i] > '9')
			return false;
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(b.at[i] - '0'), &n))
			return false;
	}
	*out = n;
	return true;
}

bool
bytes_equal_secret(struct bytes a, struct bytes b)
{
	volatile unsigned char differs = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		differs = (unsigned char)(differs | (a.at[i] ^ b.at[i]));
	return differs == 0;
}

bool
bytes_string(struct bytes b, char *out, size_t room)
{
	if (room == 0)
		return false;
	out[0] = '\0';
	if (b.len >= room || bytes_find(b, '\0') >= 0)
		return false;
	if (b.len > 0)
		memcpy(out, b.at, b.len);
	out[b.len] = '\0';
	return true;
}

/* UTF8-octets of rfc3629:4, row by row: how long, and what the second byte
   may be (which keeps out surrogates, overlong forms and beyond U+10FFFF). */
/* clang-format off */
static const struct utf8_row {
	unsigned char first, last, len, low, high;
} utf8_rows[] = {
	{ 0x00, 0x7f, 1, 0x00, 0x00 },
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },
};
/* clang-format on */

size_t
bytes_utf8(struct bytes b, uint32_t *rune)
{
	const unsigned char   *at = (const unsigned char *)b.at;
	const struct utf8_row *row = utf8_rows;
	uint32_t               value;

	*rune = 0;
	if (b.len == 0)
		return 0;
	while (at[0] > row->last)
		if (++row == utf8_rows + COUNT(utf8_rows))
			return 0;
	if (at[0] < row->first || b.len < row->len)
		return 0;
	if (row->len > 1 && (at[1] < row->low || at[1] > row->high))
		return 0;
	value = row->len == 1 ? at[0] : at[0] & (0xffu >> (row->len + 1));
	for (size_t i = 1; i < row->len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (at[i] & 0x3fu);
	}
	*rune = value;
	return row->len;
}
