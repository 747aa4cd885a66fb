/*
 * mac -- the keyed digests that mechanisms are made of
 *
 * mac_make()  HMAC (rfc2104) by the digest of that name ("SHA-1", "SHA-256", "MD5"); gives its length.
 *             Panics where the digest is not to be had: mac_has() tells before.
 * mac_digest() the digest alone.
 * mac_stretch() one block of PBKDF2 (rfc8018:5.2), which is Hi() of rfc5802:2.2.
 * mac_go_on() HMAC-MD5 of text, where the key is known only by the states that it leaves digests in: outer, then inner (rfc2195:2).
 * mac_hex()   bytes as small hex digits and a NUL.
 */
#ifndef SASL_MAC_H
#define SASL_MAC_H

#include "base/bytes.h"

enum { MAC_MOST = 64 };
bool   mac_has(const char *digest);
size_t mac_make(const char *digest, struct bytes key, struct bytes text, unsigned char out[static MAC_MOST]);
size_t mac_digest(const char *digest, struct bytes text, unsigned char out[static MAC_MOST]);
size_t mac_stretch(const char *digest, struct bytes password, struct bytes salt, uint64_t rounds, unsigned char out[static MAC_MOST]);
enum { MAC_STATES = 32 };
size_t mac_go_on(const unsigned char states[static MAC_STATES], struct bytes text, unsigned char out[static MAC_MOST]);
void   mac_hex(const unsigned char *raw, size_t len, char *out);

#endif
