/* Requests as web browsers, mail programs and others write them (rfc9112). */
#include "unit.h"

#include <string.h>

#include "base/buffer.h"
#include "guide/webrequest.h"

enum { MORE = -1 };

/* `status` 0: it is whole. */
static const struct request_case {
	const char *why, *text;
	int         status;
	enum webrequest_method method;
	const char *path, *query, *host, *body;
} cases[] = {
	{ "rfc9112:3.1 the simplest", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 0, WEB_GET, "/", "", "a.example", "" },
	{ "rfc9112:3.2.1 with a query", "GET /mail/x.xml?emailaddress=a%40b HTTP/1.1\r\nHost: a.example:80\r\n\r\n", 0, WEB_GET, "/mail/x.xml", "emailaddress=a%40b", "a.example", "" },
	{ "rfc9112:3.2.2 as a proxy is asked: that host counts", "GET http://b.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", 0, WEB_GET, "/x", "", "b.example", "" },
	{ "rfc9112:3.2.2 any case", "GET HTTP://b.example:8080/x HTTP/1.1\r\nHost: b.example\r\n\r\n", 0, WEB_GET, "/x", "", "b.example", "" },
	{ "rfc9110:7.2 an address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", 0, WEB_GET, "/", "", "[2001:db8::1]", "" },
	{ "rfc9112:3.2 a host without a name", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, WEB_GET, "/", "", "", "" },
	{ "rfc9112:2.2 an empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, WEB_GET, "/", "", "a", "" },
	{ "rfc9112:5.1 names of any case, blanks around", "HEAD / HTTP/1.1\r\nhOST: \t a \t\r\nX-y: 1\r\n\r\n", 0, WEB_HEAD, "/", "", "a", "" },
	{ "HTTP/1.0 needs no host", "GET / HTTP/1.0\r\n\r\n", 0, WEB_GET, "/", "", "", "" },
	{ "rfc9112:6.2 a body", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyzmore", 0, WEB_POST, "/a", "", "a", "xyz" },
	{ "an empty one", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 0, WEB_POST, "/a", "", "a", "" },
	{ "rfc9110:9.3.1 what a GET brings means nothing", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 0, WEB_GET, "/", "", "a", "" },
	{ "rfc9110:5.5 bytes above 127 in a value", "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xe9\r\n\r\n", 0, WEB_GET, "/", "", "a", "" },
	{ "no path of a file: it stays what it is", "GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 0, WEB_GET, "/../../etc/passwd", "", "a", "" },
	{ "nothing yet", "", MORE, WEB_OTHER, "", "", "", "" },
	{ "half a line", "GET / HT", MORE, WEB_OTHER, "", "", "", "" },
	{ "no empty line yet", "GET / HTTP/1.1\r\nHost: a\r\n", MORE, WEB_OTHER, "", "", "", "" },
	{ "half a body", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxy", MORE, WEB_OTHER, "", "", "", "" },
	{ "a handshake of TLS", "\x16\x03\x01\x02\x01", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:3 a blank too many", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "HTTP/0.9", "GET /\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:3.2 no host", "GET / HTTP/1.1\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:3.2 two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "two, the first without a name", "GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:3.2 no such host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:3.2 a user in it", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "a port that is none", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:5.1 a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:5.2 a line that goes on", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "a line of no field", "GET / HTTP/1.1\r\nHost: a\r\nwhat\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9110:5.5 CR alone in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "lines that end with LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc3986:3.5 a fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "a path that begins nowhere", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "control bytes in a path", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:6.3 two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9110:8.6 a length that is none", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400, WEB_OTHER, "", "", "", "" },
	{ "rfc9112:6.1 pieces: nothing is smuggled", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501, WEB_OTHER, "", "", "", "" },
	{ "rfc9110:15.5.12 no length", "POST / HTTP/1.1\r\nHost: a\r\n\r\n", 411, WEB_OTHER, "", "", "", "" },
	{ "too long a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8193\r\n\r\n", 413, WEB_OTHER, "", "", "", "" },
	{ "a length beyond all numbers", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400, WEB_OTHER, "", "", "", "" },
	{ "another expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417, WEB_OTHER, "", "", "", "" },
	{ "rfc9110:9.1 methods have capitals", "get / HTTP/1.1\r\nHost: a\r\n\r\n", 405, WEB_OTHER, "", "", "", "" },
	{ "another method", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405, WEB_OTHER, "", "", "", "" },
	{ "rfc9113:3.4 how HTTP/2 begins", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, WEB_OTHER, "", "", "", "" },
};

static void
test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct request_case *c = &cases[i];
		struct webrequest          r;
		enum webrequest_outcome    o = webrequest_read(bytes_of(c->text), &r);

		HOLDS(c->why, o == (c->status == MORE ? WEBREQUEST_MORE
		                    : c->status == 0  ? WEBREQUEST_WHOLE
		                                      : WEBREQUEST_BAD));
		if (o == WEBREQUEST_BAD)
			HOLDS(c->why, r.status == (unsigned)c->status);
		if (o != WEBREQUEST_WHOLE)
			continue;
		HOLDS(c->why, r.method == c->method);
		SAME(c->why, r.path, bytes_of(c->path));
		SAME(c->why, r.query, bytes_of(c->query));
		SAME(c->why, r.host, bytes_of(c->host));
		SAME(c->why, r.body, bytes_of(c->body));
	}
}

/* Byte after byte nothing is said before the end, and the end is the same. */
static void
test_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bytes      all = bytes_of(cases[i].text);
		struct webrequest r;

		for (size_t n = 0; n < all.len && cases[i].status == MORE; n++)
			HOLDS(cases[i].why,
			      webrequest_read(bytes_cut(all, 0, n), &r) == WEBREQUEST_MORE);
	}
}

static void
fill(struct buffer *b, const char *before, size_t n, const char *after)
{
	buffer_reset(b);
	buffer_add_string(b, before);
	while (b->len < n)
		buffer_add_char(b, 'a');
	buffer_add_string(b, after);
}

static void
test_bounds(void **state)
{
	struct buffer     b = { 0 };
	struct webrequest r;

	(void)state;
	fill(&b, "GET /", 8000, " HTTP/1.1\r\nHost: a\r\n\r\n");
	HOLDS("a long path", webrequest_read(buffer_bytes(&b), &r) == WEBREQUEST_WHOLE);
	fill(&b, "GET /", WEBREQUEST_HEAD_MOST + 1, "");
	HOLDS("a path without end", webrequest_read(buffer_bytes(&b), &r) == WEBREQUEST_BAD);
	HOLDS("a path without end", r.status == 414);
	fill(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: ", WEBREQUEST_HEAD_MOST + 1, "");
	HOLDS("a field without end", webrequest_read(buffer_bytes(&b), &r) == WEBREQUEST_BAD);
	HOLDS("a field without end", r.status == 431);
	buffer_reset(&b);
	buffer_add_string(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < WEBREQUEST_FIELDS_MOST; i++)
		buffer_add_string(&b, "X: 1\r\n");
	buffer_add_string(&b, "\r\n");
	HOLDS("many fields", webrequest_read(buffer_bytes(&b), &r) == WEBREQUEST_BAD);
	HOLDS("many fields", r.status == 431);
	buffer_free(&b);
}

/* rfc9110:10.1.1 */
static void
test_expects(void **state)
{
	static const char text[] =
		"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
	struct webrequest r;

	(void)state;
	HOLDS("it waits", webrequest_read(BYTES("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100"), &r) ==
	                          WEBREQUEST_MORE);
	HOLDS("it has not said all", !r.expects);
	HOLDS("it waits for us", webrequest_read(bytes_of(text), &r) == WEBREQUEST_MORE);
	HOLDS("it waits for us", r.expects);
	HOLDS("one of HTTP/1.0 does not",
	      webrequest_read(BYTES("POST / HTTP/1.0\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), &r) == WEBREQUEST_MORE);
	HOLDS("one of HTTP/1.0 does not", !r.expects);
}

UNIT(test_requests, test_pieces, test_bounds, test_expects)
