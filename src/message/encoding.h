/*
 * encoding -- content-transfer-encodings (rfc2045:6), encoded words (rfc2047),
 * charsets to UTF-8 (glibc iconv; GB2312 and GBK read as GB18030)
 *
 * Decoders are forgiving (rfc7103) and never fail: what cannot be decoded
 * becomes U+FFFD or is passed on.
 */
#ifndef MESSAGE_ENCODING_H
#define MESSAGE_ENCODING_H

#include "base/buffer.h"

void qp_decode(struct bytes, struct buffer *out);
void base64_decode_mime(struct bytes, struct buffer *out);
/* How long a first piece is that may be decoded by itself, and the rest by itself: at least so many bytes, or all. */
size_t qp_piece(struct bytes, size_t least);
size_t base64_piece(struct bytes, size_t least);
/* charset "" or unknown: UTF-8 if valid, else latin1. At most `most` bytes out. */
void charset_to_utf8(struct bytes charset, struct bytes text, size_t most, struct buffer *out);
/* =?gb18030?B?...?= words decoded, blanks between words dropped; raw 8-bit guessed. */
void words_decode(struct bytes field, struct buffer *out);
/* Modified UTF-7 of rfc3501:5.1.3.  False when malformed. */
bool utf7_to_utf8(struct bytes, struct buffer *out);
void utf8_to_utf7(struct bytes, struct buffer *out);
bool utf8_valid(struct bytes);

#endif
