#include "access/pop3/sending.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/retrieved.h"

enum { PIECE = 16 << 10, WHOLE_MOST = 256 << 10 };

enum where { LINE_BEGINS, LINE_GOES_ON };
struct pop3_sending {
	bool (*step)(struct pop3 *, struct pop3_sending *);
	struct arena *life;
	/* a letter */
	struct pop3_message *asked;
	struct message       message;
	struct bytes         prefix;
	struct bytes         first; /* the piece it begins with             */
	uint64_t             at;
	enum where           where;
	int                  why;      /* it cannot be read                   */
	bool                 body;     /* the empty line has gone             */
	bool                 ended_cr; /* the last byte of the piece before   */
	bool                 ascii;    /* the header has to be                */
	uint32_t             uid;      /* of a letter that is fetched whole   */
	uint64_t             lines;    /* of the body that are still to go    */
	uint64_t            *tally;
	/* a list */
	uint32_t index;
	void (*line)(struct pop3 *, uint32_t index);
};

static struct pop3_sending *
sending_open(struct pop3 *s, bool (*step)(struct pop3 *, struct pop3_sending *))
{
	struct arena        *life = arena_open(NULL);
	struct pop3_sending *sending = arena_take(life, sizeof *sending);

	sending->life = life;
	sending->step = step;
	s->sending = sending;
	return sending;
}

void
sending_drop(struct pop3 *s)
{
	struct pop3_sending *sending = s->sending;

	s->sending = NULL;
	if (sending != NULL) {
		struct arena *life = sending->life;
		arena_close(&life);
	}
}

bool
sending_step(struct pop3 *s)
{
	if (!s->sending->step(s, s->sending))
		return false;
	sending_drop(s);
	return true;
}

/* ---- letters ------------------------------------------------------------------ */

/* How much of the piece one line takes; *whole when its LF is there. */
static size_t
line_in(const char *at, size_t len, bool *whole)
{
	const char *end = memchr(at, '\n', len);

	*whole = end != NULL;
	return end != NULL ? (size_t)(end - at) + 1 : len;
}

/* Anything but ASCII? */
static bool
is_beyond(const char *at, size_t n)
{
	uint64_t word;

	for (; n >= sizeof word; at += sizeof word, n -= sizeof word) {
		memcpy(&word, at, sizeof word);
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			return true;
	}
	for (size_t i = 0; i < n; i++)
		if ((at[i] & 0x80) != 0)
			return true;
	return false;
}

/*
 * rfc6856:2.1: who has not asked for UTF-8 gets no header in it, but a surrogate: each byte of a character
 * beyond ASCII becomes a question mark, so that the size stays what LIST said.  Characters stand only where
 * such a mark may stand too (rfc6532:3).  Bytes that are not UTF-8 are a mystery and stay.
 */
static void
say_ascii(struct buffer *out, struct bytes line)
{
	uint32_t rune;

	while (line.len > 0) {
		size_t n = bytes_utf8(line, &rune);
		if (n <= 1)
			buffer_add_char(out, line.at[0]);
		for (size_t i = 0; n > 1 && i < n; i++)
			buffer_add_char(out, '?');
		line = bytes_cut(line, n == 0 ? 1 : n, line.len);
	}
}

/* The body of a letter that goes out whole: only dots that begin a line matter. */
static void
say_body(struct pop3_sending *g, struct buffer *out, const char *at, size_t len)
{
	const char *kept = at, *end = at + len, *dot = at;

	while ((dot = memchr(dot, '.', (size_t)(end - dot))) != NULL) {
		if (dot == at ? g->where == LINE_BEGINS : dot[-1] == '\n') {
			buffer_add(out, (struct bytes){ kept, (size_t)(dot - kept) });
			buffer_add_char(out, '.');
			kept = dot;
		}
		dot++;
	}
	buffer_add(out, (struct bytes){ kept, (size_t)(end - kept) });
	g->where = end[-1] == '\n' ? LINE_BEGINS : LINE_GOES_ON;
	g->ended_cr = end[-1] == '\r';
}

