/*
 * totp -- one-time passwords by the clock (rfc6238) and by a counter (rfc4226)
 *
 * From:     directory/protection, which keeps the secrets
 * Touches:  nothing: no clock, no database
 *
 * hotp_code()   the code for one counter, as a number below 10^digits.
 * totp_check()  whether `text` is the code of this moment, or of a step at most `window`
 *               before or after, and later than the step `used` (rfc6238:5.2: no code twice).  The
 *               step it is of is in *step.  Every step is computed, whatever the text.
 * totp_uri()    the otpauth:// address that phones read from a picture.
 *
 * Codes have six digits, steps thirty seconds, the hash is SHA-1: what every phone knows.
 */
#ifndef DIRECTORY_TOTP_H
#define DIRECTORY_TOTP_H

#include "base/buffer.h"

enum totp_hash { TOTP_SHA1, TOTP_SHA256, TOTP_SHA512 };
enum { TOTP_SECRET = 20, TOTP_DIGITS = 6, TOTP_SECONDS = 30, TOTP_WINDOW = 1 };

uint32_t hotp_code(struct bytes secret, uint64_t counter, enum totp_hash, int digits);
bool totp_check(struct bytes secret, struct bytes text, int64_t now, int64_t used, int window, int64_t *step);
void totp_uri(struct buffer *out, struct bytes issuer, struct bytes user, struct bytes secret);

#endif
