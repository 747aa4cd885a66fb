/* tls_client.c -- the certificate a client shows, and what binds a login to its TLS session (tls.h) */
#include "base/pack.h"
#include "channel/tls_inner.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { DEPTH = 9 };

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
		X509_NAME *name = names == NULL ? NULL : X509_NAME_dup(X509_get_subject_name(x));

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
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	ptrdiff_t   mark = bytes_search(c->authorities, BYTES(TLS_UNTOLD));
	size_t      told = mark < 0 ? c->authorities.len : (size_t)mark;
	bool        some = store_fill(store, names, bytes_cut(c->authorities, 0, told));

	some = store_fill(store, NULL, bytes_cut(c->authorities, told, c->authorities.len)) || some;
	if (c->authorities.len > 0 && !some) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return false;
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx,
	                   SSL_VERIFY_PEER |
	                           (c->require_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
	                   let_pass);
	SSL_CTX_set_verify_depth(ctx, c->verify_depth > 0 ? c->verify_depth : DEPTH);
	return true;
}

bool
tls_trust(SSL_CTX *ctx, struct bytes pem)
{
	return pem.len == 0 || store_fill(SSL_CTX_get_cert_store(ctx), NULL, pem);
}

/* rfc6125:6.4.3: a wildcard stands for a whole label. */
bool
tls_is_for(const SSL *ssl, const char *name)
{
	X509 *x = SSL_get0_peer_certificate(ssl);

	return x != NULL && *name != '\0' &&
	       X509_check_host(x, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
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

/* A CN as it can stand in a line of the log or a field: one line, no quotes. */
static void
put_name(X509_NAME *of, char out[static TLS_NAME_ROOM])
{
	int            at = X509_NAME_get_index_by_NID(of, NID_commonName, -1), n = -1;
	unsigned char *text = NULL;
	size_t         used = 0;

	if (at >= 0)
		n = ASN1_STRING_to_UTF8(&text,
		                        X509_NAME_ENTRY_get_data(X509_NAME_get_entry(of, at)));
	for (int i = 0; i < n && used + 1 < TLS_NAME_ROOM; i++)
		out[used++] = text[i] < ' ' || strchr("\"\\()\177", text[i]) != NULL
		                      ? '?'
		                      : (char)text[i];
	out[used] = '\0';
	OPENSSL_free(text);
}

static void
put_fingerprint(const unsigned char *raw, unsigned n, char out[static TLS_FINGERPRINT_ROOM])
{
	out[0] = '\0';
	for (unsigned i = 0; i < n && 3 * (i + 1) < TLS_FINGERPRINT_ROOM + 1; i++)
		(void)snprintf(out + 3 * (size_t)i, 4, i + 1 < n ? "%02X:" : "%02X", raw[i]);
}

void
tls_describe_client(const SSL *ssl, const char *digest, struct tls_facts *out)
{
	X509         *x = SSL_get0_peer_certificate(ssl);
	const EVP_MD *md = EVP_get_digestbyname(digest);
	long          why = SSL_get_verify_result(ssl);
	unsigned char raw[EVP_MAX_MD_SIZE], *key = NULL;
	unsigned      n = 0;
	int           len = i2d_PUBKEY(X509_get0_pubkey(x), &key);

	put_name(X509_get_subject_name(x), out->subject);
	put_name(X509_get_issuer_name(x), out->issuer);
	if (md != NULL && X509_digest(x, md, raw, &n) == 1)
		put_fingerprint(raw, n, out->fingerprint);
	if (md != NULL && len > 0 && EVP_Digest(key, (size_t)len, raw, &n, md, NULL) == 1)
		put_fingerprint(raw, n, out->key_fingerprint);
	OPENSSL_free(key);
	out->trusted = why == X509_V_OK;
	if (!out->trusted)
		(void)snprintf(out->doubt, sizeof out->doubt, "%s",
		               X509_verify_cert_error_string(why));
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
