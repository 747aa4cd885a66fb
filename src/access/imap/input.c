#include "access/imap/input.h"

#include <string.h>

#include "channel/line.h"

/* A literal that came unasked and is too big is read and thrown away up to this;
   a larger one ends the session (rfc7888:4). */
enum { SKIP_MOST = 256 << 20, TAIL = 24 };

enum heard { HEARD, SHORT };
typedef enum heard room_fn(struct imap_input *, struct bytes);
struct imap_input {
	struct imap  *session;
	room_fn      *room;      /* the function that understands what comes next  */
	struct buffer early;     /* what the login had read ahead                  */
	struct buffer command;   /* lines and literals so far                      */
	uint64_t      left;      /* of a literal to gather or to skip              */
	uint64_t      literals;  /* bytes of literals in this command              */
	bool          letter;    /* an APPEND takes the literal itself             */
	uint64_t      announced; /* and this is its size                           */
	bool          waits;
	uint64_t      skipped;    /* of a command that is refused                   */
	char          tail[TAIL]; /* the last bytes of the line being skipped       */
	size_t        tail_len;
};

static room_fn room_command, room_literal, room_skip, room_skip_line;

struct imap_input *
input_open(struct imap *s, struct bytes unread)
{
	struct imap_input *in = memory_take(sizeof *in);

	in->session = s;
	in->room = room_command;
	buffer_add(&in->early, unread);
	return in;
}

void
input_close(struct imap_input **inp)
{
	struct imap_input *in = *inp;

	*inp = NULL;
	if (in == NULL)
		return;
	buffer_free(&in->early);
	buffer_free(&in->command);
	memory_free(in);
}

/* Bytes read ahead by the login stand before what the stream has. */
struct bytes
input_peek(struct imap_input *in)
{
	struct bytes fresh = stream_peek(in->session->stream);

	if (in->early.len == 0)
		return fresh;
	buffer_add(&in->early, fresh);
	stream_eat(in->session->stream, fresh.len);
	return buffer_bytes(&in->early);
}

void
input_eat(struct imap_input *in, size_t n)
{
	if (in->early.len == 0) {
		stream_eat(in->session->stream, n);
		return;
	}
	buffer_eat(&in->early, n);
	if (in->early.len == 0)
		buffer_free(&in->early);
}

void
input_unread(struct imap_input *in, struct buffer *out)
{
	buffer_add(out, buffer_bytes(&in->early));
	buffer_free(&in->early);
}

bool
input_hear(struct imap_input *in)
{
	struct bytes arrived = input_peek(in);

	return arrived.len > 0 && in->room(in, arrived) == HEARD;
}

void
input_done(struct imap_input *in)
{
	buffer_free(&in->command);
	in->literals = 0;
	in->letter = false;
	in->waits = false;
}

static void
ask_for_literal(struct imap_input *in, const char *words)
{
	if (in->waits)
		stream_printf(in->session->stream, "+ %s\r\n", words);
}

void
input_ask(struct imap_input *in, const char *words)
{
	ask_for_literal(in, words);
	in->waits = false;
}

bool
input_letter(const struct imap_input *in, uint64_t *size, bool *waits)
{
	*waits = in->waits;
	*size = in->announced;
	return in->letter;
}

void
input_skip(struct imap_input *in, uint64_t n)
{
	in->skipped += n < SKIP_MOST ? n : SKIP_MOST;
	if (in->skipped >= SKIP_MOST) {
		imap_bye(in->session, "[TOOBIG] The literal is too big", "Literal too big");
		return;
	}
	in->left = n;
	in->tail_len = 0;
	in->room = n > 0 ? room_skip : room_skip_line;
}

bool
input_line(struct imap_input *in, struct bytes *line, size_t *used)
{
	bool bare;

	switch (line_read(input_peek(in), (size_t)imap_config_of(in->session)->rows.line_most, line,
	                  used, &bare)) {
	case LINE_WHOLE: return true;
	case LINE_LONG:
		imap_bye(in->session, "[TOOBIG] The line is too long", "Line too long");
		return false;
	case LINE_SHORT: break;
	}
	return false;
}

/* append = "APPEND" SP mailbox append-message, replace = "REPLACE" SP number SP mailbox
   append-message: is the literal just announced the letter's, or still the mailbox's name? */
static bool
is_append_letter(struct bytes command)
{
	struct scan  r = scan_of(command);
	struct bytes name;

	(void)scan_while(&r, is_tag_char);
	read_space(&r);
	(void)scan_skip_word(&r, "UID ");
	if (scan_skip_word(&r, "REPLACE ")) {
		(void)scan_until(&r, ' ');
		read_space(&r);
	} else
		scan_expect(&r, "APPEND ");
	if (!scan_ok(&r) || scan_next_is(&r, '"'))
		return scan_ok(&r);
	if (!scan_next_is(&r, '{'))
		return true;
	name = read_literal(&r);
	return scan_ok(&r) && name.len + 2 < command.len;
}

