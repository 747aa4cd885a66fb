/*
 * ntlm -- the arithmetic of NTLMv2 ([MS-NLMP] 3.3.2)
 *
 * md4()         rfc1320, which OpenSSL no longer has by itself.
 * ntlm_key()    NTOWFv2: of password, user and domain.
 * ntlm_proof()  NTProofStr: of that key, the server's eight bytes and the client's blob.
 * ntlm_utf16()  UTF-8 as UTF-16 with its small end first, in the arena; false: not UTF-8.
 */
#ifndef SASL_NTLM_H
#define SASL_NTLM_H

#include "base/arena.h"

void md4(struct bytes, unsigned char out[static 16]);
bool ntlm_utf16(struct bytes, bool capitals, struct arena *, struct bytes *out);
bool ntlm_key(struct bytes password, struct bytes user, struct bytes domain, struct arena *, unsigned char out[static 16]);
void ntlm_proof(const unsigned char key[static 16], const unsigned char challenge[static 8], struct bytes blob, struct arena *, unsigned char out[static 16]);

#endif
