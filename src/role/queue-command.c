/*
 * queue-command -- the queue on the command line: what is done to letters, store compact
 */
#include "message/envelope.h"
#include "queue/line.h"
#include "role/askers.h"
#include "role/queue.h"
#include <string.h>
#include <unistd.h>

/*
 * ETRN
 */

/* Octets of domains that are kept while the queue is read. */
enum { FLUSHES_MOST = 64 << 10 };

static bool
goes_to(const struct recipient *r, struct bytes domain, bool below)
{
	struct bytes address = bytes_of(r->address);
	ptrdiff_t    at = bytes_find_last(address, '@');
	struct bytes of = bytes_cut(address, (size_t)(at + 1), address.len);

	if (at < 0 || r->state != RECIPIENT_WAITING)
		return false;
	return bytes_equal_nocase(of, domain) ||
	       (below && of.len > domain.len && bytes_ends_nocase(of, domain) &&
	        of.at[of.len - domain.len - 1] == '.');
}

struct flushing {
	struct queue *queue;
	struct bytes  domain;
	bool          below, found;
};

static bool
is_flushed(void *flushing, const struct recipient *r)
{
	const struct flushing *f = flushing;

	return goes_to(r, f->domain, f->below);
}

static void
flush_one(void *flushing, struct recipient *r)
{
	struct flushing *f = flushing;

	r->asked_for = true;
	queue_event(f->queue, r, EVENT_RELEASE, NULL, NULL, queue_now_ms());
	f->found = true;
}

static uint32_t
flush_domain(struct house *h, struct bytes domain, bool below)
{
	struct flushing f = { queue_of(h)->queue, domain, below, false };
	uint32_t        count = 0;

	for (struct letter *l = queue_oldest(f.queue), *newer; l != NULL; l = newer) {
		newer = l->newer;
		f.found = false;
		for (struct recipient *r = l->first; r != NULL; r = r->next)
			if (is_flushed(&f, r))
				flush_one(&f, r);
		for (uint32_t from = 0; queue_absent_each(h, l, &from, is_flushed, flush_one, &f);)
			continue;
		count += f.found;
	}
	return count;
}

/* All that was asked for while the queue was read. */
void
queue_flush_again(struct house *h)
{
	struct buffer all = queue_of(h)->flushes;
	struct unpack u = unpack_of(buffer_bytes(&all));

	queue_of(h)->flushes = (struct buffer){ 0 };
	while (u.rest.len > 0 && !u.broken) {
		struct bytes domain = unpack_bytes(&u);
		bool         below = unpack_bool(&u);

		if (!u.broken)
			(void)flush_domain(h, domain, below);
	}
	buffer_free(&all);
	queue_pump(h);
}

bool
hear_flush(struct house *h, uint32_t index, uint32_t ticket, struct bytes body)
{
	struct unpack u = unpack_of(body);
	struct bytes  domain = unpack_bytes(&u);
	bool          below = unpack_bool(&u);
	struct link  *l = house_link(h, RECEIVER, index);

	if (!unpack_done(&u) || domain.len == 0)
		return false;
	if (queue_of(h)->loading && queue_of(h)->flushes.len < FLUSHES_MOST)
		buffer_add(&queue_of(h)->flushes, body);
	pack_u32(link_begin(l, WORD_FLUSHED, ticket), flush_domain(h, domain, below));
	link_end(l);
	queue_pump(h);
	return true;
}

/* ---- what is done to letters ------------------------------------------------------------------ */

enum order { ORDER_HOLD, ORDER_RELEASE, ORDER_RETRY, ORDER_DELETE, ORDER_BOUNCE, ORDER_REROUTE };

static const char *const order_words[] = {
	[ORDER_HOLD] = "held by an administrator",
	[ORDER_RELEASE] = "released by an administrator",
	[ORDER_RETRY] = "tried again, as an administrator said",
	[ORDER_DELETE] = "deleted by an administrator",
	[ORDER_BOUNCE] = "returned by an administrator",
	[ORDER_REROUTE] = "led another way by an administrator",
};

