/* caller -- the house's end of the command line: one question each, and its answer */

#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/listener.h"
#include "role/house.h"

struct counter {
	struct house *house;
	void (*asked)(struct house *, struct caller *, const struct word_ask *);
	struct listener *listener;
	struct caller   *first;
};

/* It lives until it has been answered and its link is closed, whichever is last. */
struct caller {
	struct counter *counter;
	struct caller  *next;
	struct link    *link; /* NULL: went away before the answer */
	int             fd;   /* came with the question, or -1 */
	bool            asked, answered;
	uid_t           user;
};

enum { TO_OUT = 1, TO_ERR = 2, UNHEARD_MOST = 256 << 10, USERS_MOST = 64, OF_USER_MOST = 8 };

static void
caller_forget(struct caller *c)
{
	struct caller **at = &c->counter->first;

	if (c->link != NULL || (c->asked && !c->answered))
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->fd >= 0)
		(void)close(c->fd);
	memory_free(c);
}

static void
hang_up(struct caller *c)
{
	link_close(&c->link);
	caller_forget(c);
}

static void
caller_asks(void *ctx, struct link *l, uint16_t word, uint32_t ticket, struct bytes body, int fd)
{
	struct caller  *c = ctx;
	struct arena   *scratch = arena_open(NULL);
	struct word_ask ask;

	(void)l;
	(void)ticket;
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = fd;
	if (c->asked || !word_allowed(word, COMMAND, c->counter->house->role) ||
	    !word_unpack_ask(body, scratch, &ask)) {
		hang_up(c);
	} else {
		c->asked = true;
		c->counter->asked(c->counter->house, c, &ask);
	}
	arena_close(&scratch);
}

static void
caller_lost(void *ctx, struct link *l)
{
	(void)l;
	hang_up(ctx);
}

static const struct link_events caller_events = { caller_asks, caller_lost };

/* Users who are not root have some places, and each of them a few. */
static bool
is_full(const struct counter *counter, uid_t user)
{
	size_t all = 0, own = 0;

	for (const struct caller *c = counter->first; c != NULL; c = c->next) {
		all += c->user != 0;
		own += c->user == user;
	}
	return user != 0 && user != geteuid() && (all >= USERS_MOST || own >= OF_USER_MOST);
}

static void
caller_came(void *ctx, int fd, const struct peer *peer)
{
	struct counter *counter = ctx;
	struct caller  *c;
	struct ucred    who = { 0 };
	socklen_t       n = sizeof who;

	(void)peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 || n != sizeof who ||
	    is_full(counter, who.uid)) {
		(void)close(fd);
		return;
	}
	c = memory_take(sizeof *c);
	c->user = who.uid;
	c->counter = ctx;
	c->fd = -1;
	c->next = c->counter->first;
	c->counter->first = c;
	c->link = link_open(c->counter->house->loop, fd, &caller_events, c);
}

void
house_commands(struct house *h, int fd,
               void (*asked)(struct house *, struct caller *, const struct word_ask *))
{
	struct counter *counter = memory_take(sizeof *counter);

	INSIDE(h->counter == NULL);
	*counter = (struct counter){ .house = h, .asked = asked };
	if (fd >= 0)
		counter->listener = listener_open(h->loop, fd, caller_came, counter);
	h->counter = counter;
}

void
house_caller(struct house *h, int fd)
{
	if (h->counter != NULL)
		caller_came(h->counter, fd, NULL);
	else
		(void)close(fd);
}

bool
house_is_asked(struct house *h)
{
	return h->counter != NULL && h->counter->first != NULL;
}

void
house_commands_end(struct house *h)
{
	struct counter *counter = h->counter;
	struct caller  *c;

	h->counter = NULL;
	if (counter == NULL)
		return;
	listener_close(&counter->listener);
	while ((c = counter->first) != NULL) {
		c->asked = c->answered = true;
		hang_up(c);
	}
	memory_free(counter);
}

__attribute__((format(printf, 3, 0))) static void
say(struct caller *c, uint8_t stream, const char *form, va_list list)
{
	struct buffer   text = { 0 };
	struct word_say w = { .stream = stream };

	if (c->link == NULL)
		return;
	buffer_vprintf(&text, form, list);
	w.text = buffer_bytes(&text);
	word_pack_say(link_begin(c->link, WORD_SAY, 0), &w);
	link_end(c->link);
	buffer_free(&text);
}

void
caller_say(struct caller *c, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	say(c, TO_OUT, form, list);
	va_end(list);
}

void
caller_complain(struct caller *c, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	say(c, TO_ERR, form, list);
	va_end(list);
}

int
caller_fd(struct caller *c)
{
	int fd = c->fd;

	c->fd = -1;
	return fd;
}

bool
caller_hears(const struct caller *c)
{
	return c->link != NULL && link_pending(c->link) < UNHEARD_MOST;
}

uid_t
caller_user(const struct caller *c)
{
	return c->user;
}

bool
caller_gone(const struct caller *c)
{
	return c->link == NULL;
}

/* The caller hangs up when it has heard this. */
void
caller_done(struct caller *c, int status)
{
	INSIDE(c->asked && !c->answered);
	c->answered = true;
	if (c->link != NULL) {
		pack_u32(link_begin(c->link, WORD_SAID, 0), (uint32_t)status);
		link_end(c->link);
	}
	caller_forget(c);
}
