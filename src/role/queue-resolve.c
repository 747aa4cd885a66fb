/*
 * queue-resolve -- who is it?  The clerk is asked of each recipient that is to be tried, and its answer makes of one
 * the recipients it stands for
 *
 * Answers are kept for other letters until the directory changes.
 */
#include "base/clock.h"
#include "delivery/beenhere.h"
#include "message/digest.h"
#include "message/envelope.h"
#include "queue/through.h"
#include "role/queue.h"
#include <string.h>

enum { KNOWN_MOST = 20000, MANY_TARGETS = 64 };

/* One that was resolved before is asked about under its own name. */
static const char *
name_of(const struct recipient *r)
{
	return r->known ? r->address : r->original;
}

static bool
is_as_written(const struct recipient *r)
{
	return (r->letter->flags & ENVELOPE_AS_WRITTEN) != 0;
}

/* What the clerk says of its address holds for others, too. */
static bool
is_like_others(const struct recipient *r)
{
	return !is_as_written(r) && r->best_here != BEST_LOCAL && r->kept_by != KEPT_NO_MORE;
}

static void
say_resolve(struct house *h, const struct recipient *r)
{
	struct link *l = house_link(h, CLERK, 0);

	if (l == NULL)
		return; /* asked when it comes */
	word_pack_resolve(link_begin(l, WORD_RESOLVE, r->ticket),
	                  &(struct word_resolve){ .address = bytes_of(name_of(r)),
	                                          .as_written = is_as_written(r),
	                                          .notice = r->letter->sender[0] == '\0',
	                                          .local = r->best_here == BEST_LOCAL,
	                                          .let_go = r->kept_by == KEPT_NO_MORE });
	link_end(l);
}

/* Anew where it is another: who is tried often does not grow. */
static const char *
text_of(struct recipient *r, const char *has, struct bytes text)
{
	return bytes_is(text, has) ? has : arena_copy(r->life, text);
}

void
queue_recipient_is(struct recipient *r, const struct resolve_target *t)
{
	r->account = t->account;
	r->address = text_of(r, r->address, t->address);
	r->detail = text_of(r, r->detail, t->detail);
	if (t->sender.len > 0)
		r->sender = text_of(r, r->sender, t->sender);
}

bool
queue_leaves_a_trace(const struct queue_role *k)
{
	for (size_t i = 0; i < k->rows.prepend.count; i++)
		if (bytes_is(bytes_of("forward"), k->rows.prepend.item[i]))
			return true;
	return false;
}

/* By a local alias: a user's copy says its name, and what goes on from here keeps it, as if it had been sent anew; unless somebody's
   .forward led to the alias, whose name it keeps. */
static void
comes_through(struct house *h, struct recipient *r, const struct resolve_target *t)
{
	struct bytes name = *r->through == '\0' ? t->entered : BYTES("");

	if (name.len > 0 && is_system_account(t->account))
		r->through = through_enter(r->through, name, r->life);
	else if (name.len > 0 && queue_leaves_a_trace(queue_of(h)))
		r->through = through_leave(r->through, name, r->life);
	r->through = through_enter(r->through, t->typed, r->life);
}

/* Whether the letter had this name when it came. */
static bool
came_by(struct queue_role *k, const struct letter *l, struct bytes name)
{
	const struct letter_place place = { .content_segment = l->content_segment,
		                            .content_at = l->content_at,
		                            .content_len = l->content_len };
	struct envelope          *e;
	struct digest             d;

	return queue_envelope(k, l, &e) == 0 && digest_view(e->digest, &d) &&
	       been_here(spool_letters(k->spool), &place, &d, name);
}

/* It has come by this name before, and is returned to its sender, or the owner of that alias, as that one's mail. */
static void
return_circling(struct house *h, struct recipient *r, struct bytes name, struct bytes owner)
{
	struct arena *a = arena_open(NULL);

	r->address = text_of(r, r->address, name);
	if (owner.len > 0)
		r->sender = text_of(r, r->sender, owner);
	queue_conclude(h, r, EVENT_REFUSED, "bounced", "5.4.6", been_here_text(name, a));
	arena_close(&a);
}

/* The local name whose alias led to all of them. */
static struct bytes
entrance_of(const struct word_resolved *w)
{
	struct bytes name = w->targets > 0 ? w->target[0].entered : (struct bytes){ NULL, 0 };

	for (uint32_t i = 1; i < w->targets; i++)
		if (!bytes_equal(w->target[i].entered, name))
			return (struct bytes){ NULL, 0 };
	return name;
}

/* By an alias.  True: it is returned. */
static bool
enters_again(struct house *h, struct recipient *r, const struct word_resolved *w)
{
	struct bytes name = entrance_of(w);

	if (name.len == 0 ||
	    (!through_circles(r->through, name) && !came_by(queue_of(h), r->letter, name)))
		return false;
	return_circling(h, r, name, w->targets > 0 ? w->target[0].sender : BYTES(""));
	return true;
}

