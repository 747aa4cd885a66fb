/*
 * webrequest -- one request of HTTP/1.1 as a server hears it (rfc9112)
 *
 * From:     role/guide
 * To:       guide/webwish
 * Touches:  nothing
 *
 * webrequest_read()  looks at all that has come so far.
 *     WEBREQUEST_MORE   it is not whole yet; with `expects` the client waits to hear that its body is wanted (rfc9110:10.1.1).
 *     WEBREQUEST_WHOLE  it is; the views point into what came.
 *     WEBREQUEST_BAD    all there is to say to it is `status`.
 *
 * Bounds: WEBREQUEST_HEAD_MOST bytes up to the empty line, WEBREQUEST_FIELDS_MOST fields, WEBREQUEST_BODY_MOST bytes of body.
 * Lines end with CRLF and nothing else.  A body has a Content-Length; one that comes in pieces is not taken.  Nothing is decoded
 * here, and a path is what stands there: there are no files behind it.
 */
#ifndef GUIDE_WEBREQUEST_H
#define GUIDE_WEBREQUEST_H

#include "base/bytes.h"

enum { WEBREQUEST_HEAD_MOST = 8192, WEBREQUEST_FIELDS_MOST = 64, WEBREQUEST_BODY_MOST = 8192 };
enum webrequest_outcome { WEBREQUEST_MORE, WEBREQUEST_WHOLE, WEBREQUEST_BAD };
enum webrequest_method { WEB_GET = 1, WEB_HEAD = 2, WEB_POST = 4, WEB_OTHER = 8 };
struct webrequest {
	enum webrequest_method method;
	struct bytes path, query;      /* "/a/b", "c=d"; "" none                 */
	struct bytes host;             /* without a port; "" none is named       */
	struct bytes body;             /* of POST                                */
	bool         expects;
	unsigned     status;           /* of BAD: "400"                          */
};
enum webrequest_outcome webrequest_read(struct bytes arrived, struct webrequest *out) __attribute__((warn_unused_result));

#endif
