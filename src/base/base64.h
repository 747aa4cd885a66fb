/*
 * base64 -- rfc4648:4, strict: no blanks, padding exact, no bits left over
 *
 * base64_decode() appends to *out; false (nothing appended) on anything that
 * is not canonical base64.  MIME bodies with their liberties are decoded by
 * message/encoding.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buffer.h"

void base64_encode(struct buffer *out, struct bytes);
bool base64_decode(struct buffer *out, struct bytes) __attribute__((warn_unused_result));

#endif
