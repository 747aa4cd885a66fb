/* sasl/ntlm-key.c -- MD4 and NTLMv2's keys (ntlm.h) */
#include "sasl/mac.h"
#include "sasl/ntlm.h"
#include <string.h>

/* ---- MD4 (rfc1320:3) ---- */

static uint32_t
turned(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static uint32_t
mixed(int round, uint32_t b, uint32_t c, uint32_t d)
{
	switch (round) {
	case 0: return (b & c) | (~b & d);
	case 1: return (b & c) | (b & d) | (c & d);
	default: return b ^ c ^ d;
	}
}

/* One block of 64 bytes. */
static void
md4_block(uint32_t state[4], const unsigned char *at)
{
	static const struct {
		uint32_t      more;
		unsigned char order[16], shift[4];
	} rounds[3] = {
		{ 0, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, { 3, 7, 11, 19 } },
		{ 0x5a827999,
		  { 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 },
		  { 3, 5, 9, 13 } },
		{ 0x6ed9eba1,
		  { 0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15 },
		  { 3, 9, 11, 15 } },
	};
	uint32_t x[16], a = state[0], b = state[1], c = state[2], d = state[3];

	for (int i = 0; i < 16; i++)
		x[i] = (uint32_t)at[4 * i] | (uint32_t)at[4 * i + 1] << 8 |
		       (uint32_t)at[4 * i + 2] << 16 | (uint32_t)at[4 * i + 3] << 24;
	for (int r = 0; r < 3; r++)
		for (int i = 0; i < 16; i++) {
			uint32_t sum =
				a + mixed(r, b, c, d) + x[rounds[r].order[i]] + rounds[r].more;

			a = d, d = c, c = b;
			b = turned(sum, rounds[r].shift[i % 4]);
		}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

void
md4(struct bytes text, unsigned char out[static 16])
{
	uint32_t      state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	unsigned char last[128] = { 0 };
	size_t        whole = text.len / 64 * 64, left = text.len - whole;
	size_t        end = left < 56 ? 64 : 128;
	uint64_t      bits = (uint64_t)text.len * 8;

	for (size_t i = 0; i < whole; i += 64)
		md4_block(state, (const unsigned char *)text.at + i);
	if (left > 0)
		memcpy(last, text.at + whole, left);
	last[left] = 0x80;
	for (unsigned i = 0; i < 8; i++)
		last[end - 8 + i] = (unsigned char)(bits >> (8 * i));
	for (size_t i = 0; i < end; i += 64)
		md4_block(state, last + i);
	for (unsigned i = 0; i < 16; i++)
		out[i] = (unsigned char)(state[i / 4] >> (8 * (i % 4)));
	explicit_bzero(last, sizeof last);
}

/* ---- keys ---- */

bool
ntlm_utf16(struct bytes text, bool capitals, struct arena *a, struct bytes *out)
{
	char    *at = arena_take(a, 4 * text.len + 2);
	size_t   n = 0, took;
	uint32_t rune;

	while (text.len > 0) {
		if ((took = bytes_utf8(text, &rune)) == 0)
			return false;
		text = bytes_cut(text, took, SIZE_MAX);
		if (capitals && rune < 0x80)
			rune = (uint32_t)ascii_upper((char)rune);
		if (rune >= 0x10000) {
			uint32_t high = 0xd800 + ((rune - 0x10000) >> 10);
			at[n++] = (char)(high & 255), at[n++] = (char)(high >> 8);
			rune = 0xdc00 + ((rune - 0x10000) & 0x3ff);
		}
		at[n++] = (char)(rune & 255), at[n++] = (char)(rune >> 8);
	}
	*out = (struct bytes){ at, n };
	return true;
}

static struct bytes
joined(struct arena *a, struct bytes one, struct bytes two)
{
	char *at = arena_take(a, one.len + two.len + 1);

	if (one.len > 0)
		memcpy(at, one.at, one.len);
	if (two.len > 0)
		memcpy(at + one.len, two.at, two.len);
	return (struct bytes){ at, one.len + two.len };
}

bool
ntlm_key(struct bytes password, struct bytes user, struct bytes domain, struct arena *a,
         unsigned char out[static 16])
{
	unsigned char hash[16], made[MAC_MOST];
	struct bytes  secret, name, home;

	if (!ntlm_utf16(password, false, a, &secret) || !ntlm_utf16(user, true, a, &name) ||
	    !ntlm_utf16(domain, false, a, &home))
		return false;
	md4(secret, hash);
	explicit_bzero((char *)(uintptr_t)secret.at, secret.len);
	(void)mac_make("MD5", (struct bytes){ (const char *)hash, sizeof hash },
	               joined(a, name, home), made);
	memcpy(out, made, 16);
	explicit_bzero(hash, sizeof hash);
	return true;
}

void
ntlm_proof(const unsigned char key[static 16], const unsigned char challenge[static 8],
           struct bytes blob, struct arena *a, unsigned char out[static 16])
{
	unsigned char made[MAC_MOST];

	(void)mac_make("MD5", (struct bytes){ (const char *)key, 16 },
	               joined(a, (struct bytes){ (const char *)challenge, 8 }, blob), made);
	memcpy(out, made, 16);
}
