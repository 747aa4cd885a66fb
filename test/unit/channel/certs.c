#include "certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static EVP_PKEY *
make_key(const char *kind)
{
	if (strcmp(kind, "EC") == 0)
		return EVP_EC_gen("P-256");
	if (strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen(2048);
	return EVP_PKEY_Q_keygen(NULL, NULL, kind);
}

static void
add_names(X509 *x, struct bytes names)
{
	struct buffer value = { 0 };
	struct bytes name;
	X509_EXTENSION *e;

	for (bool first = true; bytes_split(&names, ',', &name); first = false)
		buffer_printf(&value, "%sDNS:%.*s", first ? "" : ",", (int)name.len, name.at);
	buffer_add_char(&value, '\0');
	must((e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value.at)) != NULL);
	must(X509_add_ext(x, e, -1));
	X509_EXTENSION_free(e);
	buffer_free(&value);
}

static void
add_bio(struct buffer *out, BIO *bio)
{
	char *at;
	long len = BIO_get_mem_data(bio, &at);

	buffer_add(out, (struct bytes){ at, (size_t)len });
	BIO_free(bio);
}

struct cert
cert_make(const char *kind, const char *names)
{
	struct cert c = { 0 };
	EVP_PKEY *key = make_key(kind);
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
	size_t first = strcspn(names, ",");

	must(key != NULL);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)names,
	                           (int)first, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	add_names(x, bytes_of(names));
	must(X509_sign(x, key, strcmp(kind, "ED25519") == 0 ? NULL : EVP_sha256()) > 0);
	must(PEM_write_bio_X509(chain, x) == 1);
	must(PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1);
	add_bio(&c.chain, chain);
	add_bio(&c.key, secret);
	X509_free(x);
	EVP_PKEY_free(key);
	return c;
}

void
cert_free(struct cert *c)
{
	buffer_free(&c->chain);
	buffer_free(&c->key);
}
