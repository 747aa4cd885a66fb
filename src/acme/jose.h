/*
 * jose -- what is said to an ACME server is signed with the key of an account (rfc7515, rfc7517, rfc7638)
 *
 * From:     acme/order
 * Touches:  nothing
 *
 * jose_make()    a new key, ECDSA with P-256.  jose_read() that of a text in PEM; NULL: there is none in it.
 * jose_write()   appends it in PEM.
 * jose_sign()    appends one request (rfc8555:6.2): the key stands in it where `kid` is NULL, else the account's URL.
 *                   No payload (`at` NULL) is the empty one of POST-as-GET (rfc8555:6.3).  False when OpenSSL refuses.
 * jose_bind()    appends what binds the key to an account the authority knows already (rfc8555:7.3.4): signed with the secret it gave.
 * jose_thumbprint() appends the digest of the key that stands in answers to challenges (rfc7638:3).
 * jose_base64url()  appends bytes in base64url without padding (rfc7515:2).
 * jose_secret()     what such a text is, blanks around it left out; false: it is none.
 *
 * What goes into the protected header (nonce, kid, url) comes from a server: it is written as a JSON string.
 */
#ifndef ACME_JOSE_H
#define ACME_JOSE_H

#include "base/buffer.h"

struct jose_key;
struct jose_key *jose_make(void);
struct jose_key *jose_read(struct bytes pem);
bool jose_write(const struct jose_key *, struct buffer *out);
void jose_close(struct jose_key **);

struct jose_request { const char *kid, *nonce, *url; struct bytes payload; };
bool jose_sign(const struct jose_key *, const struct jose_request *, struct buffer *out);
struct jose_binding { const char *kid; struct bytes secret; };     /* kid NULL: none is wanted */
bool jose_bind(const struct jose_key *, const struct jose_binding *, const char *url, struct buffer *out);
void jose_thumbprint(const struct jose_key *, struct buffer *out);
bool jose_secret(struct bytes text, struct buffer *out);
void jose_base64url(struct buffer *out, struct bytes);
/* A text as a JSON string, with its quotes (rfc8259:7). */
void jose_string(struct buffer *out, const char *text);

#endif
