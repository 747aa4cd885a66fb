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

__attribute__((target("sse4.2"))) static uint32_t
with_sse42(uint32_t sum, const unsigned char *at, size_t len)
{
	uint64_t wide = sum;

	for (; len >= 8; at += 8, len -= 8) {
		uint64_t word;
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
