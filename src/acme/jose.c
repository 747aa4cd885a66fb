#include "acme/jose.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"

enum { FIELD = 32, DIGEST = 32, DER_ROOM = 128 };

struct jose_key {
	EVP_PKEY *key;
};

static struct jose_key *
account_of(EVP_PKEY *key)
{
	struct jose_key *a = key == NULL ? NULL : memory_take(sizeof *a);

	if (a != NULL)
		a->key = key;
	return a;
}

struct jose_key *
jose_make(void)
{
	return account_of(EVP_EC_gen("P-256"));
}

static bool
is_p256(EVP_PKEY *key)
{
	char   group[32] = "";
	size_t n;

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
	                                      &n) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

struct jose_key *
jose_read(struct bytes pem)
{
	BIO      *in = BIO_new_mem_buf(pem.at == NULL ? "" : pem.at, (int)pem.len);
	EVP_PKEY *key = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);

	BIO_free(in);
	if (key != NULL && !is_p256(key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return account_of(key);
}

bool
jose_write(const struct jose_key *a, struct buffer *out)
{
	BIO  *b = BIO_new(BIO_s_secmem());
	char *at;
	long  n;
	bool  good = b != NULL &&
	            PEM_write_bio_PKCS8PrivateKey(b, a->key, NULL, NULL, 0, NULL, NULL) == 1;

	if (good && (n = BIO_get_mem_data(b, &at)) > 0)
		buffer_add(out, (struct bytes){ at, (size_t)n });
	BIO_free(b);
	return good;
}

void
jose_close(struct jose_key **a)
{
	if (*a != NULL)
		EVP_PKEY_free((*a)->key);
	memory_free(*a);
	*a = NULL;
}

void
jose_base64url(struct buffer *out, struct bytes in)
{
	struct buffer coded = { 0 };

	base64_encode(&coded, in);
	for (size_t i = 0; i < coded.len && coded.at[i] != '='; i++)
		buffer_add_char(out, coded.at[i] == '+'   ? '-'
		                     : coded.at[i] == '/' ? '_'
		                                          : coded.at[i]);
	buffer_free(&coded);
}

/* Some authorities write it with padding, or in the other alphabet. */
bool
jose_secret(struct bytes text, struct buffer *out)
{
	struct buffer coded = { 0 };
	bool          good;

	text = bytes_trim(text);
	for (size_t i = 0; i < text.len && text.at[i] != '='; i++)
		buffer_add_char(&coded, text.at[i] == '-'   ? '+'
		                        : text.at[i] == '_' ? '/'
		                                            : text.at[i]);
	while (coded.len % 4 != 0)
		buffer_add_char(&coded, '=');
	good = coded.len > 0 && base64_decode(out, buffer_bytes(&coded));
	if (coded.len > 0)
		explicit_bzero(coded.at, coded.len);
	buffer_free(&coded);
	return good;
}

void
jose_string(struct buffer *out, const char *text)
{
	buffer_add_char(out, '"');
	for (; *text != '\0'; text++)
		if (*text == '"' || *text == '\\')
			buffer_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			buffer_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
		else
			buffer_add_char(out, *text);
	buffer_add_char(out, '"');
}

/* One half of the public key, as long as the field is (rfc7518:6.2.1.2). */
static void
add_half(const struct jose_key *a, const char *which, struct buffer *out)
{
	BIGNUM       *n = NULL;
	unsigned char bytes[FIELD];

	if (EVP_PKEY_get_bn_param(a->key, which, &n) == 1 && BN_bn2binpad(n, bytes, FIELD) == FIELD)
		jose_base64url(out, (struct bytes){ (const char *)bytes, FIELD });
	BN_free(n);
}

/* With its members in this order and no blank, as its digest wants it (rfc7638:3.2). */
static void
add_jwk(const struct jose_key *a, struct buffer *out)
{
	buffer_add_string(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	add_half(a, OSSL_PKEY_PARAM_EC_PUB_X, out);
	buffer_add_string(out, "\",\"y\":\"");
	add_half(a, OSSL_PKEY_PARAM_EC_PUB_Y, out);
	buffer_add_string(out, "\"}");
}

void
jose_thumbprint(const struct jose_key *a, struct buffer *out)
{
	struct buffer jwk = { 0 };
	unsigned char digest[DIGEST];
	unsigned      n = 0;

	add_jwk(a, &jwk);
	if (EVP_Digest(jwk.at, jwk.len, digest, &n, EVP_sha256(), NULL) == 1)
		jose_base64url(out, (struct bytes){ (const char *)digest, n });
	buffer_free(&jwk);
}

/* ES256: two numbers side by side, not the DER that OpenSSL makes (rfc7518:3.4). */
static bool
add_signature(const struct jose_key *a, struct bytes input, struct buffer *out)
{
	EVP_MD_CTX          *c = EVP_MD_CTX_new();
	unsigned char        der[DER_ROOM], raw[2 * FIELD];
	const unsigned char *at = der;
	size_t               n = sizeof der;
	ECDSA_SIG           *sig = NULL;
	bool good = c != NULL && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, a->key) == 1 &&
	            EVP_DigestSign(c, der, &n, (const unsigned char *)input.at, input.len) == 1 &&
	            (sig = d2i_ECDSA_SIG(NULL, &at, (long)n)) != NULL &&
	            BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, FIELD) == FIELD &&
	            BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + FIELD, FIELD) == FIELD;

	if (good)
		jose_base64url(out, (struct bytes){ (const char *)raw, sizeof raw });
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(c);
	return good;
}

