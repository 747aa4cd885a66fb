#include "base/arena.h"
#include "base/journal.h"
#include "channel/stream_inner.h"

#include <sys/socket.h>

/* How long the other half may still be talking when one has ended. */
enum { GRACE_MS = 5000 };

struct join {
	struct join   *next, **before;
	struct stream *a, *b;
	struct timer  *grace;
	void (*done)(void *ctx, uint64_t a_to_b, uint64_t b_to_a, const char *why);
	void    *ctx;
	uint64_t a_in, b_in; /* read before they were joined */
	bool     half;       /* one has ended: its end is to be passed on */
};

static const struct stream_events nobody = { 0 };

static struct stream *
mate_of(const struct stream *s)
{
	return s->join->a == s ? s->join->b : s->join->a;
}

static void
unlist(struct join *j)
{
	*j->before = j->next;
	if (j->next != NULL)
		j->next->before = j->before;
}

/* Both are finished: what was on its way to the one that lives still goes. */
static void
over(struct join *j, const char *why)
{
	uint64_t a_in, b_in, out;

	stream_counts(j->a, &a_in, &out);
	stream_counts(j->b, &b_in, &out);
	unlist(j);
	timer_close(&j->grace);
	stream_finish(&j->a);
	stream_finish(&j->b);
	if (j->done != NULL)
		j->done(j->ctx, a_in - j->a_in, b_in - j->b_in, why);
	memory_free(j);
}

static void
grace_over(void *ctx)
{
	over(ctx, "end of file");
}

/* Not while the other has not taken what it was given. */
bool
join_may_read(const struct stream *s)
{
	return stream_pending(mate_of(s)) == 0;
}

/* Pass on the end of one as the end of input of the other, when all has gone
   that came before it. */
static void
pass_end(struct stream *from)
{
	struct stream *to = mate_of(from);
	struct join   *j = from->join;

	if (to->end || to->socket.ssl != NULL || from->socket.ssl != NULL) {
		over(j, "end of file");
		return;
	}
	j->half = true;
	if (j->grace == NULL)
		j->grace = timer_open(from->loop, grace_over, j);
	timer_set(j->grace, GRACE_MS);
	if (stream_pending(to) == 0)
		(void)shutdown(to->socket.fd, SHUT_WR);
}

void
join_read(struct stream *from)
{
	struct stream      *to = mate_of(from);
	char               *scratch = loop_scratch_in(from->loop);
	enum socket_outcome o;
	size_t              n;

	o = stream_pull(from, scratch, STREAM_READ_MOST, &n);
	if (n > 0)
		stream_pass(to, (struct bytes){ scratch, n });
	if (o == SOCKET_END) {
		from->end = true;
		stream_later(from);
	} else if (o == SOCKET_BROKEN) {
		from->broken = true;
		stream_later(from);
	}
}

/* All that waited for this one has gone: the other may read on. */
void
join_drained(struct stream *to)
{
	struct stream *from = mate_of(to);

	if (from->end && from->join->half)
		(void)shutdown(to->socket.fd, SHUT_WR);
	if (socket_holds(&from->socket)) {
		from->more = true;
		stream_later(from);
	}
	stream_rewatch(from);
}

void
join_ended(struct stream *s)
{
	struct streams *all = streams_of(s->loop);

	if (!s->broken) {
		pass_end(s);
		return;
	}
	socket_why(&s->socket, all->why, sizeof all->why);
	over(s->join, all->why);
}

static void
couple(struct stream *s, struct join *j)
{
	INSIDE(s->join == NULL && !s->leaving);
	INSIDE(s->stage == STAGE_CLEAR || s->stage == STAGE_SECURE);
	s->join = j;
	s->events = &nobody;
	s->paused = s->resumed = s->drained = false;
}

/* What one had read and not eaten is the first that the other gets. */
static void
hand_over(struct stream *from, struct stream *to)
{
	struct bytes unread = stream_peek(from);

	if (unread.len > 0) {
		stream_say(to, unread);
		stream_eat(from, unread.len);
	}
	if (from->broken || from->end || socket_holds(&from->socket)) {
		from->more = true;
		from->told = false;
		stream_later(from);
	}
}

void
stream_join(struct stream **ap, struct stream                                               **bp,
            void (*done)(void *ctx, uint64_t a_to_b, uint64_t b_to_a, const char *why), void *ctx)
{
	struct stream  *a = *ap, *b = *bp;
	struct streams *all = streams_of(a->loop);
	struct join    *j = memory_take(sizeof *j);
	uint64_t        out;

	*ap = *bp = NULL;
	*j = (struct join){
		.a = a, .b = b, .done = done, .ctx = ctx, .next = all->joins, .before = &all->joins
	};
	if (j->next != NULL)
		j->next->before = &j->next;
	all->joins = j;
	stream_counts(a, &j->a_in, &out);
	stream_counts(b, &j->b_in, &out);
	j->a_in -= stream_peek(a).len;
	j->b_in -= stream_peek(b).len;
	couple(a, j);
	couple(b, j);
	hand_over(a, b);
	hand_over(b, a);
	stream_rewatch(a);
	stream_rewatch(b);
}

size_t
stream_unjoin(struct loop *loop, void *ctx)
{
	struct join *j = streams_of(loop)->joins;
	size_t       count = 0;

	while (j != NULL) {
		if (j->ctx != ctx) {
			j = j->next;
			continue;
		}
		count++;
		over(j, "ended");
		j = streams_of(loop)->joins; /* `done` may have ended others */
	}
	return count;
}

/* What the mate's other end has said is here already, for unix sockets keep nothing on the way. */
static void
drain(struct stream *from, struct stream *to)
{
	char  *scratch = loop_scratch_in(from->loop);
	size_t n;

	while (stream_pull(from, scratch, STREAM_READ_MOST, &n) == SOCKET_MOVED && n > 0)
		stream_say(to, (struct bytes){ scratch, n });
	if (n > 0)
		stream_say(to, (struct bytes){ scratch, n });
}

struct stream *
stream_part(struct loop *loop, void *ctx, struct buffer *unsent)
{
	struct join   *j = streams_of(loop)->joins;
	struct stream *a;

	while (j != NULL && j->ctx != ctx)
		j = j->next;
	if (j == NULL || j->a->broken || j->a->end)
		return NULL;
	a = j->a;
	drain(j->b, a);
	buffer_add(unsent, buffer_bytes(&j->b->out));
	unlist(j);
	timer_close(&j->grace);
	a->join = j->b->join = NULL;
	stream_close(&j->b);
	memory_free(j);
	return a;
}

/* The loop closes: nobody is told. */
void
joins_end(struct join *j)
{
	struct join *next;

	for (; j != NULL; j = next) {
		next = j->next;
		timer_close(&j->grace);
		j->a->join = j->b->join = NULL;
		stream_close(&j->a);
		stream_close(&j->b);
		memory_free(j);
	}
}
