/* tls_outgoing.c -- what a connection of ours asks of the host (tls.h): who it is by DANE, and a session begun before */
#include "base/arena.h"
#include "base/journal.h"
#include "base/map.h"
#include "channel/tls_inner.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { SESSIONS_MOST = 2000, USAGE_TA = 2, USAGE_EE = 3, FULL = 0, SHA2_256 = 1, SHA2_512 = 2 };

/* Places in OpenSSL's objects, made with the first context. */
static int sessions_place = -1, key_place = -1, dane_place = -1;

/* ---- DANE ---- */

static bool
is_certificate(struct bytes der)
{
	const unsigned char *at = (const unsigned char *)der.at;
	X509                *x = d2i_X509(NULL, &at, (long)der.len);
	bool                 good = x != NULL && at == (const unsigned char *)der.at + der.len &&
	            X509_get0_pubkey(x) != NULL;

	X509_free(x);
	return good;
}

static bool
is_key(struct bytes der)
{
	const unsigned char *at = (const unsigned char *)der.at;
	EVP_PKEY            *key = d2i_PUBKEY(NULL, &at, (long)der.len);
	bool                 good = key != NULL && at == (const unsigned char *)der.at + der.len;

	EVP_PKEY_free(key);
	return good;
}

bool
tls_record_usable(const struct tls_record *r)
{
	bool good;

	if (r->usage < USAGE_TA || r->usage > USAGE_EE || r->selector > 1)
		return false; /* rfc7672:3.1.3 */
	switch (r->matching) {
	case SHA2_256: return r->data.len == 32;
	case SHA2_512: return r->data.len == 64;
	case FULL: break;
	default: return false;
	}
	if (r->data.len == 0 || r->data.len > 65535)
		return false;
	good = r->selector == 0 ? is_certificate(r->data) : is_key(r->data);
	ERR_clear_error();
	return good;
}

size_t
tls_anchors(struct bytes pem, struct arena *a, struct tls_record *out, size_t most)
{
	BIO           *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;
	char          *name, *header;
	unsigned char *data;
	long           len;
	size_t         n = 0;

	while (bio != NULL && n < most && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
		bool              key = strcmp(name, PEM_STRING_PUBLIC) == 0;
		struct tls_record r = { USAGE_TA, key, FULL, { (const char *)data, (size_t)len } };

		if ((key || strcmp(name, PEM_STRING_X509) == 0) && tls_record_usable(&r)) {
			r.data = arena_keep(a, r.data);
			out[n++] = r;
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

/* rfc7671:9: the digests are chosen from by OpenSSL, the strongest of each usage and selector. */
static bool
prove_by(SSL *ssl, const struct tls_demand *w)
{
	bool some = false;

	if (SSL_dane_enable(ssl, w->anchors ? NULL : w->name) != 1)
		return false;
	(void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* rfc7672:3.1.1 */
	for (size_t i = 0; i < w->names; i++)
		(void)SSL_add1_host(ssl, w->other_name[i]);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < w->records; i++) {
		const struct tls_record *r = &w->record[i];

		if (SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching,
		                      (const unsigned char *)r->data.at, r->data.len) == 1)
			some = true;
	}
	ERR_clear_error();
	return some && (w->anchors || SSL_set_ex_data(ssl, dane_place, ssl) == 1);
}

bool
tls_by_dane(const SSL *ssl)
{
	return dane_place >= 0 && SSL_get_ex_data(ssl, dane_place) == ssl &&
	       SSL_get_verify_result(ssl) == X509_V_OK && SSL_get0_peer_certificate(ssl) != NULL;
}

/* ---- sessions ---- */

static void
sessions_drop(struct map *m)
{
	for (struct map_place p = { 0 }; map_next(m, &p);)
		SSL_SESSION_free(map_drop(m, p.key));
}

static void
sessions_free(void *ctx, void *at, CRYPTO_EX_DATA *data, int index, long number, void *more)
{
	struct map *m = at;

	(void)ctx, (void)data, (void)index, (void)number, (void)more;
	if (m == NULL)
		return;
	sessions_drop(m);
	map_close(&m);
}

static void
key_free(void *ssl, void *at, CRYPTO_EX_DATA *data, int index, long number, void *more)
{
	(void)ssl, (void)data, (void)index, (void)number, (void)more;
	memory_free(at);
}

/* 1: it is ours to free. */
static int
session_new(SSL *ssl, SSL_SESSION *session)
{
	struct map *m = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), sessions_place);
	const char *key = SSL_get_ex_data(ssl, key_place);

	if (m == NULL || key == NULL || SSL_SESSION_is_resumable(session) != 1)
		return 0;
	if (map_count(m) >= SESSIONS_MOST)
		sessions_drop(m);
	SSL_SESSION_free(map_put(m, bytes_of(key), session));
	return 1;
}

void
tls_sessions_begin(SSL_CTX *ctx, int64_t life_s)
{
	if (sessions_place < 0) {
		sessions_place = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, sessions_free);
		key_place = SSL_get_ex_new_index(0, NULL, NULL, NULL, key_free);
		dane_place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (life_s <= 0 || SSL_CTX_set_ex_data(ctx, sessions_place, map_open()) != 1)
		return;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_timeout(ctx, (long)life_s);
	SSL_CTX_sess_set_new_cb(ctx, session_new);
}

/* rfc8446:C.4: a ticket is shown once.  What is too old OpenSSL does not show. */
static void
go_on_with(SSL *ssl, const char *key)
{
	struct map  *m = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), sessions_place);
	SSL_SESSION *session;
	size_t       n = strlen(key) + 1;
	char        *copy;

	if (m == NULL || *key == '\0')
		return;
	copy = memcpy(memory_take(n), key, n);
	if (SSL_set_ex_data(ssl, key_place, copy) != 1) {
		memory_free(copy);
		return;
	}
	session = map_drop(m, bytes_of(key));
	if (session != NULL &&
	    SSL_SESSION_get_time(session) + SSL_SESSION_get_timeout(session) > (long)time(NULL))
		(void)SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
}

void
tls_demand(SSL *ssl, const struct tls_demand *w)
{
	/* rfc6066:3: no address is a name. */
	if (*w->name != '\0' && SSL_set_tlsext_host_name(ssl, w->name) != 1)
		ERR_clear_error();
	if (w->records > 0 && !prove_by(ssl, w))
		warn_("no TLSA record of %s can be used", w->name);
	if (w->session != NULL)
		go_on_with(ssl, w->session);
}
