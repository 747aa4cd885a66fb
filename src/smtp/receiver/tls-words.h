/*
 * tls-words -- what the log and a Received field say of TLS, as Postfix does
 *
 * tls_tell()   the lines smtpd_tls_loglevel asks for.
 * tls_trace()  the comments of a Received field: protocol and cipher, and the client's certificate.
 */
#ifndef SMTP_RECEIVER_TLS_WORDS_H
#define SMTP_RECEIVER_TLS_WORDS_H

#include "smtp/receiver/settings.h"

void tls_tell(const struct tls_facts *, const struct receiver_config *, const char *client);
void tls_trace(const struct tls_facts *, struct buffer *out);

#endif
