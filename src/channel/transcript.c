#include "channel/transcript.h"
#include "base/arena.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PENDING_MOST = 64, LINE_KEPT = 2048, TAIL = 32 };
#define HIDDEN "[not shown]"

/* What one side is saying now. */
enum saying { SAYING_LINE, SAYING_COUNTED, SAYING_DOTTED };
struct side {
	enum saying saying;
	char        line[LINE_KEPT];
	size_t      len, cut; /* bytes kept of this line; and left out           */
	uint64_t    left;     /* of a literal or chunk                           */
	uint64_t    size;     /* of what is not shown                            */
	unsigned    dots;     /* how much of CRLF . CRLF has been seen           */
	bool        within;   /* the line goes on behind a literal               */
	bool        hidden;   /* and nothing of it is shown                      */
};

/* What POP3's replies are to. */
enum pending { PENDING_OTHER, PENDING_CONTENT };

struct transcript {
	enum transcript_protocol protocol;
	bool                     content;
	void (*line)(void *ctx, bool client, const char *text);
	void       *ctx;
	struct side side[2];         /* of the server, of the client                      */
	unsigned    owed, auth_left; /* replies to come; up to that of AUTH; 0: none       */
	bool        asked;           /* the server waits for the client's next response    */
	bool        tried;           /* to log in: what is no command may be a password    */
	char        auth_tag[64];    /* of AUTHENTICATE, "" none is under way              */
	uint8_t     pending[PENDING_MOST];
	unsigned    first, pendings;
	bool lost; /* more is under way than can be kept in mind: nothing is shown any more */
};

struct transcript *
transcript_open(enum transcript_protocol protocol, bool                       content,
                void (*line)(void *ctx, bool client, const char *text), void *ctx)
{
	struct transcript *t = memory_take(sizeof *t);

	t->protocol = protocol;
	t->content = content;
	t->line = line;
	t->ctx = ctx;
	return t;
}

void
transcript_close(struct transcript **tp)
{
	struct transcript *t = *tp;

	*tp = NULL;
	if (t != NULL)
		explicit_bzero(t, sizeof *t);
	memory_free(t);
}

/* ---- showing ---- */

static void
show(struct transcript *t, bool client, struct bytes text, size_t more)
{
	char   out[TRANSCRIPT_LINE + 64];
	size_t n = 0;

	for (size_t i = 0; i < text.len && n < TRANSCRIPT_LINE; i++)
		out[n++] = (unsigned char)text.at[i] < ' ' || text.at[i] == 127 ? '?' : text.at[i];
	if (text.len > n)
		more += text.len - n;
	out[n] = '\0';
	if (more > 0)
		(void)snprintf(out + n, sizeof out - n, " [%zu bytes more]", more);
	t->line(t->ctx, client, out);
}

static void
show_size(struct transcript *t, bool client, const char *what, uint64_t size)
{
	char text[80];

	(void)snprintf(text, sizeof text, "[%s of %" PRIu64 " bytes]", what, size);
	t->line(t->ctx, client, text);
}

/* The line up to `n`, and no more of it. */
static void
show_begin(struct transcript *t, bool client, struct bytes line, size_t n)
{
	char text[TRANSCRIPT_LINE];

	(void)snprintf(text, sizeof text, "%.*s " HIDDEN, (int)(n < 300 ? n : 300), line.at);
	show(t, client, bytes_of(text), 0);
}

