/*
 * listener -- a listening socket; the postmaster opened it, we accept
 *
 * listener_open() owns `fd`; listener_close() closes it.
 * `came` owns the new descriptor (non-blocking, close-on-exec, TCP_NODELAY set).
 * Out of descriptors: one spare is kept, the listener rests until others close
 * (no busy loop).  listener_rest(true) stops accepting.
 */
#ifndef CHANNEL_LISTENER_H
#define CHANNEL_LISTENER_H

#include "channel/loop.h"
#include "base/buffer.h"
#include "channel/peer.h"

struct listener;
struct listener *listener_open(struct loop *, int fd,
                               void (*came)(void *ctx, int fd, const struct peer *), void *ctx);
void listener_rest(struct listener *, bool);
void listener_close(struct listener **);
/* For the postmaster: a bound, listening socket. `address` is "127.0.0.1:25", "[::]:143",
   "*:25" (v6 dual stack, else v4) or "unix:/path" (mode 0666 unless `mode`).  -1 with words in *errors. */
int  listener_bind(const char *address, int mode, struct buffer *errors);
/* Whether listener_bind() would understand it. */
bool listener_address(const char *address);
/* The address of a socket with a path, of any length.  *directory is to be closed after bind() or
   connect(), unless -1.  0, or -1 with errno. */
struct sockaddr_un;
int  listener_path(const char *path, struct sockaddr_un *, int *directory);

#endif
