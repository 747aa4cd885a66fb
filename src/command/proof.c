#include "command/proof.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/random.h"

enum { PATIENCE_MS = 20000, LOOK_AGAIN_MS = 20, ANSWER_MOST = 1 << 20 };

/* One connection.  After the first fault every step does nothing. */
struct talk {
	const struct proof *proof;
	struct buffer      *told;
	struct buffer       in, answer;
	SSL_CTX            *context;
	SSL                *tls;
	int                 fd, tags;
	int64_t             until;
	bool                broken;
};

static __attribute__((format(printf, 2, 3))) void
fault(struct talk *t, const char *form, ...)
{
	va_list list;

	if (t->broken)
		return;
	t->broken = true;
	va_start(list, form);
	buffer_vprintf(t->told, form, list);
	va_end(list);
	buffer_add_char(t->told, '\n');
}

/*
 * Bytes
 */

static bool
wait_for(struct talk *t, short what)
{
	struct pollfd p[2] = { { t->fd, what, 0 }, { t->proof->alarm, POLLIN, 0 } };
	int64_t       left = t->until - clock_patient_ms();
	int           n = left > 0 ? poll(p, 2, (int)left) : 0;

	if (n > 0 && p[1].revents != 0)
		fault(t, "interrupted");
	else if (n == 0)
		fault(t, "the server does not answer");
	else if (n < 0 && errno != EINTR)
		fault(t, "poll: %s", strerror(errno));
	return !t->broken;
}

static void
fault_tls(struct talk *t, const char *what)
{
	long        verified = t->tls == NULL ? X509_V_OK : SSL_get_verify_result(t->tls);
	const char *reason = ERR_reason_error_string(ERR_get_error());

	if (verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	fault(t, "%s: %s", what, reason == NULL ? "no reason given" : reason);
}

/* True: try again. */
static bool
wait_tls(struct talk *t, int result, const char *what)
{
	int why = SSL_get_error(t->tls, result);

	if (why == SSL_ERROR_WANT_READ)
		return wait_for(t, POLLIN);
	if (why == SSL_ERROR_WANT_WRITE)
		return wait_for(t, POLLOUT);
	if (why == SSL_ERROR_SSL)
		fault_tls(t, what);
	else
		fault(t, "%s: the server closed the connection", what);
	return false;
}

static void
say(struct talk *t, struct bytes text)
{
	while (!t->broken && text.len > 0) {
		ssize_t n;
		if (t->tls != NULL) {
			n = SSL_write(t->tls, text.at, (int)text.len);
			if (n <= 0 && !wait_tls(t, (int)n, "writing"))
				return;
		} else if ((n = send(t->fd, text.at, text.len, MSG_NOSIGNAL)) < 0) {
			if (errno != EAGAIN)
				fault(t, "writing: %s", strerror(errno));
			else if (!wait_for(t, POLLOUT))
				return;
		}
		if (n > 0)
			text = bytes_cut(text, (size_t)n, text.len);
	}
}

static void
hear(struct talk *t)
{
	char   *room = buffer_room(&t->in, 8192);
	ssize_t n;

	if (t->tls != NULL) {
		n = SSL_read(t->tls, room, 8192);
		if (n <= 0)
			(void)wait_tls(t, (int)n, "reading");
	} else {
		n = recv(t->fd, room, 8192, 0);
		if (n == 0)
			fault(t, "the server closed the connection");
		else if (n < 0 && errno == EAGAIN)
			(void)wait_for(t, POLLIN);
		else if (n < 0)
			fault(t, "reading: %s", strerror(errno));
	}
	if (n > 0)
		buffer_took(&t->in, (size_t)n);
	if (t->in.len > ANSWER_MOST)
		fault(t, "the server says too much");
}

/* One line without CRLF, appended to the answer with a LF; where it begins there. */
static struct bytes
hear_line(struct talk *t)
{
	size_t    from = t->answer.len;
	ptrdiff_t end = -1;

	while (!t->broken && (end = bytes_find(buffer_bytes(&t->in), '\n')) < 0)
		hear(t);
	if (t->broken)
		return (struct bytes){ "", 0 };
	buffer_add(&t->answer, bytes_trim(bytes_cut(buffer_bytes(&t->in), 0, (size_t)end)));
	buffer_add_char(&t->answer, '\n');
	buffer_eat(&t->in, (size_t)end + 1);
	return bytes_cut(buffer_bytes(&t->answer), from, t->answer.len - from - 1);
}

/*
 * A connection
 */

static void
connect_to(struct talk *t, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	t->until = clock_patient_ms() + PATIENCE_MS;
	t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&to, sizeof to) < 0)
		fault(t, "127.0.0.1:%d: %s", port, strerror(errno));
	else
		(void)fcntl(t->fd, F_SETFL, O_NONBLOCK);
}

