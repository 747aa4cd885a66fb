/*
 * auth bridge -- ejabberd's external authentication, answered by an auth_socket
 *
 * ejabberd starts it and writes questions to its standard input: two bytes of length, the first first, and
 * "auth:USER:HOST:PASSWORD".  The answer is 0 2 0 1 for yes, 0 2 0 0 for no.  Logins go on to the socket by Dovecot's
 * protocol, as PLAIN of USER@HOST; nothing is changed by it, so the words that would are answered with no.  That protocol does not
 * tell who exists: to `isuser` the answer is yes, and who cannot log in reads nothing.
 *
 * The server may be started anew meanwhile; the socket is looked for with each question until it answers again.
 */
#include "command/auth-bridge.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/clock.h"

enum { PATIENCE_MS = 30000, LINE_MOST = 8192 };

struct bridge {
	const char   *path;
	int           fd; /* of the socket; -1: not connected */
	uint32_t      asked;
	struct buffer in;
};

static bool
read_whole(int fd, char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, to, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

static bool
write_whole(int fd, struct bytes text)
{
	while (text.len > 0) {
		ssize_t put = send(fd, text.at, text.len, MSG_NOSIGNAL);

		if (put < 0 && errno == ENOTSOCK)
			put = write(fd, text.at, text.len);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		text = bytes_cut(text, (size_t)put, SIZE_MAX);
	}
	return true;
}

/* ---- the socket ---- */

static void
hang_up(struct bridge *b)
{
	if (b->fd >= 0)
		(void)close(b->fd);
	b->fd = -1;
	buffer_reset(&b->in);
}

/* The next line, without its end, into `out`.  False: there will be none. */
static bool
line_read(struct bridge *b, int64_t until, struct buffer *out)
{
	for (;;) {
		ptrdiff_t end = bytes_find(buffer_bytes(&b->in), '\n');
		int64_t   left = until - clock_patient_ms();
		char      piece[1024];
		ssize_t   got;

		buffer_reset(out);
		if (end >= 0) {
			buffer_add(out, bytes_cut(buffer_bytes(&b->in), 0, (size_t)end));
			buffer_eat(&b->in, (size_t)end + 1);
			return true;
		}
		if (b->in.len > LINE_MOST || left <= 0 ||
		    poll(&(struct pollfd){ b->fd, POLLIN, 0 }, 1, (int)left) <= 0)
			return false;
		got = recv(b->fd, piece, sizeof piece, 0);
		if (got <= 0)
			return false;
		buffer_add(&b->in, (struct bytes){ piece, (size_t)got });
	}
}

static bool
connect_to(struct bridge *b, int64_t until)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct buffer      line = { 0 };
	char               hello[64];
	bool               good;

	if (!bytes_string(bytes_of(b->path), at.sun_path, sizeof at.sun_path))
		return false;
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());
	good = b->fd >= 0 && connect(b->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
	       write_whole(b->fd, bytes_of(hello));
	while (good && (good = line_read(b, until, &line)) &&
	       !bytes_is(buffer_bytes(&line), "DONE"))
		continue;
	buffer_free(&line);
	if (!good)
		hang_up(b);
	return good;
}

/* ---- a question ---- */

/* "OK\t7\t..." of the request 7; other lines are of others, or news.  -1: the connection is no good. */
static int
answer_wait(struct bridge *b, int64_t until)
{
	struct buffer line = { 0 };
	int           said = -1;

	while (said < 0 && line_read(b, until, &line)) {
		struct bytes rest = buffer_bytes(&line), word, id;
		uint64_t     number;

		if (bytes_split(&rest, '\t', &word) && bytes_split(&rest, '\t', &id) &&
		    bytes_number(id, &number) && number == b->asked)
			said = bytes_equal(word, BYTES("OK"));
	}
	buffer_free(&line);
	return said;
}

static int
try_login(struct bridge *b, struct bytes proof)
{
	int64_t       until = clock_patient_ms() + PATIENCE_MS;
	struct buffer ask = { 0 };
	int           said = -1;

	if (b->fd < 0 && !connect_to(b, until))
		return -1;
	buffer_printf(&ask, "AUTH\t%u\tPLAIN\tservice=xmpp\tsecured\tresp=", ++b->asked);
	base64_encode(&ask, proof);
	buffer_add_char(&ask, '\n');
	if (write_whole(b->fd, buffer_bytes(&ask)))
		said = answer_wait(b, until);
	explicit_bzero(ask.at, ask.len);
	buffer_free(&ask);
	if (said < 0)
		hang_up(b);
	return said;
}

static bool
may_log_in(struct bridge *b, struct bytes user, struct bytes host, struct bytes password)
{
	struct buffer proof = { 0 };
	int           said;

	if (user.len == 0 || bytes_find(user, '\0') >= 0 || bytes_find(host, '\0') >= 0 ||
	    bytes_find(password, '\0') >= 0)
		return false;
	buffer_add_char(&proof, '\0');
	buffer_add(&proof, user);
	if (host.len > 0)
		buffer_add_char(&proof, '@');
	buffer_add(&proof, host);
	buffer_add_char(&proof, '\0');
	buffer_add(&proof, password);
	said = try_login(b, buffer_bytes(&proof));
	if (said < 0) /* the server was started anew since the last question */
		said = try_login(b, buffer_bytes(&proof));
	if (said < 0)
		(void)fprintf(stderr, "mansio: nobody answers at %s\n", b->path);
	explicit_bzero(proof.at, proof.len);
	buffer_free(&proof);
	return said > 0;
}

static bool
answer_of(struct bridge *b, struct bytes question)
{
	struct bytes word, user, host;

	if (!bytes_split(&question, ':', &word) || !bytes_split(&question, ':', &user))
		return false;
	if (bytes_equal(word, BYTES("isuser")))
		return user.len > 0;
	return bytes_equal(word, BYTES("auth")) && bytes_split(&question, ':', &host) &&
	       may_log_in(b, user, host, question);
}

int
auth_bridge(const char *path)
{
	struct bridge b = { .path = path, .fd = -1 };
	static char   question[UINT16_MAX];
	unsigned char size[2];

	while (read_whole(STDIN_FILENO, (char *)size, sizeof size)) {
		size_t len = (size_t)size[0] << 8 | size[1];
		char   answer[] = { 0, 2, 0, 0 };

		if (!read_whole(STDIN_FILENO, question, len))
			break;
		answer[3] = answer_of(&b, (struct bytes){ question, len });
		explicit_bzero(question, len);
		if (!write_whole(STDOUT_FILENO, (struct bytes){ answer, sizeof answer }))
			break;
	}
	hang_up(&b);
	buffer_free(&b.in);
	return COMMAND_DONE;
}