bool
jose_bind(const struct jose_key *a, const struct jose_binding *b, const char *url,
          struct buffer *out)
{
	struct buffer header = { 0 }, jwk = { 0 }, input = { 0 };
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned      n = 0;
	size_t        dot;
	bool          good;

	buffer_add_string(&header, "{\"alg\":\"HS256\",\"kid\":");
	jose_string(&header, b->kid);
	buffer_add_string(&header, ",\"url\":");
	jose_string(&header, url);
	buffer_add_char(&header, '}');
	add_jwk(a, &jwk);
	jose_base64url(&input, buffer_bytes(&header));
	dot = input.len;
	buffer_add_char(&input, '.');
	jose_base64url(&input, buffer_bytes(&jwk));
	good = HMAC(EVP_sha256(), b->secret.at, (int)b->secret.len, (const unsigned char *)input.at,
	            input.len, mac, &n) != NULL;
	buffer_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"",
	              (int)dot, input.at, (int)(input.len - dot - 1), input.at + dot + 1);
	jose_base64url(out, (struct bytes){ (const char *)mac, n });
	buffer_add_string(out, "\"}");
	buffer_free(&header);
	buffer_free(&jwk);
	buffer_free(&input);
	return good;
}

bool
jose_sign(const struct jose_key *a, const struct jose_request *r, struct buffer *out)
{
	struct buffer header = { 0 }, input = { 0 };
	size_t        dot;
	bool          good;

	buffer_add_string(&header, "{\"alg\":\"ES256\",");
	if (r->kid == NULL) {
		buffer_add_string(&header, "\"jwk\":");
		add_jwk(a, &header);
	} else {
		buffer_add_string(&header, "\"kid\":");
		jose_string(&header, r->kid);
	}
	buffer_add_string(&header, ",\"nonce\":");
	jose_string(&header, r->nonce);
	buffer_add_string(&header, ",\"url\":");
	jose_string(&header, r->url);
	buffer_add_char(&header, '}');
	jose_base64url(&input, buffer_bytes(&header));
	dot = input.len;
	buffer_add_char(&input, '.');
	jose_base64url(&input, r->payload);
	buffer_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"",
	              (int)dot, input.at, (int)(input.len - dot - 1), input.at + dot + 1);
	good = add_signature(a, buffer_bytes(&input), out);
	buffer_add_string(out, "\"}");
	buffer_free(&header);
	buffer_free(&input);
	return good;
}
