/* tls_facts.c -- what was agreed (tls.h), in the words Postfix uses for it */
#include "channel/tls_inner.h"

#include <openssl/ec.h>
#include <openssl/objects.h>
#include <string.h>

static void
copy(char *out, size_t room, const char *text)
{
	if (text == NULL || !bytes_string(bytes_of(text), out, room))
		*out = '\0';
}

/* The short name of a key's curve. */
static void
curve_of(EVP_PKEY *key, char *out, size_t room)
{
	size_t n = 0;

	if (EVP_PKEY_get_group_name(key, out, room, &n) != 1)
		*out = '\0';
}

static void
describe_key(EVP_PKEY *key, struct tls_signature *out)
{
	if (key == NULL)
		return;
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		copy(out->name, sizeof out->name, "RSA-PSS"); /* rfc8446:4.2.3 */
		out->bits = EVP_PKEY_get_bits(key);
		break;
	case EVP_PKEY_EC:
		copy(out->name, sizeof out->name, "ECDSA");
		curve_of(key, out->curve, sizeof out->curve);
		break;
	default: copy(out->name, sizeof out->name, OBJ_nid2sn(EVP_PKEY_get_base_id(key))); break;
	}
}

static void
describe_exchange(SSL *ssl, struct tls_facts *out)
{
	EVP_PKEY *key = NULL;
	int       kind;

	if (SSL_get_peer_tmp_key(ssl, &key) != 1 || key == NULL)
		return;
	kind = EVP_PKEY_get_base_id(key);
	if (kind == EVP_PKEY_EC) {
		copy(out->exchange, sizeof out->exchange, "ECDHE");
		curve_of(key, out->exchange_curve, sizeof out->exchange_curve);
	} else
		copy(out->exchange, sizeof out->exchange, OBJ_nid2sn(kind));
	EVP_PKEY_free(key);
}

/* What the cipher's name does not tell since TLS 1.3.  A resumed session was not signed anew. */
static void
describe_signatures(SSL *ssl, struct tls_facts *out)
{
	int nid = NID_undef;

	if (SSL_version(ssl) < TLS1_3_VERSION)
		return;
	describe_exchange(ssl, out);
	if (out->resumed)
		return;
	describe_key(SSL_get_privatekey(ssl), &out->ours);
	if (SSL_get_signature_nid(ssl, &nid) == 1 && nid != NID_undef)
		copy(out->ours.digest, sizeof out->ours.digest, OBJ_nid2sn(nid));
	if (!out->certificate)
		return;
	describe_key(X509_get0_pubkey(SSL_get0_peer_certificate(ssl)), &out->theirs);
	if (SSL_get_peer_signature_nid(ssl, &nid) == 1 && nid != NID_undef)
		copy(out->theirs.digest, sizeof out->theirs.digest, OBJ_nid2sn(nid));
}

void
tls_describe(const SSL *ssl, struct tls_facts *out)
{
	memset(out, 0, sizeof *out);
	copy(out->version, sizeof out->version, SSL_get_version(ssl));
	copy(out->cipher, sizeof out->cipher, SSL_get_cipher_name(ssl));
	copy(out->sni, sizeof out->sni, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	out->bits = SSL_get_cipher_bits(ssl, &out->algorithm_bits);
	out->resumed = SSL_session_reused(ssl);
	out->asked = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
	out->required = (SSL_get_verify_mode(ssl) & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0;
	out->certificate = SSL_get0_peer_certificate(ssl) != NULL;
	describe_signatures((SSL *)(uintptr_t)ssl, out);
	if (out->certificate)
		tls_describe_client(ssl, tls_digest(ssl), out);
	out->dane = tls_by_dane(ssl);
}

static void
say_signature(const struct tls_signature *s, const char *whose, const char *before,
              struct buffer *out)
{
	if (s->name[0] == '\0')
		return;
	buffer_printf(out, "%s%s-signature %s", before, whose, s->name);
	if (s->curve[0] != '\0')
		buffer_printf(out, " (%s)", s->curve);
	else if (s->bits > 0)
		buffer_printf(out, " (%d bits)", s->bits);
	if (s->digest[0] != '\0')
		buffer_printf(out, " %s-digest %s", whose, s->digest);
}

void
tls_facts_more(const struct tls_facts *f, const char *before, const char *before_client,
               struct buffer *out)
{
	if (f->exchange[0] != '\0')
		buffer_printf(out, "%skey-exchange %s", before, f->exchange);
	if (f->exchange_curve[0] != '\0')
		buffer_printf(out, " (%s)", f->exchange_curve);
	say_signature(&f->ours, "server", f->exchange[0] != '\0' ? " " : before, out);
	say_signature(&f->theirs, "client", before_client, out);
}
