/*
 * socket -- a connected descriptor, plain or TLS, without waiting
 *
 * Each call does one thing and says how it went:
 *
 * SOCKET_MOVED       it went; *n bytes where bytes are moved.
 * SOCKET_READ_LATER  nothing went; again when the descriptor can be read.
 * SOCKET_WRITE_LATER nothing went; again when it can be written.  After a write
 *                    the same bytes (or more behind them) must come again.
 * SOCKET_END         the peer sends no more.
 * SOCKET_BROKEN      socket_why() says why; only socket_close() is left.
 *
 * socket_bye()   tells the peer that no more comes (close_notify, FIN).
 * socket_close() closes the descriptor.
 */
#ifndef CHANNEL_SOCKET_H
#define CHANNEL_SOCKET_H

#include "channel/tls.h"
#include <sys/types.h>

struct socket {
	int             fd;
	struct tls     *tls;
	struct ssl_st  *ssl;       /* NULL: plain */
	const struct tls_demand *wish;       /* of an outgoing handshake; the owner's until that is over */
	const char     *why;
	bool            tls_why;
};

enum socket_outcome {
	SOCKET_MOVED, SOCKET_READ_LATER, SOCKET_WRITE_LATER, SOCKET_END, SOCKET_BROKEN
};
enum socket_outcome socket_read(struct socket *, char *to, size_t room, size_t *n)
	__attribute__((warn_unused_result));
/* `more`: other bytes follow at once, a packet may wait for them. */
enum socket_outcome socket_write(struct socket *, struct bytes, bool more, size_t *n)
	__attribute__((warn_unused_result));
/* From a file, through `scratch` where the kernel cannot do it alone. */
enum socket_outcome socket_write_file(struct socket *, int file, off_t at, size_t len,
                                      char *scratch, size_t room, size_t *n)
	__attribute__((warn_unused_result));
/* Keeps the tls for a handshake to come; begins it; then socket_shake() again
   and again until it is not LATER. */
void socket_promise(struct socket *, struct tls *);
void socket_secure(struct socket *);
enum socket_outcome socket_shake(struct socket *) __attribute__((warn_unused_result));
/* Bytes wait inside TLS, where poll does not see them. */
bool socket_holds(const struct socket *);
void socket_bye(struct socket *);
void socket_close(struct socket *);
void socket_why(const struct socket *, char *out, size_t room);

#endif
