/*
 * policy-clamd -- letters go to clamd, out of a word or a segment of the log as they are, and what it says to the receiver
 *
 * Of what is inside the letter nothing is looked at here.  Each letter has a connection of its own, and nobody waits for another's.
 */
#include "role/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel/loop.h"
#include "policy/clamd.h"

enum { SCANS_MOST = 500, TURN_PIECES = 4 };

struct scan {
	struct scan  *next, **at;
	struct house *house;
	uint32_t      receiver, ticket;
	int           fd, file; /* to clamd; of the letter, -1: it is in `content` */
	uint64_t      from, len;
	struct buffer content, out, reply;
	bool          last; /* all was said */
	struct watch *watch;
	struct timer *timer;
};

static void
scan_close(struct scan *s)
{
	struct policy *p = policy_of(s->house);

	*s->at = s->next;
	if (s->next != NULL)
		s->next->at = s->at;
	p->scans_open--;
	watch_close(&s->watch);
	timer_close(&s->timer);
	if (s->fd >= 0)
		(void)close(s->fd);
	if (s->file >= 0)
		(void)close(s->file);
	buffer_free(&s->content);
	buffer_free(&s->out);
	buffer_free(&s->reply);
	memory_free(s);
}

static void
scan_say(struct house *h, uint32_t receiver, uint32_t ticket, enum clamd_answer answer,
         struct bytes name)
{
	struct link *l = house_link(h, RECEIVER, receiver);

	if (l == NULL)
		return;
	word_pack_scanned(link_begin(l, WORD_SCANNED, ticket),
	                  &(struct word_scanned){ (uint8_t)answer, name });
	link_end(l);
}

static void
scan_done(struct scan *s, enum clamd_answer answer, struct bytes name)
{
	policy_of(s->house)->scanned++;
	scan_say(s->house, s->receiver, s->ticket, answer, name);
	scan_close(s);
}

static void
too_late(void *ctx)
{
	scan_done(ctx, CLAMD_FAILED, BYTES("no answer in time"));
}

/* One piece more of the letter; false: it cannot be read. */
static bool
next_piece(struct scan *s)
{
	size_t  n = s->len < CLAMD_PIECE ? (size_t)s->len : CLAMD_PIECE;
	char    piece[CLAMD_PIECE];
	ssize_t got;

	if (n == 0 || s->file < 0) {
		clamd_piece(bytes_cut(buffer_bytes(&s->content), (size_t)s->from, n), &s->out);
		s->last = n == 0;
		s->from += n;
		s->len -= n;
		return true;
	}
	do {
		got = pread(s->file, piece, n, (off_t)s->from);
	} while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	clamd_piece((struct bytes){ piece, (size_t)got }, &s->out);
	s->from += (uint64_t)got;
	s->len -= (uint64_t)got;
	return true;
}

/* False: clamd hears no more; its reply may say why. */
static bool
speak(struct scan *s)
{
	for (int i = 0; i < TURN_PIECES; i++) {
		ssize_t n;

		if (s->out.len == 0 && s->last)
			return true;
		if (s->out.len == 0 && !next_piece(s))
			return false;
		n = send(s->fd, s->out.at, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		buffer_eat(&s->out, (size_t)n);
	}
	return true;
}

static void
hear(struct scan *s)
{
	ssize_t n = recv(s->fd, buffer_room(&s->reply, CLAMD_REPLY_MOST), CLAMD_REPLY_MOST,
	                 MSG_DONTWAIT);
	enum clamd_answer a;
	struct bytes      name;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buffer_took(&s->reply, (size_t)n);
	if (n < 0 && s->reply.len == 0) {
		scan_done(s, CLAMD_FAILED, bytes_of(strerror(errno)));
		return;
	}
	a = clamd_reply(buffer_bytes(&s->reply), n <= 0, &name);
	if (a != CLAMD_SHORT)
		scan_done(s, a, name);
}

static void
ready(void *ctx, int bits)
{
	struct scan *s = ctx;

	if ((bits & LOOP_WRITE) != 0 && !speak(s)) {
		s->last = true;
		buffer_reset(&s->out);
	}
	watch_want(s->watch, LOOP_READ | (s->last && s->out.len == 0 ? 0 : LOOP_WRITE));
	if ((bits & LOOP_READ) != 0)
		hear(s);
}

int
policy_clamd_call(const struct clamd_place *place)
{
	struct sockaddr_un  un = { .sun_family = AF_UNIX };
	struct sockaddr_in  in4 = { .sin_family = AF_INET, .sin_port = htons(place->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(place->port) };
	struct sockaddr    *to = (struct sockaddr *)&un;
	socklen_t           len = sizeof un;
	char                host[64];
	int                 fd, why;

	errno = EINVAL;
	if (place->is_path && !bytes_string(place->host, un.sun_path, sizeof un.sun_path))
		return -1;
	if (!place->is_path) {
		if (!bytes_string(place->host, host, sizeof host))
			return -1;
		if (inet_pton(AF_INET, host, &in4.sin_addr) == 1)
			to = (struct sockaddr *)&in4, len = sizeof in4;
		else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1)
			to = (struct sockaddr *)&in6, len = sizeof in6;
		else
			return -1;
	}
	fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, to, len) == 0 || errno == EINPROGRESS)
		return fd;
	why = errno;
	(void)close(fd);
	return errno = why, -1;
}

