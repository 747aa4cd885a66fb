/*
 * transcript -- what two sides say to one another, a line at a time, without their secrets
 *
 * From:     role/debug, which overhears a stream
 * Touches:  nothing; it is told bytes and tells lines
 *
 * transcript_hear()  more bytes of the client, or of the server, as they come and in any pieces.
 * transcript_file()  so many bytes of a file went to the client.
 *
 * Never shown: what follows AUTH, AUTHENTICATE, LOGIN, PASS, APOP, BURL and URLFETCH, all that is said until the server has
 * answered these, what is no command once somebody has tried to log in (who is refused often goes on with the password),
 * and tokens of URLAUTH.  Not shown unless `content`: letters (DATA, BDAT, RETR, TOP), literals, and strings in
 * answers to FETCH; their size is.  A line is cut at LINE_SHOWN bytes; control characters are question marks.
 */
#ifndef CHANNEL_TRANSCRIPT_H
#define CHANNEL_TRANSCRIPT_H

#include "base/bytes.h"

enum transcript_protocol { TRANSCRIPT_SMTP, TRANSCRIPT_IMAP, TRANSCRIPT_POP3 };
enum { TRANSCRIPT_LINE = 512 };
struct transcript;
/* `line`: whether the client said it, and what; ended by NUL. */
struct transcript *transcript_open(enum transcript_protocol, bool content,
                                   void (*line)(void *ctx, bool client, const char *text), void *ctx);
void transcript_hear(struct transcript *, bool client, struct bytes);
void transcript_file(struct transcript *, uint64_t len);
void transcript_close(struct transcript **);

#endif
