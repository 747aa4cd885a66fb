/* table-socketmap -- socketmap: and tcp:, programs that answer one key after the other */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "directory/remote-sql.h"
#include "directory/socketmap.h"
#include "directory/table_inner.h"

enum { TIMEOUT_MS = 10000 };

struct socketmap {
	struct arena       *life;
	struct remote_host  host;
	struct setting_list server; /* the one */
	struct bytes        map;    /* of socketmap: the name of the map there     */
	bool                tcp;
	struct pool        *pool;
};

/*
 * Connections
 */

/* Until the descriptor is ready, or errno says ETIMEDOUT. */
static bool
wait_for(int fd, short what, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t       left;
	int           n;

	do {
		left = until - clock_patient_ms();
		n = left <= 0 ? 0 : poll(&p, 1, (int)left);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0;
}

static int
connect_address(const struct sockaddr *a, socklen_t len, int64_t until)
{
	int       fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int       why = 0;
	socklen_t n = sizeof why;

	if (fd < 0)
		return -1;
	if (connect(fd, a, len) == 0)
		return fd;
	if (errno == EINPROGRESS && wait_for(fd, POLLOUT, until) &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0) {
		if (why == 0)
			return fd;
		errno = why;
	}
	why = errno;
	(void)close(fd);
	errno = why;
	return -1;
}

static int
connect_unix(const char *path, int64_t until)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (!bytes_string(bytes_of(path), a.sun_path, sizeof a.sun_path))
		return errno = ENAMETOOLONG, -1;
	return connect_address((const struct sockaddr *)&a, sizeof a, until);
}

static int
connect_host(const struct remote_host *h, int64_t until, struct buffer *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	char            port[8];
	int             fd = -1, n;

	(void)snprintf(port, sizeof port, "%u", h->port);
	if ((n = getaddrinfo(h->host, port, &hints, &all)) != 0) {
		buffer_add_string(why, gai_strerror(n));
		return -1;
	}
	for (struct addrinfo *a = all; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_address(a->ai_addr, a->ai_addrlen, until);
	freeaddrinfo(all);
	return fd;
}

static void *
sm_connect(void *ctx, const char *server, int timeout_ms, struct buffer *why)
{
	const struct socketmap *t = ctx;
	int64_t                 until = clock_patient_ms() + timeout_ms;
	int                    *fd = memory_take(sizeof *fd);

	buffer_reset(why);
	*fd = t->host.local ? connect_unix(t->host.host, until)
	                    : connect_host(&t->host, until, why);
	if (*fd >= 0)
		return fd;
	buffer_printf(why, "%s%s: %s", why->len > 0 ? ": " : "", server, strerror(errno));
	memory_free(fd);
	return NULL;
}

static void
sm_disconnect(void *ctx, void *own)
{
	int *fd = own;

	(void)ctx;
	(void)close(*fd);
	memory_free(fd);
}

/*
 * Questions
 */

struct asking {
	const struct socketmap *table;
	struct bytes            key;
	struct buffer           reply, value;
	enum socketmap_reply    is;
};

static bool
say(int fd, struct bytes text, int64_t until)
{
	while (text.len > 0) {
		ssize_t n = send(fd, text.at, text.len, MSG_NOSIGNAL);
		if (n > 0)
			text = bytes_cut(text, (size_t)n, text.len);
		else if (errno != EAGAIN && errno != EINTR)
			return false;
		else if (!wait_for(fd, POLLOUT, until))
			return false;
	}
	return true;
}

/* Whether nothing came since the last reply: else what did would be taken for the next one, and be of another key; or the end. */
static bool
is_silent(int fd)
{
	char    c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == 0)
		errno = ECONNRESET;
	return n < 0 && errno == EAGAIN;
}

/* What comes until the reply is whole; more than that is nonsense. */
static bool
hear(struct asking *a, int fd, int64_t until)
{
	enum { PIECE = 16384 };

	for (;;) {
		a->is = a->table->tcp ? tcp_reply_read(buffer_bytes(&a->reply), &a->value)
		                      : socketmap_reply_read(buffer_bytes(&a->reply), &a->value);
		if (a->is != SOCKETMAP_SHORT)
			return a->is != SOCKETMAP_NONSENSE;
		if (!wait_for(fd, POLLIN, until))
			return false;
		ssize_t n = recv(fd, buffer_room(&a->reply, PIECE), PIECE, 0);
		if (n == 0)
			errno = ECONNRESET;
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n > 0)
			buffer_took(&a->reply, (size_t)n);
	}
}

