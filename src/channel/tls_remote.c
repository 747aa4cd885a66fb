/* OpenSSL 3.0 has no other way to give a key a method of our own than the one
   it calls deprecated; a provider would be the other. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "channel/tls_inner.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

enum { NO_SIGNATURE = 1 };

/* Made once, at the first key, and never given back. */
static RSA_METHOD    *rsa_method;
static EC_KEY_METHOD *ec_method;
static int            rsa_place, ec_place; /* where a key has its struct tls_remote */
static int            errors_of_ours;

static bool
ask(const struct tls_remote *remote, enum tls_sign_kind kind, int padding, const unsigned char *in,
    int len, struct buffer *out)
{
	struct bytes             what = { (const char *)in, len < 0 ? 0 : (size_t)len };
	const struct tls_signer *s = &remote->signer;

	if (s->sign(s->ctx, bytes_of(remote->key_id), kind, padding, what, out))
		return true;
	ERR_raise(errors_of_ours, NO_SIGNATURE);
	return false;
}

/* PKCS#1 1.5 comes with its padding to be done, PSS comes padded. */
static int
rsa_sign(int len, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
	const struct tls_remote *remote = RSA_get_ex_data(rsa, rsa_place);
	struct buffer            answer = { 0 };
	int                      made = -1;

	if (ask(remote, TLS_SIGN_RSA, padding, in, len, &answer) &&
	    answer.len == (size_t)RSA_size(rsa)) {
		memcpy(out, answer.at, answer.len);
		made = (int)answer.len;
	}
	buffer_free(&answer);
	return made;
}

static int
rsa_never(int len, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
	(void)len, (void)in, (void)out, (void)rsa, (void)padding;
	return -1;
}

static int
ec_sign(int type, const unsigned char *digest, int len, unsigned char *out, unsigned int *made,
        const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	const struct tls_remote *remote = EC_KEY_get_ex_data(ec, ec_place);
	struct buffer            answer = { 0 };
	bool                     ok;

	(void)type, (void)kinv, (void)r;
	ok = ask(remote, TLS_SIGN_ECDSA, 0, digest, len, &answer) &&
	     answer.len <= (size_t)ECDSA_size(ec);
	*made = 0;
	if (ok) {
		memcpy(out, answer.at, answer.len);
		*made = (unsigned int)answer.len;
	}
	buffer_free(&answer);
	return ok;
}

static ECDSA_SIG *
ec_sign_pair(const unsigned char *digest, int len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	const struct tls_remote *remote = EC_KEY_get_ex_data(ec, ec_place);
	struct buffer            answer = { 0 };
	ECDSA_SIG               *pair = NULL;

	(void)kinv, (void)r;
	if (ask(remote, TLS_SIGN_ECDSA, 0, digest, len, &answer)) {
		const unsigned char *at = (const unsigned char *)answer.at;

		pair = d2i_ECDSA_SIG(NULL, &at, (long)answer.len);
	}
	buffer_free(&answer);
	return pair;
}

static bool
prepare(void)
{
	static ERR_STRING_DATA words[] = {
		{ ERR_PACK(0, 0, NO_SIGNATURE), "the signer gave no signature" },
		{ 0, NULL },
	};

	if (rsa_method != NULL)
		return true;
	errors_of_ours = ERR_get_next_error_library();
	ERR_load_strings(errors_of_ours, words);
	rsa_place = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	ec_place = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	if (rsa_place < 0 || ec_place < 0 || ec_method == NULL || rsa_method == NULL)
		return false;
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, NULL, ec_sign_pair);
	return RSA_meth_set1_name(rsa_method, "a key in another process") &&
	       RSA_meth_set_priv_enc(rsa_method, rsa_sign) &&
	       RSA_meth_set_priv_dec(rsa_method, rsa_never);
}

static RSA *
rsa_remote(const RSA *public_half, const struct tls_remote *remote)
{
	RSA    *rsa = RSA_new();
	BIGNUM *n = BN_dup(RSA_get0_n(public_half)), *e = BN_dup(RSA_get0_e(public_half));

	if (rsa == NULL || !RSA_set_method(rsa, rsa_method) || !RSA_set0_key(rsa, n, e, NULL)) {
		BN_free(n);
		BN_free(e);
		RSA_free(rsa);
		return NULL;
	}
	RSA_set_ex_data(rsa, rsa_place, (void *)(uintptr_t)remote);
	return rsa;
}

static EC_KEY *
ec_remote(const EC_KEY *public_half, const struct tls_remote *remote)
{
	EC_KEY *ec = EC_KEY_dup(public_half);

	if (ec == NULL || !EC_KEY_set_method(ec, ec_method)) {
		EC_KEY_free(ec);
		return NULL;
	}
	EC_KEY_set_ex_data(ec, ec_place, (void *)(uintptr_t)remote);
	return ec;
}

EVP_PKEY *
tls_remote_key(EVP_PKEY *public_half, const struct tls_remote *remote)
{
	EVP_PKEY *key = EVP_PKEY_new();
	RSA      *rsa = NULL;
	EC_KEY   *ec = NULL;
	bool      ok = key != NULL && prepare();

	switch (ok ? EVP_PKEY_get_base_id(public_half) : EVP_PKEY_NONE) {
	case EVP_PKEY_RSA:
		rsa = rsa_remote(EVP_PKEY_get0_RSA(public_half), remote);
		ok = rsa != NULL && EVP_PKEY_set1_RSA(key, rsa);
		break;
	case EVP_PKEY_EC:
		ec = ec_remote(EVP_PKEY_get0_EC_KEY(public_half), remote);
		ok = ec != NULL && EVP_PKEY_set1_EC_KEY(key, ec);
		break;
	default: ok = false;
	}
	RSA_free(rsa);
	EC_KEY_free(ec);
	if (!ok) {
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}
