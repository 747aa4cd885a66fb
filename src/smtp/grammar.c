#include "smtp/grammar.h"

#include <string.h>

#include "message/encoding.h"
#include "smtp/extension.h"

enum { HELO_MOST = 255 };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_solid(char c)
{
	return !is_blank(c);
}

/* The characters of an atom, rfc5322:3.2.3, and the dot. */
static bool
is_local_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(".!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
is_local_char_utf8(char c)
{
	return is_local_char(c) || (unsigned char)c >= 0x80;
}

struct bytes
command_verb(struct bytes *line)
{
	struct scan  r = scan_of(*line);
	struct bytes verb;

	(void)scan_while(&r, is_blank);
	verb = scan_while(&r, is_solid);
	*line = bytes_trim(r.rest);
	return verb;
}

/* Machines are called "пк" and "Anna's PC", and rfc5321:4.1.4 lets nobody refuse a letter for that.  A NUL or the half of a
   line end is in no name (rfc5321:2.3.8). */
struct bytes
helo_name(struct bytes argument, struct arena *a)
{
	struct bytes name = bytes_cut(bytes_trim(argument), 0, HELO_MOST);
	char        *to = arena_take(a, name.len + 1);

	if (bytes_find(argument, '\0') >= 0 || bytes_find(argument, '\r') >= 0 ||
	    bytes_find(argument, '\n') >= 0)
		return (struct bytes){ to, 0 };
	for (size_t i = 0; i < name.len; i++)
		to[i] = name.at[i] <= ' ' || name.at[i] > '~' ||
		                        strchr("()<>\"\\;@", name.at[i]) != NULL
		                ? '?'
		                : name.at[i];
	return (struct bytes){ to, name.len };
}

/* A name alone, with or without brackets: "<jill>" or "jill".  It is not in the
   grammar of rfc5321:4.1.2, but people type it, and it means a user of ours. */
static bool
bare_name(struct scan *r, bool utf8, struct arena *a, struct address *out)
{
	struct scan  try = *r;
	bool         brackets;
	struct bytes name;

	(void)scan_while(&try, is_blank);
	brackets = scan_skip(&try, '<');
	name = scan_while(&try, utf8 ? is_local_char_utf8 : is_local_char);
	if (name.len == 0 || !utf8_valid(name) || name.len > 64 || bytes_is(name, "postmaster"))
		return false;
	if (brackets && !scan_skip(&try, '>'))
		return false;
	if (try.rest.len > 0 && !is_blank(try.rest.at[0]))
		return false;
	out->local = arena_keep(a, name);
	out->domain = BYTES("");
	*r = try;
	return true;
}

static bool
read_path(struct scan *r, const struct grammar *g, struct arena *a, struct address *out, bool *bare)
{
	bool     utf8 = g->extensions & EXTENSION_SMTPUTF8;
	unsigned style = (g->strict ? PATH_STRICT : PATH_LENIENT) | (utf8 ? PATH_UTF8 : 0);

	*bare = !g->strict && bare_name(r, utf8, a, out);
	if (!*bare && !path_parse(r, style, a, out))
		return false;
	/* A command line may take it for an option. */
	if (!g->hyphen && bytes_starts(out->local, BYTES("-")))
		return false;
	*bare = *bare ||
	        (out->domain.len == 0 && out->local.len > 0 && !bytes_is(out->local, "postmaster"));
	return true;
}

/* rfc6531:3.2: an address beyond US-ASCII is taken where SMTPUTF8 was said. */
static const char undeclared[] = "553 5.6.7 Must declare SMTPUTF8 to send unicode address";

static bool
is_beyond_ascii(struct bytes path)
{
	for (size_t i = 0; i < path.len; i++)
		if ((unsigned char)path.at[i] >= 0x80)
			return true;
	return false;
}

/* mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]      rfc5321:4.1.1.2 */
bool
mail_parse(struct bytes line, const struct grammar *g, struct arena *a, struct mail_command *m,
           const char **reply)
{
	struct scan  r = scan_of(line);
	struct bytes from;

	memset(m, 0, sizeof *m);
	if (!scan_skip_word(&r, "FROM:")) {
		*reply = "501 5.5.4 Syntax: MAIL FROM:<address>";
		return false;
	}
	from = r.rest;
	if (!read_path(&r, g, a, &m->sender, &m->bare)) {
		*reply = "501 5.1.7 Bad sender address syntax";
		return false;
	}
	from.len -= r.rest.len;
	*reply = mail_parameters(&r, a, g->extensions, &m->with);
	if (*reply == NULL && g->ascii && !m->with.utf8 && is_beyond_ascii(from))
		*reply = undeclared;
	return *reply == NULL;
}

/* rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
          [SP Rcpt-parameters]                                rfc5321:4.1.1.3 */
bool
rcpt_parse(struct bytes line, const struct grammar *g, struct arena *a, struct rcpt_command *c,
           const char **reply)
{
	struct scan  r = scan_of(line);
	struct bytes to;

	memset(c, 0, sizeof *c);
	if (!scan_skip_word(&r, "TO:")) {
		*reply = "501 5.5.4 Syntax: RCPT TO:<address>";
		return false;
	}
	to = r.rest;
	if (!read_path(&r, g, a, &c->recipient, &c->bare) || c->recipient.local.len == 0) {
		*reply = "501 5.1.3 Bad recipient address syntax";
		return false;
	}
	to.len -= r.rest.len;
	*reply = rcpt_parameters(&r, a, g->extensions, g->utf8, &c->with);
	if (*reply == NULL && g->ascii && !g->utf8 && is_beyond_ascii(to))
		*reply = undeclared;
	return *reply == NULL;
}

/* "Jill Smith <jill@example.com>": a user's name may stand before the address (rfc5321:3.5.1), as Postfix bears it. */
static struct bytes
without_name(struct bytes line)
{
	ptrdiff_t at = bytes_find(line, '<');

	return at > 0 && (line.at[at - 1] == ' ' || line.at[at - 1] == '"') &&
	                       bytes_find(bytes_cut(line, 0, (size_t)at), '@') < 0
	               ? bytes_cut(line, (size_t)at, line.len)
	               : line;
}

/* String [ SP "SMTPUTF8" ]                                     rfc6531:3.7.4.2 */
bool
vrfy_parse(struct bytes line, const struct grammar *g, struct arena *a, struct rcpt_command *c,
           const char **reply)
{
	struct grammar lenient = *g;
	struct bytes   from = without_name(line);
	struct scan    r = scan_of(from);
	bool           utf8;

	memset(c, 0, sizeof *c);
	lenient.strict = false;
	if (line.len == 0 || !read_path(&r, &lenient, a, &c->recipient, &c->bare) ||
	    c->recipient.local.len == 0) {
		*reply = line.len == 0 ? g->extensions & EXTENSION_SMTPUTF8
		                                 ? "501 5.5.4 Syntax: VRFY address [SMTPUTF8]"
		                                 : "501 5.5.4 Syntax: VRFY address"
		                       : "501 5.1.3 Bad recipient address syntax";
		return false;
	}
	from.len -= r.rest.len;
	(void)scan_while(&r, is_blank);
	utf8 = g->extensions & EXTENSION_SMTPUTF8 && scan_skip_word(&r, "SMTPUTF8");
	*reply = NULL;
	if (!scan_done(&r))
		*reply = "501 5.1.3 Bad recipient address syntax";
	else if (g->ascii && !utf8 && is_beyond_ascii(from))
		*reply = undeclared;
	c->utf8 = utf8;
	return *reply == NULL;
}
