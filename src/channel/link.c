#include "channel/link.h"
#include "base/arena.h"
#include "base/journal.h"
#include "channel/loop_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
	FLUSH_AT = 64 << 10,  /* said at once past this                        */
	READ_MOST = 64 << 10, /* in one turn                                   */
	DIRECT_AT = 8 << 10,  /* a frame past this is read straight into its place */
	FDS_MOST = 4,         /* a frame half here and the next: never more than two */
	SOCKET_BUFFER = 1 << 20,
	REST_MOST = 64, /* reads: more than a socket holds               */
	TOO_MANY_REFS_MS = 10,
};

/* A descriptor and the frame it goes with. */
struct passing {
	uint64_t at; /* where in all that was ever said */
	int      fd;
};

struct link {
	struct loop              *loop;
	struct watch             *watch;
	struct timer             *timer; /* only where the kernel held too many descriptors */
	const struct link_events *events;
	void                     *ctx;
	struct link  *dirty_next, **dirty_before; /* said something since the last rest */
	struct buffer out;
	struct buffer passing; /* struct passing, in order           */
	uint64_t      gone;    /* bytes sent                         */
	size_t        begun;   /* length of `out` at link_begin()    */
	struct buffer in;      /* a frame that is not here yet       */
	size_t        need;    /* its size, when read straight into `in`; or 0 */
	int           fd;
	int           held; /* callbacks below us on the stack    */
	int           fds[FDS_MOST];
	int           fd_count;
	bool          open; /* between link_begin() and link_end() */
	bool          blocked, deaf, lost, dead;
};

/* The links of one loop that have something to send. */
struct links {
	struct link *dirty;
};

/* ---- the frame ---- */

static void
put_head(char *at, uint32_t len, uint16_t word, uint16_t flags, uint32_t ticket)
{
	const uint8_t head[LINK_HEAD] = {
		len & 0xff,    len >> 8 & 0xff,    len >> 16 & 0xff,    len >> 24,
		word & 0xff,   word >> 8,          flags & 0xff,        flags >> 8,
		ticket & 0xff, ticket >> 8 & 0xff, ticket >> 16 & 0xff, ticket >> 24,
	};

	memcpy(at, head, sizeof head);
}

