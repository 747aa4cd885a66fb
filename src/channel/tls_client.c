/* tls_client.c -- the certificate a client shows, and what binds a login to its TLS session (tls.h) */
#include "base/pack.h"
#include "channel/tls_inner.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* ---- asking ---- */

/* A certificate that nobody vouches for may still be known by its fingerprint: the login decides. */
static int
let_pass(int good, X509_STORE_CTX *x)
{
	(void)good, (void)x;
	return 1;
}

static bool
store_fill(X509_STORE *store, STACK_OF(X509_NAME) * names, struct bytes pem)
{
	BIO  *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	X509 *x;
	int   count = 0;

	while (bio != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));

		if (X509_STORE_add_cert(store, x) == 1)
			count++;
		if (name != NULL && sk_X509_NAME_push(names, name) <= 0)
			X509_NAME_free(name);
		X509_free(x);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the text is one */
	return count > 0;
}

bool
tls_ask_for(SSL_CTX *ctx, const struct tls_settings *c)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();

	if (c->authorities.len > 0 &&
	    !store_fill(SSL_CTX_get_cert_store(ctx), names, c->authorities)) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return false;
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, let_pass);
	return true;
}

/* ---- telling ---- */

static void
pack_fingerprint(struct buffer *out, const X509 *x)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	char          text[3 * 32 + 1] = "";
	unsigned      n = 0;

	if (X509_digest(x, EVP_sha256(), raw, &n) == 1 && n == 32)
		for (unsigned i = 0; i < n; i++)
			(void)snprintf(text + 3 * (size_t)i, 4, i + 1 < n ? "%02X:" : "%02X",
			               raw[i]);
	pack_string(out, text);
}

static void
pack_subject(struct buffer *out, const X509 *x)
{
	BIO  *bio = BIO_new(BIO_s_mem());
	char *at = NULL;
	long  n = 0;

	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_get_mem_data(bio, &at);
	pack_bytes(out, (struct bytes){ at, n > 0 && n < 4096 ? (size_t)n : 0 });
	BIO_free(bio);
}

static void
pack_mail(struct buffer *out, X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct bytes   mail = { NULL, 0 };

	for (int i = 0; all != NULL && i < sk_GENERAL_NAME_num(all) && mail.len == 0; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type != GEN_EMAIL)
			continue;
		mail.at = (const char *)ASN1_STRING_get0_data(g->d.rfc822Name);
		mail.len = (size_t)ASN1_STRING_length(g->d.rfc822Name);
		if (mail.len > 320 || bytes_find(mail, '\0') >= 0)
			mail.len = 0;
	}
	pack_bytes(out, mail);
	GENERAL_NAMES_free(all);
}

void
tls_channel(SSL *ssl, struct buffer *out)
{
	static const char *const types[TLS_BINDINGS] = { "tls-exporter", "tls-server-end-point",
		                                         "tls-unique" };
	X509                    *x = SSL_get0_peer_certificate(ssl);
	struct buffer            data = { 0 };

	for (int i = 0; i < TLS_BINDINGS; i++) {
		buffer_reset(&data);
		if (!tls_binding(ssl, types[i], &data))
			buffer_reset(&data);
		pack_bytes(out, buffer_bytes(&data));
	}
	buffer_free(&data);
	pack_bool(out, x != NULL);
	if (x == NULL)
		return;
	pack_fingerprint(out, x);
	pack_subject(out, x);
	pack_mail(out, x);
	pack_bool(out, SSL_get_verify_result(ssl) == X509_V_OK);
}

bool
tls_channel_read(struct bytes packed, struct tls_channel *out)
{
	static const char *const types[TLS_BINDINGS] = { "tls-exporter", "tls-server-end-point",
		                                         "tls-unique" };
	struct unpack            u = unpack_of(packed);
	int                      n = 0;

	*out = (struct tls_channel){ .trusted = false };
	if (packed.len == 0)
		return true;
	for (int i = 0; i < TLS_BINDINGS; i++) {
		struct bytes data = unpack_bytes(&u);

		if (data.len == 0)
			continue;
		out->binding[n].type = types[i];
		out->binding[n++].data = data;
	}
	if (unpack_bool(&u)) {
		out->fingerprint = unpack_bytes(&u);
		out->subject = unpack_bytes(&u);
		out->mail = unpack_bytes(&u);
		out->trusted = unpack_bool(&u);
	}
	return unpack_done(&u);
}
