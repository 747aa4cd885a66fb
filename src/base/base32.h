/*
 * base32 -- rfc4648:6, for secrets that people type: written in capitals without padding, read in
 * either case, blanks and dashes between groups left out, padding at the end allowed
 */
#ifndef BASE_BASE32_H
#define BASE_BASE32_H

#include "base/buffer.h"

void base32_encode(struct buffer *out, struct bytes);
/* Appends to *out; false (nothing appended) on any other byte, or bits left over that are not zero. */
bool base32_decode(struct buffer *out, struct bytes) __attribute__((warn_unused_result));

#endif
