/*
 * webreply -- what a web server answers to one request, HTTP/1.1 (rfc9112)
 *
 * From:     role/sender-web
 * Touches:  nothing
 *
 * webreply_read()  of all that has come so far; `ended`: no more comes.  WEB_MORE: it is not whole; WEB_WHOLE with *out, whose
 *     content is the arena's; WEB_BROKEN: it will never be one, or has more than WEB_HEADER_MOST or `most` bytes.
 */
#ifndef SMTP_SENDER_WEBREPLY_H
#define SMTP_SENDER_WEBREPLY_H

#include "base/arena.h"
#include "base/bytes.h"

enum { WEB_HEADER_MOST = 16 << 10 };
enum web_outcome { WEB_MORE, WEB_WHOLE, WEB_BROKEN };
struct webreply {
	unsigned     code;
	struct bytes type;             /* "text/plain", without what stands behind it */
	struct bytes content;
};
enum web_outcome webreply_read(struct bytes so_far, bool ended, size_t most, struct arena *, struct webreply *out);

#endif
