#include "guide/webwish.h"

#include "base/buffer.h"
#include "message/domain.h"

/* Every path there is; that of Outlook is written as anybody likes. */
static const struct place {
	const char       *path;
	bool              whole, nocase;
	unsigned          methods; /* enum webrequest_method             */
	const char       *allow;
	enum webwish_kind kind;
} places[] = {
	/* clang-format off */
	{ "/mail/config-v1.1.xml",                         true,  false, WEB_GET | WEB_HEAD, "GET, HEAD", WEBWISH_MOZILLA   },
	{ "/.well-known/autoconfig/mail/config-v1.1.xml",  true,  false, WEB_GET | WEB_HEAD, "GET, HEAD", WEBWISH_MOZILLA   },
	{ "/autodiscover/autodiscover.xml",                true,  true,  WEB_POST,           "POST",      WEBWISH_OUTLOOK   },
	{ "/.well-known/acme-challenge/",                  false, false, WEB_GET,            "GET",       WEBWISH_CHALLENGE },
	/* clang-format on */
};

static bool
is_at(const struct place *p, struct bytes path)
{
	struct bytes here = bytes_of(p->path);

	if (!p->whole)
		return bytes_starts(path, here);
	return p->nocase ? bytes_equal_nocase(path, here) : bytes_equal(path, here);
}

static int
hex_of(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* rfc3986:2.1  False: what follows a % is no byte. */
static bool
undo_percent(struct bytes text, struct buffer *out)
{
	for (size_t i = 0; i < text.len; i++) {
		int high, low;

		if (text.at[i] != '%') {
			buffer_add_char(out, text.at[i]);
			continue;
		}
		if (i + 2 >= text.len || (high = hex_of(text.at[i + 1])) < 0 ||
		    (low = hex_of(text.at[i + 2])) < 0)
			return false;
		buffer_add_char(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

/* The five that any XML has (W3C REC-xml 4.6). */
static void
undo_entities(struct bytes text, struct buffer *out)
{
	static const struct {
		const char *name;
		char        is;
	} rows[] = { { "&amp;", '&' },
		     { "&lt;", '<' },
		     { "&gt;", '>' },
		     { "&quot;", '"' },
		     { "&apos;", '\'' } };

	while (text.len > 0) {
		size_t n = 1;
		char   c = text.at[0];

		for (size_t i = 0; i < COUNT(rows); i++)
			if (bytes_starts(text, bytes_of(rows[i].name))) {
				n = bytes_of(rows[i].name).len;
				c = rows[i].is;
				break;
			}
		buffer_add_char(out, c);
		text = bytes_cut(text, n, text.len);
	}
}

/* It is said again in an answer: text, of one line. */
static bool
is_text(struct bytes text)
{
	uint32_t rune;

	while (text.len > 0) {
		size_t n = bytes_utf8(text, &rune);

		if (n == 0 || rune < ' ' || rune == 0x7f || rune == 0xfffe || rune == 0xffff)
			return false;
		text = bytes_cut(text, n, text.len);
	}
	return true;
}

/* Letters, digits, hyphens, underscores and dots, after all is lower case and in A-labels. */
static bool
take_domain(struct bytes name, struct arena *a, struct bytes *out)
{
	struct bytes plain;

	while (name.len > 0 && name.at[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > 255 || name.at[0] == '[' || name.at[0] == '.' ||
	    !is_text(name) || !domain_canonical(name, a, &plain))
		return false;
	for (size_t i = 0; i < plain.len; i++) {
		char c = plain.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		      (c == '.' && i + 1 < plain.len && plain.at[i + 1] != '.')))
			return false;
	}
	*out = plain;
	return true;
}

static bool
take_address(struct bytes address, struct arena *a, struct webwish *e)
{
	ptrdiff_t at = bytes_find_last(address, '@');

	if (address.len > WEBWISH_ADDRESS_MOST || at < 0 || !is_text(address) ||
	    !take_domain(bytes_cut(address, (size_t)at + 1, address.len), a, &e->domain))
		return false;
	e->address = arena_keep(a, address);
	return true;
}

static bool
take_host(struct bytes host, struct arena *a, struct webwish *e)
{
	static const char *const before[] = { "autoconfig.", "autodiscover." };

	for (size_t i = 0; i < COUNT(before); i++)
		if (bytes_starts_nocase(host, bytes_of(before[i]))) {
			host = bytes_cut(host, bytes_of(before[i]).len, host.len);
			break;
		}
	return take_domain(host, a, &e->domain);
}

/* ?emailaddress=jill%40example.org; some write what it stands for, as %EMAILADDRESS%: that says nothing. */
static void
mozilla_domain(const struct webrequest *r, struct arena *a, struct webwish *e)
{
	struct bytes  rest = r->query, pair, name = BYTES("emailaddress=");
	struct buffer address = { 0 };

	while (bytes_split(&rest, '&', &pair))
		if (bytes_starts(pair, name)) {
			if (!undo_percent(bytes_cut(pair, name.len, pair.len), &address))
				buffer_reset(&address);
			break;
		}
	if (bytes_find(buffer_bytes(&address), '@') >= 0
	            ? !take_address(buffer_bytes(&address), a, e)
	            : !take_host(r->host, a, e))
		e->status = 404;
	buffer_free(&address);
}

static bool
between(struct bytes text, struct bytes begin, struct bytes end, struct bytes *out)
{
	ptrdiff_t from = bytes_search(text, begin), to;

	if (from < 0)
		return false;
	text = bytes_cut(text, (size_t)from + begin.len, text.len);
	if ((to = bytes_search(text, end)) < 0)
		return false;
	*out = bytes_trim(bytes_cut(text, 0, (size_t)to));
	return true;
}

/* Who wants settings of ActiveSync alone gets none: there is none here. */
static void
outlook_domain(const struct webrequest *r, struct arena *a, struct webwish *e)
{
	struct bytes  address, schema;
	struct buffer text = { 0 };

	if (!between(r->body, BYTES("<EMailAddress>"), BYTES("</EMailAddress>"), &address)) {
		e->status = 400;
		return;
	}
	undo_entities(address, &text);
	if (!take_address(buffer_bytes(&text), a, e) ||
	    (between(r->body, BYTES("<AcceptableResponseSchema>"),
	             BYTES("</AcceptableResponseSchema>"), &schema) &&
	     bytes_search_nocase(schema, BYTES("/outlook/responseschema/")) < 0))
		e->status = 404;
	buffer_free(&text);
}

void
webwish_of(const struct webrequest *r, struct arena *a, struct webwish *out)
{
	*out = (struct webwish){ .kind = WEBWISH_NOTHING, .status = 404, .allow = "" };
	for (size_t i = 0; i < COUNT(places); i++) {
		if (!is_at(&places[i], r->path))
			continue;
		out->kind = places[i].kind;
		out->allow = places[i].allow;
		out->status = (places[i].methods & (unsigned)r->method) != 0 ? 0 : 405;
	}
	if (out->status == 0 && out->kind == WEBWISH_MOZILLA)
		mozilla_domain(r, a, out);
	else if (out->status == 0 && out->kind == WEBWISH_OUTLOOK)
		outlook_domain(r, a, out);
}
