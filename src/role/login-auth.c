#include "role/login-auth.h"
#include "access/auth/authserver.h"
#include "access/login/login.h"
#include "base/map.h"
#include "channel/listener.h"
#include "channel/stream.h"
#include <string.h>
#include <unistd.h>

enum { GUESTS_MOST = 512, OUT_MOST = 1 << 20 };

struct auth_door {
	struct auth_doors *all;
	struct listener   *listener;
	int                fd;
	bool               seen;
	struct auth_door  *next;
};

/* A program that asks. */
struct auth_guest {
	struct auth_doors *all;
	struct stream     *stream;
	struct authserver *server;
};

/* One request of it at the clerk. */
struct asked {
	struct auth_guest *guest;
	uint32_t           id;
};

struct auth_doors {
	struct house         *house;
	struct auth_door     *first;
	struct login_settings rows;
	struct map           *asked;  /* ticket -> struct asked */
	struct map           *guests; /* by address */
	uint32_t              number;
	uint32_t (*ticket_new)(struct house *);
};

static struct bytes
key_of(const uint32_t *ticket)
{
	return (struct bytes){ (const char *)ticket, sizeof *ticket };
}

/* Its ticket, 0 none. */
static uint32_t
ticket_of(const struct auth_guest *g, uint32_t id)
{
	uint32_t ticket = 0;

	for (struct map_place p = { 0 }; map_next(g->all->asked, &p);) {
		const struct asked *a = p.value;
		if (a->guest == g && a->id == id)
			memcpy(&ticket, p.key.at, sizeof ticket);
	}
	return ticket;
}

/* ---- what a program wants -------------------------------------------------------------- */

static void
guest_start(void *ctx, struct authserver *s, const struct authserver_request *q)
{
	struct auth_guest *g = ctx;
	struct link       *l = house_link(g->all->house, CLERK, 0);
	struct asked      *a;
	uint32_t           ticket;

	if (l == NULL) {
		authserver_done(s, q->id, AUTHSERVER_TEMPORARY, "", (struct bytes){ NULL, 0 });
		return;
	}
	ticket = g->all->ticket_new(g->all->house);
	a = memory_take(sizeof *a);
	*a = (struct asked){ g, q->id };
	(void)map_put(g->all->asked, key_of(&ticket), a);
	word_pack_auth_start(link_begin(l, WORD_AUTH_START, ticket),
	                     &(struct word_auth_start){ .service = q->service,
	                                                .mechanism = q->mechanism,
	                                                .has_initial = q->has_initial,
	                                                .initial = q->initial,
	                                                .peer = q->peer,
	                                                .tls = q->secured,
	                                                .lent = true });
	link_end(l);
}

static void
guest_step(void *ctx, struct authserver *s, uint32_t id, struct bytes data)
{
	struct auth_guest *g = ctx;
	struct link       *l = house_link(g->all->house, CLERK, 0);
	uint32_t           ticket = ticket_of(g, id);

	if (l != NULL && ticket != 0)
		link_say(l, WORD_AUTH_STEP, ticket, data, -1);
	else
		authserver_done(s, id, AUTHSERVER_TEMPORARY, "", (struct bytes){ NULL, 0 });
}

static void
guest_drop(void *ctx, struct authserver *s, uint32_t id)
{
	struct auth_guest *g = ctx;
	struct link       *l = house_link(g->all->house, CLERK, 0);
	uint32_t           ticket = ticket_of(g, id);
	(void)s;

	if (ticket == 0)
		return;
	if (l != NULL)
		link_say(l, WORD_AUTH_DROP, ticket, (struct bytes){ NULL, 0 }, -1);
	memory_free(map_drop(g->all->asked, key_of(&ticket)));
}

static struct buffer *
guest_out(void *ctx)
{
	return stream_out(((struct auth_guest *)ctx)->stream);
}

static const struct authserver_needs needs = { guest_out, guest_start, guest_step, guest_drop };

/* ---- programs come and go ------------------------------------------------------------------ */

static void
guest_close(struct auth_guest *g)
{
	(void)map_drop(g->all->guests, (struct bytes){ (const char *)&g, sizeof(void *) });
	authserver_close(&g->server);
	stream_close(&g->stream);
	memory_free(g);
}

static void
guest_arrived(void *ctx)
{
	struct auth_guest *g = ctx;
	size_t             used;
	bool               good = authserver_take(g->server, stream_peek(g->stream), &used);

	stream_eat(g->stream, used);
	if (good && stream_pending(g->stream) < OUT_MOST)
		return;
	warn_("auth: a program breaks the protocol of Dovecot's auth socket");
	guest_close(g);
}

static void
guest_gone(void *ctx, const char *why)
{
	(void)why;
	guest_close(ctx);
}

