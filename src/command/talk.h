/*
 * talk -- a conversation with a server, a line at a time, in TLS or not
 *
 * From:     command tls, test, dns, doctor
 * Touches:  one connection; it waits
 *
 * talk_open()    connects to a host (name or address) and port; patience is for each step.  Never NULL: what
 *                went wrong, here or later, talk_why() says, and every step after it does nothing.
 * talk_take()    the same with a socket that is connected, which becomes the talk's.
 * talk_secure()  the handshake of a client, with the caller's context; `name` is what is asked for (NULL: nothing).
 *                When it fails because of the certificate talk_why() says so.
 * talk_say()     sends bytes as they are.  talk_hear() one line, without its end, good until the next call;
 *                false: none came.
 * talk_rest()    all that follows, as it comes: `take` sees what has come so far, and whether no more will; false: it has enough.
 * talk_over()    no more will come: the server has closed, or something went wrong.
 */
#ifndef COMMAND_TALK_H
#define COMMAND_TALK_H

#include <openssl/ssl.h>

#include "base/buffer.h"

struct talk;
struct talk *talk_open(const char *host, int port, int patience_ms);
struct talk *talk_take(int fd, int patience_ms);
bool talk_secure(struct talk *, SSL *);
SSL *talk_ssl(const struct talk *);
bool talk_say(struct talk *, struct bytes);
bool talk_hear(struct talk *, struct bytes *line);
void talk_rest(struct talk *, bool (*take)(void *ctx, struct bytes so_far, bool ended), void *ctx);
bool talk_over(const struct talk *);
const char *talk_why(const struct talk *);
const char *talk_address(const struct talk *);         /* of the server, "" none   */
void talk_close(struct talk **);

/* "mail.example.org", "mail.example.org:25", "192.0.2.1:25", "[2001:db8::1]:25"; *port stays where none is said. */
bool talk_target(const char *text, char host[static 256], int *port);

/* One reply of SMTP or LMTP (rfc5321:4.2.1): its lines go to `each`; the code, or 0 when none came. */
int talk_reply(struct talk *, void (*each)(void *ctx, struct bytes line), void *ctx);

/* Begins TLS in the words of a protocol: "smtp", "lmtp", "imap", "pop3"; up to the answer that lets it begin. */
bool talk_starttls(struct talk *, const char *protocol, const char *hello, struct buffer *why);

#endif
