#include "smtp/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "dns/hostname.h"
#include "smtp/reply.h"

enum { VALUE_MOST = 255 };

static const char *const commands[] = { "XCLIENT", "XFORWARD" };
typedef bool             value_fn(struct forwarded *, struct arena *, struct bytes *value);

/*
 * What each value must be
 */

static bool
is_hostname(struct forwarded *f, struct arena *a, struct bytes *value)
{
	(void)f;
	(void)a;
	return hostname_valid(*value);
}

/* "192.0.2.1", "IPV6:2001:db8::1" (rfc5321:4.1.3), and the same without its mark. */
static bool
address_read(struct bytes text, struct peer *out)
{
	struct sockaddr_storage s = { 0 };
	struct sockaddr_in     *v4 = (struct sockaddr_in *)&s;
	struct sockaddr_in6    *v6 = (struct sockaddr_in6 *)&s;
	bool                    marked = bytes_starts_nocase(text, BYTES("IPV6:"));
	char                    plain[INET6_ADDRSTRLEN];

	if (!bytes_string(marked ? bytes_cut(text, 5, text.len) : text, plain, sizeof plain))
		return false;
	s.ss_family = AF_INET;
	if (!marked && inet_pton(AF_INET, plain, &v4->sin_addr) == 1)
		return peer_from(&s, out);
	s.ss_family = AF_INET6;
	return inet_pton(AF_INET6, plain, &v6->sin6_addr) == 1 && peer_from(&s, out);
}

static bool
is_client_address(struct forwarded *f, struct arena *a, struct bytes *value)
{
	uint16_t port = f->peer.port;

	if (!address_read(*value, &f->peer))
		return false;
	f->peer.port = port;
	*value = arena_keep(a, bytes_of(f->peer.text));
	return true;
}

static bool
is_our_address(struct forwarded *f, struct arena *a, struct bytes *value)
{
	uint16_t port = f->here.port;

	(void)a;
	if (!address_read(*value, &f->here))
		return false;
	f->here.port = port;
	return true;
}

static bool
is_port(struct forwarded *f, struct arena *a, struct bytes *value)
{
	uint64_t n;

	(void)f;
	(void)a;
	return value->len <= 5 && bytes_number(*value, &n) && n <= 65535;
}

static bool
is_client_port(struct forwarded *f, struct arena *a, struct bytes *value)
{
	uint64_t n = 0;

	if (!is_port(f, a, value) || !bytes_number(*value, &n))
		return false;
	f->peer.port = (uint16_t)n;
	return true;
}

static bool
is_our_port(struct forwarded *f, struct arena *a, struct bytes *value)
{
	uint64_t n = 0;

	if (!is_port(f, a, value) || !bytes_number(*value, &n))
		return false;
	f->here.port = (uint16_t)n;
	return true;
}

static bool
is_protocol(struct forwarded *f, struct arena *a, struct bytes *value)
{
	(void)f;
	(void)a;
	return bytes_is(*value, "SMTP") || bytes_is(*value, "ESMTP");
}

static bool
is_source(struct forwarded *f, struct arena *a, struct bytes *value)
{
	(void)f;
	(void)a;
	return bytes_is(*value, "LOCAL") || bytes_is(*value, "REMOTE");
}

/* It will stand in log lines and Received fields. */
static bool
is_word(struct forwarded *f, struct arena *a, struct bytes *value)
{
	(void)f;
	(void)a;
	for (size_t i = 0; i < value->len; i++)
		if (value->at[i] <= ' ' || value->at[i] == 127)
			return false;
	return value->len > 0;
}

/* clang-format off */
enum { IN_XCLIENT = 1 << FORWARDED_XCLIENT, IN_XFORWARD = 1 << FORWARDED_XFORWARD };
static const struct attribute {
	const char *name;
	unsigned    in;
	value_fn   *good, *good_forward;     /* XFORWARD's where that asks for less */
} attributes[FORWARDED_ATTRIBUTES] = {
	[FORWARDED_NAME]         = { "NAME",         IN_XCLIENT | IN_XFORWARD, is_hostname, is_hostname },
	[FORWARDED_ADDR]         = { "ADDR",         IN_XCLIENT | IN_XFORWARD, is_client_address, is_client_address },
	[FORWARDED_PORT]         = { "PORT",         IN_XCLIENT | IN_XFORWARD, is_client_port, is_client_port },
	[FORWARDED_PROTO]        = { "PROTO",        IN_XCLIENT | IN_XFORWARD, is_protocol, is_word },
	[FORWARDED_HELO]         = { "HELO",         IN_XCLIENT | IN_XFORWARD, is_word, is_word },
	[FORWARDED_REVERSE_NAME] = { "REVERSE_NAME", IN_XCLIENT, is_hostname, NULL },
	[FORWARDED_LOGIN]        = { "LOGIN",        IN_XCLIENT, is_word, NULL },
	[FORWARDED_DESTADDR]     = { "DESTADDR",     IN_XCLIENT, is_our_address, NULL },
	[FORWARDED_DESTPORT]     = { "DESTPORT",     IN_XCLIENT, is_our_port, NULL },
	[FORWARDED_IDENT]        = { "IDENT",        IN_XFORWARD, NULL, is_word },
	[FORWARDED_SOURCE]       = { "SOURCE",       IN_XFORWARD, NULL, is_source },
};
/* clang-format on */

