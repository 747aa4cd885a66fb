#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buffer *out, struct bytes b)
{
	const unsigned char *at = (const unsigned char *)b.at;
	size_t               len = (b.len + 2) / 3 * 4;
	char                *to = buffer_room(out, len);

	for (size_t left = b.len; left > 0; to += 4) {
		uint32_t three = (uint32_t)at[0] << 16 | (left > 1 ? (uint32_t)at[1] << 8 : 0) |
		                 (left > 2 ? at[2] : 0);
		to[0] = digits[three >> 18];
		to[1] = digits[three >> 12 & 63];
		to[2] = left > 1 ? digits[three >> 6 & 63] : '=';
		to[3] = left > 2 ? digits[three & 63] : '=';
		if (left <= 3)
			break;
		at += 3;
		left -= 3;
	}
	buffer_took(out, len);
}

/* What a digit is worth, or -1. */
static int
worth(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
base64_decode(struct buffer *out, struct bytes b)
{
	size_t   pads = 0, len;
	char    *to;
	uint32_t four = 0;

	if (b.len % 4 != 0)
		return false;
	while (pads < 2 && pads < b.len && b.at[b.len - 1 - pads] == '=')
		pads++;
	len = b.len / 4 * 3 - pads;
	to = buffer_room(out, b.len / 4 * 3);
	for (size_t i = 0; i < b.len; i++) {
		int w = i < b.len - pads ? worth(b.at[i]) : 0;
		if (w < 0)
			return false;
		four = four << 6 | (uint32_t)w;
		if (i % 4 != 3)
			continue;
		*to++ = (char)(four >> 16 & 0xff);
		*to++ = (char)(four >> 8 & 0xff);
		*to++ = (char)(four & 0xff);
	}
	if (pads > 0 && (four & (pads == 1 ? 0xffu : 0xffffu)) != 0)
		return false; /* bits left over: rfc4648:3.5 */
	buffer_took(out, len);
	return true;
}
