/*
 * sendmail -- letters of programs on this machine: cron, mail, scripts
 *
 * A letter goes to our own listener for SMTP as a client's does: the same rules, the same caps, and exit 0 means
 * that it is on the disk.  Nothing here needs rights of its own.
 */

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"
#include "command/command.h"
#include "command/lookup.h"
#include "command/queue-ask.h"
#include "command/sendmail-report.h"
#include "command/talk.h"
#include "message/address.h"
#include "message/charset.h"
#include "message/header.h"
#include "role/askers.h"
#include "role/listeners.h"

enum { PATIENCE_MS = 300000 };

static int run_sendmail(struct call *);

const struct command command_sendmail = {
	.name = "sendmail",
	.forms =
		"sendmail [-itv] [-f SENDER] [-F NAME] [-N EVENTS] [-R full|hdrs] [-V ENVID] [-XV[DELIMITERS]] [-B 8BITMIME] [-C MAIN_CF] [RECIPIENT ...]\n"
		"sendmail -bs\n"
		"sendmail -bv [-f SENDER] RECIPIENT ...\n"
		"sendmail -bp | -q | -qID | -qRDOMAIN | -bi | -I",
	.about =
		"Takes a letter from standard input, as programs expect of this name, and hands it to the server.",
	.more = "The recipients are the arguments, or with -t those of To, Cc and Bcc (of which Bcc is taken out). A line with a dot alone ends "
		"the letter, but with -i or -oi. Names without a domain are completed with myorigin; a letter without From, Date "
		"or Message-ID gets them. -bs speaks SMTP on standard input and output, -bv only asks whether recipients "
		"would be taken, says it, and mails a report of it to the sender, -bp is mailq, -q is postqueue -f, -bi and -I are newaliases. -bm, -m, -n, -U, -v, -A, -G, -L, -X, -p, -h and other -o options are taken and mean nothing.\n"
		"\n"
		"The exit status is that of sysexits.h: 0 when the server has the letter, 64 wrongly called, 65 there is nobody to "
		"send it to, 67 a recipient is unknown, 69 it was refused, 75 try again later, 78 the settings cannot be read.",
	.run = run_sendmail,
};

struct post {
	struct call           *call;
	struct arena          *life;
	struct common_settings common;
	struct setting_list    pickup; /* where the listener of that name is besides, if anywhere */
	bool                   no_socket; /* of pickup: it is asked by the network */
	const char            *sender, *name, *notify, *ret, *envid, *verp;
	bool                   from_header, dots, eight_bit; /* -t; a dot does not end it */
	const char           **to;
	size_t                 recipients, room;
	bool                   wrong; /* something was no address */
	struct asked_of       *asked; /* what -bv has heard                         */
	size_t                 answers;
	struct settings       *settings;
	struct talk           *talk;
	struct buffer          reply; /* its last line */
	char                   offers[1024];
	int                    status;
};

static int
complain(int status, const char *form, const char *what)
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
	(void)complain(EX_DATAERR, "this is no address: ", arena_copy(p->life, text));
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
static void
add_list(struct post *p, struct bytes list)
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

/* As programs write it: "a@b", "<a@b>", "Name <a@b>"; "" and "<>" are nobody. */
static const char *
sender_of(struct post *p, const char *text)
{
	struct mailboxes all = mailboxes_of(bytes_of(text), p->life);
	struct address   a;
	struct mailbox   m;

	if (strcmp(text, "<>") == 0)
		return "";
	if (strchr(text, '<') == NULL || !mailboxes_next(&all, &m) || m.local.len == 0)
		return completed(p, bytes_of(text));
	a = (struct address){ m.local, m.domain };
	return completed(p, m.domain.len > 0 ? address_text(p->life, &a) : m.local);
}

static const char *
login_name(void)
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
			add_list(p, field_unfold(a, f->value));
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
	put_missing(p, has, out);
	if (body >= end || line_empty(body, end) == 0)
		buffer_add_string(out, "\r\n");
	if (body < end)
		buffer_add(out, (struct bytes){ body, (size_t)(end - body) });
}