/* Whether it is in a state this can be done in. */
static bool
is_meant(const struct recipient *r, enum order o)
{
	bool asked = r->ticket != 0; /* somebody is being asked who it is */

	if (r->line != NULL || r->routing != 0)
		return o != ORDER_RELEASE && o != ORDER_RETRY;
	switch (o) {
	case ORDER_HOLD: return r->state == RECIPIENT_WAITING || r->state == RECIPIENT_NEW;
	case ORDER_RELEASE: return r->state == RECIPIENT_HELD;
	case ORDER_RETRY:
		return r->state == RECIPIENT_WAITING || (r->state == RECIPIENT_NEW && !asked);
	case ORDER_DELETE:
	case ORDER_BOUNCE:
	case ORDER_REROUTE: break;
	}
	return r->state == RECIPIENT_WAITING || r->state == RECIPIENT_HELD ||
	       r->state == RECIPIENT_NEW;
}

/* The reason it waited for, if any, is what its sender needs to know. */
static void
send_back(struct house *h, struct recipient *r)
{
	/* Until now it lay in the queue, and nobody was at it. */
	struct queue_attempt by = {
		queue_services[SERVICE_QMGR], "none", queue_now_ms() * 1000, 0, 0, ""
	};
	struct buffer text = { 0 };

	buffer_printf(&text, "an administrator has returned it%s%s", *r->text != '\0' ? ": " : "",
	              r->text);
	buffer_add_char(&text, '\0');
	queue_conclude_by(h, r, EVENT_BOUNCE, "bounced", "5.7.0", text.at, &by);
	buffer_free(&text);
}

static void
obey(struct house *h, struct recipient *r, enum order o)
{
	static const enum recipient_event events[] = {
		[ORDER_HOLD] = EVENT_HOLD,       [ORDER_RELEASE] = EVENT_RELEASE,
		[ORDER_RETRY] = EVENT_RELEASE,   [ORDER_DELETE] = EVENT_DROP,
		[ORDER_REROUTE] = EVENT_RELEASE,
	};

	bool in_line = r->line != NULL;

	if (in_line) {
		line_quit(r);
		rota_back(&queue_of(h)->turns, queue_party(r->letter, queue_sender_name(r)));
	}
	/* It waits for its destination, or to hear which it is, and has not been tried. */
	if (in_line || queue_route_quit(h, r)) {
		r->tries--;
		queue_event(queue_of(h)->queue, r, EVENT_LOST, NULL, NULL, queue_now_ms());
	}
	/* Who it is need not be known any more. */
	if (r->ticket != 0 && o != ORDER_HOLD)
		(void)queue_asked_drop(queue_of(h)->resolving, r->ticket);
	r->asked_for = o == ORDER_RETRY;
	if (o == ORDER_RELEASE && r->kept_by == KEPT_BY_TABLE)
		r->kept_by = KEPT_NO_MORE;
	if (o == ORDER_BOUNCE)
		send_back(h, r);
	else if (o != ORDER_REROUTE || r->state != RECIPIENT_HELD)
		queue_event(queue_of(h)->queue, r, events[o], NULL, NULL, queue_now_ms());
}

/* Of those that are not in memory. */
static bool
order_wants(struct queue_walk *w, const struct recipient *r)
{
	return is_meant(r, (enum order)w->order) && queue_choice_recipient(&w->choice, r);
}

/* "id<tab>recipients" of each it is done to. */
static void
order_after(struct queue_walk *w)
{
	char id[24];

	letter_id_text(w->letter, id);
	if (w->count > 0)
		buffer_printf(&w->said, "%s\t%zu\n", id, w->count);
}