bool
queue_goes_in_circles(struct house *h, struct recipient *r)
{
	struct bytes name = { NULL, 0 }, passed = through_passed(r->through);

	/* One user's .forward leads to another's, and that one's back. */
	if (is_system_account(r->account) && through_circles(r->through, bytes_of(r->address))) {
		return_circling(h, r, bytes_of(r->address), BYTES(""));
		return true;
	}
	if (is_system_account(r->account))
		name = through_entered(r->through);
	if (name.len == 0)
		(void)bytes_split(&passed, '\n', &name);
	if (name.len == 0 || !came_by(queue_of(h), r->letter, name))
		return false;
	return_circling(h, r, name, BYTES(""));
	return true;
}

static bool
is_target(const struct recipient *r, const struct resolve_target *t)
{
	if (!r->known || r->account != t->account)
		return false;
	/* One user may run several commands. */
	if (is_system_account(t->account) && system_kind_of(t->account) > SYSTEM_OWN_MAILBOX)
		return bytes_equal(bytes_of(r->detail), t->detail);
	return t->account != 0 || bytes_equal(bytes_of(r->address), t->address);
}

/* What is_target() compares, in one name: where there are many. */
static struct bytes
target_name(struct arena *a, uint64_t account, struct bytes address, struct bytes detail)
{
	bool errand = is_system_account(account) && system_kind_of(account) > SYSTEM_OWN_MAILBOX;

	return bytes_of(arena_printf(a, "%llx %.*s", (unsigned long long)account,
	                             account == 0 ? (int)address.len
	                             : errand     ? (int)detail.len
	                                          : 0,
	                             account == 0 ? address.at : detail.at));
}

/* The letter goes there already: it had been resolved before, or two names lead to one. */
bool
queue_has_target(const struct letter *l, const struct resolve_target *t)
{
	for (const struct recipient *r = l->first; r != NULL; r = r->next)
		if (is_target(r, t))
			return true;
	return false;
}

/* What goes through a list is the list's (rfc3461:5.2.7.1): its owner hears of it. */
static void
becomes_several(struct house *h, struct recipient *r, const struct word_resolved *w)
{
	bool list = false;

	for (uint32_t i = 0; i < w->targets; i++)
		list = list || w->target[i].sender.len > 0;
	if (!list && w->targets < 2)
		return;
	queue_expanded(h, r, list);
	r->notify &= (uint8_t)~NOTIFY_SUCCESS; /* rfc3461:5.2.7.3 (c) */
	if (list) {
		r->notify = 0;
		r->orcpt = "";
	}
}

/* Where a letter goes, by name. */
struct going {
	struct map   *names;
	struct arena *arena;
};

static struct going
goes_to(struct letter *l)
{
	struct going g = { map_open(), arena_open(NULL) };

	for (struct recipient *r = l->first; r != NULL; r = r->next)
		if (r->known)
			(void)map_put(g.names,
			              target_name(g.arena, r->account, bytes_of(r->address),
			                          bytes_of(r->detail)),
			              r);
	return g;
}

/* The recipient becomes one of its targets, and twins of it the others.  One that was resolved before
   stays who it was if it still may. */
static void
becomes(struct house *h, struct recipient *r, const struct word_resolved *w)
{
	struct queue                *q = queue_of(h)->queue;
	const struct resolve_target *own = w->targets > 0 ? &w->target[0] : NULL;
	struct going                 goes = { NULL, NULL };

	queue_forwarders(r, w);
	becomes_several(h, r, w);
	for (uint32_t i = 0; i < w->targets; i++)
		if (is_target(r, &w->target[i]))
			own = &w->target[i];
	if (w->targets > MANY_TARGETS)
		goes = goes_to(r->letter);
	for (uint32_t i = 0; i < w->targets; i++) {
		const struct resolve_target *t = &w->target[i];
		struct recipient            *twin;

		if (t == own)
			continue;
		if (w->targets <= MANY_TARGETS
		            ? queue_has_target(r->letter, t)
		            : map_put(goes.names,
		                      target_name(goes.arena, t->account, t->address, t->detail),
		                      r) != NULL)
			continue;
		twin = queue_fork(q, r);
		queue_recipient_is(twin, &w->target[i]);
		comes_through(h, twin, &w->target[i]);
		queue_event(q, twin, EVENT_RESOLVED, NULL, NULL, queue_now_ms());
	}
	map_close(&goes.names);
	arena_close(&goes.arena);
	if (own != NULL && !is_target(r, own)) {
		queue_recipient_is(r, own);
		comes_through(h, r, own);
	}
}

