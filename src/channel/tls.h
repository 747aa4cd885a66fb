/*
 * tls -- the TLS of one listener, with a key that is not here
 *
 * The certificate chain is ours to show; the private key lives in the signer.
 * Each signature is asked for through `sign` (which may block for the short
 * while the signer needs): no private key is ever in this process.
 *
 * tls_open() NULL with words in *errors on a bad certificate or setting.
 * Several certificates (ECDSA first, RSA for old peers) may be added.
 * Sessions resume across processes: `ticket_key` (80 random bytes, made anew at
 * each start by the postmaster) is shared by all fronts.
 */
#ifndef CHANNEL_TLS_H
#define CHANNEL_TLS_H

#include "base/buffer.h"

enum tls_sign_kind {
	TLS_SIGN_ECDSA,            /* in: digest; out: DER signature                    */
	TLS_SIGN_RSA,              /* in: RSA_private_encrypt input, `padding` as OpenSSL's; out: result */
};
struct tls_signer {
	bool (*sign)(void *ctx, struct bytes key_id, enum tls_sign_kind, int padding,
	             struct bytes in, struct buffer *out);
	void *ctx;
};
struct tls_settings {
	const char *protocols;     /* ">=TLSv1.2" or ">=TLSv1.3"            */
	const char *ciphers;       /* OpenSSL list for 1.2; "" for the default */
	const char *session_id;    /* "smtp", "imap": sessions do not mix    */
	const char *alpn;          /* "" or e.g. "imap": offered others refused (ALPACA) */
	bool ask_certificate;      /* of clients; whatever they show, or none, the handshake goes on */
	struct bytes authorities;  /* PEM: whose certificates of clients are trusted; "" nobody's */
};
struct tls;
struct tls *tls_open(const struct tls_settings *, const struct tls_signer *,
                     struct bytes ticket_key, struct buffer *errors);
/* key_id is SHA-256 of the public key (DER SubjectPublicKeyInfo), hex. */
bool tls_add_certificate(struct tls *, struct bytes chain_pem, struct buffer *errors);
void tls_close(struct tls **);                 /* sessions that use it go on  */
/* The key_id of a certificate or private key in PEM, for the signer. */
bool tls_key_id(struct bytes pem, char out[static 65]);

/* What was agreed, for Received, logs and SCRAM-PLUS. */
struct tls_facts {
	char version[16];          /* "TLSv1.3"                */
	char cipher[64];           /* "TLS_AES_256_GCM_SHA384" */
	int  bits, algorithm_bits;
	char sni[256];
	bool resumed;
	bool certificate;          /* the client has shown one */
};

/* What a login may lean on: bytes that belong to this TLS session alone, and the client's certificate.
   tls_channel_read() takes apart what stream_tls_channel() packed; views into it.  False: broken. */
enum { TLS_BINDINGS = 3 };
struct tls_channel {
	struct { const char *type; struct bytes data; } binding[TLS_BINDINGS];   /* type NULL: no more */
	struct bytes fingerprint;  /* SHA-256 of the certificate, capital hex with colons; "" none was shown */
	struct bytes subject;      /* as rfc2253 writes it */
	struct bytes mail;         /* the first rfc822Name of subjectAltName, "" none */
	bool trusted;              /* its chain ends at an authority of ours */
};
bool tls_channel_read(struct bytes, struct tls_channel *out);

/* The signer's side: private keys, locked in memory. */
struct tls_keys;
struct tls_keys *tls_keys_open(void);
bool tls_keys_add(struct tls_keys *, struct bytes key_pem, struct buffer *errors);
bool tls_keys_sign(struct tls_keys *, struct bytes key_id, enum tls_sign_kind, int padding,
                   struct bytes in, struct buffer *out);
void tls_keys_close(struct tls_keys **);

#endif
