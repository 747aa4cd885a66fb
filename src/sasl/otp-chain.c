/* sasl/otp-chain.c -- the arithmetic of one-time passwords (otp.h) */
#include "sasl/mac.h"
#include "sasl/otp.h"
#include <string.h>

enum { WORDS = 6, WORD_MOST = 4 };

bool
otp_algorithm_good(struct bytes name)
{
	return (bytes_is(name, "md5") && mac_has("MD5")) || bytes_is(name, "sha1");
}

/* rfc2289:A: MD5's halves are added by XOR; SHA-1's five words too, and are small end first. */
bool
otp_fold(const char *algorithm, struct bytes text, unsigned char out[static 8])
{
	unsigned char raw[MAC_MOST];

	if (strcmp(algorithm, "md5") == 0) {
		(void)mac_digest("MD5", text, raw);
		for (int i = 0; i < 8; i++)
			out[i] = raw[i] ^ raw[i + 8];
		return true;
	}
	if (strcmp(algorithm, "sha1") != 0)
		return false;
	(void)mac_digest("SHA1", text, raw);
	for (int i = 0; i < 4; i++) {
		raw[i] ^= (unsigned char)(raw[i + 8] ^ raw[i + 16]);
		raw[i + 4] ^= raw[i + 12];
	}
	for (int i = 0; i < 4; i++) {
		out[i] = raw[3 - i];
		out[i + 4] = raw[7 - i];
	}
	return true;
}

bool
otp_seed_good(struct bytes seed)
{
	for (size_t i = 0; i < seed.len; i++) {
		char c = ascii_lower(seed.at[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return false;
	}
	return seed.len >= 1 && seed.len <= 16;
}

bool
otp_phrase_good(struct bytes phrase)
{
	return phrase.len >= 10 && phrase.len <= 63 && bytes_find(phrase, '\0') < 0;
}

bool
otp_chain(const char *algorithm, struct bytes seed, struct bytes phrase, uint32_t count,
          unsigned char out[static 8])
{
	char text[16 + 63];
	bool good;

	if (!otp_seed_good(seed) || phrase.len > 63)
		return false;
	for (size_t i = 0; i < seed.len; i++)
		text[i] = ascii_lower(seed.at[i]);
	if (phrase.len > 0)
		memcpy(text + seed.len, phrase.at, phrase.len);
	good = otp_fold(algorithm, (struct bytes){ text, seed.len + phrase.len }, out);
	explicit_bzero(text, sizeof text);
	for (uint32_t i = 0; good && i < count; i++)
		good = otp_fold(algorithm, (struct bytes){ (const char *)out, 8 }, out);
	return good;
}

/* ---- what a user typed ---- */

static int
digit_of(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Blanks between the digits do not matter (rfc2289:6.0). */
bool
otp_read_hex(struct bytes text, unsigned char out[static 8])
{
	int n = 0;

	for (size_t i = 0; i < text.len; i++) {
		int d = digit_of(text.at[i]);

		if (text.at[i] == ' ' || text.at[i] == '\t')
			continue;
		if (d < 0 || n == 16)
			return false;
		out[n / 2] = (unsigned char)(n % 2 == 0 ? d << 4 : out[n / 2] | d);
		n++;
	}
	return n == 16;
}

/* Where a word stands in the dictionary; -1 it does not. */
static int
place_of(struct bytes word)
{
	for (int at = 0; at < OTP_WORDS; at++)
		if (bytes_is(word, otp_words[at]))
			return at;
	return -1;
}

/* The sum of the 32 pairs of bits, two bits of it (rfc2289:6.0). */
static unsigned
checksum(const unsigned char raw[8])
{
	unsigned sum = 0;

	for (int i = 0; i < 64; i += 2)
		sum += (raw[i / 8] >> (6 - i % 8)) & 3;
	return sum & 3;
}

/* Six words are 66 bits: 64, and two of the checksum. */
static bool
words_value(const struct bytes word[WORDS], unsigned char out[static 8])
{
	unsigned check = 0;

	memset(out, 0, 8);
	for (int w = 0; w < WORDS; w++) {
		int value = place_of(word[w]);

		if (value < 0)
			return false;
		for (int b = 0; b < 11; b++) {
			int      at = w * 11 + b;
			unsigned bit = ((unsigned)value >> (10 - b)) & 1;

			if (at < 64)
				out[at / 8] = (unsigned char)(out[at / 8] | bit << (7 - at % 8));
			else
				check = check << 1 | bit;
		}
	}
	return check == checksum(out);
}

bool
otp_read_words(struct bytes text, unsigned char out[static 8])
{
	struct bytes word[WORDS], each;
	int          n = 0;

	while (bytes_split(&text, ' ', &each)) {
		if (each.len == 0)
			continue;
		if (n == WORDS || each.len > WORD_MOST)
			return false;
		word[n++] = each;
	}
	return n == WORDS && words_value(word, out);
}