/*
 * Pairs
 */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext = *( xchar / "+" 2HEXDIG ), rfc3461:4 */
static bool
xtext_read(struct bytes in, struct arena *a, struct bytes *out)
{
	char  *to = arena_take(a, in.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		int high, low;

		if (in.at[i] < '!' || in.at[i] > '~' || in.at[i] == '=')
			return false;
		if (in.at[i] != '+') {
			to[n++] = in.at[i];
			continue;
		}
		if (in.len - i < 3 || (high = hex_digit(in.at[i + 1])) < 0 ||
		    (low = hex_digit(in.at[i + 2])) < 0)
			return false;
		to[n++] = (char)(high * 16 + low);
		i += 2;
	}
	*out = (struct bytes){ to, n };
	return true;
}

static const char *
complain(struct arena *a, const char *word, const char *what, struct bytes text)
{
	struct buffer shown = { 0 };
	const char   *said;

	reply_text(&shown, bytes_cut(text, 0, 100));
	said = arena_printf(a, "501 5.5.4 Bad %s %s: %.*s", word, what, (int)shown.len,
	                    shown.len > 0 ? shown.at : "");
	buffer_free(&shown);
	return said;
}

static size_t
find(struct bytes name, enum forwarded_command c)
{
	size_t i = 0;

	while (i < FORWARDED_ATTRIBUTES &&
	       !(attributes[i].in >> c & 1 && bytes_is(name, attributes[i].name)))
		i++;
	return i;
}

static const char *
take_value(struct forwarded *f, enum forwarded_command c, size_t i, struct bytes raw,
           struct arena *a)
{
	value_fn *good = c == FORWARDED_XCLIENT ? attributes[i].good : attributes[i].good_forward;
	unsigned  bit = 1u << i;

	f->said |= bit;
	f->none &= ~bit;
	f->later &= ~bit;
	if (bytes_is(raw, "[UNAVAILABLE]") || bytes_is(raw, "[TEMPUNAVAIL]")) {
		f->none |= bit;
		f->later |= bytes_is(raw, "[TEMPUNAVAIL]") ? bit : 0;
		f->value[i] = BYTES("");
		return NULL;
	}
	if (!xtext_read(raw, a, &f->value[i]))
		return complain(a, attributes[i].name, "value syntax", raw);
	if (!good(f, a, &f->value[i]))
		return complain(a, attributes[i].name, "syntax", raw);
	return NULL;
}

static const char *
take_pair(struct forwarded *f, enum forwarded_command c, struct bytes pair, struct arena *a)
{
	ptrdiff_t    equals = bytes_find(pair, '=');
	struct bytes raw;
	size_t       i;

	if (equals < 0)
		return "501 5.5.4 Error: attribute=value expected";
	raw = bytes_cut(pair, (size_t)equals + 1, pair.len);
	if (raw.len > VALUE_MOST)
		return "501 5.5.4 Error: attribute value too long";
	i = find(bytes_cut(pair, 0, (size_t)equals), c);
	if (i == FORWARDED_ATTRIBUTES)
		return complain(a, commands[c], "attribute name",
		                bytes_cut(pair, 0, (size_t)equals));
	return take_value(f, c, i, raw, a);
}

bool
forwarded_parse(struct bytes rest, enum forwarded_command c, struct arena *a, struct forwarded *f,
                const char **reply)
{
	struct bytes pair;

	memset(f, 0, sizeof *f);
	*reply = NULL;
	while (bytes_split(&rest, ' ', &pair))
		if (pair.len > 0 && (*reply = take_pair(f, c, pair, a)) != NULL)
			return false;
	if (f->said == 0) {
		*reply = arena_printf(a, "501 5.5.4 Syntax: %s attribute=value...", commands[c]);
		return false;
	}
	return true;
}
