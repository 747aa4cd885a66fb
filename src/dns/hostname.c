#include "dns/hostname.h"

#include <stdio.h>
#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
label_valid(struct bytes label)
{
	if (label.len == 0 || label.len > LABEL_MOST || label.at[0] == '-' ||
	    label.at[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = ascii_lower(label.at[i]);
		if (!is_digit(c) && (c < 'a' || c > 'z') && c != '-' && c != '_')
			return false;
	}
	return true;
}

bool
hostname_valid(struct bytes name)
{
	struct bytes rest = name, label;
	bool         digits = false;

	if (name.len == 0 || name.len > HOSTNAME_MOST || name.at[name.len - 1] == '.')
		return false;
	while (bytes_split(&rest, '.', &label)) {
		if (!label_valid(label))
			return false;
		digits = true;
		for (size_t i = 0; i < label.len; i++)
			digits = digits && is_digit(label.at[i]);
	}
	return !digits;
}

bool
hostname_reverse(const struct peer *peer, char out[static REVERSE_ROOM])
{
	const uint8_t *a = peer->raw;
	size_t         n = 0;

	if (peer->family == AF_INET) {
		(void)snprintf(out, REVERSE_ROOM, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1],
		               a[0]);
		return true;
	}
	if (peer->family != AF_INET6)
		return false;
	for (int i = 15; i >= 0; i--)
		n += (size_t)snprintf(out + n, REVERSE_ROOM - n, "%x.%x.", a[i] & 15, a[i] >> 4);
	(void)snprintf(out + n, REVERSE_ROOM - n, "ip6.arpa");
	return true;
}

static void
add_label(struct bytes label, struct buffer *out)
{
	for (size_t i = 0; i < label.len; i++) {
		unsigned char c = (unsigned char)label.at[i];
		if (c <= ' ' || c >= 127 || c == '.' || c == '\\')
			buffer_printf(out, "\\%03u", c);
		else
			buffer_add_char(out, (char)c);
	}
}

bool
hostname_text(struct bytes wire, struct buffer *out)
{
	bool first = true;

	if (wire.len > HOSTNAME_MOST)
		return false;
	while (wire.len > 0) {
		size_t n = (unsigned char)wire.at[0];
		if (n == 0) {
			if (first)
				buffer_add_char(out, '.');
			return wire.len == 1;
		}
		if (n > LABEL_MOST || n >= wire.len)
			return false;
		if (!first)
			buffer_add_char(out, '.');
		first = false;
		add_label((struct bytes){ wire.at + 1, n }, out);
		wire = bytes_cut(wire, n + 1, wire.len);
	}
	return false;
}