/* ---- our listener --------------------------------------------------------------------------------- */

static bool
is_refused(const struct post *p, struct bytes greeting)
{
	if (p->no_socket || !bytes_starts(greeting, BYTES("554 5.7.1 ")) ||
	    !bytes_ends_nocase(bytes_trim(greeting), BYTES("is not allowed to submit mail")))
		return false;
	(void)fprintf(stderr, "sendmail: fatal: User %s(%lu) is not allowed to submit mail\n",
	              login_name(), (unsigned long)getuid());
	return true;
}

/* authorized_submit_users, where no server asks who we are */
static bool
may_submit(const struct post *p)
{
	struct buffer lines = { 0 };
	bool          may;

	askers_lines(p->settings, &lines);
	buffer_add_char(&lines, '\0');
	may = askers_may(lines.at, "submit", getuid());
	buffer_free(&lines);
	if (!may)
		(void)fprintf(stderr,
		              "sendmail: fatal: User %s(%lu) is not allowed to submit mail\n",
		              login_name(), (unsigned long)getuid());
	return may;
}

/* The socket of the state directory, where the server sees who we are; -1: there is none to be seen from here, or said. */
static int
call_pickup(struct post *p)
{
	int fd = command_call(&p->common, "pickup");

	if (fd >= 0)
		return fd;
	p->no_socket = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
	if (!p->no_socket)
		p->status =
			complain(EX_TEMPFAIL, "the server cannot be reached: ", strerror(errno));
	else if (!may_submit(p))
		p->status = EX_NOPERM;
	return -1;
}

/* By the network: the listener "pickup", if it has addresses, or "smtp".
   "127.0.0.1" of "*:25"; the address of inet_interfaces where we listen on that alone. */
static bool
find_listener(const struct post *p, char host[static 256], char port[static 16])
{
	const struct setting_list *all = p->pickup.count > 0 ? &p->pickup
	                                                     : &p->common.listen[LISTEN_SMTP],
				  *on = &p->common.inet_interfaces;

	for (size_t i = 0; i < all->count; i++) {
		struct bytes one = bytes_of(all->item[i]);
		ptrdiff_t    at = bytes_find_last(one, ':');
		struct bytes name = bytes_cut(one, 0, at > 0 ? (size_t)at : 0);

		if (at <= 0 || bytes_starts(one, BYTES("unix:")) ||
		    !bytes_string(bytes_cut(one, (size_t)at + 1, one.len), port, 16))
			continue;
		if (name.at[0] == '[' && name.len > 2)
			name = bytes_cut(name, 1, name.len - 2);
		if (bytes_is(name, "*") && on->count > 0 && strcmp(on->item[0], "all") != 0 &&
		    strcmp(on->item[0], "loopback-only") != 0)
			name = bytes_of(on->item[0]);
		if (bytes_is(name, "*") || bytes_is(name, "0.0.0.0"))
			name = BYTES("127.0.0.1");
		else if (bytes_is(name, "::"))
			name = BYTES("::1");
		if (bytes_string(name, host, 256))
			return true;
	}
	return false;
}

static void
keep_line(void *ctx, struct bytes line)
{
	struct post *p = ctx;
	size_t       n = strlen(p->offers);

	buffer_reset(&p->reply);
	buffer_add(&p->reply, line);
	if (line.len > 4)
		(void)snprintf(p->offers + n, sizeof p->offers - n, " %.*s", (int)line.len - 4,
		               line.at + 4);
}

/* The code of the answer; 0 none. */
static int
answer(struct post *p)
{
	p->offers[0] = '\0';
	buffer_reset(&p->reply);
	return talk_reply(p->talk, keep_line, p);
}

static __attribute__((format(printf, 2, 3))) int
say(struct post *p, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;
	bool          said;

	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	buffer_add_string(&b, "\r\n");
	said = talk_say(p->talk, buffer_bytes(&b));
	buffer_free(&b);
	return said ? answer(p) : 0;
}

static int
status_of(int code)
{
	return code == 0 || code / 100 == 4 ? EX_TEMPFAIL : EX_UNAVAILABLE;
}

