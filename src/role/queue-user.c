/*
 * queue-user -- letters for operating-system users: their keeper is asked for when it is away, and gets each letter
 * in a file of its own, for it sees nothing of the letter log
 */
#include "queue/through.h"
#include "role/queue.h"
#include "spool/disk.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECE = 64 << 10, UNDER_WAY_MOST = 32, BYTES_MOST = 64 << 20 };

/* A letter on its way into a file, copied in the thread pool. */
struct copying {
	void (*done)(void *ctx, int fd, uint64_t envelope_at, int why);
	void    *ctx;
	int      content, envelope, out;
	uint64_t content_at, content_takes, envelope_at;
	int      why;
};

/* What waits for a user's keeper, oldest first, and what it has in hand: so many letters, and so much of them, for each
   is held in memory. */
struct user_line {
	struct buffer tickets;
	uint32_t      under_way;
	uint64_t      bytes;
	bool          going;
};

static void line_go(struct house *, uint32_t keeper);

/* ---- the copy ---- */

static int
copy_range(int from, uint64_t at, int to, uint64_t to_at, uint64_t len)
{
	char piece[PIECE] __attribute__((uninitialized));
	int  why = 0;

	while (len > 0 && why == 0) {
		size_t n = len < sizeof piece ? (size_t)len : sizeof piece;
		why = disk_read(from, piece, n, at);
		if (why == 0 && pwrite(to, piece, n, (off_t)to_at) != (ssize_t)n)
			why = errno != 0 ? errno : ENOSPC;
		at += n;
		to_at += n;
		len -= n;
	}
	return why;
}

/* The content's record, then its envelope's, as compaction leaves them. */
static void
copy_run(void *ctx)
{
	struct copying *c = ctx;
	char            head[RECORD_HEADER];
	struct record   r;

	c->why = copy_range(c->content, c->content_at, c->out, SEGMENT_HEADER, c->content_takes);
	if (c->why == 0)
		c->why = disk_read(c->envelope, head, sizeof head, c->envelope_at);
	if (c->why == 0 && (!record_header_read(head, &r, NULL) || r.type != RECORD_ENVELOPE))
		c->why = EBADMSG;
	if (c->why == 0)
		c->why = copy_range(c->envelope, c->envelope_at, c->out,
		                    SEGMENT_HEADER + c->content_takes, record_takes(r.body_len));
}

