#include "command/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/clock.h"

enum { LINE_MOST = 64 << 10, REPLY_MOST = 1000 };

struct talk {
	int           fd, patience;
	SSL          *ssl;
	struct buffer in;
	size_t        heard; /* of `in`: the line that was given last */
	bool          over;
	char          why[256], address[64];
};

static __attribute__((format(printf, 2, 3))) bool
trouble(struct talk *t, const char *form, ...)
{
	va_list list;

	if (t->over)
		return false;
	t->over = true;
	va_start(list, form);
	(void)vsnprintf(t->why, sizeof t->why, form, list);
	va_end(list);
	return false;
}

static bool
wait_for(struct talk *t, short what)
{
	struct pollfd p = { t->fd, what, 0 };
	int           n;

	do
		n = poll(&p, 1, t->patience);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return trouble(t, "no answer within %d seconds", t->patience / 1000);
	return n > 0 || trouble(t, "poll: %s", strerror(errno));
}

static bool
connect_one(struct talk *t, const struct addrinfo *a)
{
	int       number = 0;
	socklen_t len = sizeof number;

	(void)getnameinfo(a->ai_addr, a->ai_addrlen, t->address, sizeof t->address, NULL, 0,
	                  NI_NUMERICHOST);
	t->over = false;
	t->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return trouble(t, "%s: %s", t->address, strerror(errno));
	if (connect(t->fd, a->ai_addr, a->ai_addrlen) == 0)
		return true;
	if (errno != EINPROGRESS)
		number = errno;
	else if (!wait_for(t, POLLOUT) ||
	         getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &number, &len) < 0)
		number = number == 0 ? ETIMEDOUT : number;
	if (number == 0 && !t->over)
		return true;
	(void)close(t->fd);
	t->fd = -1;
	t->over = false;
	return trouble(t, "%s: %s", t->address, strerror(number));
}

struct talk *
talk_open(const char *host, int port, int patience_ms)
{
	struct talk    *t = memory_take(sizeof *t);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	char            service[16];
	int             why;

	(void)signal(SIGPIPE, SIG_IGN);
	t->fd = -1;
	t->patience = patience_ms;
	(void)snprintf(service, sizeof service, "%d", port);
	if ((why = getaddrinfo(host, service, &hints, &all)) != 0) {
		(void)trouble(t, "%s: %s", host, gai_strerror(why));
		return t;
	}
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		if (connect_one(t, a))
			break;
	freeaddrinfo(all);
	return t;
}

struct talk *
talk_take(int fd, int patience_ms)
{
	struct talk *t = memory_take(sizeof *t);

	(void)signal(SIGPIPE, SIG_IGN);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	t->fd = fd;
	t->patience = patience_ms;
	return t;
}

/* False: it is over, and why is said. */
static bool
go_on(struct talk *t, int result)
{
	long        verified;
	const char *words;

	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ: return wait_for(t, POLLIN);
	case SSL_ERROR_WANT_WRITE: return wait_for(t, POLLOUT);
	case SSL_ERROR_ZERO_RETURN: return trouble(t, "the server closed the connection");
	case SSL_ERROR_SSL:
		words = ERR_reason_error_string(ERR_get_error());
		verified = SSL_get_verify_result(t->ssl);
		ERR_clear_error();
		if (!SSL_is_init_finished(t->ssl) && verified != X509_V_OK)
			words = X509_verify_cert_error_string(verified);
		return trouble(t, "TLS: %s", words != NULL ? words : "not as it should be");
	default: return trouble(t, "the server closed the connection");
	}
}

bool
talk_secure(struct talk *t, SSL *ssl)
{
	int n;

	t->ssl = ssl;
	if (t->over)
		return false;
	t->in.len = t->heard = 0;
	if (SSL_set_fd(ssl, t->fd) != 1)
		return trouble(t, "TLS cannot begin");
	ERR_clear_error();
	while ((n = SSL_connect(ssl)) <= 0)
		if (!go_on(t, n))
			return false;
	return true;
}

SSL *
talk_ssl(const struct talk *t)
{
	return t->ssl;
}

bool
talk_say(struct talk *t, struct bytes text)
{
	while (!t->over && text.len > 0) {
		ssize_t n = t->ssl != NULL ? SSL_write(t->ssl, text.at, (int)text.len)
		                           : send(t->fd, text.at, text.len, MSG_NOSIGNAL);

		if (n > 0)
			text = bytes_cut(text, (size_t)n, text.len);
		else if (t->ssl != NULL)
			(void)go_on(t, (int)n);
		else if (errno == EAGAIN)
			(void)wait_for(t, POLLOUT);
		else
			(void)trouble(t, "%s", strerror(errno));
	}
	return !t->over;
}

static bool
hear_more(struct talk *t)
{
	char   *room = buffer_room(&t->in, 8192);
	ssize_t n = t->ssl != NULL ? SSL_read(t->ssl, room, 8192) : recv(t->fd, room, 8192, 0);

	if (n > 0)
		buffer_took(&t->in, (size_t)n);
	else if (t->ssl != NULL)
		return go_on(t, (int)n);
	else if (n == 0)
		return trouble(t, "the server closed the connection");
	else if (errno != EAGAIN)
		return trouble(t, "%s", strerror(errno));
	else
		return wait_for(t, POLLIN);
	return true;
}

