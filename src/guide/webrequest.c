#include "guide/webrequest.h"

#include <string.h>

/* What fields say about the rest. */
struct framing {
	bool     has_host, has_length, old, in_target;
	uint64_t length;
	size_t   fields;
};

/* rfc9110:5.6.2 */
static bool
is_token(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
			return false;
	}
	return text.len > 0;
}

static bool
is_visible(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] > '~')
			return false;
	return true;
}

/* rfc9110:5.5  Nothing that could end a line, or the text. */
static bool
is_value(struct bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static struct bytes
trim_blanks(struct bytes text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
		text = bytes_cut(text, 1, text.len);
	while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

/* rfc3986:3.2.2  host [ ":" port ]; an address in brackets stays in them. */
static bool
read_authority(struct bytes text, struct bytes *host)
{
	ptrdiff_t    end;
	struct bytes port;
	bool         literal = text.len > 0 && text.at[0] == '[';

	end = literal ? bytes_find(text, ']') + 1 : bytes_find(text, ':');
	if (literal && end == 0)
		return false;
	*host = end < 0 ? text : bytes_cut(text, 0, (size_t)end);
	port = bytes_cut(text, host->len, text.len);
	if (port.len > 0 && port.at[0] != ':')
		return false;
	for (size_t i = 1; i < port.len; i++)
		if (port.at[i] < '0' || port.at[i] > '9')
			return false;
	for (size_t i = 0; i < host->len; i++) {
		char c = ascii_lower(host->at[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
		      c == '_' || (literal && (c == ':' || c == '[' || c == ']'))))
			return false;
	}
	return true;
}

/* rfc9112:3.2.1, 3.2.2  "/path?query", or all of it with "http://host" before. */
static bool
read_target(struct bytes target, struct webrequest *out, struct framing *f)
{
	struct bytes before = bytes_starts_nocase(target, BYTES("http://"))    ? BYTES("http://")
	                      : bytes_starts_nocase(target, BYTES("https://")) ? BYTES("https://")
	                                                                       : BYTES("");
	ptrdiff_t    at;

	if (before.len > 0) {
		target = bytes_cut(target, before.len, target.len);
		if ((at = bytes_find(target, '/')) < 0 ||
		    !read_authority(bytes_cut(target, 0, (size_t)at), &out->host))
			return false;
		target = bytes_cut(target, (size_t)at, target.len);
		f->in_target = true;
	}
	if (target.len == 0 || target.at[0] != '/' || bytes_find(target, '#') >= 0)
		return false;
	at = bytes_find(target, '?');
	out->path = at < 0 ? target : bytes_cut(target, 0, (size_t)at);
	out->query = at < 0 ? BYTES("") : bytes_cut(target, (size_t)at + 1, target.len);
	return true;
}

static unsigned
read_first(struct bytes line, struct webrequest *out, struct framing *f)
{
	static const struct {
		const char            *name;
		enum webrequest_method method;
	} methods[] = { { "GET", WEB_GET }, { "HEAD", WEB_HEAD }, { "POST", WEB_POST } };
	struct bytes method, target;

	if (!bytes_split(&line, ' ', &method) || !bytes_split(&line, ' ', &target) ||
	    !is_token(method) || !is_visible(target) || line.len != 8 ||
	    !bytes_starts(line, BYTES("HTTP/")))
		return 400;
	if (!bytes_equal(line, BYTES("HTTP/1.1")) && !bytes_equal(line, BYTES("HTTP/1.0")))
		return 505;
	f->old = line.at[7] == '0';
	out->method = WEB_OTHER;
	for (size_t i = 0; i < COUNT(methods); i++)
		if (bytes_equal(method, bytes_of(methods[i].name)))
			out->method = methods[i].method;
	if (out->method == WEB_OTHER)
		return 405;
	return read_target(target, out, f) ? 0 : 400;
}

static unsigned
read_host(struct bytes value, struct webrequest *out, struct framing *f)
{
	struct bytes named;

	if (f->has_host || !read_authority(value, &named))
		return 400;
	f->has_host = true;
	/* rfc9112:3.2.2  What stands in the first line counts. */
	if (!f->in_target)
		out->host = named;
	return 0;
}

static unsigned
read_length(struct bytes value, struct webrequest *out, struct framing *f)
{
	(void)out;
	if (f->has_length || !bytes_number(value, &f->length))
		return 400;
	f->has_length = true;
	return f->length > WEBREQUEST_BODY_MOST ? 413 : 0;
}

static unsigned
read_pieces(struct bytes value, struct webrequest *out, struct framing *f)
{
	(void)value, (void)out, (void)f;
	return 501;
}

static unsigned
read_expects(struct bytes value, struct webrequest *out, struct framing *f)
{
	/* rfc9110:10.1.1  What HTTP/1.0 expects is not heard: it would take the answer for the last. */
	if (f->old)
		return 0;
	out->expects = bytes_is(value, "100-continue");
	return out->expects ? 0 : 417;
}

static unsigned
read_field(struct bytes line, struct webrequest *out, struct framing *f)
{
	static const struct {
		const char *name;
		unsigned (*read)(struct bytes, struct webrequest *, struct framing *);
	} rows[] = {
		{ "Host", read_host },
		{ "Content-Length", read_length },
		{ "Transfer-Encoding", read_pieces },
		{ "Expect", read_expects },
	};
	ptrdiff_t    colon = bytes_find(line, ':');
	struct bytes name, value;

	if (++f->fields > WEBREQUEST_FIELDS_MOST)
		return 431;
	/* rfc9112:5.1, 5.2  No blank before the colon, and no line goes on in the next. */
	if (colon <= 0 || !is_token(name = bytes_cut(line, 0, (size_t)colon)))
		return 400;
	value = trim_blanks(bytes_cut(line, (size_t)colon + 1, line.len));
	if (!is_value(value))
		return 400;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (bytes_is(name, rows[i].name))
			return rows[i].read(value, out, f);
	return 0;
}

/* All lines before the empty one. */
static unsigned
read_head(struct bytes head, struct webrequest *out, struct framing *f)
{
	bool first = true;

	while (head.len > 0) {
		ptrdiff_t    end = bytes_search(head, BYTES("\r\n"));
		struct bytes line = end < 0 ? head : bytes_cut(head, 0, (size_t)end);
		unsigned     status = first ? read_first(line, out, f) : read_field(line, out, f);

		if (status != 0)
			return status;
		head = end < 0 ? BYTES("") : bytes_cut(head, (size_t)end + 2, head.len);
		first = false;
	}
	/* rfc9112:3.2 */
	return !f->has_host && !f->old ? 400 : out->method == WEB_POST && !f->has_length ? 411 : 0;
}

static enum webrequest_outcome
bad(struct webrequest *out, unsigned status)
{
	out->status = status;
	return WEBREQUEST_BAD;
}

enum webrequest_outcome
webrequest_read(struct bytes arrived, struct webrequest *out)
{
	struct framing f = { .has_host = false };
	ptrdiff_t      end;
	unsigned       status;

	*out = (struct webrequest){ .method = WEB_OTHER };
	/* rfc9112:2.2  An empty line before it is forgiven. */
	if (bytes_starts(arrived, BYTES("\r\n")))
		arrived = bytes_cut(arrived, 2, arrived.len);
	if (arrived.len == 0 || bytes_equal(arrived, BYTES("\r")))
		return WEBREQUEST_MORE;
	/* Another protocol, as a handshake of TLS, is not waited for. */
	if (!is_token(bytes_cut(arrived, 0, 1)))
		return bad(out, 400);
	end = bytes_search(arrived, BYTES("\r\n\r\n"));
	if (end > WEBREQUEST_HEAD_MOST || (end < 0 && arrived.len > WEBREQUEST_HEAD_MOST))
		return bad(out, bytes_search(bytes_cut(arrived, 0, WEBREQUEST_HEAD_MOST),
		                             BYTES("\r\n")) < 0
		                        ? 414
		                        : 431);
	if (end < 0)
		return WEBREQUEST_MORE;
	if ((status = read_head(bytes_cut(arrived, 0, (size_t)end), out, &f)) != 0)
		return bad(out, status);
	/* What stands behind a GET means nothing (rfc9110:9.3.1). */
	if (out->method != WEB_POST)
		return WEBREQUEST_WHOLE;
	out->body = bytes_cut(arrived, (size_t)end + 4, (size_t)f.length);
	return out->body.len < f.length ? WEBREQUEST_MORE : WEBREQUEST_WHOLE;
}
