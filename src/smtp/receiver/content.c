#include "smtp/receiver/content.h"

#include <string.h>

/* What is being read: bytes from..at of the piece are good and not yet put out,
   so that a letter without surprises is copied in long runs. */
struct piece {
	struct content *c;
	struct buffer  *out;
	const char     *at, *end;
	const char     *from; /* start of the run; NULL: none            */
	const char     *lf;   /* the next LF, or end; found once for each */
};

void
content_begin(struct content *c)
{
	memset(c, 0, sizeof *c);
}

static void
put(struct piece *p, const char *from, size_t len)
{
	if (!p->c->dropping)
		buffer_add(p->out, (struct bytes){ from, len });
}

/* Put out the run that ends at `upto`. */
static void
put_run(struct piece *p, const char *upto)
{
	if (p->from != NULL && upto > p->from)
		put(p, p->from, (size_t)(upto - p->from));
	p->from = NULL;
}

/* A line has ended and everything of it is in the buffer. */
static void
header_line(struct piece *p)
{
	struct content *c = p->c;

	if (c->dropping)
		return;
	if (!fields_line(&c->fields, p->out, c->_line_at))
		c->_body = true;
	c->_line_at = p->out->len;
}

static void
line_ended(struct piece *p, bool bare)
{
	struct content *c = p->c;

	c->_state = LINE_START;
	c->_after_bare = bare;
	c->bare_lf |= bare;
	if (!c->_body)
		header_line(p);
}

/* The dot that was held back was stuffing, or a line of its own. */
static bool
at_dot(struct piece *p, char ch)
{
	struct content *c = p->c;

	if (ch == '\r') {
		c->_state = LINE_DOT_CR;
		p->at++;
	} else if (ch == '\n') {
		p->at++;
		c->bare_lf = true;
		if (c->lenient)
			return true;
		put(p, "\r\n", 2);
		line_ended(p, true);
	} else
		c->_state = LINE_INSIDE;
	return false;
}

static bool
at_dot_cr(struct piece *p, char ch)
{
	struct content *c = p->c;

	if (ch != '\n') {
		put(p, " ", 1);
		c->bare_cr = true;
		c->_state = LINE_INSIDE;
		return false;
	}
	p->at++;
	if (!c->_after_bare || c->lenient)
		return true;
	put(p, "\r\n", 2);
	line_ended(p, false);
	return false;
}

static void
at_cr(struct piece *p, char ch)
{
	if (ch == '\n') {
		put(p, "\r\n", 2);
		p->at++;
		line_ended(p, false);
		return;
	}
	put(p, " ", 1);
	p->c->bare_cr = true;
	if (ch == '\r')
		p->at++;
	else
		p->c->_state = LINE_INSIDE;
}

/* Within a line: up to its end, to a CR, or to the end of the piece. */
static void
inside(struct piece *p)
{
	struct content *c = p->c;
	const char     *cr;

	if (p->from == NULL)
		p->from = p->at;
	if (p->lf == NULL || p->lf < p->at) {
		p->lf = memchr(p->at, '\n', (size_t)(p->end - p->at));
		p->lf = p->lf != NULL ? p->lf : p->end;
	}
	cr = memchr(p->at, '\r', (size_t)(p->lf - p->at));
	if (cr != NULL && cr + 1 == p->lf && p->lf < p->end) {
		p->at = p->lf + 1;
		if (!c->_body)
			put_run(p, p->at);
		line_ended(p, false);
	} else if (cr != NULL) {
		put_run(p, cr);
		p->at = cr + 1;
		c->_state = LINE_CR;
	} else if (p->lf < p->end) {
		put_run(p, p->lf);
		put(p, "\r\n", 2);
		p->at = p->lf + 1;
		line_ended(p, true);
	} else
		p->at = p->end;
}

/* The rest as it is, and what was held back before it. */
static void
raw(struct piece *p)
{
	put_run(p, p->at);
	if (p->c->_state == LINE_CR)
		put(p, "\r", 1);
	p->c->_state = LINE_INSIDE;
	p->from = p->at;
	p->at = p->end;
}

/* A text ends with the end of a line. */
void
content_finish(struct content *c, struct buffer *out)
{
	struct piece p = { .c = c, .out = out };

	if (c->binary && c->_body)
		return;
	if (c->_state == LINE_CR) {
		put(&p, " ", 1);
		c->bare_cr = true;
	}
	if (c->_state != LINE_START) {
		put(&p, "\r\n", 2);
		line_ended(&p, false);
	}
	if (!c->_body && !c->dropping)
		fields_end(&c->fields, out);
}

static void
look_for_forbidden(struct content *c, struct bytes said)
{
	for (size_t i = 0; i < c->forbidden.len && !c->refusable; i++)
		c->refusable = memchr(said.at, c->forbidden.at[i], said.len) != NULL;
}

enum content_outcome
content_read(struct content *c, struct bytes arrived, struct buffer *out, size_t *used)
{
	struct piece p = { c, out, arrived.at, arrived.at + arrived.len, NULL, NULL };
	bool         ended = false;

	while (p.at < p.end && !ended) {
		if (c->binary && c->_body) {
			raw(&p);
			break;
		}
		switch ((enum content_state)c->_state) {
		case LINE_START:
			if (*p.at == '.' && !c->counted) {
				put_run(&p, p.at++);
				c->_state = LINE_DOT;
			} else
				c->_state = LINE_INSIDE;
			break;
		case LINE_DOT: ended = at_dot(&p, *p.at); break;
		case LINE_DOT_CR: ended = at_dot_cr(&p, *p.at); break;
		case LINE_CR: at_cr(&p, *p.at); break;
		case LINE_INSIDE: inside(&p); break;
		}
	}
	put_run(&p, p.at);
	*used = (size_t)(p.at - arrived.at);
	c->raw += *used;
	look_for_forbidden(c, bytes_cut(arrived, 0, *used));
	if (ended) {
		if (!c->_body && !c->dropping)
			fields_end(&c->fields, out);
		return CONTENT_ENDED;
	}
	if (!c->_body && !c->dropping && !fields_part(&c->fields, out, c->_line_at))
		c->_body = true;
	return CONTENT_MORE;
}