static uint32_t
u32_at(const char *at)
{
	const uint8_t *b = (const uint8_t *)at;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint16_t
u16_at(const char *at)
{
	const uint8_t *b = (const uint8_t *)at;

	return (uint16_t)(b[0] | b[1] << 8);
}

enum frame_outcome
frame_read(struct bytes arrived, struct frame *f, size_t *used)
{
	uint32_t len;

	*used = LINK_HEAD;
	if (arrived.len < LINK_HEAD)
		return FRAME_SHORT;
	len = u32_at(arrived.at);
	f->word = u16_at(arrived.at + 4);
	f->flags = u16_at(arrived.at + 6);
	f->ticket = u32_at(arrived.at + 8);
	if (len > LINK_BODY_MOST || (f->flags & ~FRAME_FD) != 0)
		return FRAME_NONSENSE;
	*used = LINK_HEAD + (size_t)len;
	if (arrived.len < *used)
		return FRAME_SHORT;
	f->body = (struct bytes){ arrived.at + LINK_HEAD, len };
	return FRAME_WHOLE;
}

/* ---- saying ---- */

static void
want(struct link *l)
{
	watch_want(l->watch, l->lost ? 0 : LOOP_READ | (l->blocked ? LOOP_WRITE : 0));
}

static struct passing *
next_passing(struct link *l)
{
	return l->passing.len > 0 ? (struct passing *)(void *)l->passing.at : NULL;
}

static void
pass_next(struct link *l)
{
	(void)close(next_passing(l)->fd);
	buffer_eat(&l->passing, sizeof(struct passing));
}

/* The other side has closed.  What it said before is still to be read; the end
   of file will tell. */
static void
drop_out(struct link *l)
{
	while (next_passing(l) != NULL)
		pass_next(l);
	buffer_free(&l->passing);
	buffer_free(&l->out);
}

/* One sendmsg: up to the next frame with a descriptor, or from it, so that the
   kernel gives the descriptor with the first byte of its frame. */
static ssize_t
send_some(struct link *l)
{
	union {
		struct cmsghdr align;
		char           room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec    iov = { l->out.at, l->out.len };
	struct msghdr   m = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct passing *p = next_passing(l);
	ssize_t         n;

	if (p != NULL && p->at == l->gone) {
		struct cmsghdr *c = &control.align;

		m.msg_control = &control;
		m.msg_controllen = sizeof control.room;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &p->fd, sizeof p->fd);
		if (l->passing.len > sizeof *p)
			iov.iov_len = (size_t)(p[1].at - l->gone);
	} else if (p != NULL) {
		iov.iov_len = (size_t)(p->at - l->gone);
	}
	n = sendmsg(l->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0 && m.msg_control != NULL)
		pass_next(l);
	return n;
}

static void
try_again(void *ctx)
{
	struct link *l = ctx;

	link_flush(l);
}

static void
push(struct link *l)
{
	size_t sent = 0;

	if (l->blocked)
		return;
	while (l->out.len > 0) {
		ssize_t n = send_some(l);

		if (n >= 0) {
			buffer_eat(&l->out, (size_t)n);
			l->gone += (uint64_t)n;
			sent += (size_t)n;
			continue;
		}
		switch (errno) {
		case EINTR: continue;
		case EAGAIN:
		case ENOBUFS:
		case ENOMEM:
			l->blocked = true;
			want(l);
			return;
		case ETOOMANYREFS: /* descriptors on their way, unix(7) */
			if (l->timer == NULL)
				l->timer = timer_open(l->loop, try_again, l);
			timer_set(l->timer, TOO_MANY_REFS_MS);
			return;
		default:
			l->deaf = true;
			drop_out(l);
			return;
		}
	}
	if (sent > FLUSH_AT)
		buffer_free(&l->out);
	else
		buffer_reset(&l->out);
}

static void
be_clean(struct link *l)
{
	if (l->dirty_before == NULL)
		return;
	*l->dirty_before = l->dirty_next;
	if (l->dirty_next != NULL)
		l->dirty_next->dirty_before = l->dirty_before;
	l->dirty_before = NULL;
}

static void
be_dirty(struct link *l)
{
	struct links *all = loop_shelf(l->loop, LOOP_LINKS);

	if (l->dirty_before != NULL)
		return;
	l->dirty_next = all->dirty;
	l->dirty_before = &all->dirty;
	if (l->dirty_next != NULL)
		l->dirty_next->dirty_before = &l->dirty_next;
	all->dirty = l;
}

static void
flush_all(void *thing)
{
	struct links *all = thing;
	struct link  *l;

	while ((l = all->dirty) != NULL) {
		be_clean(l);
		push(l);
	}
}

static void
links_end(void *thing)
{
	memory_free(thing);
}

struct buffer *
link_begin(struct link *l, uint16_t word, uint32_t ticket)
{
	INSIDE(!l->open);
	l->open = true;
	l->begun = l->out.len;
	put_head(buffer_room(&l->out, LINK_HEAD), 0, word, 0, ticket);
	buffer_took(&l->out, LINK_HEAD);
	return &l->out;
}

void
link_end_fd(struct link *l, int fd)
{
	size_t len = l->out.len - l->begun - LINK_HEAD;
	char  *head = l->out.at + l->begun;

	INSIDE(l->open);
	INSIDE(len <= LINK_BODY_MOST);
	l->open = false;
	put_head(head, (uint32_t)len, u16_at(head + 4), 0, u32_at(head + 8));
	if (l->deaf || l->lost) {
		drop_out(l);
		return;
	}
	if (fd >= 0) {
		struct passing p = { .at = l->gone + l->begun,
			             .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0) };

		if (p.fd >= 0) {
			buffer_add(&l->passing, (struct bytes){ (const char *)&p, sizeof p });
			head[6] = FRAME_FD;
		} else {
			warn_("cannot pass a descriptor: %s", strerror(errno));
		}
	}
	be_dirty(l);
	if (l->out.len > FLUSH_AT)
		push(l);
}

void
link_end(struct link *l)
{
	link_end_fd(l, -1);
}

void
link_say(struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	buffer_add(link_begin(l, word, ticket), body);
	link_end_fd(l, fd);
}

void
link_flush(struct link *l)
{
	INSIDE(!l->open);
	push(l);
}

size_t
link_pending(const struct link *l)
{
	return l->out.len;
}

/* ---- hearing ---- */

static void
close_fds(int *fd, int count)
{
	for (int i = 0; i < count; i++)
		if (fd[i] >= 0)
			(void)close(fd[i]);
}

/* Keep what came with a message.  One descriptor with each, as we send them; a
   place is kept for one the kernel could not give us, so that the next frame
   does not get another's. */
