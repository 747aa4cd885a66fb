#include "command/auth-client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/clock.h"

enum { PATIENCE_MS = 30000, LINE_MOST = 8192 };

struct auth_client {
	const char   *path;
	int           fd; /* of the socket; -1: not connected */
	uint32_t      asked;
	struct buffer in;
};

struct auth_client *
auth_client_open(const char *path)
{
	struct auth_client *c = memory_take(sizeof *c);

	*c = (struct auth_client){ .path = path, .fd = -1 };
	return c;
}

/* Nobody is connected to any more, and what was half heard is forgotten. */
static void
hang_up(struct auth_client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	buffer_reset(&c->in);
}

void
auth_client_close(struct auth_client **cp)
{
	struct auth_client *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	hang_up(c);
	buffer_free(&c->in);
	memory_free(c);
}

/* All of it; false: it cannot be said there. */
static bool
send_whole(int fd, struct bytes text)
{
	while (text.len > 0) {
		ssize_t put = send(fd, text.at, text.len, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		text = bytes_cut(text, (size_t)put, SIZE_MAX);
	}
	return true;
}

/* The next line, without its end, into `out`.  False: there will be none. */
static bool
line_read(struct auth_client *c, int64_t until, struct buffer *out)
{
	for (;;) {
		ptrdiff_t end = bytes_find(buffer_bytes(&c->in), '\n');
		int64_t   left = until - clock_patient_ms();
		char      piece[1024];
		ssize_t   got;

		buffer_reset(out);
		if (end >= 0) {
			buffer_add(out, bytes_cut(buffer_bytes(&c->in), 0, (size_t)end));
			buffer_eat(&c->in, (size_t)end + 1);
			return true;
		}
		if (c->in.len > LINE_MOST || left <= 0 ||
		    poll(&(struct pollfd){ c->fd, POLLIN, 0 }, 1, (int)left) <= 0)
			return false;
		got = recv(c->fd, piece, sizeof piece, 0);
		if (got <= 0)
			return false;
		buffer_add(&c->in, (struct bytes){ piece, (size_t)got });
	}
}

/* False with errno when there is no such socket, and with 0 when nobody speaks there. */
static bool
connect_to(struct auth_client *c, int64_t until)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct buffer      line = { 0 };
	char               hello[64];
	bool               good;

	errno = ENAMETOOLONG;
	if (!bytes_string(bytes_of(c->path), at.sun_path, sizeof at.sun_path))
		return false;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at) < 0) {
		int why = errno;

		hang_up(c);
		errno = why;
		return false;
	}
	(void)snprintf(hello, sizeof hello, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());
	good = send_whole(c->fd, bytes_of(hello));
	while (good && (good = line_read(c, until, &line)) &&
	       !bytes_is(buffer_bytes(&line), "DONE"))
		continue;
	buffer_free(&line);
	if (!good)
		hang_up(c);
	errno = 0;
	return good;
}

/* "OK\t7\t..." of the request 7; other lines are of others, or news. */
static enum auth_client_said
answer_wait(struct auth_client *c, int64_t until, struct buffer *words)
{
	struct buffer         line = { 0 };
	enum auth_client_said said = AUTH_CLIENT_SILENT;

	while (said == AUTH_CLIENT_SILENT && line_read(c, until, &line)) {
		struct bytes rest = buffer_bytes(&line), word, id;
		uint64_t     number;

		if (!bytes_split(&rest, '\t', &word) || !bytes_split(&rest, '\t', &id) ||
		    !bytes_number(id, &number) || number != c->asked)
			continue;
		said = bytes_equal(word, BYTES("OK")) ? AUTH_CLIENT_TAKEN : AUTH_CLIENT_REFUSED;
		buffer_reset(words);
		buffer_add(words, rest);
	}
	buffer_free(&line);
	return said;
}

/* One login, by the connection there is or a new one; one that was of no use is given up. */
static enum auth_client_said
try_once(struct auth_client *c, const char *facts, struct bytes proof, struct buffer *words)
{
	int64_t               until = clock_patient_ms() + PATIENCE_MS;
	struct buffer         ask = { 0 };
	enum auth_client_said said = AUTH_CLIENT_SILENT;

	if (c->fd < 0 && !connect_to(c, until))
		return AUTH_CLIENT_SILENT;
	buffer_printf(&ask, "AUTH\t%u\tPLAIN\t%sresp=", ++c->asked, facts);
	base64_encode(&ask, proof);
	buffer_add_char(&ask, '\n');
	if (send_whole(c->fd, buffer_bytes(&ask)))
		said = answer_wait(c, until, words);
	explicit_bzero(ask.at, ask.len);
	buffer_free(&ask);
	if (said == AUTH_CLIENT_SILENT)
		hang_up(c);
	errno = 0;
	return said;
}

enum auth_client_said
auth_client_try(struct auth_client *c, const char *facts, struct bytes proof, struct buffer *words)
{
	bool                  fresh = c->fd < 0;
	enum auth_client_said said = try_once(c, facts, proof, words);

	return said == AUTH_CLIENT_SILENT && !fresh ? try_once(c, facts, proof, words) : said;
}
