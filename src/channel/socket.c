#include "channel/socket.h"
#include "channel/tls_inner.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* Names are the C library's own and stay. */
static enum socket_outcome
broken(struct socket *k, int number)
{
	k->why = number != 0 ? strerrordesc_np(number) : "end of file";
	k->tls_why = false;
	return SOCKET_BROKEN;
}

static enum socket_outcome
broken_words(struct socket *k, const char *why, bool tls)
{
	k->why = why;
	k->tls_why = tls;
	return SOCKET_BROKEN;
}

void
socket_why(const struct socket *k, char *out, size_t room)
{
	(void)snprintf(out, room, "%s%s", k->tls_why ? "TLS: " : "", k->why != NULL ? k->why : "");
}

/* ---- plain ---- */

static enum socket_outcome
plain_read(struct socket *k, char *to, size_t room, size_t *n)
{
	ssize_t got;

	do
		got = recv(k->fd, to, room, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? SOCKET_READ_LATER : broken(k, errno);
	*n = (size_t)got;
	return got > 0 ? SOCKET_MOVED : SOCKET_END;
}

static enum socket_outcome
plain_wrote(struct socket *k, ssize_t gone, size_t *n)
{
	if (gone < 0)
		return errno == EAGAIN ? SOCKET_WRITE_LATER : broken(k, errno);
	*n = (size_t)gone;
	return SOCKET_MOVED;
}

static enum socket_outcome
plain_write(struct socket *k, struct bytes what, bool more, size_t *n)
{
	ssize_t gone;

	do
		gone = send(k->fd, what.at, what.len,
		            MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
	while (gone < 0 && errno == EINTR);
	return plain_wrote(k, gone, n);
}

/* ---- TLS ---- */

static enum socket_outcome
tls_judge(struct socket *k, int result)
{
	int           number = errno;
	unsigned long code;
	const char   *why;

	switch (SSL_get_error(k->ssl, result)) {
	case SSL_ERROR_NONE: return SOCKET_MOVED;
	case SSL_ERROR_WANT_READ: return SOCKET_READ_LATER;
	case SSL_ERROR_WANT_WRITE: return SOCKET_WRITE_LATER;
	case SSL_ERROR_ZERO_RETURN: return SOCKET_END;
	case SSL_ERROR_SYSCALL: return broken(k, number);
	default:
		code = ERR_peek_error();
		why = code != 0 ? ERR_reason_error_string(code) : NULL;
		ERR_clear_error();
		return broken_words(k, why != NULL ? why : "protocol error", true);
	}
}

static enum socket_outcome
tls_read(struct socket *k, char *to, size_t room, size_t *n)
{
	ERR_clear_error();
	errno = 0;
	return tls_judge(k, SSL_read_ex(k->ssl, to, room, n));
}

static enum socket_outcome
tls_write(struct socket *k, struct bytes what, size_t *n)
{
	ERR_clear_error();
	errno = 0;
	return tls_judge(k, SSL_write_ex(k->ssl, what.at, what.len, n));
}

void
socket_promise(struct socket *k, struct tls *t)
{
	tls_take(t);
	k->tls = t;
}

void
socket_secure(struct socket *k)
{
	k->ssl = tls_begin(k->tls, k->fd, k->wish);
}

enum socket_outcome
socket_shake(struct socket *k)
{
	enum socket_outcome o;

	ERR_clear_error();
	errno = 0;
	o = tls_judge(k, SSL_do_handshake(k->ssl));
	return o == SOCKET_END ? broken_words(k, "end of file in the handshake", true) : o;
}

bool
socket_holds(const struct socket *k)
{
	return k->ssl != NULL && SSL_has_pending(k->ssl);
}

/* ---- either ---- */

enum socket_outcome
socket_read(struct socket *k, char *to, size_t room, size_t *n)
{
	return k->ssl != NULL ? tls_read(k, to, room, n) : plain_read(k, to, room, n);
}

enum socket_outcome
socket_write(struct socket *k, struct bytes what, bool more, size_t *n)
{
	return k->ssl != NULL ? tls_write(k, what, n) : plain_write(k, what, more, n);
}

/* Some file systems know no sendfile. */
static enum socket_outcome
write_copied(struct socket *k, int file, off_t at, size_t len, char *scratch, size_t room,
             size_t *n)
{
	ssize_t got;

	do
		got = pread(file, scratch, len < room ? len : room, at);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return broken(k, errno);
	if (got == 0)
		return broken_words(k, "a file is shorter than it was", false);
	return socket_write(k, (struct bytes){ scratch, (size_t)got }, (size_t)got < len, n);
}

enum socket_outcome
socket_write_file(struct socket *k, int file, off_t at, size_t len, char *scratch, size_t room,
                  size_t *n)
{
	ssize_t gone;

	if (k->ssl != NULL)
		return write_copied(k, file, at, len, scratch, room, n);
	do
		gone = sendfile(k->fd, file, &at, len);
	while (gone < 0 && errno == EINTR);
	if (gone < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOVERFLOW))
		return write_copied(k, file, at, len, scratch, room, n);
	if (gone == 0)
		return broken_words(k, "a file is shorter than it was", false);
	return plain_wrote(k, gone, n);
}

void
socket_bye(struct socket *k)
{
	if (k->ssl != NULL && k->why == NULL && SSL_is_init_finished(k->ssl)) {
		ERR_clear_error();
		(void)SSL_shutdown(k->ssl);
		ERR_clear_error();
	}
	(void)shutdown(k->fd, SHUT_WR);
}

void
socket_close(struct socket *k)
{
	SSL_free(k->ssl);
	if (k->tls != NULL)
		tls_drop(k->tls);
	(void)close(k->fd);
	*k = (struct socket){ .fd = -1 };
}
