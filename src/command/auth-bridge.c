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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "command/auth-client.h"

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
may_log_in(struct auth_client *c, const char *path, struct bytes user, struct bytes host,
           struct bytes password)
{
	struct buffer         proof = { 0 }, words = { 0 };
	enum auth_client_said said;

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
	said = auth_client_try(c, "service=xmpp\tsecured\t", buffer_bytes(&proof), &words);
	if (said == AUTH_CLIENT_SILENT)
		(void)fprintf(stderr, "mansio: nobody answers at %s\n", path);
	explicit_bzero(proof.at, proof.len);
	buffer_free(&proof);
	buffer_free(&words);
	return said == AUTH_CLIENT_TAKEN;
}

static bool
answer_of(struct auth_client *c, const char *path, struct bytes question)
{
	struct bytes word, user, host;

	if (!bytes_split(&question, ':', &word) || !bytes_split(&question, ':', &user))
		return false;
	if (bytes_equal(word, BYTES("isuser")))
		return user.len > 0;
	return bytes_equal(word, BYTES("auth")) && bytes_split(&question, ':', &host) &&
	       may_log_in(c, path, user, host, question);
}

int
auth_bridge(const char *path)
{
	struct auth_client *c = auth_client_open(path);
	static char         question[UINT16_MAX];
	unsigned char       size[2];

	while (read_whole(STDIN_FILENO, (char *)size, sizeof size)) {
		size_t len = (size_t)size[0] << 8 | size[1];
		char   answer[] = { 0, 2, 0, 0 };

		if (!read_whole(STDIN_FILENO, question, len))
			break;
		answer[3] = answer_of(c, path, (struct bytes){ question, len });
		explicit_bzero(question, len);
		if (file_write(STDOUT_FILENO, (struct bytes){ answer, sizeof answer }) != 0)
			break;
	}
	auth_client_close(&c);
	return COMMAND_DONE;
}
