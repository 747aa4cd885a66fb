#include "directory/totp.h"

#include "base/base32.h"
#include "base/journal.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

static const EVP_MD *
digest_of(enum totp_hash h)
{
	switch (h) {
	case TOTP_SHA256: return EVP_sha256();
	case TOTP_SHA512: return EVP_sha512();
	default: return EVP_sha1();
	}
}

/* rfc4226:5.3 */
uint32_t
hotp_code(struct bytes secret, uint64_t counter, enum totp_hash hash, int digits)
{
	unsigned char moving[8], made[EVP_MAX_MD_SIZE];
	unsigned int  n = sizeof made;
	uint32_t      code, below = 1;

	for (int i = 0; i < 8; i++)
		moving[i] = (unsigned char)(counter >> (56 - 8 * i));
	if (HMAC(digest_of(hash), secret.at, (int)secret.len, moving, sizeof moving, made, &n) ==
	    NULL)
		panic("HMAC is not to be had");
	const unsigned char *at = made + (made[n - 1] & 15);
	code = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
	       at[3];
	for (int i = 0; i < digits; i++)
		below *= 10;
	return code % below;
}

bool
totp_check(struct bytes secret, struct bytes text, int64_t now, int64_t used, int window,
           int64_t *step)
{
	int64_t this = now / TOTP_SECONDS;
	bool right = false;
	char code[16];

	for (int64_t s = this - window; s <= this + window; s++) {
		(void)snprintf(code, sizeof code, "%0*u", TOTP_DIGITS,
		               hotp_code(secret, (uint64_t)s, TOTP_SHA1, TOTP_DIGITS));
		if (bytes_equal_secret(bytes_of(code), text) && s > used && !right) {
			*step = s;
			right = true;
		}
	}
	return right;
}

/* rfc3986:2.3: all but the unreserved are written by their numbers. */
static void
percent(struct buffer *out, struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];
		bool          plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		             (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
		if (plain)
			buffer_add_char(out, (char)c);
		else
			buffer_printf(out, "%%%02X", c);
	}
}

void
totp_uri(struct buffer *out, struct bytes issuer, struct bytes user, struct bytes secret)
{
	buffer_add(out, BYTES("otpauth://totp/"));
	percent(out, issuer);
	buffer_add_char(out, ':');
	percent(out, user);
	buffer_add(out, BYTES("?secret="));
	base32_encode(out, secret);
	buffer_add(out, BYTES("&issuer="));
	percent(out, issuer);
	buffer_printf(out, "&algorithm=SHA1&digits=%d&period=%d", TOTP_DIGITS, TOTP_SECONDS);
}