/* Says what the server said, or why it said nothing. */
static int
refused(struct post *p, int code, const char *what)
{
	if (code == 0)
		(void)fprintf(stderr, "sendmail: %s: %s\n", what, talk_why(p->talk));
	else
		(void)fprintf(stderr, "sendmail: %s: %.*s\n", what, (int)p->reply.len, p->reply.at);
	return status_of(code);
}

static bool
begin(struct post *p, char offers[static 1024])
{
	char host[256], port[16];
	int  code, fd = call_pickup(p);

	if (fd >= 0) {
		p->talk = talk_take(fd, PATIENCE_MS);
	} else if (p->status != EX_OK) {
		return false;
	} else if (!find_listener(p, host, port)) {
		p->status =
			complain(EX_CONFIG, "there is no listener for SMTP in ", p->call->config);
		return false;
	} else {
		p->talk = talk_open(host, atoi(port), PATIENCE_MS);
	}
	code = answer(p);
	if (is_refused(p, buffer_bytes(&p->reply))) {
		p->status = EX_NOPERM;
		return false;
	}
	if (code == 220)
		code = say(p, "EHLO %s", p->common.myhostname);
	(void)snprintf(offers, 1024, "%s", p->offers);
	if (code != 250)
		p->status = refused(p, code, "the server cannot be reached");
	return code == 250;
}

/* xtext, rfc3461:4 */
static void
put_xtext(struct buffer *b, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text > ' ' && *text < 0x7f && *text != '+' && *text != '=')
			buffer_add_char(b, *text);
		else
			buffer_printf(b, "+%02X", (unsigned char)*text);
}

static bool
begin_letter(struct post *p, bool eight_bit, const char *offers, bool *dsn)
{
	struct buffer b = { 0 };
	bool          utf8 = !bytes_are_ascii(bytes_of(p->sender));
	int           code;

	for (size_t i = 0; i < p->recipients; i++)
		utf8 = utf8 || !bytes_are_ascii(bytes_of(p->to[i]));
	*dsn = strstr(offers, " DSN") != NULL;
	if (eight_bit && strstr(offers, " 8BITMIME") != NULL)
		buffer_add_string(&b, " BODY=8BITMIME");
	if (utf8 && strstr(offers, " SMTPUTF8") != NULL)
		buffer_add_string(&b, " SMTPUTF8");
	if (*dsn && p->ret != NULL)
		buffer_printf(&b, " RET=%s", p->ret);
	if (*dsn && p->envid != NULL) {
		buffer_add_string(&b, " ENVID=");
		put_xtext(&b, p->envid);
	}
	if (p->verp != NULL)
		buffer_printf(&b, " XVERP%s%s", *p->verp != '\0' ? "=" : "", p->verp);
	code = say(p, "MAIL FROM:<%s>%.*s", p->sender, (int)b.len, b.len > 0 ? b.at : "");
	buffer_free(&b);
	if (code != 250)
		p->status = refused(p, code, p->sender);
	return code == 250;
}

/* rfc5321:4.5.3.1.10: no more of them in this transaction; what is left goes in another. */
static bool
is_full(const struct post *p, int code)
{
	return code == 452 &&
	       bytes_starts(bytes_cut(buffer_bytes(&p->reply), 4, SIZE_MAX), BYTES("4.5.3"));
}

static void
recipient_refused(struct post *p, int code, const char *to)
{
	bool unknown = code == 550 && p->reply.len > 9 &&
	               bytes_starts(bytes_cut(buffer_bytes(&p->reply), 4, 9), BYTES("5.1."));

	p->status = refused(p, code, to);
	if (unknown)
		p->status = EX_NOUSER;
}