/* Where it is led belongs to what was done. */
static void
tell_order(struct queue_walk *w, const struct letter *l, const struct recipient *r)
{
	struct buffer text = { 0 };
	const char   *to = w->choice.route;

	buffer_add_string(&text, order_words[w->order]);
	if (w->order == ORDER_REROUTE)
		buffer_printf(&text, ", to %s", *to != '\0' ? to : "where the tables say");
	buffer_add_char(&text, '\0');
	queue_tell_order(w->house, l, r, text.at);
	buffer_free(&text);
}

/* The letter may be gone then. */
static bool
order_letter(struct queue_walk *w, struct letter *l)
{
	struct house              *h = w->house;
	const struct queue_choice *c = &w->choice;
	enum order                 o = (enum order)w->order;
	size_t                     before = w->count;
	bool                       last = false;

	for (struct recipient *r = l->first, *next; r != w->until && !last; r = next) {
		next = r->next;
		if (!order_wants(w, r))
			continue;
		w->count++;
		last = !c->dry && o == ORDER_DELETE && l->open == 1; /* then the letter is gone */
		if (o == ORDER_REROUTE && !c->dry && !bytes_is(l->handling.filter, c->route)) {
			l->handling.filter = bytes_of(arena_copy(l->life, bytes_of(c->route)));
			queue_change(queue_of(h)->queue, l);
		}
		if (o == ORDER_RELEASE && !c->dry && handling_is_aside(&l->handling)) {
			l->handling.hold = (struct bytes){ NULL, 0 };
			queue_change(queue_of(h)->queue, l);
		}
		if (!c->dry)
			tell_order(w, l, r);
		if (!c->dry)
			obey(h, r, o);
	}
	if (o == ORDER_DELETE && !c->dry && !last)
		queue_notice_fewer(queue_of(h), l);
	return w->count > before;
}

static int
order_begin(struct queue_walk *w)
{
	if (w->choice.ids == 0 && !w->choice.filtered && w->order != ORDER_RETRY) {
		caller_complain(w->caller, "queue wants ids, filters or ALL\n");
		return 2;
	}
	if ((w->order == ORDER_RETRY || w->order == ORDER_REROUTE) && !w->choice.dry)
		queue_destinations_free(w->house);
	return 0;
}

static void
order_end(struct queue_walk *w)
{
	queue_pump(w->house);
}

/* "queue release ID ...", ALL, or filters */
static void
order(struct house *h, struct caller *caller, const struct word_ask *w, enum order o)
{
	queue_walk(h, caller, w,
	           &(struct queue_walk){ .each = order_letter,
	                                 .wants = order_wants,
	                                 .after = order_after,
	                                 .begin = order_begin,
	                                 .end = order_end,
	                                 .missed = "nothing of it can be moved so now",
	                                 .acts = true,
	                                 .again = o == ORDER_HOLD || o == ORDER_DELETE ||
	                                          o == ORDER_BOUNCE,
	                                 .order = (int)o });
}

static void
run_hold(struct house *h, struct caller *caller, const struct word_ask *w)
{
	order(h, caller, w, ORDER_HOLD);
}

static void
run_release(struct house *h, struct caller *caller, const struct word_ask *w)
{
	order(h, caller, w, ORDER_RELEASE);
}

static void
run_retry(struct house *h, struct caller *caller, const struct word_ask *w)
{
	order(h, caller, w, ORDER_RETRY);
}

static void
run_delete(struct house *h, struct caller *caller, const struct word_ask *w)
{
	order(h, caller, w, ORDER_DELETE);
}

static void
run_bounce(struct house *h, struct caller *caller, const struct word_ask *w)
{
	order(h, caller, w, ORDER_BOUNCE);
}

