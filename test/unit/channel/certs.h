/*
 * certs -- keys and self-signed certificates made for one test
 *
 * cert_make("EC" or "RSA" or "ED25519", "a.example,*.b.example"); the first
 * name is the subject too.
 */
#ifndef UNIT_CHANNEL_CERTS_H
#define UNIT_CHANNEL_CERTS_H

#include "base/buffer.h"

struct cert { struct buffer chain, key; };
struct cert cert_make(const char *kind, const char *names);
void cert_free(struct cert *);

#endif