/* In the words of the delivery agent that would have had it. */
static void
unknown(struct house *h, struct recipient *r, const char *table)
{
	struct arena *a = arena_open(NULL);
	struct bytes  name = bytes_of(name_of(r));
	ptrdiff_t     at = bytes_find_last(name, '@');

	if (strcmp(table, "local recipient table") == 0 && at > 0)
		name = bytes_cut(name, 0, (size_t)at);
	queue_conclude(h, r, EVENT_REFUSED, "bounced", "5.1.1",
	               strcmp(table, "virtual alias table") == 0 ||
	                               strcmp(table, "relay recipient table") == 0
	                       ? arena_printf(a, "User unknown in %s", table)
	                       : arena_printf(a, "unknown user: \"%.*s\"", (int)name.len, name.at));
	arena_close(&a);
}

/* "5.1.6 User has moved to ..." */
static void
refused_by_table(struct house *h, struct recipient *r, const char *reply)
{
	struct bytes text = bytes_of(reply), status = { NULL, 0 };
	char         code[16];

	if (!bytes_split(&text, ' ', &status) || !bytes_string(status, code, sizeof code))
		(void)bytes_string(BYTES("5.7.1"), code, sizeof code);
	queue_conclude(h, r, EVENT_REFUSED, "bounced", code, reply + (text.at - reply));
}

/* The clerk's word about a recipient: it becomes its targets, or somebody else's business.  One that
   is being tried (again) is known now to be there still. */
static void
resolved(struct house *h, struct recipient *r, const struct word_resolved *w)
{
	struct queue *q = queue_of(h)->queue;

	if (enters_again(h, r, w))
		return;
	switch (w->class) {
	case RESOLVE_LOCAL:
	case RESOLVE_FOREIGN:
		if (w->targets == 0)
			r->account = 0;
		else
			becomes(h, r, w);
		if (r->state == RECIPIENT_TRYING)
			queue_try(h, r);
		else
			queue_event(q, r, EVENT_RESOLVED, NULL, NULL, queue_now_ms());
		break;
	case RESOLVE_UNKNOWN: unknown(h, r, w->table); break;
	case RESOLVE_REFUSED:
	case RESOLVE_LOOP: refused_by_table(h, r, w->table); break;
	case RESOLVE_DISCARDED:
		queue_conclude(h, r, EVENT_DELIVERED, "sent", "2.0.0",
		               "discarded: a table says so");
		break;
	default:
		queue_conclude(h, r, EVENT_LATER, "deferred", "4.3.0",
		               "directory is not available");
	}
}

static bool
resolved_body(struct house *h, struct recipient *r, struct bytes body)
{
	struct arena        *scratch = arena_open(NULL);
	struct word_resolved w;
	bool                 whole = word_unpack_resolved(body, scratch, &w);

	if (whole && r != NULL)
		resolved(h, r, &w);
	arena_close(&scratch);
	return whole;
}

void
queue_known_forget(struct queue_role *k)
{
	for (struct map_place p = { 0 }; map_next(k->known, &p);)
		memory_free(map_drop(k->known, p.key));
}

/* An answer is kept with its length in front. */
static void
known_put(struct queue_role *k, const char *address, struct bytes body)
{
	uint64_t len = body.len;
	char    *copy;

	if (map_count(k->known) >= KNOWN_MOST)
		queue_known_forget(k);
	copy = memory_take(sizeof len + body.len);
	memcpy(copy, &len, sizeof len);
	memcpy(copy + sizeof len, body.at, body.len);
	memory_free(map_put(k->known, bytes_of(address), copy));
}

bool
hear_resolved(struct house *h, uint32_t ticket, struct bytes body)
{
	struct queue_role *k = queue_of(h);
	struct recipient  *r = queue_asked_drop(k->resolving, ticket);

	/* "Later" is not worth keeping, nor what passes: the class, and whether it does, stand in front; and
	   what holds for few letters is not kept for all. */
	if (r != NULL && is_like_others(r) && body.len > 1 &&
	    (uint8_t)body.at[0] != RESOLVE_LATER && body.at[1] == 0)
		known_put(k, name_of(r), body);
	bool whole = resolved_body(h, r, body);
	queue_pump(h);
	return whole;
}

void
queue_resolve(struct house *h, struct recipient *r)
{
	struct queue_role *k = queue_of(h);
	const char *known = is_like_others(r) ? map_get(k->known, bytes_of(name_of(r))) : NULL;
	uint64_t    len;

	if (r->best_here == BEST_PASSED_ON)
		r->best_here = BEST_ELSEWHERE; /* a new try */
	if (known == NULL) {
		queue_asked_add(k, k->resolving, r);
		say_resolve(h, r);
		return;
	}
	memcpy(&len, known, sizeof len);
	if (!resolved_body(h, r, (struct bytes){ known + sizeof len, (size_t)len }))
		panic("an answer of the clerk broke while it was kept");
}

void
queue_resolve_again(struct house *h)
{
	for (struct map_place p = { 0 }; map_next(queue_of(h)->resolving, &p);)
		say_resolve(h, p.value);
}