static const struct scan_settings *
settings_of(const struct policy *p, const char *listener)
{
	size_t i = listener_place(&p->house->listeners, bytes_of(listener));

	return i < p->house->listeners.count ? &p->scan[i] : NULL;
}

static void
scan_open(struct house *h, uint32_t receiver, uint32_t ticket, const struct word_scan *ask,
          const struct scan_settings *set, int *file)
{
	struct policy     *p = policy_of(h);
	struct clamd_place place;
	struct scan       *s;
	int                fd;

	if (p->scans_open >= SCANS_MOST || set == NULL ||
	    clamd_place(bytes_of(set->socket), &place) != NULL) {
		scan_say(h, receiver, ticket, CLAMD_FAILED, BYTES("too many letters at once"));
		return;
	}
	if ((fd = policy_clamd_call(&place)) < 0) {
		scan_say(h, receiver, ticket, CLAMD_FAILED, bytes_of(strerror(errno)));
		return;
	}
	s = memory_take(sizeof *s);
	*s = (struct scan){ .next = p->scans,
		            .at = &p->scans,
		            .house = h,
		            .receiver = receiver,
		            .ticket = ticket,
		            .fd = fd,
		            .file = *file,
		            .from = ask->inside ? 0 : ask->at,
		            .len = ask->inside ? ask->content.len : ask->len };
	*file = -1;
	if (p->scans != NULL)
		p->scans->at = &s->next;
	p->scans = s;
	p->scans_open++;
	if (ask->inside)
		buffer_add(&s->content, ask->content);
	clamd_begin(&s->out);
	s->timer = timer_open(h->loop, too_late, s);
	timer_set(s->timer, set->timeout);
	s->watch = watch_open(h->loop, fd, ready, s);
	watch_want(s->watch, LOOP_READ | LOOP_WRITE);
}

bool
policy_hear_scan(struct house *h, uint32_t receiver, uint32_t ticket, struct bytes body, int fd)
{
	struct arena    *life = arena_open(NULL);
	struct word_scan ask;
	bool             good = word_unpack_scan(body, life, &ask) && ask.inside == (fd < 0);

	if (good)
		scan_open(h, receiver, ticket, &ask, settings_of(policy_of(h), ask.listener), &fd);
	if (fd >= 0)
		(void)close(fd);
	arena_close(&life);
	return good;
}

void
policy_scan_settings(struct house *h)
{
	struct policy *p = policy_of(h);

	for (size_t i = 0; i < h->listeners.count; i++)
		if (!house_settings(h, &scan_setting_table, h->listeners.one[i].name, &p->scan[i]))
			p->scan[i].socket = "";
	policy_freshness_settings(h);
}

/* Nobody waits for these any more; with NULL: for any. */
void
policy_scans_end(struct house *h, const uint32_t *receiver)
{
	struct scan *next;

	for (struct scan *s = policy_of(h)->scans; s != NULL; s = next) {
		next = s->next;
		if (receiver == NULL || s->receiver == *receiver)
			scan_close(s);
	}
}
