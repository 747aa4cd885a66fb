#include "channel/listener.h"
#include "base/arena.h"
#include "base/journal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	ACCEPT_MOST = 32, /* in one turn, so that others are heard too   */
	BACKLOG = 1024,
	WAIT_MS = 200,      /* until we look whether descriptors are free  */
	PATIENCE_MS = 2000, /* then those who wait are turned away         */
	WARN_MS = 60000,
};

struct listener {
	struct loop  *loop;
	struct watch *watch;
	struct timer *timer;
	void (*came)(void *ctx, int fd, const struct peer *);
	void   *ctx;
	int     fd;
	int     spare;      /* given up to turn somebody away              */
	int64_t full_since; /* 0: there are descriptors                    */
	int64_t warned;
	bool    resting; /* told to                                     */
	bool    calling; /* in accept_some(): it frees what was closed  */
	bool    closed;
};

static void
want(struct listener *l)
{
	watch_want(l->watch, l->resting || l->full_since != 0 ? 0 : LOOP_READ);
}

static int
spare_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* A peer that has waited long is better told no than left hanging: it will go
   to the next MX, or come back. */
static void
turn_away(struct listener *l)
{
	int fd;

	if (l->spare >= 0)
		(void)close(l->spare);
	for (int i = 0; i < ACCEPT_MOST; i++) {
		if ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
			break;
		(void)close(fd);
	}
	l->spare = spare_of(l->fd);
}

static void
no_descriptors(struct listener *l, int why)
{
	int64_t now = loop_now_ms(l->loop);

	if (l->full_since == 0)
		l->full_since = now;
	if (l->warned == 0 || now - l->warned >= WARN_MS) {
		warn_("cannot accept connections for now: %s", strerror(why));
		l->warned = now;
	}
	if (now - l->full_since >= PATIENCE_MS)
		turn_away(l);
	timer_set(l->timer, WAIT_MS);
	want(l);
}

static void
accept_some(struct listener *l)
{
	for (int i = 0; i < ACCEPT_MOST; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t               len = sizeof from;
		struct peer             peer;
		int                     fd = accept4(l->fd, (struct sockaddr *)&from, &len,
		                                     SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			switch (errno) {
			case EMFILE:
			case ENFILE:
			case ENOBUFS:
			case ENOMEM: no_descriptors(l, errno); return;
			case EAGAIN: goto heard;
			case EBADF:
			case EINVAL:
			case ENOTSOCK:
			case EOPNOTSUPP: panic("listener: %s", strerror(errno));
			default: /* accept(2): errors of the new connection */ continue;
			}
		}
		if (!peer_from(&from, &peer)) {
			(void)close(fd);
			continue;
		}
		l->came(l->ctx, fd, &peer);
		if (l->closed || l->resting)
			return;
	}
heard:
	if (l->full_since != 0) {
		l->full_since = 0;
		want(l);
	}
}

static void
accept_and_look(struct listener *l)
{
	l->calling = true;
	accept_some(l);
	l->calling = false;
	if (l->closed)
		memory_free(l);
}

static void
ready(void *ctx, int bits)
{
	(void)bits;
	accept_and_look(ctx);
}

static void
look_again(void *ctx)
{
	struct listener *l = ctx;

	if (l->resting)
		l->full_since = 0;
	else
		accept_and_look(l);
}

