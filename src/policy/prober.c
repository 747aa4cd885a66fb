#include "policy/prober.h"

#include <string.h>

/* Digits and consonants, so that no number is a word. */
static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
enum { BASE = sizeof digits - 1, DIGITS_MOST = 13 };

/* Where the local part ends and the domain begins; false: it is nobody. */
static bool
parts_of(const struct prober *p, struct bytes *local, struct bytes *domain)
{
	struct bytes whole = bytes_of(p->as);
	ptrdiff_t    at = bytes_find_last(whole, '@');

	*local = at < 0 ? whole : bytes_cut(whole, 0, (size_t)at);
	*domain = at < 0 ? bytes_of(p->origin) : bytes_cut(whole, (size_t)at + 1, SIZE_MAX);
	return local->len > 0 && !bytes_is(whole, "<>");
}

static const char *
number_of(uint64_t n, char text[static DIGITS_MOST + 1])
{
	char *at = text + DIGITS_MOST;

	*at = '\0';
	do {
		*--at = digits[n % BASE];
		n /= BASE;
	} while (n > 0);
	return at;
}

struct bytes
prober_name(const struct prober *p, int64_t now_s, struct arena *a)
{
	struct bytes local, domain;
	char         text[DIGITS_MOST + 1];

	if (!parts_of(p, &local, &domain))
		return BYTES("");
	return bytes_of(arena_printf(a, "%.*s%s@%.*s", (int)local.len, local.at,
	                             p->ttl_s > 0
	                                     ? number_of((uint64_t)now_s / (uint64_t)p->ttl_s, text)
	                                     : "",
	                             (int)domain.len, domain.at));
}

bool
prober_is(const struct prober *p, int64_t now_s, struct bytes address)
{
	ptrdiff_t    at = bytes_find_last(address, '@');
	uint64_t     now = p->ttl_s > 0 ? (uint64_t)now_s / (uint64_t)p->ttl_s : 0;
	struct bytes local, domain, behind;

	if (at < 0 || !parts_of(p, &local, &domain) ||
	    !bytes_equal_nocase(bytes_cut(address, (size_t)at + 1, SIZE_MAX), domain) ||
	    !bytes_starts_nocase(address, local) || (size_t)at < local.len)
		return false;
	behind = bytes_cut(address, local.len, (size_t)at - local.len);
	if (p->ttl_s <= 0)
		return behind.len == 0;
	for (uint64_t n = now == 0 ? 0 : now - 1; n <= now + 1; n++) {
		char text[DIGITS_MOST + 1];

		if (bytes_is(behind, number_of(n, text)))
			return true;
	}
	return false;
}
