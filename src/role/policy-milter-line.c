/* Sockets to filters, and what they read and write of letters. */
#include "role/policy-milter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/stream.h"

enum { PLACES_MOST = 8, UNREAD_MOST = 2 << 20 };

struct place {
	union {
		struct sockaddr     any;
		struct sockaddr_in  four;
		struct sockaddr_in6 six;
		struct sockaddr_un  path;
	} at;
	socklen_t len;
};
struct mouth {
	struct house       *house;
	struct milter_line *line; /* NULL: hung up                        */
	struct stream      *stream;
	struct watch       *watch;
	struct timer       *timer;
	struct errand       again; /* what may not be told from within a call */
	struct place        place[PLACES_MOST];
	size_t              places, tried;
	int                 fd, why;
	bool                hearing, over, closing; /* closing: who closes it frees it */
};
static size_t connections;

size_t
milter_connections(void)
{
	return connections;
}

/*
 * Where it is
 */

static void
add_address(struct mouth *m, struct bytes text)
{
	struct place *p = &m->place[m->places];
	uint16_t      port = htons(m->line->milter->port);
	char          name[64];

	if (m->places == PLACES_MOST || !bytes_string(text, name, sizeof name))
		return;
	*p = (struct place){ 0 };
	if (inet_pton(AF_INET, name, &p->at.four.sin_addr) == 1) {
		p->at.four.sin_family = AF_INET;
		p->at.four.sin_port = port;
		p->len = sizeof p->at.four;
	} else if (inet_pton(AF_INET6, name, &p->at.six.sin6_addr) == 1) {
		p->at.six.sin6_family = AF_INET6;
		p->at.six.sin6_port = port;
		p->len = sizeof p->at.six;
	} else
		return;
	m->places++;
}

/* "address name name ..." in lines (hosts(5)). */
static void
add_from_hosts(struct mouth *m, struct bytes host)
{
	struct bytes rest = bytes_of(house_resource_text(m->house, "hosts")), line, word;

	while (bytes_split(&rest, '\n', &line)) {
		ptrdiff_t    comment = bytes_find(line, '#');
		struct bytes address = { NULL, 0 };

		line = bytes_cut(line, 0, comment < 0 ? line.len : (size_t)comment);
		for (size_t i = 0; i < line.len; i++) {
			size_t from = i;

			while (i < line.len && line.at[i] != ' ' && line.at[i] != '\t')
				i++;
			word = bytes_cut(line, from, i - from);
			if (word.len > 0 && address.at == NULL)
				address = word;
			else if (word.len > 0 && bytes_equal_nocase(word, host))
				add_address(m, address);
		}
	}
}

static void
add_path(struct mouth *m, const char *directory, const char *path)
{
	struct place *p = &m->place[m->places];
	int           n;

	if (m->places == PLACES_MOST)
		return;
	*p = (struct place){ .len = sizeof p->at.path };
	p->at.path.sun_family = AF_UNIX;
	n = snprintf(p->at.path.sun_path, sizeof p->at.path.sun_path, "%s%s%s", directory,
	             *directory == '\0' || *path == '/' ? "" : "/", path);
	if (n > 0 && (size_t)n < sizeof p->at.path.sun_path)
		m->places++;
}

/* A path that Postfix's daemons would see from within its queue directory is looked for there, too. */
static void
find_places(struct mouth *m)
{
	const struct milter *f = m->line->milter;

	if (f->path != NULL) {
		if (f->path[0] == '/')
			add_path(m, "", f->path);
		add_path(m, "/var/spool/postfix", f->path);
		return;
	}
	add_address(m, bytes_of(f->host));
	if (m->places == 0)
		add_from_hosts(m, bytes_of(f->host));
	if (m->places == 0 && bytes_is(bytes_of(f->host), "localhost")) {
		add_address(m, BYTES("127.0.0.1"));
		add_address(m, BYTES("::1"));
	}
}

/*
 * The connection
 */

/* Nothing of it is used any more by anybody else. */
static void
mouth_free(struct mouth *m)
{
	errand_clear(&m->again);
	timer_close(&m->timer);
	watch_close(&m->watch);
	if (m->stream != NULL)
		stream_finish(&m->stream);
	if (m->fd >= 0)
		(void)close(m->fd);
	connections--;
	memory_free(m);
}

static void
mouth_lost(struct mouth *m, const char *why)
{
	struct milter_line *l = m->line;

	m->line = NULL;
	if (l != NULL)
		milter_line_lost(l, why);
}

static void
arrived(void *ctx)
{
	struct mouth *m = ctx;

	if (m->hearing)
		return;
	m->hearing = true;
	while (m->line != NULL && stream_peek(m->stream).len > 0) {
		size_t used = milter_line_heard(m->line, stream_peek(m->stream));

		if (used == 0)
			break;
		stream_eat(m->stream, used);
	}
	m->hearing = false;
	if (m->over && !m->closing)
		mouth_free(m);
}

static void
drained(void *ctx)
{
	struct mouth *m = ctx;

	if (m->line != NULL)
		milter_line_drained(m->line);
}

static void
silent(void *ctx)
{
	struct mouth *m = ctx;

	if (m->line != NULL)
		milter_line_silent(m->line);
}

static void
closed(void *ctx, const char *why)
{
	struct mouth *m = ctx;

	m->closing = true;
	arrived(m);
	m->over = true;
	mouth_lost(m,
	           bytes_is(bytes_of(why), "end of file") ? "it has closed the connection" : why);
	mouth_free(m);
}

