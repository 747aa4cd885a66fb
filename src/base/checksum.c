#include "base/checksum.h"

#include <string.h>
#include <threads.h>

/* The Castagnoli polynomial, its bits in the order they are sent. */
#define POLYNOMIAL 0x82f63b78u

/* slice[n][byte]: what `byte` does to the sum when n bytes follow it. */
static uint32_t  slice[8][256];
static once_flag slice_once = ONCE_FLAG_INIT;

static void
fill_slices(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t sum = byte;
		for (int bit = 0; bit < 8; bit++)
			sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
		slice[0][byte] = sum;
	}
	for (uint32_t byte = 0; byte < 256; byte++)
		for (int n = 1; n < 8; n++)
			slice[n][byte] =
				slice[n - 1][byte] >> 8 ^ slice[0][slice[n - 1][byte] & 0xff];
}

static uint32_t
plain(uint32_t sum, const unsigned char *at, size_t len)
{
	call_once(&slice_once, fill_slices);
	for (; len >= 8; at += 8, len -= 8)
		sum = slice[7][at[0] ^ (sum & 0xff)] ^ slice[6][at[1] ^ (sum >> 8 & 0xff)] ^
		      slice[5][at[2] ^ (sum >> 16 & 0xff)] ^ slice[4][at[3] ^ sum >> 24] ^
		      slice[3][at[4]] ^ slice[2][at[5]] ^ slice[1][at[6]] ^ slice[0][at[7]];
	for (; len > 0; at++, len--)
		sum = sum >> 8 ^ slice[0][(sum ^ *at) & 0xff];
	return sum;
}

#ifdef __x86_64__
#include <nmmintrin.h>

/* The instruction begins each cycle and ends three later: three pieces side by side keep it busy. */
enum { SIDE = 512 };

/* skip[n][byte]: what SIDE zeros make of `byte` at place n of a sum.  A sum is linear in its bits, so 32 of them say all. */
static uint32_t  skip[4][256];
static once_flag skip_once = ONCE_FLAG_INIT;

static void
fill_skips(void)
{
	static const unsigned char zeros[SIDE];

	for (int n = 0; n < 4; n++) {
		for (unsigned bit = 0; bit < 8; bit++)
			skip[n][1u << bit] = plain(1u << (8 * n + (int)bit), zeros, SIDE);
		for (unsigned byte = 1; byte < 256; byte++)
			skip[n][byte] = skip[n][byte & (byte - 1)] ^ skip[n][byte & -byte];
	}
}

static uint32_t
skipped(uint32_t sum)
{
	return skip[0][sum & 0xff] ^ skip[1][sum >> 8 & 0xff] ^ skip[2][sum >> 16 & 0xff] ^
	       skip[3][sum >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t
three_sides(uint32_t sum, const unsigned char *at)
{
	uint64_t a = sum, b = 0, c = 0, word[3];

	for (size_t i = 0; i < SIDE; i += 8) {
		memcpy(&word[0], at + i, 8);
		memcpy(&word[1], at + SIDE + i, 8);
		memcpy(&word[2], at + 2 * SIDE + i, 8);
		a = _mm_crc32_u64(a, word[0]);
		b = _mm_crc32_u64(b, word[1]);
		c = _mm_crc32_u64(c, word[2]);
	}
	return skipped(skipped((uint32_t)a) ^ (uint32_t)b) ^ (uint32_t)c;
}

__attribute__((target("sse4.2"))) static uint32_t
with_sse42(uint32_t sum, const unsigned char *at, size_t len)
{
	uint64_t wide, word;

	if (len >= 3 * (size_t)SIDE)
		call_once(&skip_once, fill_skips);
	for (; len >= 3 * (size_t)SIDE; at += 3 * SIDE, len -= 3 * (size_t)SIDE)
		sum = three_sides(sum, at);
	wide = sum;
	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, sizeof word);
		wide = _mm_crc32_u64(wide, word);
	}
	sum = (uint32_t)wide;
	for (; len > 0; at++, len--)
		sum = _mm_crc32_u8(sum, *at);
	return sum;
}

static uint32_t
best(uint32_t sum, const unsigned char *at, size_t len)
{
	return __builtin_cpu_supports("sse4.2") ? with_sse42(sum, at, len) : plain(sum, at, len);
}
#else
#define best plain
#endif

uint32_t
checksum_more(uint32_t before, struct bytes b)
{
	return ~best(~before, (const unsigned char *)b.at, b.len);
}

uint32_t
checksum_plain(uint32_t before, struct bytes b)
{
	return ~plain(~before, (const unsigned char *)b.at, b.len);
}

uint32_t
checksum_of(struct bytes b)
{
	return checksum_more(0, b);
}