/* Say the lines of one piece; true when TOP has had its lines.  From `kept` on they go as they are, together. */
static bool
say_piece(struct pop3_sending *g, struct buffer *out, const char *at, size_t len)
{
	const char *kept = at;
	bool        whole, over = false;

	for (size_t n; len > 0; at += n, len -= n) {
		bool begins = g->where == LINE_BEGINS;
		if (g->body && g->lines == UINT64_MAX) {
			buffer_add(out, (struct bytes){ kept, (size_t)(at - kept) });
			say_body(g, out, at, len);
			return false;
		}
		if (begins && g->body && g->lines == 0) {
			over = true;
			break;
		}
		n = line_in(at, len, &whole);
		if (begins && at[0] == '.') {
			buffer_add(out, (struct bytes){ kept, (size_t)(at - kept) });
			buffer_add_char(out, '.');
			kept = at;
		}
		if (g->ascii && !g->body && is_beyond(at, n)) {
			buffer_add(out, (struct bytes){ kept, (size_t)(at - kept) });
			say_ascii(out, (struct bytes){ at, n });
			kept = at + n;
		}
		g->where = whole ? LINE_BEGINS : LINE_GOES_ON;
		g->ended_cr = at[n - 1] == '\r';
		if (!whole)
			continue;
		if (g->body)
			g->lines--;
		else if (begins && (n == 1 || (n == 2 && at[0] == '\r')))
			g->body = true;
	}
	buffer_add(out, (struct bytes){ kept, (size_t)(at - kept) });
	return over;
}

/* The dot stands on a line of its own, even if the letter's last line has no end. */
static void
say_end(struct pop3_sending *g, struct buffer *out)
{
	if (g->where == LINE_GOES_ON)
		buffer_add_string(out, g->ended_cr ? "\n" : "\r\n");
	buffer_add_string(out, ".\r\n");
}

/* From now on it may become too old (pop3_expire). */
static void
letter_fetched(struct pop3 *s, uint32_t uid)
{
	if (s->service->config.rows.expire_ms > 0)
		(void)retrieved_note(s->mailbox, uid, clock_wall());
}

static bool
letter_step(struct pop3 *s, struct pop3_sending *g)
{
	char piece[PIECE] __attribute__((uninitialized));

	while (g->at < g->message.size) {
		uint64_t left = g->message.size - g->at;
		size_t   n = left < PIECE ? (size_t)left : PIECE;
		bool     first = g->at == 0;
		if (pop3_full(s) || pop3_turn_over(s))
			return false;
		if (first)
			n = g->first.len;
		else if (message_bytes(s->account, &g->message, g->prefix, g->at, piece, n) != 0) {
			/* "+OK" has been said: only silence tells that this is not the whole. */
			pop3_end(s, "Message damaged");
			return true;
		}
		g->at += n;
		*g->tally += n;
		if (say_piece(g, stream_out(s->stream), first ? g->first.at : piece, n))
			break;
	}
	say_end(g, stream_out(s->stream));
	if (g->uid != 0)
		letter_fetched(s, g->uid);
	return true;
}

/* The envelope is asked only for what it puts before the letter. */
static int
prefix_ready(struct pop3 *s, struct pop3_sending *g)
{
	struct digest digest;

	return g->message.prefix_len == 0
	               ? 0
	               : message_digest(s->account, &g->message, g->life, &digest, &g->prefix);
}

/* True when the first piece and the last byte can be read: what is damaged is refused before "+OK". */
static bool
letter_ready(struct pop3 *s, struct pop3_sending *g)
{
	size_t n;
	char  *first, last;

	n = g->message.size <= WHOLE_MOST ? (size_t)g->message.size : PIECE;
	first = arena_take(g->life, n + 1);
	g->first = (struct bytes){ first, n };
	if (n > 0)
		g->why = message_bytes(s->account, &g->message, g->prefix, 0, first, n);
	if (g->why == 0 && g->message.size > n)
		g->why = message_bytes(s->account, &g->message, g->prefix, g->message.size - 1,
		                       &last, 1);
	return g->why == 0;
}

