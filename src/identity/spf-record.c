#include "identity/spf-record.h"

#include <string.h>

/* Which words there are, and what may stand behind them. */
enum { NO_DOMAIN, DOMAIN_MAY, DOMAIN_MUST, NETWORK_MUST };
static const struct word {
	const char   *name;
	enum spf_kind kind;
	int           behind;
	bool          is_modifier, has_width;
} words[] = {
	/* clang-format off */
	{ "all",      SPF_ALL,      NO_DOMAIN,    false, false },
	{ "include",  SPF_INCLUDE,  DOMAIN_MUST,  false, false },
	{ "a",        SPF_A,        DOMAIN_MAY,   false, true },
	{ "mx",       SPF_MX,       DOMAIN_MAY,   false, true },
	{ "ptr",      SPF_PTR,      DOMAIN_MAY,   false, false },
	{ "ip4",      SPF_IP4,      NETWORK_MUST, false, true },
	{ "ip6",      SPF_IP6,      NETWORK_MUST, false, true },
	{ "exists",   SPF_EXISTS,   DOMAIN_MUST,  false, false },
	{ "redirect", SPF_REDIRECT, DOMAIN_MUST,  true,  false },
	{ "exp",      SPF_EXP,      DOMAIN_MUST,  true,  false },
	/* clang-format on */
};

bool
spf_is_record(struct bytes text)
{
	return bytes_starts_nocase(text, BYTES("v=spf1")) && (text.len == 6 || text.at[6] == ' ');
}

bool
spf_asks(enum spf_kind kind)
{
	return kind == SPF_INCLUDE || kind == SPF_A || kind == SPF_MX || kind == SPF_PTR ||
	       kind == SPF_EXISTS || kind == SPF_REDIRECT;
}

static bool
is_alpha(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* rfc7208:7.1  %{...}, %%, %_, %-; the letter, digits, r and delimiters within braces. */
static bool
macros_good(struct bytes t, bool *any)
{
	for (size_t i = 0; i < t.len; i++) {
		if (t.at[i] <= ' ' || t.at[i] > '~')
			return false;
		if (t.at[i] != '%')
			continue;
		if (++i == t.len)
			return false;
		if (t.at[i] != '\0' && strchr("%_-", t.at[i]) != NULL)
			continue;
		if (t.at[i] != '{' || ++i == t.len || t.at[i] == '\0' ||
		    strchr("slodiphcrtv", ascii_lower(t.at[i])) == NULL)
			return false;
		*any = true;
		for (i++; i < t.len && is_digit(t.at[i]); i++)
			continue;
		i += i < t.len && ascii_lower(t.at[i]) == 'r';
		while (i < t.len && t.at[i] != '\0' && strchr(".-+,/_=", t.at[i]) != NULL)
			i++;
		if (i >= t.len || t.at[i] != '}')
			return false;
	}
	return true;
}

/* rfc7208:7.1  domain-end: a last label that is not of digits alone, or a macro. */
static bool
domain_good(struct bytes d, bool *has_macros)
{
	struct bytes last;
	bool         other = false;

	if (d.len == 0 || !macros_good(d, has_macros))
		return false;
	if (d.at[d.len - 1] == '}')
		return true;
	if (d.at[d.len - 1] == '.')
		d.len--;
	if (bytes_find_last(d, '.') < 0)
		return false;
	last = bytes_cut(d, (size_t)bytes_find_last(d, '.') + 1, d.len);
	for (size_t i = 0; i < last.len; i++) {
		if (!is_alpha(last.at[i]) && !is_digit(last.at[i]) && last.at[i] != '-')
			return false;
		other = other || !is_digit(last.at[i]);
	}
	return last.len > 0 && other && last.at[0] != '-' && last.at[last.len - 1] != '-';
}

static bool
width(struct bytes text, int most, int *out)
{
	uint64_t n;

	if (!bytes_number(text, &n) || n > (uint64_t)most || (text.len > 1 && text.at[0] == '0'))
		return false;
	*out = (int)n;
	return true;
}

/* rfc7208:5.3  "/24", "//64", "/24//64" at the end: taken off *rest. */
static bool
take_widths(struct bytes *rest, struct spf_term *t)
{
	ptrdiff_t two = bytes_search(*rest, BYTES("//")), one;

	if (two >= 0) {
		if (!width(bytes_cut(*rest, (size_t)two + 2, rest->len), 128, &t->bits6))
			return false;
		*rest = bytes_cut(*rest, 0, (size_t)two);
	}
	/* A slash within a macro is none. */
	one = bytes_find_last(*rest, '/');
	if (one >= 0 && bytes_find(bytes_cut(*rest, (size_t)one, rest->len), '}') < 0) {
		if (!width(bytes_cut(*rest, (size_t)one + 1, rest->len), 32, &t->bits4))
			return false;
		*rest = bytes_cut(*rest, 0, (size_t)one);
	}
	return true;
}

/* rfc7208:5.6  Bits beyond the width do not count, so they are taken away. */
static bool
take_network(struct bytes text, struct spf_term *t)
{
	const char  *wrong;
	ptrdiff_t    slash = bytes_find(text, '/');
	struct bytes address = bytes_cut(text, 0, (size_t)slash);
	bool         v6 = t->kind == SPF_IP6;
	int          bits = v6 ? 128 : 32;

	if (address.len == 0 || address.at[0] == '[' || (bytes_find(address, ':') >= 0) != v6)
		return false;
	if (slash >= 0 && !width(bytes_cut(text, (size_t)slash + 1, text.len), bits, &bits))
		return false;
	if (v6) {
		char boxed[64] = "[";
		if (address.len > sizeof boxed - 3)
			return false;
		memcpy(boxed + 1, address.at, address.len);
		boxed[address.len + 1] = ']';
		if (!network_parse(bytes_of(boxed), &t->network, &wrong))
			return false;
	} else if (!network_parse(address, &t->network, &wrong))
		return false;
	if (v6 && t->network.family == AF_INET)
		bits = bits > 96 ? bits - 96 : 0;
	t->network.bits = bits;
	for (int n = bits; n < (int)sizeof t->network.raw * 8; n++)
		t->network.raw[n / 8] &= (uint8_t) ~(0x80 >> n % 8);
	return true;
}

static const struct word *
word_named(struct bytes name, bool modifier)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].is_modifier == modifier && bytes_is(name, words[i].name))
			return &words[i];
	return NULL;
}