static enum pool_asked
ask(void *asker, void *connection, int timeout_ms, struct buffer *why)
{
	struct asking *a = asker;
	int           *fd = connection;
	int64_t        until = clock_patient_ms() + timeout_ms;
	struct buffer  text = { 0 };
	bool           good;

	buffer_reset(&a->reply);
	buffer_reset(&a->value);
	if (a->table->tcp)
		tcp_question(a->key, &text);
	else
		socketmap_question(a->table->map, a->key, &text);
	errno = 0;
	good = is_silent(*fd) && say(*fd, buffer_bytes(&text), until) && hear(a, *fd, until);
	buffer_free(&text);
	if (good)
		return POOL_DONE;
	buffer_reset(why);
	buffer_printf(why, "%s: %s", a->table->server.item[0],
	              errno != 0 ? strerror(errno) : "it says what is no reply");
	return POOL_LOST;
}

static enum table_outcome
find(void *own, struct bytes key, struct arena *life, struct bytes *value)
{
	const struct socketmap *t = own;
	struct asking           a = { .table = t, .key = key, .is = SOCKETMAP_NONE };
	struct buffer           why = { 0 };
	bool                    asked = true;
	enum table_outcome      is = TABLE_NONE;

	*value = (struct bytes){ NULL, 0 };
	if (key.len > 0 && key.len <= REMOTE_KEY_MOST)
		asked = pool_ask(t->pool, ask, &a, &why);
	if (!asked) {
		is = TABLE_LATER;
		*value = arena_keep(life, buffer_bytes(&why));
	} else if (a.is == SOCKETMAP_OK || a.is == SOCKETMAP_LATER) {
		is = a.is == SOCKETMAP_OK ? TABLE_FOUND : TABLE_LATER;
		*value = arena_keep(life, buffer_bytes(&a.value));
	}
	buffer_free(&a.reply);
	buffer_free(&a.value);
	buffer_free(&why);
	return is;
}

/*
 * Opening
 */

static void
sm_close(void *own)
{
	struct socketmap *t = own;

	pool_close(&t->pool);
	arena_close(&t->life);
	memory_free(t);
}

static const struct pool_ways ways = { sm_connect, sm_disconnect };

static void *
open_to(struct bytes place, struct bytes map, bool tcp)
{
	struct socketmap *t = memory_take(sizeof *t);
	const char      **item;

	t->life = arena_open(NULL);
	t->tcp = tcp;
	t->map = arena_keep(t->life, map);
	item = arena_take_array(t->life, 1, sizeof *item);
	item[0] = arena_copy(t->life, place);
	t->server = (struct setting_list){ item, 1 };
	if (place.len == 0 || !remote_host(item[0], t->life, &t->host) ||
	    (!t->host.local && t->host.port == 0)) {
		sm_close(t);
		return NULL;
	}
	t->pool = pool_open(&t->server, false, TIMEOUT_MS, &ways, t);
	return t;
}

/* socketmap:inet:host:port:name, socketmap:unix:path:name */
static void *
socketmap_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
               struct buffer *errors, struct buffer *warnings)
{
	ptrdiff_t    colon = bytes_find_last(name, ':');
	struct bytes map = bytes_cut(name, (size_t)(colon + 1), name.len);
	void        *t = NULL;

	(void)grammar;
	(void)source;
	(void)warnings;
	if (colon > 0 && map.len > 0 &&
	    (bytes_starts(name, BYTES("inet:")) || bytes_starts(name, BYTES("unix:"))))
		t = open_to(bytes_cut(name, 0, (size_t)colon), map, false);
	if (t == NULL)
		buffer_printf(errors,
		              "socketmap:%.*s: write socketmap:inet:host:port:name or "
		              "socketmap:unix:/path:name\n",
		              (int)name.len, name.at);
	return t;
}

/* tcp:host:port */
static void *
tcp_open(struct bytes name, enum table_grammar grammar, const struct table_source *source,
         struct buffer *errors, struct buffer *warnings)
{
	void *t = bytes_starts(name, BYTES("unix:")) || bytes_starts(name, BYTES("/"))
	                  ? NULL
	                  : open_to(name, (struct bytes){ NULL, 0 }, true);

	(void)grammar;
	(void)source;
	(void)warnings;
	if (t == NULL)
		buffer_printf(errors, "tcp:%.*s: write tcp:host:port\n", (int)name.len, name.at);
	return t;
}

static void
sm_reach(void *own, struct reach *r)
{
	const struct socketmap *t = own;

	if (t->host.local)
		reach_path(r, path_above(bytes_of(t->host.host)));
	else
		reach_port(r, t->host.port);
}

const struct table_type table_socketmap = {
	.name = "socketmap",
	.remote = true,
	.open = socketmap_open,
	.find = find,
	.close = sm_close,
	.reach = sm_reach,
};
const struct table_type table_tcp = {
	.name = "tcp",
	.remote = true,
	.open = tcp_open,
	.find = find,
	.close = sm_close,
	.reach = sm_reach,
};
