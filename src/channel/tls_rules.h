/*
 * tls_rules -- what settings may say of TLS, in Postfix's words
 *
 * tls_protocols()  ">=TLSv1.2", "<=TLSv1.3", "!SSLv2, !SSLv3", "TLSv1.2 TLSv1.3", by comma, colon and blank.  SSL and
 *                  TLS before 1.2 may be named and are never spoken (rfc8996): where they alone were meant (`older`), those after
 *                  them are.  False with the word that is wrong, or with "" when nothing is left to speak.
 * tls_ciphers()    an OpenSSL list of a grade without what is excluded; false: a word that could be
 *                  more than a name.
 * tls_ciphers_outgoing() the same for a client, which needs no key of its own to exchange keys by RSA.
 * tls_curves()     names of groups by blanks and commas as OpenSSL wants them, in *out.
 * tls_option()     the bit of "NO_TICKET" and its like; 0: not known.
 */
#ifndef CHANNEL_TLS_RULES_H
#define CHANNEL_TLS_RULES_H

#include "base/buffer.h"

struct tls_versions { bool v12, v13, older; };
bool tls_protocols(struct bytes text, struct tls_versions *out, struct bytes *wrong);
bool tls_ciphers(struct bytes grade, struct bytes exclude, struct buffer *out);
bool tls_ciphers_outgoing(struct bytes grade, struct bytes exclude, struct buffer *out);
void tls_curves(struct bytes names, struct buffer *out);
uint64_t tls_option(struct bytes name);

#endif