static const struct stream_events events = { .arrived = guest_arrived, .closed = guest_gone };

static void
came(void *ctx, int fd, const struct peer *peer)
{
	struct auth_doors *d = ((struct auth_door *)ctx)->all;
	struct auth_guest *g;
	(void)peer;

	if (map_count(d->guests) >= GUESTS_MOST) {
		warn_("auth: %d programs ask already; another is sent away", GUESTS_MOST);
		close(fd);
		return;
	}
	g = memory_take(sizeof *g);
	g->all = d;
	g->stream = stream_open(d->house->loop, fd, &events, g);
	g->server =
		authserver_open(&d->rows.mechanisms, (uint32_t)getpid(), ++d->number, &needs, g);
	(void)map_put(d->guests, (struct bytes){ (const char *)&g, sizeof(void *) }, g);
}

/* ---- answers ----------------------------------------------------------------------------------- */

bool
auth_ticket_used(const struct auth_doors *d, uint32_t ticket)
{
	return map_get(d->asked, key_of(&ticket)) != NULL;
}

bool
auth_guest_more(struct auth_doors *d, uint32_t ticket, struct bytes challenge)
{
	const struct asked *a = map_get(d->asked, key_of(&ticket));

	if (a != NULL)
		authserver_more(a->guest->server, a->id, challenge);
	return a != NULL;
}

bool
auth_guest_done(struct auth_doors *d, uint32_t ticket, const struct word_auth_done *w)
{
	/* clang-format off */
	static const enum authserver_answer answers[] = {
		[AUTH_OK] = AUTHSERVER_OK, [AUTH_BAD] = AUTHSERVER_WRONG, [AUTH_SYNTAX] = AUTHSERVER_WRONG,
		[AUTH_NO_MECHANISM] = AUTHSERVER_WRONG, [AUTH_LATER] = AUTHSERVER_TEMPORARY, [AUTH_DISABLED] = AUTHSERVER_DISABLED,
	};
	/* clang-format on */
	struct asked *a = map_drop(d->asked, key_of(&ticket));

	if (a == NULL)
		return false;
	if (w->answer != AUTH_OK)
		note("auth: user=<%s>: %s", w->user, w->text);
	authserver_done(a->guest->server, a->id,
	                w->answer < COUNT(answers) ? answers[w->answer] : AUTHSERVER_TEMPORARY,
	                w->user, w->last);
	memory_free(a);
	return true;
}

void
auth_clerk_lost(struct auth_doors *d)
{
	static const struct word_auth_done later = { .answer = AUTH_LATER,
		                                     .user = "",
		                                     .text = "the clerk is away" };
	uint32_t                           ticket;

	for (struct map_place p = { 0 }; map_next(d->asked, &p);) {
		memcpy(&ticket, p.key.at, sizeof ticket);
		(void)auth_guest_done(d, ticket, &later);
	}
}

/* ---- doors --------------------------------------------------------------------------------------- */

struct auth_doors *
auth_doors_open(struct house *h, uint32_t (*ticket_new)(struct house *))
{
	struct auth_doors *d = memory_take(sizeof *d);

	d->house = h;
	d->asked = map_open();
	d->guests = map_open();
	d->ticket_new = ticket_new;
	return d;
}

static struct auth_door *
door_of(struct auth_doors *d, int fd)
{
	struct auth_door *one = d->first;

	while (one != NULL && one->fd != fd)
		one = one->next;
	if (one == NULL) {
		one = memory_take(sizeof *one);
		*one = (struct auth_door){ .all = d, .fd = fd, .next = d->first };
		d->first = one;
	}
	return one;
}

void
auth_doors_set(struct auth_doors *d, bool listen)
{
	const char *name;
	size_t      place = 0;
	int         fd;

	(void)house_settings(d->house, &login_setting_table, NULL, &d->rows);
	for (struct auth_door *one = d->first; one != NULL; one = one->next)
		one->seen = false;
	while (house_resource_next(d->house, "listener/auth", &place, &name, &fd))
		door_of(d, fd)->seen = true;
	for (struct auth_door **at = &d->first, *one; (one = *at) != NULL;) {
		if (one->seen) {
			if (listen && one->listener == NULL)
				one->listener = listener_open(d->house->loop, one->fd, came, one);
			at = &one->next;
			continue;
		}
		*at = one->next;
		listener_close(&one->listener);
		memory_free(one);
	}
}

void
auth_doors_close(struct auth_doors *d)
{
	for (struct auth_door *one = d->first; one != NULL; one = one->next)
		listener_close(&one->listener);
	for (struct map_place p = { 0 }; map_next(d->guests, &p); p = (struct map_place){ 0 })
		guest_close(p.value);
}
