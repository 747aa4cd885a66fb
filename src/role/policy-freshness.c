/*
 * policy-freshness -- how old the signatures are that letters are scanned by, as clamd itself says (VERSION)
 *
 * Every clamd of the listeners is asked when role policy begins and every hour.  It is another program (freshclam) that
 * brings new ones; whoever forgot it hears so in the log, once for each clamd until it is well again, and in `mansio status`.
 */
#include "role/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOOK_MS = 3600000, FIRST_MS = 2000, ANSWER_MS = 10000, DAY_S = 86400 };

/* One clamd. */
struct freshness {
	struct freshness *next;
	struct house     *house;
	char             *socket;
	int               fd;
	struct watch     *watch;
	struct timer     *timer; /* the next look, or the end of patience  */
	struct buffer     out, reply;
	bool              told, wanted;
	bool              known; /* it has said                            */
	uint64_t          number;
	int64_t           made;
	int64_t           oldest; /* clamd_signatures_age, seconds          */
};

static void look(void *ctx);

static void
rest(struct freshness *f, int64_t ms)
{
	watch_close(&f->watch);
	if (f->fd >= 0)
		(void)close(f->fd);
	f->fd = -1;
	buffer_reset(&f->out);
	buffer_reset(&f->reply);
	timer_close(&f->timer);
	f->timer = timer_open(f->house->loop, look, f);
	timer_set(f->timer, ms);
}

static void
tell(struct freshness *f)
{
	int64_t age = clock_wall() - f->made;
	bool    old = f->oldest > 0 && age > f->oldest;

	if (old && !f->told)
		warn_("clamd %s: its signatures (%" PRIu64 ") are %" PRId64
		      " days old: is freshclam running? (clamd_signatures_age)",
		      f->socket, f->number, age / DAY_S);
	else if (!old && f->told)
		note("clamd %s: its signatures (%" PRIu64 ") are new again", f->socket, f->number);
	f->told = old;
}

static void
heard(void *ctx, int bits)
{
	struct freshness *f = ctx;
	ssize_t           n;

	if ((bits & LOOP_WRITE) != 0 && f->out.len > 0) {
		n = send(f->fd, f->out.at, f->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			buffer_eat(&f->out, (size_t)n);
	}
	watch_want(f->watch, LOOP_READ | (f->out.len > 0 ? LOOP_WRITE : 0));
	if ((bits & LOOP_READ) == 0)
		return;
	n = recv(f->fd, buffer_room(&f->reply, CLAMD_REPLY_MOST), CLAMD_REPLY_MOST, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buffer_took(&f->reply, (size_t)n);
	if (n > 0 && f->reply.len < CLAMD_REPLY_MOST &&
	    bytes_find(buffer_bytes(&f->reply), '\0') < 0)
		return;
	f->known = clamd_version(buffer_bytes(&f->reply), &f->number, &f->made);
	if (f->known)
		tell(f);
	rest(f, LOOK_MS);
}

/* That it cannot be asked is said of the letters that wait for it. */
static void
too_late(void *ctx)
{
	struct freshness *f = ctx;

	f->known = false;
	rest(f, LOOK_MS);
}

static void
look(void *ctx)
{
	struct freshness  *f = ctx;
	struct clamd_place place;

	if (clamd_place(bytes_of(f->socket), &place) != NULL ||
	    (f->fd = policy_clamd_call(&place)) < 0) {
		too_late(f);
		return;
	}
	buffer_add(&f->out, (struct bytes){ "zVERSION", sizeof "zVERSION" });
	f->watch = watch_open(f->house->loop, f->fd, heard, f);
	watch_want(f->watch, LOOP_READ | LOOP_WRITE);
	timer_close(&f->timer);
	f->timer = timer_open(f->house->loop, too_late, f);
	timer_set(f->timer, ANSWER_MS);
}

static void
forget(struct freshness *f)
{
	watch_close(&f->watch);
	timer_close(&f->timer);
	if (f->fd >= 0)
		(void)close(f->fd);
	buffer_free(&f->out);
	buffer_free(&f->reply);
	memory_free(f->socket);
	memory_free(f);
}

static struct freshness *
of_socket(struct policy *p, const char *socket)
{
	struct freshness *f = p->freshness;

	while (f != NULL && strcmp(f->socket, socket) != 0)
		f = f->next;
	if (f != NULL)
		return f;
	f = memory_take(sizeof *f);
	*f = (struct freshness){ .next = p->freshness, .house = p->house, .fd = -1 };
	f->socket = memory_take(strlen(socket) + 1);
	memcpy(f->socket, socket, strlen(socket) + 1);
	p->freshness = f;
	rest(f, FIRST_MS);
	return f;
}

void
policy_freshness_settings(struct house *h)
{
	struct policy *p = policy_of(h);

	for (struct freshness *f = p->freshness; f != NULL; f = f->next)
		f->wanted = false;
	for (size_t i = 0; i < h->listeners.count; i++)
		if (h->listeners.one[i].service <= LISTEN_LMTP && *p->scan[i].socket != '\0') {
			struct freshness *f = of_socket(p, p->scan[i].socket);

			f->oldest = p->scan[i].signatures_ms / 1000;
			if (f->known)
				tell(f);
			f->wanted = true;
		}
	for (struct freshness **at = &p->freshness, *f; (f = *at) != NULL;)
		if (f->wanted)
			at = &f->next;
		else {
			*at = f->next;
			forget(f);
		}
}

void
policy_freshness_status(const struct policy *p, struct buffer *out)
{
	for (const struct freshness *f = p->freshness; f != NULL; f = f->next) {
		if (f->known)
			buffer_printf(out,
			              " clamd_signatures=%" PRIu64
			              " clamd_signatures_days=%" PRId64,
			              f->number, (clock_wall() - f->made) / DAY_S);
		else
			buffer_add_string(out, " clamd_signatures=unknown");
	}
}
