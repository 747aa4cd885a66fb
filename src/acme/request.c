#include "acme/request.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum { RSA_BITS = 2048, DIGEST = 32, DAY = 86400, SERIAL_BITS = 127 };

static bool
add_key(EVP_PKEY *key, struct buffer *out)
{
	BIO  *b = BIO_new(BIO_s_secmem());
	char *at;
	long  n;
	bool  good = b != NULL &&
	            PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	            (n = BIO_get_mem_data(b, &at)) > 0;

	if (good)
		buffer_add(out, (struct bytes){ at, (size_t)n });
	BIO_free(b);
	return good;
}

/* The names as one extension. */
static X509_EXTENSION *
names_extension(const char *const *name, size_t count)
{
	GENERAL_NAMES  *all = GENERAL_NAMES_new();
	X509_EXTENSION *e = NULL;
	bool            good = all != NULL;

	for (size_t i = 0; good && i < count; i++) {
		GENERAL_NAME   *one = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		good = one != NULL && text != NULL &&
		       ASN1_STRING_set(text, name[i], (int)strlen(name[i])) == 1;
		if (good) {
			GENERAL_NAME_set0_value(one, GEN_DNS, text);
			text = NULL;
			good = sk_GENERAL_NAME_push(all, one) > 0;
			if (good)
				one = NULL;
		}
		ASN1_IA5STRING_free(text);
		GENERAL_NAME_free(one);
	}
	if (good)
		e = X509V3_EXT_i2d(NID_subject_alt_name, 0, all);
	GENERAL_NAMES_free(all);
	return e;
}

static bool
fill_request(X509_REQ *r, EVP_PKEY *key, const char *const *name, size_t count)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *names = names_extension(name, count);
	bool good = list != NULL && names != NULL && sk_X509_EXTENSION_push(list, names) > 0;

	if (good)
		names = NULL;
	good = good && X509_REQ_set_version(r, 0) == 1 && X509_REQ_set_pubkey(r, key) == 1 &&
	       X509_REQ_add_extensions(r, list) == 1 && X509_REQ_sign(r, key, EVP_sha256()) > 0;
	X509_EXTENSION_free(names);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return good;
}

bool
request_make(enum request_kind kind, const char *const *name, size_t count, struct buffer *key,
             struct buffer *der)
{
	EVP_PKEY      *k = kind == REQUEST_RSA ? EVP_RSA_gen(RSA_BITS) : EVP_EC_gen("P-256");
	X509_REQ      *r = X509_REQ_new();
	unsigned char *at = NULL;
	int            n = -1;
	bool good = k != NULL && r != NULL && fill_request(r, k, name, count) && add_key(k, key);

	if (good && (n = i2d_X509_REQ(r, &at)) > 0)
		buffer_add(der, (struct bytes){ (const char *)at, (size_t)n });
	OPENSSL_free(at);
	X509_REQ_free(r);
	EVP_PKEY_free(k);
	return good && n > 0;
}

static X509 *
first_certificate(struct bytes pem)
{
	BIO  *in = BIO_new_mem_buf(pem.at == NULL ? "" : pem.at, (int)pem.len);
	X509 *x = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);

	BIO_free(in);
	return x;
}

bool
request_fits(struct bytes chain, struct bytes key)
{
	BIO      *in = BIO_new_mem_buf(key.at == NULL ? "" : key.at, (int)key.len);
	EVP_PKEY *k = in == NULL ? NULL : PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	X509     *x = first_certificate(chain);
	bool      good = k != NULL && x != NULL && X509_check_private_key(x, k) == 1;

	X509_free(x);
	EVP_PKEY_free(k);
	BIO_free(in);
	return good;
}

static int64_t
seconds_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool
certificate_look(struct bytes pem, const char *const *name, size_t count,
                 struct certificate_facts *out)
{
	X509 *x = first_certificate(pem);

	*out = (struct certificate_facts){ 0 };
	if (x == NULL)
		return false;
	out->from = seconds_of(X509_get0_notBefore(x));
	out->until = seconds_of(X509_get0_notAfter(x));
	for (size_t i = 0; i < count; i++)
		out->among += X509_check_host(x, name[i], 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
		                              NULL) == 1;
	X509_free(x);
	return true;
}

/* Critical, and an OCTET STRING in the OCTET STRING of the extension (rfc8737:3). */
static X509_EXTENSION *
digest_extension(struct bytes authorization)
{
	unsigned char      der[2 + DIGEST] = { V_ASN1_OCTET_STRING, DIGEST };
	unsigned           n = 0;
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OBJECT       *id = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	X509_EXTENSION    *e = NULL;

	if (value != NULL && id != NULL &&
	    EVP_Digest(authorization.at, authorization.len, der + 2, &n, EVP_sha256(), NULL) == 1 &&
	    ASN1_OCTET_STRING_set(value, der, sizeof der) == 1)
		e = X509_EXTENSION_create_by_OBJ(NULL, id, 1, value);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(id);
	return e;
}

static bool
set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool    good = n != NULL &&
	            BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
	            BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;

	BN_free(n);
	return good;
}

static bool
fill_validation(X509 *x, EVP_PKEY *key, const char *name, struct bytes authorization)
{
	X509_EXTENSION *names = names_extension(&name, 1),
		       *digest = digest_extension(authorization);
	X509_NAME *self = X509_get_subject_name(x);
	bool       good = names != NULL && digest != NULL && X509_set_version(x, 2) == 1 &&
	            set_serial(x) && X509_gmtime_adj(X509_getm_notBefore(x), -(long)DAY) != NULL &&
	            X509_gmtime_adj(X509_getm_notAfter(x), 7L * DAY) != NULL &&
	            X509_set_pubkey(x, key) == 1 &&
	            X509_NAME_add_entry_by_txt(self, "CN", MBSTRING_ASC,
	                                       (const unsigned char *)"acme", -1, -1, 0) == 1 &&
	            X509_set_issuer_name(x, self) == 1 && X509_add_ext(x, names, -1) == 1 &&
	            X509_add_ext(x, digest, -1) == 1 && X509_sign(x, key, EVP_sha256()) > 0;

	X509_EXTENSION_free(names);
	X509_EXTENSION_free(digest);
	return good;
}

bool
validation_make(const char *name, struct bytes authorization, struct buffer *key,
                struct buffer *certificate)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	X509     *x = X509_new();
	BIO      *b = BIO_new(BIO_s_mem());
	char     *at;
	long      n;
	bool      good = k != NULL && x != NULL && b != NULL &&
	            fill_validation(x, k, name, authorization) && add_key(k, key) &&
	            PEM_write_bio_X509(b, x) == 1 && (n = BIO_get_mem_data(b, &at)) > 0;

	if (good)
		buffer_add(certificate, (struct bytes){ at, (size_t)n });
	BIO_free(b);
	X509_free(x);
	EVP_PKEY_free(k);
	return good;
}