/* "queue reroute --to smtp:[192.0.2.1]:25 ID ..."; --to nothing: as the tables say */
static void
run_reroute(struct house *h, struct caller *caller, const struct word_ask *w)
{
	struct arena       *a = arena_open(NULL);
	struct queue_choice c;
	struct bytes        name = { NULL, 0 }, rest;
	bool                read = queue_choice_read(caller, w, a, &c);

	arena_close(&a);
	if (!read) {
		caller_done(caller, 2);
		return;
	}
	rest = bytes_of(c.route);
	if (c.route == NULL || (rest.len > 0 && (!bytes_split(&rest, ':', &name) ||
	                                         !queue_is_transport(queue_of(h), name)))) {
		caller_complain(caller,
		                "--to wants a transport and where to, smtp:[192.0.2.1]:25, or "
		                "nothing (\"\") for where the tables say\n");
		caller_done(caller, 2);
		return;
	}
	order(h, caller, w, ORDER_REROUTE);
}

static void
run_compact(struct house *h, struct caller *caller, const struct word_ask *w)
{
	(void)w;
	queue_compact_command(h, caller);
}

/* clang-format off */
static const struct {
	const char *noun, *verb;
	void      (*run)(struct house *, struct caller *, const struct word_ask *);
} orders[] = {
	{ "queue", "list",    queue_command_list    },
	{ "queue", "rows",    queue_command_rows    },
	{ "queue", "summary", queue_command_summary },
	{ "queue", "show",    queue_command_show    },
	{ "queue", "content", queue_command_content },
	{ "queue", "flush",   run_retry   },
	{ "queue", "retry",   run_retry   },
	{ "queue", "hold",    run_hold    },
	{ "queue", "release", run_release },
	{ "queue", "delete",  run_delete  },
	{ "queue", "bounce",  run_bounce  },
	{ "queue", "reroute", run_reroute },
	{ "store", "compact", run_compact },
};
/* clang-format on */

/* "queue flush", "queue retry ID", "queue retry --domain NAME" */
static bool
is_plain_flush(const struct word_ask *w)
{
	return w->argc == 2 || (w->argc == 3 && w->argv[2][0] != '-') ||
	       (w->argc == 4 && strcmp(w->argv[2], "--domain") == 0);
}

/* Root may everything, and who runs the server; other users see the queue and have it tried, where the settings let them. */
static bool
may_ask(struct house *h, struct caller *caller, const struct word_ask *w)
{
	static const char *const seeing[] = { "list", "rows", "summary" };
	const char              *lines = house_resource_text(h, "askers"), *verb = w->argv[1];
	uid_t                    user = caller_user(caller);
	const char              *what = NULL;

	if (user == 0 || user == geteuid())
		return true;
	for (size_t i = 0; i < COUNT(seeing); i++)
		if (strcmp(verb, seeing[i]) == 0)
			what = "mailq";
	if ((strcmp(verb, "flush") == 0 || strcmp(verb, "retry") == 0) && is_plain_flush(w))
		what = "flush";
	if (what != NULL && strcmp(w->argv[0], "queue") == 0 && lines != NULL &&
	    askers_may(lines, what, user))
		return true;
	caller_complain(caller, "User %lu is not allowed to %s\n", (unsigned long)user,
	                what == NULL                 ? "do this: it is root's"
	                : strcmp(what, "mailq") == 0 ? "view the mail queue"
	                                             : "flush the mail queue");
	caller_done(caller, ASK_DENIED);
	return false;
}

void
queue_command(struct house *h, struct caller *caller, const struct word_ask *w)
{
	if (w->argc >= 2 && !may_ask(h, caller, w))
		return;
	for (size_t i = 0; w->argc >= 2 && i < COUNT(orders); i++)
		if (strcmp(w->argv[0], orders[i].noun) == 0 &&
		    strcmp(w->argv[1], orders[i].verb) == 0) {
			orders[i].run(h, caller, w);
			return;
		}
	for (size_t i = 0; i < COUNT(orders); i++)
		caller_complain(caller, "usage: mansio %s %s\n", orders[i].noun, orders[i].verb);
	caller_done(caller, 2);
}