static bool
keep_fds(struct link *l, struct msghdr *m)
{
	int fd[FDS_MOST], count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t len = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		if (len > sizeof fd)
			len = sizeof fd;
		memcpy(fd, CMSG_DATA(c), len);
		count = (int)(len / sizeof *fd);
	}
	if (count == 0 && (m->msg_flags & MSG_CTRUNC) != 0) {
		warn_("a descriptor sent to us was lost: no room for more");
		fd[count++] = -1;
	}
	if (count > 1 || l->fd_count + count > FDS_MOST) {
		close_fds(fd, count);
		return false;
	}
	if (count == 1)
		l->fds[l->fd_count++] = fd[0];
	return true;
}

static int
take_fd(struct link *l)
{
	int fd = l->fds[0];

	l->fd_count--;
	memmove(l->fds, l->fds + 1, (size_t)l->fd_count * sizeof *l->fds);
	return fd;
}

/* False: nonsense, or the link was closed by its owner. */
static bool
hand_over(struct link *l, const struct frame *f)
{
	int fd = -1;

	if (f->flags & FRAME_FD) {
		if (l->fd_count == 0)
			return false;
		fd = take_fd(l);
	}
	l->events->word(l->ctx, l, f->word, f->ticket, f->body, fd);
	return !l->dead;
}

/* Hand over every whole frame; keep the rest. */
static bool
read_frames(struct link *l, struct bytes arrived)
{
	struct frame       f;
	size_t             used = 0;
	enum frame_outcome o = FRAME_SHORT;

	while (arrived.len > 0 && (o = frame_read(arrived, &f, &used)) == FRAME_WHOLE) {
		if (!hand_over(l, &f))
			return false;
		arrived = (struct bytes){ arrived.at + used, arrived.len - used };
	}
	if (o == FRAME_NONSENSE)
		return false;
	if (arrived.len > 0) {
		l->need = used > DIRECT_AT ? used : 0;
		(void)buffer_room(&l->in, used);
		buffer_add(&l->in, arrived);
	}
	return true;
}

/* A large frame has got more of its bytes. */
static bool
grow_large(struct link *l, size_t n)
{
	struct buffer whole;
	struct frame  f;
	size_t        used;
	bool          on;

	buffer_took(&l->in, n);
	if (l->in.len < l->need)
		return true;
	whole = l->in;
	l->in = (struct buffer){ 0 };
	l->need = 0;
	on = frame_read(buffer_bytes(&whole), &f, &used) == FRAME_WHOLE && hand_over(l, &f);
	buffer_free(&whole);
	return on;
}

enum hearing { HEARD, NOTHING, OVER };

/* One read: into the place of a large frame if one is on its way, and into scratch.
   A small piece of a frame is moved before it. */
