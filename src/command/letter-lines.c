#include "command/letter-lines.h"

#include "message/header.h"
#include "message/mime.h"

static bool
fields(struct bytes header, bool wanted, letter_line *each, void *ctx)
{
	struct header h = header_of(header);
	struct field  f;

	while (wanted && header_next(&h, &f))
		if (!each(ctx, line_unended(f.whole)))
			return false;
	return true;
}

static bool
lines(struct bytes text, bool wanted, letter_line *each, void *ctx)
{
	while (wanted && text.len > 0) {
		size_t n = (size_t)(line_end(text.at, text.at + text.len) - text.at);
		if (!each(ctx, line_unended(bytes_cut(text, 0, n))))
			return false;
		text = bytes_cut(text, n, text.len);
	}
	return true;
}

/* rfc5322:2.2 A name and a colon, with blanks between them perhaps (rfc5322:4.5). */
static bool
begins_field(const char *at, const char *stop)
{
	const char *from = at;

	while (at<stop && * at> ' ' && *at <= '~' && *at != ':')
		at++;
	if (at == from)
		return false;
	while (at < stop && (*at == ' ' || *at == '\t'))
		at++;
	return at < stop && *at == ':';
}

/* Where the fields of a header end: the empty line behind them, or one that is none of a field, is the first of the body. */
static size_t
fields_end(struct bytes content, size_t from, size_t end)
{
	const char *at = content.at + from, *stop = content.at + end, *first = at;

	while (at < stop && line_empty(at, stop) == 0 &&
	       (begins_field(at, stop) || (at > first && (*at == ' ' || *at == '\t'))))
		at = line_end(at, stop);
	return (size_t)(at - content.at);
}

bool
letter_lines(struct bytes content, unsigned which, letter_line *each, void *ctx)
{
	struct arena      *arena = arena_open(NULL);
	const struct mime *m = mime_parse(content, arena);
	size_t             at = 0;
	bool good = true, head = (which & LETTER_HEADERS) != 0, body = (which & LETTER_BODY) != 0;

	for (uint32_t i = 0; good && i < m->parts && (i == 0 || (which & LETTER_PARTS) != 0); i++) {
		const struct digest_part *p = &m->part[i].range;
		if (p->header_len == 0 || p->header_at < at)
			continue;
		good = lines(bytes_cut(content, at, p->header_at - at), body, each, ctx);
		at = fields_end(content, p->header_at, p->header_at + p->header_len);
		good = good &&
		       fields(bytes_cut(content, p->header_at, at - p->header_at), head, each, ctx);
	}
	good = good && lines(bytes_cut(content, at, content.len), body, each, ctx);
	arena_close(&arena);
	return good;
}
