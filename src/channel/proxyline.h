/*
 * proxyline -- who the client of a proxy is: the PROXY protocol, versions 1 and 2, as HAProxy's
 * proxy-protocol.txt writes it
 *
 * From:     listeners whose settings ask for it (role/receiver, role/login); no other reads it
 * Touches:  the accepted socket, and of that no byte behind the header
 *
 * proxyline_parse()  reads the header at the beginning of what has arrived.
 *     PROXYLINE_MORE   it is not whole; nothing of what is there belongs to anybody else.
 *     PROXYLINE_DONE   *used bytes are the header.  `local`: the proxy speaks for itself (LOCAL, UNKNOWN:
 *                      is the server alive?), and the ends of the socket are the ends; else `client` and
 *                      `here` are who came, and where to.
 *     PROXYLINE_BAD    this is no proxy, or none that says an address of the Internet.
 *     What a proxy tells of TLS (PP2_TYPE_SSL) and all other extensions are passed over: whom
 *     they were told by we cannot know.
 *
 * proxylines_open()  sockets whose header is waited for.
 * proxylines_wait()  owns `fd` until `heard`, which is called once: with the descriptor and the client,
 *     or with -1 after patience, end or nonsense (`why`; the descriptor is closed, the peer is
 *     the proxy).  Called from the loop, never from within.
 * proxylines_forget() those who would have been heard with this ctx are closed unheard.
 */
#ifndef CHANNEL_PROXYLINE_H
#define CHANNEL_PROXYLINE_H

#include "base/bytes.h"
#include "channel/loop.h"
#include "channel/peer.h"

enum { PROXYLINE_MOST = 4096 };
enum proxyline_outcome { PROXYLINE_MORE, PROXYLINE_DONE, PROXYLINE_BAD };
struct proxyline { bool local; struct peer client, here; };
enum proxyline_outcome proxyline_parse(struct bytes arrived, struct proxyline *out, size_t *used);

struct proxylines;
typedef void proxyline_heard(void *ctx, int fd, const struct peer *client, const char *why);
struct proxylines *proxylines_open(struct loop *);
void proxylines_wait(struct proxylines *, int fd, const struct peer *proxy, int64_t ms, proxyline_heard *, void *ctx);
void proxylines_forget(struct proxylines *, const void *ctx);
void proxylines_close(struct proxylines **);

#endif
