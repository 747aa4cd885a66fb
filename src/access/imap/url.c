#include "access/imap/url.h"

/* pct-encoded = "%" HEXDIG HEXDIG   rfc3986:2.1 */
static int
hex_of(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct bytes
decode(struct scan *r, struct bytes coded, struct arena *arena)
{
	char  *out = arena_take(arena, coded.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < coded.len; i++) {
		int high, low;
		if (coded.at[i] != '%') {
			out[n++] = coded.at[i];
			continue;
		}
		high = i + 2 < coded.len ? hex_of(coded.at[i + 1]) : -1;
		low = i + 2 < coded.len ? hex_of(coded.at[i + 2]) : -1;
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			scan_fail(r, "two hexadecimal digits behind %");
			break;
		}
		out[n++] = (char)(high << 4 | low);
		i += 2;
	}
	return (struct bytes){ out, n };
}

/* iserver = [iuserinfo "@"] host [":" port]; iuserinfo = enc-user [";AUTH=" type] */
static void
read_server(struct scan *r, struct arena *arena, struct imap_url *out)
{
	struct bytes all = scan_until(r, '/');
	ptrdiff_t    at = bytes_find_last(all, '@');
	struct bytes user = bytes_cut(all, 0, at < 0 ? 0 : (size_t)at);
	ptrdiff_t    end = bytes_find(user, ';');

	out->server = bytes_cut(all, (size_t)(at + 1), all.len);
	out->user = decode(r, bytes_cut(user, 0, end < 0 ? user.len : (size_t)end), arena);
	if (out->server.len == 0)
		scan_fail(r, "a host");
}

/* A value ends where the next ";" begins, whose "/" before it is not the value's. */
static struct bytes
read_value(struct scan *r)
{
	struct bytes value = scan_until(r, ';');

	if (r->rest.len > 0 && value.len > 0 && value.at[value.len - 1] == '/')
		value.len--;
	return value;
}

static uint32_t
number_of(struct scan *r, struct bytes value)
{
	uint64_t n = 0;

	if (!bytes_number(value, &n) || n == 0 || n > UINT32_MAX)
		scan_fail(r, "a number above 0");
	return (uint32_t)n;
}

/* ipartial = ";PARTIAL=" number ["." nz-number] */
static void
take_partial(struct scan *r, struct bytes value, struct imap_url *out)
{
	struct scan v = scan_of(value);

	out->partial = true;
	out->from = scan_number(&v, INT64_MAX);
	if (scan_skip(&v, '.'))
		out->most = scan_number(&v, INT64_MAX);
	scan_end(&v);
	if (!scan_ok(&v))
		scan_fail(r, "a range of bytes");
}

/* iurlauth = ";URLAUTH=" access ":" mechanism ":" token; while one is made, up to access alone. */
static void
take_urlauth(struct scan *r, struct bytes text, struct bytes value, struct arena *arena,
             struct imap_url *out)
{
	struct bytes rest = value;

	if (!bytes_split(&rest, ':', &out->access) || out->access.len == 0)
		scan_fail(r, "an access identifier");
	out->rump = bytes_cut(text, 0, (size_t)(value.at - text.at) + out->access.len);
	out->access = decode(r, out->access, arena);
	if (rest.len > 0 && bytes_split(&rest, ':', &out->mechanism))
		out->token = rest;
	/* What stood behind it would not be signed (rfc4467:3). */
	if (r->rest.len > 0)
		scan_fail(r, "URLAUTH at the end");
}

bool
url_read(struct bytes text, struct arena *arena, struct imap_url *out)
{
	struct scan  r = scan_of(text);
	struct bytes value;

	*out = (struct imap_url){ 0 };
	if (text.len > URL_MOST)
		return false;
	if (scan_skip_word(&r, "imap://"))
		read_server(&r, arena, out);
	if (scan_skip(&r, '/') && !scan_next_is(&r, ';'))
		out->mailbox = decode(&r, read_value(&r), arena);
	while (scan_ok(&r) && scan_skip(&r, ';')) {
		struct bytes key = scan_until(&r, '=');
		scan_expect(&r, "=");
		value = read_value(&r);
		if (!scan_ok(&r))
			break;
		if (bytes_is(key, "UIDVALIDITY"))
			out->uidvalidity = number_of(&r, value);
		else if (bytes_is(key, "UID"))
			out->uid = number_of(&r, value);
		else if (bytes_is(key, "SECTION"))
			out->section = decode(&r, value, arena);
		else if (bytes_is(key, "PARTIAL"))
			take_partial(&r, value, out);
		else if (bytes_is(key, "EXPIRE"))
			out->expire = value;
		else if (bytes_is(key, "URLAUTH"))
			take_urlauth(&r, text, value, arena, out);
		else
			scan_fail(&r, "a part of an IMAP URL");
	}
	scan_end(&r);
	return scan_ok(&r);
}
