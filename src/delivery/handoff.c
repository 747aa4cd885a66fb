#include "delivery/handoff.h"

#include "base/pack.h"
#include "spool/disk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- on the way ---- */

void
handoff_pack(struct buffer *b, const struct handoff *e)
{
	pack_u32(b, e->ticket);
	pack_u8(b, (uint8_t)e->kind);
	pack_bytes(b, e->what);
	pack_bytes(b, e->home);
	pack_bytes(b, e->shell);
	pack_bytes(b, e->directory);
	pack_i64(b, e->limit_ms);
	pack_bytes(b, e->environment);
	pack_bytes(b, e->from);
	pack_bytes(b, e->head);
	pack_u64(b, e->at);
	pack_u64(b, e->len);
	pack_i64(b, e->arrived_us);
	pack_u64(b, e->letter);
	pack_u32(b, e->flags);
	pack_bytes(b, e->eol);
	pack_bytes(b, e->service);
	pack_bytes(b, e->group);
}

bool
handoff_unpack(struct bytes body, struct handoff *e)
{
	struct unpack u = unpack_of(body);
	uint8_t       kind;

	e->ticket = unpack_u32(&u);
	kind = unpack_u8(&u);
	e->what = unpack_bytes(&u);
	e->home = unpack_bytes(&u);
	e->shell = unpack_bytes(&u);
	e->directory = unpack_bytes(&u);
	e->limit_ms = unpack_i64(&u);
	e->environment = unpack_bytes(&u);
	e->from = unpack_bytes(&u);
	e->head = unpack_bytes(&u);
	e->at = unpack_u64(&u);
	e->len = unpack_u64(&u);
	e->arrived_us = unpack_i64(&u);
	e->letter = unpack_u64(&u);
	e->flags = unpack_u32(&u);
	e->eol = unpack_bytes(&u);
	e->service = unpack_bytes(&u);
	e->group = unpack_bytes(&u);
	e->kind = (enum handoff_kind)kind;
	return unpack_done(&u) && kind <= HANDOFF_PIPE;
}

void
handoff_variable(struct buffer *b, const char *name, struct bytes value)
{
	buffer_printf(b, "%s=", name);
	for (size_t i = 0; i < value.len; i++)
		if (value.at[i] != '\0')
			buffer_add_char(b, value.at[i]);
	buffer_add_char(b, '\0');
}

void
handoff_filter(struct buffer *b, const char *name, struct bytes value, const char *plain)
{
	buffer_printf(b, "%s=", name);
	for (size_t i = 0; i < value.len; i++)
		buffer_add_char(b, value.at[i] != '\0' && strchr(plain, value.at[i]) != NULL
		                           ? value.at[i]
		                           : '_');
	buffer_add_char(b, '\0');
}

/* ---- the letter as Unix keeps it ---- */

/* Bytes with CRLF come in, in any pieces; lines with LF go out. */
struct lines {
	int          to, why;
	bool         quoted, cr;  /* a CR that waits for what follows      */
	bool         dots, blank; /* a dot at the front is doubled; an empty line at the end */
	struct bytes eol;         /* "" a LF                               */
	size_t       matched;     /* so much of "From " at a line's start  */
	bool         start;
	char         last;
	size_t       n;
	char         out[32 << 10];
};

static void
lines_flush(struct lines *l)
{
	for (size_t done = 0; done < l->n && l->why == 0;) {
		ssize_t n = write(l->to, l->out + done, l->n - done);
		if (n > 0)
			done += (size_t)n;
		else if (errno != EINTR)
			l->why = errno;
	}
	l->n = 0;
}

static void
lines_char(struct lines *l, char c)
{
	if (l->n == sizeof l->out)
		lines_flush(l);
	l->out[l->n++] = l->last = c;
}

static void
lines_text(struct lines *l, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lines_char(l, text[i]);
}

/* The end of one. */
static void
lines_over(struct lines *l)
{
	if (l->eol.len > 0)
		lines_text(l, l->eol.at, l->eol.len);
	else
		lines_char(l, '\n');
	l->last = '\n';
}

static const char from_line[] = "From ";

/* One character of a line; a line of the letter that looks like the beginning of another letter is quoted. */
static void
lines_put(struct lines *l, char c)
{
	if (l->start && l->quoted && c == from_line[l->matched]) {
		if (++l->matched < sizeof from_line - 1)
			return;
		lines_char(l, '>');
		c = ' ';
		l->matched--;
	}
	lines_text(l, from_line, l->matched);
	l->matched = 0;
	if (l->start && l->dots && c == '.')
		lines_char(l, '.');
	if (c == '\n')
		lines_over(l);
	else
		lines_char(l, c);
	l->start = c == '\n';
}

static void
lines_add(struct lines *l, struct bytes b)
{
	for (size_t i = 0; i < b.len && l->why == 0; i++) {
		bool cr = b.at[i] == '\r';
		if (l->cr && b.at[i] != '\n')
			lines_put(l, '\r');
		if (!cr)
			lines_put(l, b.at[i]);
		l->cr = cr;
	}
}

static int
lines_end(struct lines *l)
{
	if (l->cr)
		lines_put(l, '\r');
	lines_text(l, from_line, l->matched);
	if (l->last != '\n')
		lines_over(l);
	if (l->blank)
		lines_over(l); /* an mbox has an empty line between letters */
	lines_flush(l);
	return l->why;
}

int
handoff_write(const struct handoff *e, int letter, unsigned flags, int to)
{
	char         piece[32 << 10] __attribute__((uninitialized));
	struct lines l = { .to = to,
		           .start = true,
		           .quoted = (flags & PIPE_FROM_QUOTED) != 0,
		           .dots = (flags & PIPE_DOTS) != 0,
		           .blank = (flags & PIPE_BLANK) != 0,
		           .eol = e->eol };

	if ((flags & PIPE_FROM) != 0) {
		lines_text(&l, e->from.at, e->from.len);
		lines_over(&l);
	}
	lines_add(&l, e->head);
	for (uint64_t done = 0; done < e->len && l.why == 0;) {
		uint64_t left = e->len - done;
		size_t   n = left < sizeof piece ? (size_t)left : sizeof piece;
		if ((l.why = disk_read(letter, piece, n, e->at + done)) == 0)
			lines_add(&l, (struct bytes){ piece, n });
		done += n;
	}
	return lines_end(&l);
}

struct delivery_answer
handoff_do(const struct handoff *e, int letter, struct arena *a)
{
	return e->kind == HANDOFF_FILE ? file_do(e, letter, a) : command_do(e, letter, a);
}
