#include "base/base32.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void
base32_encode(struct buffer *out, struct bytes in)
{
	uint32_t held = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < in.len; i++) {
		held = (held << 8 | (unsigned char)in.at[i]) & 0xffff;
		for (bits += 8; bits >= 5; bits -= 5)
			buffer_add_char(out, letters[held >> (bits - 5) & 31]);
	}
	if (bits > 0)
		buffer_add_char(out, letters[held << (5 - bits) & 31]);
}

/* -1: none of the letters. */
static int
value_of(char c)
{
	c = ascii_upper(c);
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

bool
base32_decode(struct buffer *out, struct bytes in)
{
	size_t   before = out->len;
	uint32_t held = 0;
	unsigned bits = 0;

	while (in.len > 0 && in.at[in.len - 1] == '=')
		in.len--;
	for (size_t i = 0; i < in.len; i++) {
		int v = value_of(in.at[i]);
		if (in.at[i] == ' ' || in.at[i] == '-')
			continue;
		if (v < 0) {
			out->len = before;
			return false;
		}
		held = (held << 5 | (uint32_t)v) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			buffer_add_char(out, (char)(held >> bits & 0xff));
		}
	}
	if (bits < 5 && (held & ((1u << bits) - 1)) == 0)
		return true;
	out->len = before;
	return false;
}
