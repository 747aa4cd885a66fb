#include "policy/dnsbl.h"

#include <string.h>

#include "base/scan.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* octet = 1*3DIGIT */
static uint64_t
octet(struct scan *s)
{
	if (!scan_ok(s) || s->rest.len == 0 || !is_digit(s->rest.at[0]))
		scan_fail(s, "a number from 0 to 255");
	return scan_number(s, 255);
}

/* range = octet [ ".." octet ] */
static bool
range(struct scan *s, unsigned byte)
{
	uint64_t from = octet(s), to = from;

	if (bytes_starts(s->rest, BYTES(".."))) {
		scan_expect(s, "..");
		to = octet(s);
		if (to < from)
			scan_fail(s, "a range that begins with its least number");
	}
	return byte >= from && byte <= to;
}

/* part = octet / "[" range *( ";" range ) "]" */
static bool
part(struct scan *s, unsigned byte)
{
	bool fits;

	if (!scan_skip(s, '['))
		return octet(s) == byte;
	fits = range(s, byte);
	while (scan_skip(s, ';')) {
		bool also = range(s, byte);
		fits = fits || also;
	}
	scan_expect(s, "]");
	return fits;
}

/* filter = part "." part "." part "." part */
static bool
filter(struct scan *s, const unsigned char address[4])
{
	bool fits = true;

	for (int i = 0; i < 4; i++) {
		bool here;
		if (i > 0)
			scan_expect(s, ".");
		here = part(s, address[i]);
		fits = fits && here;
	}
	scan_end(s);
	return fits && scan_ok(s);
}

bool
dnsbl_parse(struct bytes word, struct dnsbl *out, const char **wrong)
{
	static const unsigned char any[4];
	ptrdiff_t                  equals = bytes_find(word, '=');

	*out = (struct dnsbl){ word, word, { "", 0 } };
	if (equals >= 0) {
		struct scan s;
		out->domain = bytes_cut(word, 0, (size_t)equals);
		out->filter = bytes_cut(word, (size_t)equals + 1, word.len);
		s = scan_of(out->filter);
		(void)filter(&s, any);
		if (!scan_ok(&s)) {
			*wrong = "the answers that count are written like 127.0.0.[2;4..11]";
			return false;
		}
	}
	if (!hostname_valid(out->domain)) {
		*wrong = "a list is the name of a domain, like zen.spamhaus.org";
		return false;
	}
	return true;
}

bool
dnsbl_refused(struct bytes address)
{
	return address.len == 4 && bytes_starts(address, BYTES("\x7f\xff\xff"));
}

bool
dnsbl_counts(const struct dnsbl *list, struct bytes address)
{
	unsigned char raw[4];
	struct scan   s = scan_of(list->filter);

	if (address.len != sizeof raw)
		return false;
	memcpy(raw, address.at, sizeof raw);
	return list->filter.len == 0 ? !dnsbl_refused(address) : filter(&s, raw);
}

struct bytes
dnsbl_address(struct arena *a, const struct dnsbl *list, const struct peer *peer)
{
	char         reverse[REVERSE_ROOM];
	struct bytes digits;

	if (!hostname_reverse(peer, reverse))
		return (struct bytes){ "", 0 };
	digits = bytes_of(reverse);
	/* without in-addr.arpa or ip6.arpa */
	for (int labels = 0; labels < 2; labels++)
		digits = bytes_cut(digits, 0, (size_t)bytes_find_last(digits, '.'));
	return bytes_of(arena_printf(a, "%.*s.%.*s", (int)digits.len, digits.at,
	                             (int)list->domain.len, list->domain.at));
}

struct bytes
dnsbl_name(struct arena *a, const struct dnsbl *list, struct bytes name)
{
	struct bytes whole;

	if (!hostname_valid(name))
		return (struct bytes){ "", 0 };
	whole = bytes_of(arena_printf(a, "%.*s.%.*s", (int)name.len, name.at, (int)list->domain.len,
	                              list->domain.at));
	return hostname_valid(whole) ? whole : (struct bytes){ "", 0 };
}
