#include "command/sendmail-speak.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "command/sendmail-report.h"
#include "command/talk.h"
#include "message/charset.h"
#include "role/askers.h"

enum { PATIENCE_MS = 300000 };

/* ---- our listener --------------------------------------------------------------------------------- */

static bool
is_refused(const struct post *p, struct bytes greeting)
{
	if (p->no_socket || !bytes_starts(greeting, BYTES("554 5.7.1 ")) ||
	    !bytes_ends_nocase(bytes_trim(greeting), BYTES("is not allowed to submit mail")))
		return false;
	(void)fprintf(stderr, "sendmail: fatal: User %s(%lu) is not allowed to submit mail\n",
	              post_login(), (unsigned long)getuid());
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
	if (!may)
		(void)fprintf(stderr,
		              "sendmail: fatal: User %s(%lu) is not allowed to submit mail\n",
		              post_login(), (unsigned long)getuid());
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
		p->status = post_complain(EX_TEMPFAIL,
		                          "the server cannot be reached: ", strerror(errno));
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
		p->status = post_complain(EX_CONFIG, "there is no listener for SMTP in ",
		                          p->call->config);
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
	if (p->verify || (p->report && strstr(offers, " XVERP") != NULL))
		buffer_add_string(&b, p->verify ? " XVERIFY" : " XREPORT");
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
		if ((only_ask || (p->verify && code / 10 != 25)) && code != 0)
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

	/* Who is taken here, others may refuse: the queue asks them, and mails what they say. */
	p->verify = only_ask && *p->sender != '\0' && strstr(offers, " XVERP") != NULL;
	only_ask = only_ask && !p->verify;
	if (good && (p->report || p->verify) && *p->sender != '\0') {
		if (strstr(offers, " XVERP") != NULL)
			(void)printf("Mail Delivery Status Report will be mailed to <%s>.\n",
			             p->sender);
		else
			(void)post_complain(
				0, "warning: -v: the listener for SMTP gives no report; ",
				"that of pickup does, and where smtpd_authorized_verp_clients names us");
	}

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
	if (code == 250 && p->status == status && !p->verify)
		(void)printf("Mail Delivery Status Report will be mailed to <%s>.\n", p->sender);
	p->status = status;
	buffer_free(&letter);
}

int
post_deliver(struct post *p, bool only_ask)
{
	struct buffer in = { 0 }, letter = { 0 };

	if (only_ask)
		buffer_add_string(&in, "Subject: probe\n\n");
	else if (!command_read("-", &in))
		return EX_IOERR;
	post_letter(p, buffer_bytes(&in), &letter);
	if (p->recipients == 0)
		p->status =
			p->from_header
				? post_complain(EX_DATAERR,
		                                "no recipient addresses found in message header",
		                                "")
				: post_complain(
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
		p->status = post_complain(EX_CONFIG, "there is no listener for SMTP in ",
		                          p->call->config);
	else if (getaddrinfo(host, port, &hints, &found) != 0)
		p->status = post_complain(EX_TEMPFAIL, "no address for ", host);
	if (found == NULL)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
		p->status = post_complain(EX_TEMPFAIL,
		                          "the server cannot be reached: ", strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

int
post_speak(struct post *p)
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
