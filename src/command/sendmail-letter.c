#include "command/sendmail-letter.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"
#include "message/address.h"
#include "message/charset.h"
#include "message/header.h"

int
post_complain(int status, const char *form, const char *what)
{
	(void)fputs("sendmail: ", stderr);
	(void)fprintf(stderr, "%s%s\n", form, what);
	return status;
}

/* ---- who sends, who gets it ------------------------------------------------------------------- */

static const char *
completed(struct post *p, struct bytes address)
{
	if (address.len == 0 || bytes_find_last(address, '@') >= 0)
		return arena_copy(p->life, address);
	return arena_printf(p->life, "%.*s@%s", (int)address.len, address.at, p->common.myorigin);
}

static void
no_address(struct post *p, struct bytes text)
{
	p->wrong = true;
	(void)post_complain(EX_DATAERR, "this is no address: ", arena_copy(p->life, text));
}

/* However many there are: nobody of a list is left out in silence. */
static void
add_recipient(struct post *p, const char *address)
{
	for (const char *c = address; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == '<' || *c == '>') {
			no_address(p, bytes_of(address));
			return;
		}
	if (*address == '\0')
		return;
	if (p->recipients == p->room) {
		p->room = p->room == 0 ? 64 : 2 * p->room;
		p->to = memory_resize(p->to, p->room * sizeof *p->to);
	}
	p->to[p->recipients++] = address;
}

/* An address list as in a header. */
void
post_add_list(struct post *p, struct bytes list)
{
	struct mailboxes all = mailboxes_of(list, p->life);
	struct mailbox   m;

	while (mailboxes_next(&all, &m)) {
		struct address a = { m.local, m.domain };

		if (m.group_start || m.group_end)
			continue;
		if (m.local.len == 0) {
			no_address(p, m.name.len > 0 ? m.name : m.domain);
			continue;
		}
		add_recipient(p,
		              completed(p, m.domain.len > 0 ? address_text(p->life, &a) : m.local));
	}
}

/* Words without quotes are no address: as Postfix, the first of them is taken for one, and the letter goes. */
static const char *
first_word(struct post *p, const char *text)
{
	struct bytes rest = bytes_trim(bytes_of(text)), word;

	if (strchr(text, '"') != NULL || !bytes_split(&rest, ' ', &word) || rest.len == 0)
		return text;
	(void)post_complain(0, "warning: -f option specified malformed sender: ", text);
	return arena_copy(p->life, word);
}

/* As programs write it: "a@b", "<a@b>", "Name <a@b>"; "" and "<>" are nobody. */
const char *
post_sender(struct post *p, const char *text)
{
	struct mailboxes all = mailboxes_of(bytes_of(text), p->life);
	struct address   a;
	struct mailbox   m;

	if (strcmp(text, "<>") == 0)
		return "";
	if (strchr(text, '<') == NULL || !mailboxes_next(&all, &m) || m.local.len == 0)
		return completed(p, bytes_of(first_word(p, text)));
	a = (struct address){ m.local, m.domain };
	return completed(p, m.domain.len > 0 ? address_text(p->life, &a) : m.local);
}

const char *
post_login(void)
{
	const struct passwd *who = getpwuid(getuid());

	return who != NULL ? who->pw_name : "nobody";
}

/* As passwd(5) has it, "&" being the login name with a capital. */
static const char *
full_name(struct post *p)
{
	const struct passwd *who = getpwuid(getuid());
	struct buffer        b = { 0 };
	const char          *got;

	if (p->name != NULL)
		return p->name;
	for (const char *c = who != NULL && who->pw_gecos != NULL ? who->pw_gecos : "";
	     *c != '\0' && *c != ','; c++)
		if (*c == '&' && who != NULL)
			buffer_printf(&b, "%c%s", toupper((unsigned char)who->pw_name[0]),
			              who->pw_name + 1);
		else
			buffer_add_char(&b, *c);
	got = arena_copy(p->life, buffer_bytes(&b));
	buffer_free(&b);
	return got;
}

/* ---- the letter --------------------------------------------------------------------------------- */

/* Lines of standard input, with CRLF: to a dot, unless that means nothing; without the mark of an mbox in front. */
static void
letter_lines(const struct post *p, struct bytes in, struct buffer *out)
{
	struct bytes line;
	bool         first = true;

	for (; in.len > 0; first = false) {
		(void)bytes_split(&in, '\n', &line);
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (!p->dots && line.len == 1 && line.at[0] == '.')
			return;
		if (first &&
		    (bytes_starts(line, BYTES("From ")) || bytes_starts(line, BYTES(">From "))))
			continue;
		buffer_add(out, line);
		buffer_add_string(out, "\r\n");
	}
}

