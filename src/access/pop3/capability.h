/*
 * capability -- what both halves of a POP3 session say of themselves (rfc2449:5, 6; rfc6856)
 *
 * From:     access/login (before the password), access/pop3 (after it)
 *
 * pop3_capabilities()  the lines of CAPA that are the same before and after logging in.
 * pop3_language()      the answer to LANG (rfc6856:3): one line or the listing.
 */
#ifndef ACCESS_POP3_CAPABILITY_H
#define ACCESS_POP3_CAPABILITY_H

#include "access/pop3/pop3.h"
#include "base/buffer.h"

void pop3_capabilities(const struct pop3_settings *, struct buffer *out);
/* `range`: "" asks for the listing.  False: "-ERR" was said. */
bool pop3_language(struct bytes range, struct buffer *out);

#endif