/* rfc8446; the name as rfc6125:6.4 wants it. */
static void
begin_tls(struct talk *t)
{
	int n;

	if (t->broken)
		return;
	t->context = SSL_CTX_new(TLS_client_method());
	if (t->context == NULL ||
	    SSL_CTX_load_verify_locations(t->context, t->proof->authority, NULL) != 1 ||
	    (t->tls = SSL_new(t->context)) == NULL || SSL_set_fd(t->tls, t->fd) != 1 ||
	    SSL_set1_host(t->tls, t->proof->host) != 1 ||
	    SSL_set_tlsext_host_name(t->tls, t->proof->host) != 1) {
		fault_tls(t, "TLS");
		return;
	}
	SSL_set_verify(t->tls, SSL_VERIFY_PEER, NULL);
	while (!t->broken && (n = SSL_connect(t->tls)) <= 0)
		(void)wait_tls(t, n, "TLS");
}

static void
talk_close(struct talk *t)
{
	if (t->tls != NULL && !t->broken)
		(void)SSL_shutdown(t->tls);
	SSL_free(t->tls);
	SSL_CTX_free(t->context);
	if (t->fd >= 0)
		(void)close(t->fd);
	buffer_free(&t->in);
	buffer_free(&t->answer);
}

/* rfc4616:2, in base64 */
static void
plain_response(const char *user, const char *password, struct buffer *out)
{
	struct buffer plain = { 0 };

	buffer_add_char(&plain, '\0');
	buffer_add_string(&plain, user);
	buffer_add_char(&plain, '\0');
	buffer_add_string(&plain, password);
	base64_encode(out, buffer_bytes(&plain));
	buffer_add_char(out, '\0');
	explicit_bzero(plain.at, plain.len);
	buffer_free(&plain);
}

/*
 * SMTP
 */

/* rfc5321:4.2.1: the last line of a reply has no hyphen behind its code. */
static void
expect(struct talk *t, const char *code)
{
	struct bytes line;

	t->answer.len = 0;
	do
		line = hear_line(t);
	while (!t->broken && line.len > 3 && line.at[3] == '-');
	if (!t->broken && !bytes_starts(line, bytes_of(code)))
		fault(t, "SMTP: expected %s, heard \"%.*s\"", code, (int)line.len, line.at);
}

static __attribute__((format(printf, 3, 4))) void
command(struct talk *t, const char *code, const char *form, ...)
{
	struct buffer b = { 0 };
	va_list       list;

	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	buffer_add_string(&b, "\r\n");
	say(t, buffer_bytes(&b));
	expect(t, code);
	buffer_free(&b);
}

static void
write_letter(const struct proof *p, const char *id, struct buffer *b)
{
	char date[64];

	clock_rfc5322(clock_wall(), date, sizeof date);
	buffer_printf(b, "Date: %s\r\nFrom: Jack <%s>\r\nTo: Jill <%s>\r\n", date, p->from, p->to);
	buffer_printf(b, "Subject: The horses are changed\r\nMessage-ID: <%s@%s>\r\n", id,
	              p->domain);
	buffer_add_string(
		b,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
		"Dear Jill,\r\n\r\n"
		"this letter came up the hill by submission, lay safe in the spool,\r\n"
		"and is in your INBOX now. \xe9\xa9\xbf\xe7\xab\x99 sends its regards.\r\n\r\nJack\r\n");
}

static void
send_letter(struct talk *t, const char *id)
{
	const struct proof *p = t->proof;
	struct buffer       letter = { 0 }, secret = { 0 };

	plain_response(p->from, p->password, &secret);
	connect_to(t, p->submission);
	expect(t, "220");
	command(t, "250", "EHLO demo.%s", p->domain);
	command(t, "220", "STARTTLS");
	begin_tls(t);
	command(t, "250", "EHLO demo.%s", p->domain);
	command(t, "235", "AUTH PLAIN %s", secret.at);
	command(t, "250", "MAIL FROM:<%s>", p->from);
	command(t, "250", "RCPT TO:<%s>", p->to);
	command(t, "354", "DATA");
	write_letter(p, id, &letter);
	buffer_add_char(&letter, '.');
	command(t, "250", "%.*s", (int)letter.len, letter.at);
	if (!t->broken)
		buffer_printf(
			t->told,
			"sent a letter from %s to %s: submission on port %d, STARTTLS, %s, logged in; %.*s",
			p->from, p->to, p->submission, SSL_get_version(t->tls), (int)t->answer.len,
			t->answer.at);
	command(t, "221", "QUIT");
	buffer_free(&letter);
	buffer_free(&secret);
}

/*
 * IMAP
 */

