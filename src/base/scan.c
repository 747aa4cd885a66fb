#include "base/scan.h"

#include <string.h>

struct scan
scan_of(struct bytes b)
{
	return (struct scan){ .rest = b };
}

bool
scan_ok(const struct scan *r)
{
	return r->fault == NULL;
}

void
scan_fail(struct scan *r, const char *expected)
{
	if (r->fault != NULL)
		return;
	r->fault = expected;
	r->fault_at = r->rest.at;
}

bool
scan_done(const struct scan *r)
{
	return r->fault == NULL && r->rest.len == 0;
}

/* The next n bytes, which are there; nothing after a fault. */
static struct bytes
take(struct scan *r, size_t n)
{
	struct bytes taken;

	if (r->fault != NULL)
		return (struct bytes){ r->rest.at, 0 };
	taken = bytes_cut(r->rest, 0, n);
	r->rest = bytes_cut(r->rest, n, r->rest.len);
	return taken;
}

bool
scan_next_is(const struct scan *r, char c)
{
	return r->fault == NULL && r->rest.len > 0 && r->rest.at[0] == c;
}

bool
scan_skip(struct scan *r, char c)
{
	if (!scan_next_is(r, c))
		return false;
	(void)take(r, 1);
	return true;
}

bool
scan_skip_word(struct scan *r, const char *word)
{
	struct bytes w = bytes_of(word);

	if (r->fault != NULL || !bytes_starts_nocase(r->rest, w))
		return false;
	(void)take(r, w.len);
	return true;
}

void
scan_expect(struct scan *r, const char *word)
{
	if (!scan_skip_word(r, word))
		scan_fail(r, word);
}

void
scan_end(struct scan *r)
{
	if (r->rest.len > 0)
		scan_fail(r, "the end of the line");
}

struct bytes
scan_while(struct scan *r, bool (*is)(char))
{
	size_t n = 0;

	while (n < r->rest.len && is(r->rest.at[n]))
		n++;
	return take(r, n);
}

struct bytes
scan_until(struct scan *r, char c)
{
	ptrdiff_t n = bytes_find(r->rest, c);

	return take(r, n < 0 ? r->rest.len : (size_t)n);
}

struct bytes
scan_take(struct scan *r, size_t n)
{
	if (n > r->rest.len)
		scan_fail(r, "more bytes");
	return take(r, n);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number that is too large is a fault at its first digit. */
uint64_t
scan_number(struct scan *r, uint64_t most)
{
	struct scan  before = *r;
	struct bytes digits = scan_while(r, is_digit);
	uint64_t     n = 0;

	if (r->fault != NULL)
		return 0;
	if (digits.len == 0) {
		scan_fail(r, "a number");
		return 0;
	}
	if (!bytes_number(digits, &n) || n > most) {
		*r = before;
		scan_fail(r, "a smaller number");
		return 0;
	}
	return n;
}