static void
copying_end(struct copying *c)
{
	const int fds[] = { c->content, c->envelope, c->out };

	for (size_t i = 0; i < COUNT(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	memory_free(c);
}

static void
copy_done(void *ctx)
{
	struct copying *c = ctx;

	c->done(c->ctx, c->why == 0 ? c->out : -1, SEGMENT_HEADER + c->content_takes, c->why);
	copying_end(c);
}

static int
own(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void
queue_copy_alone(struct house *h, const struct letter                                 *l,
                 void (*done)(void *ctx, int fd, uint64_t envelope_at, int why), void *ctx)
{
	struct letters *letters = spool_letters(queue_of(h)->spool);
	struct copying *c = memory_take(sizeof *c);

	*c = (struct copying){ .done = done,
		               .ctx = ctx,
		               .content_at = l->content_at - RECORD_HEADER,
		               .content_takes = record_takes(l->content_len),
		               .envelope_at = l->envelope_at };
	c->content = own(letters_fd(letters, l->content_segment));
	c->envelope = own(letters_fd(letters, l->envelope_segment));
	c->out = memfd_create("letter", MFD_CLOEXEC);
	if (c->content >= 0 && c->envelope >= 0 && c->out >= 0) {
		loop_job(h->loop, copy_run, copy_done, c);
		return;
	}
	done(ctx, -1, 0, errno);
	copying_end(c);
}

/* ---- to the keeper ---- */

/* A recipient's letter is copied, if the recipient still waits. */
struct handing {
	struct house *house;
	uint32_t      ticket;
};

static void
cannot_copy(struct house *h, uint32_t ticket, int why)
{
	struct recipient *r = queue_asked_drop(queue_of(h)->for_users, ticket);

	if (r != NULL)
		queue_user_had(h, r);
	if (r != NULL)
		queue_conclude(h, r, EVENT_LATER, "deferred", "4.3.0", letters_why(why));
}

static void
hand_over(void *ctx, int fd, uint64_t envelope_at, int why)
{
	struct handing    handing = *(struct handing *)ctx;
	struct house     *h = handing.house;
	struct bytes      key = { (const char *)&handing.ticket, sizeof handing.ticket };
	struct recipient *r = map_get(queue_of(h)->for_users, key);
	uint32_t          keeper = r != NULL ? house_keeper_of(h, r->account) : 0;

	memory_free(ctx);
	if (r != NULL && why != 0)
		cannot_copy(h, handing.ticket, why);
	else if (r != NULL && house_link(h, KEEPER, keeper) != NULL)
		queue_say_deliver(h, r, SEGMENT_ALONE, envelope_at, fd);
	queue_pump(h);
}

static void
copy_begin(struct house *h, const struct recipient *r)
{
	struct handing *handing = memory_take(sizeof *handing);

	*handing = (struct handing){ h, r->ticket };
	queue_copy_alone(h, r->letter, hand_over, handing);
}

/* ---- keepers come and go ---- */

static struct bytes
line_key(const uint32_t *keeper)
{
	return (struct bytes){ (const char *)keeper, sizeof *keeper };
}

static bool
line_next(struct user_line *l, uint32_t *ticket)
{
	if (l->tickets.len == 0 || l->under_way >= UNDER_WAY_MOST || l->bytes >= BYTES_MOST)
		return false;
	memcpy(ticket, l->tickets.at, sizeof *ticket);
	buffer_eat(&l->tickets, sizeof *ticket);
	return true;
}

static void
line_go(struct house *h, uint32_t keeper)
{
	struct queue_role *k = queue_of(h);
	struct user_line  *l = map_get(k->lines, line_key(&keeper));
	struct recipient  *r;
	uint32_t           ticket;

	if (l == NULL || l->going)
		return;
	l->going = true; /* a copy that fails at once comes here again */
	while (line_next(l, &ticket)) {
		if ((r = map_get(k->for_users, line_key(&ticket))) == NULL)
			continue;
		l->under_way++;
		l->bytes += r->letter->content_len;
		copy_begin(h, r);
	}
	l->going = false;
}

/* It has one less; the next may come. */
void
queue_user_had(struct house *h, const struct recipient *r)
{
	uint32_t          keeper = house_keeper_of(h, r->account);
	struct user_line *l = map_get(queue_of(h)->lines, line_key(&keeper));
	uint64_t          len = r->letter->content_len;

	if (l == NULL)
		return;
	l->under_way -= l->under_way > 0;
	l->bytes -= len < l->bytes ? len : l->bytes;
	line_go(h, keeper);
}

void
queue_user_line_end(struct house *h, uint32_t keeper)
{
	struct user_line *l = map_drop(queue_of(h)->lines, line_key(&keeper));

	if (l != NULL)
		buffer_free(&l->tickets);
	memory_free(l);
}

void
queue_deliver_to_user(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	uint32_t           keeper = house_keeper_of(h, r->account);
	struct user_line  *l = map_get(k->lines, line_key(&keeper));

	if (l == NULL) {
		l = memory_take(sizeof *l);
		(void)map_put(k->lines, line_key(&keeper), l);
	}
	buffer_add(&l->tickets, line_key(&r->ticket));
	if (house_link(h, KEEPER, keeper) != NULL)
		line_go(h, keeper);
	else
		house_keeper_want(h, keeper);
}

/* The tickets of all that this keeper is to do. */
static void
tickets_of(struct house *h, uint32_t keeper, struct buffer *out)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->for_users, &p);) {
		struct recipient *r = p.value;
		if (house_keeper_of(h, r->account) == keeper)
			buffer_add(out, p.key);
	}
}

