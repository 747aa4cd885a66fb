/*
 * tls_inner -- what channel/ needs of TLS that the house does not see
 *
 * tls_take()      one user more; tls_drop() one less, the last ends it.
 * tls_begin()     a session on a connected socket, for SSL_free(): a server's, or of tls_open_outgoing() a
 *                 client's that asks for what it wishes (NULL: nothing).
 * tls_demand()      puts into a session of ours what it wishes.
 * tls_by_dane()   whether the host was proved by TLSA records.
 * tls_sessions_begin()  a context of ours keeps sessions for so many seconds; 0: it does not.
 * tls_trace_begin()     tells the settings' `trace` of what this session does; tls_settings_in() these settings.
 * tls_describe()  what was agreed; tls_describe_client(), of the client's certificate.
 * tls_is_for()    whether the certificate shown to us is for that name, or for one below ".name".
 * tls_trust()     authorities, in PEM, whom a context trusts.
 * tls_patience()  how long a handshake may take, in milliseconds.
 * tls_digest()    the digest that fingerprints are made with.
 * tls_binding()   channel binding, see stream.h.
 * tls_channel()   all of it and the client's certificate, packed for tls_channel_read().
 * tls_ask_for()   has a context ask clients for certificates.
 * tls_complain()  adds "WHAT: why\n" from OpenSSL's queue, and empties it.
 * tls_remote_key() the private half of a public key, whose work is done by the
 *                 signer.  `remote` must live as long as the key.
 * tls_spki_id()   SHA-256 of the public key in hex.
 */
#ifndef CHANNEL_TLS_INNER_H
#define CHANNEL_TLS_INNER_H

#include "channel/tls.h"
#include <openssl/ssl.h>

void tls_take(struct tls *);
void tls_drop(struct tls *);
SSL *tls_begin(struct tls *, int fd, const struct tls_demand *);
void tls_demand(SSL *, const struct tls_demand *);
bool tls_by_dane(const SSL *);
void tls_sessions_begin(SSL_CTX *, int64_t life_s);
const char *tls_digest(const SSL *);
const struct tls_settings *tls_settings_in(const SSL *);
void tls_trace_begin(SSL *);
void tls_describe(const SSL *, struct tls_facts *out);
void tls_describe_client(const SSL *, const char *digest, struct tls_facts *out);
bool tls_is_for(const SSL *, const char *name);
bool tls_trust(SSL_CTX *, struct bytes pem);
int64_t tls_patience(const struct tls *);
bool tls_binding(SSL *, const char *type, struct buffer *out);
void tls_channel(SSL *, struct buffer *out);
bool tls_ask_for(SSL_CTX *, const struct tls_settings *);
void tls_complain(struct buffer *errors, const char *what);

struct tls_remote {
	struct tls_signer signer;
	char              key_id[65];
};
EVP_PKEY *tls_remote_key(EVP_PKEY *public_half, const struct tls_remote *);
bool tls_spki_id(EVP_PKEY *, char out[static 65]);

#endif