static enum hearing
hear(struct link *l, char *scratch)
{
	union {
		struct cmsghdr align;
		char           room[CMSG_SPACE(sizeof(int) * FDS_MOST)];
	} control;
	size_t       lack = l->need > 0 ? l->need - l->in.len : 0;
	size_t       front = l->need > 0 ? 0 : l->in.len, large;
	struct iovec iov[2] = {
		{ lack > 0 ? buffer_room(&l->in, lack) : NULL, lack },
		{ scratch + front, READ_MOST },
	};
	struct msghdr m = { .msg_iov = iov,
		            .msg_iovlen = 2,
		            .msg_control = &control,
		            .msg_controllen = sizeof control.room };
	ssize_t       n = recvmsg(l->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? NOTHING : OVER;
	if (!keep_fds(l, &m) || n == 0)
		return OVER;
	large = (size_t)n < lack ? (size_t)n : lack;
	if (large > 0 && !grow_large(l, large))
		return OVER;
	if (front > 0) {
		memcpy(scratch, l->in.at, front);
		buffer_reset(&l->in);
	}
	if (!read_frames(l, (struct bytes){ scratch, front + (size_t)n - large }))
		return OVER;
	if (l->in.len == 0)
		buffer_free(&l->in);
	return HEARD;
}

static void
ready(void *ctx, int bits)
{
	struct link *l = ctx;

	if ((bits & LOOP_WRITE) && l->blocked) {
		l->blocked = false;
		push(l);
		want(l);
	}
	if (!(bits & LOOP_READ) || l->lost)
		return;
	l->held++;
	if (hear(l, loop_scratch_in(l->loop)) == OVER && !l->dead) {
		l->lost = true;
		drop_out(l);
		want(l);
		l->events->lost(l->ctx, l);
	}
	l->held--;
	if (l->dead && l->held == 0)
		memory_free(l);
}

/* Whoever calls may be hearing another link, in the scratch of the loop. */
void
link_hear_out(struct link *l)
{
	char *scratch = memory_take(DIRECT_AT + READ_MOST);

	l->held++;
	for (int n = 0; n < REST_MOST && !l->dead && !l->lost; n++)
		if (hear(l, scratch) != HEARD)
			break;
	l->held--;
	memory_free(scratch);
	if (l->dead && l->held == 0)
		memory_free(l);
}

struct link *
link_open(struct loop *loop, int fd, const struct link_events *events, void *ctx)
{
	struct link *l = memory_take(sizeof *l);

	if (loop_shelf(loop, LOOP_LINKS) == NULL)
		loop_shelve(loop, LOOP_LINKS, memory_take(sizeof(struct links)), flush_all,
		            links_end);
	l->loop = loop;
	l->fd = fd;
	l->events = events;
	l->ctx = ctx;
	l->watch = watch_open(loop, fd, ready, l);
	want(l);
	return l;
}

void
link_close(struct link **lp)
{
	struct link *l = *lp;

	*lp = NULL;
	if (l == NULL || l->dead)
		return;
	push(l);
	be_clean(l);
	watch_close(&l->watch);
	timer_close(&l->timer);
	(void)close(l->fd);
	close_fds(l->fds, l->fd_count);
	drop_out(l);
	buffer_free(&l->in);
	l->dead = true;
	if (l->held == 0)
		memory_free(l);
}

int
link_pair(int fd[static 2])
{
	int size = SOCKET_BUFFER;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (setsockopt(fd[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
			(void)setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
		if (setsockopt(fd[i], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
			(void)setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	}
	return 0;
}

/* ---- asking and waiting ---- */

/* Real time, whatever a test pretends: the other side is real. */
static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t       left;

	while ((left = until - now_ms()) >= 0) {
		int n = poll(&p, 1, (int)left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

static bool
send_whole(int fd, struct bytes what, int64_t until)
{
	while (what.len > 0) {
		ssize_t n = send(fd, what.at, what.len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			what = (struct bytes){ what.at + n, what.len - (size_t)n };
		else if (errno == EAGAIN ? !wait_for(fd, POLLOUT, until) : errno != EINTR)
			return false;
	}
	return true;
}

/* More of an answer, until there are `size` bytes of it. */
static bool
read_until(int fd, struct buffer *in, size_t size, int64_t until)
{
	while (in->len < size) {
		ssize_t n = recv(fd, buffer_room(in, size - in->len), size - in->len, MSG_DONTWAIT);

		if (n > 0)
			buffer_took(in, (size_t)n);
		else if (n == 0 ||
		         (errno == EAGAIN ? !wait_for(fd, POLLIN, until) : errno != EINTR))
			return false;
	}
	return true;
}

static bool
read_answer(int fd, uint32_t ticket, uint16_t *answer, struct buffer *reply, int64_t until)
{
	struct buffer in = { 0 };
	struct frame  f;
	size_t        used = LINK_HEAD;
	bool          heard;

	do {
		enum frame_outcome o = FRAME_SHORT;

		buffer_reset(&in);
		while ((heard = read_until(fd, &in, used, until)) &&
		       (o = frame_read(buffer_bytes(&in), &f, &used)) == FRAME_SHORT)
			continue;
		heard = heard && o == FRAME_WHOLE;
		used = LINK_HEAD;
	} while (heard && f.ticket != ticket);
	if (heard) {
		*answer = f.word;
		buffer_add(reply, f.body);
	} else if (in.len > 0) {
		(void)shutdown(fd, SHUT_RDWR); /* nobody knows any more where a frame begins */
	}
	buffer_free(&in);
	return heard;
}

bool
link_call(int fd, uint16_t word, struct bytes body, uint16_t *answer, struct buffer *reply, int ms)
{
	static uint32_t ticket;
	int64_t         until = now_ms() + ms;
	struct buffer   out = { 0 };
	bool            heard;

	INSIDE(body.len <= LINK_BODY_MOST);
	put_head(buffer_room(&out, LINK_HEAD + body.len), (uint32_t)body.len, word, 0, ++ticket);
	buffer_took(&out, LINK_HEAD);
	buffer_add(&out, body);
	heard = send_whole(fd, buffer_bytes(&out), until);
	buffer_free(&out);
	if (!heard)
		(void)shutdown(fd, SHUT_RDWR); /* half a question may be there */
	return heard && read_answer(fd, ticket, answer, reply, until);
}