void
queue_user_keeper_came(struct house *h, uint32_t index)
{
	if ((index & KEEPER_OF_USER) != 0)
		line_go(h, index);
}

/* It will not come: not now, or never. */
bool
hear_keeper_not(struct house *h, struct bytes body)
{
	struct unpack u = unpack_of(body);
	uint32_t      index = unpack_u32(&u), ticket;
	bool          for_good = unpack_bool(&u);
	struct bytes  why = unpack_bytes(&u);
	struct buffer tickets = { 0 };
	char          text[200];

	if (!unpack_done(&u) || !bytes_string(why, text, sizeof text))
		return false;
	if (house_link(h, KEEPER, index) == NULL) {
		queue_user_line_end(h, index);
		tickets_of(h, index, &tickets);
		queue_pipes_not(h, index, text);
	}
	for (size_t at = 0; at < tickets.len; at += sizeof ticket) {
		struct recipient *r;
		memcpy(&ticket, tickets.at + at, sizeof ticket);
		r = queue_asked_drop(queue_of(h)->for_users, ticket);
		if (r != NULL)
			queue_conclude(h, r, for_good ? EVENT_REFUSED : EVENT_LATER,
			               for_good ? "bounced" : "deferred",
			               for_good ? "5.1.1" : "4.3.0", text);
	}
	buffer_free(&tickets);
	queue_pump(h);
	return true;
}

/* It may go when nothing is asked of it. */
bool
hear_keeper_rest(struct house *h, uint32_t index)
{
	struct buffer tickets = { 0 };

	tickets_of(h, index, &tickets);
	if (tickets.len == 0 && !queue_pipes_wait(h, index))
		house_keeper_let_go(h, index);
	buffer_free(&tickets);
	return true;
}

/* ---- forwarding ---- */

void
queue_forward(struct house *h, struct recipient *r, const struct word_delivered *w)
{
	struct queue *q = queue_of(h)->queue;
	uint8_t       notify = r->notify;

	/* rfc3461:5.2.7: one target tells of its success, of several it is told that there are. */
	if (w->targets > 1)
		queue_expanded(h, r, false);
	r->notify &= (uint8_t)~NOTIFY_SUCCESS;
	for (uint32_t i = 0; i < w->targets; i++) {
		const struct resolve_target *t = &w->target[i];
		struct recipient            *twin;
		if (queue_has_target(r->letter, t))
			continue;
		twin = queue_fork(q, r);
		if (w->targets == 1)
			twin->notify = notify;
		queue_recipient_is(twin, t);
		if (t->account == 0 && queue_leaves_a_trace(queue_of(h)))
			twin->through = through_leave(r->through, bytes_of(r->address), twin->life);
		twin->known = true; /* an address is looked up under its own name */
		if (t->account != 0)
			queue_event(q, twin, EVENT_RESOLVED, NULL, NULL, queue_now_ms());
		else
			queue_event(q, twin, EVENT_RELEASE, NULL, NULL, queue_now_ms());
	}
}

/* Whether this user has forwarded the letter. */
static bool
has_forwarded(const struct letter *l, uint64_t account)
{
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (r->account == account && r->state == RECIPIENT_DONE && r->text != NULL &&
		    strcmp(r->text, "forwarded") == 0)
			return true;
	return false;
}

/* Who has forwarded the letter and gets it by another way has it in the mailbox: each forwards it once, whatever the files say.  Who
   gets it back is queue_goes_in_circles()'s. */
void
queue_forwarders(const struct recipient *r, const struct word_resolved *w)
{
	for (uint32_t i = 0; i < w->targets; i++) {
		struct resolve_target *t = (struct resolve_target *)(uintptr_t)&w->target[i];
		if (is_system_account(t->account) && system_kind_of(t->account) == SYSTEM_MAILBOX &&
		    has_forwarded(r->letter, t->account) &&
		    !through_circles(r->through, t->address))
			t->account = system_account(SYSTEM_OWN_MAILBOX, system_uid(t->account));
	}
}
