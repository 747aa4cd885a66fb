#include "sasl/mac.h"
#include "base/journal.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool
mac_has(const char *digest)
{
	unsigned char made[MAC_MOST];
	unsigned int  len = 0;
	const EVP_MD *md = EVP_get_digestbyname(digest);

	return md != NULL && HMAC(md, "", 0, made, 0, made, &len) != NULL;
}

size_t
mac_make(const char *digest, struct bytes key, struct bytes text,
         unsigned char out[static MAC_MOST])
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	unsigned int  len = MAC_MOST;

	if (md == NULL ||
	    HMAC(md, key.len > 0 ? key.at : "", (int)key.len,
	         (const unsigned char *)(text.len > 0 ? text.at : ""), text.len, out, &len) == NULL)
		panic("HMAC-%s is not to be had", digest);
	return len;
}

size_t
mac_digest(const char *digest, struct bytes text, unsigned char out[static MAC_MOST])
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	unsigned int  len = MAC_MOST;

	if (md == NULL ||
	    EVP_Digest(text.len > 0 ? text.at : "", text.len, out, &len, md, NULL) != 1)
		panic("%s is not to be had", digest);
	return len;
}

size_t
mac_stretch(const char *digest, struct bytes password, struct bytes salt, uint64_t rounds,
            unsigned char out[static MAC_MOST])
{
	const EVP_MD *md = EVP_get_digestbyname(digest);
	int           len = md != NULL ? EVP_MD_get_size(md) : 0;

	if (len <= 0 || PKCS5_PBKDF2_HMAC(password.len > 0 ? password.at : "", (int)password.len,
	                                  (const unsigned char *)(salt.len > 0 ? salt.at : ""),
	                                  (int)salt.len, (int)rounds, md, len, out) != 1)
		panic("PBKDF2 with %s is not to be had", digest);
	return (size_t)len;
}

void
mac_hex(const unsigned char *raw, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[raw[i] >> 4];
		*out++ = digits[raw[i] & 15];
	}
	*out = '\0';
}