/* rfc7208:6  name=value; the names nobody knows are left alone, if they can be read. */
static const char *
modifier(struct bytes name, struct bytes value, struct spf_term *t)
{
	const struct word *w = word_named(name, true);

	if (name.len == 0 || !is_alpha(name.at[0]))
		return "the name of a modifier begins with a letter";
	for (size_t i = 0; i < name.len; i++)
		if (!is_alpha(name.at[i]) && !is_digit(name.at[i]) &&
		    (name.at[i] == '\0' || strchr("-_.", name.at[i]) == NULL))
			return "the name of a modifier has letters, digits, and - _ . only";
	t->kind = w == NULL ? SPF_UNKNOWN_MODIFIER : w->kind;
	t->domain = value;
	if (w == NULL)
		return macros_good(value, &t->has_macros) ? NULL : "a macro that is none";
	return domain_good(value, &t->has_macros) ? NULL : "no domain stands behind it";
}

static const char *
mechanism(struct bytes text, struct spf_term *t)
{
	size_t             end = 0;
	const struct word *w;
	struct bytes       rest;

	while (end < text.len && text.at[end] != ':' && text.at[end] != '/')
		end++;
	rest = bytes_cut(text, end, text.len);
	if ((w = word_named(bytes_cut(text, 0, end), false)) == NULL)
		return "no such mechanism: all, include, a, mx, ptr, ip4, ip6 and exists are all there are";
	t->kind = w->kind;
	if (w->behind == NETWORK_MUST)
		return bytes_starts(rest, BYTES(":")) &&
		                       take_network(bytes_cut(rest, 1, rest.len), t)
		               ? NULL
		               : "no address or network stands behind it";
	if (w->has_width && !take_widths(&rest, t))
		return "the width of a network goes to 32, behind // to 128";
	if (rest.len == 0)
		return w->behind == DOMAIN_MUST ? "a domain must stand behind it" : NULL;
	if (w->behind == NO_DOMAIN || rest.at[0] != ':')
		return "nothing may stand behind it";
	t->domain = bytes_cut(rest, 1, rest.len);
	return domain_good(t->domain, &t->has_macros) ? NULL : "no domain stands behind it";
}

static const char *
term(struct bytes text, struct spf_term *t)
{
	size_t end = 0;

	*t = (struct spf_term){ .text = text, .qualifier = '+', .bits4 = 32, .bits6 = 128 };
	while (end < text.len && strchr("=:/", text.at[end]) == NULL)
		end++;
	if (end < text.len && text.at[end] == '=') {
		t->qualifier = '\0';
		return modifier(bytes_cut(text, 0, end), bytes_cut(text, end + 1, text.len), t);
	}
	if (text.at[0] != '\0' && strchr("+-~?", text.at[0]) != NULL) {
		t->qualifier = text.at[0];
		text = bytes_cut(text, 1, text.len);
	}
	return mechanism(text, t);
}

bool
spf_parse(struct bytes text, struct spf_term out[static SPF_TERMS_MOST], size_t *count,
          const char **wrong, struct bytes *where)
{
	struct bytes rest = bytes_cut(text, 6, text.len), word;
	bool         seen[SPF_UNKNOWN_MODIFIER + 1] = { false };

	*count = 0;
	*wrong = NULL;
	while (*wrong == NULL && bytes_split(&rest, ' ', &word)) {
		if (word.len == 0)
			continue;
		*where = word;
		if (*count == SPF_TERMS_MOST) {
			*wrong = "too many terms";
			break;
		}
		*wrong = term(word, &out[*count]);
		/* rfc7208:6 */
		if (*wrong == NULL &&
		    (out[*count].kind == SPF_REDIRECT || out[*count].kind == SPF_EXP) &&
		    seen[out[*count].kind])
			*wrong = "it may stand there once";
		if (*wrong == NULL)
			seen[out[(*count)++].kind] = true;
	}
	return *wrong == NULL;
}
