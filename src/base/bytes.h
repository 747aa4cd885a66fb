/*
 * bytes -- a view of bytes that came from somewhere: an address and a length
 *
 * A view owns nothing and is never NUL-terminated by promise.  Everything
 * from outside is handled as bytes; C strings are for words of our own.
 * All calls accept an empty view whose `at` is NULL.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	const char *at;
	size_t      len;
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A view of a string literal, its length known to the compiler. */
#define BYTES(literal) ((struct bytes){ "" literal, sizeof(literal) - 1 })

struct bytes bytes_of(const char *string);              /* NULL gives empty */
struct bytes bytes_cut(struct bytes, size_t from, size_t len); /* clamped   */
bool bytes_equal(struct bytes, struct bytes);
bool bytes_equal_nocase(struct bytes, struct bytes);    /* ASCII only       */
bool bytes_is(struct bytes, const char *word);          /* equal_nocase     */
bool bytes_starts(struct bytes, struct bytes prefix);
bool bytes_starts_nocase(struct bytes, struct bytes prefix);
bool bytes_ends_nocase(struct bytes, struct bytes suffix);
/* Where `c` or `needle` first stands, or -1. */
ptrdiff_t bytes_find(struct bytes, char c);
ptrdiff_t bytes_find_last(struct bytes, char c);
ptrdiff_t bytes_search(struct bytes, struct bytes needle);
ptrdiff_t bytes_search_nocase(struct bytes, struct bytes needle);
int  bytes_compare(struct bytes, struct bytes);         /* memcmp order, then length */
struct bytes bytes_trim(struct bytes);                  /* blanks, tabs, CR, LF off both ends */
/* Take the part before the next `c` off the front of *rest; false when *rest
   is used up.  "a,b" gives a, b; "" gives nothing; "a," gives a and empty. */
bool bytes_split(struct bytes *rest, char c, struct bytes *part);
/* A decimal number filling the whole view; false on anything else or overflow. */
bool bytes_number(struct bytes, uint64_t *out);
/* A secret compared in time that depends on the length alone. */
bool bytes_equal_secret(struct bytes, struct bytes);
/* Copy into a fixed array with a NUL; false (and an empty string) if it does
   not fit or holds a NUL. */
bool bytes_string(struct bytes, char *out, size_t room);
/* How many bytes the UTF-8 character at the front has (rfc3629:4) and which
   one it is; 0 when there is none or it is broken. */
size_t bytes_utf8(struct bytes, uint32_t *rune);

static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline char
ascii_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

#endif
