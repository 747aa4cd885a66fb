/*
 * otp -- one-time passwords (rfc2289): a chain of digests, used from its end to its beginning
 *
 * otp_fold()     one link: the digest of `text` ("md5", "sha1"), folded to 64 bits (rfc2289:A).
 * otp_chain()    the first link, of seed and pass phrase, and `count` more.
 * otp_read_hex(), otp_read_words()  what a user typed: sixteen hex digits, or six words of the standard
 *                dictionary, whose checksum must be right.
 * otp_seed_good(), otp_phrase_good()  rfc2289:6.0: 1 to 16 letters and digits; 10 to 63 characters.
 */
#ifndef SASL_OTP_H
#define SASL_OTP_H

#include "base/bytes.h"

enum { OTP_SEQUENCE_MOST = 9999, OTP_SEQUENCE_LOW = 2, OTP_WORDS = 2048 };

bool otp_fold(const char *algorithm, struct bytes text, unsigned char out[static 8]);
bool otp_chain(const char *algorithm, struct bytes seed, struct bytes phrase, uint32_t count, unsigned char out[static 8]);
bool otp_read_hex(struct bytes, unsigned char out[static 8]);
bool otp_read_words(struct bytes, unsigned char out[static 8]);
bool otp_seed_good(struct bytes);
bool otp_phrase_good(struct bytes);
bool otp_algorithm_good(struct bytes);

extern const char otp_words[OTP_WORDS][5];

#endif