enum { HAS_FROM = 1, HAS_DATE = 2, HAS_ID = 4 };

static void
look_at_field(struct post *p, const struct field *f, bool resent, unsigned *has)
{
	static const char *const to[] = { "To", "Cc", "Bcc" }, *const to_resent[] = {
		"Resent-To", "Resent-Cc", "Resent-Bcc"
	};
	struct arena *a = p->life;
	bool          before = p->wrong;

	*has |= bytes_is(f->name, "From")         ? HAS_FROM
	        : bytes_is(f->name, "Date")       ? HAS_DATE
	        : bytes_is(f->name, "Message-ID") ? HAS_ID
	                                          : 0;
	for (size_t i = 0; p->from_header && i < COUNT(to); i++)
		if (bytes_is(f->name, resent ? to_resent[i] : to[i]))
			post_add_list(p, field_unfold(a, f->value));
	p->wrong =
		before; /* what the letter's author wrote is told, and is no mistake of who calls us */
}

/* A quoted-string where words would not do (rfc5322:3.2.4). */
static void
put_name(struct buffer *out, const char *name)
{
	buffer_add_char(out, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"' || *name == '\\')
			buffer_add_char(out, '\\');
		if ((unsigned char)*name >= ' ' && *name != 0x7f)
			buffer_add_char(out, *name);
	}
	buffer_add_string(out, "\" ");
}

static void
put_missing(struct post *p, unsigned has, struct buffer *out)
{
	const char *name = full_name(p);
	char        date[48];

	if ((has & HAS_FROM) == 0) {
		buffer_add_string(out, "From: ");
		if (*name != '\0')
			put_name(out, name);
		buffer_printf(out, "<%s>\r\n",
		              *p->sender != '\0' ? p->sender
		                                 : completed(p, BYTES("MAILER-DAEMON")));
	}
	clock_rfc5322(clock_wall(), date, sizeof date);
	if ((has & HAS_DATE) == 0)
		buffer_printf(out, "Date: %s\r\n", date);
	if ((has & HAS_ID) == 0)
		buffer_printf(out, "Message-ID: <%llx.%016llx@%s>\r\n",
		              (unsigned long long)clock_wall(), (unsigned long long)random_number(),
		              p->common.myhostname);
}

/* A line that is no field ends the header: the body begins there, as sendmail has always had it. */
static bool
field_take(const char **at, const char *end, struct field *f)
{
	const char *colon, *from = *at;
	size_t      n = from < end ? field_name(from, end, &colon) : 0;

	if (n == 0)
		return false;
	do
		*at = line_end(*at, end);
	while (*at < end && (**at == ' ' || **at == '\t'));
	f->whole = (struct bytes){ from, (size_t)(*at - from) };
	f->name = (struct bytes){ from, n };
	f->value = (struct bytes){ colon + 1, (size_t)(*at - colon - 1) };
	return true;
}

/* The header looked at and completed; one that has none gets one. */
static void
letter_make(struct post *p, struct bytes lines, struct buffer *out)
{
	struct field f;
	unsigned     has = 0;
	const char  *body = lines.at, *end = lines.at + lines.len;
	bool         resent = false;

	while (field_take(&body, end, &f))
		resent = resent || bytes_is(f.name, "Resent-To") || bytes_is(f.name, "Resent-Cc") ||
		         bytes_is(f.name, "Resent-Bcc");
	for (body = lines.at; field_take(&body, end, &f);) {
		look_at_field(p, &f, resent, &has);
		if (!p->from_header ||
		    (!bytes_is(f.name, "Bcc") && !bytes_is(f.name, "Resent-Bcc")))
			buffer_add(out, f.whole);
	}
	if (!p->gateway)
		put_missing(p, has, out);
	if (body >= end || line_empty(body, end) == 0)
		buffer_add_string(out, "\r\n");
	if (body < end)
		buffer_add(out, (struct bytes){ body, (size_t)(end - body) });
}

void
post_letter(struct post *p, struct bytes in, struct buffer *out)
{
	struct buffer lines = { 0 };

	letter_lines(p, in, &lines);
	letter_make(p, buffer_bytes(&lines), out);
	buffer_free(&lines);
}
