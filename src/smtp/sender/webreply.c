#include "smtp/sender/webreply.h"

enum { FIELDS_MOST = 100, CHUNKS_MOST = 20000 };

struct framing {
	bool   chunked, sized;
	size_t length;
};

static struct bytes
trim(struct bytes text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
		text = bytes_cut(text, 1, SIZE_MAX);
	while (text.len > 0 && bytes_find(BYTES(" \t\r"), text.at[text.len - 1]) >= 0)
		text.len--;
	return text;
}

/* rfc9112:4: "HTTP/1.1 200 OK". */
static bool
read_status(struct bytes line, struct webreply *out)
{
	uint64_t n = 0;

	if (line.len < 12 || !bytes_starts(line, BYTES("HTTP/1.")) || line.at[8] != ' ' ||
	    (line.len > 12 && line.at[12] != ' ' && line.at[12] != '\r') ||
	    !bytes_number(bytes_cut(line, 9, 3), &n) || n < 100)
		return false;
	out->code = (unsigned)n;
	return true;
}

static bool
read_field(struct bytes line, struct webreply *out, struct framing *f)
{
	ptrdiff_t    colon = bytes_find(line, ':');
	struct bytes name, value;
	uint64_t     n;

	if (colon <= 0)
		return false;
	name = bytes_cut(line, 0, (size_t)colon);
	value = trim(bytes_cut(line, (size_t)colon + 1, SIZE_MAX));
	if (bytes_equal_nocase(name, BYTES("Content-Type"))) {
		ptrdiff_t end = bytes_find(value, ';');
		out->type = trim(end < 0 ? value : bytes_cut(value, 0, (size_t)end));
	} else if (bytes_equal_nocase(name, BYTES("Transfer-Encoding"))) {
		f->chunked = bytes_equal_nocase(value, BYTES("chunked"));
		return f->chunked; /* we have asked for nothing else */
	} else if (bytes_equal_nocase(name, BYTES("Content-Length"))) {
		if (!bytes_number(value, &n) || n > SIZE_MAX / 2 ||
		    (f->sized && f->length != (size_t)n))
			return false;
		f->sized = true;
		f->length = (size_t)n;
	}
	return true;
}

/* A line with its end; false: it is not whole. */
static bool
take_line(struct bytes *rest, struct bytes *line)
{
	ptrdiff_t end = bytes_find(*rest, '\n');

	if (end < 0)
		return false;
	*line = bytes_cut(*rest, 0, (size_t)end);
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	*rest = bytes_cut(*rest, (size_t)end + 1, SIZE_MAX);
	return true;
}

/* rfc9112:7.1: the size of a chunk in hexadecimal, and what may stand behind it. */
static bool
read_size(struct bytes line, size_t *out)
{
	size_t n = 0, i = 0;

	for (; i < line.len && i < 8; i++) {
		char c = line.at[i];
		int  d = c >= '0' && c <= '9'   ? c - '0'
		         : c >= 'a' && c <= 'f' ? c - 'a' + 10
		         : c >= 'A' && c <= 'F' ? c - 'A' + 10
		                                : -1;
		if (d < 0)
			break;
		n = n * 16 + (size_t)d;
	}
	*out = n;
	return i > 0 && (i == line.len || bytes_find(BYTES("; \t"), line.at[i]) >= 0);
}

/* What has come so far is looked at again and again: it is put together (`to`) when all of it is there. */
static enum web_outcome
read_chunks(struct bytes rest, size_t most, char *to, size_t *all)
{
	size_t       used = 0, n;
	struct bytes line;

	for (int chunks = 0; chunks < CHUNKS_MOST; chunks++) {
		if (!take_line(&rest, &line))
			return rest.len > 1000 ? WEB_BROKEN : WEB_MORE;
		if (!read_size(line, &n) || used + n > most)
			return WEB_BROKEN;
		if (n == 0) {
			*all = used;
			return WEB_WHOLE;
		}
		if (rest.len < n + 2)
			return WEB_MORE;
		for (size_t i = 0; to != NULL && i < n; i++)
			to[used + i] = rest.at[i];
		used += n;
		rest = bytes_cut(rest, n, SIZE_MAX);
		if (!take_line(&rest, &line) || line.len > 0)
			return WEB_BROKEN;
	}
	return WEB_BROKEN;
}

enum web_outcome
webreply_read(struct bytes so_far, bool ended, size_t most, struct arena *a, struct webreply *out)
{
	struct framing   f = { .chunked = false };
	struct bytes     rest = so_far, line;
	enum web_outcome o = WEB_MORE;
	int              lines = 0;
	size_t           all;
	char            *to;

	*out = (struct webreply){ .code = 0 };
	for (;; lines++) {
		if (!take_line(&rest, &line))
			return ended || so_far.len > WEB_HEADER_MOST ? WEB_BROKEN : WEB_MORE;
		if (so_far.len - rest.len > WEB_HEADER_MOST || lines > FIELDS_MOST)
			return WEB_BROKEN;
		if (lines > 0 && line.len == 0)
			break;
		if (lines == 0 ? !read_status(line, out) : !read_field(line, out, &f))
			return WEB_BROKEN;
	}
	if (f.chunked) {
		o = read_chunks(rest, most, NULL, &all);
		if (o == WEB_WHOLE) {
			to = arena_take(a, all + 1);
			(void)read_chunks(rest, most, to, &all);
			out->content = (struct bytes){ to, all };
		}
	} else if ((f.sized && f.length > most) || rest.len > most + (f.sized ? SIZE_MAX / 4 : 0)) {
		return WEB_BROKEN;
	} else if (f.sized ? rest.len >= f.length : ended) {
		out->content = arena_keep(a, bytes_cut(rest, 0, f.sized ? f.length : SIZE_MAX));
		o = WEB_WHOLE;
	}
	if (o == WEB_WHOLE)
		out->type = arena_keep(a, out->type);
	return o == WEB_MORE && ended ? WEB_BROKEN : o;
}