/* Whether a letter can go out as it lies: no line begins with a dot, and the header is ASCII where it has to be. */
static bool
is_plain(const struct pop3_sending *g, struct bytes letter)
{
	const char *end = letter.at + letter.len, *line = letter.at;
	bool        whole = true;

	if (letter.at[0] == '.' || bytes_search(letter, BYTES("\n.")) >= 0)
		return false;
	while (g->ascii && whole && line < end && *line != '\n' && *line != '\r') {
		size_t n = line_in(line, (size_t)(end - line), &whole);
		if (is_beyond(line, n))
			return false;
		line += n;
	}
	return true;
}

/* The usual letter is read to where it goes out from.  False: it is not one, and nothing was said. */
static bool
said_at_once(struct pop3 *s, struct pop3_sending *g)
{
	struct buffer *out = stream_out(s->stream);
	size_t         n = (size_t)g->message.size;
	char           ok[48], *room;
	int            len;

	if (n == 0 || g->message.size > WHOLE_MOST || g->lines != UINT64_MAX)
		return false;
	len = snprintf(ok, sizeof ok, "+OK %zu octets\r\n", n);
	room = buffer_room(out, (size_t)len + n);
	if (message_bytes(s->account, &g->message, g->prefix, 0, room + len, n) != 0 ||
	    !is_plain(g, (struct bytes){ room + len, n }))
		return false;
	memcpy(room, ok, (size_t)len);
	buffer_took(out, (size_t)len + n);
	g->where = room[len + (int)n - 1] == '\n' ? LINE_BEGINS : LINE_GOES_ON;
	g->ended_cr = room[len + (int)n - 1] == '\r';
	say_end(g, out);
	g->asked->touched = g->asked->seen = true;
	s->retrs++;
	s->retr_bytes += n;
	letter_fetched(s, g->asked->uid);
	return true;
}

/* "+OK" or not; another program that has the mailbox locked is waited for. */
static bool
letter_begin(struct pop3 *s, struct pop3_sending *g)
{
	struct pop3_message *m = g->asked;
	bool                 top = g->lines != UINT64_MAX;

	if (mailbox_find(s->mailbox, m->uid) < 0) {
		pop3_say(s, "-ERR Message is no longer there.");
		return true;
	}
	g->ascii = !s->utf8;
	g->why = message_read(s->account, m->message, g->life, &g->message);
	if (g->why == 0)
		g->why = prefix_ready(s, g);
	if (g->why == 0 && said_at_once(s, g))
		return true;
	if (g->why != 0 || !letter_ready(s, g)) {
		bool locked = g->why == EBUSY;
		if (locked && pop3_locked(s)) {
			uint64_t lines = g->lines;
			sending_drop(s);
			sending_letter(s, m, lines);
			return false;
		}
		pop3_say(s, "%s",
		         locked ? "-ERR [SYS/TEMP] Another program has locked the mailbox."
		                : "-ERR [SYS/PERM] Message is damaged and was set aside.");
		return true;
	}
	g->step = letter_step;
	g->uid = top ? 0 : m->uid;
	m->touched = true;
	g->tally = top ? &s->top_bytes : &s->retr_bytes;
	if (top) {
		s->tops++;
		pop3_say(s, "+OK");
	} else {
		s->retrs++;
		m->seen = true;
		pop3_say(s, "+OK %llu octets", (unsigned long long)m->size);
	}
	return false;
}

void
sending_letter(struct pop3 *s, struct pop3_message *m, uint64_t lines)
{
	struct pop3_sending *g = sending_open(s, letter_begin);

	g->asked = m;
	g->lines = lines;
}

/* ---- lists --------------------------------------------------------------------- */

static bool
list_step(struct pop3 *s, struct pop3_sending *g)
{
	for (; g->index < s->count; g->index++) {
		if (pop3_full(s) || pop3_turn_over(s))
			return false;
		if (!s->message[g->index].deleted)
			g->line(s, g->index);
	}
	pop3_say(s, ".");
	return true;
}

void
sending_list(struct pop3 *s, void (*line)(struct pop3 *, uint32_t index))
{
	sending_open(s, list_step)->line = line;
}