/* Accepted sockets inherit these from the listening one. */
static void
set_manners(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

struct listener *
listener_open(struct loop *loop, int fd, void (*came)(void *ctx, int fd, const struct peer *),
              void *ctx)
{
	struct listener *l = memory_take(sizeof *l);

	l->loop = loop;
	l->fd = fd;
	l->came = came;
	l->ctx = ctx;
	l->spare = spare_of(fd);
	l->timer = timer_open(loop, look_again, l);
	l->watch = watch_open(loop, fd, ready, l);
	set_manners(fd);
	want(l);
	return l;
}

void
listener_rest(struct listener *l, bool resting)
{
	l->resting = resting;
	want(l);
}

void
listener_close(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	watch_close(&l->watch);
	timer_close(&l->timer);
	(void)close(l->fd);
	if (l->spare >= 0)
		(void)close(l->spare);
	l->closed = true;
	if (!l->calling)
		memory_free(l);
}

/* For the postmaster. */

struct place {
	struct sockaddr_storage at;
	socklen_t               len;
	bool                    any; /* "*": v6 for both, or v4 where there is no v6 */
};

/* "127.0.0.1:25", "[::1]:143", "*:25" */
static bool
place_parse(struct bytes text, struct place *out)
{
	struct sockaddr_in  *v4 = (struct sockaddr_in *)&out->at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->at;
	ptrdiff_t            colon = bytes_find_last(text, ':');
	struct bytes         host;
	uint64_t             port;
	char                 plain[INET6_ADDRSTRLEN];

	memset(out, 0, sizeof *out);
	if (colon < 0 || !bytes_number(bytes_cut(text, (size_t)colon + 1, text.len), &port) ||
	    port > 65535)
		return false;
	host = bytes_cut(text, 0, (size_t)colon);
	out->any = bytes_equal(host, BYTES("*"));
	if (out->any)
		host = BYTES("[::]");
	if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		out->len = sizeof *v6;
		return bytes_string(bytes_cut(host, 1, host.len - 2), plain, sizeof plain) &&
		       inet_pton(AF_INET6, plain, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	out->len = sizeof *v4;
	return bytes_string(host, plain, sizeof plain) &&
	       inet_pton(AF_INET, plain, &v4->sin_addr) == 1;
}

/* -1 with errno kept. */
static int
close_failed(int fd)
{
	int why = errno;

	(void)close(fd);
	errno = why;
	return -1;
}

static int
open_place(const struct place *p)
{
	int on = 1, only = !p->any, fd;

	fd = socket(p->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (p->at.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0)
		return close_failed(fd);
	if (bind(fd, (const struct sockaddr *)&p->at, p->len) < 0 || listen(fd, BACKLOG) < 0)
		return close_failed(fd);
	return fd;
}

/* The same port without v6: some machines have it turned off. */
static int
open_any(struct place *p)
{
	in_port_t          port = ((struct sockaddr_in6 *)&p->at)->sin6_port;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = port };
	int                fd = open_place(p);

	if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL && errno != EINVAL))
		return fd;
	memset(&p->at, 0, sizeof p->at);
	memcpy(&p->at, &v4, sizeof v4);
	p->len = sizeof v4;
	return open_place(p);
}

/* A socket nobody listens on is left over from a life before; a living one is
   not ours to take. */
static int
clear_path(const struct sockaddr_un *at)
{
	struct stat st;
	int         fd, alive;

	if (lstat(at->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode))
		return errno = EEXIST, -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	alive = connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 || errno != ECONNREFUSED;
	(void)close(fd);
	if (alive)
		return errno = EADDRINUSE, -1;
	return unlink(at->sun_path);
}

/* sun_path has room for 107 bytes; a longer path is one through its directory. */
int
listener_path(const char *path, struct sockaddr_un *at, int *directory)
{
	const char *name = strrchr(path, '/');
	char        parent[4096];

	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*directory = -1;
	if (*path != '\0' && bytes_string(bytes_of(path), at->sun_path, sizeof at->sun_path))
		return 0;
	if (name == NULL || name[1] == '\0' || strlen(name) > sizeof at->sun_path - 32 ||
	    !bytes_string((struct bytes){ path, (size_t)(name - path) }, parent, sizeof parent))
		return errno = ENAMETOOLONG, -1;
	if ((*directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return -1;
	(void)snprintf(at->sun_path, sizeof at->sun_path, "/proc/self/fd/%d%.75s", *directory,
	               name);
	return 0;
}

static int
open_at(const struct sockaddr_un *at, int mode)
{
	int fd;

	if (clear_path(at) < 0)
		return -1;
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)at, sizeof *at) < 0 ||
	    chmod(at->sun_path, mode != 0 ? (mode_t)mode : 0666) < 0 || listen(fd, BACKLOG) < 0)
		return close_failed(fd);
	return fd;
}

static int
open_path(const char *path, int mode)
{
	struct sockaddr_un at;
	int                directory, why, fd;

	if (listener_path(path, &at, &directory) < 0)
		return -1;
	fd = open_at(&at, mode);
	why = errno;
	if (directory >= 0)
		(void)close(directory);
	errno = why;
	return fd;
}

bool
listener_address(const char *address)
{
	struct place p;

	return strncmp(address, "unix:/", 6) == 0 || place_parse(bytes_of(address), &p);
}

int
listener_bind(const char *address, int mode, struct buffer *errors)
{
	struct place p;
	int          fd;

	if (strncmp(address, "unix:", 5) == 0) {
		fd = open_path(address + 5, mode);
	} else if (!place_parse(bytes_of(address), &p)) {
		buffer_printf(errors,
		              "cannot listen on \"%s\": expected an address and a port such as "
		              "127.0.0.1:25, [::1]:143, *:25, or unix:/path\n",
		              address);
		return -1;
	} else {
		fd = p.any ? open_any(&p) : open_place(&p);
	}
	if (fd < 0)
		buffer_printf(errors, "cannot listen on %s: %s\n", address, strerror(errno));
	return fd;
}
