/*
 * request -- a certificate is asked for, and what came of it is looked at
 *
 * From:     acme/order, role/certifier
 * Touches:  nothing
 *
 * request_make()   a new key (in PEM, appended to *key) and the request for these names in DER (rfc2986, rfc8555:7.4).
 * request_fits()   whether a chain in PEM begins with a certificate for this key.
 * certificate_look() what the first certificate of a text in PEM holds; false: there is none.
 * validation_make() the certificate that answers tls-alpn-01 for a name (rfc8737:3): its own issuer, with the digest of
 *                  the key authorization; *key is appended as PEM, *certificate too.
 */
#ifndef ACME_REQUEST_H
#define ACME_REQUEST_H

#include "base/buffer.h"

enum request_kind { REQUEST_ECDSA, REQUEST_RSA };
bool request_make(enum request_kind, const char *const *name, size_t count, struct buffer *key, struct buffer *der);
bool request_fits(struct bytes chain, struct bytes key);

struct certificate_facts { int64_t from, until; size_t among; };
/* `among`: how many of these names it has. */
bool certificate_look(struct bytes pem, const char *const *name, size_t count, struct certificate_facts *out);
bool validation_make(const char *name, struct bytes authorization, struct buffer *key, struct buffer *certificate);

#endif
