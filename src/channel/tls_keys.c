#include "base/arena.h"
#include "base/map.h"
#include "channel/tls_inner.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum {
	LOCKED_ROOM = 2 << 20, /* some two thousand keys                 */
	LOCKED_PIECE = 32,
};

struct key {
	EVP_PKEY     *pkey;
	EVP_PKEY_CTX *work; /* ready to sign: making one costs as much as ECDSA */
};

struct tls_keys {
	struct map *by_id;
};

/* OpenSSL keeps the secret numbers of a key in this heap of its own: locked in
   memory as far as RLIMIT_MEMLOCK goes, left out of core dumps, with guard
   pages.  Where there is none the keys still work. */
struct tls_keys *
tls_keys_open(void)
{
	struct tls_keys *k = memory_take(sizeof *k);

	(void)CRYPTO_secure_malloc_init(LOCKED_ROOM, LOCKED_PIECE);
	k->by_id = map_open();
	return k;
}

static void
key_free(struct key *key)
{
	EVP_PKEY_CTX_free(key->work);
	EVP_PKEY_free(key->pkey);
	memory_free(key);
}

void
tls_keys_close(struct tls_keys **kp)
{
	struct tls_keys *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	for (struct map_place p = { 0 }; map_next(k->by_id, &p);)
		key_free(p.value);
	map_close(&k->by_id);
	memory_free(k);
	(void)CRYPTO_secure_malloc_done(); /* refuses while others hold keys */
}

/* OpenSSL would ask at the terminal. */
static int
no_passphrase(char *out, int room, int writing, void *ctx)
{
	(void)out, (void)room, (void)writing, (void)ctx;
	return -1;
}

static EVP_PKEY *
private_key_of(struct bytes pem)
{
	BIO      *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;

	BIO_free(bio);
	return pkey;
}

static EVP_PKEY *
certified_key_of(struct bytes pem)
{
	BIO      *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	X509     *x = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY *pkey = x ? X509_get_pubkey(x) : NULL;

	X509_free(x);
	BIO_free(bio);
	return pkey;
}

bool
tls_spki_id(EVP_PKEY *pkey, char out[static 65])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char    *der = NULL, digest[32];
	int               len = i2d_PUBKEY(pkey, &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, digest, NULL, EVP_sha256(), NULL);

	OPENSSL_free(der);
	for (size_t i = 0; ok && i < sizeof digest; i++) {
		out[2 * i] = hex[digest[i] >> 4];
		out[2 * i + 1] = hex[digest[i] & 15];
	}
	out[ok ? 64 : 0] = '\0';
	return ok;
}

/* A file may hold both; the certificate comes first where both are wanted. */
bool
tls_key_id(struct bytes pem, char out[static 65])
{
	EVP_PKEY *pkey = certified_key_of(pem);
	bool      ok;

	out[0] = '\0';
	if (pkey == NULL)
		pkey = private_key_of(pem);
	ok = pkey != NULL && tls_spki_id(pkey, out);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return ok;
}

static bool
take_key(struct tls_keys *k, EVP_PKEY *pkey, struct buffer *errors)
{
	struct key *key = memory_take(sizeof *key), *old;
	int         kind = EVP_PKEY_get_base_id(pkey);
	char        id[65];

	key->pkey = pkey;
	if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC) {
		buffer_add_string(errors, "a private key must be RSA or ECDSA\n");
		goto err1;
	}
	key->work = EVP_PKEY_CTX_new(key->pkey, NULL);
	if (key->work == NULL || EVP_PKEY_sign_init(key->work) != 1 ||
	    !tls_spki_id(key->pkey, id)) {
		tls_complain(errors, "cannot use the private key");
		goto err1;
	}
	old = map_put(k->by_id, bytes_of(id), key);
	if (old != NULL)
		key_free(old);
	return true;

err1:
	key_free(key);
	return false;
}

/* From where the next private key begins; false: there is none. */
static bool
next_key(struct bytes *rest)
{
	struct bytes line, left = *rest;

	for (;;) {
		struct bytes here = left;

		if (!bytes_split(&left, '\n', &line))
			return false;
		if (bytes_starts(line, BYTES("-----BEGIN ")) &&
		    bytes_search(line, BYTES("PRIVATE KEY-----")) > 0) {
			*rest = here;
			return true;
		}
	}
}

/* A file may hold several, between certificates. */
bool
tls_keys_add(struct tls_keys *k, struct bytes pem, struct buffer *errors)
{
	int count = 0;

	ERR_clear_error();
	for (; next_key(&pem); count++) {
		EVP_PKEY *pkey = private_key_of(pem);

		if (pkey == NULL) {
			tls_complain(errors, "cannot read the private key");
			return false;
		}
		if (!take_key(k, pkey, errors))
			return false;
		pem = bytes_cut(pem, 11, pem.len);
	}
	if (count == 0)
		buffer_add_string(errors, "cannot read the private key: there is none\n");
	return count > 0;
}

bool
tls_keys_hold(const struct tls_keys *k, const struct tls_keys *others)
{
	for (struct map_place p = { 0 }; map_next(others->by_id, &p);)
		if (map_get(k->by_id, p.key) == NULL)
			return false;
	return true;
}

/* What a TLS handshake needs of the key and no more: the two paddings of
   signatures.  The result is RSA_private_encrypt()'s. */
static bool
may_do(const struct key *key, enum tls_sign_kind kind, int padding, size_t len)
{
	switch (EVP_PKEY_get_base_id(key->pkey)) {
	case EVP_PKEY_RSA:
		if (kind != TLS_SIGN_RSA)
			return false;
		if (padding == RSA_NO_PADDING && len != (size_t)EVP_PKEY_get_size(key->pkey))
			return false;
		return (padding == RSA_NO_PADDING || padding == RSA_PKCS1_PADDING) &&
		       EVP_PKEY_CTX_set_rsa_padding(key->work, padding) == 1;
	case EVP_PKEY_EC: return kind == TLS_SIGN_ECDSA && len >= 20 && len <= EVP_MAX_MD_SIZE;
	default: return false;
	}
}

bool
tls_keys_sign(struct tls_keys *k, struct bytes key_id, enum tls_sign_kind kind, int padding,
              struct bytes in, struct buffer *out)
{
	struct key *key = map_get(k->by_id, key_id);
	size_t      len;
	bool        ok;

	if (key == NULL || !may_do(key, kind, padding, in.len))
		return false;
	len = (size_t)EVP_PKEY_get_size(key->pkey);
	ok = EVP_PKEY_sign(key->work, (unsigned char *)buffer_room(out, len), &len,
	                   (const unsigned char *)in.at, in.len) == 1;
	if (ok)
		buffer_took(out, len);
	ERR_clear_error();
	return ok;
}
