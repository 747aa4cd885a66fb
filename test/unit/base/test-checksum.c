#include "unit.h"

#include <string.h>

#include "base/checksum.h"

static const unsigned char read_command[48] = {
	0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
	0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static void
fill(char *at, int first, int step)
{
	for (int i = 0; i < 32; i++)
		at[i] = (char)(first + i * step);
}

static void
test_vectors(void **state)
{
	char         at[32];
	struct bytes b = { at, sizeof at };

	(void)state;
	fill(at, 0, 0);
	HOLDS("rfc3720:B.4 zeros", checksum_of(b) == 0x8a9136aa);
	fill(at, 0xff, 0);
	HOLDS("rfc3720:B.4 ones", checksum_of(b) == 0x62a8ab43);
	fill(at, 0, 1);
	HOLDS("rfc3720:B.4 rising", checksum_of(b) == 0x46dd794e);
	fill(at, 31, -1);
	HOLDS("rfc3720:B.4 falling", checksum_of(b) == 0x113fdb5c);
	HOLDS("rfc3720:B.4 a read command",
	      checksum_of((struct bytes){ (const char *)read_command, sizeof read_command }) ==
	              0xd9963a56);
	HOLDS("the usual check value", checksum_of(BYTES("123456789")) == 0xe3069283);
	HOLDS("nothing", checksum_of((struct bytes){ NULL, 0 }) == 0);
}

static void
test_pieces_and_both_ways_agree(void **state)
{
	char     at[5000]; /* goes in pieces side by side, and what is left */
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof at; i++)
		at[i] = (char)(i * 37 + i / 256);
	whole = checksum_of((struct bytes){ at, sizeof at });
	for (size_t n = 0; n <= sizeof at; n += n < 300 ? 1 : 47) {
		struct bytes first = { at, n }, second = { at + n, sizeof at - n };
		HOLDS("two pieces", checksum_more(checksum_of(first), second) == whole);
		HOLDS("without SSE4.2", checksum_plain(0, first) == checksum_of(first));
		HOLDS("mixed", checksum_plain(checksum_of(first), second) == whole);
	}
}

UNIT(test_vectors, test_pieces_and_both_ways_agree)