bool
talk_hear(struct talk *t, struct bytes *line)
{
	ptrdiff_t end;

	buffer_eat(&t->in, t->heard);
	t->heard = 0;
	while ((end = bytes_find(buffer_bytes(&t->in), '\n')) < 0) {
		if (t->over || !hear_more(t))
			return false;
		if (t->in.len > LINE_MOST)
			return trouble(t, "the server says a line without an end");
	}
	*line = bytes_cut(buffer_bytes(&t->in), 0, (size_t)end);
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	t->heard = (size_t)end + 1;
	return true;
}

void
talk_rest(struct talk *t, bool (*take)(void *ctx, struct bytes so_far, bool ended), void *ctx)
{
	buffer_eat(&t->in, t->heard);
	t->heard = 0;
	while (!t->over && hear_more(t))
		if (t->in.len > 0 && !take(ctx, buffer_bytes(&t->in), false))
			return;
	(void)take(ctx, buffer_bytes(&t->in), true);
}

bool
talk_over(const struct talk *t)
{
	return t->over;
}

const char *
talk_why(const struct talk *t)
{
	return t->why;
}

const char *
talk_address(const struct talk *t)
{
	return t->address;
}

void
talk_close(struct talk **tp)
{
	struct talk *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	if (t->ssl != NULL && !t->over)
		(void)SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	if (t->fd >= 0)
		(void)close(t->fd);
	buffer_free(&t->in);
	memory_free(t);
}

bool
talk_target(const char *text, char host[static 256], int *port)
{
	struct bytes whole = bytes_of(text), name = whole, number = { NULL, 0 };
	ptrdiff_t    end;
	uint64_t     n;

	if (whole.len > 0 && whole.at[0] == '[') {
		if ((end = bytes_find(whole, ']')) < 0)
			return false;
		name = bytes_cut(whole, 1, (size_t)end - 1);
		number = bytes_cut(whole, (size_t)end + 1, whole.len);
		if (number.len > 0 && number.at[0] != ':')
			return false;
		number = bytes_cut(number, 1, number.len);
	} else if ((end = bytes_find(whole, ':')) >= 0 && bytes_find_last(whole, ':') == end) {
		name = bytes_cut(whole, 0, (size_t)end);
		number = bytes_cut(whole, (size_t)end + 1, whole.len);
	}
	if (number.len > 0 && (!bytes_number(number, &n) || n == 0 || n > 65535))
		return false;
	if (number.len > 0)
		*port = (int)n;
	return name.len > 0 && bytes_string(name, host, 256);
}

/*
 * What the protocols say
 */

int
talk_reply(struct talk *t, void (*each)(void *ctx, struct bytes line), void *ctx)
{
	struct bytes line;
	uint64_t     code;

	for (int n = 0; n < REPLY_MOST && talk_hear(t, &line); n++) {
		if (each != NULL)
			each(ctx, line);
		if (line.len < 3 || !bytes_number(bytes_cut(line, 0, 3), &code)) {
			(void)trouble(t, "this is no reply of SMTP: %.*s",
			              (int)(line.len < 60 ? line.len : 60), line.at);
			return 0;
		}
		if (line.len == 3 || line.at[3] != '-')
			return (int)code;
	}
	return 0;
}

static bool
starttls_smtp(struct talk *t, const char *hello, const char *verb, struct buffer *why)
{
	struct buffer line = { 0 };
	int           code = talk_reply(t, NULL, NULL);

	buffer_printf(&line, "%s %s\r\n", verb, hello);
	if (code == 220) {
		(void)talk_say(t, buffer_bytes(&line));
		code = talk_reply(t, NULL, NULL) == 250 ? 220 : 0;
	}
	buffer_free(&line);
	if (code == 220) {
		(void)talk_say(t, BYTES("STARTTLS\r\n"));
		code = talk_reply(t, NULL, NULL);
	}
	if (code != 220)
		buffer_printf(why, "%s", talk_over(t) ? talk_why(t) : "STARTTLS is refused");
	return code == 220;
}

/* Lines up to the one that begins so. */
static bool
hear_until(struct talk *t, const char *begin, const char *bad)
{
	struct bytes line;

	for (int n = 0; n < REPLY_MOST && talk_hear(t, &line); n++) {
		if (bytes_starts_nocase(line, bytes_of(begin)))
			return true;
		if (bytes_starts_nocase(line, bytes_of(bad)))
			return false;
	}
	return false;
}

bool
talk_starttls(struct talk *t, const char *protocol, const char *hello, struct buffer *why)
{
	bool good;

	if (strcmp(protocol, "smtp") == 0 || strcmp(protocol, "lmtp") == 0)
		return starttls_smtp(t, hello, protocol[0] == 's' ? "EHLO" : "LHLO", why);
	if (strcmp(protocol, "imap") == 0)
		good = hear_until(t, "* OK", "* BYE") && talk_say(t, BYTES("a STARTTLS\r\n")) &&
		       hear_until(t, "a OK", "a ");
	else
		good = hear_until(t, "+OK", "-ERR") && talk_say(t, BYTES("STLS\r\n")) &&
		       hear_until(t, "+OK", "-ERR");
	if (!good)
		buffer_printf(why, "%s", talk_over(t) ? talk_why(t) : "TLS is refused");
	return good;
}