static void
mouth_begin(struct mouth *m)
{
	static const struct stream_events events = {
		.arrived = arrived, .drained = drained, .silent = silent, .closed = closed
	};

	watch_close(&m->watch);
	timer_close(&m->timer);
	m->stream = stream_open(m->house->loop, m->fd, &events, m);
	m->fd = -1;
	stream_most_unread(m->stream, UNREAD_MOST);
	milter_line_connected(m->line);
}

static void try_next(struct mouth *);

static void
connected(void *ctx, int bits)
{
	struct mouth *m = ctx;
	int           why = 0;
	socklen_t     len = sizeof why;

	(void)bits;
	if (getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
		why = errno;
	if (why == 0) {
		mouth_begin(m);
		return;
	}
	m->why = why;
	try_next(m);
}

/* The next of its addresses, until one takes us or there is none. */
static void
try_next(struct mouth *m)
{
	while (m->tried < m->places) {
		const struct place *to = &m->place[m->tried++];

		watch_close(&m->watch);
		if (m->fd >= 0)
			(void)close(m->fd);
		m->fd = socket(to->at.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (m->fd >= 0 && connect(m->fd, &to->at.any, to->len) == 0) {
			mouth_begin(m);
			return;
		}
		if (m->fd >= 0 && errno == EINPROGRESS) {
			m->watch = watch_open(m->house->loop, m->fd, connected, m);
			watch_want(m->watch, LOOP_WRITE);
			return;
		}
		if (m->why == 0 || errno != ENOENT)
			m->why = errno;
	}
	m->over = m->closing = true;
	mouth_lost(
		m,
		m->places == 0 ? "its host has no address"
		: m->why == EACCES
			? "Permission denied (is it in smtpd_milters or smtpd_milter_map_filters?)"
			: strerror(m->why));
	mouth_free(m);
}

static void
again(void *ctx)
{
	struct mouth *m = ctx;

	if (m->over)
		mouth_free(m);
	else
		try_next(m);
}

static void
late(void *ctx)
{
	silent(ctx);
}

static void *
mouth_connect(void *house, struct milter_line *l)
{
	struct mouth *m = memory_take(sizeof *m);

	m->house = house;
	m->line = l;
	m->fd = -1;
	m->again = (struct errand){ .go = again, .ctx = m };
	connections++;
	find_places(m);
	errand_set(m->house->loop, &m->again);
	return m;
}

static struct buffer *
mouth_out(void *mouth)
{
	return stream_out(((struct mouth *)mouth)->stream);
}

static size_t
mouth_pending(void *mouth)
{
	struct mouth *m = mouth;

	return m->stream != NULL ? stream_pending(m->stream) : 0;
}

static void
mouth_patience(void *mouth, int64_t ms)
{
	struct mouth *m = mouth;

	if (m->stream != NULL) {
		stream_patience(m->stream, ms);
		return;
	}
	if (m->timer == NULL)
		m->timer = timer_open(m->house->loop, late, m);
	timer_set(m->timer, ms);
}

static void
mouth_hang_up(void *mouth)
{
	struct mouth *m = mouth;

	m->line = NULL;
	if (m->over)
		return;
	m->over = true;
	/* Within arrived(), that frees it. */
	if (!m->hearing)
		errand_set(m->house->loop, &m->again);
}

/*
 * Contents
 */

struct milter_file {
	struct bytes inside; /* or                                        */
	int          fd;
	uint64_t     at, len;
};

struct milter_file *
milter_file_open(struct bytes inside, int fd, uint64_t at, uint64_t len)
{
	struct milter_file *f = memory_take(sizeof *f);

	*f = (struct milter_file){ inside, fd, at, len };
	return f;
}

int
milter_file_fd(const struct milter_file *f, uint64_t *len)
{
	*len = f->len;
	return f->fd;
}

static int64_t
file_read(void *source, uint64_t at, char *to, size_t room)
{
	struct milter_file *f = source;
	uint64_t            left = at < f->len ? f->len - at : 0;
	size_t              want = room < left ? room : (size_t)left;

	if (want == 0)
		return 0;
	if (f->fd >= 0)
		return pread(f->fd, to, want, (off_t)(f->at + at));
	memcpy(to, f->inside.at + at, want);
	return (int64_t)want;
}

static void *
file_open(void *house)
{
	int fd = memfd_create("body", MFD_CLOEXEC);

	(void)house;
	return fd < 0 ? NULL : milter_file_open(BYTES(""), fd, 0, 0);
}

static bool
file_add(void *source, struct bytes more)
{
	struct milter_file *f = source;

	while (more.len > 0) {
		ssize_t n = pwrite(f->fd, more.at, more.len, (off_t)f->len);

		if (n <= 0)
			return false;
		f->len += (uint64_t)n;
		more = bytes_cut(more, (size_t)n, more.len);
	}
	return true;
}

static void
file_close(void **source)
{
	struct milter_file *f = *source;

	*source = NULL;
	if (f != NULL && f->fd >= 0)
		(void)close(f->fd);
	memory_free(f);
}

const struct milter_needs milter_sockets = {
	.connect = mouth_connect,
	.out = mouth_out,
	.pending = mouth_pending,
	.patience = mouth_patience,
	.hang_up = mouth_hang_up,
	.read = file_read,
	.source_open = file_open,
	.source_add = file_add,
	.source_close = file_close,
};
