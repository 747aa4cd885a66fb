/*
 * proof -- a letter sent and read again, as a mail program does it
 *
 * From:     command demo
 * Touches:  two connections to 127.0.0.1
 *
 * proof_make()   submits a letter over STARTTLS, logged in as `from`, and reads it over IMAP with
 *     TLS as `to`, until it is there or patience ends.  Both certificates must be good for `host`
 *     under `authority`.  What happened is told in *told, a line each.
 *
 * Fails:    false, with what was wrong in *told behind that.  An event on `alarm` ends it early.
 */
#ifndef COMMAND_PROOF_H
#define COMMAND_PROOF_H

#include "base/buffer.h"

struct proof {
	const char *authority;       /* file of the CA, PEM                      */
	const char *host;            /* the name in the certificate              */
	const char *domain;
	int         submission, imaps;  /* ports                                 */
	const char *from, *to, *password;
	int         alarm;           /* a descriptor; readable: give up          */
};
bool proof_make(const struct proof *, struct buffer *told);

#endif
