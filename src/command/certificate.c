#include "command/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/random.h"

enum { PATH_ROOM = 4096, DAY = 24 * 60 * 60 };

/* What OpenSSL last complained of. */
static bool
refuse(struct buffer *errors, const char *what)
{
	unsigned long e = ERR_get_error();

	buffer_printf(errors, "%s: %s\n", what,
	              e != 0 ? ERR_reason_error_string(e) : strerror(errno));
	ERR_clear_error();
	return false;
}

/*
 * Files
 */

static X509 *
read_certificate(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *x = NULL;

	if (f == NULL)
		return NULL;
	x = PEM_read_X509(f, NULL, NULL, NULL);
	(void)fclose(f);
	return x;
}

static EVP_PKEY *
read_key(const char *path)
{
	FILE     *f = fopen(path, "re");
	EVP_PKEY *k = NULL;

	if (f == NULL)
		return NULL;
	k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	return k;
}

/* What is written goes to PATH.new first: nobody finds half a file. */
static bool
write_pem(const char *path, mode_t mode, X509 *x, EVP_PKEY *k, struct buffer *errors)
{
	char  fresh[PATH_ROOM];
	FILE *f = NULL;
	int   fd;
	bool  good;

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
		return errno = ENAMETOOLONG, refuse(errors, path);
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || fchmod(fd, mode) < 0 || (f = fdopen(fd, "w")) == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return refuse(errors, fresh);
	}
	good = x != NULL ? PEM_write_X509(f, x) == 1
	                 : PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL) == 1;
	good = fflush(f) == 0 && fsync(fd) == 0 && good;
	good = fclose(f) == 0 && good;
	if (good && rename(fresh, path) == 0)
		return true;
	(void)refuse(errors, path);
	(void)unlink(fresh);
	return false;
}

/*
 * The certificate
 */

static bool
is_address(const char *name)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
	bool               yes = ip != NULL;

	ASN1_OCTET_STRING_free(ip);
	ERR_clear_error();
	return yes;
}

static bool
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX      ctx;
	X509_EXTENSION *e;
	bool            good;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return good;
}

/* rfc5280:4.2.1.6 */
static bool
extend_names(X509 *x, const char *const *names)
{
	struct buffer b = { 0 };
	bool          good;

	for (; *names != NULL; names++)
		buffer_printf(&b, "%s%s:%s", b.len == 0 ? "" : ",",
		              is_address(*names) ? "IP" : "DNS", *names);
	buffer_add_char(&b, '\0');
	good = extend(x, x, NID_subject_alt_name, b.at);
	buffer_free(&b);
	return good;
}

static bool
extend_all(X509 *x, X509 *issuer, const struct certificate_wish *w)
{
	if (!extend(x, issuer, NID_subject_key_identifier, "hash") ||
	    !extend(x, issuer, NID_authority_key_identifier, "keyid"))
		return false;
	if (w->authority)
		return extend(x, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		       extend(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	return extend(x, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       extend(x, issuer, NID_key_usage, "critical,digitalSignature") &&
	       extend(x, issuer, NID_ext_key_usage, "serverAuth") && extend_names(x, w->names);
}

/* A number nobody has used: 127 bits by chance (rfc5280:4.1.2.2). */
static bool
number(X509 *x)
{
	unsigned char bytes[16];
	BIGNUM       *n;
	bool          good;

	random_fill(bytes, sizeof bytes);
	bytes[0] &= 0x7f;
	n = BN_bin2bn(bytes, sizeof bytes, NULL);
	good = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return good;
}

/* One hour back, for clocks that do not agree. */
static bool
fill_in(X509 *x, EVP_PKEY *key, X509 *issuer, const struct certificate_wish *w)
{
	X509_NAME *name = X509_get_subject_name(x);

	return X509_set_version(x, X509_VERSION_3) == 1 && number(x) &&
	       X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
	       X509_gmtime_adj(X509_getm_notAfter(x), (long)w->days * DAY) != NULL &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	                                  (const unsigned char *)w->names[0], -1, -1, 0) == 1 &&
	       X509_set_pubkey(x, key) == 1 &&
	       X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1 &&
	       extend_all(x, issuer, w);
}

/* Both of the issuer are NULL for one that signs itself. */
static bool
sign_and_write(const struct certificate_wish *w, X509 *issuer, EVP_PKEY *issuer_key,
               struct buffer *errors)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509     *x = X509_new();
	bool      good;

	good = key != NULL && x != NULL && fill_in(x, key, issuer == NULL ? x : issuer, w) &&
	       X509_sign(x, issuer_key == NULL ? key : issuer_key, EVP_sha256()) > 0;
	if (!good)
		(void)refuse(errors, w->certificate);
	good = good && write_pem(w->key, 0600, NULL, key, errors) &&
	       write_pem(w->certificate, 0644, x, NULL, errors);
	X509_free(x);
	EVP_PKEY_free(key);
	return good;
}

bool
certificate_make(const struct certificate_wish *w, struct buffer *errors)
{
	X509     *issuer = NULL;
	EVP_PKEY *key = NULL;
	bool      good = true;

	if (w->issuer != NULL) {
		issuer = read_certificate(w->issuer);
		key = read_key(w->issuer_key);
		if (issuer == NULL || key == NULL)
			good = refuse(errors, issuer == NULL ? w->issuer : w->issuer_key);
	}
	good = good && sign_and_write(w, issuer, key, errors);
	X509_free(issuer);
	EVP_PKEY_free(key);
	return good;
}

bool
certificate_good(const char *certificate, const char *key, const char *host)
{
	X509     *x = read_certificate(certificate);
	EVP_PKEY *k = read_key(key);
	time_t    tomorrow = time(NULL) + DAY;
	bool      good;

	good = x != NULL && k != NULL && X509_check_private_key(x, k) == 1 &&
	       X509_cmp_time(X509_get0_notAfter(x), &tomorrow) > 0 &&
	       (host == NULL || X509_check_host(x, host, 0, 0, NULL) == 1);
	ERR_clear_error();
	X509_free(x);
	EVP_PKEY_free(k);
	return good;
}
