/* One-time passwords: the vectors of the two RFCs, the window, and no code twice. */
#include "unit.h"

#include <stdio.h>

#include "directory/totp.h"

static const char seed20[] = "12345678901234567890";
static const char seed32[] = "12345678901234567890123456789012";
static const char seed64[] = "1234567890123456789012345678901234567890123456789012345678901234";

static void
test_hotp(void **state)
{
	/* rfc4226, appendix D */
	static const uint32_t codes[] = { 755224, 287082, 359152, 969429, 338314,
		                          254676, 287922, 162583, 399871, 520489 };

	(void)state;
	for (uint64_t i = 0; i < COUNT(codes); i++)
		HOLDS("rfc4226 appendix D",
		      hotp_code(bytes_of(seed20), i, TOTP_SHA1, 6) == codes[i]);
}

static void
test_totp(void **state)
{
	/* rfc6238, appendix B */
	static const struct {
		int64_t        time;
		uint32_t       code;
		enum totp_hash hash;
	} rows[] = {
		{ 59, 94287082, TOTP_SHA1 },
		{ 59, 46119246, TOTP_SHA256 },
		{ 59, 90693936, TOTP_SHA512 },
		{ 1111111109, 7081804, TOTP_SHA1 },
		{ 1111111109, 68084774, TOTP_SHA256 },
		{ 1111111109, 25091201, TOTP_SHA512 },
		{ 1111111111, 14050471, TOTP_SHA1 },
		{ 1111111111, 67062674, TOTP_SHA256 },
		{ 1111111111, 99943326, TOTP_SHA512 },
		{ 1234567890, 89005924, TOTP_SHA1 },
		{ 1234567890, 91819424, TOTP_SHA256 },
		{ 1234567890, 93441116, TOTP_SHA512 },
		{ 2000000000, 69279037, TOTP_SHA1 },
		{ 2000000000, 90698825, TOTP_SHA256 },
		{ 2000000000, 38618901, TOTP_SHA512 },
		{ 20000000000, 65353130, TOTP_SHA1 },
		{ 20000000000, 77737706, TOTP_SHA256 },
		{ 20000000000, 47863826, TOTP_SHA512 },
	};
	static const char *const seeds[] = { seed20, seed32, seed64 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		HOLDS("rfc6238 appendix B", hotp_code(bytes_of(seeds[rows[i].hash]),
		                                      (uint64_t)rows[i].time / TOTP_SECONDS,
		                                      rows[i].hash, 8) == rows[i].code);
}

static void
test_window(void **state)
{
	/* rfc4226 appendix D: counter 3 is 969429, at 90 to 119 seconds */
	static const struct {
		const char *why, *code;
		int64_t     now, used;
		bool        right;
	} rows[] = {
		{ "in its step", "969429", 100, 0, true },
		{ "a step late", "969429", 149, 0, true },
		{ "a step early", "969429", 60, 0, true },
		{ "two steps late", "969429", 150, 0, false },
		{ "two steps early", "969429", 59, 0, false },
		{ "rfc6238:5.2 not twice", "969429", 100, 3, false },
		{ "nor an older one", "969429", 100, 4, false },
		{ "after the one before it", "969429", 100, 2, true },
		{ "another", "969428", 100, 0, false },
		{ "too short", "96942", 100, 0, false },
		{ "too long", "9694290", 100, 0, false },
		{ "nothing", "", 100, 0, false },
		{ "no digits", "abcdef", 100, 0, false },
	};
	int64_t step;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		step = -1;
		HOLDS(rows[i].why, totp_check(bytes_of(seed20), bytes_of(rows[i].code), rows[i].now,
		                              rows[i].used, 1, &step) == rows[i].right);
		HOLDS(rows[i].why, step == (rows[i].right ? 3 : -1));
	}
}

static void
test_uri(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	totp_uri(&b, BYTES("mail.example.com"), BYTES("eva+x@example.com"), BYTES("foobar"));
	SAME("as the key URI format has it", buffer_bytes(&b),
	     BYTES("otpauth://totp/mail.example.com:eva%2Bx%40example.com?secret=MZXW6YTBOI&issuer=mail.example.com"
	           "&algorithm=SHA1&digits=6&period=30"));
	buffer_free(&b);
}

UNIT(test_hotp, test_totp, test_window, test_uri)
