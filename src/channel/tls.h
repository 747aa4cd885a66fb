/*
 * tls -- the TLS of one listener, with a key that is not here
 *
 * The certificate chain is ours to show; the private key lives in the signer.
 * Each signature is asked for through `sign` (which may block for the short
 * while the signer needs): no private key is ever in this process.
 *
 * tls_open() NULL with words in *errors on a bad certificate or setting.
 * Several certificates (ECDSA first, RSA for old peers) may be added.
 * Sessions resume across processes: what `tickets` holds (TICKET_SEED bytes, channel/tickets.h)
 * is the same for all fronts.
 */
#ifndef CHANNEL_TLS_H
#define CHANNEL_TLS_H

#include "base/arena.h"
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
/* The bytes of TLS as they go over the wire, what it hides still hidden: of handshakes, or all. */
enum tls_dump { TLS_DUMPS_NOTHING, TLS_DUMPS_HANDSHAKES, TLS_DUMPS_ALL };
#define TLS_UNTOLD "# these are not told\n"
struct tls_settings {
	const char *protocols;     /* as Postfix writes them: ">=TLSv1.2", "!SSLv2 !SSLv3"; "" for 1.2 and 1.3 */
	const char *ciphers;       /* OpenSSL list for 1.2; "" for the default */
	const char *curves;        /* groups by colon, the best first; "" for the default */
	uint64_t    options;       /* of tls_option(), besides our own     */
	bool        client_order;  /* the client's order of ciphers counts */
	const char *session_id;    /* "smtp", "imap": sessions do not mix    */
	const char *alpn;          /* "" or e.g. "imap", by blanks: offered others refused (ALPACA) */
	bool ask_certificate;      /* of clients; whatever they show, or none, the handshake goes on */
	bool require_certificate;  /* without any it ends                  */
	struct bytes authorities;  /* PEM: whose certificates of clients are trusted; "" nobody's.  Clients are not told of
	                              those behind TLS_UNTOLD */
	int  verify_depth;         /* of their chains; 0: 9                */
	const char *digest;        /* of fingerprints; "" sha256           */
	int64_t ticket_s;          /* for so long a session may be resumed; 0: 3600 */
	int64_t handshake_ms;      /* it must be over by then; 0: 10 s     */
	void (*trace)(const char *line);   /* told of each step of a handshake, who is at the other end in front; NULL nobody */
	enum tls_dump dump;        /* and of what goes over the wire   */
};
/* Who a host is, as the name service proves it (rfc6698:2.1). */
struct tls_record { uint8_t usage, selector, matching; struct bytes data; };
/* Whether it says anything to a client of SMTP: usages 2 and 3, digests we know, data that can be what it should be. */
bool tls_record_usable(const struct tls_record *);
/* Where chains may lead to: the certificates and public keys of a text in PEM as records of usage 2, up to `most`; how many. */
size_t tls_anchors(struct bytes pem, struct arena *, struct tls_record *out, size_t most);
/* What a connection that we begin asks of the host. */
struct tls_demand {
	const char *name;          /* asked for (SNI)                      */
	const struct tls_record *record; size_t records;   /* all usable; with any, trust means these and nothing else */
	bool anchors;              /* they are where chains lead to, and names are none of theirs  */
	const char *const *other_name; size_t names;       /* for these besides `name` a certificate below an authority of theirs may be */
	const char *session;       /* a session begun under this key goes on; NULL, "": none.  In it is all that trust rests on */
};
struct tls;
struct tls *tls_open(const struct tls_settings *, const struct tls_signer *,
                     struct bytes tickets, struct buffer *errors);
/* For connections we begin (stream_secure_to()), whatever certificate the host shows: tls_facts say whether it is trusted.
   Of the settings protocols, ciphers, curves, options, authorities, verify_depth, digest and ticket_s (< 0: sessions
   are not gone on with) count.  With `signer` tls_add_certificate() says what is shown to hosts that ask. */
struct tls *tls_open_outgoing(const struct tls_settings *, const struct tls_signer *, struct buffer *errors);
/* key_id is SHA-256 of the public key (DER SubjectPublicKeyInfo), hex. */
bool tls_add_certificate(struct tls *, struct bytes chain_pem, struct buffer *errors);
/* One more, for those who ask for `name` (".example.org": for all below it) or, if that is "", for a name the
   certificate has and no other before it.  Who names nobody is not shown it, unless there is no other. */
bool tls_add_certificate_for(struct tls *, struct bytes chain_pem, const char *name, struct buffer *errors);
/* When none was added but by the call above: what those who name nobody are shown is the certificate for `name`, or
   the first.  False: there is none at all. */
bool tls_settle(struct tls *, const char *name);
struct tls *tls_share(struct tls *);           /* one owner more              */
void tls_close(struct tls **);                 /* sessions that use it go on  */
/* Whether the private key of a certificate signs: one signature is asked for and proved. */
bool tls_key_answers(struct bytes chain_pem, const struct tls_signer *);
/* What may be shown of a file of keys and certificates: its certificates, and for every key the line "# key". */
void tls_public_part(struct bytes pem, struct buffer *out);
/* The next chain of certificates, up to such a line; false: no more. */
bool tls_next_chain(struct bytes *rest, struct bytes *chain);
/* The key_id of a certificate or private key in PEM, for the signer. */
bool tls_key_id(struct bytes pem, char out[static 65]);

/* What was agreed, for Received, logs, rules and SCRAM-PLUS. */
enum { TLS_NAME_ROOM = 160, TLS_FINGERPRINT_ROOM = 3 * 64 };
struct tls_signature { char name[24], curve[24], digest[16]; int bits; };
struct tls_facts {
	char version[16];          /* "TLSv1.3"                */
	char cipher[64];           /* "TLS_AES_256_GCM_SHA384" */
	int  bits, algorithm_bits;
	char sni[256];
	bool resumed;
	char exchange[24], exchange_curve[24];     /* of TLS 1.3: "X25519", "" */
	struct tls_signature ours, theirs;         /* name "": none           */
	bool asked, required;      /* a certificate, of the client */
	bool certificate;          /* the client has shown one */
	bool trusted;              /* by an authority of ours, or by TLSA records */
	bool dane;                 /* by these                 */
	char subject[TLS_NAME_ROOM], issuer[TLS_NAME_ROOM];        /* their CN, without what could break a line */
	char fingerprint[TLS_FINGERPRINT_ROOM];    /* of the certificate, AA:BB:...: as the settings say */
	char key_fingerprint[TLS_FINGERPRINT_ROOM];        /* of its public key    */
	char doubt[80];            /* why it is not trusted    */
};
/* " key-exchange X25519 server-signature ECDSA (prime256v1) server-digest SHA256", and the client's: what TLS 1.3 says
   besides the cipher; "" for 1.2.  Each begins with `before`, as "\r\n\t ". */
void tls_facts_more(const struct tls_facts *, const char *before, const char *before_client, struct buffer *out);

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
/* Every key of a file; false when there is none, or one that cannot be used. */
bool tls_keys_add(struct tls_keys *, struct bytes key_pem, struct buffer *errors);
bool tls_keys_hold(const struct tls_keys *, const struct tls_keys *others);    /* all that they have */
bool tls_keys_sign(struct tls_keys *, struct bytes key_id, enum tls_sign_kind, int padding,
                   struct bytes in, struct buffer *out);
void tls_keys_close(struct tls_keys **);

#endif