/* What the client has announced cannot be taken as part of a command. */
static void
refuse_literal(struct imap_input *in, uint64_t size)
{
	bool waits = in->waits;

	imap_complain(in->session, buffer_bytes(&in->command), "[TOOBIG] The literal is too big");
	input_done(in);
	if (!waits && in->session->end == NULL)
		input_skip(in, size);
}

/* The line ended with {n}: more of this command follows. */
static void
literal_begins(struct imap_input *in, uint64_t size)
{
	uint64_t most = (uint64_t)imap_config_of(in->session)->rows.literal_most;

	if (is_append_letter(buffer_bytes(&in->command))) {
		in->letter = true;
		in->announced = size;
		imap_begin(in->session, buffer_bytes(&in->command));
		return;
	}
	if (size > most || in->literals + size > most) {
		refuse_literal(in, size);
		return;
	}
	buffer_add(&in->command, BYTES("\r\n"));
	ask_for_literal(in, "OK");
	in->literals += size;
	in->left = size;
	in->room = size > 0 ? room_literal : room_command;
}

/* A line of a command, the first or one behind a literal. */
static enum heard
room_command(struct imap_input *in, struct bytes arrived)
{
	size_t       most = (size_t)imap_config_of(in->session)->rows.line_most;
	uint64_t     literals = in->literals, size;
	struct bytes line;
	size_t       used, have = in->command.len - (size_t)literals;
	bool         bare;

	switch (line_read(arrived, most > have ? most - have : 1, &line, &used, &bare)) {
	case LINE_SHORT: return SHORT;
	case LINE_LONG:
		imap_complain(in->session,
		              in->command.len > 0 ? buffer_bytes(&in->command) : arrived,
		              "[TOOBIG] The line is too long");
		input_done(in);
		in->room = room_skip_line;
		return HEARD;
	case LINE_WHOLE: break;
	}
	buffer_add(&in->command, line);
	input_eat(in, used);
	if (literal_announced(bytes_cut(buffer_bytes(&in->command), in->command.len - line.len,
	                                line.len),
	                      &size, &in->waits))
		literal_begins(in, size);
	else
		imap_begin(in->session, buffer_bytes(&in->command));
	return HEARD;
}

static enum heard
room_literal(struct imap_input *in, struct bytes arrived)
{
	size_t n = arrived.len < in->left ? arrived.len : (size_t)in->left;

	buffer_add(&in->command, bytes_cut(arrived, 0, n));
	input_eat(in, n);
	in->left -= n;
	if (in->left == 0)
		in->room = room_command;
	return HEARD;
}

static enum heard
room_skip(struct imap_input *in, struct bytes arrived)
{
	size_t n = arrived.len < in->left ? arrived.len : (size_t)in->left;

	input_eat(in, n);
	in->left -= n;
	if (in->left == 0)
		in->room = room_skip_line;
	return HEARD;
}

/* The line's last bytes, in case they announce a literal. */
static void
tail_add(struct imap_input *in, struct bytes line)
{
	struct buffer both = { 0 };
	struct bytes  last;

	buffer_add(&both, (struct bytes){ in->tail, in->tail_len });
	buffer_add(&both, bytes_cut(line, line.len > TAIL ? line.len - TAIL : 0, TAIL));
	last = buffer_bytes(&both);
	last = bytes_cut(last, last.len > TAIL ? last.len - TAIL : 0, TAIL);
	if (last.len > 0)
		memcpy(in->tail, last.at, last.len);
	in->tail_len = last.len;
	buffer_free(&both);
}

/* To the end of the line, however far that is; a literal that comes unasked behind it is
   skipped too, and the line behind that. */
static enum heard
room_skip_line(struct imap_input *in, struct bytes arrived)
{
	ptrdiff_t    end = bytes_find(arrived, '\n');
	struct bytes line = bytes_cut(arrived, 0, end < 0 ? arrived.len : (size_t)end);
	uint64_t     size;
	bool         waits;

	tail_add(in, line);
	input_eat(in, end < 0 ? arrived.len : (size_t)end + 1);
	if (end < 0)
		return HEARD;
	line = bytes_trim((struct bytes){ in->tail, in->tail_len });
	if (line.len > 0 && literal_announced(line, &size, &waits) && !waits) {
		input_skip(in, size);
		return HEARD;
	}
	in->tail_len = 0;
	in->skipped = 0;
	in->room = room_command;
	return HEARD;
}