/* How many are taken.  *at is the first, and then the first of those that are for the next transaction. */
static size_t
say_recipients(struct post *p, bool dsn, bool only_ask, size_t *at)
{
	size_t taken = 0;

	for (; *at < p->recipients; ++*at) {
		const char *to = p->to[*at];
		int         code =
			say(p, "RCPT TO:<%s>%s%s", to, dsn && p->notify != NULL ? " NOTIFY=" : "",
		            dsn && p->notify != NULL ? p->notify : "");

		if (taken > 0 && is_full(p, code))
			break;
		if (only_ask && code != 0)
			p->asked[p->answers++] =
				(struct asked_of){ to,
				                   arena_copy(p->life, buffer_bytes(&p->reply)) };
		if (code / 10 != 25) {
			recipient_refused(p, code, to);
			continue;
		}
		taken++;
		if (only_ask)
			(void)printf("%s... deliverable\n", to);
	}
	return taken;
}

static bool
say_content(struct post *p, struct bytes content)
{
	struct buffer b = { 0 };
	struct bytes  line;
	int           code = say(p, "DATA");

	if (code == 354) {
		while (bytes_split(&content, '\n', &line)) {
			if (line.len == 0)
				continue; /* behind the last line */
			if (line.at[0] == '.')
				buffer_add_char(&b, '.');
			buffer_add(&b, line);
			buffer_add_char(&b, '\n');
		}
		buffer_add_string(&b, ".\r\n");
		code = talk_say(p->talk, buffer_bytes(&b)) ? answer(p) : 0;
		buffer_free(&b);
	}
	if (code != 250)
		p->status = refused(p, code, "the letter");
	return code == 250;
}

/* One transaction, or as many as the server wants for so many recipients. */
static void
say_letter(struct post *p, struct bytes letter, bool only_ask)
{
	char   offers[1024];
	bool   dsn, good = begin(p, offers);
	size_t at = 0;

	while (good && at < p->recipients) {
		size_t taken = 0;

		good = begin_letter(p, !bytes_are_ascii(letter), offers, &dsn);
		if (good)
			taken = say_recipients(p, dsn, only_ask, &at);
		if (taken > 0 && !only_ask)
			good = say_content(p, letter);
		else if (at < p->recipients)
			good = good && say(p, "RSET") == 250;
	}
}

/* As Postfix: who asks gets a letter that says of each what was found. */
static void
report(struct post *p)
{
	struct buffer letter = { 0 };
	int           status = p->status, code;

	if (p->answers == 0 || *p->sender == '\0')
		return;
	sendmail_report(p->settings, &p->common, p->sender, p->asked, p->answers, &letter);
	code = say(p, "RSET") == 250 ? say(p, "MAIL FROM:<>") : 0;
	if (code == 250)
		code = say(p, "RCPT TO:<%s>", p->sender);
	if (code == 250)
		(void)say_content(p, buffer_bytes(&letter));
	else
		(void)refused(p, code, "the report");
	if (code == 250 && p->status == status)
		(void)printf("Mail Delivery Status Report will be mailed to <%s>.\n", p->sender);
	p->status = status;
	buffer_free(&letter);
}

static int
deliver(struct post *p, bool only_ask)
{
	struct buffer in = { 0 }, lines = { 0 }, letter = { 0 };

	if (!only_ask) {
		if (!command_read("-", &in))
			return EX_IOERR;
		letter_lines(p, buffer_bytes(&in), &lines);
		letter_make(p, buffer_bytes(&lines), &letter);
	}
	if (p->recipients == 0)
		p->status =
			p->from_header
				? complain(EX_DATAERR,
		                           "no recipient addresses found in message header", "")
				: complain(
					  EX_USAGE,
					  "recipient addresses must be specified on the command line or via the -t option",
					  "");
	else {
		p->asked = memory_take(p->recipients * sizeof *p->asked);
		say_letter(p, buffer_bytes(&letter), only_ask);
		if (only_ask)
			report(p);
	}
	if (p->talk != NULL && !talk_over(p->talk))
		(void)say(p, "QUIT");
	buffer_free(&in);
	buffer_free(&lines);
	buffer_free(&letter);
	return p->status == EX_OK && p->wrong ? EX_DATAERR : p->status;
}

/* ---- SMTP on standard input and output ------------------------------------------------------------- */

