/*
 * reply -- what an SMTP server says: three digits, perhaps three more with dots, words
 *
 * reply_text()  appends bytes of the client to a reply (rfc5321:4.2: printable
 *               US-ASCII): what cannot be shown becomes '?', what is long is cut.
 * reply_error() whether a reply refuses (4yz or 5yz).
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/buffer.h"

enum { REPLY_TEXT_MOST = 400 };      /* rfc5321:4.5.3.1.5: a reply line has 512 octets */

void reply_text(struct buffer *out, struct bytes);
/* The same where the client understands UTF-8 (rfc6531:3.7.4). */
void reply_text_as(struct buffer *out, struct bytes, bool utf8);
bool reply_error(struct bytes reply);

#endif
