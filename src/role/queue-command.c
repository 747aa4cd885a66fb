/*
 * queue-command -- the queue on the command line: queue list|flush|hold|release|delete, store compact
 */
#include "message/envelope.h"
#include "role/queue.h"
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* clang-format off */
static const char *const state_names[RECIPIENT_STATES] = {
	[RECIPIENT_NEW] = "new", [RECIPIENT_WAITING] = "deferred", [RECIPIENT_TRYING] = "active",
	[RECIPIENT_HELD] = "hold", [RECIPIENT_DONE] = "done",
};
/* clang-format on */

/* As mailq shows it: id, size, arrival, sender; then each recipient with its reason. */
static void
list_letter(struct caller *caller, const struct letter *l)
{
	time_t    arrived = (time_t)(l->arrived_us / 1000000);
	struct tm tm;
	char      id[24], when[40] = "";

	letter_id_text(l->id, id);
	if (localtime_r(&arrived, &tm) != NULL &&
	    strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm) == 0)
		when[0] = '\0';
	caller_say(caller, "%-16s %8" PRIu64 " %s  %s\n", id, l->content_len, when,
	           l->sender[0] ? l->sender : "MAILER-DAEMON");
	if (l->handling.not_before_us / 1000 > queue_now_ms()) {
		arrived = (time_t)(l->handling.not_before_us / 1000000);
		if (localtime_r(&arrived, &tm) != NULL &&
		    strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm) > 0)
			caller_say(caller, "%45s(held until %s, as its sender wishes)\n", "", when);
	}
	for (const struct recipient *r = l->first; r != NULL; r = r->next) {
		if (r->state == RECIPIENT_DONE)
			continue;
		if (r->text[0] != '\0')
			caller_say(caller, "%45s(%s %s)\n", "", r->status, r->text);
		caller_say(caller, "%45s%s  [%s]\n", "", r->address, state_names[r->state]);
	}
}

static void
run_list(struct house *h, struct caller *caller, const struct word_ask *w)
{
	(void)w;
	struct queue_role *k = queue_of(h);
	uint64_t           bytes = 0;
	size_t             n = queue_count(k->queue);

	if (n == 0) {
		caller_say(caller, "Mail queue is empty\n");
		caller_done(caller, 0);
		return;
	}
	caller_say(caller, "%-16s %8s %-19s  %s\n", "-Queue ID-", "--Size--", "----Arrival Time---",
	           "-Sender/Recipient-------");
	for (struct letter *l = queue_oldest(k->queue); l != NULL; l = l->newer) {
		list_letter(caller, l);
		bytes += l->content_len;
	}
	caller_say(caller, "-- %" PRIu64 " Kbytes in %zu Request%s.\n", bytes / 1024, n,
	           n == 1 ? "" : "s");
	caller_done(caller, 0);
}

static void
run_flush(struct house *h, struct caller *caller, const struct word_ask *w)
{
	(void)w;
	struct queue_role *k = queue_of(h);

	for (struct letter *l = queue_oldest(k->queue), *newer; l != NULL; l = newer) {
		newer = l->newer;
		for (struct recipient *r = l->first; r != NULL; r = r->next)
			if (r->state == RECIPIENT_WAITING)
				queue_event(k->queue, r, EVENT_RELEASE, NULL, NULL, queue_now_ms());
	}
	queue_destinations_free(h);
	queue_pump(h);
	caller_done(caller, 0);
}

/*
 * ETRN
 */

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

static uint32_t
flush_domain(struct queue_role *k, struct bytes domain, bool below)
{
	uint32_t count = 0;

	for (struct letter *l = queue_oldest(k->queue), *newer; l != NULL; l = newer) {
		bool found = false;

		newer = l->newer;
		for (struct recipient *r = l->first; r != NULL; r = r->next)
			if (goes_to(r, domain, below)) {
				queue_event(k->queue, r, EVENT_RELEASE, NULL, NULL, queue_now_ms());
				found = true;
			}
		count += found;
	}
	return count;
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
	pack_u32(link_begin(l, WORD_FLUSHED, ticket), flush_domain(queue_of(h), domain, below));
	link_end(l);
	queue_pump(h);
	return true;
}

/* Whether it is in a state this can be done in. */
static bool
is_meant(const struct recipient *r, enum recipient_event e)
{
	if (e == EVENT_RELEASE)
		return r->state == RECIPIENT_HELD;
	if (e == EVENT_DROP && (r->state == RECIPIENT_HELD || r->state == RECIPIENT_NEW))
		return r->ticket == 0; /* else somebody is being asked who it is */
	return r->state == RECIPIENT_WAITING || r->state == RECIPIENT_NEW;
}

/* Of all recipients of one letter; how many. */
static size_t
move_letter(struct queue *q, struct letter *l, enum recipient_event e)
{
	size_t count = 0;
	bool   last = false;

	for (struct recipient *r = l->first, *next; r != NULL && !last; r = next) {
		next = r->next;
		if (!is_meant(r, e))
			continue;
		last = e == EVENT_DROP && l->open == 1; /* then the letter is gone */
		queue_event(q, r, e, NULL, NULL, queue_now_ms());
		count++;
	}
	return count;
}

/* "queue release ID ...", or ALL */
static void
move(struct house *h, struct caller *caller, const struct word_ask *w, enum recipient_event e)
{
	struct queue *q = queue_of(h)->queue;
	int           status = w->argc > 2 ? 0 : 2;

	for (uint32_t i = 2; i < w->argc; i++) {
		struct letter *l = NULL;
		uint64_t       id;

		if (strcmp(w->argv[i], "ALL") == 0) {
			for (struct letter *newer, *one = queue_oldest(q); one != NULL;
			     one = newer) {
				newer = one->newer;
				(void)move_letter(q, one, e);
			}
			continue;
		}
		if (letter_id_parse(bytes_of(w->argv[i]), &id))
			l = queue_find(q, id);
		if (l == NULL || move_letter(q, l, e) == 0) {
			caller_complain(caller, "%s: %s\n", w->argv[i],
			                l == NULL ? "no letter in the queue has this id"
			                          : "nothing of it can be moved so now");
			status = 1;
		}
	}
	queue_pump(h);
	caller_done(caller, status);
}

static void
run_hold(struct house *h, struct caller *caller, const struct word_ask *w)
{
	move(h, caller, w, EVENT_HOLD);
}

static void
run_release(struct house *h, struct caller *caller, const struct word_ask *w)
{
	move(h, caller, w, EVENT_RELEASE);
}

static void
run_delete(struct house *h, struct caller *caller, const struct word_ask *w)
{
	move(h, caller, w, EVENT_DROP);
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
	{ "queue", "list",    run_list    },
	{ "queue", "flush",   run_flush   },
	{ "queue", "hold",    run_hold    },
	{ "queue", "release", run_release },
	{ "queue", "delete",  run_delete  },
	{ "store", "compact", run_compact },
};
/* clang-format on */

void
queue_command(struct house *h, struct caller *caller, const struct word_ask *w)
{
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