static bool
pass(int from, int to)
{
	char    piece[16384];
	ssize_t n = read(from, piece, sizeof piece);

	for (ssize_t did = 0, now; n > 0 && did < n; did += now)
		if ((now = write(to, piece + did, (size_t)(n - did))) <= 0)
			return false;
	return n > 0;
}

/* -1: said, in p->status. */
static int
call_listener(struct post *p)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	char            host[256], port[16];
	int             fd;

	if (!find_listener(p, host, port))
		p->status =
			complain(EX_CONFIG, "there is no listener for SMTP in ", p->call->config);
	else if (getaddrinfo(host, port, &hints, &found) != 0)
		p->status = complain(EX_TEMPFAIL, "no address for ", host);
	if (found == NULL)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		p->status =
			complain(EX_TEMPFAIL, "the server cannot be reached: ", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int
speak_smtp(struct post *p)
{
	struct pollfd f[2] = { { STDIN_FILENO, POLLIN, 0 }, { -1, POLLIN, 0 } };
	char          greeting[256];
	ssize_t       n;

	f[1].fd = call_pickup(p);
	if (f[1].fd < 0 && p->status == EX_OK)
		f[1].fd = call_listener(p);
	if (f[1].fd < 0)
		return p->status;
	n = recv(f[1].fd, greeting, sizeof greeting, MSG_PEEK);
	if (n > 0 && is_refused(p, (struct bytes){ greeting, (size_t)n })) {
		(void)close(f[1].fd);
		return EX_NOPERM;
	}
	while (poll(f, COUNT(f), -1) > 0) {
		if (f[1].revents != 0 && !pass(f[1].fd, STDOUT_FILENO))
			break;
		if (f[0].revents != 0 && !pass(STDIN_FILENO, f[1].fd)) {
			(void)shutdown(f[1].fd, SHUT_WR); /* what is still to be said is heard */
			f[0].fd = -1;
		}
	}
	(void)close(f[1].fd);
	return EX_OK;
}

/* ---- how it is called ------------------------------------------------------------------------------ */

static int
other_command(struct call *c, const struct command *other, const char *option, const char *value)
{
	char        name[32], first[32], second[256];
	char       *argv[] = { name, first, second, NULL };
	struct call as = { .command = other,
		           .config = c->config,
		           .argv = argv,
		           .argc = option == NULL  ? 1
		                   : value == NULL ? 2
		                                   : 3 };
	int         status;

	(void)snprintf(name, sizeof name, "%s", other->name);
	(void)snprintf(first, sizeof first, "%s", option != NULL ? option : "");
	(void)snprintf(second, sizeof second, "%s", value != NULL ? value : "");
	argv[as.argc] = NULL;
	optind = 0;
	status = other->run(&as);
	return status == COMMAND_DONE ? EX_OK : EX_UNAVAILABLE;
}

/* "-q", "-q30m" (how often: the server knows), "-qIid", "-qRdomain" */
static int
flush(struct call *c, const char *how)
{
	if (how == NULL || isdigit((unsigned char)*how))
		return other_command(c, &command_postqueue, "-f", NULL);
	if ((*how == 'I' || *how == 'R') && how[1] != '\0')
		return other_command(c, &command_postqueue, *how == 'I' ? "-i" : "-s",
		                     how + (how[1] == '@' ? 2 : 1));
	return complain(EX_USAGE, "-q wants nothing, I and an id or R and a domain, not ", how);
}

/* rfc3461:4.1 */
static const char *
notify_of(struct post *p, const char *value)
{
	static const char *const words[] = { "never", "success", "failure", "delay" };
	struct bytes             rest = bytes_of(value), word;
	char                    *upper = (char *)(uintptr_t)arena_copy(p->life, rest);
	bool                     alone = bytes_find(rest, ',') < 0;

	while (bytes_split(&rest, ',', &word)) {
		bool known = false;

		for (size_t i = 0; i < COUNT(words); i++)
			known = known || bytes_is(word, words[i]);
		if (!known || (!alone && bytes_is(word, "never")))
			return NULL;
	}
	for (char *c = upper; *c != '\0'; c++)
		*c = ascii_upper(*c);
	return upper;
}

/* As Postfix: the letter goes without. */
static void
ignored(char option, const char *right)
{
	(void)fprintf(stderr, "sendmail: warning: bad -%c option value -- ignored; it wants %s\n",
	              option, right);
}

/* What is to be done: 'm', 's', 'p', 'v', 'i', 'q'; 0 after complaining. */
static int
read_options(struct post *p, const char **sender, const char **queue)
{
	struct call *c = p->call;
	int          letter, mode = 'm';

	while ((letter = getopt(c->argc, c->argv, SENDMAIL_OPTIONS)) != -1)
		switch (letter) {
		case 'b':
			if (strchr("mspvi", optarg[0]) == NULL || optarg[0] == '\0' ||
			    optarg[1] != '\0')
				return complain(
					0,
					strcmp(optarg, "d") == 0
						? "the server is started with systemctl "
						  "start mansio, or mansio run; it is not done by -b"
						: "this is not done here: -b",
					optarg);
			mode = optarg[0];
			break;
		case 'C': c->config = lookup_config(optarg, p->life); break;
		case 'F': p->name = optarg; break;
		case 'f':
		case 'r': *sender = optarg; break;
		case 'I': mode = 'i'; break;
		case 'i': p->dots = true; break;
		case 'o': p->dots = p->dots || strcmp(optarg, "i") == 0; break;
		case 'O': p->dots = p->dots || strcmp(optarg, "IgnoreDots") == 0; break;
		case 'N':
			if ((p->notify = notify_of(p, optarg)) == NULL)
				ignored('N', "never, or success, failure and delay");
			break;
		case 'R':
			p->ret = strcasecmp(optarg, "full") == 0   ? "FULL"
			         : strcasecmp(optarg, "hdrs") == 0 ? "HDRS"
			                                           : NULL;
			if (p->ret == NULL)
				ignored('R', "full or hdrs");
			break;
		case 'V':
			p->envid = *optarg != '\0' ? optarg : NULL;
			if (p->envid == NULL)
				ignored('V', "a name for the letter");
			break;
		case 'X': /* -XV, -XV+=; else a transcript, which is not kept here */
			p->verp = optarg[0] == 'V' ? optarg + 1 : p->verp;
			break;
		case 'q':
			mode = 'q';
			*queue = optarg;
			break;
		case 't': p->from_header = true; break;
		case '?': return 0;
		default: break; /* of other programs, and of no meaning here */
		}
	return mode;
}

static int
run_as(struct post *p, int mode, const char *sender, const char *queue)
{
	struct settings *s;
	int              status;

	switch (mode) {
	case 0: return EX_USAGE;
	case 'p': return other_command(p->call, &command_mailq, NULL, NULL);
	case 'i': return other_command(p->call, &command_newaliases, NULL, NULL);
	case 'q': return flush(p->call, queue);
	default: break;
	}
	if ((s = command_settings(p->call, &p->common)) == NULL)
		return EX_CONFIG;
	(void)listener_addresses(s, "pickup", &p->pickup);
	p->settings = s;
	p->sender = sender_of(p, sender != NULL ? sender : login_name());
	for (int i = optind; i < p->call->argc && mode != 's'; i++)
		add_list(p, bytes_of(p->call->argv[i]));
	status = mode == 's' ? speak_smtp(p) : deliver(p, mode == 'v');
	talk_close(&p->talk);
	settings_close(&s);
	return status;
}

static int
run_sendmail(struct call *c)
{
	struct post p = { .call = c, .life = arena_open(NULL) };
	const char *sender = NULL, *queue = NULL, *place = getenv("MAIL_CONFIG");
	int         mode, status;

	if (place != NULL && geteuid() == getuid())
		c->config = lookup_config(place, p.life);
	mode = read_options(&p, &sender, &queue);
	status = run_as(&p, mode, sender, queue);
	memory_free(p.to);
	memory_free(p.asked);
	buffer_free(&p.reply);
	arena_close(&p.life);
	return status;
}