/* rfc3501:4.3: a line that ends with {n} goes on after n bytes. */
static void
hear_literal(struct talk *t, struct bytes line)
{
	ptrdiff_t open = bytes_find_last(line, '{');
	uint64_t  n;

	if (open < 0 || line.at[line.len - 1] != '}' ||
	    !bytes_number(bytes_cut(line, (size_t)open + 1, line.len - (size_t)open - 2), &n) ||
	    n > ANSWER_MOST)
		return;
	while (!t->broken && t->in.len < n)
		hear(t);
	if (t->broken)
		return;
	buffer_add(&t->answer, bytes_cut(buffer_bytes(&t->in), 0, n));
	buffer_eat(&t->in, n);
}

/* The whole answer stays in t->answer. */
static __attribute__((format(printf, 2, 3))) void
imap(struct talk *t, const char *form, ...)
{
	struct buffer b = { 0 }, tag = { 0 };
	struct bytes  line;
	va_list       list;

	buffer_printf(&tag, "d%d ", ++t->tags);
	buffer_add(&b, buffer_bytes(&tag));
	va_start(list, form);
	buffer_vprintf(&b, form, list);
	va_end(list);
	buffer_add_string(&b, "\r\n");
	say(t, buffer_bytes(&b));
	t->answer.len = 0;
	for (;;) {
		line = hear_line(t);
		if (t->broken || bytes_starts(line, buffer_bytes(&tag)))
			break;
		hear_literal(t, line);
	}
	line = bytes_cut(line, tag.len, line.len);
	if (!t->broken && !bytes_starts_nocase(line, BYTES("OK")))
		fault(t, "IMAP: expected OK, heard \"%.*s\"", (int)line.len, line.at);
	buffer_free(&b);
	buffer_free(&tag);
}

/* The number behind `* SEARCH`, 0 when nothing was found. */
static uint64_t
found(struct bytes answer)
{
	struct bytes line;
	uint64_t     n;

	while (bytes_split(&answer, '\n', &line))
		if (bytes_starts_nocase(line, BYTES("* SEARCH ")) &&
		    bytes_number(bytes_cut(line, 9, line.len), &n))
			return n;
	return 0;
}

static uint64_t
look_for(struct talk *t, const char *id)
{
	struct timespec pause = { 0, LOOK_AGAIN_MS * 1000000L };
	uint64_t        n = 0;

	while (!t->broken && n == 0) {
		imap(t, "SEARCH HEADER Message-ID <%s@%s>", id, t->proof->domain);
		n = found(buffer_bytes(&t->answer));
		if (n == 0 && clock_patient_ms() > t->until)
			fault(t, "the letter did not come within %d s", PATIENCE_MS / 1000);
		if (n == 0 && !t->broken)
			(void)nanosleep(&pause, NULL);
	}
	return n;
}

/* What came must be what was sent, with the trace of its way in front. */
static void
compare(struct talk *t, const char *id)
{
	struct buffer sent = { 0 };
	struct bytes  came = buffer_bytes(&t->answer);

	write_letter(t->proof, id, &sent);
	buffer_eat(&sent, (size_t)bytes_search(buffer_bytes(&sent), BYTES("From:")));
	if (bytes_search(came, buffer_bytes(&sent)) < 0)
		fault(t, "IMAP: the letter is not what was sent");
	else if (bytes_search(came, BYTES("Received:")) < 0)
		fault(t, "IMAP: the letter has no Received field");
	buffer_free(&sent);
}

static void
read_letter(struct talk *t, const char *id)
{
	const struct proof *p = t->proof;
	struct buffer       secret = { 0 };
	struct bytes        line;
	uint64_t            n;

	plain_response(p->to, p->password, &secret);
	connect_to(t, p->imaps);
	begin_tls(t);
	line = hear_line(t);
	if (!t->broken && !bytes_starts_nocase(line, BYTES("* OK")))
		fault(t, "IMAP: expected a greeting, heard \"%.*s\"", (int)line.len, line.at);
	imap(t, "AUTHENTICATE PLAIN %s", secret.at);
	imap(t, "SELECT INBOX");
	n = look_for(t, id);
	imap(t, "FETCH %llu BODY[]", (unsigned long long)n);
	if (!t->broken)
		compare(t, id);
	if (!t->broken)
		buffer_printf(
			t->told,
			"read it back as %s: IMAP on port %d, %s; message %llu of INBOX, unchanged\n",
			p->to, p->imaps, SSL_get_version(t->tls), (unsigned long long)n);
	imap(t, "LOGOUT");
	buffer_free(&secret);
}

bool
proof_make(const struct proof *p, struct buffer *told)
{
	struct talk sending = { .proof = p, .told = told, .fd = -1 };
	struct talk reading = { .proof = p, .told = told, .fd = -1 };
	char        id[17];

	random_word(id, sizeof id);
	send_letter(&sending, id);
	if (!sending.broken)
		read_letter(&reading, id);
	talk_close(&sending);
	talk_close(&reading);
	ERR_clear_error();
	return !sending.broken && !reading.broken;
}
