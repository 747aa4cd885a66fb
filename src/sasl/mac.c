#define OPENSSL_SUPPRESS_DEPRECATED /* a digest can be gone on with from a known state nowhere else */
#include "sasl/mac.h"
#include "base/journal.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>
#include <string.h>

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

/* rfc2104:4  One block, the padded key, is in it already. */
static void
go_on(const unsigned char state[static MD5_DIGEST_LENGTH], struct bytes text,
      unsigned char out[static MD5_DIGEST_LENGTH])
{
	MD5_CTX  c;
	MD5_LONG word[4] = { 0 };

	for (int i = 0; i < MD5_DIGEST_LENGTH; i++)
		word[i / 4] |= (MD5_LONG)state[i] << i % 4 * 8;
	if (MD5_Init(&c) != 1)
		panic("MD5 is not to be had");
	c.A = word[0];
	c.B = word[1];
	c.C = word[2];
	c.D = word[3];
	c.Nl = MD5_CBLOCK * 8;
	if (MD5_Update(&c, text.len > 0 ? text.at : "", text.len) != 1 || MD5_Final(out, &c) != 1)
		panic("MD5 is not to be had");
	explicit_bzero(&c, sizeof c);
}

size_t
mac_go_on(const unsigned char states[static MAC_STATES], struct bytes text,
          unsigned char out[static MAC_MOST])
{
	unsigned char inner[MD5_DIGEST_LENGTH];

	go_on(states + MD5_DIGEST_LENGTH, text, inner);
	go_on(states, (struct bytes){ (const char *)inner, sizeof inner }, out);
	return MD5_DIGEST_LENGTH;
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