/* "http://...;URLAUTH=anonymous:internal:91354a..." (rfc4467) */
static void
show_line(struct transcript *t, bool client, struct bytes line, size_t cut)
{
	ptrdiff_t token = bytes_search_nocase(line, BYTES(";URLAUTH="));

	if (token >= 0)
		show_begin(t, client, line, (size_t)token);
	else
		show(t, client, line, cut);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The words of a line; views.  Servers take a tab for a blank, too: what stands behind AUTH and a tab is a password. */
static struct bytes
word_of(struct bytes line, unsigned which)
{
	struct bytes word = { "", 0 };

	for (unsigned i = 0; i <= which; i++) {
		size_t at = 0, end;

		while (at < line.len && is_blank(line.at[at]))
			at++;
		if (at == line.len)
			return (struct bytes){ "", 0 };
		for (end = at; end < line.len && !is_blank(line.at[end]);)
			end++;
		word = bytes_cut(line, at, end - at);
		line = bytes_cut(line, end, SIZE_MAX);
	}
	return word;
}

static size_t
end_of(struct bytes line, struct bytes word)
{
	return (size_t)(word.at + word.len - line.at);
}

/* Who was refused often goes on with what he had to say. */
static bool
is_command(const struct transcript *t, struct bytes verb)
{
	static const char *const smtp[] = { "EHLO",     "HELO", "LHLO",    "MAIL",    "RCPT",
		                            "DATA",     "BDAT", "RSET",    "NOOP",    "QUIT",
		                            "STARTTLS", "AUTH", "BURL",    "VRFY",    "EXPN",
		                            "HELP",     "ETRN", "XCLIENT", "XFORWARD" };
	static const char *const imap[] = { "CAPABILITY",   "NOOP",      "LOGOUT",   "STARTTLS",
		                            "AUTHENTICATE", "LOGIN",     "ID",       "ENABLE",
		                            "IDLE",         "NAMESPACE", "COMPRESS", "SELECT",
		                            "EXAMINE",      "LIST",      "LSUB",     "STATUS",
		                            "CREATE",       "DELETE",    "RENAME",   "APPEND",
		                            "CLOSE",        "UNSELECT",  "EXPUNGE",  "SEARCH",
		                            "FETCH",        "STORE",     "COPY",     "MOVE",
		                            "UID",          "SUBSCRIBE", "CHECK",    "URLFETCH" };
	static const char *const pop3[] = { "USER", "PASS", "APOP", "AUTH", "CAPA", "STLS",
		                            "STAT", "LIST", "UIDL", "RETR", "TOP",  "DELE",
		                            "NOOP", "RSET", "QUIT", "UTF8", "LANG" };
	static const struct {
		const char *const *word;
		size_t             count;
	} commands[] = { [TRANSCRIPT_SMTP] = { smtp, COUNT(smtp) },
		         [TRANSCRIPT_IMAP] = { imap, COUNT(imap) },
		         [TRANSCRIPT_POP3] = { pop3, COUNT(pop3) } };

	for (size_t i = 0; i < commands[t->protocol].count; i++)
		if (bytes_is(verb, commands[t->protocol].word[i]))
			return true;
	return false;
}

/* "AUTHPLAIN ...", "LOGIN ..." where it is no command: how much of the word is shown, and nothing behind it; 0: it is none
   of these.  A tag of IMAP may begin with anything. */
static size_t
mistaken(const struct transcript *t, struct bytes word)
{
	static const struct bytes auth = { "AUTH", 4 };

	if (is_command(t, word) && t->protocol != TRANSCRIPT_IMAP)
		return 0;
	if (bytes_is(word, "LOGIN") || bytes_is(word, "PASS") || bytes_is(word, "AUTHENTICATE"))
		return word.len;
	return bytes_is(word, "AUTH") ||
	                       (t->protocol != TRANSCRIPT_IMAP && bytes_starts_nocase(word, auth))
	               ? auth.len
	               : 0;
}

/* True: it was hidden, for it may be a password. */
static bool
hide_mistake(struct transcript *t, struct bytes line, struct bytes first, struct bytes verb)
{
	size_t n = mistaken(t, first);

	if (n > 0) {
		t->tried = true;
		show_begin(t, true, line, end_of(line, bytes_cut(first, 0, n)));
		return true;
	}
	if (!t->tried || is_command(t, verb) || (verb.len == 0 && bytes_is(first, "DONE")))
		return false;
	show(t, true, BYTES(HIDDEN), 0);
	return true;
}

/* ---- SMTP ---- */

static void
smtp_client(struct transcript *t, struct side *s, struct bytes line)
{
	struct bytes verb = word_of(line, 0), one = word_of(line, 1);
	uint64_t     n;

	if (t->auth_left > 0 || t->asked) {
		show(t, true, BYTES(HIDDEN), 0);
		return;
	}
	t->owed++;
	if (hide_mistake(t, line, verb, verb))
		return;
	if (bytes_is(verb, "AUTH")) {
		t->auth_left = t->owed;
		t->tried = true;
		if (word_of(line, 2).len > 0)
			show_begin(t, true, line, end_of(line, one));
		else
			show_line(t, true, line, s->cut);
	} else if (bytes_is(verb, "BURL"))
		show_begin(t, true, line, end_of(line, verb));
	else
		show_line(t, true, line, s->cut);
	if (bytes_is(verb, "BDAT") && bytes_number(one, &n) && n > 0) {
		s->saying = SAYING_COUNTED;
		s->left = s->size = n;
	}
}

static void
smtp_server(struct transcript *t, struct side *s, struct bytes line)
{
	struct side *client = &t->side[1];
	uint64_t     code = 0;

	(void)bytes_number(bytes_cut(line, 0, 3), &code);
	t->asked = code == 334;
	if (code == 334)
		show(t, false, BYTES("334 " HIDDEN), 0);
	else
		show_line(t, false, line, s->cut);
	if (code == 354) {
		client->saying = SAYING_DOTTED;
		client->size = 0;
		client->dots = 2; /* an empty letter is a dot at once */
	}
	if (code == 334 || code == 354 || (line.len > 3 && line.at[3] == '-'))
		return;
	if (t->owed > 0)
		t->owed--;
	if (t->auth_left > 0)
		t->auth_left--;
}

/* ---- IMAP ---- */

/* "{123}", "{123+}", "~{123}" at the end of a line. */
static bool
ends_with_literal(struct bytes line, uint64_t *n)
{
	ptrdiff_t    open = bytes_find_last(line, '{');
	struct bytes number;

	if (open < 0 || line.at[line.len - 1] != '}')
		return false;
	number = bytes_cut(line, (size_t)open + 1, line.len - (size_t)open - 2);
	if (number.len > 0 &&
	    (number.at[number.len - 1] == '+' || number.at[number.len - 1] == '-'))
		number.len--;
	return bytes_number(number, n);
}

static void
imap_literal(struct side *s, struct bytes line)
{
	uint64_t n = 0;
	bool     has = ends_with_literal(line, &n);

	s->within = has;
	if (has && n > 0) {
		s->saying = SAYING_COUNTED;
		s->left = s->size = n;
	}
}

static void
imap_client(struct transcript *t, struct side *s, struct bytes line)
{
	struct bytes tag = word_of(line, 0), verb = word_of(line, 1);
	bool         more = s->within;

	imap_literal(s, line);
	if (t->auth_tag[0] != '\0' || (more && s->hidden)) {
		show(t, true, BYTES(HIDDEN), 0);
		return;
	}
	if (more) {
		show_line(t, true, line, s->cut);
		return;
	}
	s->hidden = s->within && t->tried && !is_command(t, verb);
	if (hide_mistake(t, line, tag, verb))
		return;
	t->tried |= bytes_is(verb, "LOGIN") || bytes_is(verb, "AUTHENTICATE");
	s->hidden = bytes_is(verb, "LOGIN") || bytes_is(verb, "AUTHENTICATE") ||
	            bytes_is(verb, "URLFETCH");
	if (bytes_is(verb, "AUTHENTICATE") && !bytes_string(tag, t->auth_tag, sizeof t->auth_tag))
		t->lost = true;
	if (s->hidden)
		show_begin(t, true, line,
		           end_of(line, bytes_is(verb, "AUTHENTICATE") && word_of(line, 2).len > 0
		                                ? word_of(line, 2)
		                                : verb));
	else
		show_line(t, true, line, s->cut);
}

/* Strings of what is told of letters: their subjects and people are in there. */
static void
show_without_strings(struct transcript *t, struct bytes line, size_t cut)
{
	char   out[LINE_KEPT];
	size_t n = 0;
	bool   within = false;

	for (size_t i = 0; i < line.len && n + 4 < sizeof out; i++) {
		if (line.at[i] == '\\' && within) {
			i++;
			continue;
		}
		if (line.at[i] == '"') {
			within = !within;
			out[n++] = '"';
			if (within)
				out[n++] = '*';
		} else if (!within)
			out[n++] = line.at[i];
	}
	show_line(t, false, (struct bytes){ out, n }, cut);
}

static void
imap_server(struct transcript *t, struct side *s, struct bytes line)
{
	bool more = s->within;

	imap_literal(s, line);
	if (t->auth_tag[0] != '\0' && bytes_equal(word_of(line, 0), bytes_of(t->auth_tag)))
		t->auth_tag[0] = '\0';
	if (!more)
		s->hidden = bytes_is(word_of(line, 1), "URLFETCH") ||
		            bytes_is(word_of(line, 1), "GENURLAUTH");
	if (s->hidden)
		show_begin(t, false, line, more ? 0 : end_of(line, word_of(line, 1)));
	else if (t->auth_tag[0] != '\0' && bytes_starts(line, BYTES("+")))
		show(t, false, BYTES("+ " HIDDEN), 0);
	else if (!t->content && (more || bytes_is(word_of(line, 2), "FETCH")))
		show_without_strings(t, line, s->cut);
	else
		show_line(t, false, line, s->cut);
}

/* ---- POP3 ---- */

static void
pop3_client(struct transcript *t, struct side *s, struct bytes line)
{
	struct bytes verb = word_of(line, 0);

	if (t->auth_left > 0) {
		show(t, true, BYTES(HIDDEN), 0);
		return;
	}
	if (t->pendings == PENDING_MOST) {
		t->lost = true;
		return;
	}
	t->pending[(t->first + t->pendings++) % PENDING_MOST] =
		bytes_is(verb, "RETR") || bytes_is(verb, "TOP") ? PENDING_CONTENT : PENDING_OTHER;
	if (hide_mistake(t, line, verb, verb))
		return;
	t->tried |= bytes_is(verb, "AUTH") || bytes_is(verb, "PASS") || bytes_is(verb, "APOP");
	if (bytes_is(verb, "AUTH"))
		t->auth_left = t->pendings;
	if (bytes_is(verb, "PASS"))
		show_begin(t, true, line, verb.len);
	else if ((bytes_is(verb, "APOP") || bytes_is(verb, "AUTH")) && word_of(line, 2).len > 0)
		show_begin(t, true, line, end_of(line, word_of(line, 1)));
	else
		show_line(t, true, line, s->cut);
}

static void
pop3_server(struct transcript *t, struct side *s, struct bytes line)
{
	bool good = bytes_starts(line, BYTES("+OK")), content;

	if (t->auth_left > 0 && bytes_starts(line, BYTES("+ "))) {
		show(t, false, BYTES("+ " HIDDEN), 0);
		return;
	}
	show_line(t, false, line, s->cut);
	if ((!good && !bytes_starts(line, BYTES("-ERR"))) || t->pendings == 0)
		return;
	content = t->pending[t->first % PENDING_MOST] == PENDING_CONTENT;
	t->first++;
	t->pendings--;
	if (t->auth_left > 0)
		t->auth_left--;
	if (good && content) {
		s->saying = SAYING_DOTTED;
		s->size = 0;
		s->dots = 2;
	}
}

/* ---- bytes ---- */

static void
line_heard(struct transcript *t, bool client)
{
	static void (*const heard[][2])(struct transcript *, struct side *, struct bytes) = {
		[TRANSCRIPT_SMTP] = { smtp_server, smtp_client },
		[TRANSCRIPT_IMAP] = { imap_server, imap_client },
		[TRANSCRIPT_POP3] = { pop3_server, pop3_client },
	};
	struct side *s = &t->side[client];
	struct bytes line = { s->line, s->len };

	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	heard[t->protocol][client](t, s, line);
	explicit_bzero(s->line, s->len);
	s->len = s->cut = 0;
}

static size_t
take_line(struct transcript *t, bool client, struct bytes b)
{
	struct side *s = &t->side[client];
	ptrdiff_t    end = bytes_find(b, '\n');
	size_t       n = end < 0 ? b.len : (size_t)end;
	size_t       kept = n < sizeof s->line - s->len ? n : sizeof s->line - s->len;

	/* Of a line that is cut the end is kept: a literal is told of there. */
	memcpy(s->line + s->len, b.at, kept);
	s->len += kept;
	if (n > kept) {
		size_t tail = n - kept < TAIL ? n - kept : TAIL;
		char  *last = s->line + sizeof s->line - TAIL;

		memmove(last, last + tail, TAIL - tail);
		memcpy(last + TAIL - tail, b.at + n - tail, tail);
		s->cut += n - kept;
	}
	if (end < 0)
		return n;
	line_heard(t, client);
	return n + 1;
}

static void
show_content(struct transcript *t, bool client, struct bytes b)
{
	struct bytes line;

	while (t->content && bytes_split(&b, '\n', &line))
		if (line.len > 0)
			show(t, client,
			     line.at[line.len - 1] == '\r' ? bytes_cut(line, 0, line.len - 1)
			                                   : line,
			     0);
}

static size_t
take_counted(struct transcript *t, bool client, struct bytes b)
{
	struct side *s = &t->side[client];
	size_t       n = b.len < s->left ? b.len : (size_t)s->left;

	if (!(t->protocol == TRANSCRIPT_IMAP && s->hidden) && t->auth_tag[0] == '\0')
		show_content(t, client, bytes_cut(b, 0, n));
	s->left -= n;
	if (s->left == 0) {
		s->saying = SAYING_LINE;
		show_size(t, client, t->protocol == TRANSCRIPT_IMAP ? "literal" : "chunk", s->size);
	}
	return n;
}

/* Up to CRLF . CRLF, whose first CRLF may be that of the line before. */
static size_t
take_dotted(struct transcript *t, bool client, struct bytes b)
{
	static const char end[] = "\r\n.\r\n";
	struct side      *s = &t->side[client];
	size_t            n = 0;

	while (n < b.len && s->dots < sizeof end - 1) {
		char c = b.at[n++];

		s->dots = c == end[s->dots] ? s->dots + 1 : c == '\r';
	}
	s->size += n;
	show_content(t, client, bytes_cut(b, 0, n));
	if (s->dots == sizeof end - 1) {
		s->saying = SAYING_LINE;
		show_size(t, client, "letter", s->size);
	}
	return n;
}

void
transcript_hear(struct transcript *t, bool client, struct bytes b)
{
	static size_t (*const take[])(struct transcript *, bool, struct bytes) = {
		[SAYING_LINE] = take_line,
		[SAYING_COUNTED] = take_counted,
		[SAYING_DOTTED] = take_dotted,
	};

	while (b.len > 0 && !t->lost) {
		size_t n = take[t->side[client].saying](t, client, b);

		b = bytes_cut(b, n, b.len);
	}
}

void
transcript_file(struct transcript *t, uint64_t len)
{
	struct side *s = &t->side[0];

	if (s->saying == SAYING_COUNTED) {
		s->left -= len < s->left ? len : s->left;
		if (s->left == 0)
			s->saying = SAYING_LINE;
	} else if (s->saying == SAYING_DOTTED)
		s->size += len;
	show_size(t, false, "part of a letter", len);
}
